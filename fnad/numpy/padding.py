"""Extending arrays at their edges."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from fnad.core.tracer import Tracer
from fnad.numpy.creation import asarray
from fnad.numpy.operands import (
    Array,
    convert,
)
from fnad.primitives import slicing


def _pairs(values: Any, ndim: int) -> list[tuple[Any, Any]]:
    """Broadcast NumPy's pad_width (or constant_values) to one pair an axis."""
    return [tuple(pair) for pair in np.broadcast_to(np.asarray(values), (ndim, 2)).tolist()]


def pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Array:
    """Extend an array at its edges.

    Parameters
    ----------
    array : array_like
        Any shape.
    pad_width : int, pair, or sequence of pairs
        How many elements to put before and after, for all axes or for each.
    mode : {"constant", "edge", "reflect", "symmetric", "wrap"}
        With what.
    constant_values : scalar, pair, or sequence of pairs
        The values for ``mode="constant"``; one scalar may be traced.

    Examples
    --------
    >>> pad(np.array([1, 2]), 1), pad(np.array([1, 2]), (0, 2), "edge")
    (array([0, 1, 2, 0]), array([1, 2, 2, 2]))
    """
    x = asarray(array)
    widths = _pairs(pad_width, x.ndim)
    if any(w < 0 for pair in widths for w in pair):
        raise ValueError("index can't contain negative values")
    if mode == "constant":
        return _pad_constant(x, widths, constant_values)
    if mode not in _PAD_INDICES:
        known = ", ".join(["constant", *_PAD_INDICES])
        raise ValueError(f"mode {mode!r} is not supported; fnp.pad knows {known}")
    from fnad.numpy.indexing import take

    for axis, (before, after) in builtins.enumerate(widths):
        if before or after:
            position = np.arange(-before, x.shape[axis] + after)
            x = take(x, _PAD_INDICES[mode](position, x.shape[axis]), axis)
    return x


def _pad_constant(x: Array, widths: list[tuple[int, int]], values: Any) -> Array:
    if isinstance(values, Tracer) or np.ndim(values) == 0:
        value = convert(_cast(values, x), x.dtype)
        return slicing.pad(x, value, [(before, after, 0) for before, after in widths])
    for axis, ((before, after), pair) in enumerate(zip(widths, _pairs(values, x.ndim))):
        for low, high, value in ((before, 0, pair[0]), (0, after, pair[1])):
            config = [(0, 0, 0)] * x.ndim
            config[axis] = (low, high, 0)
            x = slicing.pad(x, convert(_cast(value, x), x.dtype), config)
    return x


def _cast(value: Any, x: Array) -> Any:
    return value if isinstance(value, Tracer) else np.asarray(value).astype(x.dtype)[()]


def _reflect(position: np.ndarray, length: int) -> np.ndarray:
    if length == 1:
        return np.zeros_like(position)
    period = 2 * (length - 1)
    folded = position % period
    return np.where(folded < length, folded, period - folded)


def _symmetric(position: np.ndarray, length: int) -> np.ndarray:
    folded = position % (2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)


_PAD_INDICES = {
    "edge": lambda position, length: np.clip(position, 0, length - 1),
    "reflect": _reflect,
    "symmetric": _symmetric,
    "wrap": lambda position, length: position % length,
}
