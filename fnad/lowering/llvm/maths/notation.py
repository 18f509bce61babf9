"""Formulas written as formulas: vectors of numbers with operators, printed as strict IR.

The arithmetic here is IEEE's, operation by operation (no ``contract``), since error-free
transformations depend on it; what may be fused is written `fma`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from fnad.lowering.llvm.writer import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    DType,
    Function,
    Value,
    llvm_type,
    overload,
)

Scalar = float | int
T = TypeVar("T")


def by_dtype(single: T, double: T) -> dict[DType, T]:
    """Constants of a formula for float32 and for float64."""
    return {FLOAT32: single, FLOAT64: double}


class Number:
    """A value, or a vector of them, under construction in a function."""

    __slots__ = ("f", "value")

    def __init__(self, f: Function, value: Value) -> None:
        self.f, self.value = f, value

    @property
    def dtype(self) -> DType:
        return self.value.dtype

    @property
    def lanes(self) -> int:
        return self.value.lanes

    @property
    def is_float(self) -> bool:
        return self.dtype.kind == "f"

    # -- the format --------------------------------------------------------------------------

    @property
    def mantissa(self) -> int:
        """Stored bits of the significand."""
        return 23 if self.dtype.itemsize == 4 else 52

    @property
    def bias(self) -> int:
        """Bias of the exponent."""
        return 127 if self.dtype.itemsize == 4 else 1023

    @property
    def smallest_normal(self) -> float:
        return 2.0 ** (1 - self.bias)

    def pick(self, table: Mapping[DType, T]) -> T:
        """What a table `by_dtype` has for this number."""
        return table[self.dtype]

    # -- helpers ----------------------------------------------------------------------------

    def constant(self, value: Scalar, dtype: DType | None = None) -> Number:
        """``value`` in all lanes, as a number of this one's dtype."""
        constant = self.f.b.constant(value, self.dtype if dtype is None else dtype)
        return Number(self.f, self.f.b.splat(constant, self.lanes))

    def lift(self, value: Number | Scalar) -> Number:
        return value if isinstance(value, Number) else self.constant(value)

    def emit(self, instruction: str, dtype: DType | None = None) -> Number:
        dtype = self.dtype if dtype is None else dtype
        return Number(self.f, self.f.value(instruction, dtype, self.lanes))

    def _binary(self, floating: str, integer: str, other: Number | Scalar) -> Number:
        name = floating if self.is_float else integer
        return self.emit(f"{name} {self.value.typed}, {self.lift(other).value.ref}")

    def _reversed(self, floating: str, integer: str, other: Scalar) -> Number:
        return self.constant(other)._binary(floating, integer, self)

    def _compare(self, floating: str, integer: str, other: Number | Scalar) -> Number:
        name = f"fcmp {floating}" if self.is_float else f"icmp {integer}"
        return self.emit(f"{name} {self.value.typed}, {self.lift(other).value.ref}", BOOL)

    def intrinsic(self, name: str, *others: Number | Scalar) -> Number:
        """``llvm.<name>`` of operands of this number's type."""
        values = [self.value, *(self.lift(other).value for other in others)]
        symbol = f"llvm.{name}.{overload(self.dtype, self.lanes)}"
        types = ", ".join(v.type for v in values)
        self.f.module.declare(symbol, f"declare {self.value.type} @{symbol}({types})")
        operands = ", ".join(v.typed for v in values)
        return self.emit(f"call {self.value.type} @{symbol}({operands})")

    # -- arithmetic -------------------------------------------------------------------------

    def __add__(self, other: Number | Scalar) -> Number:
        return self._binary("fadd", "add", other)

    def __radd__(self, other: Scalar) -> Number:
        return self._reversed("fadd", "add", other)

    def __sub__(self, other: Number | Scalar) -> Number:
        return self._binary("fsub", "sub", other)

    def __rsub__(self, other: Scalar) -> Number:
        return self._reversed("fsub", "sub", other)

    def __mul__(self, other: Number | Scalar) -> Number:
        return self._binary("fmul", "mul", other)

    def __rmul__(self, other: Scalar) -> Number:
        return self._reversed("fmul", "mul", other)

    def __truediv__(self, other: Number | Scalar) -> Number:
        return self._binary("fdiv", "sdiv", other)

    def __rtruediv__(self, other: Scalar) -> Number:
        return self._reversed("fdiv", "sdiv", other)

    def __neg__(self) -> Number:
        return self.emit(f"fneg {self.value.typed}") if self.is_float else 0 - self

    # -- bits -------------------------------------------------------------------------------

    def __and__(self, other: Number | Scalar) -> Number:
        return self._binary("", "and", other)

    def __or__(self, other: Number | Scalar) -> Number:
        return self._binary("", "or", other)

    def __xor__(self, other: Number | Scalar) -> Number:
        return self._binary("", "xor", other)

    def __invert__(self) -> Number:
        return self ^ (1 if self.dtype == BOOL else -1)

    def __lshift__(self, count: int) -> Number:
        return self._binary("", "shl", count)

    def __rshift__(self, count: int) -> Number:
        """Arithmetic shift, sign and all."""
        return self._binary("", "ashr", count)

    # -- comparison -------------------------------------------------------------------------

    def __lt__(self, other: Number | Scalar) -> Number:
        return self._compare("olt", "slt", other)

    def __le__(self, other: Number | Scalar) -> Number:
        return self._compare("ole", "sle", other)

    def __gt__(self, other: Number | Scalar) -> Number:
        return self._compare("ogt", "sgt", other)

    def __ge__(self, other: Number | Scalar) -> Number:
        return self._compare("oge", "sge", other)

    def equals(self, other: Number | Scalar) -> Number:
        return self._compare("oeq", "eq", other)

    def below_or_nan(self, other: Number | Scalar) -> Number:
        """``self < other`` or either is NaN."""
        return self._compare("ult", "ult", other)

    def is_nan(self) -> Number:
        return self.emit(f"fcmp uno {self.value.typed}, {self.value.ref}", BOOL)

    # -- conversion -------------------------------------------------------------------------

    @property
    def bits(self) -> Number:
        """The same bits as integers."""
        return self.cast("bitcast", INT32 if self.dtype.itemsize == 4 else INT64)

    @property
    def from_bits(self) -> Number:
        """The same bits as floats."""
        return self.cast("bitcast", FLOAT32 if self.dtype.itemsize == 4 else FLOAT64)

    def cast(self, operation: str, dtype: DType) -> Number:
        kind = llvm_type(dtype, self.lanes)
        return self.emit(f"{operation} {self.value.typed} to {kind}", dtype)

    def call(self, symbol: str, dtype: DType) -> Number:
        """A function of one argument that returns as many lanes of ``dtype``."""
        kind = llvm_type(dtype, self.lanes)
        return self.emit(f"call {kind} @{symbol}({self.value.typed})", dtype)

    def lookup(self, table: str, index: Number) -> Number:
        """``table[index]`` of a global array of this dtype."""
        f, pointer = self.f, f"@{table}"
        if self.lanes == 1:
            return Number(f, f.load(f.element(pointer, self.dtype, index.value), self.dtype))
        return Number(f, f.gather(pointer, self.dtype, index.value))

    def widen(self) -> Number:
        return self if self.dtype == FLOAT64 else self.cast("fpext", FLOAT64)

    def narrow(self, dtype: DType) -> Number:
        return self if dtype == self.dtype else self.cast("fptrunc", dtype)


