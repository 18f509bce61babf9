"""Linear equations and inverses, by triangular factors of the matrices."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.dtypes import result_type
from fnad.core.types import is_half, kind_of
from fnad.numpy.complex_numbers import conjugate
from fnad.numpy.contraction import matmul
from fnad.numpy.creation import asarray, eye
from fnad.numpy.manipulation import expand_dims, matrix_transpose, squeeze
from fnad.numpy.operands import Array, broadcast_shapes, convert, expand
from fnad.primitives.custom import custom_jvp
from fnad.primitives.linalg import cholesky as factorisation
from fnad.primitives.linalg.lu import lu, lu_solve


def as_matrices(name: str, x: Any, *, square: bool = False) -> Array:
    """A stack of matrices in a dtype that LAPACK takes: integers become doubles, as in NumPy."""
    a = asarray(x)
    if a.ndim < 2:
        raise ValueError(f"{name}: needs an array of at least two axes, got shape {a.shape}")
    if square and a.shape[-1] != a.shape[-2]:
        raise ValueError(f"{name}: the last two axes must be of one length, got shape {a.shape}")
    return as_floats(name, a)


def adjoint(a: Array) -> Array:
    """The conjugate transposes of matrices."""
    return matrix_transpose(conjugate(a) if a.dtype.kind == "c" else a)


def as_floats(name: str, a: Array) -> Array:
    """An array in a dtype that LAPACK takes."""
    if kind_of(a.dtype) in "biu":
        return convert(a, np.dtype(np.float64))
    if is_half(a.dtype):
        raise TypeError(
            f"{name}: takes float32, float64 (integers become float64), complex64 or complex128,"
            f" got {a.dtype}. Convert the array first."
        )
    return a


def cholesky(a: Any, /, *, upper: bool = False, symmetrize_input: bool = True) -> Array:
    """The Cholesky factors of symmetric positive definite matrices, ``a = L Lᵀ``.

    Those of Hermitian ones have ``a = L Lᴴ``.

    Parameters
    ----------
    a : array_like
        ``(..., n, n)``.
    upper : bool
        Whether to return ``Lᵀ`` (``Lᴴ``) in place of ``L``.
    symmetrize_input : bool
        Whether to factorise ``(a + aᵀ) / 2`` (``(a + aᴴ) / 2``); else only the lower triangle is
        read.

    Returns
    -------
    array
        Triangular, as ``a``. A matrix that is not positive definite gives NaN, where NumPy raises
        an exception.

    Examples
    --------
    >>> cholesky(np.array([[4.0, 2.0], [2.0, 2.0]]))
    array([[2., 0.],
           [1., 1.]])
    """
    a = as_matrices("cholesky", a, square=True)
    factor = factorisation.cholesky(a, symmetrize_input=symmetrize_input)
    return adjoint(factor) if upper else factor


@custom_jvp
def _solve(a: Array, b: Array) -> Array:
    factors, _, permutation = lu(a)
    return lu_solve(factors, permutation, b)


@_solve.defjvp
def _(primals: Sequence[Array], tangents: Sequence[Array]) -> tuple[Array, Array]:
    # a x' = b' - a' x: Giles (2008), 2.3.1. One factorisation serves both.
    (a, b), (ta, tb) = primals, tangents
    factors, _, permutation = lu(a)
    x = lu_solve(factors, permutation, b)
    return x, lu_solve(factors, permutation, tb - matmul(ta, x))


def solve(a: Any, b: Any) -> Array:
    """Solve ``a x = b`` for square matrices.

    Parameters
    ----------
    a : array_like
        ``(..., n, n)``.
    b : array_like
        ``(n,)`` or ``(..., n, m)``; leading axes broadcast against those of ``a``.

    Returns
    -------
    array
        ``(..., n)`` for one vector, else ``(..., n, m)``. Where a matrix is singular there are
        infinities or NaN, where NumPy raises an exception.

    Examples
    --------
    >>> solve(np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([1.0, 2.0]))
    array([-1.,  1.])
    """
    a, b = as_matrices("solve", a, square=True), as_floats("solve", asarray(b))
    if b.ndim == 0 or b.shape[max(b.ndim - 2, 0)] != a.shape[-1]:
        raise ValueError(
            f"solve: b of shape {b.shape} must have {a.shape[-1]} rows, as a of shape {a.shape} has"
        )
    is_vector = b.ndim == 1
    b = expand_dims(b, -1) if is_vector else b
    dtype = result_type(a, b)
    batch = broadcast_shapes((a.shape[:-2], b.shape[:-2]), "solve")
    a, b = (expand(convert(x, dtype), (*batch, *x.shape[-2:])) for x in (a, b))
    x = _solve(a, b)
    return squeeze(x, -1) if is_vector else x


def inv(a: Any) -> Array:
    """The inverses of square matrices ``(..., n, n)``; of singular ones, infinities or NaN.

    Examples
    --------
    >>> inv(np.array([[2.0, 0.0], [0.0, 4.0]]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    a = as_matrices("inv", a, square=True)
    return solve(a, eye(a.shape[-1], dtype=a.dtype))


def matrix_power(a: Any, n: int) -> Array:
    """The product of ``n`` square matrices ``a``, or of their inverses if ``n`` is negative.

    Examples
    --------
    >>> matrix_power(np.array([[1, 1], [0, 1]]), 5)
    array([[1, 5],
           [0, 1]])
    """
    a, n = asarray(a), operator.index(n)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(f"matrix_power: needs square matrices, got shape {a.shape}")
    if n < 0:
        a, n = inv(a), -n
    if n == 0:
        return expand(eye(a.shape[-1], dtype=a.dtype), a.shape)
    product = None
    while n:
        if n % 2:
            product = a if product is None else matmul(product, a)
        n //= 2
        a = matmul(a, a) if n else a
    assert product is not None
    return product
