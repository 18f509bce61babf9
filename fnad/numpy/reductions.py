"""Sums, products, extrema and their kin, along axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fnad.core.dtypes import canonical_dtype
from fnad.core.sizes import common_shape
from fnad.core.types import computing_dtype, highest, lowest
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray
from fnad.numpy.elementwise_parts import select
from fnad.numpy.manipulation import ravel
from fnad.numpy.operands import (
    Array,
    as_operand,
    convert,
    expand,
    normalize_axes,
    own,
    refuse_out,
    shape_of,
)
from fnad.primitives import cumulative
from fnad.primitives import reductions as lax
from fnad.primitives.shape import canonicalize_axis, reshape
from fnad.primitives.slicing import pad

Axis = int | tuple[int, ...] | None


def keep_axes(out: Array, shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> Array:
    """Put back the axes that were reduced, with length 1, if ``keepdims``."""
    if not keepdims:
        # Of no axes, an array of rank 0 is its own reduction; the result is a NumPy scalar.
        return out[()] if isinstance(out, np.ndarray) else out
    return reshape(out, tuple(1 if i in axes else n for i, n in enumerate(shape)))


def _reduced(reduce: Callable[..., Array], x: Array, axes: tuple[int, ...]) -> Array:
    out = reduce(x, axes)
    return out if axes else own(out, x)


def _masked(x: Array, where: Any, neutral: Any) -> Array:
    """``x`` with the elements not chosen by ``where`` replaced by the neutral element."""
    if where is None:
        return x
    mask = as_operand(where)
    shape = common_shape(x.shape, shape_of(mask))
    return select(expand(mask, shape), expand(x, shape), x.dtype.type(neutral))


def sum_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which NumPy adds: integers and booleans at least as wide as int64."""
    if dtype.kind in "bi":
        return np.dtype(np.int64)
    return np.dtype(np.uint64) if dtype.kind == "u" else dtype


def _initial(name: str, initial: Any, dtype: np.dtype[Any]) -> Array:
    """What to begin with, in the dtype of the result, whatever dtype it has."""
    start = as_operand(initial)
    if shape_of(start):
        raise ValueError(
            f"{name}: initial must be a scalar, got an array of shape {shape_of(start)}"
        )
    return convert(start, dtype)


def _accumulate(
    name: str, reduce: Callable[..., Any], combine: Callable[..., Any], neutral: int
) -> Callable[..., Array]:
    def reduction(
        a: Any, axis: Axis, dtype: Any, keepdims: bool, initial: Any, where: Any
    ) -> Array:
        x = asarray(a)
        result = sum_dtype(x.dtype) if dtype is None else canonical_dtype(dtype)
        x = _masked(convert(x, computing_dtype(result)), where, neutral)
        axes = normalize_axes(axis, x.ndim)
        out = keep_axes(_reduced(reduce, x, axes), x.shape, axes, keepdims)
        out = convert(out, result)
        return out if initial is None else combine(out, _initial(name, initial, result))

    return reduction


def _own_dtype(a: Any) -> np.dtype[Any] | None:
    """The dtype of the elements; booleans are counted in any case."""
    dtype = asarray(a).dtype
    return None if dtype.kind == "b" else dtype


_sum = _accumulate("sum", lax.reduce_sum, ufuncs.add, 0)
_prod = _accumulate("prod", lax.reduce_prod, ufuncs.multiply, 1)


def sum(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
    promote_integers: bool = True,
) -> Array:
    """Sum of elements along axes.

    Parameters
    ----------
    a : array_like
        Any shape.
    axis : int, tuple of int, optional
        All axes by default.
    dtype : dtype, optional
        Of the sum; integers and booleans are added in int64 (uint64) by default.
    out : None
        Stands where NumPy has an array to write to.
    keepdims : bool
        Keep the axes, with length 1.
    initial : scalar, optional
        Added to the sum.
    where : array_like of bool, optional
        Which elements take part.
    promote_integers : bool
        Whether ``dtype`` is that default for integers; otherwise it is their own.

    Examples
    --------
    >>> sum(np.array([[1, 2], [3, 4]]), axis=0)
    array([4, 6])
    """
    refuse_out("sum", out)
    dtype = _own_dtype(a) if dtype is None and not promote_integers else dtype
    return _sum(a, axis, dtype, keepdims, initial, where)


