"""Elementary functions less their value at 0, without cancellation next to it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import polynomial, special_function, with_partials

_NEAR = 1.0
# Of the slope of (exp(x) - 1) / x, the sum of x**k / (k + 1)!.
_EXPREL_SLOPE = [(k + 1) / math.factorial(k + 2) for k in range(20)]


@special_function
def cosm1(x: Any) -> Any:
    """``cos(x) - 1``, accurate next to 0, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> cosm1(np.array([0.0, 1e-10, 1.0]))
    array([ 0.00000000e+00, -5.00000000e-21, -4.59697694e-01])
    """
    return _cosm1(x)


@special_function
def exprel(x: Any) -> Any:
    """``(exp(x) - 1) / x``, accurate next to 0, where it is 1; elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> exprel(np.array([0.0, 1e-10, 1.0]))
    array([1.        , 1.        , 1.71828183])
    """
    return _exprel(x)


@with_partials(lambda x: -fnp.sin(x))
def _cosm1(x: Any) -> Any:
    half = fnp.sin(0.5 * x)
    return 0 - 2 * half * half  # not -0


def _exprel_slope(x: Any) -> Any:
    near = fnp.abs(x) < _NEAR
    series = polynomial(fnp.where(near, x, 0), _EXPREL_SLOPE)
    far = fnp.where(near, 1, x)
    left, right = fnp.where(x < 0, far, -1), fnp.where(x < 0, 1, far)
    left = (fnp.exp(left) - _exprel(left)) / left
    # Not infinity less infinity where exp(x) overflows.
    right = _exprel(right) * (1 - 1 / right) + 1 / right
    return fnp.where(near, series, fnp.where(x < 0, left, right))


@with_partials(_exprel_slope)
def _exprel(x: Any) -> Any:
    subnormal = fnp.abs(x) < np.finfo(x.dtype).tiny
    quotient = fnp.expm1(x) / fnp.where(subnormal | (x == math.inf), 1, x)
    return fnp.where(subnormal, 1, quotient)
