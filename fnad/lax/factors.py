"""Factors of matrices brought up to date, and products that stay symmetric."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.numpy.operands import Array
from fnad.numpy.solving import as_matrices
from fnad.primitives.control_flow import scan


def cholesky_update(r_matrix: Any, w_vector: Any) -> Array:
    """The Cholesky factor of ``Rᵀ R + w wᵀ``, by rotations of the rows of R with w.

    Parameters
    ----------
    r_matrix : array
        ``(..., n, n)``, upper triangular and real; what is below the diagonal is not read.
    w_vector : array
        ``(..., n)``.

    Returns
    -------
    array
        ``(..., n, n)``, upper triangular.

    Examples
    --------
    >>> cholesky_update(np.array([[3.0, 0.0], [0.0, 1.0]]), np.array([4.0, 0.0]))
    array([[5., 0.],
           [0., 1.]])
    """
    r = fnp.triu(as_matrices("cholesky_update", r_matrix, square=True))
    w = fnp.asarray(w_vector, r.dtype)
    if r.dtype.kind == "c" or w.shape[-1:] != r.shape[-1:]:
        raise ValueError(
            "cholesky_update: needs real matrices (..., n, n) and vectors (..., n), got"
            f" {r.dtype}{list(r.shape)} and {w.dtype}{list(w.shape)}"
        )
    n = r.shape[-1]
    batch = np.broadcast_shapes(r.shape[:-2], w.shape[:-1])
    rows = fnp.moveaxis(fnp.broadcast_to(r, (*batch, n, n)), -2, 0)

    def rotate(w: Array, step: tuple[Array, Array]) -> tuple[Array, Array]:
        k, row = step
        a, b = fnp.take(row, k, -1)[..., None], fnp.take(w, k, -1)[..., None]
        length = fnp.hypot(a, b)
        # A row of zeros that meets a zero stays.
        divisor = fnp.where(length > 0, length, 1)
        cosine, sine = fnp.where(length > 0, a / divisor, 1), b / divisor
        return cosine * w - sine * row, cosine * row + sine * w

    steps = np.arange(n, dtype=np.int32), rows
    return fnp.triu(fnp.moveaxis(scan(rotate, fnp.broadcast_to(w, (*batch, n)), steps)[1], 0, -2))


def lu_pivots_to_permutation(pivots: Any, permutation_size: int) -> Array:
    """What exchanging row ``pivots[..., i]`` with row i, in order, makes of the rows' numbers.

    Parameters
    ----------
    pivots : array of int
        ``(..., k)``, counted from 0, as `lu` has them.
    permutation_size : int
        How many rows; k at least.

    Returns
    -------
    array of int32
        ``(..., permutation_size)``.

    Examples
    --------
    >>> lu_pivots_to_permutation(np.array([2, 2], np.int32), 3)
    array([2, 0, 1], dtype=int32)
    """
    pivots = fnp.asarray(pivots)
    *batch, count = pivots.shape
    if pivots.dtype.kind not in "iu" or count > permutation_size:
        raise ValueError(
            f"lu_pivots_to_permutation: {pivots.dtype}{list(pivots.shape)} cannot say what becomes"
            f" of {permutation_size} rows: pivots are integers, and no more than there are rows"
        )
    rows = np.arange(permutation_size, dtype=np.int32)
    start = fnp.broadcast_to(rows, (*batch, permutation_size))
    if not count:
        return start

    def exchange(order: Array, step: tuple[Array, Array]) -> tuple[Array, None]:
        i, pivot = step
        pivot = pivot[..., None]
        there = fnp.take_along_axis(order, pivot, -1)
        here = fnp.expand_dims(fnp.take(order, i, -1), -1)
        return fnp.where(rows == i, there, fnp.where(rows == pivot, here, order)), None

    steps = np.arange(count, dtype=np.int32), fnp.moveaxis(pivots, -1, 0)
    return scan(exchange, start, steps)[0]


def symmetric_product(
    a_matrix: Any,
    c_matrix: Any,
    *,
    alpha: float = 1.0,
    beta: float = 0.0,
    symmetrize_output: bool = False,
) -> Array:
    """``alpha A Aᵀ + beta C`` for symmetric matrices C.

    Parameters
    ----------
    a_matrix : array
        ``(..., m, n)``.
    c_matrix : array
        ``(..., m, m)``.
    alpha, beta : float
        Factors.
    symmetrize_output : bool
        Whether the upper triangle of the result is that of its lower one.

    Examples
    --------
    >>> symmetric_product(np.array([[1.0], [2.0]]), np.eye(2), beta=3.0)
    array([[4., 2.],
           [2., 7.]])
    """
    a, c = fnp.asarray(a_matrix), fnp.asarray(c_matrix)
    if a.ndim < 2 or c.shape[-2:] != (a.shape[-2],) * 2:
        raise ValueError(
            "symmetric_product: needs matrices (..., m, n) and (..., m, m), got shapes"
            f" {a.shape} and {c.shape}"
        )
    out = alpha * (a @ fnp.matrix_transpose(a)) + beta * c
    return fnp.tril(out) + fnp.matrix_transpose(fnp.tril(out, -1)) if symmetrize_output else out
