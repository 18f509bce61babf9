"""What samples are like: ranks, the most common value, the error of the mean."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import fnad.numpy as fnp
from fnad.core.types import kind_of
from fnad.numpy.operands import Array, as_operand
from fnad.primitives.cumulative import cummax, cummin
from fnad.scipy.operands import floating

_RANKS = ("average", "min", "max", "dense", "ordinal")


class ModeResult(NamedTuple):
    """The most common values, and how often they occur."""

    mode: Array
    count: Array


def _check_policy(name: str, nan_policy: str) -> None:
    if nan_policy not in ("propagate", "omit"):
        raise ValueError(
            f"{name}: nan_policy must be 'propagate' or 'omit', got {nan_policy!r}: what is traced"
            " cannot raise for its values; look for NaN before with numpy.isnan"
        )


def _last(x: Array, axis: int | None) -> Array:
    """The axis as the last one; all of them for None."""
    return fnp.reshape(x, (-1,)) if axis is None else fnp.moveaxis(x, axis, -1)


def _is_nan(x: Array) -> Array:
    return fnp.isnan(x) if kind_of(x.dtype) in "fc" else fnp.zeros(x.shape, bool)


def _runs(y: Array) -> tuple[Array, Array, Array]:
    """Where runs of equal elements begin, and the first and last place of each element's run."""
    places = fnp.broadcast_to(fnp.arange(y.shape[-1]), y.shape)
    before, after = y[..., :-1], y[..., 1:]
    differs = (before != after) & ~(_is_nan(before) & _is_nan(after))
    edge = fnp.ones((*y.shape[:-1], 1), bool)
    begins = fnp.concatenate([edge, differs], axis=-1)
    ends = fnp.concatenate([differs, edge], axis=-1)
    axis = y.ndim - 1
    first = cummax(fnp.where(begins, places, 0), axis)
    last = cummin(fnp.where(ends, places, y.shape[-1]), axis, reverse=True)
    return begins, first, last


def rankdata(
    a: Any, method: str = "average", *, axis: int | None = None, nan_policy: str = "propagate"
) -> Array:
    """The places of elements in ascending order, from 1.

    Parameters
    ----------
    a : array_like
    method : {"average", "min", "max", "dense", "ordinal"}
        What equal elements get: the mean, the least or the greatest of their places, the number of
        different elements up to them, or places in order.
    axis : int or None
        Along which elements are ranked; None ranks all of them, flattened.
    nan_policy : {"propagate", "omit"}
        Whether one NaN makes all ranks NaN, or its own only.

    Returns
    -------
    array
        float64, or int64 where ranks are whole and ``a`` has no floating dtype, so cannot be NaN
        (SciPy's dtype depends on whether there is one).

    Examples
    --------
    >>> rankdata(np.array([30, 10, 20, 10]))
    array([4. , 1.5, 3. , 1.5])
    >>> rankdata(np.array([30, 10, 20, 10]), method="dense")
    array([3, 1, 2, 1])
    """
    _check_policy("rankdata", nan_policy)
    if method not in _RANKS:
        raise ValueError(f"rankdata: method must be one of {_RANKS}, got {method!r}")
    x = as_operand(a)
    if axis is not None and not -fnp.ndim(x) <= axis < fnp.ndim(x):
        raise ValueError(f"rankdata: axis {axis} is out of range for an array of shape {x.shape}")
    x = _last(fnp.asarray(x), axis)
    order = fnp.argsort(x, axis=-1, stable=True)
    if x.size == 0:
        ranks = order
    else:
        begins, first, last = _runs(fnp.take_along_axis(x, order, axis=-1))
        if method == "average":
            ranks = (first + last) * 0.5 + 1
        elif method == "dense":
            ranks = fnp.cumsum(begins, axis=-1)
        elif method == "ordinal":
            ranks = fnp.broadcast_to(fnp.arange(1, x.shape[-1] + 1), x.shape)
        else:
            ranks = (first if method == "min" else last) + 1
        ranks = fnp.take_along_axis(ranks, fnp.argsort(order, axis=-1), axis=-1)
    if method == "average" or kind_of(x.dtype) in "fc":
        nan = _is_nan(x)
        if nan_policy == "propagate":
            nan = fnp.any(nan, axis=-1, keepdims=True)
        ranks = fnp.where(nan, np.nan, ranks)
    return ranks if axis is None else fnp.moveaxis(ranks, -1, axis)


def mode(
    a: Any, axis: int | None = 0, nan_policy: str = "propagate", keepdims: bool = False
) -> ModeResult:
    """The most common value along an axis: the least one of several.

    Parameters
    ----------
    a : array_like
    axis : int or None
        None takes all elements.
    nan_policy : {"propagate", "omit"}
        Whether NaN is a value like others, the greatest one, or left out.
    keepdims : bool
        Whether the axis stays, with length 1.

    Returns
    -------
    ModeResult
        ``mode``, of the dtype of ``a``, and ``count``, int64. Of no values, NaN and 0.

    Examples
    --------
    >>> mode(np.array([[3, 1, 3], [2, 2, 1]]), axis=1)
    ModeResult(mode=array([3, 2]), count=array([2, 2]))
    """
    _check_policy("mode", nan_policy)
    given = fnp.asarray(as_operand(a))
    x = _last(given, axis)
    if x.shape[-1] == 0:
        value = fnp.full(x.shape[:-1], np.nan, x.dtype if kind_of(x.dtype) in "fc" else None)
        count = fnp.zeros(x.shape[:-1], np.int64)
    else:
        y = fnp.sort(x, axis=-1)
        _, first, last = _runs(y)
        counts = last - first + 1
        if nan_policy == "omit":
            counts = fnp.where(_is_nan(y), 0, counts)
        at = fnp.argmax(counts, axis=-1, keepdims=True)
        value = fnp.take_along_axis(y, at, axis=-1)[..., 0]
        count = fnp.take_along_axis(counts, at, axis=-1)[..., 0]
        if nan_policy == "omit" and kind_of(x.dtype) in "fc":
            value = fnp.where(count == 0, np.nan, value)
    if keepdims:
        shape = [
            1 if axis is None or d == axis % given.ndim else n for d, n in enumerate(given.shape)
        ]
        value, count = fnp.reshape(value, shape), fnp.reshape(count, shape)
    return ModeResult(value, count)


def sem(
    a: Any,
    axis: int | None = 0,
    ddof: int = 1,
    nan_policy: str = "propagate",
    *,
    keepdims: bool = False,
) -> Array:
    """The standard error of the mean: ``std(a, ddof=ddof) / sqrt(n)`` along an axis.

    Parameters
    ----------
    a : array_like
    axis : int or None
        None takes all elements.
    ddof : int
        How many degrees of freedom the mean takes.
    nan_policy : {"propagate", "omit"}
        Whether NaN gives NaN, or is left out.
    keepdims : bool
        Whether the axis stays, with length 1.

    Examples
    --------
    >>> sem(np.array([1.0, 2.0, 3.0]))
    np.float64(0.5773502691896258)
    """
    _check_policy("sem", nan_policy)
    (x,) = floating("sem", a)
    deviation = fnp.std if nan_policy == "propagate" else fnp.nanstd
    counted = fnp.ones(fnp.shape(x), bool) if nan_policy == "propagate" else ~fnp.isnan(x)
    count = fnp.sum(counted, axis=axis, keepdims=keepdims)
    spread = deviation(x, axis=axis, ddof=ddof, keepdims=keepdims)
    return spread / fnp.sqrt(count.astype(spread.dtype))