def fma(x: Number | Scalar, y: Number | Scalar, z: Number | Scalar) -> Number:
    """``x * y + z`` rounded once."""
    model = next(v for v in (x, y, z) if isinstance(v, Number))
    return model.lift(x).intrinsic("fma", model.lift(y), model.lift(z))


def where(condition: Number, x: Number | Scalar, y: Number | Scalar) -> Number:
    """``x`` where the condition holds, else ``y``."""
    model = next(v for v in (x, y) if isinstance(v, Number))
    chosen, other = model.lift(x).value, model.lift(y).value
    return model.emit(f"select {condition.value.typed}, {chosen.typed}, {other.typed}")


def absolute(x: Number) -> Number:
    return x.intrinsic("fabs")


def sqrt(x: Number) -> Number:
    return x.intrinsic("sqrt")


def copysign(x: Number | Scalar, y: Number) -> Number:
    return y.lift(x).intrinsic("copysign", y)


def rint(x: Number) -> Number:
    return x.intrinsic("rint")


def sign_bit(x: Number) -> Number:
    """The sign bit alone, as an integer."""
    return x.bits & np.iinfo(x.bits.dtype).min


def flip(x: Number, sign: Number) -> Number:
    """``x`` with its sign changed where ``sign`` (an integer) has the sign bit."""
    return (x.bits ^ sign).from_bits


