"""Equations with banded matrices whose elimination needs no exchange of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.numpy.indexing import getitem
from fnad.primitives.control_flow import scan
from fnad.primitives.custom.linear_solve import solve_apart

Array = Any


def solve_banded(band: Array, b: Array, k: int) -> Array:
    """Solve ``A x = b``, where ``band[i, m]`` is ``A[i, i - k + m]`` and 0 outside of A.

    By elimination without pivoting, which is backward stable where all minors of A are positive or
    0, as they are for values of B-splines (C. de Boor and A. Pinkus, Numer. Math. 27, 1977), and
    where A is positive definite. Not finite for singular matrices.

    Parameters
    ----------
    band : array
        ``(n, 2 k + 1)``
    b : array
        ``(n, m)``

    Returns
    -------
    array
        ``(n, m)``
    """
    n = b.shape[0]
    rows = np.arange(n)[:, None] + np.arange(2 * k + 1)  # of b, with k zeros before it and behind
    columns = np.arange(2 * k, -1, -1)
    ends = fnp.zeros((k, 2 * k + 1), band.dtype)
    turned = getitem(fnp.concatenate([ends, band, ends]), (rows, columns))

    def product(x: Array) -> Array:
        zeros = fnp.zeros((k, x.shape[1]), x.dtype)
        padded = fnp.concatenate([zeros, x, zeros])
        terms = [band[:, m, None] * padded[m : m + n] for m in range(2 * k + 1)]
        return sum(terms[1:], start=terms[0])

    return solve_apart(
        (1,),
        product,
        b,
        lambda _, b: _eliminated(band, b, k),
        lambda _, b: _eliminated(turned, b, k),
    )


def _eliminated(band: Array, b: Array, k: int) -> Array:
    """The solution by Gauss' elimination, row by row."""

    def eliminate(above: tuple[Array, Array], row: tuple[Array, Array]) -> tuple[Any, Any]:
        rows, right = above  # the last k rows of the triangle, from their diagonals on
        a, y = row
        for j in range(k):
            factor = a[0] / rows[j, 0]
            reduced = a[1 : k + 1] - factor * rows[j, 1:]
            a = fnp.concatenate([reduced, a[k + 1 :]])
            y = y - factor * right[j]
        rows = fnp.concatenate([rows[1:], a[None]])
        right = fnp.concatenate([right[1:], y[None]])
        return (rows, right), (a, y)

    def substitute(below: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
        a, y = row
        x = (y - fnp.sum(a[1:, None] * below, axis=0)) / a[0]
        return fnp.concatenate([x[None], below[:-1]]), x

    unit = fnp.zeros((k, k + 1), band.dtype) + fnp.eye(1, k + 1, dtype=band.dtype)
    start = unit, fnp.zeros((k, b.shape[1]), b.dtype)
    _, triangle = scan(eliminate, start, (band, b))
    _, x = scan(substitute, fnp.zeros((k, b.shape[1]), b.dtype), triangle, reverse=True)
    return x
