"""Cubic splines."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core.tracer import Tracer
from fnad.core.types import is_half
from fnad.lax.tridiagonal import tridiagonal_solve
from fnad.numpy.operands import convert
from fnad.scipy.interpolate.piecewise import (
    Array,
    Extrapolate,
    PPoly,
    data_of,
    extrapolation,
    hermite_pieces,
    pytree,
)

_NAMED = {"clamped": (1, 0.0), "natural": (2, 0.0)}


@pytree
class CubicSpline(PPoly):
    """Cubic interpolation with two continuous derivatives.

    Parameters
    ----------
    x : array_like
        ``(n,)``, the nodes, strictly ascending.
    y : array_like
        Values, n of them along ``axis``, real or complex.
    axis : int
        The axis of nodes.
    bc_type : str or pair
        What holds at the ends: "not-a-knot" (the first two pieces, and the last two, are one
        polynomial), "clamped" (the first derivative is 0), "natural" (the second one is 0),
        "periodic" (``y`` ends with its first value, and both derivatives agree). In a pair, for
        both ends, there may also be ``(1, slope)`` and ``(2, second derivative)``, with arrays of
        the shape of ``y`` without its axis.
    extrapolate : bool or "periodic", optional
        As for `PPoly`; "periodic" by default where the spline is, True otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> f = CubicSpline(np.arange(5.0), np.arange(5.0) ** 3)
    >>> print(f"{f(2.5):.3f}, {f(2.0, 1):.3f}, {f.integrate(0.0, 4.0):.3f}")
    15.625, 12.000, 64.000
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        axis: int = 0,
        bc_type: Any = "not-a-knot",
        extrapolate: Extrapolate = None,
    ) -> None:
        x, axis, y = data_of("CubicSpline", x, y, axis)
        periodic = isinstance(bc_type, str) and bc_type == "periodic"
        if periodic:
            slopes = _periodic_slopes(x, y)
        else:
            slopes = _slopes(x, y, *_conditions(bc_type, y))
        extrapolate = extrapolation("CubicSpline", extrapolate, "periodic" if periodic else True)
        self._set(hermite_pieces(x, y, slopes), x, extrapolate, axis)


def _conditions(bc_type: Any, y: Array) -> list[tuple[int, Array] | None]:
    """For both ends the order and value of the derivative that is given, or None: not a knot."""
    if isinstance(bc_type, str):
        bc_type = bc_type, bc_type
    if not isinstance(bc_type, (tuple, list)) or len(bc_type) != 2:
        raise ValueError(f"CubicSpline: bc_type must be a name or a pair, got {bc_type!r}")
    found: list[tuple[int, Array] | None] = []
    for end in bc_type:
        if isinstance(end, str):
            if end != "not-a-knot" and end not in _NAMED:
                raise ValueError(
                    f'CubicSpline: bc_type {end!r} is none of "not-a-knot", "clamped", "natural"'
                    ' and, for both ends, "periodic"'
                )
            end = _NAMED.get(end)
        if end is None:
            found.append(None)
            continue
        if not isinstance(end, (tuple, list)) or len(end) != 2 or end[0] not in (1, 2):
            raise ValueError(
                "CubicSpline: a condition of bc_type must be a name, (1, slope) or"
                f" (2, second derivative), got {end!r}"
            )
        value = fnp.asarray(end[1])
        if value.ndim and value.shape != y.shape[1:]:
            raise ValueError(
                f"CubicSpline: a derivative of shape {value.shape} in bc_type, where y has shape"
                f" {y.shape[1:]} without its axis of nodes"
            )
        found.append((end[0], fnp.broadcast_to(convert(value, y.dtype), y.shape[1:])))
    return found


