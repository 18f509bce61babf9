"""Large reductions in two steps: blocks of a fixed size first, then what the blocks gave.

The blocks follow from the shape alone, so results do not depend on the number of threads that
work on them; and a kernel over blocks of rows can join others over the same rows in a group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fnad.lowering.access import kernel_exprs, with_bodies
from fnad.lowering.expr import B, Expr, axis, integer, load, make
from fnad.lowering.kernels import COMBINE, mapped, remade
from fnad.lowering.plan import Kernel, Node, Reduction, Store
from fnad.lowering.target import CPU, Target
from fnad.lowering.walk import rebuild

# Smaller reductions run as they are.
_MIN_BYTES = 1 << 18
# Terms of a block, so that what the blocks gave is little beside what they read.
_MIN_TERMS = 16
_MIN_CONTIGUOUS_TERMS = 4096
# Rows of at least two pages, of what the nearest caches do not hold.
_LONG_ROW = 1 << 13
_FAR_BYTES = 1 << 22
# Fewer points than this form no group of rows anyway.
_FEW_POINTS = 8

NewBuffer = Callable[[Sequence[int], np.dtype[Any]], int]


def split_reductions(
    body: Sequence[Node], new_buffer: NewBuffer, target: Target = CPU
) -> list[Node]:
    """Split the large reductions of a schedule and of those inside it."""
    result: list[Node] = []
    for node in body:
        if isinstance(node, Kernel):
            result += _split(node, new_buffer, target)
        else:
            result.append(
                with_bodies(node, lambda inner: split_reductions(inner, new_buffer, target))
            )
    return result


def _split(kernel: Kernel, new_buffer: NewBuffer, target: Target) -> list[Node]:
    found = _blocks(kernel, target)
    if found is None:
        return [kernel]
    blocks, terms = found
    points = math.prod(extent for _, extent in kernel.axes)
    place = _point(kernel)
    first = 1 + max(n for n, _ in (*kernel.axes, *(a for r in kernel.reductions for a in r.axes)))
    block = axis(first, blocks)
    partial: list[Reduction] = []
    stores: list[Store] = []
    final: list[Reduction] = []
    totals: list[Expr] = []
    for r in kernel.reductions:
        number, extent = r.axes[0]
        inner = axis(number, terms)
        value = _substituted(r.value, r.axes[0], block * terms + inner)
        partial.append(
            Reduction(r.kind, ((number, terms), *r.axes[1:]), value, r.accumulator, r.accumulator)
        )
        buffer = new_buffer((blocks, points), r.accumulator)
        reduced = make("reduced", (), r.accumulator, len(partial) - 1)
        stores.append(Store(buffer, block * points + place, reduced))
        given = load(buffer, block * points + place, r.accumulator)
        final.append(Reduction(r.kind, ((first, blocks),), given, r.accumulator, r.accumulator))
        total = make("reduced", (), r.accumulator, len(final) - 1)
        rest = extent - terms * blocks
        if rest:
            total = COMBINE[r.kind](total, _tail(r, terms * blocks, rest, final))
        totals.append(B.convert(total, r.dtype))
    first_step = Kernel(
        ((first, blocks), *kernel.axes), tuple(partial), tuple(stores), origin=kernel.origin
    )
    named = mapped(
        replace(kernel, reductions=()),
        lambda exprs: rebuild(exprs, lambda e: totals[e.attr] if e.op == "reduced" else None),
    )
    last = remade(replace(named, reductions=tuple(final)))
    if target.reduction_rows and _is_far(last, max(r.dtype.itemsize for r in final)):
        return [remade(first_step), *_split(last, new_buffer, target)]
    return [remade(first_step), last]


def _tail(r: Reduction, start: int, rest: int, final: list[Reduction]) -> Expr:
    """What the terms from ``start`` on give; adds the reduction to ``final`` if one is needed."""
    number = r.axes[0][0]
    place = (axis(number, rest) if rest > 1 else integer(0)) + start
    value = _substituted(r.value, r.axes[0], place)
    axes = ((number, rest), *r.axes[1:]) if rest > 1 else r.axes[1:]
    if not axes:
        return B.convert(value, r.accumulator)
    final.append(Reduction(r.kind, axes, value, r.accumulator, r.accumulator))
    return make("reduced", (), r.accumulator, len(final) - 1)


def _substituted(value: Expr, old: tuple[int, int], new: Expr) -> Expr:
    target = axis(*old)
    [result] = rebuild([value], lambda e: new if e is target else None)
    return result


def _point(kernel: Kernel) -> Expr:
    """The row-major number of a point of the kernel."""
    place = integer(0)
    for a in kernel.axes:
        place = place * a[1] + axis(*a)
    return place


def _blocks(kernel: Kernel, target: Target) -> tuple[int, int] | None:
    """Into how many blocks of how many terms to split the reductions of a kernel, if at all."""
    reductions = kernel.reductions
    if kernel.sequential or not reductions or not all(r.axes for r in reductions):
        return None
    terms = {tuple(n for _, n in r.axes) for r in reductions}
    if len(terms) != 1 or any(r.kind not in COMBINE for r in reductions):
        return None
    extents = terms.pop()
    points = math.prod(extent for _, extent in kernel.axes)
    width = max((e.dtype.itemsize for e in kernel_exprs(kernel)), default=1)
    if points * math.prod(extents) * width < _MIN_BYTES:
        return None
    if kernel.parallel_inner:
        least = max(_MIN_TERMS // math.prod(extents[1:]), 1)
    elif points < target.reduction_points:
        least = _MIN_CONTIGUOUS_TERMS if points < _FEW_POINTS else target.reduction_terms
        least = max(least // math.prod(extents[1:]), 1)
    else:
        return None
    limit = min(target.reduction_blocks, extents[0] // max(least, 2))
    if target.reduction_rows and _is_far(kernel, width):
        limit = max(limit, extents[0] // target.reduction_rows)
    elif kernel.parallel_inner:
        limit = min(limit, -(-target.reduction_threads // max(points, 1)))
    if limit < 2:
        return None
    length = extents[0] // limit // target.reduction_unit * target.reduction_unit
    if len(extents) == 1 and not kernel.parallel_inner and target.reduction_unit > 1 and length:
        return extents[0] // length, length
    blocks = _divisor(extents[0], limit)
    return blocks, extents[0] // blocks


def _is_far(kernel: Kernel, width: int) -> bool:
    """Whether long rows that are in no cache are combined."""
    points = math.prod(extent for _, extent in kernel.axes)
    terms = math.prod(extent for _, extent in kernel.reductions[0].axes)
    long = kernel.parallel_inner and points * width >= _LONG_ROW
    return long and len(kernel.reductions[0].axes) == 1 and points * terms * width >= _FAR_BYTES


def _divisor(extent: int, limit: int) -> int:
    """A number of blocks up to ``limit``: without a rest if there is a good one."""
    exact = max(d for d in range(1, limit + 1) if extent % d == 0)
    return exact if exact * 4 > limit else limit
