"""Cubic interpolation from slopes at the nodes, given, or found from neighbours."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.core.types import kind_of
from fnad.scipy.interpolate.piecewise import (
    Array,
    Extrapolate,
    PPoly,
    data_of,
    extrapolation,
    hermite_pieces,
    pytree,
)


@pytree
class CubicHermiteSpline(PPoly):
    """Cubic pieces with given values and slopes at their ends.

    Parameters
    ----------
    x : array_like
        ``(n,)``, the nodes, strictly ascending.
    y, dydx : array_like
        Values and slopes, with n of them along ``axis``.
    axis : int
        The axis of nodes.
    extrapolate : bool or "periodic", optional
        As for `PPoly`.

    Examples
    --------
    >>> import numpy as np
    >>> f = CubicHermiteSpline(np.array([0.0, 2.0]), np.array([0.0, 8.0]), np.array([0.0, 12.0]))
    >>> f(1.0)
    np.float64(1.0)
    """

    def __init__(
        self, x: Any, y: Any, dydx: Any, axis: int = 0, extrapolate: Extrapolate = None
    ) -> None:
        name = type(self).__name__
        x, axis, y, dydx = data_of(name, x, y, axis, dydx)
        self._set(hermite_pieces(x, y, dydx), x, extrapolation(name, extrapolate, True), axis)


def _real(name: str, y: Array) -> None:
    if kind_of(y.dtype) == "c":
        raise TypeError(f"{name}: slopes are of real numbers, got y of dtype {y.dtype}")


@pytree
class PchipInterpolator(PPoly):
    """Cubic interpolation that is monotone where values are (Fritsch and Butland 1984).

    Parameters
    ----------
    x, y, axis, extrapolate
        As for `CubicHermiteSpline`; ``y`` is real.

    Examples
    --------
    >>> import numpy as np
    >>> PchipInterpolator(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0]))(0.5)
    np.float64(0.0)
    """

    def __init__(self, x: Any, y: Any, axis: int = 0, extrapolate: Extrapolate = None) -> None:
        name = type(self).__name__
        x, axis, y = data_of(name, x, y, axis)
        _real(name, y)
        pieces = hermite_pieces(x, y, _monotone_slopes(x, y))
        self._set(pieces, x, extrapolation(name, extrapolate, True), axis)


def _monotone_slopes(x: Array, y: Array) -> Array:
    h = fnp.reshape(fnp.diff(x), (-1, *[1] * (y.ndim - 1)))
    m = fnp.diff(y, axis=0) / h
    if m.shape[0] == 1:
        return fnp.concatenate([m, m])
    before, after = m[:-1], m[1:]
    turning = (fnp.sign(before) != fnp.sign(after)) | (before == 0) | (after == 0)
    w1, w2 = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    inverse = w1 / fnp.where(turning, 1, before) + w2 / fnp.where(turning, 1, after)
    inner = fnp.where(turning, 0, (w1 + w2) / fnp.where(turning, 1, inverse))
    first = _end_slope(h[0], h[1], m[0], m[1])
    last = _end_slope(h[-1], h[-2], m[-1], m[-2])
    return fnp.concatenate([first[None], inner, last[None]])


def _end_slope(h0: Array, h1: Array, m0: Array, m1: Array) -> Array:
    """That of the parabola through three nodes, limited to keep the shape."""
    slope = ((2 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
    limited = (fnp.sign(m0) != fnp.sign(m1)) & (fnp.abs(slope) > 3 * fnp.abs(m0))
    slope = fnp.where(limited, 3 * m0, slope)
    return fnp.where(fnp.sign(slope) != fnp.sign(m0), 0, slope)


@pytree
class Akima1DInterpolator(PPoly):
    """Cubic interpolation with slopes weighted by those of neighbours (Akima 1970).

    Parameters
    ----------
    x, y, axis
        As for `CubicHermiteSpline`; ``y`` is real.
    method : {"akima", "makima"}
        The weights; the modified ones do not overshoot where two slopes are equal.
    extrapolate : bool or "periodic", optional
        As for `PPoly`, but False by default.

    Examples
    --------
    >>> import numpy as np
    >>> Akima1DInterpolator(np.arange(5.0), np.array([0.0, 1.0, 2.0, 5.0, 8.0]))(1.5)
    np.float64(1.375)
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        axis: int = 0,
        *,
        method: str = "akima",
        extrapolate: Extrapolate = None,
    ) -> None:
        name = type(self).__name__
        if method not in ("akima", "makima"):
            raise ValueError(f'{name}: method must be "akima" or "makima", got {method!r}')
        x, axis, y = data_of(name, x, y, axis)
        _real(name, y)
        slopes = _weighted_slopes(x, y, method == "makima")
        extrapolate = extrapolation(name, extrapolate, False)
        self._set(hermite_pieces(x, y, slopes), x, extrapolate, axis)


_BREAK = 1e-9  # weights below it, relative to the largest, define no slope, as in SciPy


def _weighted_slopes(x: Array, y: Array, modified: bool) -> Array:
    h = fnp.reshape(fnp.diff(x), (-1, *[1] * (y.ndim - 1)))
    inner = fnp.diff(y, axis=0) / h
    if inner.shape[0] == 1:
        return fnp.concatenate([inner, inner])
    # Two slopes more on either side, which go on by a parabola.
    left, right = 2 * inner[0] - inner[1], 2 * inner[-1] - inner[-2]
    ends = 2 * left - inner[0], 2 * right - inner[-1]
    m = fnp.concatenate([ends[0][None], left[None], inner, right[None], ends[1][None]])
    weights = fnp.abs(fnp.diff(m, axis=0))
    if modified:
        weights = weights + 0.5 * fnp.abs(m[1:] + m[:-1])
    after, before = weights[2:], weights[:-2]
    total = after + before
    defined = total > _BREAK * fnp.max(total, initial=0)
    part = before / fnp.where(defined, total, 1)
    slope = m[1:-2] + part * (m[2:-1] - m[1:-2])
    return fnp.where(defined, slope, 0.5 * (m[3:] + m[:-3]))
