"""Boolean indices: those whose values are not known, those of updates, and boolean scalars.

The shape of ``x[mask]`` depends on the mask, but that of ``at(x)[mask].set(value)`` does not: every
element is updated, and the mask says whose update is taken. So it is for known masks, too, unless
there is a value for each element that they select: gradients are then those of a ``where``
(`fnad.primitives.strong_zeros`), whether or not a mask is known. A boolean scalar stands for a new
axis of length 1 or 0 (https://numpy.org/doc/stable/user/basics.indexing.html).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnad.core.errors import NonConcreteBooleanIndexError
from fnad.core.source import user_line
from fnad.core.tracer import Tracer
from fnad.numpy.elementwise_parts import select
from fnad.numpy.index_parser import as_items, parse_index, width
from fnad.numpy.operands import Array, as_operand, shape_of
from fnad.primitives import shape as lax


def is_masked(index: Any) -> bool:
    """Whether an index holds a traced mask or a boolean scalar."""
    return any(map(_is_mask, index if isinstance(index, tuple) else (index,)))


def has_traced_mask(index: Any) -> bool:
    """Whether an index holds a mask whose values are not known."""
    items = index if isinstance(index, tuple) else (index,)
    return any(isinstance(item, Tracer) and _is_mask(item) for item in items)


def _is_scalar(item: Any) -> bool:
    if isinstance(item, np.ndarray):
        return item.ndim == 0 and item.dtype == np.bool_
    return isinstance(item, (bool, np.bool_))


def _is_mask(item: Any) -> bool:
    return item.dtype == np.bool_ if isinstance(item, Tracer) else _is_scalar(item)


def has_known_mask(index: Any) -> bool:
    """Whether an index is one known mask, besides slices, None and "..."."""
    items = index if isinstance(index, tuple) else (index,)
    others = [x for x in items if not (x is None or x is Ellipsis or isinstance(x, slice))]
    return len(others) == 1 and _is_known(others[0])


def _is_known(item: Any) -> bool:
    return isinstance(item, np.ndarray) and item.dtype == np.bool_ and item.ndim > 0


def with_known_masks(index: Any) -> Any:
    """The index with the values of those traced masks that are known, as outside of `jit`."""
    if isinstance(index, tuple):
        return tuple(map(with_known_masks, index))
    if not isinstance(index, Tracer) or index.dtype != np.bool_:
        return index
    try:
        return index.concretize(NonConcreteBooleanIndexError)
    except NonConcreteBooleanIndexError:
        return index


def _first_axis(items: list[Any], place: int, ndim: int) -> int:
    """The first axis for which the entry at a place stands, counted from the end behind "..."."""
    if any(item is Ellipsis for item in items[:place]):
        return ndim - sum(map(width, items[place:]))
    return sum(map(width, items[:place]))


def _is_plain(item: Any) -> bool:
    """Whether an entry is a slice, None, "...", or a mask."""
    return item is None or item is Ellipsis or isinstance(item, slice) or _is_mask(item)


def _refuse_arrays(items: list[Any]) -> None:
    for item in items:
        if not (_is_plain(item) or _is_known(item)) and shape_of(as_operand(item)):
            raise IndexError(
                "a traced mask cannot stand in an index next to an array of integers: write the"
                " mask as integers with fnp.nonzero(mask, size=...)"
            )


def without_scalars(x: Array, index: Any) -> tuple[Array, Any]:
    """An array with an axis of length 1 for each boolean scalar; the index takes 1 or 0 of it.

    Next to masks and integers a scalar broadcasts with them: it becomes an array of integers.
    """
    items = as_items(index)
    alone = sum(map(_is_scalar, items)) == 1 and all(map(_is_plain, items))
    for place, item in enumerate(items):
        if _is_scalar(item):
            axis = _first_axis(items, place, x.ndim)
            x = lax.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))
            items[place] = slice(0, int(item)) if alone else np.zeros(int(item), np.int64)
    return x, tuple(items)


class MaskedRef:
    """``fnp.at(x)[index]`` with one mask in the index.

    Parameters
    ----------
    array : array
        What is updated.
    index : object
        The index; besides the mask it may hold slices, integers, None and "...".
    at : callable
        ``at(array)[index]`` is a reference without masks.
    selected : IndexedRef, optional
        The reference to the elements that a known mask selects.
    """

    __slots__ = ("_after", "_mask", "_selected", "_whole", "array")

    def __init__(
        self, array: Array, index: Any, at: Callable[[Array], Any], selected: Any = None
    ) -> None:
        items = as_items(index)
        _refuse_arrays(items)
        places = [i for i, item in enumerate(items) if _is_mask(item) or _is_known(item)]
        if len(places) > 1:
            raise IndexError(
                "two masks in an index select pairs of their elements: combine them into one"
                " mask, or write them as integers with fnp.nonzero(mask, size=...)"
            )
        place, mask = places[0], items[places[0]]
        axis, rank = _first_axis(items, place, array.ndim), len(shape_of(mask))
        axes = tuple(range(axis, axis + rank))
        covered = array.shape[axis : axis + rank]
        if shape_of(mask) != covered:
            raise IndexError(
                f"boolean index did not match indexed array: the mask has shape {shape_of(mask)},"
                f" the axes it stands for have shape {covered}"
            )
        items[place : place + 1] = [slice(None)] * rank
        shape = parse_index(tuple(items), array.shape, check_arrays=False).shape
        before = items[:place]
        leading = sum(item is None or isinstance(item, slice) for item in before)
        if any(item is Ellipsis for item in before):
            behind = items[place + rank :]
            after = sum(item is None or isinstance(item, slice) for item in behind)
        else:
            after = len(shape) - leading - rank
        self.array = array
        self._mask = lax.broadcast_in_dim(mask, array.shape, axes)
        self._whole = at(array)[tuple(items)]
        self._after = after, rank
        self._selected = selected

    def get(
        self,
        *,
        mode: str | None = None,
        fill_value: Any = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
    ) -> Array:
        """The elements, if the mask is known: how many there are depends on it."""
        if self._selected is not None:
            elements: Array = self._selected.get(mode=mode, fill_value=fill_value)
            return elements
        raise NonConcreteBooleanIndexError(
            "the shape of x[mask] depends on the values of the mask, which is traced.\n"
            f"  at: {user_line()}\n  ways out: fnp.where(mask, x, fill), or, with a bound on their"
            " number, fnp.extract(mask, x, size=...)."
        )

    def _fitted(self, values: Array) -> Array | None:
        """Values that the axes of the mask share: NumPy has one axis of them for all of these.

        None if they differ along it.
        """
        own = shape_of(values)
        after, rank = self._after
        lead, rest = own[: max(0, len(own) - after)], own[max(0, len(own) - after) :]
        if not lead:
            return values
        if lead[-1] != 1:
            return None
        return lax.reshape(values, (*lead[:-1], *(1,) * rank, *rest))

    def _chosen(self, name: str, values: Any, mode: str | None) -> Array:
        values = as_operand(values)
        fitted = self._fitted(values)
        if fitted is not None:
            updated = getattr(self._whole, name)(fitted, mode=mode)
            return select(self._mask, updated, self.array)
        if self._selected is not None:
            of_each: Array = getattr(self._selected, name)(values, mode=mode)
            return of_each
        raise ValueError(
            f"values of shape {shape_of(values)} differ along the axis of the elements that the"
            " mask selects, and how many these are is not known: pass a scalar or one value for"
            " all of them, or write fnp.where(mask, values_of_all_elements, x)"
        )

    def apply(
        self,
        function: Callable[[Array], Array],
        *,
        mode: str | None = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
    ) -> Array:
        """The array with ``function`` applied to the elements."""
        if self._selected is not None:
            return self._chosen("set", function(self.get()), mode)
        return select(self._mask, self._whole.apply(function, mode=mode), self.array)


def _method(name: str) -> Callable[..., Array]:
    def method(
        self: MaskedRef,
        values: Any,
        *,
        mode: str | None = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
    ) -> Array:
        return self._chosen(name, values, mode)

    method.__name__ = name
    method.__doc__ = f"As `IndexedRef.{name}`, for the elements that the mask selects."
    return method


for _name in ("set", "add", "subtract", "multiply", "mul", "divide", "power", "min", "max"):
    setattr(MaskedRef, _name, _method(_name))
