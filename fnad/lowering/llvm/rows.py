"""Kernels point by point: a total at each, in vectors along the innermost of the reduced axes."""

from __future__ import annotations

from collections.abc import Sequence

from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.nests import Nest
from fnad.lowering.llvm.places import Vector
from fnad.lowering.llvm.reductions import both, in_loops, initials, results, steps
from fnad.lowering.llvm.vectors import along_known, has_few, lanes_for
from fnad.lowering.llvm.writer import Function, Value
from fnad.lowering.plan import Reduction

State = list[Value]  # what some reductions carry
Together = Sequence[Reduction]


def emit_points(nest: Nest) -> None:
    """Point by point; what is reduced at a point is reduced in vectors."""
    with nest.loops(nest.kernel.axes, None):
        number = 0
        for together in in_loops(nest.kernel.reductions):
            for value in _reduce_at_point(nest.f, nest.p, together):
                nest.p.bind_reduced(number, value)
                number += 1
        nest.stores()


def _reduce_at_point(f: Function, p: ExpressionPrinter, together: Together) -> list[Value]:
    """Reduce all terms of a point: several vectors of totals, joined in a fixed order.

    They take turns, so that one addition need not wait for the one before.
    """
    one, first = together[0], initials(f, together)
    if any(extent == 0 for _, extent in one.axes):
        return results(f, together, first)
    if not one.axes:
        return results(f, together, steps(f, p, together, first))
    *outer, (number, extent) = one.axes
    lanes = lanes_for([one.value], [one.accumulator], extent)
    count = 1
    if not has_few(extent, lanes):
        count = next((n for n in (4, 2) if n * lanes <= extent), 1)
    with p.scope():
        start = [initials(f, together, lanes)] * count
        states = _over(f, p, together, outer, (number, extent), start)
        while len(states) > 1:  # a power of two
            states = [both(f, together, *states[i : i + 2]) for i in range(0, len(states), 2)]
        return results(f, together, states[0], joining=True)


def _over(
    f: Function,
    p: ExpressionPrinter,
    together: Together,
    outer: Sequence[tuple[int, int]],
    innermost: tuple[int, int],
    states: list[State],
) -> list[State]:
    """The loops over the outer ones of the reduced axes, which carry all totals."""
    p.hoist([r.value for r in together], innermost[0])
    if not outer:
        return _row(f, p, together, innermost, states)
    (number, extent), *inner = outer
    with f.loop(extent, _flat(states), as_written=True) as loop, p.scope():
        p.bind_axis(number, loop.index)
        again = _over(f, p, together, inner, innermost, _states(loop.carried, states))
        loop.carried = _flat(again)
    return _states(loop.carried, states)


def _row(
    f: Function,
    p: ExpressionPrinter,
    together: Together,
    axis: tuple[int, int],
    states: list[State],
) -> list[State]:
    """One pass along the innermost axis."""
    number, extent = axis
    lanes = states[0][0].lanes

    def body(base: Value, count: int, mask: Value | None, values: list[Value]) -> list[Value]:
        old = _states(values, states)
        for k in range(count):
            with p.scope():
                p.bind_vector(Vector(number, base, k * lanes, lanes, mask))
                old[k] = steps(f, p, together, old[k], mask)
        return _flat(old)

    carried = along_known(f, p, (0, extent), (lanes, len(states)), body, _flat(states))
    return _states(carried, states)


def _flat(states: Sequence[State]) -> list[Value]:
    return [v for state in states for v in state]


def _states(values: Sequence[Value], like: Sequence[State]) -> list[State]:
    size = len(like[0])
    return [list(values[i : i + size]) for i in range(0, len(values), size)]
