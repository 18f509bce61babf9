"""power: 2**(y log2(x)), the logarithm with twice the precision of the result.

The logarithm is a series in s = (m - 1) / (m + 1) whose first terms are sums and products of two
parts (Dekker 1971), as in Tang's table-free algorithms.
"""

from __future__ import annotations

import math

from fnad.lowering.maths.exponentials import power_of_two
from fnad.lowering.maths.notation import (
    FLOAT32,
    Number,
    absolute,
    by_dtype,
    clamp,
    fast_two_sum,
    flip,
    fma,
    horner,
    if_any,
    rint,
    sign_bit,
    where,
)
from fnad.lowering.maths.powers_of_two import split_any

# log2((1 + s) / (1 - s)) = s (a + z (b + z p(z))), z = s**2; a and b in two parts
_FIRST = by_dtype(
    (2.885390043258667, 3.851926067000022e-08), (2.8853900817779268, 4.0710547481862066e-17)
)
_THIRD = by_dtype(
    (0.9617967009544373, -7.028461812552678e-09), (0.9617966939259756, 5.0577616648125907e-17)
)
_FIFTH = by_dtype(
    (0.5770801901817322, 0.4118499457836151, 0.33781978487968445),
    (0.5770780163556178, 0.41219858309199026, 0.3205989022650711, 0.26230770183397,
     0.22198396639849804, 0.19125586734422134, 0.19037905057977247),
)  # fmt: skip
_EXPONENT_RANGE = by_dtype((-160.0, 140.0), (-1100.0, 1040.0))  # beyond: 0, infinity
_LARGE = by_dtype(1e30, 1e300)  # as good as infinity for y, but 0 times it is 0


def power(x: Number, y: Number) -> Number:
    result = _power(absolute(x), y)
    result = where(y.equals(0.0) | x.equals(1.0), 1.0, result)

    def of_negative() -> list[Number]:
        fraction = (x > -math.inf) & (x < 0.0) & ~rint(y).equals(y)
        odd = absolute(fma(rint(y * 0.5), -2.0, y)).equals(1.0)
        return [flip(where(fraction, math.nan, result), where(odd, sign_bit(x), 0))]

    return if_any(x.bits < 0, [result], of_negative)[0]


def _power(x: Number, y: Number) -> Number:
    """For x >= 0."""
    log, log_low = _log2_in_parts(x)
    large = x.pick(_LARGE)
    y = clamp(y, -large, large)
    exponent = clamp(y * log, *x.pick(_EXPONENT_RANGE))
    rest = fma(y, log_low, fma(y, log, -exponent))
    return power_of_two(exponent, clamp(rest, -1.0, 1.0))


def _log2_in_parts(x: Number) -> tuple[Number, Number]:
    """log2(x) for x >= 0 as a sum of two."""
    k, m = split_any(x)
    f = m - 1.0
    u = f + 2.0
    inverse = 1.0 / u
    s = f * inverse
    s_low = fma(-s, f - (u - 2.0), fma(-s, u, f)) * inverse
    z = s * s
    z_low = fma(s + s, s_low, fma(s, s, -z))

    first, first_low = x.pick(_FIRST)
    third, third_low = x.pick(_THIRD)
    if x.dtype == FLOAT32:  # a rounded factor of z is good enough for the smaller exponents
        c, c_low = _product(z, z_low, horner(z, (third, *x.pick(_FIFTH))), None)
    else:
        b, b_low = fast_two_sum(third, z * horner(z, x.pick(_FIFTH)))
        c, c_low = _product(z, z_low, b, b_low + third_low)
    a, a_low = fast_two_sum(first, c)
    log, log_low = _product(s, s_low, a, a_low + (c_low + first_low))
    high, low = fast_two_sum(k, log)
    return high, where(absolute(high) < math.inf, low + log_low, 0.0)


def _product(x: Number, x_low: Number, y: Number, y_low: Number | None) -> tuple[Number, Number]:
    """(x + x_low) (y + y_low)."""
    high = x * y
    low = fma(x_low, y, fma(x, y, -high))
    return high, low if y_low is None else fma(x, y_low, low)