def prod(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
    promote_integers: bool = True,
) -> Array:
    """Product of elements along axes; parameters as for `sum`.

    Examples
    --------
    >>> prod(np.array([2, 3]))
    np.int64(6)
    """
    refuse_out("prod", out)
    dtype = _own_dtype(a) if dtype is None and not promote_integers else dtype
    return _prod(a, axis, dtype, keepdims, initial, where)


def _extremum(
    name: str, combine: Callable[..., Any], worst: Callable[..., Any]
) -> Callable[..., Array]:
    def reduction(a: Any, axis: Axis, keepdims: bool, initial: Any, where: Any) -> Array:
        reduce = _reducer(name)
        x = asarray(a)
        start = None if initial is None else _initial(name, initial, x.dtype)
        if where is not None and where is not True:
            if start is None:
                raise ValueError(f"{name}: pass initial= together with where=")
            x = _masked(x, where, worst(x.dtype))
        axes = normalize_axes(axis, x.ndim)
        if math.prod(x.shape[i] for i in axes) == 0:
            if start is None:
                raise ValueError(
                    f"{name}: an array of shape {x.shape} has no elements along axes {axes};"
                    " pass initial="
                )
            kept = tuple(n for i, n in enumerate(x.shape) if i not in axes)
            return keep_axes(expand(start, kept), x.shape, axes, keepdims)
        out = keep_axes(_reduced(reduce, x, axes), x.shape, axes, keepdims)
        return out if start is None else combine(out, start)

    return reduction


def _reducer(name: str) -> Callable[..., Any]:
    def reduce(x: Array, axes: tuple[int, ...]) -> Array:
        if x.dtype.kind == "b":
            return (lax.reduce_or if name == "max" else lax.reduce_and)(x, axes)
        return (lax.reduce_max if name == "max" else lax.reduce_min)(x, axes)

    return reduce


_max = _extremum("max", ufuncs.maximum, lowest)
_min = _extremum("min", ufuncs.minimum, highest)


