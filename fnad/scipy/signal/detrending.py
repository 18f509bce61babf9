"""Removing trends from signals."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core.types import computing_dtype
from fnad.numpy.operands import Array, convert, to_inexact
from fnad.primitives.shape import canonicalize_axis


def detrend(
    data: Any,
    axis: int = -1,
    type: str = "linear",
    bp: int | Sequence[int] | np.ndarray = 0,
    overwrite_data: None = None,
) -> Array:
    """Subtract the mean, or the lines that fit best, along an axis.

    Parameters
    ----------
    data : array_like
        Real or complex.
    axis : int
        The axis along which the signals lie.
    type : {"linear", "constant"}
        Whether lines or means are subtracted.
    bp : int or sequence of int
        Where lines end and others begin.
    overwrite_data : None
        For the sake of SciPy's signature.

    Returns
    -------
    array
        float64 for integers, else in the dtype of ``data``.

    Raises
    ------
    ValueError
        If the type is unknown, or a breakpoint lies outside of the data.

    Examples
    --------
    >>> detrend(np.array([1.0, 2.0, 3.0, 5.0])).round(3)
    array([ 0.2, -0.1, -0.4,  0.3])
    """
    if overwrite_data is not None:
        raise ValueError("detrend: overwrite_data must be None, for arrays are never changed")
    x = to_inexact(fnp.asarray(data))
    if type not in ("linear", "constant", "l", "c"):
        raise ValueError(f"detrend: type must be 'linear' or 'constant', got {type!r}")
    axis = canonicalize_axis(axis, x.ndim)
    if not x.size:
        return x
    if type[0] == "c":
        return x - fnp.mean(x, axis, keepdims=True)
    n = x.shape[axis]
    ends = np.unique(np.r_[0, np.asarray(bp), n])
    if ends[0] < 0 or ends[-1] > n:
        raise ValueError(f"detrend: breakpoints must lie between 0 and {n}, got {bp}")
    moved = fnp.moveaxis(x, axis, -1)
    pieces = [_without_line(moved[..., a:b]) for a, b in pairwise(ends)]
    return fnp.moveaxis(fnp.concatenate(pieces, -1), -1, axis)


def _without_line(x: Array) -> Array:
    """What is orthogonal to lines, along the last axis."""
    n = x.shape[-1]
    line = np.linspace(-1.0, 1.0, n) if n > 1 else np.zeros(1)
    directions = [np.full(n, n**-0.5), line / max(float(np.linalg.norm(line)), 1.0)]
    wide = computing_dtype(x.dtype)
    left = convert(x, wide)
    for direction in directions:
        row = direction.astype(wide)
        left = left - fnp.sum(left * row, -1, keepdims=True) * row
    return convert(left, x.dtype)
