"""Determinants, and their derivatives at singular matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fnad.numpy import ufuncs
from fnad.numpy.complex_numbers import conjugate
from fnad.numpy.contraction import matmul
from fnad.numpy.creation import eye
from fnad.numpy.indexing import diagonal
from fnad.numpy.joining import concatenate, stack
from fnad.numpy.manipulation import expand_dims, matrix_transpose, squeeze
from fnad.numpy.operands import Array, constant_like, convert
from fnad.numpy.ranges import arange
from fnad.numpy.reductions import all as all_of
from fnad.numpy.reductions import cumprod, prod
from fnad.numpy.reductions import max as max_of
from fnad.numpy.reductions import sum as sum_of
from fnad.numpy.selection import where
from fnad.numpy.solving import adjoint, as_matrices, inv
from fnad.primitives.control_flow.branches import cond
from fnad.primitives.custom import custom_jvp
from fnad.primitives.linalg.lu import lu
from fnad.primitives.linalg.svd import svd
from fnad.primitives.logic import stop_gradient
from fnad.primitives.shape import full_like


class SlogdetResult(NamedTuple):
    """What `slogdet` returns."""

    sign: Array
    logabsdet: Array


def slogdet(a: Any) -> SlogdetResult:
    """The signs of determinants and the logarithms of their absolute values.

    The sign of a complex number is it divided by its absolute value.

    Parameters
    ----------
    a : array_like
        ``(..., n, n)``.

    Returns
    -------
    SlogdetResult
        A named tuple ``(sign, logabsdet)``; 0 and -inf for singular matrices, where the derivative
        of the logarithm is not finite.

    Examples
    --------
    >>> sign, logabsdet = slogdet(np.array([[0.0, 2.0], [2.0, 0.0]]))
    >>> sign, logabsdet
    (np.float64(-1.0), np.float64(1.3862943611198906))
    """
    a = as_matrices("slogdet", a, square=True)
    parity, pivots = _parity_and_pivots(*lu(a)[:2])
    sign = ufuncs.multiply(parity, prod(ufuncs.sign(pivots), -1))
    return SlogdetResult(sign, sum_of(ufuncs.log(ufuncs.absolute(pivots)), -1))


def det(a: Any) -> Array:
    """The determinants of square matrices ``(..., n, n)``.

    The first and the second derivative are right at singular matrices, of any rank; those of higher
    order are NaN there if singular values are equal, unless the matrices have three rows or less.

    Examples
    --------
    >>> det(np.array([[0.0, 2.0], [2.0, 0.0]]))
    np.float64(-4.0)
    """
    return _det(as_matrices("det", a, square=True))


@custom_jvp
def _det(a: Array) -> Array:
    if not 1 <= a.shape[-1] <= 3:
        return _det_by_pivots(a)
    found = sum_of(ufuncs.multiply(a[..., 0, :], _cofactors_of_small(a)[..., 0, :]), -1)
    # Products of two elements overflow or underflow where those of pivots need not; what underflows
    # is then multiplied by at most the largest element.
    largest, limits = max_of(ufuncs.absolute(a), (-2, -1)), np.finfo(a.dtype)
    lost = ufuncs.multiply(ufuncs.maximum(largest, 1), limits.tiny / limits.eps)
    large = ufuncs.logical_or(ufuncs.absolute(found) >= lost, ufuncs.equal(largest, 0))
    inside = ufuncs.logical_and(ufuncs.isfinite(found), large)
    return cond(all_of(inside), lambda a, found, inside: found, _with_pivots, a, found, inside)


def _with_pivots(a: Array, found: Array, inside: Array) -> Array:
    return where(inside, found, _det_by_pivots(a))


def _det_by_pivots(a: Array) -> Array:
    parity, pivots = _parity_and_pivots(*lu(a)[:2])
    found = ufuncs.multiply(parity, prod(pivots, -1))
    # The product of those before a 0 may be infinite, and then that with it no number.
    singular = ufuncs.equal(prod(ufuncs.sign(pivots), -1), 0)
    return where(ufuncs.logical_and(singular, all_of(ufuncs.isfinite(pivots), -1)), 0, found)


@_det.defjvp
def _(primals: Sequence[Array], tangents: Sequence[Array]) -> tuple[Array, Array]:
    # Jacobi's formula: each element counts by its cofactor.
    (a,), (t,) = primals, tangents
    if a.shape[-1] == 0:
        return _det(a), sum_of(t, (-2, -1))
    if a.shape[-1] <= 3:
        cofactors = _cofactors_of_small(a)
    else:
        cofactors = cond(_is_regular(stop_gradient(a)), _cofactors_by_inverse, _cofactors, a)
    return _det(a), sum_of(ufuncs.multiply(cofactors, t), (-2, -1))


def _cofactors_of_small(a: Array) -> Array:
    """The cofactors of matrices of up to three rows: products of two elements, and derivatives."""
    n = a.shape[-1]
    if n == 1:
        return full_like(a, 1)
    x = [[a[..., i, j] for j in range(n)] for i in range(n)]
    if n == 2:
        (p, q), (r, s) = x
        return stack([stack([s, -r], -1), stack([-q, p], -1)], -2)

    def cofactor(i: int, j: int) -> Array:
        # Indices taken in turn give the sign.
        (i, k), (j, m) = (((i + 1) % 3, (i + 2) % 3) for i in (i, j))
        return x[i][j] * x[k][m] - x[i][m] * x[k][j]

    return stack([stack([cofactor(i, j) for j in range(3)], -1) for i in range(3)], -2)


def _is_regular(a: Array) -> Array:
    """Whether the inverses of all matrices say what the cofactors are."""
    pivots = _parity_and_pivots(*lu(a)[:2])[1]
    limits, size = np.finfo(a.dtype), ufuncs.absolute(pivots)
    # The second derivative loses as many digits as the smallest pivot is smaller than the largest.
    large = ufuncs.greater(
        size, ufuncs.multiply(limits.eps ** (1 / 3), max_of(size, -1, keepdims=True))
    )
    magnitude = prod(size, -1)
    inside = ufuncs.logical_and(magnitude > limits.tiny, magnitude < limits.max)
    return ufuncs.logical_and(all_of(large), all_of(inside))


def _cofactors_by_inverse(a: Array) -> Array:
    return ufuncs.multiply(expand_dims(_det(a), (-2, -1)), matrix_transpose(inv(a)))


@custom_jvp
def _cofactors(a: Array) -> Array:
    # Of A = U S Vᴴ, the adjugate is det(U) det(Vᴴ) V adj(S) Uᴴ: Stewart (1998), "On the adjugate
    # matrix".
    u, s, vt = svd(a)
    return _turned(u, _diagonal_matrix(_prefix(s) * _suffix(s)), vt)


@_cofactors.defjvp
def _(primals: Sequence[Array], tangents: Sequence[Array]) -> tuple[Array, Array]:
    # With B = Uᴴ A' V and c[i, j] the product of all s but s[i] and s[j], the change of the
    # cofactors of S is -c[i, j] B[j, i] off the diagonal, and the sum of c[i, k] B[k, k] on it.
    (a,), (t,) = primals, tangents
    u, s, vt = svd(a)
    inner = matmul(matmul(adjoint(u), t), adjoint(vt))
    n = a.shape[-1]
    row, column = arange(n)[:, None], arange(n)
    between = cumprod(where(column > row, s[..., None, :], constant_like(s, 1)), -1)
    between = concatenate([full_like(s[..., :, None], 1), between[..., :-1]], -1)
    rest = where(column > row, _prefix(s)[..., None] * between * _suffix(s)[..., None, :], 0)
    rest = rest + matrix_transpose(rest)
    own = matmul(convert(rest, a.dtype), expand_dims(diagonal(inner, 0, -2, -1), -1))
    change = _diagonal_matrix(squeeze(own, -1)) - matrix_transpose(rest * inner)
    return _cofactors(a), _turned(u, change, vt)


def _turned(u: Array, x: Array, vt: Array) -> Array:
    factor = _det(u) * _det(vt)
    turned = matmul(matmul(conjugate(u), convert(x, u.dtype)), conjugate(vt))
    return factor[..., None, None] * turned


def _diagonal_matrix(x: Array) -> Array:
    return where(eye(x.shape[-1], dtype=bool), x[..., None, :], 0)


def _prefix(s: Array) -> Array:
    """The products of what is before each number."""
    return concatenate([full_like(s[..., :1], 1), cumprod(s, -1)[..., :-1]], -1)


def _suffix(s: Array) -> Array:
    """The products of what is behind each number."""
    return _prefix(s[..., ::-1])[..., ::-1]


def _parity_and_pivots(factors: Array, exchanges: Array) -> tuple[Array, Array]:
    """The sign of the permutation of an LU factorisation, and the diagonal of U."""
    exchanged = ufuncs.not_equal(exchanges, arange(factors.shape[-1], dtype=np.int32))
    odd = ufuncs.remainder(sum_of(exchanged, -1), 2)
    parity = convert(ufuncs.subtract(1, ufuncs.multiply(2, odd)), factors.dtype)
    return parity, diagonal(factors, 0, -2, -1)
