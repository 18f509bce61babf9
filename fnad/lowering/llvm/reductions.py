"""Reductions: what loops carry, how one more term is taken in, how parts are joined."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from fnad.core.types import kind_of
from fnad.lowering.expr import axis
from fnad.lowering.llvm import host
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.vectors import lanes_for
from fnad.lowering.llvm.writer import INT32, INT64, DType, Function, Value
from fnad.lowering.nodes import neutral
from fnad.lowering.plan import Kernel, Reduction
from fnad.lowering.walk import postorder, rebuild


def initial(f: Function, r: Reduction, lanes: int = 1) -> list[Value]:
    """What the loops of a reduction carry at first: a total, or an extremum and its position."""
    start = [f.b.constant(neutral(r.kind, r.accumulator), r.accumulator)]
    if _finds_position(r):
        start.append(f.b.constant(0, _position_dtype(r)))
    return [f.b.splat(v, lanes) for v in start]


def step(
    f: Function,
    p: ExpressionPrinter,
    r: Reduction,
    carried: Sequence[Value],
    mask: Value | None = None,
) -> list[Value]:
    """Take one term more (a vector of them) into a reduction, in the lanes that ``mask`` allows."""
    b = f.b
    factors = p.factors(r.value) if r.kind == "add" else None
    if factors is not None:
        total = b.fma(*factors, carried[0])
        return [total if mask is None else b.where(mask, total, carried[0])]
    term = b.convert(p.value(r.value), r.accumulator)
    if not _finds_position(r):
        total = b.accumulate(r.kind, carried[0], term)
        return [total if mask is None else b.where(mask, total, carried[0])]
    best, place = carried
    better = (b.greater if r.kind == "argmax" else b.less)(term, best)
    if kind_of(term.dtype) == "f":
        first_nan = b.bitwise_and(b.not_equal(term, term), b.equal(best, best))
        better = b.bitwise_or(better, first_nan)
    if mask is not None:
        better = b.bitwise_and(mask, better)
    position = b.convert(_position(f, p, r), place.dtype)
    return [b.where(better, term, best), b.where(better, position, place)]


def joined(f: Function, r: Reduction, left: Sequence[Value], right: Sequence[Value]) -> list[Value]:
    """The reduction of the terms of both parts."""
    b = f.b
    if not _finds_position(r):
        return [b.accumulate(r.kind, left[0], right[0])]
    (best, place), (other, at) = left, right
    better = (b.greater if r.kind == "argmax" else b.less)(other, best)
    same = b.equal(other, best)
    if kind_of(best.dtype) == "f":
        nan, other_nan = b.not_equal(best, best), b.not_equal(other, other)
        better = b.bitwise_or(better, b.bitwise_and(other_nan, b.bitwise_not(nan)))
        same = b.bitwise_or(same, b.bitwise_and(other_nan, nan))
    better = b.bitwise_or(better, b.bitwise_and(same, b.less(at, place)))
    return [b.where(better, other, best), b.where(better, at, place)]


def across_lanes(f: Function, r: Reduction, carried: Sequence[Value]) -> list[Value]:
    """The reduction of all lanes, neighbouring halves first, where lanes follow each other."""
    b, parts = f.b, list(carried)
    lanes = parts[0].lanes
    if lanes > 1 and _finds_position(r):
        parts[1] = b.add(parts[1], b.iota(parts[1].dtype, lanes))
    while lanes > 1:
        lanes //= 2
        low = [b.shuffle(v, range(lanes)) for v in parts]
        high = [b.shuffle(v, range(lanes, 2 * lanes)) for v in parts]
        parts = joined(f, r, low, high)
    return parts


def result(f: Function, r: Reduction, carried: Sequence[Value]) -> Value:
    return f.b.convert(carried[-1], r.dtype)


# -- several at a time --------------------------------------------------------------------------

# So many totals of each lane fit registers beside what is computed, where there are 16 and 32.
_TOTALS, _TOTALS_WITH_MASKS = 3, 6


def sharing_loops(kernel: Kernel) -> Kernel:
    """A kernel whose neighbouring reductions over as many terms have the same axes, if they can.

    They run in one loop, which reads but once what several of them read: the parts of complex
    numbers, say, or what is summed up and of which squares are summed up, too. None may need
    what another one finds, and each has the lanes that it would have alone.
    """
    if len(kernel.reductions) < 2:
        return kernel
    found: list[Reduction] = []
    first = 0  # of those in the present loop
    for number, r in enumerate(kernel.reductions):
        if found and not _share(found[first:], r, range(first, number)):
            first = number
        if first < number:
            axes = found[first].axes
            names = {axis(*old): axis(*new) for old, new in zip(r.axes, axes)}
            r = replace(r, axes=axes, value=rebuild([r.value], names.get)[0])
        found.append(r)
    return replace(kernel, reductions=tuple(found))


def _share(others: Sequence[Reduction], r: Reduction, numbers: range) -> bool:
    """Whether a reduction can run in the loop of others, which have ``numbers``."""
    one = others[0]
    if [n for _, n in one.axes] != [n for _, n in r.axes] or not r.axes:
        return False
    totals = sum(2 if _finds_position(x) else 1 for x in (*others, r))
    if totals > (_TOTALS_WITH_MASKS if host.has_masks() else _TOTALS):
        return False
    extent = r.axes[-1][1]
    lanes = {lanes_for([x.value], [x.accumulator], extent) for x in (one, r)}
    return len(lanes) == 1 and not any(
        e.op == "reduced" and e.attr in numbers for e in postorder([r.value])
    )


def in_loops(reductions: Sequence[Reduction]) -> list[list[Reduction]]:
    """Reductions in their order, those together that have the same axes.

    Those without axes are no loops, and one may read another.
    """
    together: list[list[Reduction]] = []
    for reduction in reductions:
        if reduction.axes and together and together[-1][0].axes == reduction.axes:
            together[-1].append(reduction)
        else:
            together.append([reduction])
    return together


def initials(f: Function, together: Sequence[Reduction], lanes: int = 1) -> list[Value]:
    """What the loop of some reductions carries at first, one behind the other."""
    return [v for r in together for v in initial(f, r, lanes)]


def steps(
    f: Function,
    p: ExpressionPrinter,
    together: Sequence[Reduction],
    carried: Sequence[Value],
    mask: Value | None = None,
) -> list[Value]:
    """Take one term more into each."""
    return [v for r, own in _own(together, carried) for v in step(f, p, r, own, mask)]


def results(
    f: Function, together: Sequence[Reduction], carried: Sequence[Value], joining: bool = False
) -> list[Value]:
    """The result of each; of all lanes together if they are ``joining``."""
    return [
        result(f, r, across_lanes(f, r, own) if joining else own)
        for r, own in _own(together, carried)
    ]


def both(
    f: Function, together: Sequence[Reduction], left: Sequence[Value], right: Sequence[Value]
) -> list[Value]:
    """The reductions of the terms of both parts."""
    pairs = zip(_own(together, left), _own(together, right))
    return [v for (r, x), (_, y) in pairs for v in joined(f, r, x, y)]


def _own(
    together: Sequence[Reduction], carried: Sequence[Value]
) -> Iterator[tuple[Reduction, list[Value]]]:
    """Each reduction with what it carries."""
    values = iter(carried)
    for r in together:
        yield r, list(itertools.islice(values, 2 if _finds_position(r) else 1))


def _finds_position(r: Reduction) -> bool:
    return r.kind.startswith("arg")


def _position_dtype(r: Reduction) -> DType:
    return INT32 if math.prod(extent for _, extent in r.axes) < 2**31 else INT64


def _position(f: Function, p: ExpressionPrinter, r: Reduction) -> Value:
    """The row-major position of a point of the reduced axes."""
    b = f.b
    position = b.constant(0, INT64)
    for number, extent in r.axes:
        scaled = b.multiply(position, b.constant(extent, INT64))
        position = b.add(scaled, p.axis(number))
    return position
