"""Sorting, along one axis, of several arrays at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from fnad.core.primitive import Parts, Primitive, Zero, flat_parts, joined_parts
from fnad.core.types import ShapedArray, aval_of, computing_dtype, kind_of, lowest
from fnad.primitives.indexing import take_along_axis
from fnad.primitives.logic import convert_element_type, ne, stop_gradient
from fnad.primitives.reductions import reduce_max
from fnad.primitives.reversal import rev
from fnad.primitives.shape import (
    broadcast_in_dim,
    broadcasted_iota,
    canonicalize_axis,
    check_axes,
    leading_axis_full,
    moveaxis,
    reshape,
)
from fnad.primitives.slicing import pad, slice_in_dim

# Of so many times as many elements as are wanted, few are sorted.
_FEW = 64

sort_p = Primitive(
    "sort",
    "Sort arrays of one shape along ``dimension`` by the first ``num_keys`` of them (the first is"
    " the primary key), moving the others along. Ascending, NaN last, always stable. Complex keys"
    " by their real parts, then their imaginary ones; last those with NaN in the imaginary part,"
    " then those with NaN in the real part.",
    multiple_results=True,
)


@sort_p.type_rule
def _(*xs, dimension, num_keys, is_stable):
    if not 1 <= num_keys <= len(xs):
        raise ValueError(f"sort: num_keys must be from 1 to {len(xs)}, got {num_keys}")
    if len({x.shape for x in xs}) > 1:
        raise TypeError(f"sort: arrays must have one shape, got {[x.shape for x in xs]}")
    check_axes("sort", "dimension", (dimension,), xs[0].ndim)
    return [ShapedArray(x.shape, x.dtype) for x in xs]


@sort_p.evaluate
def _(*xs, dimension, num_keys, is_stable):
    # lexsort takes the primary key last; it is stable, and puts NaN last (but of bfloat16).
    keys = [np.asarray(x).astype(computing_dtype(x.dtype), copy=False) for x in xs[:num_keys]]
    order = np.lexsort(keys[::-1], axis=dimension)
    return [np.take_along_axis(np.asarray(x), order, dimension) for x in xs]


@sort_p.jvp
def _(primals, tangents, *, dimension, num_keys, is_stable):
    options = {"dimension": dimension, "num_keys": num_keys, "is_stable": is_stable}
    if all(isinstance(t, Zero) for t in tangents):
        outs = sort_p.bind(*primals, **options)
        return outs, [Zero(out.aval.strong()) for out in outs]
    places = broadcasted_iota(np.int64, aval_of(primals[0]).shape, dimension)
    *outs, order = sort_p.bind(*primals, places, **options)
    moved = [
        Zero(out.aval.strong()) if isinstance(t, Zero) else take_along_axis(t, order, dimension)
        for out, t in zip(outs, tangents)
    ]
    return outs, moved


@sort_p.batch
def _(args, batched, axis, *, dimension, num_keys, is_stable):
    xs = [leading_axis_full(x, b, axis.size) for x, b in zip(args, batched)]
    outs = sort_p.bind(*xs, dimension=dimension + 1, num_keys=num_keys, is_stable=is_stable)
    return outs, [True] * len(outs)


@sort_p.parts
def _(*xs, dimension, num_keys, is_stable):
    keys = list(map(_keys, xs[:num_keys]))
    outs = sort_p.bind(
        *chain.from_iterable(keys),
        *flat_parts(xs),
        dimension=dimension,
        num_keys=sum(map(len, keys)),
        is_stable=is_stable,
    )
    return joined_parts(outs[sum(map(len, keys)) :], [type(x) is Parts for x in xs])


def _keys(x: Any) -> list[Any]:
    """The real keys that stand for a key: first whether the parts of complex numbers are NaN."""
    if type(x) is not Parts:
        return [x]
    where = [convert_element_type(ne(v, v), np.dtype(np.int8)) for v in (x.re, x.im)]
    # Zeros of either sign are equal keys.
    return [where[0] * 2 + where[1], x.re + 0.0, x.im + 0.0]


@sort_p.lower
def _(p, *xs, dimension, num_keys, is_stable):
    return p.sort(xs, dimension, num_keys)


def sort(operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1) -> Any:
    """Sort one array, or a sequence of arrays by the first ``num_keys`` of them.

    Parameters
    ----------
    operand : array or sequence of arrays
        Of one shape.
    dimension : int
        The axis along which to sort.
    is_stable : bool
        Taken for compatibility with JAX; sorting is always stable.
    num_keys : int
        How many of the arrays are keys, the first being the primary one.

    Returns
    -------
    array or tuple of arrays
        As ``operand``; NaN stands last.

    Examples
    --------
    >>> keys, values = sort((np.array([3, 1, 2]), np.array([30.0, 10.0, 20.0])))
    >>> values
    array([10., 20., 30.])
    """
    operands = tuple(operand) if isinstance(operand, (tuple, list)) else (operand,)
    if not operands:
        raise TypeError("sort: needs at least one array")
    dimension = canonicalize_axis(dimension, aval_of(operands[0]).ndim)
    outs = sort_p.bind(*operands, dimension=dimension, num_keys=num_keys, is_stable=bool(is_stable))
    return tuple(outs) if isinstance(operand, (tuple, list)) else outs[0]


def sort_key_val(
    keys: Any, values: Any, dimension: int = -1, is_stable: bool = True
) -> tuple[Any, Any]:
    """Sort ``keys`` along ``dimension`` and move ``values`` along."""
    return sort((keys, values), dimension, is_stable)


def top_k(operand: Any, k: int, *, axis: int = -1) -> tuple[Any, Any]:
    """The ``k`` largest elements along ``axis`` in descending order, and their indices (int64).

    Among equal elements the one of lower index comes first; NaN counts as largest.

    Examples
    --------
    >>> top_k(np.array([3.0, 1.0, 3.0, 2.0]), 2)
    (array([3., 3.]), array([0, 2]))
    """
    shape = aval_of(operand).shape
    axis = canonicalize_axis(axis, len(shape))
    if not 0 <= k <= shape[axis]:
        raise ValueError(f"top_k: k must be from 0 to {shape[axis]} (axis {axis}), got {k}")
    n = shape[axis]
    if type(n) is int and 0 < _FEW * k <= n and kind_of(aval_of(operand).dtype) in "iuf":
        outs = _largest_of_blocks(moveaxis(operand, axis, -1), k)
        values, indices = (moveaxis(x, -1, axis) for x in outs)
        return values, indices
    return _first_of_sorted(operand, broadcasted_iota(np.int64, shape, axis), k, axis)


def _first_of_sorted(operand: Any, places: Any, k: int, axis: int) -> tuple[Any, Any]:
    # Reversed, an ascending stable sort becomes a descending one that is stable as well.
    outs: Sequence[Any] = sort((rev(operand, (axis,)), rev(places, (axis,))), axis)
    values, indices = (slice_in_dim(rev(x, (axis,)), 0, k, 1, axis) for x in outs)
    return values, indices


def _largest_of_blocks(x: Any, k: int) -> tuple[Any, Any]:
    """The largest elements along the last axis: they are in the ``k`` blocks of largest maxima."""
    *rows, n = aval_of(x).shape
    size = math.isqrt(n // k)
    count = -(-n // size)
    dtype, axis = aval_of(x).dtype, len(rows)
    # What fills the last block up comes after any equal element.
    x = pad(x, lowest(dtype), [(0, 0, 0)] * axis + [(0, count * size - n, 0)])
    blocks = reshape(x, (*rows, count, size))
    _, chosen = top_k(reduce_max(stop_gradient(blocks), (axis + 1,)), k)
    chosen = sort(chosen, axis)
    each = broadcast_in_dim(chosen, (*rows, k, size), tuple(range(axis + 1)))
    candidates = take_along_axis(blocks, each, axis)
    places = each * np.int64(size) + broadcasted_iota(np.int64, (*rows, k, size), axis + 1)
    flat = (*rows, k * size)
    return _first_of_sorted(reshape(candidates, flat), reshape(places, flat), k, axis)


def approx_max_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Any, Any]:
    """The ``k`` largest elements along an axis and their indices: exact, whatever recall is asked.

    The arguments behind ``reduction_dimension`` are JAX's for what it leaves out.

    Examples
    --------
    >>> approx_max_k(np.array([3.0, 1.0, 2.0]), 2)
    (array([3., 2.]), array([0, 2]))
    """
    return top_k(operand, k, axis=reduction_dimension)


def approx_min_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Any, Any]:
    """The ``k`` smallest elements along an axis and their indices: exact, whatever recall is asked.

    NaN counts as largest.

    Examples
    --------
    >>> approx_min_k(np.array([3.0, 1.0, 2.0]), 2)
    (array([1., 2.]), array([1, 2]))
    """
    shape = aval_of(operand).shape
    axis = canonicalize_axis(reduction_dimension, len(shape))
    if not 0 <= k <= shape[axis]:
        raise ValueError(f"approx_min_k: k must be from 0 to {shape[axis]} (axis {axis}), got {k}")
    values, indices = sort((operand, broadcasted_iota(np.int64, shape, axis)), axis)
    return slice_in_dim(values, 0, k, 1, axis), slice_in_dim(indices, 0, k, 1, axis)
