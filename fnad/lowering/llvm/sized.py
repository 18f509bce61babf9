"""Functions with sizes that are known when they are entered, and expressions with such."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fnad.core.polynomials import Polynomial
from fnad.core.sizes import Size
from fnad.lowering.expr import Expr
from fnad.lowering.llvm import places
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.scalars import ScalarBuilder
from fnad.lowering.llvm.writer import INT64, DType, Function, Module, Value

# What holds the values of names.
SIZES = "%sizes"


class _Builder(ScalarBuilder):
    """Scalar operations, with sizes among the constants."""

    f: SizedFunction

    def constant(self, value: Any, dtype: Any) -> Value:
        if isinstance(value, Size):
            return self.convert(self.f.size(value), dtype)
        return super().constant(value, dtype)

    def iota(self, dtype: Any, lanes: int, step: int = 1) -> Value:
        if isinstance(step, Size):
            return self.multiply(super().iota(dtype, lanes), self.constant(step, dtype))
        return super().iota(dtype, lanes, step)


class SizedFunction(Function):
    """A function that has the values of names, and computes sizes from them at its entry."""

    def __init__(
        self,
        module: Module,
        name: str,
        parameters: Sequence[str],
        names: dict[str, int],
        linkage: str = "internal ",
    ) -> None:
        params = [*parameters, f"ptr {SIZES}"]
        super().__init__(module, name, params, attributes="noinline nounwind", linkage=linkage)
        self.b = _Builder(self)
        self._names = names
        self._sizes: dict[Any, str] = {}

    def size(self, size: Size) -> Value:
        """The value of a size."""
        return Value(self._polynomial(size.polynomial), INT64)

    def extent(self, extent: int) -> int | Value:
        """The extent of a loop."""
        return self.size(extent) if isinstance(extent, Size) else extent

    def element(self, pointer: str, dtype: DType, index: Value | int) -> str:
        if isinstance(index, Size):
            index = self.size(index)
        return super().element(pointer, dtype, index)

    def _at_entry(self, key: Any, instruction: str) -> str:
        known = self._sizes.get(key)
        if known is None:
            known = self._sizes[key] = self.fresh("size")
            self._stack.append(f"  {known} = {instruction}")
        return known

    def _polynomial(self, terms: Polynomial) -> str:
        total = "0"
        for factors, coefficient in terms:
            term = str(coefficient)
            for node in factors:
                text = f"mul i64 {term}, {self._node(node)}"
                term = self._at_entry(text, text)
            text = f"add i64 {total}, {term}"
            total = self._at_entry(text, text)
        return total

    def _node(self, node: Any) -> str:
        if isinstance(node, str):
            place = f"getelementptr inbounds i64, ptr {SIZES}, i64 {self._names[node]}"
            return self._at_entry(node, f"load i64, ptr {self._at_entry(place, place)}")
        operation, p, q = node
        name = "fnad.floor" if operation == "//" else "fnad.modulo"
        self.module.require(name, _define_floor if operation == "//" else _define_modulo)
        text = f"call i64 @{name}(i64 {self._polynomial(p)}, i64 {self._polynomial(q)})"
        return self._at_entry(text, text)


def _define_floor(module: Module) -> None:
    """Python's ``//``; 0 for a divisor of 0, which only an empty loop has."""
    f = Function(module, "fnad.floor", ["i64 %x", "i64 %y"], "i64")
    f.ret(_floor(f))
    module.add(f)


def _define_modulo(module: Module) -> None:
    """Python's ``%``."""
    f = Function(module, "fnad.modulo", ["i64 %x", "i64 %y"], "i64")
    x, y = Value("%x", INT64), Value("%y", INT64)
    f.ret(f.b.subtract(x, f.b.multiply(_floor(f), y)))
    module.add(f)


def _floor(f: Function) -> Value:
    b, x, y = f.b, Value("%x", INT64), Value("%y", INT64)
    quotient = b.divide(x, y)
    rest = b.subtract(x, b.multiply(quotient, y))
    zero = b.constant(0, INT64)
    apart = b.not_equal(b.less(rest, zero), b.less(y, zero))
    down = b.bitwise_and(b.not_equal(rest, zero), apart)
    return b.subtract(quotient, b.convert(down, INT64))


class SizedPrinter(ExpressionPrinter):
    """Expressions whose indices may have sizes for coefficients."""

    def _emit(self, expr: Expr) -> Value:
        if expr.op == "size":
            return self.f.b.constant(expr.attr, INT64)
        if expr.op == "load":
            return self._load(expr)
        if expr.op == "affine":
            return self._affine(expr)
        return super()._emit(expr)

    def _affine(self, expr: Expr) -> Value:
        if self.varies(expr):
            return self._lanes_of_index(expr)
        b = self.f.b
        coefficients, constant = expr.attr
        total = b.constant(constant, INT64)
        for arg, coefficient in sorted(
            zip(expr.args, coefficients), key=lambda item: self._depth(item[0])
        ):
            term = b.multiply(self.operand(arg), b.constant(coefficient, INT64))
            total = b.add(total, term)
        return total

    def _load(self, expr: Expr) -> Value:
        f, vector, dtype, [offset] = self.f, self.vector, expr.dtype, expr.args
        if vector is None or not self.varies(offset):
            return places.load(self, expr)
        place = places.strided(self, offset, vector.number)
        if place is None or (type(place.stride) is int and type(place.constant) is int):
            return places.load(self, expr)
        if place.stride == 1 or place.stride == -1:
            return places.load(self, expr)
        start = places.address(self, expr.attr, dtype, place)
        steps = f.b.iota(INT64, vector.lanes, place.stride)
        return f.gather(start, dtype, steps, vector.mask)
