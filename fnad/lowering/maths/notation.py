"""Formulas written as formulas: numbers with operators, printed by the builder of a backend.

Each operation is one of the builder's, rounded on its own: error-free transformations depend on
it; what may be fused is written `fma`. In LLVM's code a number is a vector of any width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

DType = np.dtype[Any]
BOOL, INT32, INT64 = (np.dtype(t) for t in (np.bool_, np.int32, np.int64))
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)

Scalar = float | int
T = TypeVar("T")


class Builder(Protocol):
    """What formulas ask of a builder, besides the plain operations of elementwise rules."""

    def convert(self, x: Any, dtype: Any, /) -> Any: ...

    def bitcast(self, x: Any, dtype: Any, /) -> Any: ...

    def constant_like(self, value: Scalar, x: Any, /) -> Any:
        """``value`` in x's dtype, and in as many lanes."""

    def fma(self, x: Any, y: Any, z: Any, /) -> Any:
        """``x * y + z`` rounded once."""

    def is_nan(self, x: Any, /) -> Any: ...

    def if_any(
        self, condition: Any, values: Sequence[Any], otherwise: Callable[[], Sequence[Any]], /
    ) -> list[Any]:
        """``values``, replaced by others if a rare condition holds (in any lane)."""

    def lookup(self, table: str, numbers: Sequence[float], index: Any, /) -> Any:
        """``numbers[index]``, float64 in a constant array of that name."""

    def call_formula(self, name: str, x: Any, /) -> Any:
        """The float64 that the formula ``name`` of `runtime` has for ``x``, by a call."""

    def library_remainder(self, x: Any, y: Any, /) -> Any:
        """C's fmod, a call for each lane."""

    def scale(self, x: Any, n: Any, /) -> Any | None:
        """``x * 2**n`` by one instruction; None where there is none."""

    def split(self, x: Any, /) -> tuple[Any, Any] | None:
        """`powers_of_two.split_any` by instructions; None where there are none."""


def by_dtype(single: T, double: T) -> dict[DType, T]:
    """Constants of a formula for float32 and for float64."""
    return {FLOAT32: single, FLOAT64: double}


