"""Linear equations with tridiagonal matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.numpy.operands import Array
from fnad.numpy.solving import as_floats
from fnad.primitives.control_flow import scan
from fnad.primitives.custom.linear_solve import solve_apart

Row = tuple[Array, Array, Array]


def tridiagonal_solve(dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool = False) -> Array:
    """Solve ``A x = b`` for tridiagonal matrices, by elimination with partial pivoting.

    Parameters
    ----------
    dl, d, du : array
        ``(..., m)``, the diagonals of A: ``dl[i]`` is ``A[i, i - 1]``, and ``du[i]`` is
        ``A[i, i + 1]``. The first element of ``dl`` and the last one of ``du`` are not read.
    b : array
        ``(..., m, n)``.
    perturb_singular : bool
        Whether pivots smaller than the rounding errors of the largest element of the triangular
        factor are replaced by these, as inverse iteration wants it. Without it, solutions for
        singular matrices are not finite.

    Returns
    -------
    array
        ``(..., m, n)``.

    Examples
    --------
    >>> ones = np.ones(3)
    >>> tridiagonal_solve(ones, 2 * ones, ones, np.array([[3.0], [4.0], [3.0]])).round(12)
    array([[1.],
           [1.],
           [1.]])
    """
    dtype = fnp.result_type(dl, d, du, b)
    dl, d, du, b = (as_floats("tridiagonal_solve", fnp.asarray(x, dtype)) for x in (dl, d, du, b))
    if b.ndim < 2 or not dl.shape == d.shape == du.shape or d.shape[-1:] != b.shape[-2:-1]:
        raise ValueError(
            "tridiagonal_solve: needs diagonals of one shape (..., m) and b of shape (..., m, n),"
            f" got {dl.shape}, {d.shape}, {du.shape} and {b.shape}"
        )
    if not b.size:
        return b
    batch = np.broadcast_shapes(d.shape[:-1], b.shape[:-2])
    b = fnp.broadcast_to(b, (*batch, *b.shape[-2:]))
    # Equations run along the first axis.
    dl, d, du = (
        fnp.moveaxis(fnp.broadcast_to(x, (*batch, x.shape[-1])), -1, 0) for x in (dl, d, du)
    )
    zero = fnp.zeros_like(d[:1])
    below, above = fnp.concatenate([zero, dl[1:]]), fnp.concatenate([du[:-1], zero])
    turned = fnp.concatenate([zero, above[:-1]]), fnp.concatenate([below[1:], zero])

    def product(x: Array) -> Array:
        nothing = fnp.zeros_like(x[:1])
        previous = fnp.concatenate([nothing, x[:-1]])
        following = fnp.concatenate([x[1:], nothing])
        return below[..., None] * previous + d[..., None] * x + above[..., None] * following

    x = solve_apart(
        tuple(range(1, b.ndim)),
        product,
        fnp.moveaxis(b, -2, 0),
        lambda _, b: _eliminated(below, d, above, b, perturb_singular),
        lambda _, b: _eliminated(turned[0], d, turned[1], b, perturb_singular),
    )
    return fnp.moveaxis(x, 0, -2)


def _eliminated(below: Array, d: Array, above: Array, b: Array, perturb: bool) -> Array:
    """The solution for equations along the first axis, as by LAPACK's gtsv."""

    def eliminate(current: Row, row: tuple[Array, Row]) -> tuple[Row, Sequence[Array]]:
        # Two rows at a time: (p, q, 0) from the equations before, and the next (first, p', q').
        (p, q, x), (first, (other_p, other_q, other_x)) = current, row
        exchange = fnp.abs(p) < fnp.abs(first)
        pivot = fnp.where(exchange, first, p)
        if perturb:
            pivot = fnp.where(pivot == 0, 1, pivot)  # then so is what it divides
        factor = fnp.where(exchange, p, first) / pivot
        over, x_over = exchange, exchange[..., None]
        done = (
            fnp.where(over, first, p),
            fnp.where(over, other_p, q),
            fnp.where(over, other_q, 0),
            fnp.where(x_over, other_x, x),
        )
        rest = (
            fnp.where(over, q - factor * other_p, other_p - factor * q),
            fnp.where(over, -factor * other_q, other_q),
            fnp.where(x_over, x - factor[..., None] * other_x, other_x - factor[..., None] * x),
        )
        return rest, done

    start = d[0], above[0], b[0]
    last, rows = scan(eliminate, start, (below[1:], (d[1:], above[1:], b[1:])))
    zero = fnp.zeros_like(d[0])
    ends = last[0], zero, zero, last[2]
    pivots, first, second, right = (
        fnp.concatenate([x, end[None]]) for x, end in zip(rows, ends, strict=True)
    )
    if perturb:
        largest = fnp.max(
            fnp.maximum(fnp.abs(pivots), fnp.maximum(fnp.abs(first), fnp.abs(second))), 0
        )
        smallest = largest * fnp.finfo(d.dtype).eps
        pivots = fnp.where(fnp.abs(pivots) < smallest, smallest, pivots)

    def substitute(found: tuple[Array, Array], row: tuple[Array, ...]) -> Any:
        (after, behind), (pivot, one, two, x) = found, row
        x = (x - one[..., None] * after - two[..., None] * behind) / pivot[..., None]
        return (x, after), x

    nothing = fnp.zeros_like(b[0])
    return scan(substitute, (nothing, nothing), (pivots, first, second, right), reverse=True)[1]
