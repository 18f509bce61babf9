"""power: 2 ** (y log2(x)), for float32 in the arithmetic of float64, for float64 with a
logarithm of twice its precision (Dekker's sums and products of two parts).
"""

from __future__ import annotations

import math

from fnad.lowering.llvm.maths.exponentials import power_of_two, whole_part
from fnad.lowering.llvm.maths.logarithms import split
from fnad.lowering.llvm.maths.notation import (
    Number,
    absolute,
    clamp,
    flip,
    fma,
    horner,
    rint,
    sign_bit,
    where,
    whole_to_float,
)
from fnad.lowering.llvm.writer import FLOAT32

# log2(1 + f) = f p(f), to 2**-34
_LOG2_SINGLE = (
    1.442695040845588, -0.7213475204275016, 0.4808983621123107, -0.36067366929568057,
    0.2885373591039401, -0.24045586463434612, 0.20617267715642945, -0.1801986218828769,
    0.158745341960458, -0.1445512106605422, 0.14614858852141258, -0.13633555191314517,
    0.06731784778264685,
)  # fmt: skip
# 2**r = 1 + r p(r) for |r| <= 1/2, to 2**-28
_EXP2_SINGLE = (0.6931472067342503, 0.24022650171064983, 0.05550330194788292,
                0.00961824031641682, 0.0013399120233469333, 0.00015395761563021838)  # fmt: skip

# log2((1 + s) / (1 - s)) = s (a + z (b + z p(z))), z = s**2; a and b in two parts
_FIRST = (2.8853900817779268, 4.0710547481862066e-17)
_THIRD = (0.9617966939259756, 5.0577616648125907e-17)
_FIFTH = (0.5770780163556178, 0.41219858309199026, 0.3205989022650711, 0.26230770183397,
          0.22198396639849804, 0.19125586734422134, 0.19037905057977247)  # fmt: skip


def power(x: Number, y: Number) -> Number:
    size = absolute(x)
    core = _power_single if x.dtype == FLOAT32 else _power_double
    result = core(size, y)
    one = y.equals(0.0) | x.equals(1.0) | (size.equals(1.0) & absolute(y).equals(math.inf))
    result = where(one, 1.0, result)
    half = y * 0.5
    whole, even = rint(y).equals(y), rint(half).equals(half)
    undefined = (x < 0.0) & (x > -math.inf) & ~whole & y.equals(y)
    result = where(undefined, math.nan, result)
    return flip(result, where(whole & ~even, sign_bit(x), 0))


def _normal_split(x: Number) -> tuple[Number, Number]:
    """``(k, m)`` as `split`, k a float, for any positive finite x."""
    tiny = x < x.smallest_normal
    up = x.mantissa + 2
    k, m = split(where(tiny, x * 2.0**up, x))
    k = whole_to_float(k)
    return where(tiny, k - up, k), m


def _log_special(x: Number, log: Number) -> Number:
    """The logarithm of 0 and infinity; NaN stays."""
    log = where(x.equals(0.0), -math.inf, log)
    return where(x < math.inf, log, x)


def _power_single(x: Number, y: Number) -> Number:
    k, m = _normal_split(x)
    f = (m - 1.0).widen()
    log = fma(f, horner(f, _LOG2_SINGLE), k.widen())
    log = _log_special(x.widen(), log)
    exponent = clamp(y.widen() * log, -160.0, 140.0)
    n, bits = whole_part(exponent, 1, exponent.bias)
    scale = (bits << exponent.mantissa).from_bits
    return (horner(exponent - n, (1.0, *_EXP2_SINGLE)) * scale).narrow(FLOAT32)


def _power_double(x: Number, y: Number) -> Number:
    k, m = _normal_split(x)
    f = m - 1.0
    u = f + 2.0
    inverse = 1.0 / u
    s = f * inverse
    s_low = fma(-s, f - (u - 2.0), fma(-s, u, f)) * inverse
    z = s * s
    z_low = fma(s + s, s_low, fma(s, s, -z))

    b, b_low = _fast_two_sum(_THIRD[0], z * horner(z, _FIFTH))
    c, c_low = _product(z, z_low, b, b_low + _THIRD[1])
    a, a_low = _fast_two_sum(_FIRST[0], c)
    log, log_low = _product(s, s_low, a, a_low + (c_low + _FIRST[1]))
    high, low = _fast_two_sum(k, log)
    high, low = _fast_two_sum(high, low + log_low)

    high = _log_special(x, high)
    exponent = y * high
    rest = fma(y, low, fma(y, high, -exponent))
    rest = where(absolute(exponent) < 1100.0, rest, 0.0)
    exponent = clamp(exponent, -1078.0, 1026.0)
    return power_of_two(exponent, rest)


def _fast_two_sum(x: Number | float, y: Number) -> tuple[Number, Number]:
    """The rounded sum and its error, for x = 0 or larger than y."""
    total = x + y
    return total, y - (total - x)


def _product(x: Number, x_low: Number, y: Number, y_low: Number) -> tuple[Number, Number]:
    """(x + x_low) (y + y_low)."""
    high = x * y
    return high, fma(x, y_low, fma(x_low, y, fma(x, y, -high)))
