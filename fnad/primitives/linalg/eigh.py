"""Eigenvalues and eigenvectors of symmetric matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.primitive import Primitive, Zero
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.linalg.matrices import (
    check_matrices,
    diagonal_of,
    each,
    gaps,
    is_empty,
    lower_part,
    matmul,
    matrix_transpose,
    nan_where_failed,
    routine,
    swapped,
    zeros,
)

eigh_p = Primitive(
    "eigh",
    "Eigenvectors V ``(..., n, n)``, as columns, and ascending eigenvalues ``(..., n)`` of"
    " symmetric matrices, ``A V = V diag(w)``. Only the lower triangle of A is read."
    " float32, float64.",
    multiple_results=True,
)


@eigh_p.type_rule
def _(a):
    check_matrices("eigh", a, square=True)
    return [a.strong(), ShapedArray(a.shape[:-1], a.dtype)]


def _workspaces(n: int) -> tuple[int, int]:
    """The least that LAPACK's documentation of ``syevd`` allows: of reals, of integers."""
    return (1 + 6 * n + 2 * n * n, 3 + 5 * n) if n > 1 else (1, 1)


@eigh_p.evaluate
def _(a):
    from scipy.linalg import lapack

    if is_empty(*a.shape):
        return [np.zeros(a.shape, a.dtype), np.zeros(a.shape[:-1], a.dtype)]
    syevd = getattr(lapack, routine("syevd", a.dtype))
    reals, integers = _workspaces(a.shape[-1])

    def decompose(matrix: np.ndarray) -> list[Any]:
        # Row-major, a lower triangle is the upper one of the column-major transpose.
        w, v, info = syevd(matrix.T, compute_v=1, lower=0, lwork=reals, liwork=integers)
        return [v, w] if info == 0 else [np.full_like(v, np.nan), np.full_like(w, np.nan)]

    return each(decompose, a)


@eigh_p.jvp
def _(primals, tangents):
    # w' = diag(Vᵀ A' V), V' = V (F * Vᵀ A' V) with F[i, j] = 1 / (w[j] - w[i]): Giles (2008), 3.1.
    (a,), (t,) = primals, tangents
    v, w = eigh_p.bind(a)
    if isinstance(t, Zero):
        return [v, w], [Zero(aval_of(v)), Zero(aval_of(w))]
    t = lower_part(t) + matrix_transpose(lower_part(t, -1))
    inner = matmul(matrix_transpose(v), t, v)
    return [v, w], [matmul(v, gaps(w) * inner), diagonal_of(inner)]


@eigh_p.batch
def _(args, batched, axis):
    return eigh_p.bind(*args), [True, True]


@eigh_p.lower
def _(p, a):
    if is_empty(*a.shape):
        return [zeros(p, a.shape, a.dtype), zeros(p, a.shape[:-1], a.dtype)]
    *batch, n = a.shape[:-1]
    vectors, values = p.copied(a), p.stored((*batch, n), a.dtype)
    info = p.stored(batch, np.int32)
    reals, integers = _workspaces(n)
    work = (p.workspace(reals, a.dtype), reals, p.workspace(integers, np.int32), integers)
    p.call(
        routine("syevd", a.dtype),
        ("V", "U", n, vectors, n, values, *work, info),
        (),
        (vectors, values, info),
        9 * n**3,
    )
    return [
        nan_where_failed(p, swapped(p, vectors), info),
        nan_where_failed(p, values, info, axes=1),
    ]


def eigh(x: Any, *, symmetrize_input: bool = True) -> tuple[Any, Any]:
    """Eigenvectors and eigenvalues of symmetric matrices.

    The derivative of eigenvectors is that for distinct eigenvalues; where two are equal, it is
    not finite.

    Parameters
    ----------
    x : array
        ``(..., n, n)``, float32 or float64.
    symmetrize_input : bool
        Whether to decompose ``(x + xᵀ) / 2``; else only the lower triangle is read.

    Returns
    -------
    vectors : array
        ``(..., n, n)``, as columns.
    values : array
        ``(..., n)``, ascending.

    Examples
    --------
    >>> eigh(np.diag([3.0, 1.0]))[1]
    array([1., 3.])
    """
    if symmetrize_input:
        x = (x + matrix_transpose(x)) * 0.5
    vectors, values = eigh_p.bind(x)
    return vectors, values