def least(x: Number, bound: Scalar) -> Number:
    """``min(x, bound)``; NaN stays. One instruction of most machines, in this order."""
    limit = x.constant(bound)
    return where(limit < x, limit, x)


def clamp(x: Number, low: Scalar, high: Scalar) -> Number:
    """``x`` within bounds; NaN stays."""
    x = least(x, high)
    limit = x.constant(low)
    return where(limit > x, limit, x)


def two_sum(x: Number, y: Number) -> tuple[Number, Number]:
    """The rounded sum and its error (Knuth)."""
    total = x + y
    back = total - x
    return total, (x - (total - back)) + (y - back)


def fast_two_sum(x: Number | float, y: Number) -> tuple[Number, Number]:
    """The rounded sum and its error, for x = 0 or larger than y (Dekker)."""
    total = x + y
    return total, y - (total - x)


def whole_part(x: Number, factor: float, offset: int = 0) -> tuple[Number, Number]:
    """``(n, bits)``: n = rint(x * factor), and an integer whose low bits are n + offset."""
    magic = 1.5 * 2.0**x.mantissa + offset
    shifted = fma(x, factor, magic) if factor != 1 else x + magic
    return shifted - magic, shifted.bits


def whole_to_float(n: Number) -> Number:
    """An integer of modest size as a float."""
    if n.dtype == INT32:
        return n.cast("sitofp", FLOAT32)
    magic = 1.5 * 2.0**52  # few machines convert 64-bit integers; the sum's fraction is n
    return (n + int(np.float64(magic).view(np.int64))).from_bits - magic


def horner(x: Number, coefficients: Sequence[Scalar]) -> Number:
    """A polynomial, constant coefficient first."""
    result: Any = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        result = fma(result, x, c)
    return result


def _any_lane(condition: Number) -> Value:
    """Whether the condition holds in any lane, as one bit to branch on."""
    f, lanes = condition.f, condition.lanes
    ref = f.raw(f"freeze {condition.value.typed}")
    if lanes == 1:
        return Value(ref, BOOL)
    word = f.raw(f"bitcast {condition.value.type} {ref} to i{lanes}")
    return f.value(f"icmp ne i{lanes} {word}, 0", BOOL)


def if_any(
    condition: Number, values: list[Number], otherwise: Callable[[], list[Number]]
) -> list[Number]:
    """``values``, replaced by others if a rare condition holds in any lane."""
    f = condition.f
    rare, after = f.fresh("rare"), f.fresh("after")
    any_lane = _any_lane(condition)
    before = f.block
    f.branch(any_lane, rare, after)
    f.label(rare)
    others, rare_end = otherwise(), f.block
    f.jump(after)
    f.label(after)
    return [
        x.emit(f"phi {x.value.type} [ {x.value.ref}, %{before} ], [ {y.value.ref}, %{rare_end} ]")
        for x, y in zip(values, others, strict=True)
    ]
