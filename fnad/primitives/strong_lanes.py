"""Lanes of cotangents: of which elements a select says that they may differ from zero.

A mask of them has as few axes as tell them apart: of rows that were left out, one element each.
What `fnad.primitives.strong_zeros` does with them, its docstring says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core.sizes import Size
from fnad.core.tracer import Tracer
from fnad.core.types import ShapedArray, aval_of

# A mask, which of its values marks lanes, and where its axes lie.
Lanes = tuple[Any, bool, tuple[int, ...]]
# Where the axes of one array are in another one; None where it does not have them.
Places = Sequence[int | None]


class RepeatedMask:
    """A mask that is the same along some axes, as a predicate of a select.

    Parameters
    ----------
    mask : array of bool
        It before it is repeated.
    shape, dimensions : tuple of int
        The shape that it is repeated into, and where its axes are in it.
    """

    __slots__ = ("_rows", "_whole", "axes", "dimensions", "mask", "shape")

    def __init__(self, mask: Any, shape: tuple[int, ...], dimensions: tuple[int, ...]) -> None:
        self.mask, self.shape, self.dimensions = mask, shape, dimensions
        self.axes = tuple(dimensions[i] for i in self._long())
        self._rows: Any = None
        self._whole: Any = None

    def _long(self) -> list[int]:
        sizes = aval_of(self.mask).shape
        return [i for i, n in enumerate(sizes) if type(n) is Size or n != 1]

    @property
    def rows(self) -> Any:
        """The mask along ``axes``, those along which it may differ."""
        if self._rows is None:
            from fnad.primitives.shape import reshape  # shape uses this module

            sizes = aval_of(self.mask).shape
            self._rows = reshape(self.mask, tuple(sizes[i] for i in self._long()))
        return self._rows

    @property
    def whole(self) -> Any:
        """The mask in all of its shape."""
        if self._whole is None:
            from fnad.primitives.shape import broadcast_in_dim  # shape uses this module

            self._whole = broadcast_in_dim(self.mask, self.shape, self.dimensions)
        return self._whole

    def lanes(self, taken: bool) -> Live:
        """Where the mask is ``taken``."""
        return Live.along(lambda: (self.rows, taken, self.axes), self.axes, self.shape)


class Live:
    """The lanes in which a cotangent may differ from zero, computed when they are asked for.

    Parameters
    ----------
    make : callable
        Computes the mask: booleans of the shape of the cotangent, or of rank 0 for all of it.
    side : tuple (pred, taken, outer), optional
        If they are the lanes that a select took (or did not): its predicate, which, and the
        lanes of the select's own cotangent; None means all of them.
    lanes : callable, optional
        If a mask of lower rank tells, too: makes ``(mask, taken, axes)``, the lanes where
        ``mask == taken``, with its axes at ``axes``.
    axes : tuple of int, optional
        The axes along which they may differ; without it, all.
    """

    __slots__ = ("_lanes", "_make", "_mask", "_told", "axes", "side")

    def __init__(
        self,
        make: Callable[[], Any],
        side: tuple[Any, bool, Live | None] | None = None,
        lanes: Callable[[], Lanes] | None = None,
        axes: tuple[int, ...] | None = None,
    ) -> None:
        self._make = make
        self._mask: Any = None
        self._lanes = lanes
        self._told: Lanes | None = None
        self.axes = axes
        self.side = side

    @classmethod
    def along(
        cls, lanes: Callable[[], Lanes], axes: tuple[int, ...], shape: tuple[int, ...]
    ) -> Live:
        """The lanes of an array of a shape, of which a mask along some of its axes tells."""

        def make() -> Any:
            from fnad.primitives.logic import bitwise_not  # logic uses this module
            from fnad.primitives.shape import broadcast_in_dim  # shape uses this module

            mask, taken, axes = live.lanes(len(shape))
            lanes_across = mask if taken else bitwise_not(mask)
            if not 0 < len(axes) < len(shape):
                return lanes_across
            return broadcast_in_dim(lanes_across, shape, axes)

        live = cls(make, lanes=lanes, axes=axes)
        return live

    @classmethod
    def given(cls, mask: Any, axes: tuple[int, ...], shape: tuple[int, ...]) -> Live:
        """The lanes of an array of a shape, of which a mask of its ``axes`` exists already."""
        if 0 < len(axes) == len(shape):
            return cls(lambda: mask)
        return cls.along(lambda: (mask, True, axes), axes, shape)

    def mask(self) -> Any:
        """The mask, computed once."""
        if self._mask is None:
            self._mask = self._make()
        return self._mask

    def choose(self, ct: Any) -> Any:
        """The cotangent in these lanes, zero elsewhere."""
        if self._lanes is not None:
            return _in_rows(self.lanes(len(aval_of(ct).shape)), ct)
        if self.side is not None and self.side[2] is None:
            return select_side(self.side[0], self.side[1], ct)
        return select_side(self.mask(), True, ct)

    def along_axes(self, rank: int) -> tuple[int, ...]:
        """The axes of an array of that rank along which they may differ."""
        if self.axes is not None:
            return self.axes
        whole = self.side is not None and self.side[2] is None and not aval_of(self.side[0]).shape
        return () if whole else tuple(range(rank))

    def lanes(self, rank: int) -> Lanes:
        """The lanes of an array of that rank as ``masked_mul`` takes them."""
        if self._told is not None:
            return self._told
        if self._lanes is not None:
            self._told = self._lanes()
            return self._told
        if self.side is not None and self.side[2] is None:
            mask, taken = self.side[:2]
        else:
            mask, taken = self.mask(), True
        return mask, taken, tuple(range(rank)) if aval_of(mask).shape else ()


def select_side(pred: Any, taken: bool, ct: Any) -> Any:
    """A cotangent where a predicate is ``taken``, zero elsewhere."""
    from fnad.primitives.logic import select_p  # logic uses this module

    zero = aval_of(ct).dtype.type(0)
    return select_p.bind(whole_mask(pred), *((ct, zero) if taken else (zero, ct)))


def _in_rows(lanes: Lanes, ct: Any) -> Any:
    """A cotangent where a mask of lower rank says, zero elsewhere."""
    from fnad.primitives.masked_products import masked_mul_p  # uses this module

    mask, taken, axes = lanes
    return masked_mul_p.bind(mask, ct, aval_of(ct).dtype.type(1), taken=taken, axes=axes)


def whole_mask(pred: Any) -> Any:
    """A predicate of a select in all of its shape."""
    return pred.whole if type(pred) is RepeatedMask else pred


def any_of(mask: Any, axes: tuple[int, ...]) -> Any:
    """Where a mask holds anywhere along the axes; one of rank 0 is the same for all."""
    from fnad.primitives.reductions import reduce_or  # reductions use this module

    return reduce_or(mask, axes) if aval_of(mask).shape else mask


def taken_lanes(live: Live, shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """Where an array of a shape may differ from zero, and the axes that this mask has of it."""
    mask, taken, axes = live.lanes(len(shape))
    if taken:
        return mask, axes
    from fnad.primitives.logic import bitwise_not  # logic uses this module

    return bitwise_not(mask), axes


def mask_of(shape: tuple[int, ...], axes: tuple[int, ...]) -> ShapedArray:
    """The type of a mask of axes of an array of a shape."""
    return ShapedArray(tuple(shape[i] for i in axes), np.dtype(np.bool_))


def mask_along(
    mask: Any, axes: tuple[int, ...], wanted: tuple[int, ...], shape: tuple[int, ...]
) -> Any:
    """A mask of axes of an array of a shape as one of more of its axes."""
    from fnad.primitives.shape import broadcast_in_dim  # shape uses this module

    if axes == wanted:
        return mask
    return broadcast_in_dim(mask, mask_of(shape, wanted).shape, [wanted.index(i) for i in axes])


def either(a: Live, b: Live, shape: tuple[int, ...]) -> Live:
    """The lanes of an array of a shape that are in one of two."""
    from fnad.primitives.logic import bitwise_or  # logic uses this module

    return joined(bitwise_or, a, b, shape)


def joined(join: Callable[[Any, Any], Any], a: Live, b: Live, shape: tuple[int, ...]) -> Live:
    """The lanes that two of an array of a shape give together; of rows, rows."""
    if a.axes is None or b.axes is None:
        return Live(lambda: join(a.mask(), b.mask()))
    axes = tuple(sorted({*a.axes, *b.axes}))

    def lanes() -> Lanes:
        masks = [mask_along(*taken_lanes(live, shape), axes, shape) for live in (a, b)]
        return join(*masks), True, axes

    return Live.along(lanes, axes, shape)


def in_result(live: Live, axes: Sequence[int | None], shape: tuple[int, ...]) -> Live:
    """Lanes of a cotangent as those of a result of a shape, in which its axes are ``axes``."""
    rank = len(axes)

    def places(inner: Sequence[int]) -> list[int]:
        return [place for i in inner if (place := axes[i]) is not None]

    def lanes() -> Lanes:
        mask, taken, inner = live.lanes(rank)
        at = places(inner)
        if at != sorted(at):
            from fnad.primitives.shape import transpose  # shape uses this module

            mask = transpose(mask, tuple(sorted(range(len(at)), key=at.__getitem__)))
        return mask, taken, tuple(sorted(at))

    return Live.along(lanes, tuple(sorted(places(live.along_axes(rank)))), shape)


def any_live(live: Live, gone: Sequence[int], rank: int) -> Live:
    """Where lanes are live of which there are several each, along the axes that are gone."""

    def lanes() -> Lanes:
        from fnad.primitives.logic import bitwise_not  # logic uses this module

        mask, taken, axes = live.lanes(rank)
        lanes_taken = mask if taken else bitwise_not(mask)
        places = tuple([place for place, i in enumerate(axes) if i in gone])
        return any_of(lanes_taken, places), True, tuple([i for i in axes if i not in gone])

    kept = tuple([i for i in live.along_axes(rank) if i not in gone])
    return Live(lambda: lanes()[0], lanes=lanes, axes=kept)


def is_everywhere(live: Live, gone: Sequence[int], rank: int) -> bool:
    """Whether it is known at once that any lane is live, as of a causal mask under a trace."""
    if live.side is None or live.side[2] is not None:
        return False
    pred = live.side[0]
    if isinstance(pred.mask if type(pred) is RepeatedMask else pred, Tracer):
        return False
    mask, taken, axes = live.lanes(rank)
    places = tuple([place for place, i in enumerate(axes) if i in gone])
    return bool(np.all(np.any(np.asarray(mask) == taken, axis=places)))
