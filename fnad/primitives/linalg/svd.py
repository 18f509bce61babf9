"""The singular value decomposition."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.primitive import Parts, Primitive, Zero
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.complex_numbers import real_dtype
from fnad.primitives.linalg.matrices import (
    adjoint,
    check_matrices,
    conjugate,
    diagonal_of,
    each,
    gaps,
    identity,
    identity_like,
    is_complex,
    is_empty,
    lower_part,
    matmul,
    nan_like,
    nan_where_failed,
    real_part,
    refuse_completed,
    routine,
    scale_columns,
    scale_rows,
    upper_part,
    zeros,
)
from fnad.primitives.linalg.routines import (
    Made,
    Scratch,
    call_complex,
    from_memory,
    memory,
    nan_where_it_failed,
)
from fnad.primitives.shape import full, full_like

svd_p = Primitive(
    "svd",
    "``A = U diag(s) Vᴴ`` for each matrix ``(..., m, n)``: the descending singular values s and,"
    " with ``compute_uv``, U and Vᴴ before and behind them. Those have orthonormal columns and"
    " rows, min(m, n) of them or, with ``full_matrices``, as many as make them square. Floats and"
    " complex numbers of single and double precision; s is real.",
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
    s = s.update(dtype=real_dtype(a.dtype))
    return [u, s, vt] if compute_uv else [s]


def _workspace(m: int, n: int) -> int:
    """Numbers for ``gesdd``: more than its documentation's least, for blocks of 64 columns."""
    k = min(m, n)
    return 4 * k * k + 7 * k + 64 * (m + n)


@svd_p.evaluate
def _(a, *, full_matrices, compute_uv):
    from scipy.linalg import lapack

    *_, m, n = a.shape
    if is_empty(*a.shape):
        u, s, vt = _shapes(a.shape, full_matrices)
        outs = [np.empty(u, a.dtype), np.zeros(s, real_dtype(a.dtype)), np.empty(vt, a.dtype)]
        for out in (outs[0], outs[2]):
            out[...] = np.eye(*out.shape[-2:])
        return outs if compute_uv else outs[1:2]
    gesdd = getattr(lapack, routine("gesdd", a.dtype))
    options = {"compute_uv": int(compute_uv), "full_matrices": int(full_matrices)}

    def decompose(matrix: np.ndarray) -> list[Any]:
        # Of the transpose, which is column-major: U and V change places.
        v, s, ut, info = gesdd(matrix.T, lwork=_workspace(m, n), **options)
        outs = [ut.T, s, v.T] if compute_uv else [s]
        return outs if info == 0 else [nan_like(x) for x in outs]

    return each(decompose, a)


@svd_p.jvp
def _(primals, tangents, *, full_matrices, compute_uv):
    # With P = Uᴴ A' V and F[i, j] = 1 / (s[j]² - s[i]²): s' = diag(P), and U' is
    # U (F * (P S + S Pᴴ)) and what A' V S⁻¹ has outside of the columns of U, V' alike:
    # Giles (2008), 3.2, and Townsend (2016), "Differentiating the singular value decomposition".
    # Of complex matrices U and V are unique but for phases, of which only the difference turns.
    (a,), (t,) = primals, tangents
    m, n = aval_of(a).shape[-2:]
    if isinstance(t, Zero):
        outs = svd_p.bind(a, full_matrices=full_matrices, compute_uv=compute_uv)
        return outs, [Zero(aval_of(out)) for out in outs]
    if compute_uv and full_matrices and m != n:
        refuse_completed("svd", (m, n))
    u, s, vt = svd_p.bind(a, full_matrices=False, compute_uv=True)
    ut, v = adjoint(u), adjoint(vt)
    inner = matmul(ut, t, v)
    t_s = real_part(diagonal_of(inner))
    if not compute_uv:
        return [s], [t_s]
    by_columns, by_rows = scale_columns(inner, s), scale_rows(inner, s)
    factors = _gaps_of_squares(s)
    turn = factors * (by_columns + adjoint(by_columns))
    if is_complex(a):
        diagonal = upper_part(lower_part(inner))
        turn = turn + scale_columns((diagonal - conjugate(diagonal)) * 0.5, 1.0 / s)
    t_u = matmul(u, turn)
    t_v = matmul(v, factors * (by_rows + adjoint(by_rows)))
    if m > n:
        t_u = t_u + _outside(u, matmul(t, v), s)
    if n > m:
        t_v = t_v + _outside(v, matmul(adjoint(t), u), s)
    return [u, s, vt], [t_u, t_s, adjoint(t_v)]


