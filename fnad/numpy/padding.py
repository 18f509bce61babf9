"""Extending arrays at their edges."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fnad.core.tracer import Tracer
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray
from fnad.numpy.indexing import take
from fnad.numpy.joining import concatenate
from fnad.numpy.manipulation import broadcast_to
from fnad.numpy.mapping import apply_along_axis
from fnad.numpy.operands import Array, contains_tracer, convert, own
from fnad.numpy.quantiles import median
from fnad.numpy.ranges import linspace, positions
from fnad.numpy.reductions import max, min
from fnad.numpy.selection import round
from fnad.numpy.statistics import mean
from fnad.primitives import slicing
from fnad.primitives.reversal import rev
from fnad.primitives.shape import canonicalize_axis

Pair = tuple[Any, Any]

# Of more runs, an axis is gathered.
_MANY_RUNS = 8


def _pairs(values: Any, ndim: int) -> list[Pair]:
    """Broadcast NumPy's pad_width (or constant_values) to one pair an axis."""
    if contains_tracer(values):
        spread = broadcast_to(asarray(values), (ndim, 2))
        return [(spread[axis, 0], spread[axis, 1]) for axis in range(ndim)]
    return [tuple(pair) for pair in np.broadcast_to(np.asarray(values), (ndim, 2)).tolist()]


def _widths(pad_width: Any, ndim: int) -> list[Pair]:
    if isinstance(pad_width, dict):
        widths: list[Pair] = [(0, 0)] * ndim
        for axis, pair in pad_width.items():
            widths[canonicalize_axis(axis, ndim)] = _pairs(pair, 1)[0]
        return widths
    return _pairs(pad_width, ndim)


def pad(
    array: Any,
    pad_width: Any,
    mode: str | Callable[..., Any] = "constant",
    *,
    constant_values: Any = 0,
    end_values: Any = 0,
    stat_length: Any = None,
    reflect_type: str = "even",
    **kwargs: Any,
) -> Array:
    """Extend an array at its edges.

    Parameters
    ----------
    array : array_like
        Any shape.
    pad_width : int, pair, sequence of pairs, or dict
        How many elements to put before and after, for all axes or for each; a dict has them by
        axis.
    mode : str or callable
        With what: "constant", "edge", "empty" (zeros here), "linear_ramp" (down to
        ``end_values``), "maximum", "mean", "median", "minimum" (of ``stat_length`` elements at the
        edge), "reflect", "symmetric", "wrap". A function gets a padded vector, its pair of widths,
        its axis and ``kwargs``, and returns the vector that is wanted.
    constant_values, end_values : scalar, pair, or sequence of pairs
    stat_length : int, pair, or sequence of pairs, optional
        All elements of an axis by default.
    reflect_type : {"even", "odd"}
        Odd reflections are turned about the edge: twice the edge less the reflected.

    Examples
    --------
    >>> pad(np.array([1, 2]), 1), pad(np.array([1, 2]), (0, 2), "edge")
    (array([0, 1, 2, 0]), array([1, 2, 2, 2]))
    >>> pad(np.array([1.0, 3.0]), 2, "linear_ramp", end_values=5)
    array([5., 3., 1., 3., 4., 5.])
    """
    x = asarray(array)
    widths = _widths(pad_width, x.ndim)
    if any(w < 0 for pair in widths for w in pair):
        raise ValueError("index can't contain negative values")
    _check_arguments(
        mode,
        constant_values=constant_values,
        end_values=end_values,
        stat_length=stat_length,
        reflect_type=reflect_type,
    )
    if mode == "constant":
        return own(_pad_constant(x, widths, constant_values), array)
    if mode == "empty":
        return own(_pad_constant(x, widths, 0), array)
    if callable(mode):
        return _pad_by_function(x, widths, mode, kwargs)
    if reflect_type not in ("even", "odd"):
        raise ValueError(f"pad: reflect_type must be 'even' or 'odd', got {reflect_type!r}")
    options = {
        "ends": _pairs(end_values, x.ndim),
        "lengths": _pairs(stat_length, x.ndim) if stat_length is not None else None,
        "odd": reflect_type == "odd",
    }
    if kwargs or mode not in _EXTENSIONS:
        known = ", ".join(["constant", "empty", *_EXTENSIONS])
        what = f"mode {mode!r}" if mode not in _EXTENSIONS else f"argument {next(iter(kwargs))!r}"
        raise ValueError(f"{what} is not supported; fnp.pad knows the modes {known}")
    for axis, (before, after) in builtins.enumerate(widths):
        if before or after:
            if not x.shape[axis]:
                raise ValueError(
                    f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'"
                )
            x = _EXTENSIONS[mode](x, axis, before, after, **options)
    return own(x, array)


# The arguments that are about some modes only, as they are where they are not given.
_ARGUMENTS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "constant_values": (0, ("constant",)),
    "end_values": (0, ("linear_ramp",)),
    "stat_length": (None, ("maximum", "mean", "median", "minimum")),
    "reflect_type": ("even", ("reflect", "symmetric")),
}


def _check_arguments(mode: Any, **arguments: Any) -> None:
    for name, value in arguments.items():
        usual, modes = _ARGUMENTS[name]
        if value is not usual and mode not in modes and not callable(mode):
            raise ValueError(
                f"pad: {name}= is for mode {' or '.join(map(repr, modes))}, not for {mode!r}"
            )


def _pad_constant(x: Array, widths: list[Pair], values: Any) -> Array:
    if not isinstance(values, (tuple, list)) and np.ndim(values) == 0:
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


