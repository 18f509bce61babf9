"""Gather and scatter of windows, in the form that XLA and `jax.lax` give them.

They are written with the primitives `gather_p` and `scatter_p`, which know single places only: an
index that starts a longer window becomes an index for each of its elements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core.types import aval_of
from fnad.primitives.arithmetic import max as max_
from fnad.primitives.arithmetic import neg
from fnad.primitives.control_flow import fori_loop
from fnad.primitives.index_windows import (
    Axes,
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
    Windows,
    check_ascending,
    check_windows,
    divided_axes,
    index_places,
    is_dropping,
)
from fnad.primitives.indexing import gather_p, scatter_p
from fnad.primitives.logic import ge, gt, select
from fnad.primitives.reductions import reduce_max
from fnad.primitives.shape import (
    broadcast_in_dim,
    full,
    full_like,
    int_tuple,
    invert_permutation,
    reshape,
    transpose,
)
from fnad.primitives.slicing import slice

_INT64 = np.dtype(np.int64)


def gather(
    operand: Any,
    start_indices: Any,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Sequence[int],
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: str | GatherScatterMode | None = None,
    fill_value: Any = None,
) -> Any:
    """Windows of an array that start at given indices.

    Parameters
    ----------
    operand : array
    start_indices : integer array of shape (*batch, n)
        Where windows start along the n axes ``dimension_numbers.start_index_map``; along the other
        axes they start at 0.
    dimension_numbers : GatherDimensionNumbers
    slice_sizes : sequence of int
        The shape of a window, an entry for each axis of the operand.
    unique_indices, indices_are_sorted : bool
        Accepted as `jax.lax.gather` does; nothing depends on them.
    mode : GatherScatterMode or str, optional
        What windows that are not within the operand give: "promise_in_bounds" (default), "clip"
        or "fill". Broken promises are clipped, too.
    fill_value : scalar, optional
        What mode "fill" reads: by default NaN, the smallest signed or the largest unsigned integer,
        or True.

    Returns
    -------
    array
        The axes of the batch, and at ``dimension_numbers.offset_dims`` those of the windows.

    Raises
    ------
    TypeError
        If shapes, axes and indices do not fit together.

    Examples
    --------
    >>> numbers = GatherDimensionNumbers((1,), (), (0,))
    >>> gather(np.arange(5.0), np.array([[1], [3], [4]]), numbers, (2,), mode="fill")
    array([[ 1.,  2.],
           [ 3.,  4.],
           [nan, nan]])
    """
    numbers, sizes = GatherDimensionNumbers(*dimension_numbers), int_tuple(slice_sizes)
    shape, indices = aval_of(operand).shape, aval_of(start_indices)
    if len(sizes) != len(shape):
        raise TypeError(
            f"gather: slice_sizes {sizes} must have an entry for each axis of an operand of shape"
            f" {shape}"
        )
    batching = numbers.operand_batching_dims
    windows = Windows(sizes, numbers.start_index_map, batching, numbers.start_indices_batching_dims)
    check_windows("gather", shape, indices, windows, numbers.collapsed_slice_dims)
    axes = divided_axes(len(shape), windows, numbers.collapsed_slice_dims, range(len(shape)))
    rank = indices.ndim - 1 + len(numbers.offset_dims)
    check_ascending("gather", "offset_dims", numbers.offset_dims, rank)
    if len(axes.kept) != len(numbers.offset_dims):
        raise TypeError(
            f"gather: offset_dims {numbers.offset_dims} must be one axis for each of the axes"
            f" {tuple(axes.kept)} of the windows that are neither collapsed nor batching"
        )
    fills = mode is not None and is_dropping(mode)
    # Along axes that no index is for windows are slices from 0.
    limits = [sizes[a] if a in axes.rest else n for a, n in enumerate(shape)]
    moved = axes.moved(slice(operand, [0] * len(shape), limits))
    places = index_places(start_indices, shape, windows, axes, drop=fills)
    if aval_of(places[0]).size:
        out = gather_p.bind(moved, *places, mode="fill" if fills else "clip")
    else:
        rest = tuple(limits[a] for a in axes.rest)
        out = full((*aval_of(places[0]).shape, *rest), 0, aval_of(operand).dtype)
    if fills and fill_value is not None and windows.mapped:
        inside = ge(places[axes.indexed.index(windows.mapped[0])], np.int64(0))
        inside = broadcast_in_dim(inside, aval_of(out).shape, range(aval_of(inside).ndim))
        out = select(inside, out, full_like(out, fill_value))
    batch = iter(range(indices.ndim - 1))
    offsets = dict(zip(numbers.offset_dims, axes.window_axes(indices.ndim - 1)))
    return transpose(out, [offsets[i] if i in offsets else next(batch) for i in range(rank)])


def _scatter(
    name: str,
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    mode: str | GatherScatterMode | None,
    kind: str,
) -> Any:
    numbers = ScatterDimensionNumbers(*dimension_numbers)
    aval, indices, new = aval_of(operand), aval_of(scatter_indices), aval_of(updates)
    shape = aval.shape
    windows, axes = _scatter_windows(name, shape, indices, new.shape, numbers)
    batch_axes = [i for i in range(new.ndim) if i not in numbers.update_window_dims]
    if tuple(new.shape[i] for i in batch_axes) != indices.shape[:-1] or new.dtype != aval.dtype:
        raise TypeError(
            f"{name}: updates must have the dtype of the operand {aval} and, beside the axes"
            f" {numbers.update_window_dims} of the windows, the axes of the indices {indices}"
            f" before the last one, got {new}"
        )
    if not new.size or not aval.size:
        return operand
    drops = is_dropping(mode)
    window_axes = dict(zip(axes.kept, numbers.update_window_dims))
    order = [*batch_axes, *(window_axes[a] for a in (*axes.offsets, *axes.rest))]
    out = scatter_p.bind(
        axes.moved(operand),
        transpose(updates, order),
        *index_places(scatter_indices, shape, windows, axes, drop=drops),
        kind=kind,
        mode="fill" if drops else "clip",
    )
    out = reshape(out, [shape[a] for a in axes.in_front])
    return transpose(out, invert_permutation(axes.in_front))


def _scatter_windows(
    name: str, shape: Any, indices: Any, updates_shape: Any, numbers: ScatterDimensionNumbers
) -> tuple[Windows, Axes]:
    """The windows of a scatter, whose sizes the updates say."""
    absent = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
    kept = [a for a in range(len(shape)) if a not in absent]
    check_ascending(name, "update_window_dims", numbers.update_window_dims, len(updates_shape))
    if len(kept) != len(numbers.update_window_dims):
        raise TypeError(
            f"{name}: update_window_dims {numbers.update_window_dims} must be one axis for each of"
            f" the axes {tuple(kept)} of the operand that are neither inserted nor batching"
        )
    lengths = {a: updates_shape[i] for a, i in zip(kept, numbers.update_window_dims)}
    windows = Windows(
        tuple(lengths.get(a, min(1, n)) for a, n in enumerate(shape)),
        numbers.scatter_dims_to_operand_dims,
        numbers.operand_batching_dims,
        numbers.scatter_indices_batching_dims,
    )
    check_windows(name, shape, indices, windows, numbers.inserted_window_dims)
    whole = [a for a, n in enumerate(shape) if windows.sizes[a] == n]
    return windows, divided_axes(len(shape), windows, numbers.inserted_window_dims, whole)


def scatter(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """An array with windows at given indices replaced by updates.

    Parameters
    ----------
    operand : array
    scatter_indices : integer array of shape (*batch, n)
        Where windows start along the n axes ``dimension_numbers.scatter_dims_to_operand_dims``;
        along the other axes they start at 0.
    updates : array
        The axes of the batch, and at ``dimension_numbers.update_window_dims`` those of the windows.
    dimension_numbers : ScatterDimensionNumbers
    indices_are_sorted, unique_indices : bool
        Accepted as `jax.lax.scatter` does; nothing depends on them.
    mode : GatherScatterMode or str, optional
        What becomes of windows that are not within the operand: "drop" or "fill" (default),
        "clip", "promise_in_bounds".

    Returns
    -------
    array
        Of the shape and dtype of ``operand``. Where windows overlap, the last one counts.

    Raises
    ------
    TypeError
        If shapes, axes, dtypes and indices do not fit together.

    Examples
    --------
    >>> numbers = ScatterDimensionNumbers((1,), (), (0,))
    >>> scatter(np.zeros(5), np.array([[0], [4]]), np.ones((2, 2)), numbers)
    array([1., 1., 0., 0., 0.])
    """
    return _scatter("scatter", operand, scatter_indices, updates, dimension_numbers, mode, "set")


def _combining(name: str, kind: str, what: str, example: str) -> Callable[..., Any]:
    def function(
        operand: Any,
        scatter_indices: Any,
        updates: Any,
        dimension_numbers: ScatterDimensionNumbers,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: str | GatherScatterMode | None = None,
    ) -> Any:
        return _scatter(name, operand, scatter_indices, updates, dimension_numbers, mode, kind)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{what} windows at given indices; the arguments are those of `scatter`.

    Where windows overlap, all of them count.

    Examples
    --------
    >>> numbers = ScatterDimensionNumbers((), (0,), (0,))
    >>> {name}(np.array([4.0, 5.0]), np.array([[1], [1]]), np.array([2.0, 3.0]), numbers)
    {example}
    """
    return function