class Number:
    """A value under construction by a builder."""

    __slots__ = ("b", "value")

    def __init__(self, b: Builder, value: Any) -> None:
        self.b, self.value = b, value

    @property
    def dtype(self) -> DType:
        return self.value.dtype

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

    def constant(self, value: Scalar) -> Number:
        """``value`` as a number of this one's dtype."""
        return Number(self.b, self.b.constant_like(value, self.value))

    def lift(self, value: Number | Scalar) -> Number:
        return value if isinstance(value, Number) else self.constant(value)

    def apply(self, name: str, *others: Number | Scalar) -> Number:
        """The builder's operation of that name."""
        values = [self.value, *(self.lift(other).value for other in others)]
        return Number(self.b, getattr(self.b, name)(*values))

    # -- arithmetic -------------------------------------------------------------------------

    def __add__(self, other: Number | Scalar) -> Number:
        return self.apply("add", other)

    def __radd__(self, other: Scalar) -> Number:
        return self.constant(other) + self

    def __sub__(self, other: Number | Scalar) -> Number:
        return self.apply("subtract", other)

    def __rsub__(self, other: Scalar) -> Number:
        return self.constant(other) - self

    def __mul__(self, other: Number | Scalar) -> Number:
        return self.apply("multiply", other)

    def __rmul__(self, other: Scalar) -> Number:
        return self.constant(other) * self

    def __truediv__(self, other: Number | Scalar) -> Number:
        return self.apply("divide", other)

    def __rtruediv__(self, other: Scalar) -> Number:
        return self.constant(other) / self

    def __neg__(self) -> Number:
        return self.apply("negative")

    # -- bits -------------------------------------------------------------------------------

    def __and__(self, other: Number | Scalar) -> Number:
        return self.apply("bitwise_and", other)

    def __or__(self, other: Number | Scalar) -> Number:
        return self.apply("bitwise_or", other)

    def __xor__(self, other: Number | Scalar) -> Number:
        return self.apply("bitwise_xor", other)

    def __invert__(self) -> Number:
        return self.apply("bitwise_not")

    def __lshift__(self, count: int) -> Number:
        return self.apply("left_shift", count)

    def __rshift__(self, count: int) -> Number:
        """Arithmetic shift, sign and all."""
        return self.apply("right_shift_arithmetic", count)

    # -- comparison -------------------------------------------------------------------------

    def __lt__(self, other: Number | Scalar) -> Number:
        return self.apply("less", other)

    def __le__(self, other: Number | Scalar) -> Number:
        return self.apply("less_equal", other)

    def __gt__(self, other: Number | Scalar) -> Number:
        return self.apply("greater", other)

    def __ge__(self, other: Number | Scalar) -> Number:
        return self.apply("greater_equal", other)

    def equals(self, other: Number | Scalar) -> Number:
        return self.apply("equal", other)

    def is_nan(self) -> Number:
        return self.apply("is_nan")

    # -- conversion -------------------------------------------------------------------------

    @property
    def bits(self) -> Number:
        """The same bits as integers."""
        dtype = INT32 if self.dtype.itemsize == 4 else INT64
        return Number(self.b, self.b.bitcast(self.value, dtype))

    @property
    def from_bits(self) -> Number:
        """The same bits as floats."""
        dtype = FLOAT32 if self.dtype.itemsize == 4 else FLOAT64
        return Number(self.b, self.b.bitcast(self.value, dtype))

    def convert(self, dtype: DType) -> Number:
        return Number(self.b, self.b.convert(self.value, dtype))

    def widen(self) -> Number:
        return self.convert(FLOAT64)

    def lookup(self, table: str, numbers: Sequence[float]) -> Number:
        """``numbers[self]`` from a constant array of float64."""
        return Number(self.b, self.b.lookup(table, numbers, self.value))

    def call(self, name: str) -> Number:
        """The float64 that a formula of `runtime` has for this number."""
        return Number(self.b, self.b.call_formula(name, self.value))


def fma(x: Number | Scalar, y: Number | Scalar, z: Number | Scalar) -> Number:
    """``x * y + z`` rounded once."""
    model = next(v for v in (x, y, z) if isinstance(v, Number))
    return model.lift(x).apply("fma", model.lift(y), model.lift(z))


def where(condition: Number, x: Number | Scalar, y: Number | Scalar) -> Number:
    """``x`` where the condition holds, else ``y``."""
    model = next(v for v in (x, y) if isinstance(v, Number))
    return condition.apply("where", model.lift(x), model.lift(y))


def absolute(x: Number) -> Number:
    return x.apply("absolute")


def sqrt(x: Number) -> Number:
    return x.apply("sqrt")


def copysign(x: Number | Scalar, y: Number) -> Number:
    return y.lift(x).apply("copysign", y)


def rint(x: Number) -> Number:
    return x.apply("rint")


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
        return n.convert(FLOAT32)
    magic = 1.5 * 2.0**52  # few machines convert 64-bit integers; the sum's fraction is n
    return (n + int(np.float64(magic).view(np.int64))).from_bits - magic


def horner(x: Number, coefficients: Sequence[Scalar]) -> Number:
    """A polynomial, constant coefficient first."""
    result: Any = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        result = fma(result, x, c)
    return result


def if_any(
    condition: Number, values: list[Number], otherwise: Callable[[], list[Number]]
) -> list[Number]:
    """``values``, replaced by others if a rare condition holds in any lane."""
    b = condition.b
    chosen = b.if_any(
        condition.value, [x.value for x in values], lambda: [x.value for x in otherwise()]
    )
    return [Number(b, value) for value in chosen]
