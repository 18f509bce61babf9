"""Exponents and significands: x * 2**n, and x taken apart into 2**k m.

AVX-512 has an instruction for each of these, special values included, which vectors that fill a
register use; others get the same bits from integer arithmetic.
"""

from __future__ import annotations

import math

import numpy as np

from fnad.lowering.llvm import host
from fnad.lowering.llvm.maths.notation import Number, where, whole_part, whole_to_float
from fnad.lowering.llvm.writer import INT32, overload


def scale(x: Number, n: Number) -> Number:
    """x * 2**n, rounded once, for a whole number n of up to a few thousands."""
    if host.vector_bits() < 512:
        half, bits = whole_part(n, 0.5, x.bias)
        _, rest = whole_part(n - half, 1, x.bias)
        return x * (bits << x.mantissa).from_bits * (rest << x.mantissa).from_bits
    return _instruction(x, "scalef", x, n) if _fills_register(x) else _ldexp(x, n)


def split(x: Number) -> tuple[Number, Number]:
    """``(k, m)`` with x = 2**k m, k whole, m in [sqrt(1/2), sqrt(2)), for normal x > 0."""
    if _fills_register(x):
        return split_any(x)
    root = int(np.sqrt(0.5).astype(x.dtype).view(x.bits.dtype))
    k = (x.bits - root) >> x.mantissa
    return whole_to_float(k), (x.bits - (k << x.mantissa)).from_bits


def split_any(x: Number) -> tuple[Number, Number]:
    """`split` for denormal x, too; k is infinite for 0 and infinity, m NaN for x < 0 and NaN."""
    if _fills_register(x):
        x = x + 0.0  # -0 is no negative number
        k, m = _instruction(x, "getexp", x), _instruction(x, "getmant", x, _NAN_IF_NEGATIVE)
        large = m >= float(np.sqrt(0.5).astype(x.dtype)) * 2
        return where(large, k + 1.0, k), where(large, m * 0.5, m)
    tiny = x < x.smallest_normal
    up = x.mantissa + 2
    k, m = split(where(tiny, x * 2.0**up, x))
    k = where(tiny, k - up, k)
    k = where(x.equals(0.0), -math.inf, where(x.equals(math.inf), x, k))
    return k, where(x.below_or_nan(0.0), math.nan, m)


_NAN_IF_NEGATIVE = "i32 8"  # and the significand in [1, 2)


def _fills_register(x: Number) -> bool:
    return host.vector_bits() == 512 and x.lanes * x.dtype.itemsize in (16, 32, 64)


def _instruction(x: Number, name: str, *operands: Number | str) -> Number:
    """An instruction of AVX-512 on operands of x's type."""
    width, kind = 8 * x.lanes * x.dtype.itemsize, x.value.type
    symbol = f"llvm.x86.avx512.mask.{name}.p{'s' if x.dtype.itemsize == 4 else 'd'}.{width}"
    texts = [v if isinstance(v, str) else v.value.typed for v in operands]
    texts += [f"{kind} zeroinitializer", f"i{max(x.lanes, 8)} -1"]  # no lane is masked out
    texts += ["i32 4"] * (width == 512)  # rounding as everywhere
    types = ", ".join(text.rsplit(" ", 1)[0] for text in texts)
    x.f.module.declare(symbol, f"declare {kind} @{symbol}({types})")
    return x.emit(f"call {kind} @{symbol}({', '.join(texts)})")


def _ldexp(x: Number, n: Number) -> Number:
    """The same as ``scalef`` by a name that has every width."""
    bits = whole_part(n, 1)[1]
    if bits.dtype == INT32:
        exponent = bits - int(np.float32(1.5 * 2.0**23).view(np.int32))
    else:
        exponent = bits.cast("trunc", INT32)
    symbol = f"llvm.ldexp.{overload(x.dtype, x.lanes)}.{overload(INT32, x.lanes)}"
    kind = x.value.type
    x.f.module.declare(symbol, f"declare {kind} @{symbol}({kind}, {exponent.value.type})")
    return x.emit(f"call {kind} @{symbol}({x.value.typed}, {exponent.value.typed})")
