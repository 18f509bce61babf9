"""The power transformations of Box and Cox, smooth where the power is 0."""

from __future__ import annotations

from math import factorial
from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import polynomial, special_function, with_partials

# expm1(z) / z, and its derivative, as series: for |z| < 1 the first term left out is below 2e-20.
_SERIES_TERMS = 20


def _ratio(order: int, z: Any) -> Any:
    """The derivative of some order of ``expm1(z) / z``.

    It is the integral of ``t**order exp(z t)`` over [0, 1] (DLMF 8.7.1 as an integral), of which
    integration by parts says ``(exp(z) - order * ratio(order - 1)) / z``; close to 0, where that
    cancels, the sum of ``z**k / (k! (k + order + 1))`` is taken.
    """

    @with_partials(lambda z: _ratio(order + 1, z))
    def value(z: Any) -> Any:
        near = fnp.abs(z) < 1
        small, large = fnp.where(near, z, 0), fnp.where(near, 1, z)
        terms = [1 / (factorial(k) * (k + order + 1)) for k in range(_SERIES_TERMS)]
        if order == 0:
            return fnp.expm1(z) / fnp.where(z == 0, 1, z) + (z == 0)
        far = (fnp.exp(large) - order * _ratio(order - 1, large)) / large
        return fnp.where(near, polynomial(small, terms), far)

    return value(z)


def _transformed(log_x: Any, lmbda: Any) -> Any:
    """``expm1(lmbda * log_x) / lmbda``, with its limit log_x where lmbda is 0."""
    z = lmbda * log_x
    # The quotient is right for all lmbda but 0, where the derivative in it needs the series.
    gentle = (fnp.abs(z) < 1) & fnp.isfinite(log_x)
    smooth = fnp.where(gentle, log_x, 0) * _ratio(0, fnp.where(gentle, z, 0))
    power = fnp.where(gentle, 1, lmbda)
    steep = fnp.expm1(fnp.where(gentle, 0, z)) / fnp.where(power == 0, 1, power)
    return fnp.where(gentle, smooth, fnp.where(lmbda == 0, log_x, steep))


@special_function
def boxcox(x: Any, lmbda: Any) -> Any:
    """``(x**lmbda - 1) / lmbda``, and ``log(x)`` where lmbda is 0, elementwise.

    Differentiable in both arguments, to every order, also where lmbda is 0.

    Examples
    --------
    >>> import numpy as np
    >>> boxcox(np.array([1.0, 4.0, 4.0]), np.array([2.0, 0.5, 0.0]))
    array([0.        , 2.        , 1.38629436])
    """
    return _transformed(fnp.log(x), lmbda)


@special_function
def boxcox1p(x: Any, lmbda: Any) -> Any:
    """``((1 + x)**lmbda - 1) / lmbda``, and ``log1p(x)`` where lmbda is 0, elementwise.

    Accurate for small ``x``; differentiable in both arguments, to every order.

    Examples
    --------
    >>> import numpy as np
    >>> boxcox1p(np.array([1e-20, 3.0]), np.array([2.0, 0.5]))
    array([1.e-20, 2.e+00])
    """
    return _transformed(fnp.log1p(x), lmbda)
