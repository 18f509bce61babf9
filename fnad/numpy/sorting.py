"""Sorting and searching in sorted arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.dtypes import canonical_dtype, result_type
from fnad.core.sizes import Size
from fnad.core.types import kind_of
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray, full
from fnad.numpy.elementwise_parts import select
from fnad.numpy.indexing import take
from fnad.numpy.manipulation import ravel
from fnad.numpy.operands import Array, broadcast_shapes, convert
from fnad.primitives import sorting as lax
from fnad.primitives.control_flow.while_loop import while_loop
from fnad.primitives.reversal import rev
from fnad.primitives.shape import broadcasted_iota, canonicalize_axis
from fnad.primitives.sizes import index_of

_KINDS = (None, "quicksort", "mergesort", "heapsort", "stable")


def _check_kind(name: str, kind: str | None, stable: bool | None) -> None:
    if kind not in _KINDS:
        raise ValueError(
            f"{name}: kind must be one of {', '.join(map(repr, _KINDS))}, got {kind!r}"
        )
    if kind is not None and stable is not None:
        raise ValueError(f"{name}: pass kind or stable, not both, got {kind!r} and {stable!r}")


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
    _check_kind("sort", kind, stable)
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
    dtype: Any = None,
) -> Array:
    """The indices that would sort an array along an axis; equal elements keep their order.

    It is always stable: ``kind`` and ``stable`` are taken for NumPy's sake. The indices are int64,
    or of the integer ``dtype``.

    Examples
    --------
    >>> argsort(np.array([3, 1, 2]))
    array([1, 2, 0])
    """
    _check_kind("argsort", kind, stable)
    x = asarray(a)
    if axis is None:
        x, axis = ravel(x), 0
    axis = canonicalize_axis(axis, x.ndim)
    index_dtype = canonical_dtype(np.int64 if dtype is None else dtype)
    if index_dtype.kind not in "iu" or x.shape[axis] > np.iinfo(index_dtype).max + 1:
        raise ValueError(
            f"argsort: {index_dtype} cannot hold the indices of an axis of length {x.shape[axis]}"
        )
    index = broadcasted_iota(index_dtype, x.shape, axis)
    if descending:
        # Reversed before and after, equal elements keep their order.
        x, index = rev(x, (axis,)), rev(index, (axis,))
    index = lax.sort_p.bind(x, index, dimension=axis, num_keys=1, is_stable=True)[1]
    return rev(index, (axis,)) if descending else index


_SEARCHES = ("default", "scan", "scan_unrolled", "sort", "compare_all")


def searchsorted(
    a: Any, v: Any, side: str = "left", sorter: Any = None, *, method: str = "scan"
) -> Array:
    """Where to insert ``v`` into sorted ``a`` so that it stays sorted; NaN comes last.

    A binary search for all elements of ``v`` at once, in steps of falling powers of two.

    Parameters
    ----------
    a : array_like
        Of shape (n,), sorted in ascending order, or by ``sorter``.
    v : array_like
        Any shape.
    side : "left" or "right"
        Before or behind the elements that are equal.
    sorter : array_like of int, optional
        Of shape (n,): ``a[sorter]`` is sorted.
    method : {"default", "scan", "scan_unrolled", "sort", "compare_all"}
        Names of `jax.numpy`, all of which stand for the binary search.

    Examples
    --------
    >>> searchsorted(np.array([1, 3, 5]), np.array([3, 4]))
    array([1, 2])
    """
    if side not in ("left", "right"):
        raise ValueError(f"side must be 'left' or 'right', got {side!r}")
    if method not in _SEARCHES:
        raise ValueError(f"searchsorted: method must be one of {_SEARCHES}, got {method!r}")
    x, values = asarray(a), asarray(v)
    if x.ndim != 1:
        raise ValueError(f"searchsorted: a must have one axis, got shape {x.shape}")
    if sorter is not None:
        x = take(x, asarray(sorter), 0, mode="clip")
    dtype = result_type(x, values)
    x, values = convert(x, dtype), convert(values, dtype)
    known = all(isinstance(each, (np.ndarray, np.generic)) for each in (x, values))
    if known and dtype.kind in "biuf":
        # What follows would be dozens of calls of NumPy.
        return np.searchsorted(x, values, side)  # type: ignore[call-overload]
    count = x.shape[0]
    if type(count) is Size:
        return _found_in_a_loop(x, values, side)
    found = full(values.shape, 0, np.int64)
    step = 1 << count.bit_length() >> 1
    while step:
        # Invariant: found elements lie before the value, and fewer than 2 * step more can.
        last = ufuncs.add(found, step)
        inside = ufuncs.less_equal(last, count)
        probe = take(x, ufuncs.minimum(last, count) - 1, 0, mode="clip")
        further = ufuncs.logical_and(inside, _lies_before(probe, values, side))
        found = ufuncs.add(found, select(further, np.int64(step), np.int64(0)))
        step >>= 1
    return found


def _found_in_a_loop(x: Array, values: Array, side: str) -> Array:
    """The same where the length is known when the program is called."""

    def step(state: tuple[Array, Array]) -> tuple[Array, Array]:
        # Invariant: found elements lie before the value, and no more than length of the next ones.
        found, length = state
        half = ufuncs.floor_divide(length + 1, 2)
        probe = take(x, found + half - 1, 0, mode="clip")
        further = _lies_before(probe, values, side)
        return select(further, found + half, found), length - half

    start = full(values.shape, 0, np.int64), index_of(x.shape[0])
    return while_loop(lambda state: state[1] > 0, step, start)[0]


def _lies_before(x: Array, value: Array, side: str) -> Array:
    if x.dtype.kind == "c":
        return _complex_lies_before(x, value, side)
    before = ufuncs.less(x, value) if side == "left" else ufuncs.less_equal(x, value)
    if kind_of(x.dtype) != "f":
        return before
    missing = ufuncs.isnan(value)
    if side == "left":
        missing = ufuncs.logical_and(missing, ufuncs.logical_not(ufuncs.isnan(x)))
    return ufuncs.logical_or(before, missing)


def _complex_lies_before(x: Array, value: Array, side: str) -> Array:
    """As complex numbers are sorted: those without NaN, with one as imaginary part, as real part.

    Within each of these, by what is no number of real and imaginary parts.
    """
    before = full(broadcast_shapes([x.shape, value.shape], "searchsorted"), side != "left", bool)
    for a, b in reversed(list(zip(_sorting_keys(x), _sorting_keys(value)))):
        before = ufuncs.logical_or(
            ufuncs.less(a, b), ufuncs.logical_and(ufuncs.equal(a, b), before)
        )
    return before


def _sorting_keys(z: Array) -> list[Array]:
    """The real arrays by which complex numbers are sorted, the primary one first."""
    parts = [z.real, z.imag]
    missing = [ufuncs.isnan(part) for part in parts]
    keys = [select(nan, part.dtype.type(0), part) for nan, part in zip(missing, parts)]
    return [missing[0], missing[1], *keys]
