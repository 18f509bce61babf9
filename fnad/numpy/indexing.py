"""Indexing, functional updates, and the functions that take index arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fnad.core.dtypes import result_type
from fnad.core.sizes import Size
from fnad.core.tracer import Tracer
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray
from fnad.numpy.elementwise_parts import select
from fnad.numpy.index_parser import IndexPlan, parse_index, static_key
from fnad.numpy.manipulation import ravel, reshape
from fnad.numpy.masks import MaskedRef, is_masked, with_known_masks, without_scalars
from fnad.numpy.operands import (
    Array,
    as_operand,
    convert,
    expand,
    shape_of,
)
from fnad.primitives import shape as lax
from fnad.primitives import slicing
from fnad.primitives.dynamic_slices import (
    dynamic_update_slice_p,
)
from fnad.primitives.indexing import (
    gather_p,
    scatter_p,
)
from fnad.primitives.sizes import index_of

_INT64 = np.dtype(np.int64)


def getitem(x: Array, index: Any) -> Array:
    """``x[index]`` of a traced array, by NumPy's rules; traced indices are clamped to bounds."""
    key = static_key(index)
    if key is None:
        x, index = without_scalars(x, index) if is_masked(index) else (x, index)
        return _read(x, parse_index(index, x.shape), "clip", None)
    bounds, reversed_axes, shape = _block(key, x.shape)
    out = slicing.slice(x, *bounds)
    return lax.reshape(lax.rev(out, reversed_axes) if reversed_axes else out, shape)


