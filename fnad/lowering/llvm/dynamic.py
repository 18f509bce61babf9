"""Prints a `DynamicPlan` as an LLVM module: loops over extents that are known at a call.

``void fnad.entry(ptr data, ptr sizes)`` takes the addresses of all buffers, by number, and the
values of the names that sizes are made of, as int64. Behind the addresses come five words for each
matrix product: the address of its record for the matrix runtime (`matrix.driver`), how many tasks
it has, -1 if it is zero as there is nothing to sum up, the address of scratch memory, how many
bytes of it each thread has, and for how many threads there is some; for each call of LAPACK the
last three of these; for each sort there is one: the address of scratch memory. Behind all of them,
the program says how many bytes of tapes it could not get. It puts the addresses of tapes into the
table itself.

Each node is a function of its own, which computes the sizes that it needs when it is entered.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from fnad.core.errors import InternalError
from fnad.core.sizes import Size
from fnad.lowering.access import kernel_exprs, own_access
from fnad.lowering.dynamic_planner import DynamicPlan
from fnad.lowering.dynamic_rows import has_rows, row_groups, row_work
from fnad.lowering.expr import Expr
from fnad.lowering.llvm.dynamic_kernels import emit_kernel, has_vectors_of_rows
from fnad.lowering.llvm.dynamic_lanes import emit_accumulate, emit_sort
from fnad.lowering.llvm.interface import ENTRY
from fnad.lowering.llvm.loops import CONTROL, emit_turn
from fnad.lowering.llvm.matrix.driver import FIELDS
from fnad.lowering.llvm.matrix.library import declaration
from fnad.lowering.llvm.matrix.variants import Variant
from fnad.lowering.llvm.memory import emit_memory
from fnad.lowering.llvm.routines import emit_routine
from fnad.lowering.llvm.sized import SIZES, SizedFunction, SizedPrinter
from fnad.lowering.llvm.writer import INT64, DType, Function, Module, Value
from fnad.lowering.plan import (
    Accumulate,
    Branch,
    Contraction,
    Copy,
    For,
    Kernel,
    Node,
    Release,
    Reserve,
    Routine,
    Sort,
    While,
)
from fnad.lowering.walk import postorder

# For each product, sort and call of LAPACK.
WORDS: dict[type, int] = {Contraction: 5, Sort: 1, Routine: 3}
# Work, in additions, of a few rows that kernels do one after the other, of what a thread takes on
# at a time, and from which on there are several threads.
_TOGETHER = 1 << 13
_CHUNK = 1 << 16
_PARALLEL = 1 << 18
# More of them never work together.
_THREADS = 256
# Rows at a time, at least, where each is a lane.
_COLUMNS = 256
_ROWS = Value("%first", INT64), Value("%last", INT64)
_PARALLEL_DECLARATION = "declare void @fnad.parallel(ptr, ptr, i64, i64, i64)"


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
        self.entry: Function = SizedFunction(self.module, ENTRY, ["ptr %data"], names, linkage="")
        self.counters: dict[int, Value] = {}
        self.buffers = {b.number: b for b in plan.buffers}
        self.positions: dict[int | None, int] = {n: n for n in self.buffers}
        self.place = len(plan.buffers)  # of the next product's words
        self.number = 0

    def pointer(self, number: int) -> str:
        """Where a buffer lies."""
        slot = self.entry.raw(f"getelementptr inbounds ptr, ptr %data, i64 {number}")
        return self.entry.raw(f"load ptr, ptr {slot}")

    def missing(self) -> str:
        """Where the program says how many bytes of tapes it could not get."""
        place = len(self.plan.buffers) + sum(WORDS[type(n)] for n in self.plan.prepared())
        return self.entry.raw(f"getelementptr inbounds ptr, ptr %data, i64 {place}")

    def body(self, nodes: Iterable[Node]) -> None:
        """Print nodes."""
        for group in row_groups(nodes):
            node = group[0]
            if has_rows(node):
                self._rows(group)
            elif isinstance(node, For) and node.count is None and isinstance(node.extent, Size):
                extent, one = (self.entry.b.constant(n, INT64) for n in (node.extent, 1))
                with self.entry.steps(extent, one) as index:
                    emit_turn(self, node, index, extent)
            elif isinstance(node, (For, While, Branch)):
                CONTROL[type(node)](self, node)
            elif isinstance(node, Routine):
                self._routine(node)
            elif isinstance(node, (Reserve, Release)):
                emit_memory(self, node)
            else:
                self._call(node)

    def _call(self, node: Any) -> None:
        f, used, turns = self._function(node)
        arguments: list[str] = []
        if type(node) in WORDS:
            arguments.append(f"ptr {self._words(node)}")
        arguments += [f"ptr {self.pointer(n)}" for n in used]
        arguments += [self.counters[t].typed for t in turns]
        self.entry.emit(f"call void @{f.name}({', '.join([*arguments, f'ptr {SIZES}'])})")

    def _words(self, node: Any) -> str:
        """Where the words of a node begin."""
        words = f"getelementptr inbounds ptr, ptr %data, i64 {self.place}"
        self.place += WORDS[type(node)]
        return self.entry.raw(words)

    def _routine(self, node: Routine) -> None:
        """Print calls of LAPACK, on several threads if they are worth it."""
        function, used, _ = self._function(node, by_rows=True)
        e, b, words = self.entry, self.entry.b, self._words(node)
        count, one, each = (b.constant(n, INT64) for n in (node.count, 1, node.operations))
        chunk = b.maximum(b.divide(b.constant(_CHUNK, INT64), b.maximum(each, one)), one)
        few = b.less(b.multiply(count, each), b.constant(_PARALLEL, INT64))
        scratch, own, slots = (
            e.raw(f"load i64, ptr {e.element(words, INT64, k)}") for k in range(3)
        )
        given = [f"i64 {scratch}", f"i64 {own}", f"ptr {SIZES}"]
        given += [f"ptr {self.pointer(n)}" for n in used]
        context = e.alloca("i64", len(given))
        for k, value in enumerate(given):
            e.emit(f"store {value}, ptr {e.element(context, INT64, k)}")
        with e.when(b.less(b.constant(0, INT64), count)):
            e.module.declare("fnad.parallel", _PARALLEL_DECLARATION)
            e.emit(
                f"call void @fnad.parallel(ptr @{self._calls(function, used)}, ptr {context},"
                f" {count.typed}, {b.where(few, count, chunk).typed}, i64 {slots})"
            )

    def _calls(self, function: Function, used: Sequence[int]) -> str:
        """What a thread does for a range of matrices, with scratch memory of its own."""
        f = Function(
            self.module,
            f"{function.name}.task",
            ["ptr %context", "i64 %begin", "i64 %end", "i64 %slot"],
        )
        places = [f.element("%context", INT64, k) for k in range(3 + len(used))]
        scratch, sizes, *buffers = (
            f.raw(f"load ptr, ptr {place}") for place in (places[0], *places[2:])
        )
        offset = f.b.multiply(Value("%slot", INT64), f.load(places[1], INT64))
        own = f.raw(f"getelementptr inbounds i8, ptr {scratch}, {offset.typed}")
        arguments = ", ".join(f"ptr {x}" for x in (own, *buffers))
        f.emit(f"call void @{function.name}({arguments}, i64 %begin, i64 %end, ptr {sizes})")
        f.ret()
        self.module.add(f)
        return f.name

    def _parts(self, node: Routine) -> list[tuple[str, DType, int]]:
        """The buffers of a routine: pointer, dtype, and elements for each call."""
        buffers = [self.plan.buffers[n] for n in (*node.sources, *node.outs)]
        return [(f"%buffer.{b.number}", b.dtype, b.size // node.count) for b in buffers]

    def _rows(self, kernels: Sequence[Any]) -> None:
        """Print kernels that run together, on several threads if they are worth it."""
        e, b = self.entry, self.entry.b
        functions = [self._function(kernel, by_rows=True) for kernel in kernels]
        turns = sorted({t for _, _, needed in functions for t in needed})
        extent = b.constant(kernels[0].axes[0][1], INT64)
        one, work = b.constant(1, INT64), b.constant(sum(map(row_work, kernels)), INT64)
        each = b.maximum(work, one)
        least = b.constant(_COLUMNS if any(map(has_vectors_of_rows, kernels)) else 1, INT64)
        rows = b.maximum(b.divide(b.constant(_TOGETHER * len(kernels), INT64), each), least)
        chunk = b.maximum(b.divide(b.constant(_CHUNK, INT64), each), rows)
        if len(kernels) == 1:  # nothing is to stay in cache
            rows = chunk
        few = b.less(b.multiply(extent, work), b.constant(_PARALLEL, INT64))
        values = [("ptr", "%data"), ("ptr", SIZES), ("i64", rows.ref)]
        values += [("i64", self.counters[t].ref) for t in turns]
        context = e.alloca("i64", len(values))
        for k, (kind, value) in enumerate(values):
            e.emit(f"store {kind} {value}, ptr {e.element(context, INT64, k)}")
        with e.when(b.less(b.constant(0, INT64), extent)):
            task = self._task(functions, turns)
            chunk = b.where(few, extent, chunk)
            e.module.declare("fnad.parallel", _PARALLEL_DECLARATION)
            e.emit(
                f"call void @fnad.parallel(ptr @{task}, ptr {context}, {extent.typed},"
                f" {chunk.typed}, i64 {_THREADS})"
            )

    def _task(
        self, functions: Sequence[tuple[Function, list[int], list[int]]], turns: Sequence[int]
    ) -> str:
        """What a thread does for a range of rows: all kernels for a few, then for the next."""
        f = Function(
            self.module,
            f"fnad.rows.{self.number}",
            ["ptr %context", "i64 %begin", "i64 %end", "i64 %slot"],
        )
        b, begin, end = f.b, Value("%begin", INT64), Value("%end", INT64)
        places = [f.element("%context", INT64, k) for k in range(3 + len(turns))]
        data, sizes = (f.raw(f"load ptr, ptr {place}") for place in places[:2])
        step, *known = (f.load(place, INT64) for place in places[2:])
        counters = dict(zip(turns, known))
        used = sorted({n for _, numbers, _ in functions for n in numbers})
        buffers = {}
        for n in used:
            slot = f.raw(f"getelementptr inbounds ptr, ptr {data}, i64 {n}")
            buffers[n] = f.raw(f"load ptr, ptr {slot}")
        with f.steps(b.subtract(end, begin), step) as done:
            first = b.add(begin, done)
            last = b.minimum(b.add(first, step), end)
            for function, numbers, needed in functions:
                arguments = [f"ptr {buffers[n]}" for n in numbers]
                arguments += [counters[t].typed for t in needed]
                arguments += [first.typed, last.typed, f"ptr {sizes}"]
                f.emit(f"call void @{function.name}({', '.join(arguments)})")
        f.ret()
        self.module.add(f)
        return f.name

    def _function(self, node: Any, by_rows: bool = False) -> tuple[Function, list[int], list[int]]:
        """The function of a node, the buffers and the turns that it is to be called with."""
        used = sorted(own_access(node).touched)
        turns = sorted(_turns_of(node) & self.counters.keys())
        params = [f"ptr noalias %buffer.{n}" for n in used] + [f"i64 %turn.{t}" for t in turns]
        if isinstance(node, Routine):
            params.insert(0, "ptr %scratch")
        elif type(node) in WORDS:
            params.insert(0, "ptr %words")
        if by_rows:
            params += ["i64 %first", "i64 %last"]
        f = SizedFunction(self.module, f"fnad.{self.number}", params, self.names)
        self.number += 1
        f.comment(node.origin or type(node).__name__)
        counters = {t: Value(f"%turn.{t}", INT64) for t in turns}
        p = SizedPrinter(f, {n: f"%buffer.{n}" for n in used}, counters)
        if isinstance(node, Contraction):
            _emit_product(f, p, node)
        elif isinstance(node, Routine):
            emit_routine(f, node, self._parts(node), "%scratch", _ROWS)
        elif isinstance(node, Accumulate):
            emit_accumulate(f, node, f"%buffer.{node.source}", f"%buffer.{node.out}")
        elif isinstance(node, Sort):
            emit_sort(f, node, p.pointers, [self.plan.buffers[n].dtype for n in node.outs])
        elif isinstance(node, Copy):
            dtype = self.plan.buffers[node.source].dtype
            source = f.element(p.pointers[node.source], dtype, p.value(node.source_offset))
            out = f.element(p.pointers[node.out], dtype, p.value(node.out_offset))
            f.copy(out, source, f.b.constant(node.size * dtype.itemsize, INT64))
        elif isinstance(node, Kernel):
            emit_kernel(f, p, node, _ROWS if by_rows else None)
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


def _emit_product(f: SizedFunction, p: SizedPrinter, node: Contraction) -> None:
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
        f.module.declare("fnad.parallel", _PARALLEL_DECLARATION)
        f.module.require(f"{symbol}.task", lambda module: _define_task(module, symbol))
        each, slots = (f.load(f.element("%words", INT64, k), INT64) for k in (3, 4))
        context = f.alloca("i64", 6)
        given = [f"ptr {x}" for x in (record, first, second, out, scratch)]
        for k, value in enumerate([*given, each.typed]):
            f.emit(f"store {value}, ptr {f.element(context, INT64, k)}")
        f.emit(
            f"call void @fnad.parallel(ptr @{symbol}.task, ptr {context}, {tasks.typed}, i64 1,"
            f" {slots.typed})"
        )
    with f.when(f.b.less(tasks, zero)):
        nbytes = math.prod((*node.batch, node.m, node.n)) * node.dtype.itemsize
        f.module.declare("llvm.memset.p0.i64", "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
        size = f.b.constant(nbytes, INT64)
        f.emit(f"call void @llvm.memset.p0.i64(ptr {out}, i8 0, {size.typed}, i1 false)")


def _define_task(module: Module, symbol: str) -> None:
    """What a thread does for a range of a product's tasks."""
    params = ["ptr %context", "i64 %begin", "i64 %end", "i64 %slot"]
    f = Function(module, f"{symbol}.task", params)
    places = [f.element("%context", INT64, k) for k in range(6)]
    *given, scratch = (f.raw(f"load ptr, ptr {place}") for place in places[:5])
    offset = f.b.multiply(Value("%slot", INT64), f.load(places[5], INT64))
    own = f.raw(f"getelementptr inbounds i8, ptr {scratch}, {offset.typed}")
    arguments = ", ".join(f"ptr {x}" for x in given)
    f.emit(f"call void @{symbol}({arguments}, i64 %begin, i64 %end, ptr {own})")
    f.ret()
    module.add(f)
