"""One method per scalar operation: the builder interface of elementwise rules, printed as C++.

Every operation is defined for all of its inputs, as `fnad.lowering.llvm.scalars` defines it:
nothing traps, nothing is undefined behaviour. Signed integers are added and multiplied as unsigned
ones, which wrap. float16 and bfloat16 are computed in float32 and rounded.

An int64 may be held in a variable of 32 bits; so operands are cast wherever their width matters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fnad.core.errors import InternalError
from fnad.core.types import is_half, kind_of
from fnad.lowering.cuda.conversions import bitcast, convert
from fnad.lowering.cuda.elementary import FLOAT_FUNCTIONS, cuda_function
from fnad.lowering.cuda.writer import BOOL, FLOAT32, DType, Value, constant_text, ctype
from fnad.lowering.printers import ScalarPrinter

if TYPE_CHECKING:
    from fnad.lowering.cuda.writer import Function

_INTEGER = re.compile(r"\(?(?:\([iu]\d+\))?(-?\d+)[ul]*\)?")


def integer_of(x: Value) -> int | None:
    """The integer that a constant of the source is; None for a variable."""
    match = _INTEGER.fullmatch(x.ref) if x.dtype.kind in "iu" else None
    return None if match is None else int(match[1])


class ScalarBuilder(ScalarPrinter):
    """Operations on `Value`s, appended to a function."""

    def __init__(self, function: Function) -> None:
        self.f = function

    # -- helpers ----------------------------------------------------------------------------

    def constant(self, value: Any, dtype: Any) -> Value:
        dtype = np.dtype(dtype)
        return Value(constant_text(value, dtype), dtype)

    def call(self, name: str, dtype: DType, *args: Value) -> Value:
        """A function of the library, or of CUDA where the library has none of that name."""
        return self.f.value(f"{name}({', '.join(a.ref for a in args)})", dtype)

    def library_call(self, name: str, dtype: DType, *args: Value) -> Value:
        """A function of the library."""
        return self.call(self.f.use(name), dtype, *args)

    def _arithmetic(self, name: str, x: Value, y: Value, sign: str, boolean: str) -> Value:
        dtype = self._same(name, x, y)
        if is_half(dtype):
            return self._widened(lambda a, b: self._arithmetic(name, a, b, sign, boolean), x, y)
        if dtype.kind == "b":
            return self.f.value(f"{x.ref} {boolean} {y.ref}", BOOL)
        if dtype.kind == "f":
            return self.f.value(f"{x.ref} {sign} {y.ref}", dtype)
        return self.wrapping(f"{_unsigned(x)} {sign} {_unsigned(y)}", dtype)

    def wrapping(self, text: str, dtype: DType) -> Value:
        """An integer of what is computed in unsigned arithmetic."""
        return self.f.value(f"({ctype(dtype)})({text})", dtype)

    # -- arithmetic -------------------------------------------------------------------------

    def add(self, x: Value, y: Value) -> Value:
        return self._arithmetic("add", x, y, "+", "|")

    def subtract(self, x: Value, y: Value) -> Value:
        return self._arithmetic("subtract", x, y, "-", "^")

    def multiply(self, x: Value, y: Value) -> Value:
        return self._arithmetic("multiply", x, y, "*", "&")

    def fma(self, x: Value, y: Value, z: Value) -> Value:
        """``x * y + z`` rounded once."""
        dtype = self._same("fma", x, y, z)
        if is_half(dtype):
            return self._widened(self.fma, x, y, z)
        return self.call(_of_float("fma", dtype), dtype, x, y, z)

    def divide(self, x: Value, y: Value) -> Value:
        dtype = self._same("divide", x, y)
        if is_half(dtype):
            return self._widened(self.divide, x, y)
        if dtype.kind == "f":
            return self.f.value(f"{x.ref} / {y.ref}", dtype)
        if dtype.kind == "b":
            return self.f.value(f"{x.ref} & {y.ref}", BOOL)
        if integer_of(y) not in (None, 0, -1):
            return self.wrapping(f"{x.ref} / {y.ref}", dtype)
        return self.library_call(f"divide_{ctype(dtype)}", dtype, x, y)

    def remainder(self, x: Value, y: Value) -> Value:
        dtype = self._same("remainder", x, y)
        if is_half(dtype):
            return self._widened(self.remainder, x, y)
        if dtype.kind == "f":
            return self.call(_of_float("fmod", dtype), dtype, x, y)
        if dtype.kind == "b":
            return self.constant(False, BOOL)
        if integer_of(y) not in (None, 0, -1):
            return self.wrapping(f"{x.ref} % {y.ref}", dtype)
        return self.library_call(f"remainder_{ctype(dtype)}", dtype, x, y)

    def negative(self, x: Value) -> Value:
        if is_half(x.dtype):
            return self._with_bits(x, "^ 0x8000")
        if x.dtype.kind == "f":
            return self.f.value(f"-{x.ref}", x.dtype)
        if x.dtype.kind == "b":
            return x
        return self.wrapping(f"0 - {_unsigned(x)}", x.dtype)

    def absolute(self, x: Value) -> Value:
        if is_half(x.dtype):
            return self._with_bits(x, "& 0x7fff")
        if x.dtype.kind == "f":
            return self.call(_of_float("fabs", x.dtype), x.dtype, x)
        if x.dtype.kind == "i":
            size = f"{x.ref} < 0 ? 0 - {_unsigned(x)} : {_unsigned(x)}"
            return self.wrapping(size, x.dtype)
        return x

    def _with_bits(self, x: Value, change: str) -> Value:
        """A number of 16 bits with some of them changed."""
        return self.f.value(f"{ctype(x.dtype)}{{(u16)({x.ref}.bits {change})}}", x.dtype)

    def sign(self, x: Value) -> Value:
        dtype = x.dtype
        if is_half(dtype):
            return self._widened(self.sign, x)
        if dtype.kind == "b":
            return x
        if dtype.kind == "u":
            return self.wrapping(f"{x.ref} > 0", dtype)
        sign = f"({x.ref} > 0) - ({x.ref} < 0)"
        if dtype.kind == "i":
            return self.wrapping(sign, dtype)
        return self.f.value(f"{x.ref} != {x.ref} ? {x.ref} : ({ctype(dtype)})({sign})", dtype)

    def minimum(self, x: Value, y: Value) -> Value:
        return self._extremum("minimum", x, y, "<", "&")

    def maximum(self, x: Value, y: Value) -> Value:
        return self._extremum("maximum", x, y, ">", "|")

    def _extremum(self, name: str, x: Value, y: Value, sign: str, boolean: str) -> Value:
        dtype = self._same(name, x, y)
        if is_half(dtype):
            return self._widened(lambda a, b: self._extremum(name, a, b, sign, boolean), x, y)
        if dtype.kind == "b":
            return self.f.value(f"{x.ref} {boolean} {y.ref}", BOOL)
        first = f"{x.ref} {sign} {y.ref}"
        if dtype.kind == "f":  # y if it is NaN
            first = f"{first} || {x.ref} != {x.ref}"
        return self.f.value(f"{first} ? {x.ref} : {y.ref}", dtype)

    def is_nan(self, x: Value) -> Value:
        return self.not_equal(x, x)

    def copysign(self, x: Value, y: Value) -> Value:
        dtype = self._same("copysign", x, y)
        if is_half(dtype):
            return self._with_bits(x, f"& 0x7fff | {y.ref}.bits & 0x8000")
        return self.call(_of_float("copysign", dtype), dtype, x, y)

    # -- rounding ---------------------------------------------------------------------------

    def _rounding(self, name: str, x: Value) -> Value:
        if is_half(x.dtype):
            return self._widened(lambda a: self._rounding(name, a), x)
        return self.call(_of_float(name, x.dtype), x.dtype, x) if x.dtype.kind == "f" else x

    def floor(self, x: Value) -> Value:
        return self._rounding("floor", x)

    def ceil(self, x: Value) -> Value:
        return self._rounding("ceil", x)

    def trunc(self, x: Value) -> Value:
        return self._rounding("trunc", x)

    def rint(self, x: Value) -> Value:
        return self._rounding("rint", x)

    def sqrt(self, x: Value) -> Value:
        return self._rounding("sqrt", x)

    # -- comparison and logic ---------------------------------------------------------------

    def _compare(self, name: str, sign: str, x: Value, y: Value) -> Value:
        if is_half(self._same(name, x, y)):
            return self._widened(lambda a, b: self._compare(name, sign, a, b), x, y)
        return self.f.value(f"{x.ref} {sign} {y.ref}", BOOL)

    def equal(self, x: Value, y: Value) -> Value:
        return self._compare("equal", "==", x, y)

    def not_equal(self, x: Value, y: Value) -> Value:
        return self._compare("not_equal", "!=", x, y)

    def less(self, x: Value, y: Value) -> Value:
        return self._compare("less", "<", x, y)

    def less_equal(self, x: Value, y: Value) -> Value:
        return self._compare("less_equal", "<=", x, y)

    def greater(self, x: Value, y: Value) -> Value:
        return self._compare("greater", ">", x, y)

    def greater_equal(self, x: Value, y: Value) -> Value:
        return self._compare("greater_equal", ">=", x, y)

    def _bitwise(self, name: str, sign: str, x: Value, y: Value) -> Value:
        return self.wrapping(f"{x.ref} {sign} {y.ref}", self._same(name, x, y))

    def bitwise_and(self, x: Value, y: Value) -> Value:
        return self._bitwise("bitwise_and", "&", x, y)

    def bitwise_or(self, x: Value, y: Value) -> Value:
        return self._bitwise("bitwise_or", "|", x, y)

    def bitwise_xor(self, x: Value, y: Value) -> Value:
        return self._bitwise("bitwise_xor", "^", x, y)

    def bitwise_not(self, x: Value) -> Value:
        return self.wrapping(f"{'!' if x.dtype.kind == 'b' else '~'}{x.ref}", x.dtype)

    def left_shift(self, x: Value, y: Value) -> Value:
        return self._shift("left_shift", f"{_unsigned(x)} <<", x, y)

    def right_shift_logical(self, x: Value, y: Value) -> Value:
        unsigned = _unsigned_type(x.dtype) if x.dtype.kind in "iu" else "u32"
        return self._shift("right_shift_logical", f"({unsigned}){x.ref} >>", x, y)

    def right_shift_arithmetic(self, x: Value, y: Value) -> Value:
        if x.dtype.kind == "i":
            return self._shift("right_shift_arithmetic", f"({ctype(x.dtype)}){x.ref} >>", x, y)
        return self.right_shift_logical(x, y)

    def _shift(self, name: str, operation: str, x: Value, y: Value) -> Value:
        """Shift; by the width or more (or a negative amount) it gives 0, or the sign."""
        dtype = self._same(name, x, y)
        if dtype.kind == "b":  # by 1 or more nothing is left
            return self.f.value(f"{x.ref} & !{y.ref}", BOOL)
        width, amount = dtype.itemsize * 8, f"({_unsigned_type(dtype)}){y.ref}"
        if (known := integer_of(y)) is not None and 0 <= known < width:
            return self.wrapping(f"{operation} {known}", dtype)
        inside = f"{amount} < {width}"
        if name == "right_shift_arithmetic":
            return self.wrapping(f"{operation} ({inside} ? {amount} : {width - 1})", dtype)
        return self.wrapping(f"{inside} ? {operation} {amount} : 0", dtype)

    def where(self, c: Value, x: Value, y: Value) -> Value:
        dtype = self._same("where", x, y)
        if (x.ref, y.ref) == ("true", "false"):
            return c
        return self.f.value(f"{c.ref} ? {x.ref} : {y.ref}", dtype)

    # -- conversion -------------------------------------------------------------------------

    def bitcast(self, x: Value, dtype: Any) -> Value:
        """The same bits under another dtype of the same size."""
        dtype = np.dtype(dtype)
        return x if x.dtype == dtype else bitcast(self, x, dtype)

    def convert(self, x: Value, dtype: Any) -> Value:
        """``x.astype(dtype)``: truncating from float to integer, wrapping between integers."""
        dtype = np.dtype(dtype)
        return x if x.dtype == dtype else convert(self, x, dtype)

    # -- elementary functions ---------------------------------------------------------------

    def power(self, x: Value, y: Value) -> Value:
        dtype = self._same("power", x, y)
        if kind_of(dtype) == "f":
            return self.elementary("power", x, y)
        return self.library_call(f"power_{ctype(dtype)}", dtype, x, y)

    def elementary(self, name: str, *args: Value) -> Value:
        dtype = self._same(name, *args)
        if is_half(dtype):
            return self._widened(lambda *wide: self.elementary(name, *wide), *args)
        if dtype.kind != "f":
            raise InternalError(f"the CUDA backend has no function {name} of dtype {dtype}")
        known = cuda_function(name, dtype)
        if known is not None:
            return self.call(known, dtype, *args)
        return self.library_call(f"{name}_{ctype(dtype)}", dtype, *args)


def _of_float(name: str, dtype: DType) -> str:
    """A function of C for float or double."""
    return name + ("f" if dtype == FLOAT32 else "")


def _unsigned_type(dtype: DType) -> str:
    return f"u{dtype.itemsize * 8}"


def _unsigned(x: Value) -> str:
    """An integer for wrapping arithmetic: C computes narrow ones as int, which must not overflow.

    Sign bits beyond the width do no harm, for the result is cut.
    """
    wide = "u64" if x.dtype.itemsize == 8 else "u32"
    return x.ref if ctype(x.dtype) == wide else f"({wide}){x.ref}"


def _elementary(name: str) -> Callable[..., Value]:
    def method(self: ScalarBuilder, *args: Value) -> Value:
        return self.elementary(name, *args)

    method.__name__ = name
    return method


for _name in FLOAT_FUNCTIONS:
    if not hasattr(ScalarBuilder, _name):
        setattr(ScalarBuilder, _name, _elementary(_name))
