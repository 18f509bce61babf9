"""Exponential, trigonometric, Fresnel's and Spence's integrals in the complex plane."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.primitives import special as primitives
from fnad.primitives.complex_numbers import complex
from fnad.primitives.control_flow import fori_loop
from fnad.scipy.operands import complex_log, polynomial, with_partials
from fnad.scipy.special.complex_error_functions import erf_of_complex, turned

_FRACTION_TERMS, _SERIES_TERMS = 120, 160
_PARABOLA = 1.43  # |z| + Re z, from which on the continued fraction converges in time
_ASYMPTOTIC = 40.0


def _entire(z: Any) -> Any:
    """The sum of ``-(-z)**k / (k k!)`` from 1 on, the exponential integral without its logarithm.

    It cancels by a factor of 4 at most where it is used, left of a parabola around the cut.
    """

    def body(i: Any, carry: Any) -> Any:
        power, total = carry  # -(-z)**k / k!, and the sum of those over k
        k = (i + 1).astype(fnp.real(z).dtype)
        power = power * (-z / k)
        return power, total + power / k

    return fori_loop(0, _SERIES_TERMS, body, (-fnp.ones_like(z), fnp.zeros_like(z)))[1]


def _exp1_value(z: Any) -> Any:
    x, y = fnp.real(z), fnp.imag(z)
    size = fnp.abs(z)
    left = (size + x < _PARABOLA) & (size < _ASYMPTOTIC)
    beyond = (size + x < _PARABOLA) & ~left
    finite = size < math.inf
    known = ~fnp.isnan(size) & finite
    inner = fnp.where(left, z, 1)
    series = _entire(inner) - complex_log(fnp.where(left, z, 1)) - np.euler_gamma
    # DLMF 6.9.1, contracted.
    outer = fnp.where(known & ~left & ~beyond, z, 2)

    def body(i: Any, tail: Any) -> Any:
        k = (_FRACTION_TERMS - i).astype(x.dtype)
        return outer + (2 * k - 1) - k * k / tail

    tail = fori_loop(0, _FRACTION_TERMS, body, outer + (2 * _FRACTION_TERMS + 1))
    value = fnp.where(left, series, fnp.exp(-outer) / tail)
    # The divergent series, with what comes in across the negative numbers (Berry 1989).
    far = fnp.where(beyond & known, z, -_ASYMPTOTIC)
    total = fnp.ones_like(far)
    inverse = 1 / far
    for k in range(36, 0, -1):
        total = 1 - k * inverse * total
    half = fnp.exp(-0.5 * far)
    height = fnp.abs(fnp.imag(far))
    part = math.pi * primitives.erfc(height / fnp.sqrt(2 * fnp.abs(far)))
    across = complex(fnp.zeros_like(x), -fnp.copysign(part, y))
    value = fnp.where(beyond, half * (total * inverse) * half + across, value)
    value = fnp.where((size == math.inf) & (x > 0), 0, value)
    value = fnp.where(size == 0, complex(fnp.full_like(x, math.inf), -y), value)
    unknown = ~(known | ((size == math.inf) & (x > 0)))
    return fnp.where(unknown, complex(x * math.nan, x * math.nan), value)


exp1_of_complex = with_partials(lambda z: -fnp.exp(-z) / z)(_exp1_value)


def expi_of_complex(z: Any) -> Any:
    """Real for real numbers, with a jump on both sides of the negative ones, as SciPy's."""
    x, y = fnp.real(z), fnp.imag(z)
    on_axis = (y == 0) & (x < 0)
    turn = fnp.where(on_axis, 0, fnp.copysign(fnp.full_like(x, math.pi), y))
    value = complex(fnp.zeros_like(x), turn) - exp1_of_complex(-z)
    # Next to the positive numbers the imaginary part is small against the turn.
    return complex(fnp.real(value), fnp.where(y == 0, y * 0, fnp.imag(value)))


_EDGE = 4.0  # up to here power series, which lose a digit at most
_ODD = tuple(1 / math.factorial(2 * k + 1) / (2 * k + 1) for k in range(15))
_EVEN = tuple(1 / math.factorial(2 * k + 2) / (2 * k + 2) for k in range(15))


def _signed(coefficients: tuple[float, ...]) -> list[float]:
    return [(-1) ** k * c for k, c in enumerate(coefficients)]


def _right(z: Any) -> tuple[Any, Any]:
    """Whether a number is left of the imaginary axis, and itself or its negative, which is not."""
    left = fnp.real(z) < 0
    right = fnp.where(left, -z, z)
    return left, complex(fnp.abs(fnp.real(right)), fnp.imag(right))


