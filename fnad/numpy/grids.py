"""Indices of grids, triangles and diagonals, and what is made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core.dtypes import result_type
from fnad.core.errors import ConcretizationTypeError
from fnad.core.tracer import Tracer
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray, indices
from fnad.numpy.indexing import bounded, diag
from fnad.numpy.manipulation import broadcast_arrays, ravel, reshape
from fnad.numpy.operands import Array, convert, own, refuse_out, shape_of
from fnad.numpy.sized import flatnonzero, nonzero
from fnad.primitives.shape import int_tuple

_INT64 = np.dtype(np.int64)


def ix_(*args: Any) -> tuple[Array, ...]:
    """Index vectors as an open grid: ``x[ix_(i, j)]`` is the block of those rows and columns.

    A mask stands for the indices where it holds; it must be known.

    Examples
    --------
    >>> np.arange(6).reshape(2, 3)[ix_([0, 1], [2, 0])]
    array([[2, 0],
           [5, 3]])
    """
    outs = []
    for place, arg in enumerate(args):
        index = asarray(arg)
        if index.ndim != 1:
            raise ValueError(f"ix_: index {place} must have one axis, got shape {index.shape}")
        if index.dtype == np.bool_:
            index = flatnonzero(index)
        elif index.size == 0:
            index = convert(index, _INT64)
        outs.append(reshape(index, (1,) * place + (-1,) + (1,) * (len(args) - place - 1)))
    return tuple(outs)


def diag_indices_from(arr: Any) -> tuple[Array, ...]:
    """The indices of the main diagonal of an array whose axes are equally long.

    Examples
    --------
    >>> diag_indices_from(np.ones((2, 2)))
    (array([0, 1]), array([0, 1]))
    """
    shape = shape_of(asarray(arr))
    if len(shape) < 2 or len(set(shape)) > 1:
        raise ValueError(
            f"diag_indices_from: takes two or more axes of equal length, got shape {shape}"
        )
    return np.diag_indices(shape[0], len(shape))


def tril_indices_from(arr: Any, k: int = 0) -> tuple[Array, Array]:
    """The indices at and below the k-th diagonal of a matrix.

    Examples
    --------
    >>> tril_indices_from(np.ones((2, 2)))
    (array([0, 1, 1]), array([0, 0, 1]))
    """
    return np.tril_indices(*_rows_and_columns("tril_indices_from", arr, k))


def triu_indices_from(arr: Any, k: int = 0) -> tuple[Array, Array]:
    """The indices at and above the k-th diagonal of a matrix.

    Examples
    --------
    >>> triu_indices_from(np.ones((2, 2)))
    (array([0, 0, 1]), array([0, 1, 1]))
    """
    return np.triu_indices(*_rows_and_columns("triu_indices_from", arr, k))


def _rows_and_columns(name: str, arr: Any, k: int) -> tuple[int, int, int]:
    shape = shape_of(asarray(arr))
    if len(shape) != 2:
        raise ValueError(f"{name}: takes a matrix, got shape {shape}")
    return shape[0], k, shape[1]


def diagflat(v: Any, k: int = 0) -> Array:
    """The matrix with the flattened array as its k-th diagonal.

    Examples
    --------
    >>> diagflat([[1, 2]])
    array([[1, 0],
           [0, 2]])
    """
    return diag(ravel(v), k)


def fromfunction(
    function: Callable[..., Any], shape: Any, *, dtype: Any = float, **kwargs: Any
) -> Any:
    """``function`` of the coordinates of a grid, one array an axis.

    Examples
    --------
    >>> fromfunction(lambda i, j: i - j, (2, 2), dtype=int)
    array([[ 0, -1],
           [ 1,  0]])
    """
    sizes = int_tuple(shape)
    grid = indices(sizes, dtype) if sizes else ()
    return function(*[grid[axis] for axis in range(len(sizes))], **kwargs)


def unravel_index(indices: Any, shape: int | Sequence[int], order: str = "C") -> tuple[Array, ...]:
    """Indices into the flattened array as one index array an axis.

    Negative indices count from the end. Traced ones out of bounds go to the nearer end; known
    ones are a ValueError. The last index runs fastest (``order="C"``), or the first (``"F"``).

    Examples
    --------
    >>> unravel_index(np.array([1, 5]), (2, 3))
    (array([0, 1]), array([1, 2]))
    """
    if order not in ("C", "F"):
        raise ValueError(f"unravel_index: order must be 'C' or 'F', got {order!r}")
    if order == "F":
        return unravel_index(indices, int_tuple(shape)[::-1])[::-1]
    flat, sizes = asarray(indices), int_tuple(shape)
    total = math.prod(sizes)
    if flat.dtype.kind not in "iu":
        raise TypeError(f"unravel_index: indices must be integers, got dtype {flat.dtype}")
    known = not isinstance(flat, Tracer)
    if known and np.any((np.asarray(flat) >= total) | (np.asarray(flat) < -total)):
        raise ValueError(f"unravel_index: an index is out of bounds for {total} elements")
    flat = convert(flat, _INT64)
    flat = ufuncs.parts.select(ufuncs.less(flat, 0), ufuncs.add(flat, total), flat)
    flat = ufuncs.minimum(ufuncs.maximum(flat, 0), max(total - 1, 0))
    strides = [max(math.prod(sizes[axis + 1 :]), 1) for axis in range(len(sizes))]
    return tuple(
        ufuncs.remainder(ufuncs.floor_divide(flat, stride), max(length, 1))
        for stride, length in zip(strides, sizes)
    )


def ravel_multi_index(
    multi_index: Sequence[Any], dims: Sequence[int], mode: Any = "raise", order: str = "C"
) -> Array:
    """Index arrays, one an axis, as indices into the flattened array.

    Parameters
    ----------
    multi_index : sequence of array_like of int
        One for each axis.
    dims : sequence of int
        The shape of the array.
    mode : {"raise", "wrap", "clip"}, or a tuple with one for each axis
        What indices out of bounds mean; traced indices cannot raise.
    order : {"C", "F"}
        Whether the last axis varies fastest, or the first.

    Examples
    --------
    >>> ravel_multi_index((np.array([0, 1]), np.array([1, 2])), (2, 3))
    array([1, 5])
    """
    xs, sizes = [asarray(i) for i in multi_index], int_tuple(dims)
    modes = mode if isinstance(mode, tuple) else (mode,) * len(sizes)
    if not len(xs) == len(sizes) == len(modes):
        raise ValueError(
            f"ravel_multi_index: {len(xs)} index arrays and {len(modes)} modes for"
            f" {len(sizes)} axes"
        )
    if order not in ("C", "F"):
        raise ValueError(f"ravel_multi_index: order must be 'C' or 'F', got {order!r}")
    if any(x.dtype.kind not in "iu" for x in xs):
        raise TypeError("ravel_multi_index: indices must be integers")
    flat: Array = np.int64(0)
    for axis, (x, length, how) in enumerate(zip(xs, sizes, modes)):
        rest = sizes[axis + 1 :] if order == "C" else sizes[:axis]
        bounded = _bounded("ravel_multi_index", convert(x, _INT64), length, how)
        flat = ufuncs.add(flat, ufuncs.multiply(bounded, math.prod(rest)))
    return flat


def _bounded(name: str, index: Array, length: int, mode: str) -> Array:
    if mode in ("clip", "wrap"):
        return bounded(index, length, mode)
    if mode != "raise":
        raise ValueError(f"{name}: mode must be 'raise', 'wrap' or 'clip', got {mode!r}")
    if isinstance(index, Tracer):
        raise ConcretizationTypeError(
            f"{name}: traced indices cannot raise an error where they are out of bounds;"
            " say mode='clip' or mode='wrap'"
        )
    if np.any((np.asarray(index) < 0) | (np.asarray(index) >= length)):
        raise ValueError(f"{name}: an index is out of bounds for an axis of length {length}")
    return index


def choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Array:
    """Elements of arrays, an index array saying from which of them to take each.

    Parameters
    ----------
    a : array_like of int
        Which choice.
    choices : sequence of array_like
        They broadcast together with ``a``.
    mode : {"raise", "wrap", "clip"}
        What indices out of bounds mean; traced indices cannot raise.

    Examples
    --------
    >>> choose([1, 0, 1], [[1, 2, 3], [10, 20, 30]])
    array([10,  2, 30])
    """
    refuse_out("choose", out)
    index, options = asarray(a), [asarray(c) for c in choices]
    if index.dtype.kind not in "biu":
        raise TypeError(f"choose: indices must be integers, got dtype {index.dtype}")
    if not options:
        raise ValueError("choose: needs at least one choice")
    index = _bounded("choose", convert(index, _INT64), len(options), mode)
    dtype = result_type(*options)
    operands = [index, *[convert(c, dtype) for c in options]]
    index, *options = broadcast_arrays(*operands)
    out = options[-1]
    for i in range(len(options) - 2, -1, -1):
        out = ufuncs.parts.select(ufuncs.equal(index, i), options[i], out)
    return own(out, *options)


def mask_indices(
    n: int, mask_func: Callable[..., Any], k: Any = 0, *, size: int | None = None
) -> tuple[Array, ...]:
    """The indices of an ``n`` by ``n`` matrix that ``mask_func(ones, k)`` keeps.

    Examples
    --------
    >>> mask_indices(2, np.triu)
    (array([0, 0, 1]), array([0, 1, 1]))
    """
    return nonzero(mask_func(np.ones((n, n), int), k), size=size)
