"""Householder's reflections: products with them, and matrices that they bring to simple form.

A reflection is ``H = 1 - tau v vᴴ``, where the first element of v that is not 0 is 1. They are kept
as LAPACK keeps them: what follows that element stands below some diagonal of a matrix.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fnad.numpy import ufuncs
from fnad.numpy.complex_numbers import conjugate, imag, real, squared_magnitude
from fnad.numpy.contraction import matmul
from fnad.numpy.creation import eye
from fnad.numpy.indexing import diagonal, take
from fnad.numpy.manipulation import broadcast_to, flip
from fnad.numpy.operands import Array
from fnad.numpy.reductions import all as all_of
from fnad.numpy.reductions import max as max_of
from fnad.numpy.reductions import sum as sum_of
from fnad.numpy.selection import where
from fnad.numpy.solving import adjoint, as_matrices
from fnad.primitives.control_flow import fori_loop
from fnad.primitives.linalg.matrices import lower_part, upper_part
from fnad.primitives.linalg.triangular import triangular_solve
from fnad.primitives.logic import stop_gradient


def ormqr(a: Any, taus: Any, c: Any, *, left: bool = True, transpose: bool = False) -> Array:
    """The product of matrices with the factor Q of a QR factorisation, kept as reflections.

    Parameters
    ----------
    a : array
        ``(..., m, k)``: below its diagonal, the vectors of k reflections, of which Q ``(m, m)`` is
        the product. Further columns are not read.
    taus : array
        ``(..., k)``, their factors.
    c : array
        ``(..., m, n)``, or ``(..., n, m)`` unless ``left``.
    left : bool
        Whether the result is ``Q c``, else ``c Q``.
    transpose : bool
        Whether the adjoint of Q is taken in place of Q.

    Returns
    -------
    array
        Of the shape of ``c``.

    Examples
    --------
    >>> a, taus = np.array([[-5.0], [0.5]]), np.array([1.6])  # of (3, 4)
    >>> ormqr(a, taus, np.array([[3.0], [4.0]]), transpose=True)
    array([[-5.],
           [ 0.]])
    """
    a, c = as_matrices("ormqr", a), as_matrices("ormqr", c)
    count, length = taus.shape[-1], c.shape[-2 if left else -1]
    if count > min(a.shape[-2:]) or length != a.shape[-2]:
        raise ValueError(
            f"ormqr: {count} reflections in an array of shape {a.shape} do not go with matrices of"
            f" shape {c.shape} on the {'right' if left else 'left'}"
        )
    if not left:
        return adjoint(ormqr(a, taus, adjoint(c), transpose=not transpose))
    v = lower_part(a[..., :count], -1) + eye(length, count, dtype=a.dtype)
    conjugated = adjoint(v)
    # Q = 1 - V T Vᴴ with the inverse of T = triu(Vᴴ V, 1) + diag(1 / taus): Joffrain et al. (2006),
    # "Accumulating Householder transformations, revisited". A factor may be 0, so that T is taken
    # as the product of diag(taus) with the inverse of a matrix with ones on its diagonal.
    inverse = upper_part(matmul(conjugated, v), 1) * taus[..., None, :]
    solve = partial(triangular_solve, left_side=True, unit_diagonal=True)
    inner, factors = matmul(conjugated, c), taus[..., None]
    inverse, inner = _of_one_stack(inverse, inner)
    if transpose:
        inner = _of_one_stack(inverse, conjugate(factors) * inner)[1]
        inner = solve(inverse, inner, transpose_a=True, conjugate_a=True)
    else:
        inner = factors * solve(inverse, inner)
    return c - matmul(v, inner)


def _of_one_stack(*xs: Array) -> list[Array]:
    batch = np.broadcast_shapes(*[x.shape[:-2] for x in xs])
    return [broadcast_to(x, (*batch, *x.shape[-2:])) for x in xs]


def householder_product(a: Any, taus: Any) -> Array:
    """The leading columns of a product of reflections.

    Parameters
    ----------
    a : array
        ``(..., m, n)``: below its diagonal, the vectors of the reflections; m is n at least.
    taus : array
        ``(..., k)``, their factors; k is n at most.

    Returns
    -------
    array
        ``(..., m, n)``, with orthonormal columns.

    Examples
    --------
    >>> householder_product(np.array([[-5.0], [0.5]]), np.array([1.6])).round(12)
    array([[-0.6],
           [-0.8]])
    """
    a = as_matrices("householder_product", a)
    if taus.shape[-1] > min(a.shape[-2:]):
        raise ValueError(
            f"householder_product: an array of shape {a.shape} has no room for the"
            f" {taus.shape[-1]} reflections that taus of shape {taus.shape} stand for"
        )
    return ormqr(a, taus, broadcast_to(eye(a.shape[-2], a.shape[-1], dtype=a.dtype), a.shape))


def hessenberg(a: Any) -> tuple[Array, Array]:
    """Square matrices in Hessenberg form, ``H = Qᴴ a Q``, and the reflections that lead there.

    Parameters
    ----------
    a : array
        ``(..., n, n)``.

    Returns
    -------
    packed : array
        ``(..., n, n)``: H on the diagonal below the main one and above it, and below that the
        vectors of the reflections of which Q is the product.
    taus : array
        ``(..., n - 1)``, the factors of the reflections.

    Examples
    --------
    >>> packed, taus = hessenberg(np.array([[1.0, 2.0, 3.0], [3.0, 1.0, 0.0], [4.0, 0.0, 1.0]]))
    >>> packed[:, 0].round(12), taus
    (array([ 1. , -5. ,  0.5]), array([1.6, 0. ]))
    """
    return _reflected(as_matrices("hessenberg", a, square=True), offset=1, both_sides=True)


def reflected_columns(a: Array) -> tuple[Array, Array]:
    """The QR factorisation as LAPACK keeps it: R, the vectors of reflections below, and factors."""
    return _reflected(a, offset=0, both_sides=False)


def _reflected(a: Array, offset: int, both_sides: bool) -> tuple[Array, Array]:
    """Zeros below a diagonal, in place of which there are vectors of reflections."""
    *batch, m, n = a.shape
    count = n - 1 if both_sides else min(m, n)
    taus = broadcast_to(np.zeros(max(count, 0), a.dtype), (*batch, max(count, 0)))
    if count < 1:
        return a, taus
    rows, numbers = np.arange(m), np.arange(count)

    def reflect(k: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        left, vectors, taus = carry
        column, first_row = take(left, k, -1), k + offset
        beta, tau, v = _reflection(column, first_row, rows)
        v = v[..., None]
        conjugated = adjoint(v)
        out = left - conjugate(tau)[..., None, None] * v * matmul(conjugated, left)
        here = np.arange(n) == k
        reduced = where(rows == first_row, beta[..., None], where(rows < first_row, column, 0))
        out = where(here, reduced[..., None], out)
        if both_sides:
            out = out - matmul(out, v) * (tau[..., None, None] * conjugated)
        vectors = where(here & (rows > first_row)[:, None], v, vectors)
        return out, vectors, where(numbers == k, tau[..., None], taus)

    vectors = broadcast_to(np.zeros((m, n), a.dtype), a.shape)
    out, vectors, taus = fori_loop(0, count, reflect, (a, vectors, taus))
    return out + vectors, taus


def _reflection(column: Array, first_row: Array, rows: Any) -> tuple[Array, Array, Array]:
    """Element, factor and vector of the reflection that leaves one real element from a row on."""
    first = take(column, first_row, -1)
    rest = where(rows > first_row, column, 0)
    # No square over- or underflows, and the length does not depend on how it is measured.
    behind = where(rows >= first_row, column, 0)
    unit = stop_gradient(max_of(ufuncs.absolute(behind), -1, keepdims=True))
    unit = where(unit > 0, unit, 1)
    size = ufuncs.sqrt(sum_of(squared_magnitude(behind / unit), -1)) * unit[..., 0]
    # A multiple of the first unit vector stays what it is, as in LAPACK's larfg.
    done = ufuncs.logical_and(all_of(ufuncs.equal(rest, 0), -1), ufuncs.equal(imag(first), 0))
    beta = -ufuncs.copysign(size, real(first))
    divisor = where(done, 1, first - beta)
    tau = where(done, 0, (beta - first) / where(done, 1, beta))
    v = rest / divisor[..., None] + ufuncs.equal(rows, first_row)
    return where(done, first, beta), tau, v


def tridiagonal(a: Any, *, lower: bool = True) -> tuple[Array, Array, Array, Array]:
    """Hermitian matrices in tridiagonal form, ``T = Qᴴ a Q``, and the reflections of Q.

    Parameters
    ----------
    a : array
        ``(..., n, n)``, symmetric or Hermitian.
    lower : bool
        Whether the lower triangle is read, else the upper one.

    Returns
    -------
    packed : array
        ``(..., n, n)``: T on the diagonal and the one below (above, unless ``lower``), and beyond
        that the vectors of the reflections; the other triangle is that of ``a``.
    d, e : array
        ``(..., n)`` and ``(..., n - 1)``, the diagonals of T, real.
    taus : array
        ``(..., n - 1)``, the factors of the reflections.

    Examples
    --------
    >>> _, d, e, _ = tridiagonal(np.array([[2.0, 3.0, 4.0], [3.0, 1.0, 0.0], [4.0, 0.0, 1.0]]))
    >>> d.round(12), e.round(12)
    (array([2., 1., 1.]), array([-5.,  0.]))
    """
    a = as_matrices("tridiagonal", a, square=True)
    if not lower:
        # Turned around, the upper triangle is a lower one, which LAPACK's reflections begin with.
        turned = tridiagonal(flip(a, (-2, -1)))
        packed, d, e, taus = (flip(x, -1) for x in turned)
        return flip(packed, -2), d, e, taus
    below = lower_part(a, -1)
    whole = below + adjoint(below) + lower_part(upper_part(real(a))).astype(a.dtype)
    packed, taus = _reflected(whole, offset=1, both_sides=True)
    d, e = (real(diagonal(packed, k, -2, -1)) for k in (0, -1))
    return lower_part(packed) + upper_part(a, 1), d, e, taus
