"""Riemann's zeta function of all real numbers, also less 1, and Hurwitz'."""

from __future__ import annotations

import math
from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import special_function, with_partials
from fnad.scipy.special.gamma_functions import BERNOULLI, gamma, hurwitz
from fnad.transforms.blocks import compiled_elementwise

_END = 10  # the terms below are added up before the Euler-Maclaurin formula
# In 4 and 8 bytes: pi, what rounding took off it over it, and where gamma(x/2) overflows, as has
# zeta(1 - x) by then.
_PI = {4: (3.1415927410125732, -2.7827534e-08, 69.0), 8: (math.pi, 3.8981718325193755e-17, 342.0)}


def zeta(x: Any, q: Any = None) -> Any:
    """Riemann's zeta function, or Hurwitz', the sum of ``(k + q)**-x`` over k >= 0, elementwise.

    Parameters
    ----------
    x : array
        The exponent. Infinite at 1. Below, where the sum diverges, Riemann's function is continued;
        Hurwitz' is NaN.
    q : array, optional
        By default Riemann's function, that of 1. Infinite at 0 and the negative integers, and NaN
        at other negative numbers.

    Examples
    --------
    >>> import numpy as np
    >>> zeta(np.array([-1.0, 2.0, 4.0]))
    array([-0.08333333,  1.64493407,  1.08232323])
    """
    return _riemann(x) if q is None else hurwitz(x, q)


@special_function
@compiled_elementwise
def _riemann(x: Any) -> Any:
    return _zeta(x)


@special_function
@compiled_elementwise
def zetac(x: Any) -> Any:
    """Riemann's zeta function less 1, elementwise, of all real numbers.

    Accurate also where ``x`` is large. Infinite at 1, NaN at minus infinity.

    Examples
    --------
    >>> import numpy as np
    >>> zetac(np.array([-1.0, 0.0, 2.0, 60.0]))
    array([-1.08333333e+00, -1.50000000e+00,  6.44934067e-01,  8.67361738e-19])
    """
    return _zetac(x)


def _of_positive(s: Any) -> Any:
    """Euler and Maclaurin's formula, DLMF 25.2.9, for s > -1/2."""
    # Of the powers, only that of 2 needs all digits where they have a large exponent.
    total = sum((fnp.exp(-math.log(k) * s) for k in range(3, _END)), start=fnp.exp2(-s))
    power = fnp.exp(-math.log(_END) * s)
    total = total + power * _END / (s - 1) + power / 2
    term = power * s / _END
    for j, coefficient in enumerate(BERNOULLI, start=1):
        total = total + coefficient * term
        term = term * ((s + 2 * j - 1) / _END) * ((s + 2 * j) / _END)
    return total


def _reflected(s: Any, zeta: Any) -> Any:
    """``zeta(s)`` from ``zeta(1 - s)`` for negative s, DLMF 25.4.1.

    With gamma's duplication formula, DLMF 5.5.5, so that nothing overflows before the result does.
    """
    pi, rest, last = _PI[s.dtype.itemsize]
    large = s < 1 - last
    a = 1 - fnp.where(large, 0, s)
    half = fnp.rint(0.5 * s)
    turn = s - 2 * half  # between -1 and 1, exactly
    sine = fnp.sin(0.5 * math.pi * turn)
    sine = fnp.where(half % 2 == 0, sine, -sine)

    def factor(y: Any) -> Any:
        return gamma(y) * pi**-y * (1 - rest * y)

    size = fnp.where(large, math.inf, factor(0.5 * a) * factor(0.5 * (a + 1)) * zeta)
    # At zeros finite, as their slope's sign matters.
    return sine * fnp.where(turn == 0, fnp.minimum(size, fnp.finfo(s.dtype).max), size)


def _value(x: Any, less: float) -> Any:
    """The function less 0 or 1."""
    negative = (x < -0.5) & (x > -math.inf)
    finite = fnp.where(fnp.abs(x) < math.inf, x, 2)
    value = _of_positive(fnp.where(negative, 1 - finite, finite))
    left = _reflected(fnp.where(negative, x, -1), 1 + value) - less
    value = fnp.where(negative, left, value + (1 - less))
    value = fnp.where(x == math.inf, 1 - less, value)
    return fnp.where((x == -math.inf) | fnp.isnan(x), x * math.nan, value)


def _zeta_value(x: Any) -> Any:
    return _value(x, 0.0)


def _zetac_value(x: Any) -> Any:
    return _value(x, 1.0)


_zeta = with_partials(None)(_zeta_value)
_zetac = with_partials(None)(_zetac_value)
