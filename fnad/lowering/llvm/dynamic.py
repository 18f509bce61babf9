"""Prints a `DynamicPlan` as an LLVM module: loops over extents that are known at a call.

``void fnad.entry(ptr data, ptr sizes)`` takes the addresses of all buffers, by number, and the
values of the names that sizes are made of, as int64. Behind the addresses come three words for each
matrix product: the address of its record for the matrix runtime (`matrix.driver`), how many tasks
it has, -1 if it is zero as there is nothing to sum up, and the address of scratch memory.

Each node is a function of its own, which computes the sizes that it needs when it is entered.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any

from fnad.core.errors import InternalError
from fnad.core.polynomials import Polynomial
from fnad.core.sizes import Size
from fnad.lowering.access import kernel_exprs, own_access
from fnad.lowering.dynamic_planner import DynamicPlan
from fnad.lowering.expr import Expr, affine_parts, axis
from fnad.lowering.llvm import places
from fnad.lowering.llvm.accumulate import combination
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.loops import CONTROL, emit_turn
from fnad.lowering.llvm.matrix.driver import FIELDS
from fnad.lowering.llvm.matrix.library import declaration
from fnad.lowering.llvm.matrix.variants import Variant
from fnad.lowering.llvm.nests import Nest
from fnad.lowering.llvm.places import Vector
from fnad.lowering.llvm.reductions import across_lanes, initial, result, step
from fnad.lowering.llvm.scalars import ScalarBuilder
from fnad.lowering.llvm.vectors import Range, along, lanes_for, mask_of
from fnad.lowering.llvm.writer import INT64, DType, Function, Module, Value
from fnad.lowering.plan import (
    Accumulate,
    Branch,
    Contraction,
    Copy,
    For,
    Kernel,
    Node,
    Reduction,
    While,
)
from fnad.lowering.walk import postorder

ENTRY = "fnad.entry"
# For each matrix product.
WORDS = 3
_SIZES = "%sizes"
# A size is taken to be as large as that where numbers of lanes are chosen.
_LARGE = 1 << 20


class _Builder(ScalarBuilder):
    """Scalar operations, with sizes among the constants."""

    f: _Function

    def constant(self, value: Any, dtype: Any) -> Value:
        if isinstance(value, Size):
            return self.convert(self.f.size(value), dtype)
        return super().constant(value, dtype)

    def iota(self, dtype: Any, lanes: int, step: int = 1) -> Value:
        if isinstance(step, Size):
            return self.multiply(super().iota(dtype, lanes), self.constant(step, dtype))
        return super().iota(dtype, lanes, step)


class _Function(Function):
    """A function that has the values of names, and computes sizes from them at its entry."""

    def __init__(
        self,
        module: Module,
        name: str,
        parameters: Sequence[str],
        names: dict[str, int],
        linkage: str = "internal ",
    ) -> None:
        params = [*parameters, f"ptr {_SIZES}"]
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
            place = f"getelementptr inbounds i64, ptr {_SIZES}, i64 {self._names[node]}"
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


class _Printer(ExpressionPrinter):
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
        if place is None or place.stride == 1 or place.stride == -1:
            return places.load(self, expr)
        start = places.address(self, expr.attr, dtype, place)
        steps = f.b.iota(INT64, vector.lanes, place.stride)
        return f.gather(start, dtype, steps, vector.mask)


def emit_dynamic(plan: DynamicPlan, names: Sequence[str]) -> str:
    """Print a plan; ``names`` is the order in which the values of names are passed."""
    schedule = _Schedule(plan, {name: i for i, name in enumerate(names)})
    schedule.body(plan.body)
    schedule.entry.ret()
    schedule.module.add(schedule.entry)
    return schedule.module.text()


class _Schedule:
    """The entry: loops and branches around calls of the functions of nodes."""

    def __init__(self, plan: DynamicPlan, names: dict[str, int]) -> None:
        self.plan, self.names = plan, names
        self.module = Module(commented=True)
        self.entry: Function = _Function(self.module, ENTRY, ["ptr %data"], names, linkage="")
        self.counters: dict[int, Value] = {}
        self.place = len(plan.buffers)  # of the next product's words
        self.number = 0

    def pointer(self, number: int) -> str:
        """Where a buffer lies."""
        slot = self.entry.raw(f"getelementptr inbounds ptr, ptr %data, i64 {number}")
        return self.entry.raw(f"load ptr, ptr {slot}")

    def body(self, nodes: Iterable[Node]) -> None:
        """Print nodes."""
        for node in nodes:
            if isinstance(node, For) and node.count is None and isinstance(node.extent, Size):
                extent, one = (self.entry.b.constant(n, INT64) for n in (node.extent, 1))
                with self.entry.steps(extent, one) as index:
                    emit_turn(self, node, index, extent)
            elif isinstance(node, (For, While, Branch)):
                CONTROL[type(node)](self, node)
            else:
                self._call(node)

    def _call(self, node: Any) -> None:
        f, used, turns = self._function(node)
        arguments = []
        if isinstance(node, Contraction):
            words = f"getelementptr inbounds ptr, ptr %data, i64 {self.place}"
            arguments.append(f"ptr {self.entry.raw(words)}")
            self.place += WORDS
        arguments += [f"ptr {self.pointer(n)}" for n in used]
        arguments += [self.counters[t].typed for t in turns]
        self.entry.emit(f"call void @{f.name}({', '.join([*arguments, f'ptr {_SIZES}'])})")

    def _function(self, node: Any) -> tuple[Function, list[int], list[int]]:
        """The function of a node, the buffers and the turns that it is to be called with."""
        used = sorted(own_access(node).touched)
        turns = sorted(_turns_of(node) & self.counters.keys())
        params = [f"ptr noalias %buffer.{n}" for n in used] + [f"i64 %turn.{t}" for t in turns]
        if isinstance(node, Contraction):
            params.insert(0, "ptr %words")
        f = _Function(self.module, f"fnad.{self.number}", params, self.names)
        self.number += 1
        f.comment(node.origin or type(node).__name__)
        counters = {t: Value(f"%turn.{t}", INT64) for t in turns}
        p = _Printer(f, {n: f"%buffer.{n}" for n in used}, counters)
        if isinstance(node, Contraction):
            _emit_product(f, p, node)
        elif isinstance(node, Accumulate):
            _emit_accumulate(f, node, f"%buffer.{node.source}", f"%buffer.{node.out}")
        elif isinstance(node, Copy):
            dtype = self.plan.buffers[node.source].dtype
            source = f.element(p.pointers[node.source], dtype, p.value(node.source_offset))
            out = f.element(p.pointers[node.out], dtype, p.value(node.out_offset))
            f.copy(out, source, f.b.constant(node.size * dtype.itemsize, INT64))
        elif isinstance(node, Kernel):
            _emit_kernel(f, p, node)
        else:
            raise InternalError(f"a {type(node).__name__} reached the printer of dynamic plans")
        f.ret()
        self.module.add(f)
        return f, used, turns


def _turns_of(node: Any) -> set[int]:
    """The counters of loops that a node depends on."""
    exprs: list[Expr] = []
    if isinstance(node, Kernel):
        exprs = kernel_exprs(node)
    elif isinstance(node, Copy):
        exprs = [node.source_offset, node.out_offset]
    elif isinstance(node, Contraction):
        exprs = [node.left.offset, node.right.offset, node.out.offset]
    return {e.attr[0] for e in postorder(exprs) if e.op == "counter"}


def _emit_product(f: _Function, p: _Printer, node: Contraction) -> None:
    """A call of the matrix runtime with the record of this call's sizes."""
    a, b, out = (
        f.element(p.pointers[m.buffer], node.dtype, p.value(m.offset))
        for m in (node.left, node.right, node.out)
    )
    record, scratch = (f.raw(f"load ptr, ptr {f.element('%words', INT64, k)}") for k in (0, 2))
    tasks, zero = f.load(f.element("%words", INT64, 1), INT64), f.b.constant(0, INT64)
    with f.when(f.b.less(zero, tasks)):
        swapped = f.b.less(zero, f.load(f.element(record, INT64, FIELDS.index("swapped")), INT64))
        first = f.raw(f"select {swapped.typed}, ptr {b}, ptr {a}")
        second = f.raw(f"select {swapped.typed}, ptr {a}, ptr {b}")
        symbol = f"{Variant(node.dtype).prefix}.products"
        f.module.declare(symbol, declaration(symbol))
        f.emit(
            f"call void @{symbol}(ptr {record}, ptr {first}, ptr {second}, ptr {out}, i64 0,"
            f" {tasks.typed}, ptr {scratch})"
        )
    with f.when(f.b.less(tasks, zero)):
        nbytes = math.prod((*node.batch, node.m, node.n)) * node.dtype.itemsize
        f.module.declare("llvm.memset.p0.i64", "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
        size = f.b.constant(nbytes, INT64)
        f.emit(f"call void @llvm.memset.p0.i64(ptr {out}, i8 0, {size.typed}, i1 false)")


def _emit_accumulate(f: _Function, node: Accumulate, source: str, out: str) -> None:
    """Running sums and their kin, row by row."""
    b = f.b
    outer, length, inner = (b.constant(n, INT64) for n in node.extents)
    one, last = b.constant(1, INT64), b.subtract(length, b.constant(1, INT64))
    combine, start = combination(b, node)
    with f.steps(b.multiply(outer, inner), one) as number:
        row = b.divide(number, inner)  # in a loop that has turns, inner is not 0
        column = b.subtract(number, b.multiply(row, inner))
        begin = b.add(b.multiply(b.multiply(row, length), inner), column)

        def turn(k: Value, total: Value) -> list[Value]:
            step = b.subtract(last, k) if node.reverse else k
            place = b.add(begin, b.multiply(step, inner))
            value = f.load(f.element(source, node.dtype, place), node.dtype)
            total = combine(total, b.convert(value, node.accumulator))
            f.store(b.convert(total, node.dtype), f.element(out, node.dtype, place))
            return [b.add(k, one), total]

        f.repeat([b.constant(0, INT64), start], lambda k, _: b.less(k, length), turn)


# -- kernels ------------------------------------------------------------------------------------


def _emit_kernel(f: _Function, p: _Printer, kernel: Kernel) -> None:
    sums = [
        r.value for r in kernel.reductions if r.kind == "add" and r.accumulator == r.value.dtype
    ]
    p.prepare(kernel_exprs(kernel), frozenset(s.buffer for s in kernel.stores), sums)
    ranges = {number: Range(0, f.extent(extent)) for number, extent in kernel.axes}
    nest = Nest(f, p, kernel, ranges)
    with ExitStack() as stack:
        for number, _ in kernel.axes:
            stop = ranges[number].stop
            if isinstance(stop, Value):
                zero = f.b.constant(0, INT64)
                stack.enter_context(f.when(f.b.less(zero, stop)))
            elif stop == 0:
                return
        stack.enter_context(p.scope())
        if _runs_along_lanes(kernel):
            _emit_lanes(nest)
        else:
            _enter_loops(stack, nest, kernel.axes)
            for number, r in enumerate(kernel.reductions):
                p.bind_reduced(number, _reduced_in_vectors(f, p, r))
            nest.stores()


def _runs_along_lanes(kernel: Kernel) -> bool:
    """Whether vectors run along the innermost axis: what they store lies side by side."""
    if not kernel.axes or kernel.sequential or (kernel.reductions and not kernel.parallel_inner):
        return False
    innermost = axis(*kernel.axes[-1])
    return all(affine_parts(s.offset)[0].get(innermost, 0) == 1 for s in kernel.stores)


def _enter_loops(stack: ExitStack, nest: Nest, axes: Sequence[tuple[int, int]]) -> None:
    """Loops over axes, of which each has a turn."""
    for number, _ in axes:
        stop = nest.ranges[number].stop
        loop = stack.enter_context(nest.f.loop(stop, as_written=True))
        stack.enter_context(nest.p.scope())
        nest.p.bind_axis(number, loop.index)


def _emit_lanes(nest: Nest) -> None:
    """Vectors along the innermost axis, each with totals of its own."""
    f, p, kernel = nest.f, nest.p, nest.kernel
    *outer, (number, extent) = kernel.axes
    lanes = _lanes(nest.roots, [r.accumulator for r in kernel.reductions], extent)

    def block(base: Value, count: int, mask: Value | None, carried: list[Value]) -> list[Value]:
        with p.scope():
            p.bind_vector(Vector(number, base, 0, lanes, mask))
            for k, r in enumerate(kernel.reductions):
                p.bind_reduced(k, _reduced_by_turns(f, p, r, lanes))
            nest.stores()
        return carried

    with ExitStack() as stack:
        _enter_loops(stack, nest, outer)
        along(f, p, nest.ranges[number], (lanes, 1), block)


def _lanes(exprs: Sequence[Expr], others: Sequence[DType], extent: int) -> int:
    return lanes_for(exprs, others, _LARGE if isinstance(extent, Size) else extent)


def _reduced_by_turns(f: Function, p: ExpressionPrinter, r: Reduction, lanes: int) -> Value:
    """A reduction term by term, in each lane of the vector that is bound."""

    def term(state: list[Value]) -> list[Value]:
        return step(f, p, r, state)

    return result(f, r, _over(f, p, list(r.axes), initial(f, r, lanes), term))


def _over(
    f: Function, p: ExpressionPrinter, axes: Any, state: list[Value], body: Any
) -> list[Value]:
    """Loops over reduced axes, of any number of turns."""
    if not axes:
        found: list[Value] = body(state)
        return found
    (number, extent), *inner = axes
    stop = f.b.constant(extent, INT64)

    def turn(i: Value, *carried: Value) -> list[Value]:
        with p.scope():
            p.bind_axis(number, i)
            after = _over(f, p, inner, list(carried), body)
        return [f.b.add(i, f.b.constant(1, INT64)), *after]

    zero = f.b.constant(0, INT64)
    return f.repeat([zero, *state], lambda i, *_: f.b.less(i, stop), turn)[1:]


def _reduced_in_vectors(f: _Function, p: _Printer, r: Reduction) -> Value:
    """A reduction at a point, in vectors along the innermost of the reduced axes."""
    if not r.axes:
        return result(f, r, step(f, p, r, initial(f, r)))
    *outer, (number, extent) = r.axes
    lanes = _lanes([r.value], [r.accumulator], extent)
    stop, wide = f.b.constant(extent, INT64), f.b.constant(lanes, INT64)

    def vectors(state: list[Value]) -> list[Value]:
        def turn(i: Value, *carried: Value, masked: bool = False) -> list[Value]:
            with p.scope():
                mask = None
                if masked:
                    mask = mask_of(f, f.b.minimum(f.b.subtract(stop, i), wide), lanes)
                p.bind_vector(Vector(number, i, 0, lanes, mask))
                after = step(f, p, r, list(carried), mask)
            return [f.b.add(i, wide), *after]

        first = [f.b.constant(0, INT64), *state]
        whole = f.repeat(first, lambda i, *_: f.b.less_equal(f.b.add(i, wide), stop), turn)
        rest = f.repeat(whole, lambda i, *_: f.b.less(i, stop), lambda *c: turn(*c, masked=True))
        return rest[1:]

    with p.scope():
        states = _over(f, p, outer, initial(f, r, lanes), vectors)
        return result(f, r, across_lanes(f, r, states))
