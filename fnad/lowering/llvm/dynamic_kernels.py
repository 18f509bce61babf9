"""Kernels over extents that are known at a call: vectors along the innermost or a reduced axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from fnad.core.sizes import Size
from fnad.core.types import kind_of
from fnad.lowering.access import kernel_exprs
from fnad.lowering.expr import Expr, affine_parts, axis
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.lanes import is_written_out
from fnad.lowering.llvm.nests import Nest
from fnad.lowering.llvm.places import Vector
from fnad.lowering.llvm.reductions import across_lanes, initial, joined, result, step
from fnad.lowering.llvm.sized import SizedFunction, SizedPrinter
from fnad.lowering.llvm.vectors import Range, along, lanes_for, mask_of, unrolling
from fnad.lowering.llvm.writer import INT64, DType, Function, Value
from fnad.lowering.plan import Kernel, Reduction

# A size is taken to be as large as that where numbers of lanes are chosen.
_LARGE = 1 << 20
# Vectors of totals that a turn adds to.
_TOTALS = 4
# Terms of a sum that are added up before they are added to the total: rounding errors grow with
# their number, and 2**24 takes in no more ones in single precision.
_PART = 256


def emit_kernel(
    f: SizedFunction, p: SizedPrinter, kernel: Kernel, rows: tuple[Value, Value] | None
) -> None:
    """Print a kernel, or those of its ``rows`` that lie in a range."""
    sums = [
        r.value for r in kernel.reductions if r.kind == "add" and r.accumulator == r.value.dtype
    ]
    p.prepare(kernel_exprs(kernel), frozenset(s.buffer for s in kernel.stores), sums)
    ranges = {number: Range(0, f.extent(extent)) for number, extent in kernel.axes}
    if rows is not None:
        ranges[kernel.axes[0][0]] = Range(*rows)
    nest = Nest(f, p, kernel, ranges)
    with ExitStack() as stack:
        for number, _ in kernel.axes:
            if ranges[number].known is None:
                stack.enter_context(f.when(f.b.less(*ranges[number].values(f))))
            elif ranges[number].stop == 0:
                return
        stack.enter_context(p.scope())
        if _runs_along_lanes(kernel):
            _emit_lanes(nest)
        else:
            _enter_loops(stack, nest, kernel.axes)
            for number, r in enumerate(kernel.reductions):
                p.bind_reduced(number, _reduced_in_vectors(f, p, r))
            nest.stores()


def has_vectors_of_rows(kernel: Kernel) -> bool:
    """Whether the lanes of a vector are neighbours on the outermost axis."""
    return len(kernel.axes) == 1 and _runs_along_lanes(kernel)


def _runs_along_lanes(kernel: Kernel) -> bool:
    """Whether vectors run along the innermost axis: what they store lies side by side.

    So do the real and the imaginary parts of complex numbers, and other short rows, together.
    """
    if not kernel.axes or kernel.sequential:
        return False
    if not kernel.parallel_inner and not all(map(_is_written_out, kernel.reductions)):
        return False
    innermost = axis(*kernel.axes[-1])
    steps = [affine_parts(s.offset)[0].get(innermost, 0) for s in kernel.stores]
    return all(type(n) is int and n == steps[0] and 1 <= n <= len(steps) for n in steps)


def _is_written_out(r: Reduction) -> bool:
    """Whether all terms stand in the code, as those of a pooling window do."""
    return all(type(extent) is int for _, extent in r.axes) and is_written_out(r)


def _enter_loops(stack: ExitStack, nest: Nest, axes: Sequence[tuple[int, int]]) -> None:
    """Loops over axes, of which each has a turn."""
    for number, _ in axes:
        r = nest.ranges[number]
        loop = stack.enter_context(nest.f.loop(r.stop, start=r.start, as_written=True))
        stack.enter_context(nest.p.scope())
        nest.p.bind_axis(number, loop.index)


def _emit_lanes(nest: Nest) -> None:
    """Vectors along the innermost axis, each with totals of its own."""
    f, p, kernel = nest.f, nest.p, nest.kernel
    *outer, (number, extent) = kernel.axes
    lanes = _lanes(nest.roots, nest.held(), extent)
    many = _TOTALS if kernel.reductions else unrolling(p, nest.roots, [n for n, _ in outer])

    def block(base: Value, count: int, mask: Value | None, carried: list[Value]) -> list[Value]:
        totals: list[list[Value]] = [[] for _ in range(count)]

        @contextmanager
        def at(k: int) -> Iterator[None]:
            with p.scope():
                p.bind_vector(Vector(number, base, k * lanes, lanes, mask))
                for place, value in enumerate(totals[k]):
                    p.bind_reduced(place, value)
                yield

        for r in kernel.reductions:
            for k, value in enumerate(_reduced_by_turns(f, p, r, lanes, count, at)):
                totals[k].append(value)
        for k in range(count):
            with at(k):
                nest.stores()
        return carried

    with ExitStack() as stack:
        _enter_loops(stack, nest, outer)
        along(f, p, nest.ranges[number], (lanes, many), block, repeatable=nest.is_plain())


def _lanes(exprs: Sequence[Expr], others: Sequence[DType], extent: int) -> int:
    return lanes_for(exprs, others, _LARGE if isinstance(extent, Size) else extent)


# -- reductions ---------------------------------------------------------------------------------


def _reduced_by_turns(
    f: Function,
    p: ExpressionPrinter,
    r: Reduction,
    lanes: int,
    count: int,
    at: Callable[[int], AbstractContextManager[None]],
) -> list[Value]:
    """A reduction term by term, in each lane of ``count`` vectors."""
    first = initial(f, r, lanes)

    def terms(state: list[Value]) -> list[Value]:
        after = []
        for k in range(count):
            with at(k):
                after += step(f, p, r, state[k * len(first) : (k + 1) * len(first)])
        return after

    state = _over(f, p, r, list(r.axes), first * count, terms)
    return [result(f, r, state[k * len(first) :][: len(first)]) for k in range(count)]


def _over(
    f: Function, p: ExpressionPrinter, r: Reduction, axes: Any, state: list[Value], body: Any
) -> list[Value]:
    """Loops over reduced axes, of any number of turns."""
    if not axes:
        found: list[Value] = body(state)
        return found
    (number, extent), *inner = axes
    if _is_written_out(r):
        for i in range(extent):
            with p.scope():
                p.bind_axis(number, f.b.constant(i, INT64))
                state = _over(f, p, r, inner, state, body)
        return state

    def turn(i: Value, carried: list[Value]) -> list[Value]:
        with p.scope():
            p.bind_axis(number, i)
            return _over(f, p, r, inner, carried, body)

    zero, stop = (f.b.constant(n, INT64) for n in (0, extent))
    return _turns(f, r, (zero, stop, 1), state, turn)


def _reduced_in_vectors(f: SizedFunction, p: SizedPrinter, r: Reduction) -> Value:
    """A reduction at a point, in vectors along the innermost of the reduced axes."""
    if not r.axes:
        return result(f, r, step(f, p, r, initial(f, r)))
    *outer, (number, extent) = r.axes
    lanes = _lanes([r.value], [r.accumulator], extent)
    # Sums in a row wait for each other; positions are told apart by the lane alone.
    inside = [n for n, _ in outer]
    count = 1 if r.kind.startswith("arg") else 2 * unrolling(p, [r.value], inside)
    stop, first = f.b.constant(extent, INT64), initial(f, r, lanes)

    def vectors(state: list[Value]) -> list[Value]:
        def turn(i: Value, carried: list[Value]) -> list[Value]:
            after = []
            for k in range(len(carried) // len(first)):
                with p.scope():
                    p.bind_vector(Vector(number, i, k * lanes, lanes))
                    after += step(f, p, r, carried[k * len(first) : (k + 1) * len(first)])
            return after

        def masked(i: Value, carried: list[Value]) -> list[Value]:
            with p.scope():
                mask = mask_of(f, f.b.subtract(stop, i), lanes)
                p.bind_vector(Vector(number, i, 0, lanes, mask))
                return step(f, p, r, carried, mask)

        zero = f.b.constant(0, INT64)
        most, whole = (f.b.bitwise_and(stop, f.b.constant(-lanes * n, INT64)) for n in (count, 1))
        state = _turns(f, r, (zero, most, lanes * count), state + first * (count - 1), turn)
        parts = [state[k * len(first) : (k + 1) * len(first)] for k in range(count)]
        while len(parts) > 1:
            parts = [joined(f, r, x, y) for x, y in zip(parts[::2], parts[1::2])]
        state = _turns(f, r, (most, whole, lanes), parts[0], turn)
        return _turns(f, r, (whole, stop, lanes), state, masked)

    with p.scope():
        states = _over(f, p, r, outer, first, vectors)
        return result(f, r, across_lanes(f, r, states))


def _turns(
    f: Function,
    r: Reduction,
    where: tuple[Value, Value, int],
    state: list[Value],
    turn: Callable[[Value, list[Value]], list[Value]],
) -> list[Value]:
    """``for i in range(*where): state = turn(i, state)``; long sums are added up in parts."""
    b, (start, stop, by) = f.b, where

    def run(first: Value, last: Value, carried: list[Value]) -> list[Value]:
        def one(i: Value, *now: Value) -> list[Value]:
            return [b.add(i, b.constant(by, INT64)), *turn(i, list(now))]

        return f.repeat([first, *carried], lambda i, *_: b.less(i, last), one)[1:]

    if r.kind != "add" or kind_of(r.accumulator) != "f":
        return run(start, stop, state)
    size = b.constant(_PART * by, INT64)

    def part(first: Value, *totals: Value) -> list[Value]:
        after = b.add(first, size)
        sums = run(first, b.minimum(after, stop), initial(f, r, totals[0].lanes) * len(totals))
        return [after, *[b.add(t, s) for t, s in zip(totals, sums)]]

    return f.repeat([start, *state], lambda i, *_: b.less(i, stop), part)[1:]
