"""Eigenvalues and eigenvectors of symmetric and Hermitian matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.primitive import Parts, Primitive, Zero
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.complex_numbers import real_dtype
from fnad.primitives.linalg.matrices import (
    adjoint,
    check_matrices,
    diagonal_of,
    each,
    gaps,
    hermitian_of_lower,
    is_complex,
    is_empty,
    matmul,
    nan_like,
    nan_where_failed,
    real_part,
    routine,
    swapped,
    zeros,
)
from fnad.primitives.linalg.routines import (
    Made,
    Scratch,
    call_complex,
    from_columns,
    memory,
    nan_where_it_failed,
)
from fnad.primitives.shape import full

eigh_p = Primitive(
    "eigh",
    "Eigenvectors V ``(..., n, n)``, as columns, and ascending eigenvalues ``(..., n)`` of"
    " symmetric or Hermitian matrices, ``A V = V diag(w)``. Only the lower triangle of A is read,"
    " and of its diagonal the real part. Floats and complex numbers of single and double precision;"
    " w is real.",
    multiple_results=True,
)


@eigh_p.type_rule
def _(a):
    check_matrices("eigh", a, square=True)
    return [a.strong(), ShapedArray(a.shape[:-1], real_dtype(a.dtype))]


def _workspaces(n: int) -> tuple[int, int]:
    """The least that LAPACK's documentation of ``syevd`` allows: of reals, of integers."""
    return (1 + 6 * n + 2 * n * n, 3 + 5 * n) if n > 1 else (1, 1)


def _complex_workspaces(n: int) -> tuple[int, int]:
    """The same for ``heevd``: of complex numbers, of reals; integers are as many."""
    return (2 * n + n * n, 1 + 5 * n + 2 * n * n) if n > 1 else (1, 1)


@eigh_p.evaluate
def _(a):
    from scipy.linalg import lapack

    if is_empty(*a.shape):
        return [np.zeros(a.shape, a.dtype), np.zeros(a.shape[:-1], real_dtype(a.dtype))]
    reals, integers = _workspaces(a.shape[-1])
    options = {"compute_v": 1, "lower": 0, "lwork": reals, "liwork": integers}
    if is_complex(a):
        options["lwork"], options["lrwork"] = _complex_workspaces(a.shape[-1])
    evd = getattr(lapack, routine("heevd" if is_complex(a) else "syevd", a.dtype))

    def decompose(matrix: np.ndarray) -> list[Any]:
        # Row-major, a lower triangle is the upper one of the column-major transpose, which is the
        # conjugate of a Hermitian matrix.
        w, v, info = evd(matrix.T, **options)
        return [np.conj(v), w] if info == 0 else [nan_like(v), nan_like(w)]

    return each(decompose, a)


@eigh_p.jvp
def _(primals, tangents):
    # w' = diag(Vᴴ A' V), V' = V (F * Vᴴ A' V) with F[i, j] = 1 / (w[j] - w[i]): Giles (2008), 3.1.
    # Eigenvectors of Hermitian matrices are unique but for phases; theirs do not turn.
    (a,), (t,) = primals, tangents
    v, w = eigh_p.bind(a)
    if isinstance(t, Zero):
        return [v, w], [Zero(aval_of(v)), Zero(aval_of(w))]
    inner = matmul(adjoint(v), hermitian_of_lower(t), v)
    return [v, w], [matmul(v, gaps(w) * inner), real_part(diagonal_of(inner))]


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


@eigh_p.parts
def _(a):
    *batch, n, _ = shape = aval_of(a.re).shape
    part = aval_of(a.re).dtype
    if is_empty(*shape):
        return [a, full((*batch, n), 0, part)]
    complexes, reals = _complex_workspaces(n)
    integers = _workspaces(n)[1]
    work = (
        *(Scratch(2 * complexes, part), complexes),
        *(Scratch(reals, part), reals),
        *(Scratch(integers, np.dtype(np.int32)), integers),
    )
    vectors, values, info = call_complex(
        "heevd",
        (memory(a),),
        ("V", "U", n, Made(0), n, Made(1), *work, Made(2)),
        [0, ((*batch, n), part), (tuple(batch), np.dtype(np.int32))],
        9 * n**3,
    )
    # Of the conjugate matrices, which row-major Hermitian ones are to LAPACK.
    parts = from_columns(vectors)
    re, im = (nan_where_it_failed(x, info) for x in (parts.re, -parts.im))
    return [Parts(re, im), nan_where_it_failed(values, info)]


def eigh(x: Any, *, symmetrize_input: bool = True) -> tuple[Any, Any]:
    """Eigenvectors and eigenvalues of symmetric and Hermitian matrices.

    The derivative of eigenvectors is that for distinct eigenvalues; where two are equal, it and the
    second one of eigenvalues are NaN or infinite. What is made of all eigenvalues by one function
    has its derivatives there by ``fnad.scipy.linalg.funm(x, f, hermitian=True)``.

    Parameters
    ----------
    x : array
        ``(..., n, n)``, floats or complex numbers of single or double precision.
    symmetrize_input : bool
        Whether to decompose ``(x + xᴴ) / 2``; else only the lower triangle is read.

    Returns
    -------
    vectors : array
        ``(..., n, n)``, as columns.
    values : array
        ``(..., n)``, ascending; real.

    Examples
    --------
    >>> eigh(np.diag([3.0, 1.0]))[1]
    array([1., 3.])
    """
    if symmetrize_input:
        x = (x + adjoint(x)) * 0.5
    vectors, values = eigh_p.bind(x)
    return vectors, values
