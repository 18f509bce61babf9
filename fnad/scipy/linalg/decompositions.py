"""Decompositions by eigenvalues and singular values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.numpy.operands import Array, convert
from fnad.numpy.singular_factors import hermitian_part, unitary_factor
from fnad.numpy.solving import as_matrices
from fnad.primitives.linalg import eigh as eigen
from fnad.primitives.linalg import schur as triangular
from fnad.primitives.linalg import svd as singular
from fnad.primitives.linalg.triangular import triangular_solve
from fnad.scipy.linalg.operands import adjoint, as_complex, of_one_dtype
from fnad.scipy.linalg.solving import cholesky


def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """The singular value decomposition, ``a = U diag(s) Vh``.

    Parameters
    ----------
    a : array_like
        ``(..., m, n)``.
    full_matrices : bool
        Whether U and Vh are square; else they have min(m, n) columns and rows.
    compute_uv : bool
        Whether U and Vh are wanted.
    lapack_driver : str
        For the sake of SciPy's signature: it is always gesdd.

    Returns
    -------
    (U, s, Vh), or s without ``compute_uv``
        Where singular values are equal, derivatives of U and Vh and second ones of s are NaN or
        infinite: see `polar` and `funm`.

    Examples
    --------
    >>> svd(np.array([[0.0, 2.0], [1.0, 0.0]]), compute_uv=False)
    array([2., 1.])
    """
    del overwrite_a, check_finite, lapack_driver
    return singular.svd(as_matrices("svd", a), full_matrices=full_matrices, compute_uv=compute_uv)


def eigh(
    a: Any,
    b: Any = None,
    lower: bool = True,
    eigvals_only: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    turbo: bool = True,
    eigvals: None = None,
    type: int = 1,
    check_finite: bool = True,
) -> Any:
    """Eigenvalues w and eigenvectors v of symmetric or Hermitian matrices.

    Parameters
    ----------
    a : array_like
        ``(..., n, n)``, of which one triangle is read.
    b : array_like, optional
        Symmetric or Hermitian positive definite, of the same shape: the problem is then that of
        ``type``, and is reduced to one without by a Cholesky factor of ``b``.
    lower : bool
        Which triangles are read.
    eigvals_only : bool
        Whether to return w alone.
    eigvals : None
        Not taken: all eigenvalues are found, of which slices are.
    type : {1, 2, 3}
        ``a v = b v w``, ``a b v = v w`` or ``b a v = v w``.

    Returns
    -------
    (w, v), or w with ``eigvals_only``
        Ascending; v as columns, with ``vᴴ b v = 1`` for types 1 and 2 and ``vᴴ b⁻¹ v = 1`` for 3.
        Where eigenvalues are equal, derivatives of v and second ones of w are NaN or infinite: see
        `funm`.

    Examples
    --------
    >>> w, v = eigh(np.diag([1.0, 2.0]), np.diag([4.0, 1.0]))
    >>> w
    array([0.25, 2.  ])
    """
    del overwrite_a, overwrite_b, turbo, check_finite
    if eigvals is not None:
        raise ValueError("eigh: eigvals must be None; take a slice of the eigenvalues instead")
    if type not in (1, 2, 3):
        raise ValueError(f"eigh: type must be 1, 2 or 3, got {type!r}")
    if b is None:
        a = as_matrices("eigh", a, square=True)
        vectors, values = eigen.eigh(a if lower else adjoint(a), symmetrize_input=False)
        return values if eigvals_only else (values, vectors)
    a, b = of_one_dtype("eigh", a, b)
    a, b = as_matrices("eigh", a, square=True), as_matrices("eigh", b, square=True)
    a, b = fnp.broadcast_arrays(a, b)
    factor = cholesky(b if lower else adjoint(b), lower=True)
    half = fnp.tril(a if lower else adjoint(a), -1)
    whole = half + adjoint(half) + _diagonal_matrix(fnp.real(fnp.diagonal(a, 0, -2, -1)), a)
    adjointly = {"transpose_a": True, "conjugate_a": True}
    if type == 1:
        inner = triangular_solve(factor, whole, left_side=True, lower=True)
        inner = triangular_solve(factor, inner, lower=True, **adjointly)
    else:
        inner = adjoint(factor) @ whole @ factor
    vectors, values = eigen.eigh(inner, symmetrize_input=True)
    if type == 3:
        vectors = factor @ vectors
    else:
        vectors = triangular_solve(factor, vectors, left_side=True, lower=True, **adjointly)
    return values if eigvals_only else (values, vectors)


def _diagonal_matrix(diagonal: Array, like: Array) -> Array:
    n = diagonal.shape[-1]
    return fnp.where(np.eye(n, dtype=bool), convert(diagonal, like.dtype)[..., None, :], 0)


def eigh_tridiagonal(
    d: Any,
    e: Any,
    *,
    eigvals_only: bool = False,
    select: str = "a",
    select_range: Sequence[int] | None = None,
    tol: float | None = None,
) -> Any:
    """Eigenvalues and eigenvectors of symmetric or Hermitian tridiagonal matrices.

    Parameters
    ----------
    d : array_like
        ``(..., n)``, the diagonals.
    e : array_like
        ``(..., n - 1)``, the diagonals below.
    eigvals_only : bool
        Whether to return the eigenvalues alone.
    select : {"a", "i"}
        Whether all are wanted, or those of the numbers ``select_range``, the first and the last.
    select_range : pair of int, optional
        Counted from 0, ascending.
    tol : float, optional
        For the sake of SciPy's signature.

    Returns
    -------
    (w, v), or w with ``eigvals_only``

    Examples
    --------
    >>> eigh_tridiagonal(np.zeros(2), np.ones(1), eigvals_only=True)
    array([-1.,  1.])
    """
    del tol
    d, e = of_one_dtype("eigh_tridiagonal", d, e)
    n = d.shape[-1] if d.ndim else 0
    if n == 0 or e.ndim == 0 or e.shape[-1] != n - 1:
        raise ValueError(
            "eigh_tridiagonal: needs diagonals (..., n) and (..., n - 1), got shapes"
            f" {d.shape} and {e.shape}"
        )
    first, last = 0, n - 1
    if select == "i" and select_range is not None:
        first, last = map(int, select_range)
        if not 0 <= first <= last < n:
            raise ValueError(
                "eigh_tridiagonal: select_range must be two numbers from 0 to the last eigenvalue's"
                f" {n - 1}, ascending, got {select_range!r}"
            )
    elif select != "a":
        raise ValueError(
            "eigh_tridiagonal: select must be 'a', or 'i' with a select_range, since shapes do not"
            f" depend on values; got {select!r} and {select_range!r}"
        )
    below = fnp.pad(e, [(0, 0)] * (e.ndim - 1) + [(0, 1)])
    here = np.eye(n, k=-1, dtype=bool)
    a = fnp.where(here, below[..., None, :], _diagonal_matrix(fnp.real(d), d))
    w, v = eigh(a)
    w, v = w[..., first : last + 1], v[..., first : last + 1]
    return w if eigvals_only else (w, v)


def polar(
    a: Any,
    side: str = "right",
    *,
    method: str = "qdwh",
    eps: float | None = None,
    max_iterations: int | None = None,
) -> tuple[Array, Array]:
    """The polar decomposition, ``a = u p`` or ``a = p u``.

    Parameters
    ----------
    a : array_like
        ``(..., m, n)``.
    side : {"right", "left"}
        Where p is.
    method : {"qdwh", "svd"}
        For the sake of JAX's signature, as ``eps`` and ``max_iterations`` are: it is always made of
        singular values.

    Returns
    -------
    u : array
        ``(..., m, n)``, with orthonormal columns, or rows if they are fewer. It has a derivative
        where ``a`` has full rank; that is NaN or very large where it has not.
    p : array
        Symmetric or Hermitian, positive semidefinite.

    Examples
    --------
    >>> u, p = polar(np.array([[0.0, -2.0], [3.0, 0.0]]))
    >>> p.round(12)
    array([[3., 0.],
           [0., 2.]])
    """
    del eps, max_iterations
    if side not in ("right", "left") or method not in ("qdwh", "svd"):
        raise ValueError(
            "polar: side must be 'right' or 'left', and method 'qdwh' or 'svd', got"
            f" {side!r} and {method!r}"
        )
    a = as_matrices("polar", a)
    if a.shape[-2] >= a.shape[-1]:
        u = unitary_factor(a)
    else:
        u = adjoint(unitary_factor(adjoint(a)))
    return u, hermitian_part(adjoint(u) @ a if side == "right" else a @ adjoint(u))


def schur(a: Any, output: str = "real") -> tuple[Array, Array]:
    """The Schur decomposition of square matrices, ``a = Z T Zᴴ``; it has no derivative.

    Parameters
    ----------
    a : array_like
        ``(..., n, n)``.
    output : {"real", "complex"}
        Whether T of a real matrix is real, with blocks of two rows on its diagonal for conjugate
        eigenvalues, or complex and triangular.

    Returns
    -------
    T, Z : array

    Examples
    --------
    >>> T, Z = schur(np.array([[1.0, 2.0], [0.0, 3.0]]))
    >>> T
    array([[1., 2.],
           [0., 3.]])
    """
    if output not in ("real", "complex"):
        raise ValueError(f"schur: output must be 'real' or 'complex', got {output!r}")
    a = as_complex("schur", a) if output == "complex" else as_matrices("schur", a, square=True)
    t, z = triangular.schur(a)
    return t, z


def rsf2csf(T: Any, Z: Any, check_finite: bool = True) -> tuple[Array, Array]:  # noqa: N803
    """A complex Schur decomposition from a real one.

    Parameters
    ----------
    T, Z : array_like
        ``(..., n, n)``, results of `schur`.

    Returns
    -------
    T, Z : array
        T is upper triangular.

    Examples
    --------
    >>> T, Z = rsf2csf(np.array([[0.0, 1.0], [-1.0, 0.0]]), np.eye(2))
    >>> np.diagonal(T).round(12) + 0.0
    array([0.+1.j, 0.-1.j])
    """
    del check_finite
    t, z = (as_complex("rsf2csf", x) for x in (T, Z))
    if t.shape[-1] != z.shape[-1]:
        raise ValueError(
            f"rsf2csf: T and Z must be of one size, got shapes {t.shape} and {z.shape}"
        )
    t, turn = triangular.schur(t)
    return t, z @ turn
