"""``r_[1:4, 0, x]`` and ``c_[x, y]``: arrays joined by an index expression."""

from __future__ import annotations

from typing import Any

from fnad.core.dtypes import result_type
from fnad.numpy.creation import asarray
from fnad.numpy.joining import concatenate
from fnad.numpy.manipulation import reshape, transpose
from fnad.numpy.operands import Array, convert
from fnad.numpy.ranges import arange, linspace


class AxisConcatenator:
    """Joins what stands in brackets: arrays, numbers, and slices, which are ranges.

    A slice ``start:stop:step`` is `arange`, with an imaginary step ``start:stop:nj`` it is
    `linspace` of n numbers. A string at the beginning gives the axis, the least number of axes, and
    where the axes of arrays with fewer go, as in `numpy.r_`.
    """

    def __init__(self, axis: int, ndmin: int, place: int) -> None:
        self._usual = axis, ndmin, place

    def __getitem__(self, key: Any) -> Array:
        items = list(key) if isinstance(key, tuple) else [key]
        axis, ndmin, place = self._usual
        if items and isinstance(items[0], str):
            axis, ndmin, place = self._directive(items.pop(0))
        if not items:
            raise ValueError("r_ and c_ join arrays: there are none between the brackets")
        parts = [_part(item) for item in items]
        scalars = [
            not isinstance(item, slice) and part.ndim == 0 for item, part in zip(items, parts)
        ]
        # Python's numbers take the dtype of the arrays, as elsewhere.
        dtype = result_type(*[i if s else p for i, s, p in zip(items, scalars, parts)])
        return concatenate([convert(_raised(p, ndmin, place), dtype) for p in parts], axis)

    def _directive(self, text: str) -> tuple[int, int, int]:
        if text in ("r", "c"):
            raise ValueError(
                f"r_[{text!r}, ...] makes a numpy.matrix, which fnad does not have; reshape the"
                " result, or use fnp.c_"
            )
        try:
            given = [int(part) for part in text.split(",")]
        except ValueError:
            raise ValueError(f"{text!r} is no directive like 'axis,ndmin,place'") from None
        return tuple([*given, *self._usual[len(given) :]][:3])  # type: ignore[return-value]


def _part(item: Any) -> Array:
    if not isinstance(item, slice):
        return asarray(item)
    start = 0 if item.start is None else item.start
    step = 1 if item.step is None else item.step
    if isinstance(step, complex):
        return linspace(start, item.stop, int(abs(step)))
    return arange(start, item.stop, step)


def _raised(x: Array, ndmin: int, place: int) -> Array:
    """The array with as many axes as are wanted, its own at a place among them."""
    own, ndmin = x.ndim, max(ndmin, 1)
    missing = ndmin - own
    x = reshape(x, (1,) * missing + x.shape) if missing > 0 else x
    if missing <= 0 or place == -1 or own == 0:
        return x
    first = place if place >= 0 else place + missing + 1
    order = list(range(missing))
    order[first:first] = range(missing, ndmin)
    return transpose(x, tuple(order))


r_ = AxisConcatenator(0, 1, -1)
c_ = AxisConcatenator(-1, 2, 0)
