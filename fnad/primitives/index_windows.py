"""Windows of an operand at given indices: what `window_indexing` reads and writes.

A window is a slice of the operand; the last axis of the indices holds where it starts. The meaning
of dimension numbers is that of XLA, https://openxla.org/xla/operation_semantics#gather.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fnad.core.types import aval_of, kind_of
from fnad.primitives.arithmetic import add
from fnad.primitives.arithmetic import max as max_
from fnad.primitives.arithmetic import min as min_
from fnad.primitives.logic import bitwise_and, convert_element_type, ge, le, lt, select
from fnad.primitives.shape import (
    broadcast_in_dim,
    broadcasted_iota,
    full,
    full_like,
    reshape,
    transpose,
)
from fnad.primitives.slicing import index_in_dim

_INT64 = np.dtype(np.int64)


class GatherScatterMode(enum.Enum):
    """What becomes of windows that are not within the operand.

    ``CLIP`` moves them into it. ``FILL_OR_DROP`` reads a constant in all of the window, and leaves
    out the whole of a window that would be written. ``PROMISE_IN_BOUNDS`` says that there are none.
    """

    CLIP = enum.auto()
    FILL_OR_DROP = enum.auto()
    PROMISE_IN_BOUNDS = enum.auto()

    @staticmethod
    def from_any(s: str | GatherScatterMode | None) -> GatherScatterMode:
        """The mode of that name: "clip", "fill" or "drop" (also None), "promise_in_bounds"."""
        if isinstance(s, GatherScatterMode):
            return s
        if s not in _MODES:
            names = [name for name in _MODES if name is not None]
            raise ValueError(f"gather and scatter: mode must be one of {names}, got {s!r}")
        return _MODES[s]


_MODES = {
    None: GatherScatterMode.FILL_OR_DROP,
    "fill": GatherScatterMode.FILL_OR_DROP,
    "drop": GatherScatterMode.FILL_OR_DROP,
    "clip": GatherScatterMode.CLIP,
    "promise_in_bounds": GatherScatterMode.PROMISE_IN_BOUNDS,
}


def is_dropping(mode: str | GatherScatterMode | None) -> bool:
    """Whether windows out of bounds are filled or dropped, rather than moved."""
    return GatherScatterMode.from_any(mode) is GatherScatterMode.FILL_OR_DROP


class GatherDimensionNumbers(NamedTuple):
    """Which axes of the operand, the indices and the result of `gather` belong together.

    Attributes
    ----------
    offset_dims : tuple of int
        Axes of the result along which the windows lie, ascending.
    collapsed_slice_dims : tuple of int
        Axes of the operand that windows are 1 long along, and that the result lacks.
    start_index_map : tuple of int
        The axis of the operand that each component of the last axis of the indices is for.
    operand_batching_dims, start_indices_batching_dims : tuple of int
        Axes of operand and indices that run together.
    """

    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    start_indices_batching_dims: tuple[int, ...] = ()


class ScatterDimensionNumbers(NamedTuple):
    """Which axes of the operand, the indices and the updates of a scatter belong together.

    Attributes
    ----------
    update_window_dims : tuple of int
        Axes of the updates along which the windows lie, ascending.
    inserted_window_dims : tuple of int
        Axes of the operand that windows are 1 long along, and that the updates lack.
    scatter_dims_to_operand_dims : tuple of int
        The axis of the operand that each component of the last axis of the indices is for.
    operand_batching_dims, scatter_indices_batching_dims : tuple of int
        Axes of operand and indices that run together.
    """

    update_window_dims: tuple[int, ...]
    inserted_window_dims: tuple[int, ...]
    scatter_dims_to_operand_dims: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    scatter_indices_batching_dims: tuple[int, ...] = ()


class Windows(NamedTuple):
    """Windows of an operand: where each axis's indices come from, and how long windows are."""

    sizes: tuple[int, ...]  # of a window, for each axis of the operand
    mapped: tuple[int, ...]  # axes that the indices say the starts for
    batching: tuple[int, ...]  # axes that run along with axes of the indices
    indices_batching: tuple[int, ...]  # those


class Axes(NamedTuple):
    """How an operand's axes are read: by indices, or whole as the last axes of what is indexed."""

    indexed: list[int]
    rest: list[int]
    kept: list[int]  # those of the windows that results and updates have

    @property
    def offsets(self) -> list[int]:
        """Indexed axes that the windows lie along."""
        return [a for a in self.indexed if a in self.kept]

    @property
    def in_front(self) -> tuple[int, ...]:
        return (*self.indexed, *self.rest)

    def moved(self, operand: Any) -> Any:
        """The operand with its indexed axes in front: one of length 1, if there is none."""
        operand = transpose(operand, self.in_front)
        return operand if self.indexed else reshape(operand, (1, *aval_of(operand).shape))

    def window_axes(self, batch: int) -> list[int]:
        """Where each of the kept axes is in what indexing the moved operand gives."""
        order = [*self.offsets, *self.rest]
        return [batch + order.index(a) for a in self.kept]