def _gaps_of_squares(s: Any) -> Any:
    # (s[j] - s[i]) (s[j] + s[i]) loses fewer digits than a difference of squares.
    *batch, k = aval_of(s).shape
    ones = full_like(s, 1, shape=(*batch, k, k))
    sums = scale_columns(ones, s) + scale_rows(ones, s)
    return gaps(s) / (sums + identity_like(ones))


def _outside(q: Any, x: Any, s: Any) -> Any:
    """``(1 - q qᴴ) x`` divided by ``s``, column by column."""
    return scale_columns(x - matmul(q, adjoint(q), x), 1.0 / s)


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


@svd_p.parts
def _(a, *, full_matrices, compute_uv):
    *batch, m, n = shape = aval_of(a.re).shape
    part = aval_of(a.re).dtype
    u_shape, s_shape, vt_shape = _shapes(shape, full_matrices)
    if is_empty(*shape):
        s = full(s_shape, 0, part)
        ones = (full(u_shape, 1, part), full(vt_shape, 1, part))
        u, vt = (Parts(upper_part(lower_part(x)), full_like(x, 0)) for x in ones)
        return [u, s, vt] if compute_uv else [s]
    results = [0, (s_shape, part), (tuple(batch), np.dtype(np.int32))]
    # Of the transpose, which is column-major: U and V change places.
    if compute_uv:
        results += [((*x[:-1], 2 * x[-1]), part) for x in (u_shape, vt_shape)]
        factors = (Made(4), n, Made(3), u_shape[-1])
        job = "A" if full_matrices else "S"
    else:
        nothing = Scratch(2, part)
        factors, job = (nothing, 1, nothing, 1), "N"
    small, large = min(m, n), max(m, n)
    size = _workspace(m, n)
    reals = small * (7 * small + 2 * large + 7)
    work = (Scratch(2 * size, part), size, Scratch(reals, part))
    arguments = (job, n, m, Made(0), n, Made(1), *factors, *work)
    _, s, info, *rest = call_complex(
        "gesdd",
        (memory(a),),
        (*arguments, Scratch(8 * small, np.dtype(np.int32)), Made(2)),
        results,
        12 * m * n * small,
    )
    s = nan_where_it_failed(s, info)
    if not compute_uv:
        return [s]
    u, vt = (
        Parts(*(nan_where_it_failed(x, info) for x in (parts.re, parts.im)))
        for parts in map(from_memory, rest)
    )
    return [u, s, vt]


def svd(x: Any, *, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """The singular value decomposition, ``x = u diag(s) vt`` (vt is Vᴴ of complex numbers).

    Differentiable where singular values are distinct (and none is zero, for m != n), unless
    ``full_matrices`` completes u or vt, which ``x`` does not determine. Where two are equal, the
    derivatives of u and vt and the second one of s are NaN or infinite: the nuclear norm,
    ``fnad.scipy.linalg.polar`` and ``funm`` have theirs there.

    Parameters
    ----------
    x : array
        ``(..., m, n)``, floats or complex numbers of single or double precision.
    full_matrices : bool
        Whether u and vt are square; else they have min(m, n) columns and rows.
    compute_uv : bool
        Whether to compute u and vt at all.

    Returns
    -------
    (u, s, vt), or s without ``compute_uv``
        s is ``(..., min(m, n))``, descending and real.

    Examples
    --------
    >>> svd(np.array([[0.0, 2.0], [1.0, 0.0]]), compute_uv=False)
    array([2., 1.])
    """
    outs = svd_p.bind(x, full_matrices=bool(full_matrices), compute_uv=bool(compute_uv))
    return tuple(outs) if compute_uv else outs[0]
