"""Conversions between dtypes, with a defined result for every value, as NumPy has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fnad.core.types import BFLOAT16, is_half, kind_of
from fnad.lowering.llvm.folding import converted, integer_of
from fnad.lowering.llvm.writer import (
    BOOL,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    DType,
    Value,
    llvm_type,
)

if TYPE_CHECKING:
    from fnad.lowering.llvm.scalars import ScalarBuilder

_INT32, _INT64 = np.dtype(np.int32), np.dtype(np.int64)
_UINT16, _UINT32 = np.dtype(np.uint16), np.dtype(np.uint32)


def convert(b: ScalarBuilder, x: Value, dtype: DType) -> Value:
    """A value as another dtype has it: see `ScalarBuilder.convert`."""
    source = x.dtype
    if dtype.kind == "b":
        return b.not_equal(x, b.constant(0, source))
    if kind_of(source) == "f":
        return _float_to_float(b, x, dtype) if kind_of(dtype) == "f" else _to_int(b, x, dtype)
    if kind_of(dtype) == "f":
        if is_half(dtype):
            return b.convert(b.convert(x, FLOAT32), dtype)
        operation = "sitofp" if source.kind == "i" else "uitofp"
        return b.cast(operation, x, dtype)
    return _resize(b, x, dtype)


def _resize(b: ScalarBuilder, x: Value, dtype: DType) -> Value:
    if llvm_type(dtype) == llvm_type(x.dtype):
        return Value(x.ref, dtype, x.lanes)
    known = converted(integer_of(x), dtype)
    if known is not None:
        return b.splat(known, x.lanes)
    if x.dtype.kind != "b" and dtype.itemsize < x.dtype.itemsize:
        operation = "trunc"
    else:
        operation = "sext" if x.dtype.kind == "i" else "zext"
    return b.cast(operation, x, dtype)


def _float_to_float(b: ScalarBuilder, x: Value, dtype: DType) -> Value:
    if x.dtype == BFLOAT16:
        return b.convert(_from_bfloat16(b, x), dtype)
    if dtype.itemsize > x.dtype.itemsize:
        return b.cast("fpext", x, dtype)
    if dtype == BFLOAT16:
        return _to_bfloat16(b, b.convert(x, FLOAT32))
    if x.dtype == FLOAT64 and dtype == FLOAT16:
        x = _round_to_odd(b, x)
    return b.cast("fptrunc", x, dtype)


def _from_bfloat16(b: ScalarBuilder, x: Value) -> Value:
    """Its bits are the upper ones of a float32."""
    bits = b.convert(b.bitcast(x, _UINT16), _UINT32)
    return b.bitcast(b.binary("shl", bits, b.constant(16, _UINT32)), FLOAT32)


def _to_bfloat16(b: ScalarBuilder, x: Value) -> Value:
    """Of a float32: rounded to nearest, ties to even, by a carry out of the lower bits."""
    bits, sixteen = b.bitcast(x, _UINT32), b.constant(16, _UINT32)
    upper = b.binary("lshr", bits, sixteen)
    odd = b.bitwise_and(upper, b.constant(1, _UINT32))
    carry = b.add(bits, b.add(odd, b.constant(0x7FFF, _UINT32)))
    rounded = b.binary("lshr", carry, sixteen)
    quiet = b.bitwise_or(upper, b.constant(0x40, _UINT32))
    chosen = b.where(b.is_nan(x), quiet, rounded)
    return b.bitcast(b.convert(chosen, _UINT16), BFLOAT16)


def _round_to_odd(b: ScalarBuilder, x: Value) -> Value:
    """float64 to float32, inexact results with an odd last bit.

    Rounding that to float16 gives what rounding once would (Boldo and Melquiond, 2008);
    a float64 has no instruction to float16 on most machines.
    """
    near = b.cast("fptrunc", x, FLOAT32)
    back = b.convert(near, FLOAT64)
    inexact = b.f.value(f"fcmp one {back.typed}, {x.ref}", BOOL, x.lanes)
    bits = b.bitcast(near, _INT32)
    one = b.constant(1, _INT32)
    even = b.equal(b.bitwise_and(bits, one), b.constant(0, _INT32))
    too_large = b.greater(b.absolute(back), b.absolute(x))
    step = b.where(too_large, b.constant(-1, _INT32), one)
    move = b.bitwise_and(inexact, even)
    bits = b.where(move, b.add(bits, step), bits)
    return b.bitcast(bits, FLOAT32)


def _to_int(b: ScalarBuilder, x: Value, dtype: DType) -> Value:
    """float to integer: fractions are cut off, what does not fit saturates, NaN gives 0."""
    if is_half(x.dtype):
        return _to_int(b, b.convert(x, FLOAT32), dtype)
    least, most = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    if dtype.itemsize < 4:
        return _resize(b, b.cast("fptosi", _clamped(b, x, least, most), _INT32), dtype)
    number = _fitting_to_int(b, x, dtype)
    too_large = b.greater_equal(x, b.constant(float(most + 1), x.dtype))
    number = b.where(too_large, b.constant(most, dtype), number)
    too_small = b.less_equal(x, b.constant(float(least), x.dtype))
    number = b.where(too_small, b.constant(least, dtype), number)
    return b.where(b.equal(x, x), number, b.constant(0, dtype))


def _clamped(b: ScalarBuilder, x: Value, least: int, most: int) -> Value:
    """``x`` with what is outside of a range moved to its ends, which are floats; 0 for NaN."""
    low, high = (b.constant(float(end), x.dtype) for end in (least, most))
    if least:
        x = b.where(b.equal(x, x), x, b.constant(0.0, x.dtype))
    x = b.where(b.greater(x, low), x, low)  # one instruction each; NaN is `low`
    return b.where(b.less(x, high), x, high)


def _fitting_to_int(b: ScalarBuilder, x: Value, dtype: DType) -> Value:
    if dtype.kind == "u" and dtype.itemsize == 8:
        limit = b.constant(2.0**63, x.dtype)
        low = b.bitcast(_truncate(b, x, _INT64), dtype)
        high = _truncate(b, b.subtract(x, limit), _INT64)
        top = b.constant(-(2**63), _INT64)
        high = b.bitcast(b.bitwise_xor(high, top), dtype)
        return b.where(b.greater_equal(x, limit), high, low)
    return _resize(b, _truncate(b, x, _INT32 if dtype == _INT32 else _INT64), dtype)


def _truncate(b: ScalarBuilder, x: Value, dtype: DType) -> Value:
    """float to a signed integer; NaN and what does not fit give the smallest integer.

    The conversion of IR has no defined value there, hence the select.
    """
    bits = dtype.itemsize * 8 - 1
    fits = b.bitwise_and(
        b.greater_equal(x, b.constant(-(2.0**bits), x.dtype)),
        b.less(x, b.constant(2.0**bits, x.dtype)),
    )
    if x.dtype == FLOAT64 and dtype == _INT32:  # -2**31 - 0.5 still truncates to -2**31
        fits = b.bitwise_and(
            b.greater(x, b.constant(-(2.0**bits) - 1, x.dtype)),
            b.less(x, b.constant(2.0**bits, x.dtype)),
        )
    number = b.cast("fptosi", x, dtype)
    return b.where(fits, number, b.constant(-(2**bits), dtype))