def max(
    a: Any,
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Array:
    """Largest element along axes; NaN if there is one.

    Examples
    --------
    >>> max(np.array([1, 3, 2]))
    np.int64(3)
    """
    refuse_out("max", out)
    return _max(a, axis, keepdims, initial, where)


def min(
    a: Any,
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Array:
    """Smallest element along axes; NaN if there is one.

    Examples
    --------
    >>> min(np.array([1, 3, 2]))
    np.int64(1)
    """
    refuse_out("min", out)
    return _min(a, axis, keepdims, initial, where)


amax, amin = max, min


def ptp(a: Any, axis: Axis = None, out: None = None, keepdims: bool = False) -> Array:
    """Largest minus smallest element.

    Examples
    --------
    >>> ptp(np.array([1, 3]))
    np.int64(2)
    """
    refuse_out("ptp", out)
    return ufuncs.subtract(max(a, axis, None, keepdims), min(a, axis, None, keepdims))


def _logical(a: Any, axis: Axis, keepdims: bool, where: Any, reduce: Any, neutral: bool) -> Array:
    x = asarray(a)
    x = _masked(x if x.dtype.kind == "b" else ufuncs.not_equal(x, x.dtype.type(0)), where, neutral)
    axes = normalize_axes(axis, x.ndim)
    return keep_axes(_reduced(reduce, x, axes), x.shape, axes, keepdims)


def any(
    a: Any, axis: Axis = None, out: None = None, keepdims: bool = False, where: Any = None
) -> Array:
    """Whether an element along the axes is nonzero.

    Examples
    --------
    >>> any(np.array([0, 1]))
    np.True_
    """
    refuse_out("any", out)
    return _logical(a, axis, keepdims, where, lax.reduce_or, False)


def all(
    a: Any, axis: Axis = None, out: None = None, keepdims: bool = False, where: Any = None
) -> Array:
    """Whether all elements along the axes are nonzero.

    Examples
    --------
    >>> all(np.array([0, 1]))
    np.False_
    """
    refuse_out("all", out)
    return _logical(a, axis, keepdims, where, lax.reduce_and, True)


def count_nonzero(a: Any, axis: Axis = None, keepdims: bool = False) -> Array:
    """How many elements along the axes are nonzero.

    Examples
    --------
    >>> count_nonzero(np.array([0, 1, 2]))
    np.int64(2)
    """
    x = asarray(a)
    return sum(ufuncs.not_equal(x, x.dtype.type(0)), axis, np.int64, None, keepdims)


def _arg(a: Any, axis: int | None, keepdims: bool, reduce: Callable[..., Any], name: str) -> Array:
    x = asarray(a)
    shape = x.shape
    axes = normalize_axes(None, x.ndim) if axis is None else (canonicalize_axis(axis, x.ndim),)
    x, along = (ravel(x), 0) if axis is None else (x, axes[0])
    if x.shape[along] == 0:
        raise ValueError(f"attempt to get {name} of an empty sequence")
    if x.dtype.kind == "b":
        x = convert(x, np.dtype(np.uint8))
    return keep_axes(reduce(x, along, np.int64), shape, axes, keepdims)


def argmax(a: Any, axis: int | None = None, out: None = None, keepdims: bool = False) -> Array:
    """Index of the first largest element (of the first NaN if there is one).

    Examples
    --------
    >>> argmax(np.array([1, 3, 3]))
    np.int64(1)
    """
    refuse_out("argmax", out)
    return _arg(a, axis, keepdims, lax.argmax, "argmax")


def argmin(a: Any, axis: int | None = None, out: None = None, keepdims: bool = False) -> Array:
    """Index of the first smallest element (of the first NaN if there is one).

    Examples
    --------
    >>> argmin(np.array([3, 1, 1]))
    np.int64(1)
    """
    refuse_out("argmin", out)
    return _arg(a, axis, keepdims, lax.argmin, "argmin")


# -- running sums -------------------------------------------------------------------------


def _running(a: Any, axis: int | None, dtype: Any, primitive: Callable[..., Any]) -> Array:
    x = asarray(a)
    if axis is None:
        x, axis = ravel(x), 0
    result = sum_dtype(x.dtype) if dtype is None else canonical_dtype(dtype)
    return primitive(convert(x, result), canonicalize_axis(axis, x.ndim))


def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """Running sum along an axis (of the flattened array by default).

    Examples
    --------
    >>> cumsum(np.array([1, 2, 3]))
    array([1, 3, 6])
    """
    refuse_out("cumsum", out)
    return _running(a, axis, dtype, cumulative.cumsum)


def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """Running product along an axis (of the flattened array by default).

    Examples
    --------
    >>> cumprod(np.array([1, 2, 3]))
    array([1, 2, 6])
    """
    refuse_out("cumprod", out)
    return _running(a, axis, dtype, cumulative.cumprod)


def _cumulative(
    name: str, x: Any, axis: int | None, dtype: Any, initial: int | None, primitive: Any
) -> Array:
    a = asarray(x)
    if a.ndim == 0 or (axis is None and a.ndim != 1):
        raise ValueError(f"{name}: an array of shape {a.shape} needs axis=, and an axis")
    axis = canonicalize_axis(0 if axis is None else axis, a.ndim)
    out = _running(a, axis, dtype, primitive)
    if initial is None:
        return out
    ends = [(1 if i == axis else 0, 0, 0) for i in range(a.ndim)]
    return pad(out, out.dtype.type(initial), ends)


def cumulative_sum(
    x: Any,
    /,
    *,
    axis: int | None = None,
    dtype: Any = None,
    include_initial: bool = False,
) -> Array:
    """Running sum along an axis, which only arrays of one axis may leave out.

    With ``include_initial`` the result begins with 0 and is one longer.

    Examples
    --------
    >>> cumulative_sum(np.array([1, 2, 3]), include_initial=True)
    array([0, 1, 3, 6])
    """
    initial = 0 if include_initial else None
    return _cumulative("cumulative_sum", x, axis, dtype, initial, cumulative.cumsum)


def cumulative_prod(
    x: Any,
    /,
    *,
    axis: int | None = None,
    dtype: Any = None,
    include_initial: bool = False,
) -> Array:
    """Running product along an axis, which only arrays of one axis may leave out.

    With ``include_initial`` the result begins with 1 and is one longer.

    Examples
    --------
    >>> cumulative_prod(np.array([1, 2, 3]), include_initial=True)
    array([1, 1, 2, 6])
    """
    initial = 1 if include_initial else None
    return _cumulative("cumulative_prod", x, axis, dtype, initial, cumulative.cumprod)
