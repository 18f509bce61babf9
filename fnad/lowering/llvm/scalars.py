"""One method per scalar operation: the builder interface of elementwise rules, printed as IR.

Operations take vectors as well (`Value.lanes`); an operand of one lane goes with any vector.
Every operation is defined for all of its inputs, as NumPy defines it on this kind of machine:
no division traps, no result is poison. float16 and bfloat16 are computed in float32 and rounded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fnad.core.errors import InternalError
from fnad.core.types import BFLOAT16, is_half, kind_of
from fnad.lowering.llvm import avx512, formulas, out_of_line
from fnad.lowering.llvm.conversions import convert
from fnad.lowering.llvm.folding import folded, integer_of
from fnad.lowering.llvm.writer import (
    BOOL,
    FLOAT32,
    DType,
    Value,
    constant_text,
    llvm_type,
    overload,
)
from fnad.lowering.maths import FORMULAS
from fnad.lowering.printers import ScalarPrinter

if TYPE_CHECKING:
    from fnad.lowering.llvm.writer import Function


class ScalarBuilder(ScalarPrinter):
    """Operations on `Value`s lane by lane, appended to a function."""

    def __init__(self, function: Function) -> None:
        self.f = function

    # -- helpers ----------------------------------------------------------------------------

    def constant(self, value: Any, dtype: Any) -> Value:
        dtype = np.dtype(dtype)
        return Value(constant_text(value, dtype), dtype)

    def splat(self, x: Value, lanes: int) -> Value:
        """``x`` in each of ``lanes`` lanes."""
        if x.lanes == lanes:
            return x
        if x.lanes != 1:
            raise InternalError(f"a vector of {x.lanes} lanes met one of {lanes}")
        if not x.ref.startswith("%"):  # a constant
            return Value(f"splat ({x.typed})", x.dtype, lanes)
        kind = llvm_type(x.dtype, lanes)
        first = self.f.raw(f"insertelement {kind} poison, {x.typed}, i64 0")
        return self.f.value(
            f"shufflevector {kind} {first}, {kind} poison, <{lanes} x i32> zeroinitializer",
            x.dtype,
            lanes,
        )

    def spread(self, *xs: Value) -> list[Value]:
        """Operands with as many lanes each as the widest of them has."""
        lanes = max(x.lanes for x in xs)
        return list(xs) if lanes == 1 else [self.splat(x, lanes) for x in xs]

    def iota(self, dtype: Any, lanes: int, step: int = 1) -> Value:
        """0, 1, 2, ... times ``step`` in the lanes."""
        dtype = np.dtype(dtype)
        kind = llvm_type(dtype)
        if lanes == 1:
            return self.constant(0, dtype)
        return Value(_multiples(kind, dtype, lanes, step), dtype, lanes)

    def shuffle(self, x: Value, lanes: Sequence[int | None], other: Value | None = None) -> Value:
        """The given lanes of ``x`` (and, numbered on, of ``other``); None is any value."""
        if len(lanes) == 1 and lanes[0] is not None:
            assert other is None
            return self.lane(x, lanes[0])
        second = f"{x.type} poison" if other is None else other.typed
        picked = ", ".join("i32 poison" if i is None else f"i32 {i}" for i in lanes)
        text = f"shufflevector {x.typed}, {second}, <{len(lanes)} x i32> <{picked}>"
        return self.f.value(text, x.dtype, len(lanes))

    def lane(self, x: Value, number: int) -> Value:
        """One lane of a vector."""
        if x.lanes == 1:
            return x
        return self.f.value(f"extractelement {x.typed}, i64 {number}", x.dtype)

    def with_lane(self, x: Value, number: int, lane: Value) -> Value:
        """A vector with one lane replaced."""
        text = f"insertelement {x.typed}, {lane.typed}, i64 {number}"
        return self.f.value(text, x.dtype, x.lanes)

    def cast(self, operation: str, x: Value, dtype: DType) -> Value:
        kind = llvm_type(dtype, x.lanes)
        return self.f.value(f"{operation} {x.typed} to {kind}", dtype, x.lanes)

    def _intrinsic(self, name: str, *args: Value, extra: str = "") -> Value:
        """Call ``llvm.<name>.<type>``, all operands and the result having one type."""
        args = tuple(self.spread(*args))
        first = args[0]
        symbol = f"llvm.{name}.{overload(first.dtype, first.lanes)}"
        types = ", ".join([first.type] * len(args) + ([extra.split()[0]] if extra else []))
        self.f.module.declare(symbol, f"declare {first.type} @{symbol}({types})")
        operands = ", ".join([a.typed for a in args] + ([extra] if extra else []))
        return self.f.value(f"call {first.type} @{symbol}({operands})", first.dtype, first.lanes)

    def binary(self, instruction: str, x: Value, y: Value) -> Value:
        x, y = self.spread(x, y)
        return self.f.value(f"{instruction} {x.typed}, {y.ref}", x.dtype, x.lanes)

    def _arithmetic(
        self, name: str, x: Value, y: Value, floating: str, integer: str, boolean: str
    ) -> Value:
        dtype = self._same(name, x, y)
        if is_half(dtype):
            return self._widened(lambda a, b: self.binary(floating, a, b), x, y)
        kind = kind_of(dtype)
        if kind in "fb":
            return self.binary(floating if kind == "f" else boolean, x, y)
        return self._integer_arithmetic(integer, x, y)

    def _integer_arithmetic(self, operation: str, x: Value, y: Value) -> Value:
        known = folded(operation, x, y)
        if known is not None:
            return self.splat(known, max(x.lanes, y.lanes))
        return self.binary(operation, x, y)

    # -- arithmetic -------------------------------------------------------------------------

    def add(self, x: Value, y: Value) -> Value:
        return self._arithmetic("add", x, y, "fadd", "add", "or")

    def subtract(self, x: Value, y: Value) -> Value:
        return self._arithmetic("subtract", x, y, "fsub", "sub", "xor")

    def multiply(self, x: Value, y: Value) -> Value:
        return self._arithmetic("multiply", x, y, "fmul", "mul", "and")

    def fma(self, x: Value, y: Value, z: Value) -> Value:
        """``x * y + z`` rounded once; for the definitions in `maths`."""
        return self._intrinsic("fma", x, y, z)

    def divide(self, x: Value, y: Value) -> Value:
        dtype = self._same("divide", x, y)
        if is_half(dtype):
            return self._widened(self.divide, x, y)
        if kind_of(dtype) == "f":
            return self.binary("fdiv", x, y)
        if dtype.kind == "b":
            return self.binary("and", x, y)
        zero = self.constant(0, dtype)
        quotient = self.binary("udiv" if dtype.kind == "u" else "sdiv", x, self._safe_divisor(y))
        if integer_of(y) not in (None, 0, -1):
            return quotient
        if dtype.kind == "i":  # INT_MIN / -1 wraps instead of trapping
            minus = self.equal(y, self.constant(-1, dtype))
            quotient = self.where(minus, self.negative(x), quotient)
        return self.where(self.equal(y, zero), zero, quotient)

    def remainder(self, x: Value, y: Value) -> Value:
        dtype = self._same("remainder", x, y)
        if kind_of(dtype) == "f":
            return self.elementary("remainder", x, y)
        if dtype.kind == "b":
            return self.constant(False, BOOL)
        return self.binary("urem" if dtype.kind == "u" else "srem", x, self._safe_divisor(y))

    def _safe_divisor(self, y: Value) -> Value:
        """``y``, or 1 where dividing by it would trap (0, and -1 for the sake of INT_MIN)."""
        if integer_of(y) not in (None, 0, -1):
            return y
        one = self.constant(1, y.dtype)
        safe = self.where(self.equal(y, self.constant(0, y.dtype)), one, y)
        if y.dtype.kind == "i":
            safe = self.where(self.equal(y, self.constant(-1, y.dtype)), one, safe)
        return safe

    def negative(self, x: Value) -> Value:
        if x.dtype == BFLOAT16:
            return self.binary("xor", x, Value("-32768", BFLOAT16))
        if kind_of(x.dtype) == "f":
            return self.f.value(f"fneg {x.typed}", x.dtype, x.lanes)
        if x.dtype.kind == "b":
            return x
        return self.binary("sub", self.constant(0, x.dtype), x)

    def absolute(self, x: Value) -> Value:
        if x.dtype == BFLOAT16:
            return self.binary("and", x, Value("32767", BFLOAT16))
        if kind_of(x.dtype) == "f":
            return self._intrinsic("fabs", x)
        if x.dtype.kind == "i":
            return self._intrinsic("abs", x, extra="i1 false")
        return x

    def sign(self, x: Value) -> Value:
        if x.dtype.kind == "b":
            return x
        zero, one = self.constant(0, x.dtype), self.constant(1, x.dtype)
        positive = self.where(self.greater(x, zero), one, zero)
        if x.dtype.kind == "u":
            return positive
        result = self.where(self.less(x, zero), self.constant(-1, x.dtype), positive)
        return self.where(self.is_nan(x), x, result) if kind_of(x.dtype) == "f" else result

    def minimum(self, x: Value, y: Value) -> Value:
        return self._extremum("minimum", x, y, self.less, "and")

    def maximum(self, x: Value, y: Value) -> Value:
        return self._extremum("maximum", x, y, self.greater, "or")

    def _extremum(
        self, name: str, x: Value, y: Value, compare: Callable[..., Value], boolean: str
    ) -> Value:
        dtype = self._same(name, x, y)
        if dtype.kind == "b":
            return self.binary(boolean, x, y)
        if dtype.kind in "iu":
            operation = f"{'s' if dtype.kind == 'i' else 'u'}{name[:3]}"
            known = folded(operation, x, y)
            if known is not None:
                return self.splat(known, max(x.lanes, y.lanes))
            return self._intrinsic(operation, x, y)
        chosen = self.where(compare(x, y), x, y)  # y if either is NaN
        return self.where(self.is_nan(x), x, chosen)

    def is_nan(self, x: Value) -> Value:
        if x.dtype == BFLOAT16:
            x = self.convert(x, FLOAT32)
        return self.f.value(f"fcmp uno {x.typed}, {x.ref}", BOOL, x.lanes)

    def copysign(self, x: Value, y: Value) -> Value:
        if self._same("copysign", x, y) == BFLOAT16:
            return self._widened(self.copysign, x, y)
        return self._intrinsic("copysign", x, y)

    # -- rounding ---------------------------------------------------------------------------

    def _rounding(self, name: str, x: Value) -> Value:
        if kind_of(x.dtype) != "f":
            return x
        if is_half(x.dtype):
            return self._widened(lambda a: self._intrinsic(name, a), x)
        return self._intrinsic(name, x)

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

    def _compare(self, name: str, x: Value, y: Value) -> Value:
        dtype = self._same(name, x, y)
        if dtype == BFLOAT16:
            return self._widened(lambda a, b: self._compare(name, a, b), x, y)
        kind = dtype.kind
        if kind == "f":
            operation = f"fcmp {'u' if name == 'ne' else 'o'}{name}"
        else:
            sign = "" if name in ("eq", "ne") else "s" if kind == "i" else "u"
            operation = f"icmp {sign}{name}"
        x, y = self.spread(x, y)
        return self.f.value(f"{operation} {x.typed}, {y.ref}", BOOL, x.lanes)

    def equal(self, x: Value, y: Value) -> Value:
        return self._compare("eq", x, y)

    def not_equal(self, x: Value, y: Value) -> Value:
        return self._compare("ne", x, y)

    def less(self, x: Value, y: Value) -> Value:
        return self._compare("lt", x, y)

    def less_equal(self, x: Value, y: Value) -> Value:
        return self._compare("le", x, y)

    def greater(self, x: Value, y: Value) -> Value:
        return self._compare("gt", x, y)

    def greater_equal(self, x: Value, y: Value) -> Value:
        return self._compare("ge", x, y)

    def bitwise_and(self, x: Value, y: Value) -> Value:
        self._same("bitwise_and", x, y)
        return self.binary("and", x, y)

    def bitwise_or(self, x: Value, y: Value) -> Value:
        self._same("bitwise_or", x, y)
        return self.binary("or", x, y)

    def bitwise_xor(self, x: Value, y: Value) -> Value:
        self._same("bitwise_xor", x, y)
        return self.binary("xor", x, y)

    def bitwise_not(self, x: Value) -> Value:
        ones = "true" if x.dtype.kind == "b" else "-1"
        return self.binary("xor", x, Value(ones, x.dtype))

    def left_shift(self, x: Value, y: Value) -> Value:
        return self._shift("shl", x, y)

    def right_shift_logical(self, x: Value, y: Value) -> Value:
        return self._shift("lshr", x, y)

    def right_shift_arithmetic(self, x: Value, y: Value) -> Value:
        return self._shift("ashr" if x.dtype.kind == "i" else "lshr", x, y)

    def _shift(self, operation: str, x: Value, y: Value) -> Value:
        """Shift; by the width or more (or a negative amount) it gives 0, or the sign."""
        dtype = self._same(operation, x, y)
        if dtype.kind == "b":  # by 1 or more nothing is left
            return self.binary("and", x, self.bitwise_not(y))
        width = dtype.itemsize * 8
        if (integer_of(y) or -1) in range(1, width):
            return self.binary(operation, x, y)
        limit = self.splat(self.constant(width, dtype), y.lanes)
        inside = self.f.value(f"icmp ult {y.typed}, {limit.ref}", BOOL, y.lanes)
        amount = self.where(inside, y, self.constant(width - 1, dtype))
        shifted = self.binary(operation, x, amount)
        if operation == "ashr":
            return shifted
        return self.where(inside, shifted, self.constant(0, dtype))

    def where(self, c: Value, x: Value, y: Value) -> Value:
        dtype = self._same("where", x, y)
        if x.ref == "true" and y.ref == "false" and c.lanes >= max(x.lanes, y.lanes):
            return c
        x, y = self.spread(x, y)
        if c.lanes > 1:
            c, x, y = self.spread(c, x, y)
        return self.f.value(f"select {c.typed}, {x.typed}, {y.typed}", dtype, x.lanes)

    # -- conversion -------------------------------------------------------------------------

    def bitcast(self, x: Value, dtype: Any) -> Value:
        """The same bits under another dtype of the same size."""
        dtype = np.dtype(dtype)
        if llvm_type(dtype) == llvm_type(x.dtype):
            return Value(x.ref, dtype, x.lanes)
        if x.dtype.kind == "b" or dtype.kind == "b":
            return self.convert(x, dtype)
        return self.cast("bitcast", x, dtype)

    def convert(self, x: Value, dtype: Any) -> Value:
        """``x.astype(dtype)``: truncating from float to integer, wrapping between integers."""
        dtype = np.dtype(dtype)
        return x if x.dtype == dtype else convert(self, x, dtype)

    # -- elementary functions ---------------------------------------------------------------

    def power(self, x: Value, y: Value) -> Value:
        dtype = self._same("power", x, y)
        return self.elementary("power" if kind_of(dtype) == "f" else "integer_power", x, y)

    def elementary(self, name: str, *args: Value) -> Value:
        dtype = self._same(name, *args)
        if is_half(dtype):
            return self._widened(lambda *wide: self.elementary(name, *wide), *args)
        args = tuple(self.spread(*args))
        first = args[0]
        symbol = formulas.require(self.f.module, name, dtype, first.lanes)
        operands = ", ".join(a.typed for a in args)
        return self.f.value(f"call {first.type} @{symbol}({operands})", dtype, first.lanes)

    # -- what formulas ask for: `maths.notation.Builder` --------------------------------------

    def constant_like(self, value: float, x: Value) -> Value:
        return self.splat(self.constant(value, x.dtype), x.lanes)

    def if_any(
        self, condition: Value, values: Sequence[Value], otherwise: Callable[[], Sequence[Value]]
    ) -> list[Value]:
        return out_of_line.if_any(self, condition, values, otherwise)

    def lookup(self, table: str, numbers: Sequence[float], index: Value) -> Value:
        return out_of_line.lookup(self, table, numbers, index)

    def call_formula(self, name: str, x: Value) -> Value:
        return out_of_line.call(self, name, x)

    def library_remainder(self, x: Value, y: Value) -> Value:
        return self.binary("frem", x, y)

    def scale(self, x: Value, n: Value) -> Value | None:
        return avx512.scale(self, x, n)

    def split(self, x: Value) -> tuple[Value, Value] | None:
        return avx512.split(self, x)


@functools.cache
def _multiples(kind: str, dtype: DType, lanes: int, step: int) -> str:
    numbers = ", ".join(f"{kind} {constant_text(i * step, dtype)}" for i in range(lanes))
    return f"<{numbers}>"


def _elementary(name: str) -> Callable[..., Value]:
    def method(self: ScalarBuilder, *args: Value) -> Value:
        return self.elementary(name, *args)

    method.__name__ = name
    return method


for _name in FORMULAS:
    if not hasattr(ScalarBuilder, _name):
        setattr(ScalarBuilder, _name, _elementary(_name))
