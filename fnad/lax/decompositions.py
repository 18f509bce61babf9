"""Eigenvalues, singular values and QR with all that `jax.lax.linalg` asks for."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.numpy.operands import Array, expand
from fnad.numpy.solving import adjoint, as_matrices
from fnad.primitives.control_flow import scan
from fnad.primitives.linalg import eig as general
from fnad.primitives.linalg import eigh as hermitian
from fnad.primitives.linalg import qr as orthogonal
from fnad.primitives.linalg import svd as singular
from fnad.primitives.logic import stop_gradient


def _subset(name: str, subset_by_index: Any, count: int) -> slice:
    """Which of so many values and vectors are wanted, from one index up to another."""
    if subset_by_index is None:
        return slice(None)
    start, stop = (int(i) for i in subset_by_index)
    if not 0 <= start < stop <= count:
        raise ValueError(
            f"{name}: subset_by_index is a pair of a start and a stop with"
            f" 0 <= start < stop <= {count}, got {tuple(subset_by_index)}"
        )
    return slice(start, stop)


def eig(
    x: Any, *, compute_left_eigenvectors: bool = True, compute_right_eigenvectors: bool = True
) -> list[Array]:
    """Eigenvalues and eigenvectors of general square matrices.

    The derivatives are those for distinct eigenvalues (Boeddeker et al. 2017, arXiv:1701.00392);
    where two are equal, those of eigenvectors and second ones of eigenvalues are not finite (see
    ``fnad.scipy.linalg.funm``). The eigenvalues of a defective
    matrix, of fewer than n eigenvectors, have none: where the eigenvectors found depend on each
    other to rounding, the derivatives are NaN; where rounding has set them apart, they are large.

    Parameters
    ----------
    x : array
        ``(..., n, n)``, floats or complex numbers of single or double precision.
    compute_left_eigenvectors, compute_right_eigenvectors : bool
        Whether to return them.

    Returns
    -------
    values : array
        ``(..., n)``, complex, in no particular order.
    left, right : array
        ``(..., n, n)``, complex, where they are wanted: columns u and v with ``uᴴ x = w uᴴ`` and
        ``x v = w v``, of length 1, whose largest component is real and positive. Those on the left
        come of the inverse of those on the right: as many digits are lost as its condition has.

    Examples
    --------
    >>> values, left, right = eig(np.array([[2.0, 1.0], [0.0, 3.0]]))
    >>> values, left.real.round(4)
    (array([2.+0.j, 3.+0.j]), array([[ 0.7071,  0.    ],
           [-0.7071,  1.    ]]))
    """
    if not compute_left_eigenvectors:
        return list(general.eig(x, compute_right_eigenvectors=compute_right_eigenvectors))
    values, right = general.eig(x)
    left = _normalized(adjoint(fnp.linalg.inv(right)))
    return [values, left, right] if compute_right_eigenvectors else [values, left]


def _normalized(columns: Array) -> Array:
    """Columns of length 1, the first of their largest components real and positive."""
    if 0 in columns.shape:
        return columns
    largest = fnp.argmax(fnp.abs(columns), -2)[..., None, :]
    columns = columns / fnp.take_along_axis(columns, largest, -2)
    return columns / fnp.linalg.norm(columns, axis=-2, keepdims=True)


def eigh(
    x: Any,
    *,
    lower: bool = True,
    symmetrize_input: bool = True,
    sort_eigenvalues: bool = True,
    subset_by_index: tuple[int, int] | None = None,
) -> tuple[Array, Array]:
    """Eigenvectors and eigenvalues of symmetric and Hermitian matrices.

    The derivative of eigenvectors is that for distinct eigenvalues; where two are equal, it and the
    second one of eigenvalues are NaN or infinite. What is made of all eigenvalues by one function
    has its derivatives there by ``fnad.scipy.linalg.funm(x, f, hermitian=True)``.

    Parameters
    ----------
    x : array
        ``(..., n, n)``, floats or complex numbers of single or double precision.
    lower : bool
        Which triangle is read, if the input is not symmetrized.
    symmetrize_input : bool
        Whether to decompose ``(x + xᴴ) / 2``.
    sort_eigenvalues : bool
        Whether their order matters; they are in order in any case.
    subset_by_index : (int, int), optional
        Of which eigenvalues, in order, to return those from the first index up to the second.

    Returns
    -------
    vectors : array
        ``(..., n, k)``, as columns.
    values : array
        ``(..., k)``, ascending; real.

    Examples
    --------
    >>> eigh(np.diag([3.0, 1.0, 2.0]), subset_by_index=(1, 3))[1]
    array([2., 3.])
    """
    x = as_matrices("eigh", x, square=True)
    wanted = _subset("eigh", subset_by_index, x.shape[-1])
    if not (lower or symmetrize_input):
        x = adjoint(x)
    vectors, values = hermitian.eigh(x, symmetrize_input=symmetrize_input)
    return (vectors, values) if wanted.stop is None else (vectors[..., wanted], values[..., wanted])


def svd(
    x: Any,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    subset_by_index: tuple[int, int] | None = None,
) -> Any:
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
    subset_by_index : (int, int), optional
        Of which singular values, in order, to return those from the first index up to the second,
        with their vectors.

    Returns
    -------
    (u, s, vt), or s without ``compute_uv``
        s is ``(..., min(m, n))``, descending and real.

    Examples
    --------
    >>> svd(np.array([[0.0, 2.0], [1.0, 0.0]]), compute_uv=False, subset_by_index=(0, 1))
    array([2.])
    """
    x = as_matrices("svd", x)
    count = min(x.shape[-2:])
    wanted = _subset("svd", subset_by_index, count)
    if not compute_uv:
        return singular.svd(x, compute_uv=False)[..., wanted]
    if wanted.stop is None:
        return singular.svd(x, full_matrices=full_matrices)
    if full_matrices and wanted != slice(0, count):
        raise ValueError(
            f"svd: full_matrices asks for all vectors, subset_by_index={subset_by_index} for some;"
            " give full_matrices=False"
        )
    if full_matrices:
        return singular.svd(x, full_matrices=True)
    u, s, vt = singular.svd(x, full_matrices=False)
    return u[..., wanted], s[..., wanted], vt[..., wanted, :]


