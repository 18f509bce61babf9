"""The logarithm of the gamma function and its derivative in the complex plane."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.primitives import special as primitives
from fnad.primitives.complex_numbers import complex
from fnad.scipy.operands import holomorphic, polynomial, with_partials
from fnad.scipy.special.gamma_coefficients import LOG_GAMMA, STIRLING
from fnad.transforms.blocks import compiled_elementwise

_LARGE = 9.0  # Stirling's series is exact to the last bits from here on
_PAIRS = 5  # and after that many steps, of 2 each, an argument from 1/2 on is that large
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_NEAR = 0.4
# The positive zero of digamma in two numbers, and digamma there as a power series, over t.
_ZERO = 1.4616321449683622, 9.549995429965697e-17
_NEAR_ZERO = 0.2
_AT_ZERO = (
    0.9676722454476212, -0.4427631689835921, 0.258499760955651, -0.16394270544240652,
    0.10782405069126237, -0.07219956125645471, 0.04880428816414311, -0.03316112647484736,
    0.022597648232218104, -0.01542476590494896, 0.010538791616612175, -0.007204534386356869,
    0.004926781395729853, -0.003369801655439328, 0.002305126326734928, -0.0015769367714301972,
    0.0010788252019162967, -0.0007380709389960052, 0.000504953265834602,
)  # fmt: skip
_DIGAMMA = tuple((2 * k + 1) * c for k, c in enumerate(STIRLING))  # B_2k / 2k


@holomorphic
@compiled_elementwise
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
    value = fnp.where(reflected, value - math.pi / fnp.tan(math.pi * inside), value)
    # Next to its positive zero the series has it as a factor.
    near = fnp.abs(z - _ZERO[0]) < _NEAR_ZERO
    t = (fnp.where(near, z, _ZERO[0]) - _ZERO[0]) - _ZERO[1]
    value = fnp.where(near, t * polynomial(t, _AT_ZERO), value)
    return fnp.where(_is_pole(z), complex(*[fnp.full_like(fnp.real(z), math.nan)] * 2), value)


def _is_pole(z: Any) -> Any:
    x = fnp.real(z)
    return (fnp.imag(z) == 0) & (x <= 0) & (x == fnp.rint(x))


_loggamma = with_partials(digamma_of_complex)(_loggamma_value)


def _gamma_value(z: Any) -> Any:
    value = fnp.exp(_loggamma_value(fnp.where(_is_pole(z), 1, z)))
    real = fnp.imag(z) == 0  # the logarithm of a negative number has a rounded angle
    value = complex(fnp.real(value), fnp.where(real, fnp.imag(z), fnp.imag(value)))
    return fnp.where(_is_pole(z), complex(*[fnp.full_like(fnp.real(z), math.nan)] * 2), value)


gamma_of_complex: Any = with_partials(lambda z: gamma_of_complex(z) * digamma_of_complex(z))(
    _gamma_value
)
