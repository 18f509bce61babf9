"""Instructions of AVX-512 on exponents and significands, for vectors that fill a register."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fnad.lowering.llvm import host
from fnad.lowering.llvm.writer import INT32, Value, overload
from fnad.lowering.maths.notation import Number, where, whole_part

if TYPE_CHECKING:
    from fnad.lowering.llvm.scalars import ScalarBuilder

_NAN_IF_NEGATIVE = "i32 8"  # and the significand in [1, 2)


def scale(b: ScalarBuilder, x: Value, n: Value) -> Value | None:
    """x * 2**n; None without AVX-512."""
    if host.vector_bits() < 512:
        return None
    return _instruction(b, x, "scalef", x, n) if _fills_register(x) else _ldexp(b, x, n)


def split(b: ScalarBuilder, x: Value) -> tuple[Value, Value] | None:
    """What `powers_of_two.split_any` gives; None for vectors that do not fill a register."""
    if not _fills_register(x):
        return None
    x = b.add(x, b.constant(0.0, x.dtype))  # -0 is no negative number
    k = Number(b, _instruction(b, x, "getexp", x))
    m = Number(b, _instruction(b, x, "getmant", x, _NAN_IF_NEGATIVE))
    large = m >= float(np.sqrt(0.5).astype(x.dtype)) * 2
    return where(large, k + 1.0, k).value, where(large, m * 0.5, m).value


def _fills_register(x: Value) -> bool:
    return host.vector_bits() == 512 and x.lanes * x.dtype.itemsize in (16, 32, 64)


def _instruction(b: ScalarBuilder, x: Value, name: str, *operands: Value | str) -> Value:
    """An instruction on operands of x's type."""
    width, kind = 8 * x.lanes * x.dtype.itemsize, x.type
    symbol = f"llvm.x86.avx512.mask.{name}.p{'s' if x.dtype.itemsize == 4 else 'd'}.{width}"
    texts = [v if isinstance(v, str) else v.typed for v in operands]
    texts += [f"{kind} zeroinitializer", f"i{max(x.lanes, 8)} -1"]  # no lane is masked out
    texts += ["i32 4"] * (width == 512)  # rounding as everywhere
    types = ", ".join(text.rsplit(" ", 1)[0] for text in texts)
    b.f.module.declare(symbol, f"declare {kind} @{symbol}({types})")
    return b.f.value(f"call {kind} @{symbol}({', '.join(texts)})", x.dtype, x.lanes)


def _ldexp(b: ScalarBuilder, x: Value, n: Value) -> Value:
    """The same as ``scalef`` by a name that has every width."""
    bits = whole_part(Number(b, n), 1)[1]
    if bits.dtype == INT32:
        exponent = (bits - int(np.float32(1.5 * 2.0**23).view(np.int32))).value
    else:
        exponent = b.cast("trunc", bits.value, INT32)
    symbol = f"llvm.ldexp.{overload(x.dtype, x.lanes)}.{overload(INT32, x.lanes)}"
    b.f.module.declare(symbol, f"declare {x.type} @{symbol}({x.type}, {exponent.type})")
    return b.f.value(f"call {x.type} @{symbol}({x.typed}, {exponent.typed})", x.dtype, x.lanes)
