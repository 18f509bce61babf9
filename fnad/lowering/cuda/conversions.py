"""Conversions between dtypes, with a defined result for every value, as the CPU has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fnad.core.types import BFLOAT16, is_half, kind_of
from fnad.lowering.cuda.writer import FLOAT16, FLOAT32, FLOAT64, DType, Value, constant_text, ctype

if TYPE_CHECKING:
    from fnad.lowering.cuda.scalars import ScalarBuilder

# How CUDA calls what takes the bits of a float, or makes a float of bits.
_BITS_OF: dict[str, tuple[str, DType]] = {
    "f32": ("__float_as_int", np.dtype(np.int32)),
    "f64": ("__double_as_longlong", np.dtype(np.int64)),
}
_OF_BITS = {"f32": "__int_as_float", "f64": "__longlong_as_double"}


def bitcast(b: ScalarBuilder, x: Value, dtype: DType) -> Value:
    """The same bits under another dtype: see `ScalarBuilder.bitcast`."""
    if x.dtype.kind == "b" or dtype.kind == "b":
        return b.convert(x, dtype)
    source, target = kind_of(x.dtype), kind_of(dtype)
    if is_half(x.dtype):
        bits = f"{x.ref}.bits"
        return b.f.value(
            f"{ctype(dtype)}{{{bits}}}" if is_half(dtype) else f"({ctype(dtype)}){bits}", dtype
        )
    if is_half(dtype):
        return b.f.value(f"{ctype(dtype)}{{(u16){x.ref}}}", dtype)
    if source == "f":
        function, integer = _BITS_OF[ctype(x.dtype)]
        return b.convert(b.call(function, integer, x), dtype)
    if target == "f":
        return b.call(_OF_BITS[ctype(dtype)], dtype, x)
    return b.convert(x, dtype)


def convert(b: ScalarBuilder, x: Value, dtype: DType) -> Value:
    """A value as another dtype has it: see `ScalarBuilder.convert`."""
    source = x.dtype
    if dtype.kind == "b":
        return b.not_equal(x, b.constant(0, source))
    if kind_of(source) == "f":
        return _float_to_float(b, x, dtype) if kind_of(dtype) == "f" else _to_int(b, x, dtype)
    if is_half(dtype):
        return b.convert(b.convert(x, FLOAT32), dtype)
    return b.f.value(f"({ctype(dtype)}){x.ref}", dtype)


def _float_to_float(b: ScalarBuilder, x: Value, dtype: DType) -> Value:
    if is_half(x.dtype):
        wide = b.library_call(f"{ctype(x.dtype)}_to_f32", FLOAT32, x)
        return b.convert(wide, dtype)
    if not is_half(dtype):
        return b.f.value(f"({ctype(dtype)}){x.ref}", dtype)
    if dtype == FLOAT16 and x.dtype == FLOAT64:
        return b.library_call("f64_to_f16", dtype, x)
    name = "f32_to_bf16" if dtype == BFLOAT16 else "f32_to_f16"
    return b.library_call(name, dtype, b.convert(x, FLOAT32))


def _to_int(b: ScalarBuilder, x: Value, dtype: DType) -> Value:
    """float to integer: fractions are cut off, what does not fit saturates, NaN gives 0.

    C defines a conversion only of what fits.
    """
    if is_half(x.dtype):
        return _to_int(b, b.convert(x, FLOAT32), dtype)
    least, most = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    low, high = (constant_text(float(n), x.dtype) for n in (least, most + 1))
    kept = f"{x.ref} < {high} ? ({ctype(dtype)}){x.ref} : {constant_text(most, dtype)}"
    kept = f"{x.ref} <= {low} ? {constant_text(least, dtype)} : {kept}"
    return b.f.value(f"{x.ref} != {x.ref} ? {constant_text(0, dtype)} : {kept}", dtype)
