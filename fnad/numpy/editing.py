"""Arrays with elements replaced, put in or taken out, always as new arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core.errors import ConcretizationTypeError
from fnad.core.tracer import Tracer
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray, zeros_like
from fnad.numpy.indexing import bounded, take
from fnad.numpy.joining import concatenate
from fnad.numpy.manipulation import moveaxis, ravel, reshape
from fnad.numpy.operands import Array, as_operand, convert, expand, normalize_axes, shape_of
from fnad.numpy.reductions import cumsum
from fnad.numpy.selection import clip, where
from fnad.numpy.sized import truth
from fnad.numpy.sorting import argsort, searchsorted, sort
from fnad.numpy.updates import at
from fnad.primitives import shape as lax

_INT64 = np.dtype(np.int64)


def _out_of_place(name: str, inplace: bool) -> None:
    if inplace:
        raise ValueError(
            f"fnp.{name} does not change arrays in place: write"
            f" x = fnp.{name}(x, ..., inplace=False)"
        )


def place(arr: Any, mask: Any, vals: Any, *, inplace: bool = True) -> Array:
    """The array with ``vals``, repeated as needed, in order where the mask holds.

    ``inplace=False`` must be said: NumPy's function changes its argument.

    Examples
    --------
    >>> x = np.array([1, 2, 3])
    >>> place(x, x > 1, [7, 8], inplace=False)
    array([1, 7, 8])
    """
    _out_of_place("place", inplace)
    x, values = asarray(arr), ravel(vals)
    chosen = ravel(truth(asarray(mask)))
    if chosen.size != x.size:
        raise ValueError(f"place: a mask of {chosen.size} elements for an array of {x.size}")
    if values.size == 0:
        if x.size:
            raise ValueError("place: cannot insert from an empty array")
        return x
    turn = ufuncs.remainder(ufuncs.subtract(cumsum(convert(chosen, _INT64)), 1), values.size)
    out = ufuncs.parts.select(chosen, convert(take(values, turn), x.dtype), ravel(x))
    return reshape(out, x.shape)


def put(a: Any, ind: Any, v: Any, mode: str | None = None, *, inplace: bool = True) -> Array:
    """The array with values, repeated as needed, at indices into the flattened array.

    Parameters
    ----------
    a : array_like
        Any shape.
    ind : array_like of int
        Known indices out of bounds are an IndexError, traced ones are dropped (``mode=None``).
    v : array_like
        The values.
    mode : {"clip", "wrap"}, optional
        What out-of-bounds indices mean.
    inplace : bool
        Must be False: NumPy's function changes its argument.

    Examples
    --------
    >>> put(np.array([1, 2, 3]), [0, -1], 9, inplace=False)
    array([9, 2, 9])
    """
    _out_of_place("put", inplace)
    x, index, values = asarray(a), ravel(asarray(ind, None if np.size(ind) else int)), ravel(v)
    if mode not in (None, "raise", "clip", "wrap"):
        raise ValueError(f"put: mode must be None, 'clip' or 'wrap', got {mode!r}")
    if index.size == 0 or values.size == 0:
        return x
    if mode in ("clip", "wrap"):
        index = bounded(index, x.size, mode)
    elif not isinstance(index, Tracer) and np.any((index < -x.size) | (index >= x.size)):
        raise IndexError(f"put: an index is out of bounds for {x.size} elements")
    turns = take(values, np.arange(index.size) % values.size)
    return reshape(at(ravel(x))[index].set(turns), x.shape)


def put_along_axis(
    arr: Any,
    indices: Any,
    values: Any,
    axis: int | None,
    inplace: bool = True,
    *,
    mode: str | None = None,
) -> Array:
    """The array with values along an axis, an index array of its rank saying where.

    ``inplace=False`` must be said: NumPy's function changes its argument. Indices out of bounds
    are dropped, unless ``mode`` is ``"clip"`` (see `at`).

    Examples
    --------
    >>> x = np.array([[3, 1], [2, 4]])
    >>> put_along_axis(x, np.array([[1], [0]]), 0, axis=1, inplace=False)
    array([[3, 0],
           [0, 4]])
    """
    _out_of_place("put_along_axis", inplace)
    x, index = asarray(arr), asarray(indices)
    if axis is None:
        return reshape(put_along_axis(ravel(x), index, values, 0, False, mode=mode), x.shape)
    axis = lax.canonicalize_axis(axis, x.ndim)
    if index.ndim != x.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    grid = [
        index if i == axis else np.arange(n).reshape((-1,) + (1,) * (x.ndim - i - 1))
        for i, n in enumerate(x.shape)
    ]
    return at(x)[tuple(grid)].set(values, mode=mode)


def fill_diagonal(a: Any, val: Any, wrap: bool = False, *, inplace: bool = True) -> Array:
    """The array with ``val``, repeated as needed, on its main diagonal.

    Parameters
    ----------
    a : array_like
        A matrix, or an array of equally long axes.
    val : array_like
        Flattened.
    wrap : bool
        Start again below in a tall matrix, a row apart.
    inplace : bool
        Must be False: NumPy's function changes its argument.

    Examples
    --------
    >>> fill_diagonal(np.zeros((2, 2)), 3, inplace=False)
    array([[3., 0.],
           [0., 3.]])
    """
    _out_of_place("fill_diagonal", inplace)
    x, values = asarray(a), ravel(val)
    if x.ndim < 2 or (x.ndim > 2 and len(set(x.shape)) > 1):
        raise ValueError(f"fill_diagonal: takes a matrix or equally long axes, got shape {x.shape}")
    if x.ndim == 2:
        step, end = x.shape[1] + 1, x.size if wrap else x.shape[1] ** 2
    else:
        step, end = sum(x.shape[0] ** i for i in range(x.ndim)), x.size
    index = np.arange(0, min(end, x.size), step)
    return put(x, index, values, inplace=False)


def resize(a: Any, new_shape: int | Sequence[int]) -> Array:
    """The elements under a new shape, repeated or cut off as needed.

    Examples
    --------
    >>> resize(np.array([1, 2, 3]), (2, 2))
    array([[1, 2],
           [3, 1]])
    """
    x, shape = ravel(a), lax.int_tuple(new_shape)
    if any(n < 0 for n in shape):
        raise ValueError("all elements of `new_shape` must be non-negative")
    if x.size == 0:
        return lax.full(shape, 0, x.dtype)
    return reshape(take(x, np.arange(math.prod(shape)) % x.size), shape)


def _known_places(name: str, obj: Any, length: int) -> Any:
    """The integer indices that an index along an axis stands for, which must be known."""
    if isinstance(obj, slice):
        return np.arange(length)[obj]
    if isinstance(obj, Tracer):
        obj = obj.concretize(ConcretizationTypeError)
    places = np.asarray(obj)
    if places.dtype == np.bool_:
        if places.shape != (length,):
            raise ValueError(f"{name}: a mask of shape {places.shape} for an axis of {length}")
        return np.flatnonzero(places)
    return places if places.size else places.astype(int)


def _is_index(obj: Any) -> bool:
    """Whether what names slices is traced, and need not be known: an integer, or several."""
    return isinstance(obj, Tracer) and obj.ndim < 2 and obj.dtype.kind in "iu"


def delete(
    arr: Any, obj: Any, axis: int | None = None, *, assume_unique_indices: bool = False
) -> Array:
    """The array without the slices along an axis (of the flattened array by default).

    Parameters
    ----------
    arr : array_like
        Any shape.
    obj : int, slice, or array_like of int or bool
        Which slices; a traced int will do, more must be known, since they fix the shape, or unique.
    axis : int, optional
        Which axis.
    assume_unique_indices : bool
        Promise that integers are distinct (counted from the start), so that they may be traced.

    Examples
    --------
    >>> delete(np.array([1, 2, 3]), 1)
    array([1, 3])
    """
    x = asarray(arr)
    if axis is None:
        x, axis = ravel(x), 0
    axis = lax.canonicalize_axis(axis, x.ndim)
    length = x.shape[axis]
    if _is_index(obj) and (obj.ndim == 0 or assume_unique_indices):
        gone = convert(reshape(obj, (-1,)), _INT64)
        gone = where(ufuncs.less(gone, 0), ufuncs.add(gone, length), gone)
        # Sorted, the i-th of them leaves i fewer slices before itself.
        gone = ufuncs.subtract(sort(clip(gone, 0, length)), np.arange(gone.size))
        kept = np.arange(length - gone.size)
        return take(x, ufuncs.add(kept, searchsorted(gone, kept, "right")), axis)
    kept = np.delete(np.arange(length), _known_places("delete", obj, length))
    return take(x, kept, axis)


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Array:
    """The array with values put in before indices along an axis (flattened by default).

    Parameters
    ----------
    arr : array_like
        Any shape.
    obj : int, slice, or array_like of int or bool
        Before which slices. Integers may be traced: those out of bounds then count as the ends.
    values : array_like
        What to put in; may be traced.
    axis : int, optional
        Which axis.

    Examples
    --------
    >>> insert(np.array([1, 2, 3]), 1, 9)
    array([1, 9, 2, 3])
    """
    x = asarray(arr)
    if axis is None:
        x, axis = ravel(x), 0
    axis = lax.canonicalize_axis(axis, x.ndim)
    length = x.shape[axis]
    places = obj if _is_index(obj) else _known_places("insert", obj, length)
    new = convert(asarray(values), x.dtype)
    new = reshape(new, (1,) * (x.ndim - new.ndim) + new.shape)
    if places.ndim == 0:
        # As in NumPy, values at one place have the axes of the slices there before the axis.
        new = moveaxis(new, 0, axis)
    count = new.shape[axis] if places.size == 1 else places.size
    wide = expand(new, tuple(count if i == axis else n for i, n in enumerate(x.shape)))
    return take(concatenate([x, wide], axis), _origin(reshape(places, (-1,)), count, length), axis)


def _origin(places: Any, count: int, length: int) -> Any:
    """Where the slices behind an insertion come from: those that were there, then the new ones."""
    slices = np.concatenate([length + np.arange(count), np.arange(length)])
    if isinstance(places, Tracer):
        places = convert(places, _INT64)
        places = where(ufuncs.less(places, 0), ufuncs.add(places, length), places)
        places = expand(clip(places, 0, length), (count,))
        return take(slices, argsort(concatenate([places, np.arange(length)])))
    if np.any((places < -length) | (places > length)):
        raise IndexError(f"insert: an index is out of bounds for an axis of length {length}")
    places = np.broadcast_to(np.where(places < 0, places + length, places), (count,))
    return slices[np.argsort(np.concatenate([places, np.arange(length)]), kind="stable")]


def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Array:
    """An array without leading (``"f"``) and trailing (``"b"``) zeros along axes (all by default).

    Of more than one axis, slices that are all zeros go. What is zero must be known.

    Examples
    --------
    >>> trim_zeros(np.array([0, 1, 0, 2, 0]))
    array([1, 0, 2])
    """
    if not trim or not {"f", "b"}.issuperset(trim.lower()):
        raise ValueError(f"trim_zeros: trim must be 'f', 'b' or 'fb', got {trim!r}")
    x = asarray(filt)
    known = x.concretize(ConcretizationTypeError) if isinstance(x, Tracer) else x
    index = [slice(None)] * known.ndim
    for along in normalize_axes(axis, known.ndim):
        others = tuple(i for i in range(known.ndim) if i != along)
        places = np.flatnonzero(np.any(known != 0, others))
        if not places.size:
            index[along] = slice(0)
            continue
        start = int(places[0]) if "f" in trim.lower() else 0
        stop = int(places[-1]) + 1 if "b" in trim.lower() else known.shape[along]
        index[along] = slice(start, stop)
    return x[tuple(index)]


def piecewise(
    x: Any, condlist: Any, funclist: Sequence[Callable[..., Any] | Any], *args: Any, **kw: Any
) -> Array:
    """Values of the function that belongs to the last condition that holds.

    Every function is applied to the whole array.

    Parameters
    ----------
    x : array_like
        Any shape.
    condlist : sequence of array_like of bool, or one of them
        Of the shape of ``x``.
    funclist : sequence of callable or scalar
        One for each condition, and maybe one more for where none holds; 0 there by default.
    *args, **kw
        Passed to the functions.

    Examples
    --------
    >>> x = np.array([-1.0, 2.0])
    >>> piecewise(x, [x < 0, x >= 0], [0, lambda x: x**2])
    array([0., 4.])
    """
    points = asarray(x)
    stacked = isinstance(condlist, (list, tuple)) or len(shape_of(condlist)) > points.ndim
    conditions = condlist if stacked else [condlist]
    if len(conditions) and shape_of(as_operand(conditions[0])) == () and points.ndim:
        conditions = [condlist]
    masks = [truth(asarray(c)) for c in conditions]
    functions = list(funclist)
    if len(functions) not in (len(masks), len(masks) + 1):
        raise ValueError(
            f"piecewise: {len(functions)} functions for {len(masks)} conditions; there must be as"
            " many, or one more for where no condition holds"
        )
    outs = [f(points, *args, **kw) if callable(f) else f for f in functions]
    out = outs.pop() if len(outs) > len(masks) else zeros_like(points)
    out = expand(convert(as_operand(out), points.dtype), points.shape)
    for mask, value in zip(masks, outs):
        out = where(mask, convert(as_operand(value), points.dtype), out)
    return out
