"""Cuts the domain of a kernel where its conditions change, so that each part has none.

Padding, concatenation, rolled and shifted arrays make conditions on indices. Before::

    [i0<256]: %1[i0] = where(i0 < 1, %0[255], %0[max(i0 - 1, 0)])

and after, as two boxes::

    [0 <= i0 < 1]:   %1[0] = %0[255]
    [1 <= i0 < 256]: %1[i0' + 1] = %0[i0']

whose loads run along the axis again and are plain vectors. Index-set splitting (Griebl, Feautrier
and Lengauer, 2000).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

from fnad.lowering.access import kernel_exprs
from fnad.lowering.expr import Expr, affine_parts, axis, integer
from fnad.lowering.plan import Kernel
from fnad.lowering.walk import postorder, rebuild

# A kernel of fewer points is not worth the code of several boxes.
_MIN_POINTS = 2048
# An axis is cut into at most so many pieces, a kernel into at most so many boxes.
_MAX_PIECES, _MAX_BOXES = 12, 24
# A piece of less than this part of an axis is not cut along the axes that follow.
_LARGE = 0.2

_EXTREMA = {"minimum", "maximum"}


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a kernel: its own kernel, and which tasks of the whole one it does.

    Axes of the box start at 0; one that would have a single value is left out, be it that of
    the tasks.
    """

    kernel: Kernel
    tasks: tuple[int, int]
    large: bool = True


def boxes(kernel: Kernel) -> list[Box]:
    """Cut a kernel into boxes, which may run in any order."""
    found = [Box(kernel, (0, kernel.axes[0][1] if kernel.axes else 1))]
    if kernel.sequential:
        return found
    for number, _ in kernel.axes:
        pieces = [piece for box in found for piece in _cut(box, number, kernel.axes[0][0])]
        if len(pieces) <= _MAX_BOXES:
            found = pieces
    return found


def _cut(box: Box, number: int, outermost: int) -> list[Box]:
    """The pieces of a box along an axis; what is inside of a clamp shows when that is gone."""
    kernel = box.kernel
    points = math.prod(extent for _, extent in kernel.axes)
    if not box.large or points < _MIN_POINTS or number not in dict(kernel.axes):
        return [box]
    extent = dict(kernel.axes)[number]
    places = {0, extent, *(at for at in _changes(kernel, number) if 0 < at < extent)}
    ends = sorted(places)
    if not 2 < len(ends) <= _MAX_PIECES + 1:
        return [box]
    pieces = []
    for start, stop in itertools.pairwise(ends):
        first, last = box.tasks
        tasks = (first + start, first + stop) if number == outermost else (first, last)
        part = _part(kernel, (number, extent), start, stop)
        piece = Box(part, tasks, stop - start >= _LARGE * extent)
        pieces += _cut(piece, number, outermost)
    return pieces


def _part(kernel: Kernel, whole: tuple[int, int], start: int, stop: int) -> Kernel:
    """A kernel with one axis restricted to ``range(start, stop)``."""
    number, length = whole[0], stop - start
    place = axis(number, length) + start if length > 1 else integer(start)
    new = iter(rebuild(kernel_exprs(kernel), {axis(*whole): place}.get))
    axes = [(n, length if n == number else e) for n, e in kernel.axes]
    axes = [a for a in axes if a != (number, 1)]
    return replace(
        kernel,
        axes=tuple(axes),
        parallel_inner=kernel.parallel_inner
        and axes[-1:] != []
        and axes[-1][0] == kernel.axes[-1][0],
        reductions=tuple(replace(r, value=next(new)) for r in kernel.reductions),
        stores=tuple(
            replace(
                s,
                offset=next(new),
                value=next(new),
                when=next(new) if s.when is not None else None,
            )
            for s in kernel.stores
        ),
    )


# -- where conditions change --------------------------------------------------------------------


def _changes(kernel: Kernel, number: int) -> set[int]:
    """Where along an axis a comparison or a clamp of indices changes its outcome."""
    found: set[int] = set()
    clamps: list[tuple[int, int]] = []
    extent = dict(kernel.axes)[number]
    for e in postorder(kernel_exprs(kernel)):
        if e.op not in _STRICT and e.op not in _EXTREMA:
            continue
        differences = _differences(e, number)
        if _undecided(differences) > _LARGE * extent:
            continue
        for coefficient, rest in differences:
            strict, loose = _sign_changes(coefficient, rest)
            if e.op in _EXTREMA:
                clamps.append((strict, loose))
            else:
                found |= {strict} if _STRICT[e.op] else {loose}
                if e.op in ("equal", "not_equal") and rest % coefficient == 0:
                    found.add(strict)
    for clamp in clamps:  # either place will do
        if found.isdisjoint(clamp):
            found.add(clamp[0])
    return found


# Whether the outcome changes at the first place where the sides are equal, or behind it, as seen
# along a growing difference of the sides.
_STRICT = {
    "less": True, "greater_equal": True, "less_equal": False, "greater": False, "equal": False,
    "not_equal": False,
}  # fmt: skip


def _differences(e: Expr, number: int) -> list[tuple[int, int]]:
    """The difference of the operands as (coefficient, rest), for both extremes of the rest."""
    x, y = e.args
    if x.bounds is None or y.bounds is None:
        return []
    (terms, low), (others, constant) = affine_parts(x), affine_parts(y)
    for term, c in others.items():
        terms[term] = terms.get(term, 0) - c
    low -= constant
    high, coefficient = low, 0
    for term, c in terms.items():
        if term.op == "axis" and term.attr[0] == number:
            coefficient = c
        elif term.op == "axis":
            last = c * (term.attr[1] - 1)
            low, high = low + min(last, 0), high + max(last, 0)
        else:
            return []
    return [(coefficient, rest) for rest in {low, high}] if coefficient else []


def _undecided(differences: list[tuple[int, int]]) -> int:
    """How many places along an axis lie between the first and the last change."""
    places = [rest // coefficient for coefficient, rest in differences]
    return max(places) - min(places) if places else 0


def _sign_changes(coefficient: int, rest: int) -> tuple[int, int]:
    """The first i at which ``coefficient * i + rest < 0`` has another value than at i - 1, and
    the same for ``<= 0``.
    """
    if coefficient > 0:
        return -(rest // coefficient), -rest // coefficient + 1
    return -rest // coefficient + 1, -(rest // coefficient)