scatter_add = _combining("scatter_add", "add", "Add updates to", "array([ 4., 10.])")
scatter_mul = _combining("scatter_mul", "multiply", "Multiply by updates", "array([ 4., 30.])")
scatter_min = _combining("scatter_min", "min", "Take minima with updates of", "array([4., 2.])")
scatter_max = _combining("scatter_max", "max", "Take maxima with updates of", "array([4., 5.])")


def scatter_sub(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """Subtract updates from windows at given indices; the arguments are those of `scatter`.

    Where windows overlap, all of them count.

    Examples
    --------
    >>> numbers = ScatterDimensionNumbers((), (0,), (0,))
    >>> scatter_sub(np.array([4.0, 5.0]), np.array([[1], [1]]), np.array([2.0, 3.0]), numbers)
    array([4., 0.])
    """
    args = operand, scatter_indices, neg(updates), dimension_numbers
    return _scatter("scatter_sub", *args, mode, "add")


def scatter_apply(
    operand: Any,
    scatter_indices: Any,
    func: Callable[[Any], Any],
    dimension_numbers: ScatterDimensionNumbers,
    *,
    update_shape: Sequence[int] = (),
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """An array with a function of one element applied within windows at given indices.

    Parameters
    ----------
    func : callable
        Maps arrays elementwise, and keeps their dtype. It is called on the whole operand, and
        elements outside of all windows drop the result.
    update_shape : sequence of int
        The shape that updates would have: it says how large windows are.
    unique_indices : bool
        Promise that no windows overlap: the function is then applied once. Otherwise as often as
        the most covered element takes.
    operand, scatter_indices, dimension_numbers, indices_are_sorted, mode
        As of `scatter`.

    Returns
    -------
    array
        An element in k of the windows is ``func`` applied k times.

    Examples
    --------
    >>> numbers = ScatterDimensionNumbers((), (0,), (0,))
    >>> indices = np.array([[1], [1], [2]])
    >>> scatter_apply(np.ones(3), indices, lambda x: 3 * x, numbers, update_shape=(3,))
    array([1., 9., 3.])
    """
    ones = full(tuple(update_shape), 1, _INT64)
    none = full(aval_of(operand).shape, 0, _INT64)
    counts = _scatter("scatter_apply", none, scatter_indices, ones, dimension_numbers, mode, "add")

    def step(turn: Any, x: Any) -> Any:
        return select(gt(counts, turn), func(x), x)

    if unique_indices:
        return step(full_like(counts, 0), operand)
    axes = tuple(range(aval_of(counts).ndim))
    most = max_(reduce_max(counts, axes), np.int64(0)) if aval_of(counts).size else np.int64(0)
    return fori_loop(np.int64(0), most, lambda k, x: step(full_like(counts, k), x), operand)
