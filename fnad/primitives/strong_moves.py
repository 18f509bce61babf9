"""Strong zeros (`fnad.primitives.strong_zeros`) where elements only move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fnad.core.primitive import Linear, Primitive
from fnad.core.sizes import Size, surely_equal
from fnad.core.types import ShapedArray, aval_of, kind_of
from fnad.primitives.strong_lanes import Live, Places, in_result
from fnad.primitives.strong_zeros import StrongZeros, settled

# For each operand, where the axes of the result are in it.
Kept = Callable[..., Sequence[Places]]


def moves_elements(primitive: Primitive, *followed: int, kept: Kept | None = None) -> None:
    """Say of a primitive that its transpose only moves elements (or drops them, or adds zeros).

    Then applied to masks it tells where the elements went.

    Parameters
    ----------
    primitive : Primitive
        One with a rule for its transpose.
    *followed : int
        The operands whose cotangents are such; all if none is named.
    kept : callable, optional
        If no zeros are added: ``kept(*operands, **params)`` says for each operand where the axes
        of the result are in it; None are those along which elements change places. A mask of rows
        along the others stays one.
    """

    @primitive.strong_transpose
    def _(ct: Any, *operands: Any, **params: Any) -> Sequence[Any]:
        return transposed_moves(primitive, ct, operands, params, followed, kept)


def transposed_moves(
    primitive: Primitive,
    ct: Any,
    operands: Sequence[Any],
    params: dict[str, Any],
    followed: Sequence[int] = (),
    kept: Kept | None = None,
) -> Sequence[Any]:
    """Transpose an equation that moves elements, and say which of its results are zero for sure."""
    transpose = primitive.rule("transpose")
    cts: Sequence[Any] = transpose(settled(ct), *operands, **params)
    if type(ct) is not StrongZeros:
        return cts
    positions = followed or range(len(operands))
    stand_ins = [_stand_in(x, i in positions) for i, x in enumerate(operands)]
    moved: list[Any] = []

    def mask_of(position: int) -> Any:
        mask = ct.live.mask()
        if not aval_of(mask).shape:
            return mask
        if not moved:
            moved.extend(transpose(mask, *stand_ins, **params))
        return moved[position]

    def live(position: int) -> Live:
        axes = ct.live.axes
        if kept is not None and axes is not None:
            places = kept(*operands, **params)[position]
            if all(places[i] is not None for i in axes):
                return in_result(ct.live, places, operands[position].aval.shape)
        return Live(partial(mask_of, position))

    return [
        StrongZeros(c, live(i)) if isinstance(x, Linear) else c
        for i, (c, x) in enumerate(zip(cts, stand_ins, strict=True))
    ]


def _stand_in(operand: Any, followed: bool) -> Any:
    """An operand of the same equation on masks; indices stay what they are."""
    aval = aval_of(operand)
    if isinstance(operand, Linear) and followed:
        return Linear(ShapedArray(aval.shape, np.dtype(np.bool_)))
    return np.zeros(aval.shape, np.bool_)[()] if kind_of(aval.dtype) in "fc" else operand


def all_but(rank: int, axes: Sequence[int]) -> Places:
    """Axes in their places, but for some of them."""
    return [None if i in axes else i for i in range(rank)]


def reshaped_axes(before: Sequence[int], after: Sequence[int]) -> Places:
    """Where axes lie after the shape has changed: those in front and those behind that are equal.

    Axes of length 1 may be anywhere.

    Examples
    --------
    >>> reshaped_axes((2, 3, 4, 5), (2, 1, 12, 5))
    [0, None, None, 3]
    """
    old, new = ([i for i, n in enumerate(s) if type(n) is Size or n != 1] for s in (before, after))
    places: list[int | None] = [None] * len(before)
    for i, j in zip(old, new):
        if not surely_equal(before[i], after[j]):
            break
        places[i] = j
    for i, j in zip(reversed(old), reversed(new)):
        if not surely_equal(before[i], after[j]):
            break
        places[i] = j
    return places
