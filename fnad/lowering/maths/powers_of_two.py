"""Exponents and significands: x * 2**n, and x taken apart into 2**k m.

AVX-512 has an instruction for each of these, special values included, which builders may use;
others get the same bits from integer arithmetic.
"""

from __future__ import annotations

import math

import numpy as np

from fnad.lowering.maths.notation import Number, where, whole_part, whole_to_float


def scale(x: Number, n: Number) -> Number:
    """x * 2**n, rounded once, for a whole number n of up to a few thousands."""
    scaled = x.b.scale(x.value, n.value)
    if scaled is not None:
        return Number(x.b, scaled)
    half, bits = whole_part(n, 0.5, x.bias)
    _, rest = whole_part(n - half, 1, x.bias)
    return x * (bits << x.mantissa).from_bits * (rest << x.mantissa).from_bits


def split(x: Number) -> tuple[Number, Number]:
    """``(k, m)`` with x = 2**k m, k whole, m in [sqrt(1/2), sqrt(2)), for normal x > 0."""
    return _split_by_instruction(x) or _split_normal(x)


def _split_by_instruction(x: Number) -> tuple[Number, Number] | None:
    parts = x.b.split(x.value)
    return None if parts is None else (Number(x.b, parts[0]), Number(x.b, parts[1]))


def _split_normal(x: Number) -> tuple[Number, Number]:
    root = int(np.sqrt(0.5).astype(x.dtype).view(x.bits.dtype))
    k = (x.bits - root) >> x.mantissa
    return whole_to_float(k), (x.bits - (k << x.mantissa)).from_bits


def split_any(x: Number) -> tuple[Number, Number]:
    """`split` for denormal x, too; k is infinite for 0 and infinity, m NaN for x < 0 and NaN."""
    return _split_by_instruction(x) or _split_positive(x)


def _split_positive(x: Number) -> tuple[Number, Number]:
    tiny = x < x.smallest_normal
    up = x.mantissa + 2
    k, m = _split_normal(where(tiny, x * 2.0**up, x))
    k = where(tiny, k - up, k)
    k = where(x.equals(0.0), -math.inf, where(x.equals(math.inf), x, k))
    return k, where(x >= 0.0, m, math.nan)
