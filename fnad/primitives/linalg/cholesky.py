"""The Cholesky factorisation of symmetric positive definite matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.primitive import Parts, Primitive
from fnad.core.types import aval_of
from fnad.primitives.linalg.matrices import (
    adjoint,
    check_matrices,
    each,
    hermitian_of_lower,
    is_empty,
    lower_part,
    matmul,
    nan_like,
    nan_where_failed,
    routine,
    upper_part,
    zeros,
)
from fnad.primitives.linalg.routines import (
    Made,
    call_complex,
    from_memory,
    memory,
    nan_where_it_failed,
)
from fnad.primitives.linalg.triangular import triangular_solve

cholesky_p = Primitive(
    "cholesky",
    "The lower triangular L with ``A = L Lᴴ``, for each matrix ``(..., n, n)``. Only the lower"
    " triangle of A is read, and of its diagonal the real part. L is NaN on and below the diagonal"
    " where A is not positive definite. Floats and complex numbers of single and double precision.",
)


@cholesky_p.type_rule
def _(a):
    check_matrices("cholesky", a, square=True)
    return a.strong()


@cholesky_p.evaluate
def _(a):
    if is_empty(*a.shape):
        return np.zeros(a.shape, a.dtype)
    try:
        return np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        return _with_failures(a)


def _with_failures(a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The factors of the matrices that have one, NaN for the others."""
    from scipy.linalg import lapack

    potrf = getattr(lapack, routine("potrf", a.dtype))

    def factor(matrix: np.ndarray) -> list[Any]:
        # Row-major, a lower triangle is the upper one of the column-major transpose.
        upper, info = potrf(matrix.T, lower=0, clean=1)
        return [upper.T if info == 0 else np.tril(nan_like(matrix))]

    return each(factor, a)[0]


@cholesky_p.jvp
def _(primals, tangents):
    # L' = L Φ(L⁻¹ A' L⁻ᴴ), where Φ takes the lower triangle and half of the diagonal: Giles
    # (2008), 2.2.3, and Murray (2016), arXiv:1602.07527, equation 8.
    (a,), (t,) = primals, tangents
    factor = cholesky_p.bind(a)
    t = hermitian_of_lower(t)
    inner = triangular_solve(factor, t, left_side=True, lower=True)
    inner = triangular_solve(factor, inner, lower=True, transpose_a=True, conjugate_a=True)
    return factor, matmul(factor, _lower_with_half_of_diagonal(inner))


def _lower_with_half_of_diagonal(x: Any) -> Any:
    lower = lower_part(x)
    return lower - upper_part(lower) * 0.5


@cholesky_p.batch
def _(args, batched, axis):
    return cholesky_p.bind(*args), True


@cholesky_p.lower
def _(p, a):
    if is_empty(*a.shape):
        return zeros(p, a.shape, a.dtype)
    n = a.shape[-1]
    factor, info = p.copied(a), p.copied(zeros(p, a.shape[:-2], np.int32))
    name = routine("potrf", a.dtype)
    p.call(name, ("U", n, factor, n, info), (), (factor, info), n**3 // 3)
    b, checked = p.b, nan_where_failed(p, factor, info)

    def element(index: Any) -> Any:
        return b.where(
            b.less_equal(index[-1], index[-2]), checked.at(index), b.constant(0, a.dtype)
        )

    return p.compute(a.shape, a.dtype, element)


@cholesky_p.parts
def _(a):
    *batch, n, _ = shape = aval_of(a.re).shape
    if is_empty(*shape):
        return a
    factor, info = call_complex(
        "potrf",
        (memory(a),),
        ("U", n, Made(0), n, Made(1)),
        [0, (tuple(batch), np.dtype(np.int32))],
        n**3 // 3,
    )
    parts = from_memory(factor)
    return Parts(*(lower_part(nan_where_it_failed(x, info)) for x in (parts.re, parts.im)))


def cholesky(x: Any, *, symmetrize_input: bool = True) -> Any:
    """The Cholesky factors of symmetric or Hermitian positive definite matrices.

    Parameters
    ----------
    x : array
        ``(..., n, n)``, floats or complex numbers of single or double precision.
    symmetrize_input : bool
        Whether to factorise ``(x + xᴴ) / 2``; else only the lower triangle is read.

    Returns
    -------
    array
        Lower triangular, as ``x``. NaN on and below the diagonal where a matrix is not positive
        definite.

    Examples
    --------
    >>> cholesky(np.array([[4.0, 2.0], [2.0, 2.0]]))
    array([[2., 0.],
           [1., 1.]])
    """
    if symmetrize_input:
        x = (x + adjoint(x)) * 0.5
    return cholesky_p.bind(x)
