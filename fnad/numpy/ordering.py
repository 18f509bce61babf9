"""Orders by several keys, partial orders, nested blocks, arrays taken apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.numpy.creation import asarray
from fnad.numpy.joining import concatenate
from fnad.numpy.manipulation import moveaxis, reshape
from fnad.numpy.operands import Array, broadcast_shapes, expand, own
from fnad.numpy.sorting import argsort, sort
from fnad.primitives.shape import broadcasted_iota, canonicalize_axis
from fnad.primitives.sorting import sort_p


def lexsort(keys: Any, axis: int = -1) -> Array:
    """The indices that sort by several keys, the last one being the primary one.

    Examples
    --------
    >>> lexsort([np.array([3, 1, 2]), np.array([1, 1, 0])])
    array([2, 1, 0])
    """
    xs = [asarray(key) for key in keys]
    if not xs:
        raise TypeError("lexsort: needs at least one key")
    shape = broadcast_shapes([x.shape for x in xs], "lexsort")
    if not shape:
        return np.int64(0)
    axis = canonicalize_axis(axis, len(shape))
    index = broadcasted_iota(np.dtype(np.int64), shape, axis)
    operands = [expand(x, shape) for x in xs[::-1]]
    return sort_p.bind(*operands, index, dimension=axis, num_keys=len(xs), is_stable=True)[-1]


def partition(a: Any, kth: Any, axis: int | None = -1) -> Array:
    """The array with its k-th smallest element in place, smaller ones before it: sorted.

    ``kth`` is an int or a sequence of them.

    Examples
    --------
    >>> partition(np.array([3, 1, 2]), 1)
    array([1, 2, 3])
    """
    _check_place("partition", a, kth, axis)
    return sort(a, axis)


def argpartition(a: Any, kth: Any, axis: int | None = -1) -> Array:
    """The indices that partition an array; see `partition`.

    Examples
    --------
    >>> argpartition(np.array([3, 1, 2]), 1)
    array([1, 2, 0])
    """
    _check_place("argpartition", a, kth, axis)
    return argsort(a, axis)


def _check_place(name: str, a: Any, kth: Any, axis: int | None) -> None:
    x = asarray(a)
    length = x.size if axis is None else x.shape[canonicalize_axis(axis, x.ndim)]
    places = np.atleast_1d(kth)
    if places.dtype.kind not in "iu":
        raise TypeError(f"{name}: kth must be an int or a sequence of them, got {kth!r}")
    # As in NumPy, any place will do where there is nothing to sort.
    if x.size and not np.all((places >= -length) & (places < length)):
        raise ValueError(f"{name}: kth(={kth}) out of bounds for an axis of length {length}")


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The slices of an array along an axis.

    Examples
    --------
    >>> unstack(np.array([[1, 2], [3, 4]]))
    (array([1, 2]), array([3, 4]))
    """
    array = asarray(x)
    moved = moveaxis(array, canonicalize_axis(axis, array.ndim), 0)
    return tuple(moved[i] for i in range(moved.shape[0]))


def block(arrays: Any) -> Array:
    """Nested lists of blocks as one array; the innermost lists join along the last axis.

    Examples
    --------
    >>> block([[np.eye(2), np.zeros((2, 1))]])
    array([[1., 0., 0.],
           [0., 1., 0.]])
    """
    depth, ranks = _measure(arrays)
    return _joined(arrays, depth, max(depth, *ranks))


def _measure(arrays: Any) -> tuple[int, list[int]]:
    """How deeply the lists are nested, and the ranks of the arrays in them."""
    if not isinstance(arrays, list):
        return 0, [asarray(arrays).ndim]
    if not arrays:
        raise ValueError("block: lists cannot be empty")
    parts = [_measure(a) for a in arrays]
    if len({depth for depth, _ in parts}) > 1:
        raise ValueError("block: list depths are mismatched; each array must lie equally deep")
    return parts[0][0] + 1, [rank for _, ranks in parts for rank in ranks]


def _joined(arrays: Any, depth: int, rank: int) -> Array:
    if depth == 0:
        x = asarray(arrays)
        return own(reshape(x, (1,) * (rank - x.ndim) + x.shape), x)
    return concatenate([_joined(a, depth - 1, rank) for a in arrays], -depth)
