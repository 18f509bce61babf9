"""Arrays put together from others, as compositions: broadcasting, tiling, stacking, choosing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.sizes import common_shape
from fnad.core.types import aval_of
from fnad.primitives.arithmetic import rem
from fnad.primitives.elementwise import matched
from fnad.primitives.indexing import gather
from fnad.primitives.logic import convert_element_type, lt, select
from fnad.primitives.shape import (
    broadcast_in_dim,
    canonicalize_axis,
    expand_dims,
    full,
    int_tuple,
    moveaxis,
    reshape,
    squeeze,
)
from fnad.primitives.slicing import concatenate, split

# -- broadcasting --------------------------------------------------------------------------


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that all of these broadcast to.

    Raises
    ------
    ValueError
        If they do not broadcast.

    Examples
    --------
    >>> broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    return common_shape(*map(int_tuple, shapes))


def broadcast_to_rank(x: Any, rank: int) -> Any:
    """Give an array leading axes of length 1 until it has this rank.

    Examples
    --------
    >>> broadcast_to_rank(np.ones(3), 3).shape
    (1, 1, 3)
    """
    ndim = aval_of(x).ndim
    if rank < ndim:
        raise ValueError(
            f"broadcast_to_rank: an array of shape {aval_of(x).shape} has more axes than {rank}"
        )
    return expand_dims(x, tuple(range(rank - ndim))) if rank > ndim else x


def broadcast_like(arr: Any, like_arr: Any) -> Any:
    """Broadcast an array to the shape of another, as NumPy does.

    Examples
    --------
    >>> broadcast_like(np.array([[1.0], [2.0]]), np.zeros((2, 2)))
    array([[1., 1.],
           [2., 2.]])
    """
    shape, want = aval_of(arr).shape, aval_of(like_arr).shape
    if shape == want:
        return arr
    lead = len(want) - len(shape)
    if lead < 0 or any(n not in (1, m) for n, m in zip(shape, want[max(lead, 0) :])):
        raise ValueError(f"broadcast_like: shape {shape} does not broadcast to {want}")
    kept = [i for i, n in enumerate(shape) if n == want[lead + i]]
    arr = squeeze(arr, tuple(i for i in range(len(shape)) if i not in kept))
    return broadcast_in_dim(arr, want, tuple(lead + i for i in kept))


def tile(operand: Any, reps: Sequence[int]) -> Any:
    """Repeat an array ``reps[i]`` times along axis ``i``; more ``reps`` than axes add leading ones.

    Examples
    --------
    >>> tile(np.array([1, 2]), (2, 2))
    array([[1, 2, 1, 2],
           [1, 2, 1, 2]])
    """
    counts, ndim = int_tuple(reps), aval_of(operand).ndim
    if len(counts) < ndim or any(n < 0 for n in counts):
        raise ValueError(
            f"tile: reps {counts} must be one natural number for each axis of an array of shape"
            f" {aval_of(operand).shape}"
        )
    shape = aval_of(broadcast_to_rank(operand, len(counts))).shape
    doubled = tuple(m for pair in zip(counts, shape) for m in pair)
    lead = len(counts) - ndim
    kept = tuple(2 * (lead + i) + 1 for i in range(ndim))
    whole = broadcast_in_dim(operand, doubled, kept)
    return reshape(whole, [count * n for count, n in zip(counts, shape)])


def empty(shape: int | Sequence[int], dtype: Any) -> Any:
    """An array whose elements do not matter: zeros, so that programs compute the same each time.

    Examples
    --------
    >>> empty((2,), np.float32)
    array([0., 0.], dtype=float32)
    """
    return full(shape, np.zeros((), dtype)[()])


# -- stacking ------------------------------------------------------------------------------


def stack(operands: Sequence[Any], axis: int = 0) -> Any:
    """Join arrays of one shape and dtype along a new axis.

    Examples
    --------
    >>> stack((np.array([1, 2]), np.array([3, 4])), 1)
    array([[1, 3],
           [2, 4]])
    """
    if not operands:
        raise ValueError("stack: needs at least one array")
    axis = canonicalize_axis(axis, aval_of(operands[0]).ndim + 1)
    return concatenate([expand_dims(x, (axis,)) for x in operands], axis)


def unstack(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """The slices along an axis, without it.

    Examples
    --------
    >>> unstack(np.array([[1, 3], [2, 4]]), 1)
    (array([1, 2]), array([3, 4]))
    """
    axis = canonicalize_axis(axis, aval_of(x).ndim)
    pieces = split(x, (1,) * aval_of(x).shape[axis], axis)
    return tuple(squeeze(piece, (axis,)) for piece in pieces)


# -- choosing ------------------------------------------------------------------------------


def select_n(which: Any, *cases: Any) -> Any:
    """For each element, that of the case whose number ``which`` holds.

    Parameters
    ----------
    which : array of bool or integer
        Of the shape of the cases, or a scalar; bool for one or two cases (False is the first).
        Numbers out of range choose the nearest case.
    *cases : array
        Of one dtype and shape.

    Examples
    --------
    >>> select_n(np.array([2, 0]), np.array([1, 2]), np.array([3, 4]), np.array([5, 6]))
    array([5, 2])
    """
    kind = aval_of(which).dtype.kind
    if kind not in "biu" or not cases or (kind == "b" and len(cases) > 2):
        raise TypeError(
            f"select_n: which, of type {aval_of(which)}, must be integers, or booleans for at most"
            f" two cases; got {len(cases)} cases"
        )
    cases = tuple(matched("select_n", *cases))
    return _select_among(which, cases, 0) if kind != "b" else select(which, cases[-1], cases[0])


def _select_among(which: Any, cases: Sequence[Any], first: int) -> Any:
    """A binary search: log2(n) choices deep."""
    if len(cases) == 1:
        return cases[0]
    half = len(cases) // 2
    lower = _select_among(which, cases[:half], first)
    upper = _select_among(which, cases[half:], first + half)
    return select(lt(which, first + half), lower, upper)


def index_take(src: Any, idxs: Sequence[Any], axes: Sequence[int]) -> Any:
    """The slices of ``src`` at index vectors, one for each of ``axes``; indices wrap around.

    Parameters
    ----------
    src : array
    idxs : sequence of integer arrays
        Vectors of one length ``n``.
    axes : sequence of int
        The axes that they index.

    Returns
    -------
    array
        ``(n, *the other axes of src)``.

    Examples
    --------
    >>> index_take(np.array([[1, 2, 3], [4, 5, 6]]), [np.array([0, -1])], (1,))
    array([[1, 4],
           [3, 6]])
    """
    aval = aval_of(src)
    places = tuple(canonicalize_axis(a, aval.ndim) for a in axes)
    if len(idxs) != len(places):
        raise ValueError(f"index_take: {len(idxs)} index vectors for axes {tuple(axes)}")
    wrapped = []
    for i, axis in zip(idxs, places):
        i, n = convert_element_type(i, np.int64), max(1, aval.shape[axis])
        inside = rem(i, n)
        wrapped.append(select(lt(inside, 0), inside + n, inside))
    return gather(moveaxis(src, places, tuple(range(len(places)))), *wrapped)
