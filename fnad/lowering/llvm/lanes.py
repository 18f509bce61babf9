"""Kernels with vectors along their innermost axis, reductions keeping a row of totals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial

from fnad.lowering.expr import Expr, axis
from fnad.lowering.llvm import host
from fnad.lowering.llvm.interleaved import columns, fills_registers, read_rows, whole_rows
from fnad.lowering.llvm.nests import Nest
from fnad.lowering.llvm.places import Vector
from fnad.lowering.llvm.reductions import in_loops, initials, results, steps
from fnad.lowering.llvm.scattered import bounds_of, if_inside, written_rows
from fnad.lowering.llvm.vectors import Range, along, lanes_for, unrolling
from fnad.lowering.llvm.writer import INT64, Value
from fnad.lowering.plan import Reduction

# Reductions of at most so many terms are written out instead of looped over.
_WRITTEN_OUT = 9

# Matrices of fewer elements lie in a cache, where short pieces of rows are as good as long ones.
_LARGE = 1 << 18

# An extremum and its position take the registers of so many sums.
_EXTREMUM = 2


def is_written_out(r: Reduction) -> bool:
    """Whether all terms of a reduction stand in the code, as those of a pooling window do."""
    return _terms(r) <= _WRITTEN_OUT


def _terms(r: Reduction) -> int:
    return math.prod(extent for _, extent in r.axes)


def emit_lanes(nest: Nest, parts: Range) -> None:
    """Emit vectors along the innermost axis: elementwise work, and rows of totals.

    If the kernel writes rows in order, those in ``parts`` of the buffer (`scattered`).
    """
    kernel = nest.kernel
    *outer, (number, extent) = kernel.axes
    lanes = lanes_for(nest.roots, nest.held(), extent)
    looped = [r for r in kernel.reductions if not is_written_out(r)]
    if looped:
        count = _vectors_of_totals(looped, extent)
    elif any(fills_registers(r, axis(number, extent)) for r in kernel.reductions):
        count = 1
    else:
        count = unrolling(nest.p, nest.roots, [n for n, _ in outer])

    def block(base: Value, count: int, mask: Value | None, carried: list[Value]) -> list[Value]:
        _emit_block(nest, [Vector(number, base, k * lanes, lanes, mask) for k in range(count)])
        return carried

    while count * lanes > max(extent, lanes):
        count //= 2  # a power of two
    shape = lanes, count
    start = written_rows(kernel) if kernel.sequential else None
    bounds = None if start is None else bounds_of(nest, start, parts)
    with nest.loops(outer, number), ExitStack() as stack:
        if start is not None and bounds is not None:
            stack.enter_context(if_inside(nest, start, bounds))
        repeatable = not kernel.sequential and nest.is_plain()
        along(nest.f, nest.p, nest.ranges[number], shape, block, repeatable=repeatable)


def _vectors_of_totals(reductions: Sequence[Reduction], extent: int) -> int:
    """How many vectors of totals of a row fit half of the registers; a power of two."""
    taken = sum(_EXTREMUM if r.kind.startswith("arg") else 1 for r in reductions)
    fit = max((16 if host.has_masks() else 8) // taken, 1)
    if extent * max(map(_terms, reductions)) < _LARGE:
        fit = min(fit, 4)
    return 1 << (fit.bit_length() - 1)


def _emit_block(nest: Nest, vectors: Sequence[Vector]) -> None:
    """The points of some neighbouring vectors: reductions, then stores."""
    f, p = nest.f, nest.p
    totals: list[list[Value]] = [[] for _ in vectors]  # by vector, then by reduction
    rows: list[dict[Expr, Value]] = [{} for _ in vectors]  # by vector: what lies in whole rows

    @contextmanager
    def at(k: int) -> Iterator[None]:
        with p.scope():
            p.bind_vector(vectors[k])
            for number, value in enumerate(totals[k]):
                p.bind_reduced(number, value)
            for load, value in rows[k].items():
                p.keep(load, value)
            yield

    stored = [s.value for s in nest.kernel.stores]
    if len(stored) > 1 and nest.kernel.reductions:  # whose loops may need them
        for k in range(len(vectors)):
            with at(k):
                for row in whole_rows(p, stored):
                    rows[k].update(zip(row, read_rows(p, row)))
    for together in in_loops(nest.kernel.reductions):
        states = _reduce_lanes(nest, together, vectors, at)
        for k, state in enumerate(states):
            totals[k] += results(f, together, state)
    for k in range(len(vectors)):
        with at(k):
            if len(stored) > 1 and not nest.kernel.reductions:
                for row in whole_rows(p, stored):
                    p.keep_later(row, partial(read_rows, p, row))
            nest.stores()


def _reduce_lanes(
    nest: Nest,
    together: Sequence[Reduction],
    vectors: Sequence[Vector],
    at: Callable[[int], AbstractContextManager[None]],
) -> list[list[Value]]:
    """Some reductions of each lane of some vectors, in the order of the reduced axes."""
    f, p = nest.f, nest.p
    axes, written_out = together[0].axes, is_written_out(together[0])
    rows: list[dict[Expr, list[Value]]] = []  # by vector: loads whose terms are there already
    if written_out:
        for k in range(len(vectors)):
            with at(k):
                rows.append({})
                for r in together:
                    rows[k].update(columns(f, p, r))

    def terms(states: list[list[Value]], turn: int) -> list[list[Value]]:
        new = []
        for k, state in enumerate(states):
            with at(k):
                for load, values in rows[k].items() if rows else ():
                    p.keep(load, values[turn])
                new.append(steps(f, p, together, state))
        return new

    def inside(
        axes: Sequence[tuple[int, int]], states: list[list[Value]], turn: int = 0
    ) -> list[list[Value]]:
        if not axes:
            return terms(states, turn)
        (number, extent), *inner = axes
        if written_out:
            for i in range(extent):
                with p.scope():
                    p.bind_axis(number, f.b.constant(i, INT64))
                    states = inside(inner, states, i)
            return states
        flat = [v for state in states for v in state]
        with f.loop(extent, flat, as_written=True) as loop, p.scope():
            p.bind_axis(number, loop.index)
            p.hoist([r.value for r in together], vectors[0].number)
            carried = inside(inner, _chunks(loop.carried, len(states[0])))
            loop.carried = [v for state in carried for v in state]
        return _chunks(loop.carried, len(states[0]))

    return inside(axes, [initials(f, together, v.lanes) for v in vectors])


def _chunks(values: Sequence[Value], size: int) -> list[list[Value]]:
    return [list(values[i : i + size]) for i in range(0, len(values), size)]
