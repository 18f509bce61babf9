"""Where the axis of a batch goes in operands of products, which give it a place by their rules."""

from __future__ import annotations

from typing import Any, NamedTuple

from fnad.core.types import aval_of
from fnad.primitives.shape import broadcast_in_dim, moveaxis, reshape


class BatchPlace(NamedTuple):
    """Axis ``axis`` of an operand, or, of ``groups`` groups of what that axis is without a batch,
    the front of each."""

    axis: int
    groups: int | None = None


def join_axis(x: Any, axis: int, groups: int = 1) -> Any:
    """Axis 0 becomes the front of what is ``axis`` without it, or of each of groups of that."""
    size, *shape = aval_of(x).shape
    whole = (*shape[:axis], size * shape[axis], *shape[axis + 1 :])
    if groups > 1:
        inner = (*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])
        x, axis = reshape(x, (size, *inner)), axis + 1
    return reshape(moveaxis(x, 0, axis), whole)


def split_axis(x: Any, axis: int, count: int, groups: int = 1) -> Any:
    """Undo `join_axis`: the ``count`` parts of an axis, or of each group of it, become axis 0."""
    shape = aval_of(x).shape
    before, length, after = shape[:axis], shape[axis] // count, shape[axis + 1 :]
    if groups == 1:
        return moveaxis(reshape(x, (*before, count, length, *after)), axis, 0)
    x = reshape(x, (*before, groups, count, length // groups, *after))
    return reshape(moveaxis(x, axis + 1, 0), (count, *before, length, *after))


def joined(x: Any, place: BatchPlace) -> Any:
    """``x`` with its leading axis, that of the batch, in its place."""
    axis, groups = place
    return moveaxis(x, 0, axis) if groups is None else join_axis(x, axis, groups)


def joined_shape(shape: tuple[int, ...], place: BatchPlace, size: int) -> tuple[int, ...]:
    """The shape of an operand of which a batch has so many, with all of them."""
    axis, groups = place
    if groups is None:
        return (*shape[:axis], size, *shape[axis:])
    return (*shape[:axis], size * shape[axis], *shape[axis + 1 :])


def split(x: Any, place: BatchPlace, size: int) -> Any:
    """Undo `joined`: the axis of the batch becomes the leading one."""
    axis, groups = place
    return moveaxis(x, axis, 0) if groups is None else split_axis(x, axis, size, groups)


def joined_mask(
    mask: Any,
    axes: tuple[int, ...],
    shape: tuple[int, ...],
    place: BatchPlace,
    size: int,
    batched: bool,
) -> tuple[Any, tuple[int, ...]]:
    """A mask of axes of an operand of a shape, as one of the operand with its batch.

    Whether the mask is ``batched`` itself: then its leading axis is that of the batch.
    """
    axis, groups = place
    if groups is None:
        moved = tuple(i + (i >= axis) for i in axes)
        if not batched:
            return mask, moved
        return moveaxis(mask, 0, sum(i < axis for i in axes)), tuple(sorted((axis, *moved)))
    if not batched and axis not in axes:
        return mask, axes
    wanted = tuple(sorted({*axes, axis}))
    at = [wanted.index(i) + 1 for i in axes]
    each = broadcast_in_dim(mask, (size, *[shape[i] for i in wanted]), [0, *at] if batched else at)
    return joined(each, BatchPlace(wanted.index(axis), groups)), wanted
