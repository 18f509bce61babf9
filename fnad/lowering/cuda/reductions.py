"""Reductions by teams of threads, whose terms are read in words where they lie side by side."""

from __future__ import annotations

import math
from contextlib import ExitStack

from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.points import bind_axes, count, index_kind
from fnad.lowering.cuda.teams import Accumulator, Team
from fnad.lowering.cuda.words import Words, length_of, most_lanes, uniform
from fnad.lowering.cuda.writer import INT64, Function, Value
from fnad.lowering.expr import Expr, axis
from fnad.lowering.plan import Reduction
from fnad.lowering.walk import loads

# Turns of a loop that are in flight together: over words of terms, and over single terms.
_UNROLL = 4
_UNROLL_TERMS = 8


def print_reduction(
    f: Function, printer: ExpressionPrinter, reduction: Reduction, team: Team
) -> Value:
    """A reduction by a team: each lane takes every so-manieth term, or word of terms."""
    accumulator = Accumulator(f, reduction)
    terms = count(reduction.axes)
    lanes, words = lanes_of(reduction, team)
    vectors = terms // lanes
    kind = index_kind(terms + team.lanes * lanes)
    with printer.scope():
        for e in uniform([reduction.value], [axis(*a) for a in reduction.axes]):
            printer.value(e)
        vector = f.fresh("term")
        f.line(f"#pragma unroll {_UNROLL if lanes > 1 else _UNROLL_TERMS}")
        head = f"{kind} {vector} = {team.lane}; {vector} < {vectors}; {vector} += {team.lanes}"
        with f.block(f"for ({head})"):
            if lanes == 1:
                _print_term(f, printer, reduction, accumulator, vector, kind)
            else:
                _print_words(f, printer, reduction, accumulator, vector, kind, lanes, words)
        rest = terms - vectors * lanes
        if rest:
            with f.block(f"if ({team.lane} < {rest})"):
                term = f.named(kind, f"{vectors * lanes} + {team.lane}", INT64).ref
                _print_term(f, printer, reduction, accumulator, term, kind)
    accumulator.join(team)
    return accumulator.result()


def lanes_of(reduction: Reduction, team: Team) -> tuple[int, dict[Expr, int]]:
    """How many neighbouring terms a thread takes together, and the lengths of loads' words."""
    if team.lanes == 1 or team.strided or not reduction.axes:
        return 1, {}
    inner = axis(*reduction.axes[-1])
    read = loads([reduction.value])
    lanes = most_lanes([e.dtype for e in read])
    if len(reduction.axes) > 1:  # a word does not leave its row
        lanes = math.gcd(lanes, reduction.axes[-1][1])
    while lanes > 1:
        words = {e: length_of(e.args[0], inner, e.dtype.itemsize, lanes) for e in read}
        words = {e: n for e, n in words.items() if n > 1}
        if words and team.lanes * lanes < 2 * count(reduction.axes):
            return lanes, words
        lanes //= 2
    return 1, {}


def _print_term(
    f: Function,
    printer: ExpressionPrinter,
    reduction: Reduction,
    accumulator: Accumulator,
    term: str,
    kind: str,
) -> None:
    with printer.scope():
        bind_axes(f, printer, reduction.axes, term, kind)
        accumulator.add(printer.value(reduction.value), term)


def _print_words(
    f: Function,
    printer: ExpressionPrinter,
    reduction: Reduction,
    accumulator: Accumulator,
    vector: str,
    kind: str,
    lanes: int,
    lengths: dict[Expr, int],
) -> None:
    """The terms of a vector: its words first, then one after another."""
    *outer, (number, extent) = reduction.axes
    with printer.scope(), ExitStack() as stack:
        bind_axes(f, printer, (*outer, (number, extent // lanes)), vector, kind)
        base = f.named(kind, f"{printer.axis_value(number).ref} * {lanes}", INT64)
        printer.bind_axis(number, base)
        words = {e: Words(f, e.dtype, lanes, length) for e, length in lengths.items()}
        with printer.scope():
            for e, held in words.items():
                held.fill(printer.pointers[e.attr], printer.value(e.args[0]))
        for e in uniform([reduction.value], {axis(number, extent), *words}):
            printer.value(e)
        lane = f.fresh("lane")
        f.line("#pragma unroll")
        stack.enter_context(f.block(f"for (i32 {lane} = 0; {lane} < {lanes}; {lane}++)"))
        stack.enter_context(printer.scope())
        printer.bind_axis(number, f.named(kind, f"{base.ref} + {lane}", INT64))
        for e, held in words.items():
            printer.bind(e, held.element("0", lane))
        accumulator.add(printer.value(reduction.value), f"{vector} * {lanes} + {lane}")
