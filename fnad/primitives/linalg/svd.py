"""The singular value decomposition."""

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
    identity,
    identity_like,
    is_empty,
    matmul,
    matrix_transpose,
    nan_where_failed,
    refuse_completed,
    routine,
    scale_columns,
    scale_rows,
    zeros,
)
from fnad.primitives.shape import full_like

svd_p = Primitive(
    "svd",
    "``A = U diag(s) Vᵀ`` for each matrix ``(..., m, n)``: the descending singular values s and,"
    " with ``compute_uv``, U and Vᵀ before and behind them. Those have orthonormal columns and"
    " rows, min(m, n) of them or, with ``full_matrices``, as many as make them square."
    " float32, float64.",
    multiple_results=True,
)


def _shapes(shape: tuple[int, ...], full_matrices: bool) -> tuple[tuple[int, ...], ...]:
    *batch, m, n = shape
    k = min(m, n)
    rows, columns = (m, n) if full_matrices else (k, k)
    return (*batch, m, rows), (*batch, k), (*batch, columns, n)


@svd_p.type_rule
def _(a, *, full_matrices, compute_uv):
    check_matrices("svd", a)
    u, s, vt = (ShapedArray(shape, a.dtype) for shape in _shapes(a.shape, full_matrices))
    return [u, s, vt] if compute_uv else [s]


def _workspace(m: int, n: int) -> int:
    """Reals for ``gesdd``: more than its documentation's least, for blocks of 64 columns."""
    k = min(m, n)
    return 4 * k * k + 7 * k + 64 * (m + n)


@svd_p.evaluate
def _(a, *, full_matrices, compute_uv):
    from scipy.linalg import lapack

    *_, m, n = a.shape
    if is_empty(*a.shape):
        u, s, vt = _shapes(a.shape, full_matrices)
        outs = [np.empty(u, a.dtype), np.zeros(s, a.dtype), np.empty(vt, a.dtype)]
        for out in (outs[0], outs[2]):
            out[...] = np.eye(*out.shape[-2:])
        return outs if compute_uv else outs[1:2]
    gesdd = getattr(lapack, routine("gesdd", a.dtype))
    options = {"compute_uv": int(compute_uv), "full_matrices": int(full_matrices)}

    def decompose(matrix: np.ndarray) -> list[Any]:
        # Of the transpose, which is column-major: U and V change places.
        v, s, ut, info = gesdd(matrix.T, lwork=_workspace(m, n), **options)
        outs = [ut.T, s, v.T] if compute_uv else [s]
        return outs if info == 0 else [np.full_like(x, np.nan) for x in outs]

    return each(decompose, a)


@svd_p.jvp
def _(primals, tangents, *, full_matrices, compute_uv):
    # With P = Uᵀ A' V and F[i, j] = 1 / (s[j]² - s[i]²): s' = diag(P), and U' is
    # U (F * (P S + S Pᵀ)) and what A' V S⁻¹ has outside of the columns of U, V' alike:
    # Giles (2008), 3.2, and Townsend (2016), "Differentiating the singular value decomposition".
    (a,), (t,) = primals, tangents
    m, n = aval_of(a).shape[-2:]
    if isinstance(t, Zero):
        outs = svd_p.bind(a, full_matrices=full_matrices, compute_uv=compute_uv)
        return outs, [Zero(aval_of(out)) for out in outs]
    if compute_uv and full_matrices and m != n:
        refuse_completed("svd", (m, n))
    u, s, vt = svd_p.bind(a, full_matrices=False, compute_uv=True)
    ut, v = matrix_transpose(u), matrix_transpose(vt)
    inner = matmul(ut, t, v)
    t_s = diagonal_of(inner)
    if not compute_uv:
        return [s], [t_s]
    by_columns, by_rows = scale_columns(inner, s), scale_rows(inner, s)
    factors = _gaps_of_squares(s)
    t_u = matmul(u, factors * (by_columns + matrix_transpose(by_columns)))
    t_v = matmul(v, factors * (by_rows + matrix_transpose(by_rows)))
    if m > n:
        t_u = t_u + _outside(u, matmul(t, v), s)
    if n > m:
        t_v = t_v + _outside(v, matmul(matrix_transpose(t), u), s)
    return [u, s, vt], [t_u, t_s, matrix_transpose(t_v)]


def _gaps_of_squares(s: Any) -> Any:
    # (s[j] - s[i]) (s[j] + s[i]) loses fewer digits than a difference of squares.
    *batch, k = aval_of(s).shape
    ones = full_like(s, 1, shape=(*batch, k, k))
    sums = scale_columns(ones, s) + scale_rows(ones, s)
    return gaps(s) / (sums + identity_like(ones))


def _outside(q: Any, x: Any, s: Any) -> Any:
    """``(1 - q qᵀ) x`` divided by ``s``, column by column."""
    return scale_columns(x - matmul(q, matrix_transpose(q), x), 1.0 / s)


@svd_p.batch
def _(args, batched, axis, **params):
    outs = svd_p.bind(*args, **params)
    return outs, [True] * len(outs)


@svd_p.lower
def _(p, a, *, full_matrices, compute_uv):
    m, n = a.shape[-2:]
    u_shape, s_shape, vt_shape = _shapes(a.shape, full_matrices)
    if is_empty(*a.shape):
        s = zeros(p, s_shape, a.dtype)
        if not compute_uv:
            return [s]
        return [identity(p, u_shape, a.dtype), s, identity(p, vt_shape, a.dtype)]
    matrix, s = p.copied(a), p.stored(s_shape, a.dtype)
    info = p.stored(a.shape[:-2], np.int32)
    writes = [matrix, s, info]
    # Of the transpose, which is column-major: U and V change places.
    if compute_uv:
        u, vt = p.stored(u_shape, a.dtype), p.stored(vt_shape, a.dtype)
        writes += [u, vt]
        factors = (vt, n, u, u_shape[-1])
        job = "A" if full_matrices else "S"
    else:
        nothing = p.workspace(1, a.dtype)
        factors, job = (nothing, 1, nothing, 1), "N"
    size = _workspace(m, n)
    work = (p.workspace(size, a.dtype), size, p.workspace(8 * min(m, n), np.int32))
    arguments = (job, n, m, matrix, n, s, *factors, *work, info)
    p.call(routine("gesdd", a.dtype), arguments, (), writes, 12 * m * n * min(m, n))
    s = nan_where_failed(p, s, info, axes=1)
    if not compute_uv:
        return [s]
    return [nan_where_failed(p, u, info), s, nan_where_failed(p, vt, info)]


def svd(x: Any, *, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """The singular value decomposition, ``x = u diag(s) vt``.

    Differentiable where singular values are distinct (and none is zero, for m != n), unless
    ``full_matrices`` completes u or vt, which ``x`` does not determine.

    Parameters
    ----------
    x : array
        ``(..., m, n)``, float32 or float64.
    full_matrices : bool
        Whether u and vt are square; else they have min(m, n) columns and rows.
    compute_uv : bool
        Whether to compute u and vt at all.

    Returns
    -------
    (u, s, vt), or s without ``compute_uv``
        s is ``(..., min(m, n))``, descending.

    Examples
    --------
    >>> svd(np.array([[0.0, 2.0], [1.0, 0.0]]), compute_uv=False)
    array([2., 1.])
    """
    outs = svd_p.bind(x, full_matrices=bool(full_matrices), compute_uv=bool(compute_uv))
    return tuple(outs) if compute_uv else outs[0]
