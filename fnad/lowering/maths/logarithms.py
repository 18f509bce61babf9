"""log, log2, log10, log1p, arcsinh, arccosh, arctanh.

A number is taken apart into 2**k (1 + f) with 1 + f between sqrt(1/2) and sqrt(2), and
log(1 + f) = f + u, f exact and u small: for float32 u is a polynomial, for float64 it follows
from the series in f / (2 + f) (Muller, Elementary Functions, 3rd ed., chapter 11).
"""

from __future__ import annotations

import math

from fnad.lowering.maths.notation import (
    FLOAT32,
    Number,
    absolute,
    by_dtype,
    copysign,
    fma,
    horner,
    least,
    sqrt,
    where,
    whole_part,
)
from fnad.lowering.maths.powers_of_two import split, split_any

# log(1 + f) = f + f**2 p(f)
_LOG32 = (-0.5, 0.3333330750465393, -0.2499997615814209, 0.20002391934394836,
          -0.16669930517673492, 0.14215846359729767, -0.12369873374700546, 0.11879744380712509,
          -0.1188647598028183, 0.0702248141169548)  # fmt: skip
# log((1 + s) / (1 - s)) = 2 s + s**3 p(s**2)
_LOG64 = (0.6666666666666734, 0.39999999999417035, 0.285714287418948, 0.22222198621575406,
          0.18183561894912859, 0.15314111085782162, 0.14795357552265995)  # fmt: skip

# log(2) and the logarithm of e in each base, in two parts; the first part of log(2) is exact
# when multiplied by an exponent.
_NATURAL = by_dtype(
    ((0.693145751953125, 1.4286068203094173e-06), (1.0, 0.0)),
    ((0.6931471805598903, 5.497923018708371e-14), (1.0, 0.0)),
)
_BINARY = by_dtype(
    ((1.0, 0.0), (1.4426950216293335, 1.925963033500011e-08)),
    ((1.0, 0.0), (1.4426950408889634, 2.0355273740931033e-17)),
)
_DECIMAL = by_dtype(
    ((0.301025390625, 4.605038981195214e-06), (0.4342944920063019, -1.0103049952192578e-08)),
    ((0.30102999566395283, 2.8363394551044964e-14), (0.4342944819032518, 1.098319650216765e-17)),
)
Base = tuple[tuple[float, float], tuple[float, float]]


def _of_reduced(f: Number) -> Number:
    """log(1 + f) - f."""
    if f.dtype == FLOAT32:
        return f * f * horner(f, _LOG32)
    half_square = f * f * 0.5
    s = f / (f + 2.0)
    z = s * s
    return fma(s, fma(z, horner(z, _LOG64), half_square), -half_square)


def _combine(k: Number, f: Number, base: Base, rest: Number | None = None) -> Number:
    """log(2**k (1 + f)) / log(base); ``rest`` is what rounding f lost."""
    (ln2, ln2_low), (unit, unit_low) = base
    u = _of_reduced(f) if rest is None else _of_reduced(f) + rest
    if unit != 1.0:
        u = fma(f, unit_low, u * unit)
    small = fma(k, ln2_low, u) if ln2_low else u
    return fma(k, ln2, fma(f, unit, small))


def _logarithm(x: Number, base: Base) -> Number:
    k, m = split_any(x)
    return _combine(k, m - 1.0, base)


def log(x: Number) -> Number:
    return _logarithm(x, x.pick(_NATURAL))


def log2(x: Number) -> Number:
    return _logarithm(x, x.pick(_BINARY))


def log10(x: Number) -> Number:
    return _logarithm(x, x.pick(_DECIMAL))


def _log_of_sum(high: Number, low: Number, more: Number | None = None) -> Number:
    """log(high + low) for finite ``high`` and a small ``low``; plus ``more`` log(2)."""
    k, m = split_any(high)
    _, bits = whole_part(least(k, high.bias - 1.0), -1.0, high.bias)
    back, most = (bits << high.mantissa).from_bits, m - 1.0
    f = fma(low, back, most)
    rest = fma(low, back, most - f)
    return _combine(k if more is None else k + more, f, high.pick(_NATURAL), rest)


def log_of_normal(x: Number) -> Number:
    """log(x) for positive normal x."""
    k, m = split(x)
    return _combine(k, m - 1.0, x.pick(_NATURAL))


def _one_plus(x: Number) -> tuple[Number, Number]:
    """1 + x and what rounding it lost."""
    u = x + 1.0
    return u, where(absolute(x) > 1.0, 1.0 - (u - x), x - (u - 1.0))


def log1p(x: Number) -> Number:
    u, lost = _one_plus(x)
    result = _log_of_sum(u, lost)
    return where(x.equals(0.0) | x.equals(math.inf), x, result)  # keeps -0


def _log_of_grown(x: Number, part: Number, rest: Number, large: Number) -> Number:
    """log(1 + part + rest), where ``large`` log(2 x), for x >= 0 or NaN and part >= rest."""
    grown = part + rest
    u, lost = _one_plus(grown)
    lost = lost + (rest - (grown - part))
    high, low = where(large, x, u), where(large, 0.0, lost)
    result = _log_of_sum(high, low, where(large, x.constant(1.0), 0.0))
    return where(x < math.inf, result, x)


def arcsinh(x: Number) -> Number:
    """log(1 + a + a**2 / (1 + sqrt(1 + a**2))) for a = abs(x)."""
    a = absolute(x)
    large = a > 2.0 ** (x.mantissa // 2 + 4)
    b = where(large, 1.0, a)
    square = b * b
    rest = square / (sqrt(square + 1.0) + 1.0)
    return copysign(_log_of_grown(a, b, rest, large), x)


def arccosh(x: Number) -> Number:
    """log(1 + t + sqrt(t (t + 2))) for t = x - 1."""
    large = x > 2.0 ** (x.mantissa // 2 + 4)
    t = where(large, 1.0, x - 1.0)
    result = _log_of_grown(x, sqrt(fma(t, t, t + t)), t, large)
    return where(x < 1.0, math.nan, result)


def arctanh(x: Number) -> Number:
    """log(1 + 2 a / (1 - a)) / 2 for a = abs(x)."""
    a = absolute(x)
    d = 1.0 - a
    lost = (1.0 - d) - a
    q = (a + a) / d
    rest = fma(-q, lost, fma(-q, d, a + a)) * fma(q, 0.5, 1.0)  # 1 / d = 1 + q / 2
    u, low = _one_plus(q)
    result = _log_of_sum(u, low + rest) * 0.5
    result = where(a < 1.0, result, math.nan)
    return copysign(where(a.equals(1.0), math.inf, result), x)


def log_in_parts(x: Number) -> tuple[Number, Number]:
    """log(x) for positive finite x as a sum of two, some bits better than either."""
    k, m = split_any(x)
    f = m - 1.0
    (ln2, ln2_low), _ = x.pick(_NATURAL)
    most = k * ln2
    high = most + f
    return high, (f - (high - most)) + fma(k, ln2_low, _of_reduced(f))
