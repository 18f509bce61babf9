"""Convolutions of operands with gaps, as ones without.

Where neighbouring elements of lhs are ``d`` apart (transposed convolution, and the gradient of one
with strides), only every ``d``-th element of a filter meets any of them: which, depends on the
phase of the result, its position modulo ``d``. So it is made by filters for each phase, of one
``d``-th of the length, and the results of the phases are interleaved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.core.types import aval_of
from fnad.primitives.reversal import rev
from fnad.primitives.shape import reshape, transpose
from fnad.primitives.slicing import pad, slice


@dataclass(frozen=True, slots=True)
class Axis:
    """How one spatial axis falls into phases.

    Of ``gap`` phases, the last ``phases`` have filters, of ``taps`` elements; the first result is
    number ``first`` of the ``results`` wanted, of which each phase has ``each``.
    """

    gap: int
    phases: int
    taps: int
    first: int
    results: int
    each: int
    padding: tuple[int, int]


def axes_by_phase(
    lhs_lengths: Sequence[int],
    rhs_lengths: Sequence[int],
    counts: Sequence[int],
    params: dict[str, Any],
) -> list[Axis] | None:
    """The spatial axes of a convolution, if any of them has phases."""
    lengths = (*lhs_lengths, *rhs_lengths, *counts)
    if any(type(n) is not int for n in lengths) or 0 in lengths:
        return None
    ones = zip(params["window_strides"], params["rhs_dilation"], strict=True)
    gaps = [
        d if each == (1, 1) else 1 for d, each in zip(params["lhs_dilation"], ones, strict=True)
    ]
    if all(gap == 1 for gap in gaps):
        return None
    return [_axis(*axis) for axis in zip(gaps, lhs_lengths, rhs_lengths, counts, params["padding"])]


def _axis(gap: int, length: int, taps: int, count: int, padding: tuple[int, int]) -> Axis:
    if gap == 1:
        return Axis(1, 1, taps, 0, count, count, padding)
    # With results from there on, those of all phases meet the same elements.
    before, first = divmod(-padding[0] - 1, gap)
    before, most = -before - 1, -(-taps // gap)
    each = -(-(count + first) // gap)
    after = each + most - 1 - length - before
    return Axis(gap, min(gap, taps), most, first, count, each, (before, after))


def phased_filters(rhs: Any, spec: Sequence[int], axes: Sequence[Axis]) -> Any:
    """Filters (out features * phases, in features, spatial) from such with axes as in ``spec``."""
    rhs, num = transpose(rhs, spec), len(axes)
    made, taken, *lengths = aval_of(rhs).shape
    behind = [(0, a.taps * a.phases - n, 0) for a, n in zip(axes, lengths, strict=True)]
    rhs = pad(rhs, np.zeros((), aval_of(rhs).dtype)[()], [(0, 0, 0), (0, 0, 0), *behind])
    rhs = reshape(rhs, (made, taken, *(n for a in axes for n in (a.taps, a.phases))))
    phases = range(3, 2 * num + 3, 2)
    rhs = transpose(rev(rhs, phases), (0, *phases, 1, *range(2, 2 * num + 2, 2)))
    return reshape(rhs, (made * math.prod(a.phases for a in axes), taken, *(a.taps for a in axes)))


def interleaved(out: Any, axes: Sequence[Axis]) -> Any:
    """(batch, features, spatial) from (batch, features * phases, spatial)."""
    batch, features, *_ = aval_of(out).shape
    num, made = len(axes), features // math.prod(a.phases for a in axes)
    out = reshape(out, (batch, made, *(a.phases for a in axes), *(a.each for a in axes)))
    empty = [(a.gap - a.phases, 0, 0) for a in axes]
    config = [(0, 0, 0), (0, 0, 0), *empty, *[(0, 0, 0)] * num]
    out = pad(out, np.zeros((), aval_of(out).dtype)[()], config)
    order = (i for axis in range(2, num + 2) for i in (axis + num, axis))
    out = reshape(transpose(out, (0, 1, *order)), (batch, made, *(a.each * a.gap for a in axes)))
    starts = [0, 0, *(a.first for a in axes)]
    return slice(out, starts, [batch, made, *(a.first + a.results for a in axes)])