@functools.lru_cache(maxsize=1024)
def _block(key: Any, shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
    """The block that an index of `static_key` selects: bounds, axes to reverse, final shape."""
    plan = parse_index(tuple(slice(*e) if type(e) is tuple else e for e in key), shape)
    return *_bounds(_block_slices(plan)), plan.shape


def _read(x: Array, plan: IndexPlan, mode: str, fill_value: Any) -> Array:
    if plan.is_basic:
        out = _basic(x, plan)
    else:
        out = _gather(x, plan, mode, fill_value)
    return lax.reshape(out, plan.shape)


def _slice_bounds(start: int, step: int, length: int) -> tuple[int, int, int]:
    """A slice of negative step as the positive one over the same elements."""
    if abs(step) != 1 and length == 0:
        return 0, 0, 1
    last = start + (length - 1) * step
    low, high = (start, last) if step > 0 else (last, start)
    return low, high + 1, abs(step)


def _bounds(slices: Any) -> tuple[Any, tuple[int, ...]]:
    """Slices as starts, limits and positive strides, and the axes that are reversed."""
    bounds = [_slice_bounds(*s) for s in slices]
    reversed_axes = tuple(axis for axis, (_, step, _) in enumerate(slices) if step < 0)
    return tuple(tuple(b[i] for b in bounds) for i in range(3)), reversed_axes


def _apply_slices(x: Array, slices: Any) -> Array:
    bounds, reversed_axes = _bounds(slices)
    out = slicing.slice(x, *bounds)
    return lax.rev(out, reversed_axes) if reversed_axes else out


def _basic(x: Array, plan: IndexPlan) -> Array:
    return _apply_slices(x, _block_slices(plan))


def _normalized(index: Any, length: int, shape: tuple[int, ...]) -> Array:
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
    indices = [_normalized(i, x.shape[a], plan.advanced_shape) for a, i in plan.advanced]
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


# -- functional updates -------------------------------------------------------------------


def _update_core(plan: IndexPlan, value: Any, dtype: np.dtype[Any]) -> Array:
    """The update in the shape of the result without its new axes."""
    value = _as_dtype(as_operand(value), dtype)
    own = shape_of(value)
    while len(own) > len(plan.shape) and own[0] == 1:
        value, own = lax.reshape(value, own[1:]), own[1:]
    return lax.reshape(expand(value, plan.shape), plan.core_shape)


def _as_dtype(value: Array, dtype: np.dtype[Any]) -> Array:
    """The value cast to the array's dtype, as an assignment casts it."""
    if isinstance(value, Tracer):
        return convert(value, dtype)
    with np.errstate(all="ignore"):
        return np.asarray(value).astype(dtype)[()] if np.ndim(value) == 0 else convert(value, dtype)


def _write(x: Array, plan: IndexPlan, value: Any, kind: str, mode: str) -> Array:
    update = _update_core(plan, value, x.dtype)
    if kind == "set" and plan.is_basic and all(step == 1 for _, step, _ in plan.slices):
        return _write_block(x, plan, update)
    if kind == "add" and plan.is_basic:
        return _add_block(x, plan, update)
    return _scatter(x, plan, update, kind, mode)


def _block_slices(plan: IndexPlan) -> list[tuple[int, int, int]]:
    """One (start, step, length) an axis for an index without arrays: ints are slices of one."""
    slices = list(plan.slices)
    for axis, position in plan.advanced:
        slices[axis] = (position, 1, 1)
    return slices


def _write_block(x: Array, plan: IndexPlan, update: Array) -> Array:
    slices = _block_slices(plan)
    shape = tuple(length for _, _, length in slices)
    if 0 in shape:
        return x
    block = lax.reshape(update, shape)
    if block.shape == x.shape:
        return block
    return dynamic_update_slice_p.bind(x, block, *(index_of(s) for s, _, _ in slices))


def _add_block(x: Array, plan: IndexPlan, update: Array) -> Array:
    """Add to a strided block: the update is spread out among zeros and added to the whole."""
    slices = _block_slices(plan)
    block = lax.reshape(update, tuple(length for _, _, length in slices))
    reversed_axes = tuple(axis for axis, (_, step, _) in enumerate(slices) if step < 0)
    bounds = [_slice_bounds(*s) for s in slices]
    if 0 in block.shape:
        return x
    config = [(low, n - high, step - 1) for (low, high, step), n in zip(bounds, x.shape)]
    block = lax.rev(block, reversed_axes) if reversed_axes else block
    spread = slicing.pad(block, x.dtype.type(0), config)
    return ufuncs.add(x, spread)


def _scatter(x: Array, plan: IndexPlan, update: Array, kind: str, mode: str) -> Array:
    """Scatter along the indexed axes and those with a proper slice; whole axes stay blocks."""
    whole = (0, 1)
    sliced = plan.sliced_axes
    partial = [a for a in sliced if plan.slices[a] != (*whole, x.shape[a])]
    full = [a for a in sliced if a not in partial]
    axes = tuple(a for a, _ in plan.advanced) + tuple(partial)
    count = len(plan.advanced_shape)
    shape = plan.advanced_shape + tuple(plan.slices[a][2] for a in partial)
    indices = [
        _spread(_normalized(i, x.shape[a], plan.advanced_shape), shape, tuple(range(count)))
        for a, i in plan.advanced
    ]
    for place, a in enumerate(partial):
        start, step, length = plan.slices[a]
        positions = ufuncs.add(ufuncs.multiply(lax.iota(_INT64, length), step), start)
        indices.append(_spread(positions, shape, (count + place,)))
    if not axes:
        # Everything is selected: a length-1 leading axis gives scatter something to index.
        out = _scatter_leading(x[None], update[None], [np.zeros(1, np.int64)], kind, mode)
        return out[0]
    # Axes of the update: advanced ones at plan.position, the others where their axis stands.
    where = {a: i + (count if i >= plan.position else 0) for i, a in enumerate(sliced)}
    order = [plan.position + i for i in range(count)]
    order += [where[a] for a in partial] + [where[a] for a in full]
    permutation = axes + tuple(full)
    out = _scatter_leading(
        lax.transpose(x, permutation), lax.transpose(update, tuple(order)), indices, kind, mode
    )
    return lax.transpose(out, lax.invert_permutation(permutation))


def _spread(index: Array, shape: tuple[int, ...], dims: tuple[int, ...]) -> Array:
    return lax.broadcast_in_dim(index, shape, dims)


def _scatter_leading(x: Array, update: Array, indices: list[Array], kind: str, mode: str) -> Array:
    return scatter_p.bind(x, update, *indices, kind=kind, mode=mode)


_MODES = {
    None: None,
    "fill": "fill",
    "drop": "fill",
    "clip": "clip",
    "promise_in_bounds": "promise_in_bounds",
}


def _mode(mode: str | None, default: str) -> str:
    if mode not in _MODES:
        raise ValueError(f"mode must be one of {', '.join(map(repr, _MODES))}, got {mode!r}")
    return _MODES[mode] or default


class IndexedRef:
    """An array together with an index: ``fnp.at(x)[index]``. Its methods return new arrays."""

    __slots__ = ("array", "index")

    def __init__(self, array: Array, index: Any) -> None:
        self.array = array
        self.index = index

    def _plan(self) -> IndexPlan:
        return parse_index(self.index, self.array.shape, check_arrays=False)

    def _update(self, values: Any, kind: str, mode: str | None) -> Array:
        out = _write(self.array, self._plan(), values, kind, _mode(mode, "fill"))
        # An update of everything, or of nothing, may hand back an operand itself.
        return out.copy() if isinstance(out, np.ndarray) else out

    def get(self, *, mode: str | None = None, fill_value: Any = None) -> Array:
        """The elements; out of bounds ``mode`` says ``"clip"`` (default) or ``"fill"``."""
        return _read(self.array, self._plan(), _mode(mode, "clip"), fill_value)

    def set(self, values: Any, *, mode: str | None = None) -> Array:
        """The array with the elements replaced; of equal indices one wins."""
        return self._update(values, "set", mode)

    def add(self, values: Any, *, mode: str | None = None) -> Array:
        """The array with ``values`` added; equal indices add up."""
        return self._update(values, "add", mode)

    def subtract(self, values: Any, *, mode: str | None = None) -> Array:
        """The array with ``values`` subtracted."""
        return self._update(ufuncs.negative(values), "add", mode)

    def multiply(self, values: Any, *, mode: str | None = None) -> Array:
        """The array with the elements multiplied by ``values``."""
        return self._update(values, "multiply", mode)

    mul = multiply

    def divide(self, values: Any, *, mode: str | None = None) -> Array:
        """The array with the elements divided by ``values``."""
        dtype = result_type(self.array, as_operand(values), 1.0)
        ones = lax.full(self.array.shape, 1, dtype)
        divisor = _write(ones, self._plan(), values, "multiply", _mode(mode, "fill"))
        return convert(ufuncs.true_divide(self.array, divisor), self.array.dtype)

    def min(self, values: Any, *, mode: str | None = None) -> Array:
        """The array with the elements replaced by ``values`` where those are smaller."""
        return self._update(values, "min", mode)

    def max(self, values: Any, *, mode: str | None = None) -> Array:
        """The array with the elements replaced by ``values`` where those are larger."""
        return self._update(values, "max", mode)

    def apply(self, function: Callable[[Array], Array], *, mode: str | None = None) -> Array:
        """The array with ``function`` applied to the elements."""
        return self.set(function(self.get()), mode=mode)

    def power(self, values: Any, *, mode: str | None = None) -> Array:
        """The array with the elements raised to the powers ``values``."""
        return self.set(ufuncs.power(self.get(), values), mode=mode)


class At:
    """What ``fnp.at(x)`` returns: index it, then say what to do with the elements."""

    __slots__ = ("array",)

    def __init__(self, array: Array) -> None:
        self.array = array

    def __getitem__(self, index: Any) -> Any:
        if is_masked(index):
            index = with_known_masks(index)
            if is_masked(index):
                return MaskedRef(self.array, index, At)
        return IndexedRef(self.array, index)


def at(x: Any) -> At:
    """Updates of an array that return a new one: ``at(x)[index].set(values)`` and its kin.

    Works on NumPy arrays and traced arrays (which also have it as ``x.at``). Updates out of
    bounds are dropped; reads are clamped (``mode=`` says otherwise). The methods are ``get``,
    ``set``, ``add``, ``subtract``, ``multiply``, ``divide``, ``power``, ``min``, ``max``,
    ``apply``.

    Examples
    --------
    >>> x = np.array([1, 2, 3])
    >>> at(x)[1:].set(0), at(x)[np.array([0, 0])].add(5), x
    (array([1, 0, 0]), array([11,  2,  3]), array([1, 2, 3]))
    """
    return At(asarray(x))


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
    mode: str | None = None,
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
    mode : {"clip", "wrap", "fill"}, optional
        What out-of-bounds indices mean; ``"raise"`` is the same as None.
    fill_value : scalar, optional
        For ``mode="fill"``; NaN by default.

    Examples
    --------
    >>> take(np.array([10, 20, 30]), np.array([2, 0]))
    array([30, 10])
    """
    x, index = asarray(a), asarray(indices)
    if axis is None:
        x, axis = ravel(x), 0
    axis = lax.canonicalize_axis(axis, x.ndim)
    if index.dtype.kind not in "iu":
        raise TypeError(f"take: indices must be integers, got dtype {index.dtype}")
    if mode in ("clip", "wrap"):
        index = bounded(index, x.shape[axis], mode)
    how = "fill" if mode == "fill" else "clip"
    full = (slice(None),) * axis + (index,)
    return _read(
        x, parse_index(full, x.shape, check_arrays=mode in (None, "raise")), how, fill_value
    )


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
    return _read(x, plan, _mode(mode, "clip"), fill_value)


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
    return _read(x, parse_index(key, x.shape), "clip", None)


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


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Array:
    """Sum of the diagonal.

    Examples
    --------
    >>> trace(np.array([[1, 2], [3, 4]]))
    np.int64(5)
    """
    from fnad.numpy.reductions import sum

    return sum(diagonal(a, offset, axis1, axis2), -1, dtype)


def unravel_first(x: Array) -> list[Array]:
    """The slices of an array along its first axis; what iterating over it gives."""
    return [reshape(slicing.slice_in_dim(x, i, i + 1), x.shape[1:]) for i in range(x.shape[0])]
