"""Means and variances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fnad.core.dtypes import canonical_dtype
from fnad.core.types import computing_dtype, kind_of
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray
from fnad.numpy.operands import (
    Array,
    as_operand,
    convert,
    expand,
    normalize_axes,
)
from fnad.numpy.reductions import Axis, sum
from fnad.primitives.shape import reshape


def _mean_dtypes(x: Array, dtype: Any) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """The dtypes of a mean: in which it is computed, and of the result."""
    if dtype is not None:
        result = canonical_dtype(dtype)
        return result, result
    result = x.dtype if kind_of(x.dtype) in "fc" else np.dtype(np.float64)
    return computing_dtype(result), result


def _count(x: Array, axes: tuple[int, ...], where: Any, keepdims: bool) -> Any:
    if where is None:
        return math.prod(x.shape[i] for i in axes)
    return sum(expand(as_operand(where), x.shape), axes, np.int64, keepdims)


def _divide_by_count(total: Array, count: Any) -> Array:
    if not isinstance(count, int):
        count = convert(count, total.dtype)
    elif kind_of(total.dtype) in "fc":
        count = total.dtype.type(count)
    return convert(ufuncs.true_divide(total, count), total.dtype)


def mean(
    a: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False, where: Any = None
) -> Array:
    """Arithmetic mean along axes; float64 for integers, float16 is computed in float32.

    Examples
    --------
    >>> mean(np.array([1, 2]))
    np.float64(1.5)
    """
    x = asarray(a)
    computed, result = _mean_dtypes(x, dtype)
    axes = normalize_axes(axis, x.ndim)
    total = sum(x, axes, computed, keepdims, where=where)
    return convert(_divide_by_count(total, _count(x, axes, where, keepdims)), result)


def average(a: Any, axis: Axis = None, weights: Any = None, keepdims: bool = False) -> Array:
    """Weighted mean along axes.

    Examples
    --------
    >>> average(np.array([1.0, 4.0]), weights=np.array([2.0, 1.0]))
    np.float64(2.0)
    """
    x = asarray(a)
    if weights is None:
        return mean(x, axis, keepdims=keepdims)
    w = asarray(weights)
    axes = normalize_axes(axis, x.ndim)
    if w.shape != x.shape:
        if w.ndim != len(axes) or w.shape != tuple(x.shape[i] for i in axes):
            raise ValueError(f"shape of weights {w.shape} must be consistent with {x.shape}")
        w = reshape(w, tuple(n if i in axes else 1 for i, n in enumerate(x.shape)))
        w = expand(w, x.shape)
    weighted = ufuncs.multiply(x, w)
    return ufuncs.true_divide(sum(weighted, axes, None, keepdims), sum(w, axes, None, keepdims))


def var(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = None,
    correction: float | None = None,
) -> Array:
    """Variance along axes, the squared deviations being divided by ``count - ddof``.

    Examples
    --------
    >>> var(np.array([1.0, 3.0])), var(np.array([1.0, 3.0]), ddof=1)
    (np.float64(1.0), np.float64(2.0))
    """
    x = asarray(a)
    ddof = ddof if correction is None else correction
    computed, result = _mean_dtypes(x, dtype)
    axes = normalize_axes(axis, x.ndim)
    x = convert(x, computed)
    center = mean(x, axes, keepdims=True, where=where)
    deviation = ufuncs.subtract(x, center)
    total = sum(ufuncs.multiply(deviation, deviation), axes, computed, keepdims, where=where)
    count = _count(x, axes, where, keepdims)
    if isinstance(count, int):
        left = computed.type(count - ddof if count > ddof else 0)
    else:
        left = ufuncs.maximum(convert(ufuncs.subtract(count, ddof), computed), 0)
    return convert(ufuncs.true_divide(total, left), result)


def std(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = None,
    correction: float | None = None,
) -> Array:
    """Standard deviation along axes; parameters as for `var`.

    Examples
    --------
    >>> std(np.array([1.0, 3.0]))
    np.float64(1.0)
    """
    variance = var(a, axis, dtype, ddof, keepdims, where, correction)
    return ufuncs.sqrt(variance)