def qr(x: Any, *, pivoting: bool = False, full_matrices: bool = True) -> tuple[Array, ...]:
    """The QR factorisation, ``x = q r``.

    Differentiable unless ``full_matrices`` completes the columns of q, which ``x`` does not
    determine; in the leading columns, as many as there are rows at most, ``x`` must have full rank.

    Parameters
    ----------
    x : array
        ``(..., m, n)``, floats or complex numbers of single or double precision.
    pivoting : bool
        Whether to exchange columns such that the diagonal of r descends in absolute value.
    full_matrices : bool
        Whether q is ``(..., m, m)``; else it has min(m, n) columns.

    Returns
    -------
    q, r : array
        Orthonormal columns, and an upper triangular matrix.
    p : array of int32, with ``pivoting``
        ``(..., n)``, the order of columns: ``x[..., p] = q r``.

    Examples
    --------
    >>> q, r = qr(np.array([[3.0], [4.0]]), full_matrices=False)
    >>> r
    array([[-5.]])
    >>> q, r, p = qr(np.array([[1.0, 0.0], [0.0, 2.0]]), pivoting=True)
    >>> p, abs(r)
    (array([1, 0], dtype=int32), array([[2., 0.],
           [0., 1.]]))
    """
    if not pivoting:
        return orthogonal.qr(x, full_matrices=full_matrices)
    x = as_matrices("qr", x)
    columns = _descending_columns(stop_gradient(x))
    x = fnp.take_along_axis(x, columns[..., None, :], -1)
    return (*orthogonal.qr(x, full_matrices=full_matrices), columns)


def _descending_columns(a: Array) -> Array:
    """Orders of columns: each of the first is the farthest from the span of those before it."""
    m, n = a.shape[-2:]
    places = fnp.arange(n, dtype=np.int32)
    order = expand(fnp.asarray(places), (*a.shape[:-2], n))
    if 0 in a.shape:
        return order

    def choose(carry: tuple[Array, Array], i: Array) -> tuple[tuple[Array, Array], None]:
        rest, order = carry
        size = fnp.where(places < i, -1, fnp.linalg.norm(rest, axis=-2))
        best = fnp.argmax(size, -1).astype(np.int32)[..., None]
        exchange = fnp.where(places == i, best, fnp.where(places == best, i, places))
        order = fnp.take_along_axis(order, exchange, -1)
        rest = fnp.take_along_axis(rest, exchange[..., None, :], -1)
        column = fnp.take(rest, i, -1)[..., None]
        length = fnp.take_along_axis(size, best, -1)[..., None]
        column = column / fnp.where(length > 0, length, 1)
        # Twice is enough for orthogonality: Giraud et al. (2005).
        for _again in range(2):
            rest = rest - column @ (adjoint(column) @ rest)
        return (rest, order), None

    steps = fnp.arange(min(m, n), dtype=np.int32)
    return scan(choose, (a, order), steps)[0][1]
