"""Orthogonal factors, eigenvalues and singular values, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fnad.core.dtypes import result_type
from fnad.numpy import reductions, ufuncs
from fnad.numpy.complex_numbers import squared_magnitude
from fnad.numpy.contraction import matmul
from fnad.numpy.creation import asarray
from fnad.numpy.indexing import take_along_axis
from fnad.numpy.manipulation import expand_dims, matrix_transpose, squeeze
from fnad.numpy.operands import Array, constant_like, convert
from fnad.numpy.reflections import reflected_columns
from fnad.numpy.selection import where
from fnad.numpy.solving import adjoint, as_floats, as_matrices
from fnad.numpy.sorting import argsort
from fnad.primitives.custom import custom_jvp
from fnad.primitives.linalg import eig as eigenvalues
from fnad.primitives.linalg import eigh as eigen
from fnad.primitives.linalg import qr as orthogonal
from fnad.primitives.linalg import svd as singular
from fnad.primitives.linalg.matrices import hermitian_of_lower


class EigResult(NamedTuple):
    """What `eig` returns."""

    eigenvalues: Array
    eigenvectors: Array


class EighResult(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Array
    eigenvectors: Array


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Array
    R: Array


class SVDResult(NamedTuple):
    """What `svd` returns."""

    U: Array
    S: Array
    Vh: Array


def eigh(a: Any, UPLO: str | None = None, symmetrize_input: bool = True) -> EighResult:  # noqa: N803
    """Eigenvalues and eigenvectors of symmetric and Hermitian matrices.

    Parameters
    ----------
    a : array_like
        ``(..., n, n)``.
    UPLO : {"L", "U"}, optional
        The triangle that is read, "L" by default, if the input is not symmetrized.
    symmetrize_input : bool
        Whether to decompose ``(a + aᵀ) / 2``, or ``(a + aᴴ) / 2``.

    Returns
    -------
    EighResult
        A named tuple of eigenvalues ``(..., n)``, ascending, and eigenvectors as columns
        ``(..., n, n)``.

    Notes
    -----
    Where eigenvalues are equal, no derivative of the eigenvectors is finite, nor second ones of
    eigenvalues: they are NaN or infinite. The first derivative of eigenvalues is that of one choice
    of eigenvectors; sums of functions of all eigenvalues have the right gradient. All derivatives
    of such sums, and of ``V diag(f(w)) Vᴴ``, are right where they are written with
    ``fnad.scipy.linalg.funm(a, f, hermitian=True)``, which knows f.

    Examples
    --------
    >>> eigh(np.array([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    array([1., 2.])
    """
    if UPLO not in (None, "L", "U"):
        raise ValueError(f"eigh: UPLO must be 'L' or 'U', got {UPLO!r}")
    a = as_matrices("eigh", a, square=True)
    if UPLO == "U" and not symmetrize_input:
        a = adjoint(a)
    vectors, values = eigen.eigh(a, symmetrize_input=symmetrize_input)
    return EighResult(values, vectors)


def eig(a: Any) -> EigResult:
    """Eigenvalues and eigenvectors of general square matrices.

    Parameters
    ----------
    a : array_like
        ``(..., n, n)``.

    Returns
    -------
    EigResult
        A named tuple of eigenvalues ``(..., n)``, in no particular order, and eigenvectors as
        columns ``(..., n, n)``, of length 1, their largest component real and positive. Both are
        always complex, since dtypes do not depend on values.

    Notes
    -----
    Derivatives are those for distinct eigenvalues. Where two are equal, those of eigenvectors and
    second ones of eigenvalues are NaN or infinite; ``fnad.scipy.linalg.funm`` has derivatives of
    ``V diag(f(w)) V⁻¹`` and its trace. A defective matrix, of fewer than n eigenvectors, has none.

    Examples
    --------
    >>> eig(np.array([[0.0, 1.0], [-1.0, 0.0]])).eigenvalues
    array([0.+1.j, 0.-1.j])
    """
    values, vectors = eigenvalues.eig(as_matrices("eig", a, square=True))
    return EigResult(values, vectors)


def eigvals(a: Any) -> Array:
    """Eigenvalues of general square matrices ``(..., n, n)``, always complex; see `eig`.

    Second derivatives are NaN where eigenvalues are equal: for those of ``sum(f(eigvals(a)))``
    write ``trace(fnad.scipy.linalg.funm(a, f))``.

    Examples
    --------
    >>> eigvals(np.array([[2.0, 1.0], [0.0, 3.0]]))
    array([2.+0.j, 3.+0.j])
    """
    a = as_matrices("eigvals", a, square=True)
    return eigenvalues.eig(a, compute_right_eigenvectors=False)[0]


def eigvalsh(a: Any, UPLO: str | None = "L", *, symmetrize_input: bool = True) -> Array:  # noqa: N803
    """Eigenvalues of symmetric matrices ``(..., n, n)``, ascending; see `eigh`.

    Second derivatives are NaN where eigenvalues are equal: for those of ``sum(f(eigvalsh(a)))``
    write ``trace(fnad.scipy.linalg.funm(a, f, hermitian=True))``.

    Examples
    --------
    >>> eigvalsh(np.array([[0.0, 1.0], [1.0, 0.0]]))
    array([-1.,  1.])
    """
    return eigh(a, UPLO, symmetrize_input).eigenvalues


def qr(a: Any, mode: str = "reduced") -> Any:
    """The QR factorisation, ``a = Q R``.

    Parameters
    ----------
    a : array_like
        ``(..., m, n)``.
    mode : {"reduced", "complete", "r", "raw"}
        Whether Q has min(m, n) columns, or m, or whether only R is wanted, or LAPACK's form.

    Returns
    -------
    QRResult, R for mode "r", or (h, tau) for mode "raw"
        h ``(..., n, m)`` is transposed: above its diagonal are the vectors of Householder's
        reflections, of which Q is the product, and tau has their factors. QRResult is a named tuple
        of orthonormal columns and upper triangular matrices. The derivatives are not finite where
        the first min(m, n) columns depend on each other.

    Examples
    --------
    >>> qr(np.array([[3.0], [4.0]]), "r")
    array([[-5.]])
    """
    if mode not in ("reduced", "complete", "r", "raw"):
        raise ValueError(f"qr: mode must be 'reduced', 'complete', 'r' or 'raw', got {mode!r}")
    if mode == "raw":
        packed, taus = reflected_columns(as_matrices("qr", a))
        return matrix_transpose(packed), taus
    q, r = orthogonal.qr(as_matrices("qr", a), full_matrices=mode == "complete")
    return r if mode == "r" else QRResult(q, r)


def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """The singular value decomposition, ``a = U diag(S) Vh``.

    Parameters
    ----------
    a : array_like
        ``(..., m, n)``.
    full_matrices : bool
        Whether U and Vh are square; else they have min(m, n) columns and rows.
    compute_uv : bool
        Whether U and Vh are wanted.
    hermitian : bool
        Whether the matrices are Hermitian: the lower triangles are read, and singular values are
        magnitudes of eigenvalues.

    Returns
    -------
    SVDResult, or S without ``compute_uv``
        A named tuple; S is ``(..., min(m, n))``, descending.

    Notes
    -----
    Where singular values are equal, no derivatives of U and Vh are finite, nor second ones of S:
    they are NaN or infinite. Sums of functions of all of S have the right gradient. All derivatives
    are right of ``norm(a, "nuc")`` for their sum, ``fnad.scipy.linalg.polar(a)[0]`` for ``U Vh``,
    `pinv`, and ``fnad.scipy.linalg.funm(aᴴ a, f, hermitian=True)``, whose trace is the sum of
    ``f(S**2)``.

    Examples
    --------
    >>> U, S, Vh = svd(np.array([[0.0, 2.0], [1.0, 0.0]]))
    >>> S
    array([2., 1.])
    """
    a = as_matrices("svd", a, square=hermitian)
    if hermitian:
        u, s, vh = _svd_of_hermitian(a)
        return SVDResult(u, s, vh) if compute_uv else s
    if not compute_uv:
        return singular.svd(a, compute_uv=False)
    return SVDResult(*singular.svd(a, full_matrices=full_matrices))


def _svd_of_hermitian(a: Array) -> tuple[Array, Array, Array]:
    w, v = eigh(a, "L", symmetrize_input=False)
    size = ufuncs.absolute(w)
    order = argsort(size, descending=True)
    v = take_along_axis(v, expand_dims(order, -2), -1)
    signs = where(ufuncs.less(take_along_axis(w, order, -1), 0), -1, 1)
    vh = adjoint(ufuncs.multiply(v, convert(expand_dims(signs, -2), v.dtype)))
    return v, take_along_axis(size, order, -1), vh


def svdvals(x: Any, /) -> Array:
    """Singular values of matrices ``(..., m, n)``, descending.

    Second derivatives are NaN where two are equal; see `svd`.

    Examples
    --------
    >>> svdvals(np.array([[0.0, 2.0], [1.0, 0.0]]))
    array([2., 1.])
    """
    values: Array = singular.svd(as_matrices("svdvals", x), compute_uv=False)
    return values


def _kept(s: Array, rtol: Any) -> Array:
    """Which singular values count: those above ``rtol`` times the largest."""
    largest = expand_dims(reductions.max(s, -1), -1)
    bound = expand_dims(asarray(rtol), -1)
    return ufuncs.greater(s, ufuncs.multiply(convert(bound, s.dtype), largest))


def matrix_rank(
    M: Any,  # noqa: N803
    rtol: Any = None,
    *,
    tol: Any = None,
    hermitian: bool = False,
) -> Array:
    """How many singular values are larger than ``rtol`` times the largest.

    Parameters
    ----------
    M : array_like
        ``(..., m, n)``; a vector or a number has rank 1 unless it is zero.
    rtol : float or array, optional
        By default max(m, n) times the machine epsilon.
    tol : float or array, optional
        The bound itself, in place of ``rtol``.
    hermitian : bool
        Whether the matrices are Hermitian: the lower triangles are read, and singular values are
        magnitudes of eigenvalues.

    Examples
    --------
    >>> matrix_rank(np.array([[1.0, 2.0], [2.0, 4.0]]))
    np.int64(1)
    """
    vector = asarray(M)
    if vector.ndim < 2:
        return convert(reductions.any(ufuncs.not_equal(vector, 0)), np.dtype(np.int64))
    a = as_matrices("matrix_rank", M, square=hermitian)
    s = ufuncs.absolute(eigvalsh(a, "L", symmetrize_input=False)) if hermitian else svdvals(a)
    if 0 in a.shape[-2:]:
        return reductions.sum(convert(s, np.dtype(np.int64)), -1)
    if tol is not None:
        return reductions.sum(ufuncs.greater(s, expand_dims(asarray(tol), -1)), -1)
    if rtol is None:
        rtol = max(a.shape[-2:]) * np.finfo(a.dtype).eps
    return reductions.sum(_kept(s, rtol), -1)


@partial(custom_jvp, nondiff_argnums=(1, 2))
def _pinv(a: Array, rtol: Any, hermitian: bool) -> Array:
    if 0 in a.shape[-2:]:
        return adjoint(a)
    u, s, vt = _svd_of_hermitian(a) if hermitian else singular.svd(a, full_matrices=False)
    kept = _kept(s, rtol)
    one, zero = constant_like(s, 1), constant_like(s, 0)
    inverse = where(kept, ufuncs.divide(one, where(kept, s, one)), zero)
    return matmul(ufuncs.multiply(adjoint(vt), expand_dims(inverse, -2)), adjoint(u))


@_pinv.defjvp
def _(
    rtol: Any, hermitian: bool, primals: Sequence[Array], tangents: Sequence[Array]
) -> tuple[Array, Array]:
    # Golub and Pereyra (1973), "The differentiation of pseudo-inverses and nonlinear least squares
    # problems whose variables separate", for matrices of constant rank.
    (a,), (t,) = primals, tangents
    p = _pinv(a, rtol, hermitian)
    pt, tt = adjoint(p), adjoint(t)
    left = matmul(matmul(p, pt), ufuncs.subtract(tt, matmul(matmul(tt, a), p)))
    right = matmul(ufuncs.subtract(tt, matmul(p, matmul(a, tt))), matmul(pt, p))
    return p, ufuncs.add(ufuncs.subtract(left, matmul(matmul(p, t), p)), right)


def pinv(
    a: Any, rtol: float | None = None, hermitian: bool = False, *, rcond: float | None = None
) -> Array:
    """The pseudo-inverses of matrices, after Moore and Penrose.

    Parameters
    ----------
    a : array_like
        ``(..., m, n)``.
    rtol : float, optional
        Singular values up to ``rtol`` times the largest count as zero; by default 10 max(m, n)
        times the machine epsilon. The derivative takes the rank to be constant.
    hermitian : bool
        Whether the matrices are Hermitian; then the lower triangles are read.
    rcond : float, optional
        NumPy's older name of ``rtol``.

    Returns
    -------
    array
        ``(..., n, m)``.

    Examples
    --------
    >>> pinv(np.array([[2.0, 0.0], [0.0, 0.0]]))
    array([[0.5, 0. ],
           [0. , 0. ]])
    """
    a = as_matrices("pinv", a, square=hermitian)
    if hermitian:
        a = hermitian_of_lower(a)
    rtol = rcond if rtol is None else rtol
    if rtol is None:
        rtol = 10 * max(a.shape[-2:]) * float(np.finfo(a.dtype).eps)
    return _pinv(a, rtol, hermitian)


def lstsq(a: Any, b: Any, rcond: float | None = None) -> tuple[Array, Array, Array, Array]:
    """The least-squares solution of ``a x = b``, of least norm where there are several.

    Parameters
    ----------
    a : array_like
        ``(m, n)``.
    b : array_like
        ``(m,)`` or ``(m, k)``.
    rcond : float, optional
        Singular values up to ``rcond`` times the largest count as zero; by default max(m, n) times
        the machine epsilon.

    Returns
    -------
    x : array
        ``(n,)`` or ``(n, k)``.
    residuals : array
        ``(1,)`` or ``(k,)``: sums of squares. Unlike NumPy's they are there for any rank, since
        shapes do not depend on values.
    rank : array
        The effective rank of ``a``.
    s : array
        The singular values of ``a``.

    Examples
    --------
    >>> x, residuals, rank, s = lstsq(np.array([[1.0], [1.0]]), np.array([1.0, 3.0]))
    >>> x.round(12), rank
    (array([2.]), np.int64(1))
    """
    a, b = as_matrices("lstsq", a), as_floats("lstsq", asarray(b))
    if a.ndim != 2 or b.ndim not in (1, 2) or b.shape[0] != a.shape[0]:
        raise ValueError(
            f"lstsq: needs a of shape (m, n) and b of shape (m,) or (m, k), got {a.shape} and"
            f" {b.shape}"
        )
    dtype = result_type(a, b)
    a, b = convert(a, dtype), convert(b, dtype)
    if rcond is None:
        rcond = max(a.shape) * float(np.finfo(a.dtype).eps)
    columns = expand_dims(b, -1) if b.ndim == 1 else b
    x = matmul(_pinv(a, rcond, False), columns)
    error = ufuncs.subtract(columns, matmul(a, x))
    residuals = reductions.sum(squared_magnitude(error), 0)
    return squeeze(x, -1) if b.ndim == 1 else x, residuals, matrix_rank(a, rcond), svdvals(a)
