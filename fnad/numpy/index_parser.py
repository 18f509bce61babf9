"""Reading index expressions: ``x[...]`` to a plan of slices, index arrays and axis places.

Pure Python on shapes, except that index arrays and traced integers are carried along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.core.errors import NonConcreteBooleanIndexError
from fnad.core.sizes import Size, as_size, common_shape, range_length, slice_indices
from fnad.core.tracer import Tracer
from fnad.numpy.operands import contains_tracer

Axis = int


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """What an index expression selects from an array.

    Attributes
    ----------
    slices : tuple
        For each axis of the array a ``(start, step, length)``; indexed axes have the whole axis.
    advanced : tuple of (axis, index)
        Axes with integer indices: Python ints, integer arrays, or tracers; if there is no
        array among them and no tracer, they are all ints.
    advanced_shape : tuple of int
        The shape to which the integer indices broadcast.
    position : int
        Where in the result the axes of ``advanced_shape`` stand, not counting new axes.
    new_axes : tuple of int
        Axes of length 1 in the result, inserted last.
    """

    slices: tuple[tuple[int, int, int], ...]
    advanced: tuple[tuple[Axis, Any], ...]
    advanced_shape: tuple[int, ...]
    position: int
    new_axes: tuple[int, ...]

    @property
    def sliced_axes(self) -> tuple[Axis, ...]:
        """The axes of the array that survive in the result, in order."""
        indexed = {axis for axis, _ in self.advanced}
        return tuple(a for a in range(len(self.slices)) if a not in indexed)

    @property
    def is_basic(self) -> bool:
        """Whether all indices are Python ints and slices."""
        return all(isinstance(i, int) for _, i in self.advanced)

    @property
    def core_shape(self) -> tuple[int, ...]:
        """The shape of the result without new axes."""
        rest = [self.slices[a][2] for a in self.sliced_axes]
        return (*rest[: self.position], *self.advanced_shape, *rest[self.position :])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        shape = list(self.core_shape)
        for axis in self.new_axes:
            shape.insert(axis, 1)
        return tuple(shape)


_STATIC = frozenset({int, type(None)})


def static_key(index: Any) -> tuple[Any, ...] | None:
    """An index of nothing but ints, slices of ints, ``...`` and None, as something hashable.

    Slices become tuples. The answer is None for any other index.
    """
    key: list[Any] = []
    for item in index if type(index) is tuple else (index,):
        kind = type(item)
        if kind is slice:
            bounds = item.start, item.stop, item.step
            if not _STATIC.issuperset(map(type, bounds)):
                return None
            key.append(bounds)
        elif kind in _STATIC or item is Ellipsis:
            key.append(item)
        else:
            return None
    return tuple(key)


def parse_index(index: Any, shape: tuple[int, ...], *, check_arrays: bool = True) -> IndexPlan:
    """Read an index expression for an array of ``shape``, by NumPy's rules.

    Raises
    ------
    IndexError
        For too many indices, an int or an element of a concrete array out of bounds (unless
        ``check_arrays`` is false), a mask of the wrong shape, or something that is no index.
    NonConcreteBooleanIndexError
        For a traced mask whose value is not known: the shape of the result would not be either.
    """
    entries, ellipsis = _expand(index, shape)
    slices = [(0, 1, n) for n in shape]
    advanced: list[tuple[Axis, Any]] = []
    places: list[int] = []  # of the advanced entries among all entries
    axis = 0
    for place, entry in enumerate(entries):
        if entry is None:
            continue
        if isinstance(entry, slice):
            slices[axis] = _read_slice(entry, shape[axis])
        else:
            advanced.append((axis, _read_integer(entry, axis, shape[axis], check_arrays)))
            places.append(place)
        axis += 1
    # Integer indices on both sides of "..." are apart, also where it stands for no axis.
    adjacent = not places or (
        places[-1] - places[0] == len(places) - 1 and not places[0] < ellipsis <= places[-1]
    )
    return _placed(entries, tuple(slices), tuple(advanced), places, adjacent)


def _placed(
    entries: list[Any],
    slices: tuple[tuple[int, int, int], ...],
    advanced: tuple[tuple[Axis, Any], ...],
    places: list[int],
    adjacent: bool,
) -> IndexPlan:
    """Say where the axes of the integer indices go: in place if adjacent, else first."""
    shapes = [np.shape(i) if not isinstance(i, Tracer) else i.shape for _, i in advanced]
    try:
        advanced_shape = common_shape(*shapes)
    except ValueError:
        raise IndexError(
            "shape mismatch: indexing arrays could not be broadcast together with shapes "
            + " ".join(map(str, shapes))
        ) from None
    # Of a result without index arrays (all ints) nothing is placed.
    first = places[0] if places and adjacent else 0
    position = sum(isinstance(e, slice) for e in entries[:first])
    new_axes, result_axis = [], 0
    if places and not adjacent:
        result_axis = len(advanced_shape)
    for place, entry in enumerate(entries):
        if places and adjacent and place == first:
            result_axis += len(advanced_shape)
        if entry is None:
            new_axes.append(result_axis)
            result_axis += 1
        elif isinstance(entry, slice):
            result_axis += 1
    return IndexPlan(slices, advanced, advanced_shape, position, tuple(new_axes))


def as_items(index: Any) -> list[Any]:
    """The entries of an index, lists and other sequences among them as arrays."""
    return [
        _as_array(item) if isinstance(item, (list, tuple, range)) else item
        for item in (index if isinstance(index, tuple) else (index,))
    ]


def _as_array(item: Sequence[Any]) -> np.ndarray:
    if contains_tracer(item):
        raise TypeError("an index list holds traced integers: join them with fnp.stack")
    return np.asarray(item, None if len(item) else np.int64)


def _expand(index: Any, shape: tuple[int, ...]) -> tuple[list[Any], int]:
    """An entry an axis (and None for new axes), without masks and ``...``; where that stood."""
    items = as_items(index)
    entries: list[Any] = []
    for item in items:
        entries.extend(_without_masks(item, entries, items, shape))
    used = sum(e is not None and e is not Ellipsis for e in entries)
    if used > len(shape):
        raise IndexError(
            f"too many indices for array: array is {len(shape)}-dimensional, but {used} were"
            " indexed"
        )
    fill = [slice(None)] * (len(shape) - used)
    ellipses = [i for i, e in enumerate(entries) if e is Ellipsis]
    if len(ellipses) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    at = ellipses[0] if ellipses else len(entries)
    return entries[:at] + fill + entries[at + 1 :], at


def _without_masks(item: Any, before: list[Any], items: list[Any], shape: Any) -> list[Any]:
    if item is None or item is Ellipsis or isinstance(item, slice):
        return [item]
    if isinstance(item, (bool, np.bool_)):
        raise IndexError(
            "a boolean scalar is no index here: use None for a new axis, or fnp.where to choose"
        )
    if isinstance(item, Tracer) and item.dtype == np.bool_:
        item = item.concretize(NonConcreteBooleanIndexError)
    if not isinstance(item, (np.ndarray, np.generic)) or item.dtype != np.bool_:
        return [item]
    if item.ndim == 0:
        return _without_masks(bool(item), before, items, shape)
    axis = _axis_of_mask(item, before, items, shape)
    if item.shape != tuple(shape[axis : axis + item.ndim]):
        raise IndexError(
            f"boolean index did not match indexed array: the mask has shape {item.shape}, the"
            f" axes it stands for have shape {tuple(shape[axis : axis + item.ndim])}"
        )
    return list(np.nonzero(item))


def _axis_of_mask(mask: Any, before: list[Any], items: list[Any], shape: Any) -> int:
    used = sum(e is not None and e is not Ellipsis for e in before)
    if not any(e is Ellipsis for e in before):
        return used
    position = next(i for i, e in enumerate(items) if e is mask)
    return len(shape) - sum(map(width, items[position:]))


def width(item: Any) -> int:
    """How many axes an entry of an index stands for."""
    if item is None or item is Ellipsis or isinstance(item, bool):
        return 0
    if isinstance(item, (np.ndarray, np.generic, Tracer)) and item.dtype == np.bool_:
        return item.ndim
    return 1


def _read_slice(entry: slice, length: int) -> tuple[int, int, int]:
    known = [None if b is None else as_size(b) for b in (entry.start, entry.stop, entry.step)]
    start, stop, step = slice_indices(known[0], known[1], known[2], length)
    count = range_length(start, stop, step)
    if type(count) is Size:
        return start, step, count
    return (start if count else 0), (step if count > 1 else 1), count


def _read_constants(index: np.ndarray, axis: int, length: Size) -> Any:
    """Known positions along an axis whose length is known when the program is called."""
    if not index.size:
        return index
    low, high = int(index.min()), int(index.max())
    if low < -length or high >= length:
        first = low if low < -length else high
        raise IndexError(f"index {first} is out of bounds for axis {axis} with size {length}")
    if low >= 0:
        return index
    from fnad.numpy import ufuncs  # they use this module

    return ufuncs.add(index, ufuncs.multiply(index < 0, length))


def _read_integer(entry: Any, axis: int, length: int, check_arrays: bool) -> Any:
    if isinstance(entry, Tracer) and entry.dtype.kind in "iu":
        return entry
    if isinstance(entry, np.ndarray) and entry.ndim and entry.dtype.kind in "iu":
        # What int64 cannot hold is beyond every end, not negative.
        index = (
            np.minimum(entry, np.iinfo(np.int64).max).astype(np.int64)
            if entry.dtype == np.uint64
            else entry.astype(np.int64)
        )
        if type(length) is Size:
            return _read_constants(index, axis, length)
        outside = (index < -length) | (index >= length)
        if check_arrays and outside.any():
            first = index[outside][0]
            raise IndexError(f"index {first} is out of bounds for axis {axis} with size {length}")
        return np.where(index < 0, index + length, index)
    try:
        position = as_size(entry)
    except TypeError:
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or"
            f" boolean arrays are valid indices, got {entry!r}"
        ) from None
    if -length <= position < length:
        return position + length if position < 0 else position
    if check_arrays:
        raise IndexError(f"index {position} is out of bounds for axis {axis} with size {length}")
    # Not a Python int: what lies outside is for the mode of a gather to decide.
    return np.int64(-1 if position < 0 else length)
