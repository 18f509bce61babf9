"""Sorting and searching in sorted arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.dtypes import canonical_dtype, result_type
from fnad.core.types import kind_of
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray
from fnad.numpy.manipulation import ravel
from fnad.numpy.operands import Array, convert
from fnad.numpy.reductions import sum
from fnad.primitives import sorting as lax
from fnad.primitives.shape import broadcast_in_dim, broadcasted_iota, canonicalize_axis, rev


def sort(
    a: Any,
    axis: int | None = -1,
    kind: str | None = None,
    *,
    stable: bool | None = None,
    descending: bool = False,
) -> Array:
    """Sort along an axis (None: the flattened array), NaN last (or first, descending).

    It is always stable: ``kind`` and ``stable`` are taken for NumPy's sake.

    Examples
    --------
    >>> sort(np.array([3, 1, 2]))
    array([1, 2, 3])
    """
    x = asarray(a)
    if axis is None:
        x, axis = ravel(x), 0
    axis = canonicalize_axis(axis, x.ndim)
    (out,) = lax.sort_p.bind(x, dimension=axis, num_keys=1, is_stable=True)
    return rev(out, (axis,)) if descending else out


def argsort(
    a: Any,
    axis: int | None = -1,
    kind: str | None = None,
    *,
    stable: bool | None = None,
    descending: bool = False,
) -> Array:
    """The indices that would sort an array along an axis; equal elements keep their order.

    It is always stable: ``kind`` and ``stable`` are taken for NumPy's sake.

    Examples
    --------
    >>> argsort(np.array([3, 1, 2]))
    array([1, 2, 0])
    """
    x = asarray(a)
    if axis is None:
        x, axis = ravel(x), 0
    axis = canonicalize_axis(axis, x.ndim)
    index = broadcasted_iota(canonical_dtype(np.int64), x.shape, axis)
    if descending:
        # Reversed before and after, equal elements keep their order.
        x, index = rev(x, (axis,)), rev(index, (axis,))
    index = lax.sort_p.bind(x, index, dimension=axis, num_keys=1, is_stable=True)[1]
    return rev(index, (axis,)) if descending else index


def searchsorted(a: Any, v: Any, side: str = "left") -> Array:
    """Where to insert ``v`` into sorted ``a`` so that it stays sorted.

    Compares every element of ``v`` with every one of ``a``.

    Examples
    --------
    >>> searchsorted(np.array([1, 3, 5]), np.array([3, 4]))
    array([1, 2])
    """
    if side not in ("left", "right"):
        raise ValueError(f"side must be 'left' or 'right', got {side!r}")
    x, values = asarray(a), asarray(v)
    if x.ndim != 1:
        raise ValueError("object too deep for desired array")
    dtype = result_type(x, values)
    x, values = convert(x, dtype), convert(values, dtype)
    wide = (*values.shape, x.shape[0])
    values = broadcast_in_dim(values, wide, tuple(range(values.ndim)))
    before = ufuncs.less(x, values) if side == "left" else ufuncs.less_equal(x, values)
    if kind_of(dtype) == "f":
        # NaN sorts after every number.
        number, missing = ufuncs.logical_not(ufuncs.isnan(x)), ufuncs.isnan(values)
        after_nan = ufuncs.logical_or(number, side == "right")
        before = ufuncs.logical_or(before, ufuncs.logical_and(after_nan, missing))
    return sum(before, -1, np.int64)
