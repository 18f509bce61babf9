"""Loop nests: `plan.Kernel`, each printed as a function of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np

from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.writer import INT64, DType, Function, Value, memory_type
from fnad.lowering.plan import Kernel, Reduction, Store

# Elements of a row of accumulators that are kept on the stack at a time.
_TILE = 512

# Reductions of at most so many terms are written out instead of looped over.
_WRITTEN_OUT = 9

Axes = Sequence[tuple[int, int]]
Range = tuple[Value, Value]


def neutral(kind: str, dtype: DType) -> object:
    """The value that a reduction starts from."""
    if kind in ("add", "or"):
        return 0
    if kind == "multiply":
        return 1
    if kind == "and":
        return True if dtype.kind == "b" else -1
    low = kind in ("max", "argmax", "logaddexp")
    if dtype.kind == "f":
        return -np.inf if low else np.inf
    if dtype.kind == "b":
        return not low
    info = np.iinfo(dtype)
    return info.min if low else info.max


def emit_kernel(
    f: Function, p: ExpressionPrinter, kernel: Kernel, begin: Value, end: Value
) -> None:
    """Emit the loops of a kernel, its outermost axis from ``begin`` to ``end``.

    A kernel without axes and a sequential one run as a whole.
    """
    if any(extent == 0 for _, extent in kernel.axes):
        return
    tasks: Range | None = (begin, end)
    if kernel.sequential or not kernel.axes or kernel.axes[0][1] == 1:
        tasks = None
    if kernel.parallel_inner and kernel.axes and kernel.reductions and not kernel.sequential:
        _Rows(f, p, kernel, tasks).emit()
        return
    with ExitStack() as stack:
        _enter_axes(stack, f, p, kernel.axes, tasks)
        for number, reduction in enumerate(kernel.reductions):
            p.bind_reduced(number, _reduce(f, p, reduction))
        for store in kernel.stores:
            _store(f, p, store)


def _enter_axes(
    stack: ExitStack, f: Function, p: ExpressionPrinter, axes: Axes, tasks: Range | None = None
) -> None:
    for position, (number, extent) in enumerate(axes):
        part = tasks if position == 0 else None
        loop = stack.enter_context(f.loop(f.b.subtract(part[1], part[0]) if part else extent))
        stack.enter_context(p.scope())
        p.bind_axis(number, f.b.add(loop.index, part[0]) if part else loop.index)


def _store(f: Function, p: ExpressionPrinter, store: Store) -> None:
    value, offset = p.value(store.value), p.value(store.offset)

    def write() -> None:
        place = f.element(p.pointers[store.buffer], value.dtype, offset)
        new = value
        if store.combine is not None:
            combine = getattr(f.b, _COMBINE[store.combine])
            new = combine(f.load(place, value.dtype), value)
        f.store(new, place)

    if store.when is None:
        write()
    else:
        with f.when(p.value(store.when)):
            write()


_COMBINE = {"add": "add", "multiply": "multiply", "min": "minimum", "max": "maximum"}


# -- reductions ---------------------------------------------------------------------------------


def _initial(f: Function, r: Reduction) -> list[Value]:
    """What the loops of a reduction carry at first: a total, or an extremum and its position."""
    start = [f.b.constant(neutral(r.kind, r.accumulator), r.accumulator)]
    if r.kind.startswith("arg"):
        start.append(f.b.constant(0, INT64))
    return start


def _step(f: Function, p: ExpressionPrinter, r: Reduction, carried: list[Value]) -> list[Value]:
    """One value more in a reduction."""
    b = f.b
    term = b.convert(p.value(r.value), r.accumulator)
    if not r.kind.startswith("arg"):
        return [b.accumulate(r.kind, carried[0], term)]
    best, place = carried
    better = (b.greater if r.kind == "argmax" else b.less)(term, best)
    if term.dtype.kind == "f":
        first_nan = b.bitwise_and(b.not_equal(term, term), b.equal(best, best))
        better = b.bitwise_or(better, first_nan)
    return [b.where(better, term, best), b.where(better, _position(f, p, r.axes), place)]


def _position(f: Function, p: ExpressionPrinter, axes: Axes) -> Value:
    """The row-major position of a point of ``axes``."""
    b = f.b
    position = b.constant(0, INT64)
    for number, extent in axes:
        scaled = b.multiply(position, b.constant(extent, INT64))
        position = b.add(scaled, p.axis(number))
    return position


def _result(f: Function, r: Reduction, carried: Sequence[Value]) -> Value:
    return f.b.convert(carried[-1], r.dtype)


def _reduce(f: Function, p: ExpressionPrinter, r: Reduction) -> Value:
    """A reduction whose loops carry the total."""
    if any(extent == 0 for _, extent in r.axes):
        return _result(f, r, _initial(f, r))

    # A few terms (a pooling window, say) are written out, so that outer loops can vectorise.
    written_out = math.prod(extent for _, extent in r.axes) <= _WRITTEN_OUT

    def nest(axes: Axes, carried: list[Value]) -> list[Value]:
        if not axes:
            return _step(f, p, r, carried)
        (number, extent), *inner = axes
        if written_out:
            for i in range(extent):
                with p.scope():
                    p.bind_axis(number, f.b.constant(i, INT64))
                    carried = nest(inner, carried)
            return carried
        with f.loop(extent, carried) as loop, p.scope():
            p.bind_axis(number, loop.index)
            loop.carried = nest(inner, loop.carried)
        return loop.carried

    return _result(f, r, nest(r.axes, _initial(f, r)))


class _Rows:
    """A kernel whose innermost axis runs inside its reductions: a row of accumulators.

    ``for outer: for tile: clear row; for reduced: for inner: row += value; for inner: store``.
    """

    def __init__(
        self, f: Function, p: ExpressionPrinter, kernel: Kernel, tasks: Range | None
    ) -> None:
        self.f, self.p, self.kernel, self.tasks = f, p, kernel, tasks
        self.number, self.extent = kernel.axes[-1]
        self.tile = min(self.extent, _TILE)
        self.rows: list[list[tuple[str, DType]]] = []
        for r in kernel.reductions:
            self.rows.append(
                [(f.alloca(memory_type(v.dtype), self.tile), v.dtype) for v in _initial(f, r)]
            )

    def emit(self) -> None:
        f, p, b = self.f, self.p, self.f.b
        with ExitStack() as stack:
            outer = self.kernel.axes[:-1]
            _enter_axes(stack, f, p, outer, self.tasks)
            tile = b.constant(self.tile, INT64)
            if self.tasks and not outer:  # the tasks are a part of the row
                first, stop = self.tasks
                turns = b.add(b.subtract(stop, first), b.constant(self.tile - 1, INT64))
                tiles = stack.enter_context(f.loop(b.divide(turns, tile)))
                start = b.add(first, b.multiply(tiles.index, tile))
                length: int | Value = b.minimum(b.subtract(stop, start), tile)
            else:
                tiles = stack.enter_context(f.loop(-(-self.extent // self.tile)))
                start, length = b.multiply(tiles.index, tile), self.tile
                if self.extent % self.tile:
                    length = b.minimum(b.subtract(b.constant(self.extent, INT64), start), tile)
            stack.enter_context(p.scope())
            for number, reduction in enumerate(self.kernel.reductions):
                self._reduce(number, reduction, start, length)

            def finish(j: Value) -> None:
                self._bind(start, j, len(self.rows))
                for store in self.kernel.stores:
                    _store(f, p, store)

            self._row_loop(length, finish)

    def _row_loop(self, length: int | Value, body: Callable[[Value], None]) -> None:
        with self.f.loop(length) as loop, self.p.scope():
            body(loop.index)

    def _bind(self, start: Value, j: Value, known: int) -> None:
        """At element ``j`` of the row: the axis, and the reductions that are complete."""
        self.p.bind_axis(self.number, self.f.b.add(start, j))
        for number, r in enumerate(self.kernel.reductions[:known]):
            self.p.bind_reduced(number, _result(self.f, r, self._load(number, j)))

    def _load(self, number: int, j: Value) -> list[Value]:
        f = self.f
        return [f.load(f.element(row, dtype, j), dtype) for row, dtype in self.rows[number]]

    def _save(self, number: int, j: Value, values: Sequence[Value]) -> None:
        for (row, dtype), value in zip(self.rows[number], values, strict=True):
            self.f.store(value, self.f.element(row, dtype, j))

    def _reduce(self, number: int, r: Reduction, start: Value, length: int | Value) -> None:
        f, p = self.f, self.p
        self._row_loop(length, lambda j: self._save(number, j, _initial(f, r)))
        if any(extent == 0 for _, extent in r.axes):
            return

        def step(j: Value) -> None:
            self._bind(start, j, number)
            self._save(number, j, _step(f, p, r, self._load(number, j)))

        with ExitStack() as stack:
            _enter_axes(stack, f, p, r.axes)
            self._row_loop(length, step)
