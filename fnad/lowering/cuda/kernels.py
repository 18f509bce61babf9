"""Kernels of a plan as ``__global__`` functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack

from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.teams import Accumulator, Team, team_for
from fnad.lowering.cuda.writer import INT64, Function, Value
from fnad.lowering.plan import Kernel, Reduction, Store

Axes = tuple[tuple[int, int], ...]
_INT32_MAX = 2**31 - 1
# Turns of a loop over terms that are in flight together.
_UNROLL = 4


def count(axes: Axes) -> int:
    """How many points loops have."""
    return math.prod(extent for _, extent in axes)


def index_kind(most: int) -> str:
    """The type of indices that are not above ``most``."""
    return "i32" if most <= _INT32_MAX else "i64"


def team_of(kernel: Kernel) -> Team:
    """Which threads work on a point of a kernel."""
    if kernel.sequential:
        return Team(1, 1)
    terms = max((count(r.axes) for r in kernel.reductions), default=1)
    return team_for(count(kernel.axes), terms, kernel.parallel_inner)


def blocks_of(kernel: Kernel) -> int:
    """How many blocks of threads a kernel is launched with."""
    return 1 if kernel.sequential else -(-count(kernel.axes) // team_of(kernel).width)


def print_kernel(f: Function, printer: ExpressionPrinter, kernel: Kernel) -> None:
    """Append the body of a kernel, launched with `blocks_of` blocks of `team_of` threads."""
    points, team = count(kernel.axes), team_of(kernel)
    kind = index_kind(points + team.width)
    if kernel.sequential:
        point = f.fresh("point")
        with f.block(f"for ({kind} {point} = 0; {point} < {points}; {point}++)"):
            _print_point(f, printer, kernel, team, point, kind, "")
        return
    point = f.named(kind, f"({kind})blockIdx.x * {team.width} + {team.place}", INT64).ref
    inside = "" if points % team.width == 0 else f"{point} < {points}"
    if not inside or team.lanes == 1:
        if inside:
            f.line(f"if ({point} >= {points}) return;")
        _print_point(f, printer, kernel, team, point, kind, "")
        return
    # All threads take part in reductions, those beyond the last point with another one.
    clamped = f.named(kind, f"{inside} ? {point} : {points - 1}", INT64).ref
    _print_point(f, printer, kernel, team, clamped, kind, inside)


def _print_point(
    f: Function,
    printer: ExpressionPrinter,
    kernel: Kernel,
    team: Team,
    point: str,
    kind: str,
    inside: str,
) -> None:
    """The reductions and stores of one point."""
    with printer.scope():
        bind_axes(f, printer, kernel.axes, point, kind)
        for number, reduction in enumerate(kernel.reductions):
            printer.bind_reduced(number, print_reduction(f, printer, reduction, team))
        conditions = [inside] if inside else []
        if team.lanes > 1:
            conditions.append(f"{team.lane} == 0")
        with ExitStack() as stack:
            if conditions:
                stack.enter_context(f.block(f"if ({' && '.join(conditions)})"))
                stack.enter_context(printer.scope())
            print_stores(f, printer, kernel.stores)


def bind_axes(f: Function, printer: ExpressionPrinter, axes: Axes, point: str, kind: str) -> None:
    """Take the row-major number of a point apart into the loop variables, innermost last."""
    rest = point
    for position, (number, extent) in reversed(list(enumerate(axes))):
        if position == 0:
            printer.bind_axis(number, Value(rest, INT64))
            return
        unsigned = kind.replace("i", "u")
        quotient = f.named(kind, f"({kind})(({unsigned}){rest} / {extent}u)", INT64).ref
        narrow = index_kind(extent)
        index = f.named(narrow, f"({narrow})({rest} - {quotient} * {extent})", INT64)
        printer.bind_axis(number, index)
        rest = quotient


def print_reduction(
    f: Function, printer: ExpressionPrinter, reduction: Reduction, team: Team
) -> Value:
    """A reduction by a team: each lane takes every so-manieth term."""
    accumulator = Accumulator(f, reduction)
    terms = count(reduction.axes)
    kind = index_kind(terms + team.lanes)
    term = f.fresh("term")
    f.line(f"#pragma unroll {_UNROLL}")
    with (
        f.block(f"for ({kind} {term} = {team.lane}; {term} < {terms}; {term} += {team.lanes})"),
        printer.scope(),
    ):
        bind_axes(f, printer, reduction.axes, term, kind)
        accumulator.add(printer.value(reduction.value), term)
    accumulator.join(team)
    return accumulator.result()


def print_stores(f: Function, printer: ExpressionPrinter, stores: Sequence[Store]) -> None:
    """All values first: a store must not change what another one reads."""
    ready = [
        (
            store,
            printer.value(store.offset),
            printer.value(store.value),
            None if store.when is None else printer.value(store.when),
        )
        for store in stores
    ]
    for store, offset, value, when in ready:
        place = f"{printer.pointers[store.buffer]}[{offset.ref}]"
        with ExitStack() as stack:
            if when is not None:
                stack.enter_context(f.block(f"if ({when.ref})"))
            if store.combine is not None:
                old = f.value(place, value.dtype)
                value = f.b.accumulate(store.combine, old, value)
            f.line(f"{place} = {value.ref};")
