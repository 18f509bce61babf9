"""The polar decomposition by Halley's iteration with dynamic weights."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.numpy.operands import Array
from fnad.numpy.solving import adjoint, as_matrices
from fnad.primitives.control_flow import cond, while_loop
from fnad.primitives.linalg.cholesky import cholesky
from fnad.primitives.linalg.qr import qr
from fnad.primitives.linalg.triangular import triangular_solve

# From here on the inverse in a step is well conditioned, and Cholesky's factors serve for it.
_MOST_BY_CHOLESKY = 100.0


def qdwh(
    x: Any,
    *,
    is_hermitian: bool = False,
    max_iterations: int | None = None,
    eps: float | None = None,
    dynamic_shape: tuple[Any, Any] | None = None,
) -> tuple[Array, Array, Array, Array]:
    """The polar decomposition ``x = u h``, by products and factorisations alone.

    Nakatsukasa, Bai and Gygi (2010), "Optimizing Halley's iteration for computing the matrix polar
    decomposition".

    Parameters
    ----------
    x : array
        ``(m, n)`` of full rank, with no more columns than rows.
    is_hermitian : bool
        For the sake of JAX's signature; it changes nothing.
    max_iterations : int, optional
        By default 10.
    eps : float, optional
        The rounding error: iteration ends at changes below ``(4 eps)**(1/3)``, whose third power is
        what is left after a step.
    dynamic_shape : pair, optional
        How many rows and columns of ``x`` count; beyond them, u and h are zero.

    Returns
    -------
    u : array
        ``(m, n)``, with orthonormal columns.
    h : array
        ``(n, n)``, Hermitian and positive semidefinite.
    num_iters : array
        The number of iterations.
    is_converged : array of bool
        Whether they sufficed.

    Examples
    --------
    >>> u, h, _, is_converged = qdwh(np.array([[0.0, -2.0], [3.0, 0.0]]))
    >>> abs(u).round(12), h.round(12), is_converged
    (array([[0., 1.],
           [1., 0.]]), array([[3., 0.],
           [0., 2.]]), np.True_)
    """
    del is_hermitian
    x = as_matrices("qdwh", x)
    m, n = x.shape[-2:]
    if x.ndim != 2 or m < n:
        raise ValueError(
            f"qdwh: needs a matrix with at least as many rows as columns, got shape {x.shape}"
        )
    if dynamic_shape is not None:
        rows, columns = (fnp.asarray(k) for k in dynamic_shape)
        inside = (np.arange(m) < rows)[:, None] & (np.arange(n) < columns)
        x = fnp.where(inside, x, 0)
    most = 10 if max_iterations is None else max_iterations
    eps = float(fnp.finfo(x.dtype).eps if eps is None else eps)
    tolerance = (4 * eps) ** (1 / 3)
    # Bounds of singular values: the 2-norm from above, by those of columns and rows.
    size = fnp.abs(x)
    bound = fnp.sqrt(fnp.max(fnp.sum(size, 0)) * fnp.max(fnp.sum(size, 1))) if x.size else 1.0
    bound = fnp.where(bound > 0, bound, 1)

    def goes_on(state: tuple[Any, ...]) -> Array:
        _, _, count, moves = state
        return fnp.logical_and(moves, count < most)

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        u, smallest, count, _ = state
        a, b, c = _weights(smallest)
        new = cond(c > _MOST_BY_CHOLESKY, _by_qr, _by_cholesky, u, a, b, c)
        after = smallest * (a + b * smallest**2) / (1 + c * smallest**2)
        moved = fnp.linalg.norm(new - u) > tolerance * fnp.linalg.norm(new)
        moves = moved | (fnp.abs(1 - after) > 5 * eps)
        return new, fnp.minimum(after, 1), count + 1, moves

    lowest = np.asarray(eps, fnp.abs(x).dtype)[()]
    start = x / bound, lowest, np.int32(0), np.bool_(True)
    u, _, count, moves = while_loop(goes_on, step, start)
    # One step of Newton and Schulz makes up for errors of the iteration.
    u = 1.5 * u - 0.5 * (u @ (adjoint(u) @ u))
    h = adjoint(u) @ x
    return u, (h + adjoint(h)) / 2, count, ~moves


def _weights(smallest: Array) -> tuple[Array, Array, Array]:
    """The weights (a, b, c) of a step for singular values between this one and 1."""
    square = smallest**2
    d = fnp.cbrt(4 * (1 - square) / square**2)
    root = fnp.sqrt(1 + d)
    a = root + fnp.sqrt(8 - 4 * d + 8 * (2 - square) / (square * root)) / 2
    b = (a - 1) ** 2 / 4
    return a, b, a + b - 1


def _by_qr(u: Array, a: Array, b: Array, c: Array) -> Array:
    m, n = u.shape
    stacked = fnp.concatenate([fnp.sqrt(c) * u, fnp.eye(n, dtype=u.dtype)])
    q, _ = qr(stacked, full_matrices=False)
    product = q[:m] @ adjoint(q[m:])
    return (b / c) * u + (a - b / c) / fnp.sqrt(c) * product


def _by_cholesky(u: Array, a: Array, b: Array, c: Array) -> Array:
    inner = fnp.eye(u.shape[1], dtype=u.dtype) + c * (adjoint(u) @ u)
    lower = cholesky(inner, symmetrize_input=False)
    half = triangular_solve(lower, adjoint(u), left_side=True, lower=True)
    solved = triangular_solve(
        lower, half, left_side=True, lower=True, transpose_a=True, conjugate_a=True
    )
    return (b / c) * u + (a - b / c) * adjoint(solved)
