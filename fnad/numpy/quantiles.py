"""Medians, quantiles and percentiles, with and without NaN.

All of them sort along the axis and look up the elements at the two sides of a position, which is
no whole number in general (R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages",
The American Statistician 50, 1996).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fnad.core.dtypes import result_type
from fnad.core.tracer import Tracer
from fnad.core.types import computing_dtype, kind_of
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray, full
from fnad.numpy.elementwise_parts import select
from fnad.numpy.indexing import take, take_along_axis
from fnad.numpy.manipulation import moveaxis, reshape
from fnad.numpy.operands import (
    Array,
    as_operand,
    convert,
    dtype_of,
    expand,
    is_weak,
    normalize_axes,
    refuse_out,
    shape_of,
)
from fnad.numpy.reductions import Axis, any, keep_axes, sum
from fnad.numpy.selection import where
from fnad.numpy.sorting import sort
from fnad.numpy.statistics import mean
from fnad.numpy.weighted_quantiles import look_up, weights_like
from fnad.primitives.slicing import slice_in_dim

Positions = tuple[Array, Array, Array | float]


def _between(alpha: float, beta: float) -> Callable[[Any, Any], Positions]:
    """The continuous methods of Hyndman and Fan (their equation 4), counting from 0."""

    def positions(n: Any, q: Array) -> Positions:
        position = n * q + (alpha + q * (1 - alpha - beta)) - 1
        low = ufuncs.floor(position)
        return low, low + 1, position - low

    return positions


def _linear(n: Any, q: Array) -> Positions:
    position = (n - 1) * q
    low = ufuncs.floor(position)
    return low, ufuncs.ceil(position), position - low


def _midpoint(n: Any, q: Array) -> Positions:
    position = (n - 1) * q
    return ufuncs.floor(position), ufuncs.ceil(position), 0.5


def _averaged_inverted_cdf(n: Any, q: Array) -> Positions:
    return ufuncs.ceil(n * q) - 1, ufuncs.floor(n * q), 0.5


# Where the quantile q of n sorted elements lies: the positions of two, and the second one's weight.
_INTERPOLATED: dict[str, Callable[[Any, Any], Positions]] = {
    "linear": _linear,
    "midpoint": _midpoint,
    "averaged_inverted_cdf": _averaged_inverted_cdf,
    "interpolated_inverted_cdf": _between(0, 1),
    "hazen": _between(0.5, 0.5),
    "weibull": _between(0, 0),
    "median_unbiased": _between(1 / 3, 1 / 3),
    "normal_unbiased": _between(3 / 8, 3 / 8),
}
# The position of the element that is the quantile.
_CHOSEN: dict[str, Callable[[Any, Any], Array]] = {
    "lower": lambda n, q: ufuncs.floor((n - 1) * q),
    "higher": lambda n, q: ufuncs.ceil((n - 1) * q),
    "nearest": lambda n, q: ufuncs.rint((n - 1) * q),
    "inverted_cdf": lambda n, q: ufuncs.ceil(n * q) - 1,
    "closest_observation": lambda n, q: ufuncs.rint(n * q) - 1,
}


def _fractions(q: Any, percent: bool, name: str) -> tuple[Array, Array]:
    """``q`` as a flat array of fractions to compute positions with, and as an operand."""
    operand = as_operand(q)
    if kind_of(dtype_of(operand)) not in "biuf":
        raise TypeError(f"{name}: q must be real, got {dtype_of(operand)}")
    most = 100 if percent else 1
    if not isinstance(operand, Tracer) and not np.all((operand >= 0) & (operand <= most)):
        raise ValueError(f"{name}: q must lie between 0 and {most}, got {q}")
    if is_weak(operand) or kind_of(dtype_of(operand)) != "f":
        fractions = convert(operand, np.dtype(np.float64))
    else:
        fractions = convert(operand, computing_dtype(dtype_of(operand)))
    if percent:
        fractions = ufuncs.true_divide(fractions, 100)
    return reshape(fractions, (-1,)), operand


def _along_last(x: Array, axes: tuple[int, ...]) -> Array:
    """The axes moved to the end and made one."""
    kept = x.ndim - len(axes)
    moved = moveaxis(x, axes, tuple(range(kept, x.ndim)))
    return reshape(moved, (*moved.shape[:kept], math.prod(x.shape[i] for i in axes)))


def _nan_to_end(x: Array) -> tuple[Array, Array]:
    """The sorted elements, and how many of them are no NaN."""
    missing = ufuncs.isnan(x)
    number = sum(ufuncs.logical_not(missing), -1, np.int64, keepdims=True)
    return sort(x, -1), number


def _interpolate(low: Array, high: Array, weight: Any) -> Array:
    gap = ufuncs.subtract(high, low)
    # Infinite neighbours: what has no weight, or no length, adds nothing.
    no_step = ufuncs.logical_or(ufuncs.equal(low, high), ufuncs.equal(weight, 0))
    spoilt = ufuncs.logical_and(no_step, ufuncs.logical_not(ufuncs.isfinite(gap)))
    return ufuncs.add(low, ufuncs.multiply(where(spoilt, 0, gap), weight))


def _quantile(
    name: str,
    a: Any,
    q: Any,
    axis: Axis,
    method: str,
    keepdims: bool,
    weights: Any = None,
    *,
    omit: bool,
    percent: bool,
) -> Array:
    x = asarray(a)
    if kind_of(x.dtype) == "c":
        raise TypeError(f"{name}: complex numbers have no order; take the quantile of abs or real")
    if method not in _INTERPOLATED and method not in _CHOSEN:
        known = ", ".join(sorted([*_INTERPOLATED, *_CHOSEN]))
        raise ValueError(f"{name}: unknown method {method!r}; choose one of {known}")
    if x.dtype.kind == "b" and method in _INTERPOLATED:
        x = convert(x, np.dtype(np.float64))
    fractions, operand = _fractions(q, percent, name)
    floating = x.dtype if kind_of(x.dtype) == "f" else np.dtype(np.float64)
    strong = not is_weak(operand) and kind_of(dtype_of(operand)) == "f"
    interpolated = result_type(x.dtype if strong else floating, operand)
    result = interpolated if method in _INTERPOLATED else x.dtype
    axes = normalize_axes(axis, x.ndim)
    flat = _along_last(x, axes)
    kept, count = flat.shape[:-1], flat.shape[-1]
    q_shape = shape_of(operand)
    if count == 0:
        dtype = result if kind_of(result) == "f" else floating
        out = full((*kept, fractions.shape[0]), np.nan, dtype)
    elif weights is not None:
        heavy = _along_last(weights_like(name, weights, x, axes, method), axes)
        out = look_up(flat, heavy, fractions, omit and kind_of(x.dtype) == "f")
    else:
        out = _look_up(flat, fractions, method, result, omit and kind_of(x.dtype) == "f")
    out = moveaxis(out, -1, 0)
    if keepdims:
        kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    return reshape(out, (*q_shape, *kept))


def _look_up(x: Array, q: Array, method: str, result: np.dtype[Any], omit: bool) -> Array:
    """The quantiles along the last axis, which has elements, as a new last axis."""
    count = x.shape[-1]
    ordered, number = _nan_to_end(x) if omit else (sort(x, -1), count)
    n = convert(number, q.dtype) if omit else count

    def element(position: Array) -> Array:
        index = convert(ufuncs.maximum(ufuncs.minimum(position, n - 1), 0), np.dtype(np.int64))
        return (
            take_along_axis(ordered, index, -1) if omit else take(ordered, index, -1, mode="clip")
        )

    if method in _CHOSEN:
        out = element(_CHOSEN[method](n, q))
    else:
        computed = computing_dtype(result)
        low_at, high_at, weight = _INTERPOLATED[method](n, q)
        low, high = (convert(element(at), computed) for at in (low_at, high_at))
        out = convert(_interpolate(low, high, _in_dtype(weight, computed)), result)
    if kind_of(x.dtype) == "f" and not omit:
        missing = ufuncs.isnan(slice_in_dim(ordered, count - 1, count, 1, -1))
        out = select(expand(missing, out.shape), out.dtype.type(np.nan), out)
    return out


def _in_dtype(weight: Array | float, dtype: np.dtype[Any]) -> Array:
    return dtype.type(weight) if isinstance(weight, float) else convert(weight, dtype)


def quantile(
    a: Any,
    q: Any,
    axis: Axis = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Array:
    """The values below which the fractions ``q`` of the elements lie; NaN if there is a NaN.

    Parameters
    ----------
    a : array_like
        Real, any shape.
    q : array_like
        Fractions between 0 and 1, any shape; traced ones are limited to that.
    axis : int, tuple of int, optional
        All axes by default.
    method : str
        What lies between two elements. ``"linear"``, ``"hazen"``, ``"weibull"``,
        ``"median_unbiased"``, ``"normal_unbiased"`` and ``"interpolated_inverted_cdf"``
        interpolate, ``"midpoint"`` and ``"averaged_inverted_cdf"`` take the mean, ``"lower"``,
        ``"higher"``, ``"nearest"``, ``"inverted_cdf"`` and ``"closest_observation"`` choose one.
    keepdims : bool
        Keep the axes, with length 1.
    weights : array_like, optional
        For ``method="inverted_cdf"``: of the shape of ``a``, or of its axes ``axis``.

    Returns
    -------
    array
        Of shape ``q.shape`` and then the axes of ``a`` that are left.

    Examples
    --------
    >>> quantile(np.array([4.0, 1.0, 2.0]), [0.5, 0.75])
    array([2., 3.])
    """
    refuse_out("quantile", out)
    return _quantile("quantile", a, q, axis, method, keepdims, weights, omit=False, percent=False)


def percentile(
    a: Any,
    q: Any,
    axis: Axis = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Array:
    """The values below which ``q`` percent of the elements lie; parameters as for `quantile`.

    Examples
    --------
    >>> percentile(np.array([4.0, 1.0, 2.0]), 75)
    np.float64(3.0)
    """
    refuse_out("percentile", out)
    return _quantile("percentile", a, q, axis, method, keepdims, weights, omit=False, percent=True)


def nanquantile(
    a: Any,
    q: Any,
    axis: Axis = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Array:
    """Quantiles of the elements that are not NaN; parameters as for `quantile`.

    Examples
    --------
    >>> nanquantile(np.array([4.0, np.nan, 2.0]), 0.25)
    np.float64(2.5)
    """
    refuse_out("nanquantile", out)
    return _quantile("nanquantile", a, q, axis, method, keepdims, weights, omit=True, percent=False)


def nanpercentile(
    a: Any,
    q: Any,
    axis: Axis = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Array:
    """Percentiles of the elements that are not NaN; parameters as for `quantile`.

    Examples
    --------
    >>> nanpercentile(np.array([4.0, np.nan, 2.0]), 25)
    np.float64(2.5)
    """
    refuse_out("nanpercentile", out)
    return _quantile(
        "nanpercentile", a, q, axis, method, keepdims, weights, omit=True, percent=True
    )


def median(
    a: Any,
    axis: Axis = None,
    out: None = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Array:
    """Middle element of the sorted ones, or the mean of the middle two; NaN if there is one.

    Examples
    --------
    >>> median(np.array([3.0, 1.0, 2.0]))
    np.float64(2.0)
    """
    refuse_out("median", out)
    x = asarray(a)
    axes = normalize_axes(axis, x.ndim)
    ordered = sort(_along_last(x, axes), -1)
    count = ordered.shape[-1]
    middle = slice_in_dim(ordered, (count - 1) // 2, count // 2 + 1, 1, -1)
    out = mean(middle, -1)
    if kind_of(x.dtype) == "f":
        out = select(any(ufuncs.isnan(ordered), -1), x.dtype.type(np.nan), out)
    elif x.dtype.kind == "c" and count:  # as in NumPy, the last one, which says what is NaN of it
        last = take(ordered, count - 1, -1)
        out = select(ufuncs.isnan(last), last, out)
    return keep_axes(out, x.shape, axes, keepdims)


def nanmedian(
    a: Any,
    axis: Axis = None,
    out: None = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Array:
    """Median of the elements that are not NaN.

    Examples
    --------
    >>> nanmedian(np.array([3.0, np.nan, 1.0, 2.0]))
    np.float64(2.0)
    """
    refuse_out("nanmedian", out)
    if asarray(a).dtype.kind == "c":
        return _complex_nanmedian(asarray(a), axis, keepdims)
    return _quantile("nanmedian", a, 0.5, axis, "midpoint", keepdims, omit=True, percent=False)


def _complex_nanmedian(x: Array, axis: Axis, keepdims: bool) -> Array:
    axes = normalize_axes(axis, x.ndim)
    flat = _along_last(x, axes)
    nan = x.dtype.type(np.nan)
    if flat.shape[-1] == 0:
        return keep_axes(full(flat.shape[:-1], nan, x.dtype), x.shape, axes, keepdims)
    ordered, number = _nan_to_end(flat)
    last = ufuncs.maximum(number - 1, 0)
    low, high = (take_along_axis(ordered, place, -1) for place in (last // 2, number // 2))
    middle = ufuncs.multiply(ufuncs.add(low, high), x.dtype.type(0.5))
    out = select(ufuncs.equal(number, 0), nan, middle)
    return keep_axes(reshape(out, flat.shape[:-1]), x.shape, axes, keepdims)