def divided_axes(rank: int, windows: Windows, absent: Sequence[int], whole: Sequence[int]) -> Axes:
    """Axes that are neither mapped nor absent are left ``whole``, where they are among these."""
    kept = [a for a in range(rank) if a not in absent and a not in windows.batching]
    rest = [a for a in kept if a not in windows.mapped and a in whole]
    return Axes([a for a in range(rank) if a not in rest], rest, kept)


def check_ascending(name: str, field: str, axes: Sequence[int], rank: int) -> None:
    if list(axes) != sorted(set(axes)) or any(not 0 <= a < rank for a in axes):
        raise TypeError(
            f"{name}: {field} must be ascending axes among the {rank} there are, got {tuple(axes)}"
        )


def check_windows(
    name: str, shape: Sequence[int], indices: Any, windows: Windows, absent: Any
) -> None:
    """Raise unless windows and indices fit an operand of that shape (``absent``: 1-long axes)."""
    rank = len(shape)
    if kind_of(indices.dtype) not in "iu":
        raise TypeError(f"{name}: indices must be integers, got {indices}")
    if indices.ndim < 1 or indices.shape[-1] != len(windows.mapped):
        raise TypeError(
            f"{name}: the last axis of the indices must have one entry for each of the axes"
            f" {windows.mapped} that they say the starts for, got indices of shape {indices.shape}"
        )
    check_ascending(name, "collapsed (inserted) dims", absent, rank)
    check_ascending(name, "operand_batching_dims", windows.batching, rank)
    places = (*windows.mapped, *windows.batching)
    if len(set(places)) != len(places) or any(not 0 <= a < rank for a in places):
        raise TypeError(
            f"{name}: indexed axes {windows.mapped} and operand_batching_dims {windows.batching}"
            f" must be different axes of an operand of shape {tuple(shape)}"
        )
    if set(absent) & set(windows.batching):
        raise TypeError(
            f"{name}: axes {tuple(absent)} and operand_batching_dims {windows.batching} overlap"
        )
    along = windows.indices_batching
    if len(set(along)) != len(along) or any(not 0 <= a < indices.ndim - 1 for a in along):
        raise TypeError(
            f"{name}: batching dims of the indices must be different axes before the last one of"
            f" indices of shape {indices.shape}, got {along}"
        )
    lengths = [shape[a] for a in windows.batching], [indices.shape[a] for a in along]
    if lengths[0] != lengths[1]:
        raise TypeError(
            f"{name}: batching dims of operand and indices must have the same lengths, got"
            f" {lengths[0]} and {lengths[1]}"
        )
    for axis, (size, n) in enumerate(zip(windows.sizes, shape)):
        one = axis in absent or axis in windows.batching
        if not 0 <= size <= n or (one and size != 1 and n):
            raise TypeError(
                f"{name}: windows of shape {windows.sizes} do not fit an operand of shape"
                f" {tuple(shape)}: along axis {axis} they must be "
                + ("1 long" if one else f"of a length from 0 to {n}")
            )


def _starts(indices: Any, shape: Sequence[int], windows: Windows, drop: bool) -> list[Any]:
    """Where each window starts along the mapped axes, clipped, or -1 for all of one to drop."""
    tops = [shape[a] - windows.sizes[a] for a in windows.mapped]
    aval = aval_of(indices)
    if aval.dtype == np.uint64:
        indices = min_(indices, full_like(indices, np.iinfo(_INT64).max))
    indices = convert_element_type(indices, _INT64)
    starts = [index_in_dim(indices, k, -1, keepdims=False) for k in range(len(tops))]
    inside = _all_inside(starts, tops)
    zero = full(aval.shape[:-1], 0, _INT64)
    clipped = [min_(max_(start, zero), full_like(start, top)) for start, top in zip(starts, tops)]
    if not drop or inside is None:
        return clipped
    return [select(inside, start, full_like(start, -1)) for start in clipped]


def _all_inside(starts: Sequence[Any], tops: Sequence[int]) -> Any:
    inside: Any = None
    for start, top in zip(starts, tops):
        ok = bitwise_and(ge(start, full_like(start, 0)), le(start, full_like(start, top)))
        inside = ok if inside is None else bitwise_and(inside, ok)
    return inside


def index_places(
    indices: Any, shape: Sequence[int], windows: Windows, axes: Axes, drop: bool
) -> list[Any]:
    """An index array for each indexed axis, of shape (batch of the indices, indexed and kept)."""
    batch = aval_of(indices).shape[:-1]
    whole = (*batch, *(windows.sizes[a] for a in axes.offsets))
    starts = dict(zip(windows.mapped, _starts(indices, shape, windows, drop)))
    places = []
    for axis in axes.indexed:
        if axis in windows.batching:
            along = windows.indices_batching[windows.batching.index(axis)]
            places.append(broadcasted_iota(_INT64, whole, along))
            continue
        start = starts.get(axis, full(batch, 0, _INT64))
        place = broadcast_in_dim(start, whole, range(len(batch)))
        if axis in axes.offsets and windows.sizes[axis] != 1:
            offset = broadcasted_iota(_INT64, whole, len(batch) + axes.offsets.index(axis))
            # All of a window that is to be dropped is before the first element.
            place = select(lt(place, full_like(place, 0)), place, add(place, offset))
        places.append(place)
    return places or [full(whole, 0, _INT64)]
