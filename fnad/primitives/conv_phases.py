"""Convolutions of operands with gaps, as ones without.

Where neighbouring elements of lhs are ``d`` apart (transposed convolution, and the gradient of one
with strides), only every ``d``-th element of a filter meets any of them: which, depends on the
phase of the result, its position modulo ``d``. So it is made by filters for each phase, of one
``d``-th of the length, and the results of the phases are interleaved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.core.types import aval_of
from fnad.primitives.reversal import rev
from fnad.primitives.shape import reshape, transpose
from fnad.primitives.slicing import concatenate, pad, slice


@dataclass(frozen=True, slots=True)
class Part:
    """Phases whose filters have as many ``taps``: ``phases`` of them, from number ``start`` on."""

    start: int
    phases: int
    taps: int
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Axis:
    """How one spatial axis falls into phases.

    Of ``gap`` phases, those of the ``parts`` have filters, backwards; the first result is number
    ``first`` of the ``results`` wanted, of which each phase has ``each``.
    """

    gap: int
    parts: tuple[Part, ...]
    first: int
    results: int
    each: int

    @property
    def phases(self) -> int:
        """Phases that have filters."""
        return sum(part.phases for part in self.parts)

    @property
    def rows(self) -> int:
        """The most taps of a phase."""
        return max(part.taps for part in self.parts)


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
        return Axis(1, (Part(0, 1, taps, padding),), 0, count, count)
    # With results from there on, those of all phases meet the same elements first.
    before, first = divmod(-padding[0] - 1, gap)
    before = -before - 1
    each = -(-(count + first) // gap)
    # No filter is filled up with zeros: an infinity that they met would give NaN.
    fewest, longer = divmod(taps, gap)
    shares = [(0, longer, fewest + 1), (longer, gap - longer, fewest)]
    parts = tuple(
        Part(start, phases, n, (before, each + n - 1 - length - before))
        for start, phases, n in shares
        if phases and n
    )
    return Axis(gap, parts, first, count, each)


def by_phases(
    rhs: Any,
    spec: Sequence[int],
    axes: Sequence[Axis],
    convolve: Callable[[Any, Sequence[tuple[int, int]]], Any],
) -> Any:
    """The result (batch, features, spatial) for filters with axes as in ``spec``.

    ``convolve(filters, padding)`` convolves the operand without its gaps with filters (out
    features, in features, spatial).
    """
    rhs = transpose(rhs, spec)
    made, taken, *lengths = aval_of(rhs).shape
    behind = [(0, a.rows * a.gap - n, 0) for a, n in zip(axes, lengths, strict=True)]
    rhs = pad(rhs, np.zeros((), aval_of(rhs).dtype)[()], [(0, 0, 0), (0, 0, 0), *behind])
    rhs = reshape(rhs, (made, taken, *(n for a in axes for n in (a.rows, a.gap))))

    def joined(*chosen: Part) -> Any:
        if len(chosen) < len(axes):
            parts = axes[len(chosen)].parts[::-1]
            return concatenate([joined(*chosen, part) for part in parts], 2 + len(chosen))
        out = convolve(_filters(rhs, chosen), [part.padding for part in chosen])
        shape = aval_of(out).shape
        return reshape(out, (shape[0], made, *(part.phases for part in chosen), *shape[2:]))

    return _interleaved(joined(), axes)


def _filters(rhs: Any, parts: Sequence[Part]) -> Any:
    """Those of some phases, the last first: (out features * phases, in features, spatial)."""
    made, taken, *_ = aval_of(rhs).shape
    num = len(parts)
    starts = [0, 0, *(n for part in parts for n in (0, part.start))]
    ends = [made, taken, *(n for p in parts for n in (p.taps, p.start + p.phases))]
    phases = range(3, 2 * num + 3, 2)
    own = rev(slice(rhs, starts, ends), phases)
    own = transpose(own, (0, *phases, 1, *range(2, 2 * num + 2, 2)))
    return reshape(
        own, (made * math.prod(p.phases for p in parts), taken, *(p.taps for p in parts))
    )


def _interleaved(out: Any, axes: Sequence[Axis]) -> Any:
    """(batch, features, spatial) from (batch, features, phases, spatial)."""
    batch, made, *_ = aval_of(out).shape
    num = len(axes)
    empty = [(a.gap - a.phases, 0, 0) for a in axes]
    config = [(0, 0, 0), (0, 0, 0), *empty, *[(0, 0, 0)] * num]
    out = pad(out, np.zeros((), aval_of(out).dtype)[()], config)
    order = (i for axis in range(2, num + 2) for i in (axis + num, axis))
    out = reshape(transpose(out, (0, 1, *order)), (batch, made, *(a.each * a.gap for a in axes)))
    starts = [0, 0, *(a.first for a in axes)]
    return slice(out, starts, [batch, made, *(a.first + a.results for a in axes)])