def _slopes(
    x: Array, y: Array, first: tuple[int, Array] | None, last: tuple[int, Array] | None
) -> Array:
    """Slopes at the nodes, from the continuity of second derivatives (de Boor, chapter IV)."""
    h = fnp.diff(x)
    wide = fnp.reshape(h, (-1, *[1] * (y.ndim - 1)))
    m = fnp.diff(y, axis=0) / wide
    n = x.size
    if n == 3 and first is None and last is None:
        # One parabola.
        middle = (wide[1] * m[0] + wide[0] * m[1]) / (wide[0] + wide[1])
        return fnp.stack([2 * m[0] - middle, middle, 2 * m[1] - middle])
    if n == 2:  # there are no two pieces to join
        first, last = [(1, m[0]) if end is None else end for end in (first, last)]
    start, up, right_hand = _end(first, h, wide, m)
    stop, low, right_hand_last = _end(last, h[::-1], wide[::-1], -m[::-1], -1)
    lower = fnp.concatenate([fnp.zeros_like(h[:1]), h[1:], low[None]])
    upper = fnp.concatenate([up[None], h[:-1], fnp.zeros_like(h[:1])])
    middle = fnp.concatenate([start[None], 2 * (h[:-1] + h[1:]), stop[None]])
    inner = 3 * (wide[1:] * m[:-1] + wide[:-1] * m[1:])
    right = fnp.concatenate([right_hand[None], inner, right_hand_last[None]])
    return _solved(lower, middle, upper, right)


def _end(
    condition: tuple[int, Array] | None, h: Array, wide: Array, m: Array, sign: int = 1
) -> tuple[Array, Array, Array]:
    """The diagonal, its neighbour and the right-hand side of the first row.

    For the last row everything is reflected, slopes with their sign, which ``sign`` takes back.
    """
    if condition is None:
        d = wide[0] + wide[1]
        right = ((wide[0] + 2 * d) * wide[1] * m[0] + wide[0] ** 2 * m[1]) / d
        return h[1], h[0] + h[1], sign * right
    order, value = condition
    if order == 1:
        return fnp.ones_like(h[0]), fnp.zeros_like(h[0]), value
    return 2 * h[0], h[0], sign * (3 * m[0] * wide[0] - 0.5 * value * wide[0] ** 2)


def _solved(lower: Array, middle: Array, upper: Array, right: Array) -> Array:
    dtype = np.dtype(np.float32) if is_half(right.dtype) else right.dtype
    flat = convert(fnp.reshape(right, (right.shape[0], -1)), dtype)
    lower, middle, upper = (convert(v, dtype) for v in (lower, middle, upper))
    solution = fnp.reshape(tridiagonal_solve(lower, middle, upper, flat), right.shape)
    return convert(solution, right.dtype)


def _periodic_slopes(x: Array, y: Array) -> Array:
    if not isinstance(y, Tracer) and not np.allclose(y[0], y[-1], rtol=1e-15, atol=1e-15):
        raise ValueError('CubicSpline: for bc_type="periodic", y must end with its first value')
    h = fnp.diff(x)
    wide = fnp.reshape(h, (-1, *[1] * (y.ndim - 1)))
    m = fnp.diff(y, axis=0) / wide
    if m.shape[0] == 1:
        return fnp.concatenate([m, m])
    if m.shape[0] == 2:
        slope = fnp.sum(m / wide, axis=0) / fnp.sum(1 / wide, axis=0)
        return fnp.stack([slope] * 3)
    # Row i is of node i, whose neighbours are the pieces before and after it. The last unknown is
    # taken out, which leaves a tridiagonal system with two right-hand sides.
    before, h_before = fnp.roll(m, 1, 0), fnp.roll(h, 1)
    right = 3 * (wide * before + fnp.roll(wide, 1, 0) * m)
    lower, middle, upper = h, 2 * (h + h_before), h_before
    column = fnp.zeros_like(h[:-1])
    column = fnp.concatenate([-lower[:1], column[1:-1], -upper[-2:-1]])
    flat = fnp.reshape(right, (right.shape[0], -1))
    sides = fnp.concatenate([flat[:-1], convert(column, flat.dtype)[:, None]], axis=1)
    found = _solved(lower[:-1], middle[:-1], upper[:-1], sides)
    plain, with_last = found[:, :-1], found[:, -1:]
    top = flat[-1] - upper[-1] * plain[0] - lower[-1] * plain[-1]
    last = top / (middle[-1] + upper[-1] * with_last[0] + lower[-1] * with_last[-1])
    slopes = plain + with_last * last
    slopes = fnp.concatenate([slopes, last[None], slopes[:1]])
    return fnp.reshape(slopes, y.shape)
