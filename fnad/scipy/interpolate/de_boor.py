"""De Boor's algorithm: values and derivatives of B-splines, from the coefficients that count there.

C. de Boor, "A Practical Guide to Splines" (2001), chapter X. All steps are convex combinations, or
differences of neighbouring coefficients, over knots around a piece that is not empty: nothing
divides by 0, however often knots are repeated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.numpy.indexing import getitem

Array = Any


def piece_of(t: Array, k: int, x: Array) -> Array:
    """The index of the knot on the left of points, among those of pieces that are not empty.

    Points outside go to the first and the last piece, and the end to the piece on its left; steps
    (k = 0) may have an empty last piece, for the value at the end and behind it.
    """
    n = t.size - k - 1
    first, last = 0, n - 1
    if k:
        first = fnp.searchsorted(t, t[k], side="right") - 1
        last = fnp.searchsorted(t, t[n], side="left") - 1
    return fnp.clip(fnp.searchsorted(t, x, side="right") - 1, first, last)


def _combined(t: Array, k: int, x: Array, nu: int, piece: Array, local: list[Array]) -> Array:
    """What ``k + 1`` coefficients, those that count on a piece, make at points."""
    if nu > k:
        return fnp.zeros_like(local[0])
    more = [1] * (local[0].ndim - x.ndim)

    def wide(v: Array) -> Array:
        return fnp.reshape(v, (*v.shape, *more))

    knots = [wide(getitem(t, piece + m)) for m in range(1 - k, k + 1)]
    x = wide(x)
    for degree in range(k, 0, -1):
        following = []
        for j in range(degree):
            low, high = knots[k - degree + j], knots[k + j]
            if degree > k - nu:
                step = (local[j + 1] - local[j]) * degree
            else:
                step = (x - low) * local[j + 1] + (high - x) * local[j]
            following.append(step / (high - low))
        local = following
    return local[0]


def values(t: Array, c: Array, k: int, x: Array, nu: int = 0) -> Array:
    """The derivative of order ``nu`` at points, in front of further axes of coefficients."""
    piece = piece_of(t, k, x)
    local = [getitem(c, piece - k + j) for j in range(k + 1)]
    return _combined(t, k, x, nu, piece, local)


def basis(t: Array, k: int, x: Array, nu: int = 0) -> tuple[Array, Array]:
    """Derivatives of the ``k + 1`` B-splines that are not 0 at points; the index of the first."""
    piece = piece_of(t, k, x)
    one = np.eye(k + 1, dtype=x.dtype)
    local = [fnp.broadcast_to(one[j], (*x.shape, k + 1)) for j in range(k + 1)]
    return _combined(t, k, x, nu, piece, local), piece - k


def derived(t: Array, c: Array, k: int) -> tuple[Array, Array, int]:
    """Knots, coefficients and degree of the derivative of a spline of a degree above 0."""
    steps = t[k + 1 : -1] - t[1 : -k - 1]
    empty = _along(steps == 0, c)
    difference = c[1:] - c[:-1]
    return (
        t[1:-1],
        fnp.where(empty, 0, difference * k / fnp.where(empty, 1, _along(steps, c))),
        k - 1,
    )


def integrated(t: Array, c: Array, k: int) -> tuple[Array, Array, int]:
    """Those of the antiderivative that is 0 at the first knot."""
    steps = _along(t[k + 1 :] - t[: -k - 1], c)
    sums = fnp.cumsum(c * steps, axis=0) / (k + 1)
    sums = fnp.concatenate([fnp.zeros_like(sums[:1]), sums])
    return fnp.concatenate([t[:1], t, t[-1:]]), sums, k + 1


def _along(v: Array, c: Array) -> Array:
    return fnp.reshape(v, (-1, *[1] * (c.ndim - 1)))
