"""Joining arrays along existing and new axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.dtypes import result_type
from fnad.numpy.creation import asarray
from fnad.numpy.manipulation import ravel, reshape
from fnad.numpy.operands import (
    Array,
    as_operand,
    convert,
    own,
    refuse_out,
    shape_of,
    strong,
)
from fnad.primitives import shape as lax
from fnad.primitives import slicing


def _sequence(arrays: Any, name: str) -> list[Array]:
    xs = [as_operand(a) for a in arrays]
    if not xs:
        raise ValueError(f"{name}: need at least one array")
    return xs


def _promoted(xs: Sequence[Array], dtype: Any = None) -> list[Array]:
    common = result_type(*xs) if dtype is None else np.dtype(dtype)
    return [convert(x, common) for x in xs]


def concatenate(arrays: Any, axis: int | None = 0, dtype: Any = None) -> Array:
    """Join arrays along an existing axis; None flattens them first.

    Examples
    --------
    >>> concatenate([np.array([1]), np.array([2.5, 3])])
    array([1. , 2.5, 3. ])
    """
    xs = _promoted(_sequence(arrays, "concatenate"), dtype)
    if axis is None:
        xs, axis = [ravel(x) for x in xs], 0
    if any(shape_of(x) == () for x in xs):
        raise ValueError("zero-dimensional arrays cannot be concatenated; use fnp.stack")
    ndim = len(xs[0].shape)
    axis = lax.canonicalize_axis(axis, ndim)
    for x in xs:
        same = len(x.shape) == ndim and all(
            m == n for i, (m, n) in enumerate(zip(x.shape, xs[0].shape)) if i != axis
        )
        if not same:
            raise ValueError(
                "concatenate: all axes except the one joined must agree, got shapes"
                f" {', '.join(str(y.shape) for y in xs)} for axis {axis}"
            )
    return own(slicing.concatenate(xs, axis), *xs)


concat = concatenate


def stack(arrays: Any, axis: int = 0, out: None = None, dtype: Any = None) -> Array:
    """Join arrays of one shape along a new axis.

    Examples
    --------
    >>> stack([np.array([1, 2]), np.array([3, 4])], axis=1)
    array([[1, 3],
           [2, 4]])
    """
    refuse_out("stack", out)
    xs = _promoted(_sequence(arrays, "stack"), dtype)
    shapes = {shape_of(x) for x in xs}
    if len(shapes) > 1:
        raise ValueError(
            f"all input arrays must have the same shape, got {', '.join(map(str, shapes))}"
        )
    axis = lax.canonicalize_axis(axis, len(shape_of(xs[0])) + 1)
    return own(slicing.concatenate([lax.expand_dims(x, (axis,)) for x in xs], axis), *xs)


def vstack(tup: Any, dtype: Any = None) -> Array:
    """Join along the first axis, vectors being rows.

    Examples
    --------
    >>> vstack([np.array([1, 2]), np.array([3, 4])])
    array([[1, 2],
           [3, 4]])
    """
    return concatenate([atleast_2d(x) for x in _sequence(tup, "vstack")], 0, dtype)


def hstack(tup: Any, dtype: Any = None) -> Array:
    """Join along the second axis, vectors along their only one.

    Examples
    --------
    >>> hstack([np.array([1, 2]), np.array([3])])
    array([1, 2, 3])
    """
    xs = [atleast_1d(x) for x in _sequence(tup, "hstack")]
    return concatenate(xs, 0 if xs[0].ndim == 1 else 1, dtype)


def dstack(tup: Any, dtype: Any = None) -> Array:
    """Join along the third axis.

    Examples
    --------
    >>> dstack([np.array([1, 2]), np.array([3, 4])]).shape
    (1, 2, 2)
    """
    return concatenate([atleast_3d(x) for x in _sequence(tup, "dstack")], 2, dtype)


def column_stack(tup: Any) -> Array:
    """Join vectors as columns.

    Examples
    --------
    >>> column_stack([np.array([1, 2]), np.array([3, 4])])
    array([[1, 3],
           [2, 4]])
    """
    xs = [asarray(x) for x in _sequence(tup, "column_stack")]
    return concatenate([x if x.ndim > 1 else reshape(x, (-1, 1)) for x in xs], 1)


def append(arr: Any, values: Any, axis: int | None = None) -> Array:
    """Join ``values`` to the end of ``arr``, both flattened if ``axis`` is None.

    Examples
    --------
    >>> append(np.array([1, 2]), 3)
    array([1, 2, 3])
    """
    # Scalars count as arrays here: an int brings int64.
    return concatenate([strong(asarray(x)) for x in (arr, values)], axis)


def _atleast(a: Any, rank: int) -> Array:
    x = asarray(a)
    if x.ndim >= rank:
        return x
    places = {(0, 1): (1,), (0, 2): (1, 1), (1, 2): (1, -1), (0, 3): (1, 1, 1)}
    places |= {(1, 3): (1, -1, 1), (2, 3): (*x.shape, 1)}
    return reshape(x, tuple(x.size if n == -1 else n for n in places[x.ndim, rank]))


def _atleast_each(rank: int, args: tuple[Any, ...]) -> Any:
    outs = tuple(_atleast(a, rank) for a in args)
    return outs[0] if len(outs) == 1 else outs


def atleast_1d(*arys: Any) -> Any:
    """Turn scalars into arrays of rank 1.

    Examples
    --------
    >>> atleast_1d(3)
    array([3])
    """
    return _atleast_each(1, arys)


def atleast_2d(*arys: Any) -> Any:
    """Turn scalars and vectors into rows.

    Examples
    --------
    >>> atleast_2d(np.array([1, 2]))
    array([[1, 2]])
    """
    return _atleast_each(2, arys)


def atleast_3d(*arys: Any) -> Any:
    """Add axes up to rank 3.

    Examples
    --------
    >>> atleast_3d(np.array([1, 2])).shape
    (1, 2, 1)
    """
    return _atleast_each(3, arys)
