"""Kernels of a plan as ``__global__`` functions."""

from __future__ import annotations

from contextlib import ExitStack

from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.points import bind_axes, count, index_kind, print_stores
from fnad.lowering.cuda.reductions import print_reduction
from fnad.lowering.cuda.teams import Team, team_for
from fnad.lowering.cuda.writer import INT64, Function
from fnad.lowering.plan import Kernel


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