def _sine_slope(z: Any) -> Any:
    near = fnp.abs(z) < 1
    inner, far = fnp.where(near, z, 0), fnp.where(near, 1, z)
    series = [(-1) ** k / math.factorial(2 * k + 1) for k in range(10)]
    return fnp.where(near, polynomial(inner * inner, series), fnp.sin(far) / far)


@with_partials(_sine_slope)
def sine_integral(z: Any) -> Any:
    """DLMF 6.5.5."""
    near = fnp.abs(z) < _EDGE
    inner = fnp.where(near, z, 0)
    left, far = _right(fnp.where(near, _EDGE, z))
    up, down = exp1_of_complex(turned(far)), exp1_of_complex(-turned(far))
    half = 0.5 * (up - down)
    value = complex(fnp.imag(half) + 0.5 * math.pi, -fnp.real(half))
    series = inner * polynomial(inner * inner, _signed(_ODD))
    return fnp.where(near, series, fnp.where(left, -value, value))


@with_partials(lambda z: fnp.cos(z) / z)
def cosine_integral(z: Any) -> Any:
    """DLMF 6.5.7; continuous from above at negative numbers, as SciPy's."""
    y = fnp.imag(z)
    near = fnp.abs(z) < _EDGE
    left, right = _right(z)
    far = fnp.where(near, _EDGE, right)
    outer = -0.5 * (exp1_of_complex(turned(far)) + exp1_of_complex(-turned(far)))
    square = fnp.where(near, z * z, 0)
    inner = complex_log(fnp.where(near & (z != 0), right, 1)) + np.euler_gamma
    inner = inner - square * polynomial(square, _signed(_EVEN))
    value = fnp.where(near, inner, outer)
    turn = fnp.where(left, fnp.where(y < 0, y.dtype.type(-math.pi), math.pi), 0)
    value = value + complex(fnp.zeros_like(turn), turn)
    return fnp.where(z == 0, complex(fnp.full_like(y, -math.inf), fnp.zeros_like(y)), value)


def hyperbolic_sine_integral(z: Any) -> Any:
    value = sine_integral(turned(z))
    return complex(fnp.imag(value), -fnp.real(value))


@with_partials(lambda z: fnp.cosh(z) / z)
def hyperbolic_cosine_integral(z: Any) -> Any:
    y = fnp.imag(z)
    near = fnp.abs(z) < _EDGE
    left, right = _right(z)
    far = fnp.where(near, _EDGE, right)
    outer = 0.5 * (expi_of_complex(far) - exp1_of_complex(far))
    square = fnp.where(near, z * z, 0)
    inner = complex_log(fnp.where(near & (z != 0), right, 1)) + np.euler_gamma
    inner = inner + square * polynomial(square, _EVEN)
    value = fnp.where(near, inner, outer)
    turn = fnp.where(left, fnp.copysign(fnp.full_like(y, math.pi), y), 0)
    value = value + complex(fnp.zeros_like(turn), turn)
    return fnp.where(z == 0, complex(fnp.full_like(y, -math.inf), y), value)


_TURNING = 1.6  # up to here the power series, which loses one digit


def _fresnel(z: Any, sine: bool) -> Any:
    near = fnp.abs(z) < _TURNING
    inner = fnp.where(near, z, 0)
    t = 0.5 * math.pi * inner * inner
    first = int(sine)
    series = [
        (-1) ** k / math.factorial(2 * k + first) / (4 * k + 2 * first + 1) for k in range(19)
    ]
    small = inner * polynomial(t * t, series) * (t if sine else 1)
    # C + i S and C - i S are error functions (DLMF 7.5.8).
    far = 0.5 * math.sqrt(math.pi) * fnp.where(near, _TURNING, z)
    x, y = fnp.real(far), fnp.imag(far)
    plus = 0.25 * (1 + 1j) * erf_of_complex(complex(x + y, y - x))
    minus = 0.25 * (1 - 1j) * erf_of_complex(complex(x - y, x + y))
    large = -turned(plus - minus) if sine else plus + minus
    return fnp.where(near, small, large)


@with_partials(lambda z: fnp.sin(0.5 * math.pi * z * z))
def fresnel_sine(z: Any) -> Any:
    return _fresnel(z, True)


@with_partials(lambda z: fnp.cos(0.5 * math.pi * z * z))
def fresnel_cosine(z: Any) -> Any:
    return _fresnel(z, False)
