"""Indexing, functional updates, and the functions that take index arrays."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fnad.core.sizes import Size
from fnad.core.tracer import Tracer
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray
from fnad.numpy.elementwise_parts import select
from fnad.numpy.index_parser import IndexPlan, parse_index, static_key
from fnad.numpy.manipulation import ravel, reshape
from fnad.numpy.masks import is_masked, without_scalars
from fnad.numpy.operands import Array, as_operand, convert, expand, own, refuse_out
from fnad.primitives import shape as lax
from fnad.primitives import slicing
from fnad.primitives.indexing import (
    gather_p,
)
from fnad.primitives.reversal import rev

_INT64 = np.dtype(np.int64)


def getitem(x: Array, index: Any) -> Array:
    """``x[index]`` of a traced array, by NumPy's rules; traced indices are clamped to bounds."""
    key = static_key(index)
    if key is None:
        x, index = without_scalars(x, index) if is_masked(index) else (x, index)
        return read(x, parse_index(index, x.shape), "clip", None)
    bounds, reversed_axes, shape = _block(key, x.shape)
    out = slicing.slice(x, *bounds)
    return lax.reshape(rev(out, reversed_axes) if reversed_axes else out, shape)


@functools.lru_cache(maxsize=1024)
def _block(key: Any, shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
    """The block that an index of `static_key` selects: bounds, axes to reverse, final shape."""
    plan = parse_index(tuple(slice(*e) if type(e) is tuple else e for e in key), shape)
    return *_bounds(block_slices(plan)), plan.shape


def read(x: Array, plan: IndexPlan, mode: str, fill_value: Any) -> Array:
    """The elements that a plan selects; ``mode`` is a primitive's."""
    if plan.is_basic:
        out = _basic(x, plan)
    else:
        out = _gather(x, plan, mode, fill_value)
    return lax.reshape(out, plan.shape)


def slice_bounds(start: int, step: int, length: int) -> tuple[int, int, int]:
    """A slice of negative step as the positive one over the same elements."""
    if abs(step) != 1 and length == 0:
        return 0, 0, 1
    last = start + (length - 1) * step
    low, high = (start, last) if step > 0 else (last, start)
    return low, high + 1, abs(step)


def _bounds(slices: Any) -> tuple[Any, tuple[int, ...]]:
    """Slices as starts, limits and positive strides, and the axes that are reversed."""
    bounds = [slice_bounds(*s) for s in slices]
    reversed_axes = tuple(axis for axis, (_, step, _) in enumerate(slices) if step < 0)
    return tuple(tuple(b[i] for b in bounds) for i in range(3)), reversed_axes


def block_slices(plan: IndexPlan) -> list[tuple[int, int, int]]:
    """One (start, step, length) an axis for an index without arrays: ints are slices of one."""
    slices = list(plan.slices)
    for axis, position in plan.advanced:
        slices[axis] = (position, 1, 1)
    return slices


def _apply_slices(x: Array, slices: Any) -> Array:
    bounds, reversed_axes = _bounds(slices)
    out = slicing.slice(x, *bounds)
    return rev(out, reversed_axes) if reversed_axes else out


def _basic(x: Array, plan: IndexPlan) -> Array:
    return _apply_slices(x, block_slices(plan))


def normalized(index: Any, length: int, shape: tuple[int, ...]) -> Array:
    """An index array of the common shape, counting from the start, in int64."""
    if isinstance(index, Tracer):
        if index.dtype == np.uint64:
            # What int64 cannot hold is beyond every end, not negative.
            index = ufuncs.minimum(index, np.uint64(np.iinfo(_INT64).max))
        index = convert(index, _INT64)
        index = select(ufuncs.less(index, 0), ufuncs.add(index, length), index)
    return expand(np.int64(index) if isinstance(index, int) else index, shape)


def _lead_with(x: Array, axes: tuple[int, ...]) -> Array:
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    return lax.transpose(x, axes + rest)


def _gather(x: Array, plan: IndexPlan, mode: str, fill_value: Any) -> Array:
    axes = tuple(axis for axis, _ in plan.advanced)
    indices = [normalized(i, x.shape[a], plan.advanced_shape) for a, i in plan.advanced]
    moved = _lead_with(_apply_slices(x, plan.slices), axes)
    out = gather_p.bind(moved, *indices, mode=mode)
    if mode == "fill" and fill_value is not None:
        inside = _inside(indices, [x.shape[a] for a in axes])
        dims = tuple(range(len(plan.advanced_shape)))
        inside = lax.broadcast_in_dim(inside, out.shape, dims) if inside.shape else inside
        out = select(inside, out, convert(as_operand(fill_value), out.dtype))
    count = len(plan.advanced_shape)
    order = list(range(count, out.ndim))
    order[plan.position : plan.position] = range(count)
    return lax.transpose(out, tuple(order))


def _inside(indices: list[Array], lengths: list[int]) -> Array:
    inside: Any = np.bool_(True)
    for index, length in zip(indices, lengths):
        within = ufuncs.logical_and(ufuncs.greater_equal(index, 0), ufuncs.less(index, length))
        inside = ufuncs.logical_and(inside, within)
    return inside


_MODES = {
    None: None,
    "fill": "fill",
    "drop": "fill",
    "clip": "clip",
    "promise_in_bounds": "promise_in_bounds",
}


def mode_named(mode: str | None, default: str) -> str:
    """What a primitive calls a mode of indices out of bounds."""
    if mode not in _MODES:
        raise ValueError(f"mode must be one of {', '.join(map(repr, _MODES))}, got {mode!r}")
    return _MODES[mode] or default


# -- functions ----------------------------------------------------------------------------


def bounded(index: Array, length: int, mode: str) -> Array:
    """Indices moved to where an axis of some length has elements, by ``mode`` "clip" or "wrap"."""
    if index.dtype.kind in "iu" and index.dtype.itemsize < 8:  # it may not hold the length
        index = convert(index, _INT64)
    if mode == "wrap":
        return ufuncs.remainder(index, length)
    # As in NumPy, clipping makes negative indices 0.
    return ufuncs.minimum(ufuncs.maximum(index, 0), length - 1)


def take(
    a: Any,
    indices: Any,
    axis: int | None = None,
    out: None = None,
    mode: str | None = None,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    fill_value: Any = None,
) -> Array:
    """Elements along an axis (of the flattened array by default) at integer indices.

    Parameters
    ----------
    a : array_like
        Any shape.
    indices : array_like of int
        Any shape. A known index out of bounds is an IndexError as in NumPy (``mode=None``); a
        traced one is clamped.
    axis : int, optional
        Which axis.
    out : None
        Stands where NumPy has an array to write to.
    mode : {"clip", "wrap", "fill"}, optional
        What out-of-bounds indices mean; ``"raise"`` is the same as None.
    unique_indices, indices_are_sorted : bool
        JAX's promises, which are not needed.
    fill_value : scalar, optional
        For ``mode="fill"``; NaN by default.

    Examples
    --------
    >>> take(np.array([10, 20, 30]), np.array([2, 0]))
    array([30, 10])
    """
    refuse_out("take", out)
    x, index = asarray(a), asarray(indices)
    if axis is None:
        x, axis = ravel(x), 0
    axis = lax.canonicalize_axis(axis, x.ndim)
    if index.dtype.kind not in "iu":
        raise TypeError(f"take: indices must be integers, got dtype {index.dtype}")
    if mode in ("clip", "wrap"):
        index = bounded(index, x.shape[axis], mode)
    how = mode_named(None if mode in ("raise", "wrap") else mode, "clip")
    full = (slice(None),) * axis + (index,)
    plan = parse_index(full, x.shape, check_arrays=mode in (None, "raise"))
    return own(read(x, plan, how, fill_value), x)


def take_along_axis(
    arr: Any,
    indices: Any,
    axis: int | None = -1,
    mode: str | None = None,
    fill_value: Any = None,
) -> Array:
    """Elements along an axis, an index array of the same rank saying which.

    Indices out of bounds are clamped, or with ``mode="fill"`` give ``fill_value`` (NaN by default).

    Examples
    --------
    >>> take_along_axis(np.array([[3, 1], [2, 4]]), np.array([[1], [0]]), axis=1)
    array([[1],
           [2]])
    """
    x, index = asarray(arr), asarray(indices)
    if axis is None:
        x, axis = ravel(x), 0
    axis = lax.canonicalize_axis(axis, x.ndim)
    if index.ndim != x.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    grid = [index if i == axis else _axis_range(n, i, x.ndim) for i, n in enumerate(x.shape)]
    plan = parse_index(tuple(grid), x.shape, check_arrays=mode is None)
    return read(x, plan, mode_named(mode, "clip"), fill_value)


def _axis_range(length: int, axis: int, ndim: int) -> Array:
    shape = (1,) * axis + (length,) + (1,) * (ndim - axis - 1)
    if type(length) is Size:
        return lax.broadcasted_iota(_INT64, shape, axis)
    return np.arange(length).reshape(shape)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The diagonal in the plane of two axes, as a new last axis.

    Examples
    --------
    >>> diagonal(np.array([[1, 2], [3, 4]]))
    array([1, 4])
    """
    x = asarray(a)
    if x.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    i, j = lax.canonicalize_axis(axis1, x.ndim), lax.canonicalize_axis(axis2, x.ndim)
    if i == j:
        raise ValueError("axis1 and axis2 cannot be the same")
    x = lax.moveaxis(x, (i, j), (x.ndim - 2, x.ndim - 1))
    rows, columns = x.shape[-2:]
    first = max(0, -offset)
    length = max(0, min(rows - first, columns - max(0, offset)))
    index = _axis_range(length, 0, 1)
    key = (..., index + first, index + max(0, offset))
    return read(x, parse_index(key, x.shape), "clip", None)


def diag(v: Any, k: int = 0) -> Array:
    """The k-th diagonal of a matrix, or the matrix with a vector as its k-th diagonal.

    Examples
    --------
    >>> diag(np.array([1, 2]))
    array([[1, 0],
           [0, 2]])
    """
    x = asarray(v)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError("Input must be 1- or 2-d.")
    size = x.shape[0] + abs(k)
    rows = slicing.pad(x, x.dtype.type(0), [(max(0, -k), max(0, k), 0)])
    wide = lax.broadcast_in_dim(rows, (size, size), (0,))
    i = lax.broadcasted_iota(_INT64, (size, size), 0)
    j = lax.broadcasted_iota(_INT64, (size, size), 1)
    return select(ufuncs.equal(ufuncs.add(i, k), j), wide, x.dtype.type(0))


def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None
) -> Array:
    """Sum of the diagonal.

    Examples
    --------
    >>> trace(np.array([[1, 2], [3, 4]]))
    np.int64(5)
    """
    refuse_out("trace", out)
    from fnad.numpy.reductions import sum

    return sum(diagonal(a, offset, axis1, axis2), -1, dtype)


def unravel_first(x: Array) -> list[Array]:
    """The slices of an array along its first axis; what iterating over it gives."""
    return [reshape(slicing.slice_in_dim(x, i, i + 1), x.shape[1:]) for i in range(x.shape[0])]
