"""Reductions and running sums that leave NaN out."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.tracer import Tracer
from fnad.core.types import kind_of
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray
from fnad.numpy.elementwise_parts import select
from fnad.numpy.operands import (
    Array,
    as_operand,
    refuse_out,
)
from fnad.numpy.reductions import (
    Axis,
    all,
    any,
    argmax,
    argmin,
    cumprod,
    cumsum,
    max,
    min,
    prod,
    sum,
)
from fnad.numpy.statistics import mean, one_ddof, std, var


def _numbers(x: Array, where: Any = None) -> Any:
    """Which elements take part: those chosen by ``where`` that are not NaN; None for all."""
    if kind_of(x.dtype) not in "fc":
        return where
    numbers = ufuncs.logical_not(ufuncs.isnan(x))
    return numbers if where is None else ufuncs.logical_and(as_operand(where), numbers)


def _without_nan(x: Array, value: float) -> Array:
    if kind_of(x.dtype) not in "fc":
        return x
    return select(ufuncs.isnan(x), x.dtype.type(value), x)


def nansum(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Array:
    """Sum along axes, NaN counting as 0; parameters as for `sum`.

    Examples
    --------
    >>> nansum(np.array([1.0, np.nan]))
    np.float64(1.0)
    """
    refuse_out("nansum", out)
    x = asarray(a)
    return sum(x, axis, dtype, None, keepdims, initial, _numbers(x, where))


def nanprod(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Array:
    """Product along axes, NaN counting as 1; parameters as for `sum`.

    Examples
    --------
    >>> nanprod(np.array([2.0, np.nan, 3.0]))
    np.float64(6.0)
    """
    refuse_out("nanprod", out)
    x = asarray(a)
    return prod(x, axis, dtype, None, keepdims, initial, _numbers(x, where))


def nanmean(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    where: Any = None,
) -> Array:
    """Mean along axes of the elements that are not NaN.

    Examples
    --------
    >>> nanmean(np.array([1.0, np.nan]))
    np.float64(1.0)
    """
    refuse_out("nanmean", out)
    x = asarray(a)
    return mean(x, axis, dtype, None, keepdims, _numbers(x, where))


def _spread(
    spread: Any, a: Any, axis: Axis, dtype: Any, ddof: float, keepdims: bool, where: Any, mean: Any
) -> Array:
    x = asarray(a)
    numbers = _numbers(x, where)
    out = spread(_without_nan(x, 0), axis, dtype, None, ddof, keepdims, numbers, mean=mean)
    if numbers is None:
        return out
    # As in NumPy, too few elements for ddof have no variance.
    count = sum(ufuncs.logical_and(numbers, np.ones(x.shape, bool)), axis, np.int64, None, keepdims)
    return select(ufuncs.less_equal(count, ddof), out.dtype.type(np.nan), out)


def nanvar(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = None,
    *,
    mean: Any = None,
    correction: float | None = None,
) -> Array:
    """Variance along axes of the elements that are not NaN; NaN if they are ``ddof`` or fewer.

    ``correction`` is another name of ``ddof``.

    Examples
    --------
    >>> nanvar(np.array([1.0, np.nan, 3.0]))
    np.float64(1.0)
    """
    refuse_out("nanvar", out)
    return _spread(var, a, axis, dtype, one_ddof(ddof, correction), keepdims, where, mean)


def nanstd(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = None,
    *,
    mean: Any = None,
    correction: float | None = None,
) -> Array:
    """Standard deviation along axes of the elements that are not NaN; see `nanvar`.

    Examples
    --------
    >>> nanstd(np.array([1.0, np.nan, 3.0]))
    np.float64(1.0)
    """
    refuse_out("nanstd", out)
    return _spread(std, a, axis, dtype, one_ddof(ddof, correction), keepdims, where, mean)


def _extremum(
    a: Any, axis: Axis, keepdims: bool, initial: Any, where: Any, extremum: Any, worst: float
) -> Array:
    x = asarray(a)
    out = extremum(_without_nan(x, worst), axis, None, keepdims, initial, where)
    if kind_of(x.dtype) not in "fc" or initial is not None:
        return out
    return select(all(ufuncs.isnan(x), axis, None, keepdims), x.dtype.type(np.nan), out)


def nanmax(
    a: Any,
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Array:
    """Largest element along axes that is not NaN; NaN if all are.

    Examples
    --------
    >>> nanmax(np.array([1.0, np.nan]))
    np.float64(1.0)
    """
    refuse_out("nanmax", out)
    return _extremum(a, axis, keepdims, initial, where, max, -np.inf)


def nanmin(
    a: Any,
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Array:
    """Smallest element along axes that is not NaN; NaN if all are.

    Examples
    --------
    >>> nanmin(np.array([1.0, np.nan]))
    np.float64(1.0)
    """
    refuse_out("nanmin", out)
    return _extremum(a, axis, keepdims, initial, where, min, np.inf)


def _arg(a: Any, axis: int | None, keepdims: bool, arg: Any, worst: float) -> Array:
    x = asarray(a)
    out = arg(_without_nan(x, worst), axis, None, keepdims)
    if kind_of(x.dtype) not in "fc":
        return out
    nothing = all(ufuncs.isnan(x), axis, None, keepdims)
    if not isinstance(nothing, Tracer) and bool(any(nothing)):
        raise ValueError("All-NaN slice encountered: it has no largest or smallest element")
    return select(nothing, np.int64(-1), out)


def nanargmax(a: Any, axis: int | None = None, out: None = None, keepdims: bool = False) -> Array:
    """Index of the first largest element that is not NaN.

    Where all are NaN it raises a ValueError, as in NumPy, or is -1 if ``a`` is traced.

    Examples
    --------
    >>> nanargmax(np.array([1.0, np.nan, 3.0]))
    np.int64(2)
    """
    refuse_out("nanargmax", out)
    return _arg(a, axis, keepdims, argmax, -np.inf)


def nanargmin(a: Any, axis: int | None = None, out: None = None, keepdims: bool = False) -> Array:
    """Index of the first smallest element that is not NaN; see `nanargmax`.

    Examples
    --------
    >>> nanargmin(np.array([1.0, np.nan, 3.0]))
    np.int64(0)
    """
    refuse_out("nanargmin", out)
    return _arg(a, axis, keepdims, argmin, np.inf)


def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """Running sum along an axis (of the flattened array by default), NaN counting as 0.

    Examples
    --------
    >>> nancumsum(np.array([1.0, np.nan, 2.0]))
    array([1., 1., 3.])
    """
    refuse_out("nancumsum", out)
    return cumsum(_without_nan(asarray(a), 0), axis, dtype)


def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """Running product along an axis (of the flattened array by default), NaN counting as 1.

    Examples
    --------
    >>> nancumprod(np.array([3.0, np.nan, 2.0]))
    array([3., 3., 6.])
    """
    refuse_out("nancumprod", out)
    return cumprod(_without_nan(asarray(a), 1), axis, dtype)