def _pad_by_function(
    x: Array, widths: list[Pair], function: Callable[..., Any], kwargs: dict[str, Any]
) -> Array:
    x = _pad_constant(x, widths, 0)
    for axis, pair in enumerate(widths):
        # As in NumPy, the function comes to every vector of the padded array.
        def padded(vector: Array, axis: int = axis, pair: Pair = pair) -> Array:
            out = function(vector, pair, axis, kwargs)
            if out is None:
                raise TypeError(
                    "pad: the function returned None; it must return the padded vector, since"
                    " arrays that are traced cannot be changed in place"
                )
            return out

        x = apply_along_axis(padded, axis, x)
    return x


def _edge(x: Array, axis: int, before: int, after: int, **options: Any) -> Array:
    def edge(width: int, end: int) -> Array:
        one = slicing.slice_in_dim(x, end, end + 1, axis=axis)
        return broadcast_to(one, (*x.shape[:axis], width, *x.shape[axis + 1 :]))

    return concatenate([edge(before, 0), x, edge(after, x.shape[axis] - 1)], axis)


def _by_index(index_of: Callable[[np.ndarray, int], np.ndarray]) -> Callable[..., Array]:
    """An extension by elements of the array: where each place finds its own."""

    def extend(x: Array, axis: int, before: int, after: int, **options: Any) -> Array:
        length = x.shape[axis]
        return _taken(x, index_of(positions(-before, length + after), length), axis)

    return extend


def _taken(x: Array, index: Array, axis: int) -> Array:
    """Elements of an axis at places that are few runs up, down or of one place: as slices."""
    if isinstance(index, Tracer):  # of a size
        return take(x, index, axis)
    runs = list(_runs(index))
    if len(runs) > _MANY_RUNS:
        return take(x, index, axis)
    parts = []
    for first, step, count in runs:
        low = builtins.min(first, first + step * (count - 1))
        high = builtins.max(first, first + step * (count - 1))
        part = slicing.slice_in_dim(x, low, high + 1, axis=axis)
        if step == 0:
            part = broadcast_to(part, (*x.shape[:axis], count, *x.shape[axis + 1 :]))
        parts.append(rev(part, (axis,)) if step < 0 else part)
    return concatenate(parts, axis) if len(parts) > 1 else parts[0]


def _runs(index: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """The first place, the step and the length of runs with steps of 1, -1 or 0."""
    steps, start = np.diff(index), 0
    while start < len(index):
        step = int(steps[start]) if start < len(steps) and abs(steps[start]) <= 1 else 1
        others = np.flatnonzero(steps[start:] != step)
        count = int(others[0]) + 1 if len(others) else len(index) - start
        yield int(index[start]), step, count
        start += count


def _by_reflection(overlap: int) -> Callable[..., Array]:
    """Reflections about the edges, which belong to both sides or (``overlap`` 1) to one."""

    def extend(x: Array, axis: int, before: int, after: int, *, odd: bool, **options: Any) -> Array:
        length = x.shape[axis]
        period = 2 * (length - overlap)
        if length == 1:  # as NumPy, which keeps the edge
            return take(x, np.zeros(before + 1 + after, np.int64), axis)
        position = positions(-before, length + after)
        folded = position % period
        inside, most = folded < length, period - 1 + overlap
        out = _taken(x, (most - abs(most - 2 * folded)) // 2, axis)
        if not odd:
            return out
        # Every full period adds twice the rise from edge to edge.
        shape = tuple(-1 if i == axis else 1 for i in range(x.ndim))
        rises = (2 * (position // period)).reshape(shape).astype(x.dtype)
        first, last = (slicing.slice_in_dim(x, i, i + 1, axis=axis) for i in (0, length - 1))
        turned = ufuncs.subtract(ufuncs.multiply(last, x.dtype.type(2)), out)
        out = ufuncs.parts.select(broadcast_to(inside.reshape(shape), out.shape), out, turned)
        return ufuncs.add(out, ufuncs.multiply(rises, ufuncs.subtract(last, first)))

    return extend


def _ramp(
    x: Array, axis: int, before: int, after: int, *, ends: list[Pair], **options: Any
) -> Array:
    parts = [x]
    for width, end, edge in ((before, ends[axis][0], 0), (after, ends[axis][1], -1)):
        start = take(x, edge % x.shape[axis], axis)
        ramp = linspace(end, start, width, endpoint=False, dtype=x.dtype, axis=axis)
        parts = [ramp, *parts] if edge == 0 else [*parts, rev(ramp, (axis,))]
    return concatenate(parts, axis)


def _by_statistic(statistic: Callable[..., Array]) -> Callable[..., Array]:
    """What the elements at an edge have in common."""

    def extend(
        x: Array, axis: int, before: int, after: int, *, lengths: list[Pair] | None, **options: Any
    ) -> Array:
        length = x.shape[axis]
        parts = [x]
        for width, side in ((before, 0), (after, 1)):
            count = length if lengths is None else builtins.min(lengths[axis][side], length)
            if count < 1:
                raise ValueError(f"pad: stat_length must be positive, got {count}")
            first = 0 if side == 0 else length - count
            chunk = slicing.slice_in_dim(x, first, first + count, axis=axis)
            value = statistic(chunk, axis=axis, keepdims=True)
            if x.dtype.kind in "iu" and value.dtype != x.dtype:
                value = round(value)
            filled = take(convert(value, x.dtype), np.zeros(width, np.int64), axis)
            parts = [filled, *parts] if side == 0 else [*parts, filled]
        return concatenate(parts, axis)

    return extend


_EXTENSIONS: dict[Any, Callable[..., Array]] = {
    "edge": _edge,
    "linear_ramp": _ramp,
    "maximum": _by_statistic(max),
    "mean": _by_statistic(mean),
    "median": _by_statistic(median),
    "minimum": _by_statistic(min),
    "reflect": _by_reflection(1),
    "symmetric": _by_reflection(0),
    "wrap": _by_index(lambda position, length: position % length),
}
