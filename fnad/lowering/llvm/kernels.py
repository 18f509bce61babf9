"""Loop nests: `plan.Kernel`, each printed as a function of its own.

Vectors run along the innermost axis of a kernel (`_Lanes`: elementwise work, and reductions that
keep a row of totals in registers), or along a reduced axis (`_Points`: a total per point of the
kernel, the stores one by one).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from fnad.lowering.access import kernel_exprs
from fnad.lowering.expr import affine_parts, axis
from fnad.lowering.llvm.domains import Box, boxes
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.places import Vector, store
from fnad.lowering.llvm.reductions import initial, result, step
from fnad.lowering.llvm.rows import reduce_at_point
from fnad.lowering.llvm.vectors import Range, along, lanes_for, unrolling
from fnad.lowering.llvm.writer import INT64, Function, Value
from fnad.lowering.plan import Kernel, Reduction, Store
from fnad.lowering.walk import below, postorder

# Reductions of at most so many terms are written out instead of looped over.
_WRITTEN_OUT = 9

# Kernels whose stores are further apart run point by point.
_NEAR = 8

# Vectors of totals of a row that are kept in registers.
_TOTALS = 8


def emit_kernel(
    f: Function,
    p: ExpressionPrinter,
    kernel: Kernel,
    begin: Value,
    end: Value,
    multiple: int = 1,
) -> None:
    """Emit the loops of a kernel, its outermost axis from ``begin`` to ``end``.

    The length of that range is a multiple of ``multiple``. A kernel without axes and a
    sequential one run as a whole.
    """
    if any(extent == 0 for _, extent in kernel.axes):
        return
    tasks = Range(_number(begin), _number(end), multiple)
    if not kernel.axes or kernel.sequential:
        tasks = Range(0, kernel.axes[0][1] if kernel.axes else 1)
    for box in boxes(kernel):
        with p.scope():
            _emit_box(f, p, kernel, box, tasks)


def _number(bound: Value) -> int | Value:
    return int(bound.ref) if bound.ref.isdigit() else bound


def _emit_box(f: Function, p: ExpressionPrinter, whole: Kernel, box: Box, tasks: Range) -> None:
    """Emit those tasks of a box that are among ``tasks``."""
    kernel = box.kernel
    sums = [
        r.value for r in kernel.reductions if r.kind == "add" and r.accumulator == r.value.dtype
    ]
    p.prepare(kernel_exprs(kernel), frozenset(s.buffer for s in kernel.stores), sums)
    ranges = {number: Range(0, extent) for number, extent in kernel.axes}
    with ExitStack() as stack:
        if box.tasks != (0, whole.axes[0][1] if whole.axes else 1):
            tasks = tasks.part(f, *box.tasks)
            if tasks.known is None:
                stack.enter_context(f.when(f.b.less(*tasks.values(f))))
            elif tasks.known[0] >= tasks.known[1]:
                return
        if whole.axes and whole.axes[0][0] in ranges:
            ranges[whole.axes[0][0]] = tasks
        nest = _Nest(f, p, kernel, ranges)
        if _runs_along_lanes(kernel):
            _emit_lanes(nest)
        else:
            _emit_points(nest)


def _terms(r: Reduction) -> int:
    return math.prod(extent for _, extent in r.axes)


def _runs_along_lanes(kernel: Kernel) -> bool:
    """Whether vectors run along the innermost axis."""
    if not kernel.axes or kernel.axes[-1][1] == 1:
        return False
    if kernel.sequential:
        return not kernel.reductions and all(_disjoint_lanes(kernel, s) for s in kernel.stores)
    if not kernel.parallel_inner and any(_terms(r) > _WRITTEN_OUT for r in kernel.reductions):
        return False
    innermost = axis(*kernel.axes[-1])
    strides = [affine_parts(s.offset)[0].get(innermost, 0) for s in kernel.stores]
    return any(0 < abs(stride) <= _NEAR for stride in strides)


def _disjoint_lanes(kernel: Kernel, store: Store) -> bool:
    """Whether the points of the innermost axis of a sequential kernel go to different places."""
    innermost = axis(*kernel.axes[-1])
    terms, _ = affine_parts(store.offset)
    if innermost not in terms or any(innermost in below(t) for t in terms if t is not innermost):
        return False
    written = {s.buffer for s in kernel.stores}
    return not any(e.op == "load" and e.attr in written for e in postorder(kernel_exprs(kernel)))


class _Nest:
    """A kernel with what its loops share."""

    def __init__(
        self, f: Function, p: ExpressionPrinter, kernel: Kernel, ranges: dict[int, Range]
    ) -> None:
        self.f, self.p, self.kernel, self.ranges = f, p, kernel, ranges
        self.roots = kernel_exprs(kernel)

    @contextmanager
    def loops(self, axes: Sequence[tuple[int, int]], vector: int | None) -> Iterator[None]:
        """Loops over axes; what does not vary inside of one is emitted before it."""
        f, p = self.f, self.p
        with ExitStack() as stack:
            self.hoist(vector)
            for number, _ in axes:
                where = self.ranges[number]
                loop = stack.enter_context(f.loop(where.stop, start=where.start))
                stack.enter_context(p.scope())
                p.bind_axis(number, loop.index)
                self.hoist(vector)
            yield

    def hoist(self, vector: int | None) -> None:
        """Emit what the loops to come need not repeat; vectors will run along ``vector``."""
        self.p.hoist(self.roots, vector)
        for s in self.kernel.stores:
            self.p.hoist_place(s.buffer, s.value.dtype, s.offset, vector)

    def stores(self) -> None:
        """Compute what a point stores, all of it before any is written."""
        p = self.p
        computed = []
        for s in self.kernel.stores:
            computed.append((p.value(s.value), p.value(s.when) if s.when is not None else None))
        for s, (value, when) in zip(self.kernel.stores, computed):
            self._write(s, value, when)

    def _write(self, s: Store, value: Value, when: Value | None) -> None:
        combine = getattr(self.f.b, _COMBINE[s.combine]) if s.combine is not None else None
        if when is None or when.lanes > 1:
            store(self.p, s.buffer, s.offset, value, combine, when)
            return
        with self.f.when(when), self.p.scope():
            store(self.p, s.buffer, s.offset, value, combine, None)


_COMBINE = {"add": "add", "multiply": "multiply", "min": "minimum", "max": "maximum"}


# -- vectors along a reduced axis, or none ------------------------------------------------------


def _emit_points(nest: _Nest) -> None:
    """Point by point; what is reduced at a point is reduced in vectors."""
    with nest.loops(nest.kernel.axes, None):
        for number, r in enumerate(nest.kernel.reductions):
            nest.p.bind_reduced(number, reduce_at_point(nest.f, nest.p, r))
        nest.stores()


# -- vectors along the innermost axis -----------------------------------------------------------


def _emit_lanes(nest: _Nest) -> None:
    kernel = nest.kernel
    *outer, (number, extent) = kernel.axes
    others = [r.accumulator for r in kernel.reductions]
    lanes = lanes_for(nest.roots, others, extent)
    looped = any(_terms(r) > _WRITTEN_OUT for r in kernel.reductions)
    count = _TOTALS if looped else unrolling(nest.roots)

    def block(base: Value, count: int, mask: Value | None, carried: list[Value]) -> list[Value]:
        _emit_block(nest, [Vector(number, base, k * lanes, lanes, mask) for k in range(count)])
        return carried

    while count * lanes > max(extent, lanes):
        count //= 2  # a power of two
    shape = lanes, count
    with nest.loops(outer, number):
        along(nest.f, nest.p, nest.ranges[number], shape, block)


def _emit_block(nest: _Nest, vectors: Sequence[Vector]) -> None:
    """The points of some neighbouring vectors: reductions, then stores."""
    f, p = nest.f, nest.p
    totals: list[list[Value]] = [[] for _ in vectors]  # by vector, then by reduction

    @contextmanager
    def at(k: int) -> Iterator[None]:
        with p.scope():
            p.bind_vector(vectors[k])
            for number, value in enumerate(totals[k]):
                p.bind_reduced(number, value)
            yield

    for r in nest.kernel.reductions:
        states = _reduce_lanes(nest, r, vectors, at)
        for k, state in enumerate(states):
            totals[k].append(result(f, r, state))
    for k in range(len(vectors)):
        with at(k):
            nest.stores()


def _reduce_lanes(
    nest: _Nest,
    r: Reduction,
    vectors: Sequence[Vector],
    at: Callable[[int], AbstractContextManager[None]],
) -> list[list[Value]]:
    """One reduction of each lane of some vectors, in the order of the reduced axes."""
    f, p = nest.f, nest.p

    def terms(states: list[list[Value]]) -> list[list[Value]]:
        new = []
        for k, state in enumerate(states):
            with at(k):
                new.append(step(f, p, r, state))
        return new

    def inside(axes: Sequence[tuple[int, int]], states: list[list[Value]]) -> list[list[Value]]:
        if not axes:
            return terms(states)
        (number, extent), *inner = axes
        if _terms(r) <= _WRITTEN_OUT:
            for i in range(extent):
                with p.scope():
                    p.bind_axis(number, f.b.constant(i, INT64))
                    states = inside(inner, states)
            return states
        flat = [v for state in states for v in state]
        with f.loop(extent, flat) as loop, p.scope():
            p.bind_axis(number, loop.index)
            p.hoist([r.value], vectors[0].number)
            carried = inside(inner, _chunks(loop.carried, len(states[0])))
            loop.carried = [v for state in carried for v in state]
        return _chunks(loop.carried, len(states[0]))

    return inside(r.axes, [initial(f, r, v.lanes) for v in vectors])


def _chunks(values: Sequence[Value], size: int) -> list[list[Value]]:
    return [list(values[i : i + size]) for i in range(0, len(values), size)]
