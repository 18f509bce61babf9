"""What summarises numbers: ranks, the most frequent one, the error of the mean."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import fnad.numpy as fnp
from fnad import lax
from fnad.core.types import kind_of
from fnad.numpy.operands import Array, convert, to_inexact
from fnad.primitives.shape import canonicalize_axis

_METHODS = ("average", "min", "max", "dense", "ordinal")


class ModeResult(NamedTuple):
    """What `mode` returns."""

    mode: Array
    count: Array


def _check_policy(name: str, nan_policy: str) -> None:
    if nan_policy not in ("propagate", "omit"):
        raise ValueError(
            f"{name}: nan_policy must be 'propagate' or 'omit', since nothing can be raised for"
            f" values that are traced; got {nan_policy!r}"
        )


def _last(a: Any, axis: int | None) -> tuple[Array, int]:
    """An array whose last axis is to be worked on, and how many axes it then has."""
    x = fnp.atleast_1d(fnp.asarray(a))
    if axis is None:
        return fnp.ravel(x), 0
    return fnp.moveaxis(x, axis, -1), canonicalize_axis(axis, x.ndim)


def rankdata(
    a: Any, method: str = "average", *, axis: int | None = None, nan_policy: str = "propagate"
) -> Array:
    """The ranks of numbers among all, or along an axis, from 1 on.

    Parameters
    ----------
    a : array_like
        Real numbers.
    method : {"average", "min", "max", "dense", "ordinal"}
        What equal numbers get: the average, smallest or largest of their ranks; one rank, the next
        number the next one; or ranks in their order.
    axis : int, optional
        By default the array counts as flat.
    nan_policy : {"propagate", "omit"}
        Whether a NaN makes all ranks NaN, or only its own.

    Returns
    -------
    array
        float64.

    Examples
    --------
    >>> rankdata(np.array([0, 2, 3, 2]))
    array([1. , 2.5, 4. , 2.5])
    """
    _check_policy("rankdata", nan_policy)
    if method not in _METHODS:
        raise ValueError(f"rankdata: method must be one of {_METHODS}, got {method!r}")
    x, place = _last(a, axis)
    ranks = _ranks(x, method) if x.size else fnp.zeros(x.shape)
    if kind_of(x.dtype) == "f" or nan_policy == "omit":
        unordered = fnp.isnan(x)
        if nan_policy == "propagate":
            unordered = fnp.any(unordered, -1, keepdims=True)
        ranks = fnp.where(unordered, np.nan, ranks)
    return fnp.moveaxis(ranks, -1, place)


def _ranks(x: Array, method: str) -> Array:
    """The ranks along the last axis."""
    order = fnp.argsort(x, -1, stable=True)
    back = fnp.argsort(order, -1)
    own = fnp.broadcast_to(np.arange(1, x.shape[-1] + 1), x.shape)
    if method != "ordinal":
        ordered = fnp.take_along_axis(x, order, -1)
        changes = ordered[..., 1:] != ordered[..., :-1]
        edge = fnp.ones((*x.shape[:-1], 1), bool)
        first = fnp.concatenate([edge, changes], -1)
        last = fnp.concatenate([changes, edge], -1)
        if method == "dense":
            own = fnp.cumsum(first, -1)
        else:
            lowest = lax.cummax(fnp.where(first, own, 0), own.ndim - 1)
            highest = lax.cummin(fnp.where(last, own, x.shape[-1]), own.ndim - 1, reverse=True)
            own = {"min": lowest, "max": highest}.get(method, 0.5 * (lowest + highest))
    return convert(fnp.take_along_axis(own, back, -1), np.dtype(np.float64))


def mode(
    a: Any, axis: int | None = 0, nan_policy: str = "propagate", keepdims: bool = False
) -> ModeResult:
    """The most frequent number along an axis, the smallest of equally frequent ones.

    Parameters
    ----------
    a : array_like
        Real numbers.
    axis : int, optional
        None for all numbers.
    nan_policy : {"propagate", "omit"}
        Whether NaN counts as one more number, or not at all.
    keepdims : bool
        Keep the axis, with length 1.

    Returns
    -------
    ModeResult
        A named tuple ``(mode, count)``; NaN and 0 where there are no numbers.

    Examples
    --------
    >>> value, count = mode(np.array([3, 1, 3, 1, 2]))
    >>> print(value, count)
    1 2
    """
    _check_policy("mode", nan_policy)
    x, place = _last(a, axis)
    n = x.shape[-1]
    if n == 0:
        value = fnp.full(x.shape[:-1], np.nan)
        count = fnp.zeros(x.shape[:-1], np.int64)
    else:
        x = fnp.sort(x, -1)
        places = np.arange(n)
        same = x[..., 1:] == x[..., :-1]
        if kind_of(x.dtype) == "f":
            same = same | (fnp.isnan(x[..., 1:]) & fnp.isnan(x[..., :-1]))
        starts = fnp.concatenate([fnp.ones((*x.shape[:-1], 1), bool), ~same], -1)
        length = places + 1 - lax.cummax(fnp.where(starts, places, 0), x.ndim - 1)
        if nan_policy == "omit" and kind_of(x.dtype) == "f":
            length = fnp.where(fnp.isnan(x), 0, length)
        best = fnp.argmax(length, -1)[..., None]
        value = fnp.squeeze(fnp.take_along_axis(x, best, -1), -1)
        count = fnp.max(length, -1)
    if keepdims and axis is None:
        shape = (1,) * max(fnp.ndim(a), 1)
        return ModeResult(fnp.reshape(value, shape), fnp.reshape(count, shape))
    if keepdims:
        return ModeResult(fnp.expand_dims(value, place), fnp.expand_dims(count, place))
    return ModeResult(value, count)


def sem(
    a: Any,
    axis: int | None = 0,
    ddof: int = 1,
    nan_policy: str = "propagate",
    *,
    keepdims: bool = False,
) -> Array:
    """The standard error of the mean along an axis; NaN where there are less than two numbers.

    Parameters
    ----------
    a : array_like
        Numbers.
    axis : int, optional
        None for all numbers.
    ddof : int
        What the number of numbers is lessened by for the standard deviation.
    nan_policy : {"propagate", "omit"}
        Whether a NaN makes the result NaN, or does not count.
    keepdims : bool
        Keep the axis, with length 1.

    Examples
    --------
    >>> sem(np.array([1.0, 2.0, 3.0, 4.0])).round(6)
    np.float64(0.645497)
    """
    _check_policy("sem", nan_policy)
    x = fnp.atleast_1d(to_inexact(fnp.asarray(a)))
    if nan_policy == "propagate":
        size = x.size if axis is None else x.shape[axis]
        spread = fnp.std(x, axis, ddof=ddof, keepdims=keepdims) / np.sqrt(size).astype(x.dtype)
        return spread if size > 1 else fnp.full_like(spread, np.nan)
    known = ~fnp.isnan(x)
    count = fnp.sum(known, axis, keepdims=keepdims)
    spread = fnp.std(x, axis, ddof=ddof, keepdims=keepdims, where=known)
    return fnp.where(count > 1, spread / fnp.sqrt(convert(count, x.dtype)), np.nan)
