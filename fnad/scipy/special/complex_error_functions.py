"""Error functions and the normal distribution in the complex plane, from Faddeeva's and Dawson's.

``erfc(z) = exp(-z**2) w(i z)`` to the right of the imaginary axis, where ``w`` is accurate, and
``2 - erfc(-z)`` to its left; next to 0 and towards the imaginary axis ``erf`` is
``-2i/sqrt(pi) exp(-z**2) D(i z)``, with Dawson's integral (DLMF 7.5).
"""

from __future__ import annotations

import math
from typing import Any

import fnad.numpy as fnp
from fnad.primitives.complex_numbers import complex
from fnad.scipy.operands import polynomial, with_partials
from fnad.scipy.special.faddeeva import dawsn, gaussian_parts, wofz

_ROOT_HALF = math.sqrt(0.5)
_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)


def turned(z: Any) -> Any:
    """``i z``, without the products with 0 that turn infinities into NaN."""
    return complex(-fnp.imag(z), fnp.real(z))


def times_gaussian(z: Any, factor: Any) -> Any:
    """``exp(-z**2) factor``, infinite only where the product is; with the squares' roundings."""
    half, cosine, sine = gaussian_parts(fnp.real(z), fnp.imag(z))
    re, im = fnp.real(factor), fnp.imag(factor)
    parts = cosine * re - sine * im, cosine * im + sine * re
    # An infinite size has no part in what is 0.
    re, im = (fnp.where(part == 0, part, part * half * half) for part in parts)
    return complex(re, im)


def _right(z: Any) -> tuple[Any, Any]:
    left = fnp.real(z) < 0
    return left, fnp.where(left, -z, z)


def _erfc_value(z: Any) -> Any:
    left, right = _right(z)
    value = times_gaussian(right, wofz(turned(right)))
    return fnp.where(left, 2 - value, value)


_SERIES = tuple((-1) ** k / math.factorial(k) / (2 * k + 1) for k in range(13))


def _erf_value(z: Any) -> Any:
    x, y = fnp.real(z), fnp.imag(z)
    small = fnp.abs(z) < 0.6
    least = fnp.where(small, z, 0)
    series = _TWO_OVER_ROOT_PI * (least * polynomial(least * least, _SERIES))
    inner = (fnp.abs(y) > fnp.abs(x)) | (fnp.abs(z) < 1)
    near = fnp.where(inner & ~small, z, 0)
    twisted = times_gaussian(near, dawsn(turned(near)))
    near = _TWO_OVER_ROOT_PI * complex(fnp.imag(twisted), -fnp.real(twisted))
    left, right = _right(fnp.where(inner, 1, z))
    rest = 1 - times_gaussian(right, wofz(turned(right)))
    value = fnp.where(inner, near, fnp.where(left, -rest, rest))
    return fnp.where(small, series, value)


@with_partials(lambda z: -2 * z * times_gaussian(z, fnp.ones_like(z)))
def _gaussian(z: Any) -> Any:
    return times_gaussian(z, fnp.ones_like(z))


erf_of_complex = with_partials(lambda z: _TWO_OVER_ROOT_PI * _gaussian(z))(_erf_value)
erfc_of_complex = with_partials(lambda z: -_TWO_OVER_ROOT_PI * _gaussian(z))(_erfc_value)


def erfcx_of_complex(z: Any) -> Any:
    return wofz(turned(z))


def erfi_of_complex(z: Any) -> Any:
    value = erf_of_complex(turned(z))
    return complex(fnp.imag(value), -fnp.real(value))


def ndtr_of_complex(z: Any) -> Any:
    return 0.5 * erfc_of_complex(-_ROOT_HALF * z)


def _log_ndtr_value(z: Any) -> Any:
    """On the principal branch, as SciPy's."""
    t = -0.5 * erfc_of_complex(_ROOT_HALF * fnp.where(fnp.real(z) > 0, z, 0))
    right = (fnp.real(z) > 0) & (fnp.abs(t) < 0.5)
    t = fnp.where(right, t, 0)
    x, y = fnp.real(t), fnp.imag(t)
    above = complex(0.5 * fnp.log1p(x * (2 + x) + y * y), fnp.arctan2(y, 1 + x))
    other = fnp.where(right, 0, z)
    x, y = fnp.real(other), fnp.imag(other)
    logs = fnp.log(0.5 * wofz(turned(-_ROOT_HALF * other)))
    re = 0.5 * (y - x) * (y + x) + fnp.real(logs)
    im = fnp.imag(logs) - fnp.remainder(x * y, 2 * math.pi)
    im = im - 2 * math.pi * fnp.rint(im / (2 * math.pi))
    return fnp.where(right, above, complex(re, im))


def _log_ndtr_slope(z: Any) -> Any:
    """The density over the distribution function, without what overflows in both."""
    left = fnp.real(z) < 0
    low = fnp.where(left, z, 0)
    below = math.sqrt(2 / math.pi) / wofz(turned(-_ROOT_HALF * low))
    high = fnp.where(left, 0, z)
    density = _gaussian(_ROOT_HALF * high) / math.sqrt(2 * math.pi)
    return fnp.where(left, below, density / ndtr_of_complex(high))


log_ndtr_of_complex = with_partials(_log_ndtr_slope)(_log_ndtr_value)
