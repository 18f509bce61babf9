"""arcsin, arccos, arctan, arctan2."""

from __future__ import annotations

import math

from fnad.lowering.maths.notation import (
    Number,
    absolute,
    by_dtype,
    copysign,
    flip,
    fma,
    horner,
    sign_bit,
    sqrt,
    where,
)

# A quarter of pi: a first part that small integers multiply exactly, and the rest.
_QUARTER = by_dtype(
    (0.785398006439209, 1.5695823663008923e-07), (0.7853981633974483, 3.061616997868383e-17)
)

# asin(s) = s + s**3 p(s**2) for |s| <= 1/2
_ARCSIN = by_dtype(
    (0.16666752099990845, 0.07495307177305222, 0.04546966776251793, 0.02418118342757225,
     0.042166050523519516),
    (0.16666666666665403, 0.07500000000338598, 0.04464285682691688, 0.030381959198480947,
     0.022371756514473998, 0.017359728569115298, 0.0138849963216777, 0.012170796443336953,
     0.006521093628229564, 0.019547104774393923, -0.01625375046730326, 0.03193240568346054),
)  # fmt: skip
# atan(t) = t + t**3 p(t**2) for |t| <= tan(pi/8)
_ARCTAN = by_dtype(
    (-0.33333316445350647, 0.19998528063297272, -0.14244391024112701, 0.10599169880151749,
     -0.06090058386325836),
    (-0.333333333333332, 0.19999999999953677, -0.14285714280201656, 0.11111110783677489,
     -0.09090897764239193, 0.07692060344127882, -0.06663105736168888, 0.058479036069487865,
     -0.0503938020548279, 0.0380668037032766, -0.017910059033588815),
)  # fmt: skip


def _arcsin_of_half(x: Number) -> tuple[Number, Number, Number]:
    """``(far, s, p)``: asin(s) = s + p, where s is abs(x), or sqrt((1 - abs(x)) / 2) if far."""
    size = absolute(x)
    far = size > 0.5
    z = where(far, fma(size, -0.5, 0.5), size * size)
    s = where(far, sqrt(z), size)
    return far, s, s * z * horner(z, x.pick(_ARCSIN))


def arcsin(x: Number) -> Number:
    """Beyond 1/2, pi/2 - 2 asin(s)."""
    quarter, low = x.pick(_QUARTER)
    far, s, p = _arcsin_of_half(x)
    high = fma(s, -2.0, 2 * quarter)
    lost = fma(s, -2.0, 2 * quarter - high)
    beyond = high + (fma(p, -2.0, 2 * low) + lost)
    return copysign(where(far, beyond, s + p), x)


def arccos(x: Number) -> Number:
    """pi/2 - asin(x); beyond 1/2, 2 asin(s), or pi - 2 asin(s) for negative x."""
    quarter, low = x.pick(_QUARTER)
    far, s, p = _arcsin_of_half(x)
    count = where(far, where(x < 0.0, x.constant(4.0), 0.0), 2.0)  # quarters of pi
    factor = flip(where(far, x.constant(2.0), -1.0), sign_bit(x))
    return fma(factor, s, count * quarter) + fma(factor, p, count * low)


def arctan(x: Number) -> Number:
    """atan(t) for t = a, pi/4 + atan((a - 1) / (a + 1)) or pi/2 + atan(-1 / a), a = abs(x)."""
    a = absolute(x)
    return copysign(_arctan_of_quotient(a, a.constant(1.0), a.bits & 0), x)


def arctan2(y: Number, x: Number) -> Number:
    a, b = absolute(y), absolute(x)
    both = a.equals(math.inf) & b.equals(math.inf)
    a, b = where(both, 1.0, a), where(both, 1.0, b)
    larger = where(a > b, a, b)  # scaled such that no step overflows or loses digits
    huge, tiny = 2.0 ** (y.bias - 4), 2.0 ** (y.mantissa + 8 - y.bias)
    scale = where(larger > huge, y.constant(0.0625), 1.0)
    scale = where(larger < tiny, 2.0 ** (y.mantissa + 8), scale)
    return copysign(_arctan_of_quotient(a * scale, b * scale, sign_bit(x)), y)


def _arctan_of_quotient(a: Number, b: Number, negative: Number) -> Number:
    """The angle of the point (+-b, a), for a and b not negative."""
    near, far = a > b * math.tan(math.pi / 8), a > b * math.tan(3 * math.pi / 8)
    numerator = where(far, -b, where(near, a - b, a))
    denominator = where(far, a, where(near, a + b, b))
    t = numerator / where(denominator.equals(0.0), 1.0, denominator)
    count = where(far, a.constant(2.0), where(near, a.constant(1.0), 0.0))  # quarters of pi
    t = flip(t, negative)
    count = where(negative < 0, 4.0 - count, count)
    quarter, low = a.pick(_QUARTER)
    z = t * t
    return fma(count, quarter, t + fma(t * z, horner(z, a.pick(_ARCTAN)), count * low))
