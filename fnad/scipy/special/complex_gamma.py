"""The logarithm of the gamma function and its derivative in the complex plane."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.primitives import special as primitives
from fnad.primitives.complex_numbers import complex
from fnad.scipy.operands import holomorphic, polynomial, with_partials
from fnad.scipy.special.gamma_functions import STIRLING
from fnad.scipy.special.incomplete_gamma import LOG_GAMMA

_LARGE = 9.0  # Stirling's series is exact to the last bits from here on
_PAIRS = 5  # and after that many steps, of 2 each, an argument from 1/2 on is that large
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_NEAR = 0.4
_DIGAMMA = tuple((2 * k + 1) * c for k, c in enumerate(STIRLING))  # B_2k / 2k


@holomorphic
def loggamma(z: Any) -> Any:
    """The principal branch of the logarithm of the gamma function, elementwise.

    Continued from the positive numbers, with a branch cut along the negative ones, where it is
    continuous from above, or from below for an imaginary part of -0.0. NaN for negative numbers of
    a real dtype.

    Examples
    --------
    >>> loggamma(np.array([0.5, 3.0]))
    array([0.57236494, 0.69314718])
    >>> loggamma(np.array([-1.5 + 0j, 2 + 10j])).round(4)
    array([  0.86  -6.2832j, -11.3302+15.274j ])
    """
    if fnp.iscomplexobj(z):
        return _loggamma(z)
    return fnp.where(z < 0, math.nan, primitives.lgamma(fnp.where(z < 0, 1, z)))


def _reflected(z: Any) -> tuple[Any, Any]:
    """Where `loggamma` is found by reflection, and the number there that is."""
    reflected = fnp.real(z) < 0.5
    return reflected, fnp.where(reflected, 1 - z, z)


def _is_small(z: Any) -> Any:
    return (fnp.abs(fnp.imag(z)) < _LARGE) & (fnp.real(z) < _LARGE)


def _loggamma_value(z: Any) -> Any:
    reflected, right = _reflected(z)
    shifted, logs = right, fnp.zeros_like(z)
    for _ in range(_PAIRS):
        small = _is_small(shifted)
        # The arguments of two numbers to the right of 0 add up to less than half a turn.
        logs = logs + fnp.log(fnp.where(small, shifted * (shifted + 1), 1))
        shifted = fnp.where(small, shifted + 2, shifted)
    inverse = 1 / shifted
    value = (shifted - 0.5) * fnp.log(shifted) - shifted + _HALF_LOG_2PI - logs
    value = value + inverse * polynomial(inverse * inverse, STIRLING)
    # At its zeros, 1 and 2, as a power series.
    at_one, at_two = fnp.abs(right - 1) < _NEAR, fnp.abs(right - 2) < _NEAR
    near = at_one | at_two
    t = fnp.where(near, fnp.where(at_one, right - 1, right - 2), 0)
    series = t * (1 - np.euler_gamma + t * polynomial(t, LOG_GAMMA))
    series = fnp.where(at_one, series - _log1p(t), series)
    value = fnp.where(near, series, value)
    left = math.log(math.pi) - _log_sine(fnp.where(reflected, z, 0.25)) - value
    return fnp.where(reflected, left, value)


def _log1p(t: Any) -> Any:
    """NumPy's, of complex numbers, has large errors for small ones."""
    x, y = fnp.real(t), fnp.imag(t)
    return complex(0.5 * fnp.log1p(x * (2 + x) + y * y), fnp.arctan2(y, 1 + x))


def _log_sine(z: Any) -> Any:
    """``log(sin(pi z))``, continued from (0, 1) into both half planes.

    It is ``-i pi (z - 1/2) - log(2) + log(1 - exp(2 pi i z))`` above, the conjugate below.
    """
    x, y = fnp.real(z), fnp.imag(z)
    height = 2 * math.pi * fnp.abs(y)
    turn = math.pi * (x - fnp.rint(x))
    sine, size = fnp.sin(turn), fnp.exp(-height)
    re = 2 * sine * sine * size - fnp.expm1(-height)
    rest = fnp.log(complex(re, -size * fnp.sin(2 * turn)))
    im = fnp.imag(rest) - math.pi * (x - 0.5)
    return complex(fnp.real(rest) + 0.5 * height - math.log(2), fnp.copysign(1, y) * im)


def digamma_of_complex(z: Any) -> Any:
    """The derivative of `loggamma`, of elementary functions alone: so are its derivatives."""
    reflected, right = _reflected(z)
    shifted, total = right, fnp.zeros_like(z)
    for _ in range(2 * _PAIRS):
        small = _is_small(shifted)
        total = total - fnp.where(small, 1 / fnp.where(small, shifted, 1), 0)
        shifted = fnp.where(small, shifted + 1, shifted)
    square = 1 / (shifted * shifted)
    value = total + fnp.log(shifted) - 0.5 / shifted - square * polynomial(square, _DIGAMMA)
    inside = fnp.where(reflected, z - fnp.rint(fnp.real(z)), 0.25)
    return fnp.where(reflected, value - math.pi / fnp.tan(math.pi * inside), value)


_loggamma = with_partials(digamma_of_complex)(_loggamma_value)
