"""The factorisations of Gauss and Householder."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad import lax
from fnad.numpy.operands import Array, convert, expand
from fnad.numpy.solving import as_matrices
from fnad.primitives.linalg import lu as exchanging
from fnad.primitives.linalg.matrices import lower_part, upper_part
from fnad.primitives.linalg.permutations import permute_rows
from fnad.scipy.linalg.operands import of_one_dtype


def lu(
    a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Array, ...]:
    """The LU factorisation with exchanges of rows, ``a = P L U``.

    Parameters
    ----------
    a : array_like
        ``(..., m, n)``.
    permute_l : bool
        Whether to return ``P L`` in place of P and L.
    overwrite_a, check_finite : bool
        For the sake of SciPy's signature, as in all functions of this module.

    Returns
    -------
    (P, L, U), or (P L, U) with ``permute_l``
        ``(..., m, m)``, ``(..., m, k)`` and ``(..., k, n)``, with k = min(m, n).

    Examples
    --------
    >>> p, l, u = lu(np.array([[1.0, 5.0], [2.0, 4.0]]))
    >>> u
    array([[2., 4.],
           [0., 3.]])
    """
    del overwrite_a, check_finite
    a = as_matrices("lu", a)
    factors, _, order = exchanging.lu(a)
    m, n = a.shape[-2:]
    k = min(m, n)
    lower = lower_part(factors, -1)[..., :k] + fnp.eye(m, k, dtype=a.dtype)
    upper = upper_part(factors)[..., :k, :]
    if permute_l:
        return permute_rows(lower, fnp.argsort(order, -1)), upper
    exchanges = order[..., None, :] == fnp.arange(m, dtype=np.int32)[:, None]
    p = convert(exchanges, fnp.real(a).dtype)
    return p, lower, upper


def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> tuple[Array, ...]:
    """The QR factorisation, ``a = Q R``.

    Parameters
    ----------
    a : array_like
        ``(..., m, n)``.
    lwork : optional
        For the sake of SciPy's signature.
    mode : {"full", "r", "economic"}
        Whether Q is ``(..., m, m)``, or not returned, or has min(m, n) columns.
    pivoting : bool
        Whether to exchange columns such that the diagonal of R descends in absolute value.

    Returns
    -------
    (Q, R), (R,) for mode "r"; with ``pivoting``, the columns' order p behind them
        ``a[..., p] = Q R``; p is int32.

    Examples
    --------
    >>> q, r, p = qr(np.array([[1.0, 0.0], [0.0, 2.0]]), pivoting=True)
    >>> p, abs(r)
    (array([1, 0], dtype=int32), array([[2., 0.],
           [0., 1.]]))
    """
    del overwrite_a, lwork, check_finite
    if mode not in ("full", "r", "economic"):
        raise ValueError(f"qr: mode must be 'full', 'r' or 'economic', got {mode!r}")
    a = as_matrices("qr", a)
    full = mode == "full"
    q, r, *order = lax.linalg.qr(a, pivoting=pivoting, full_matrices=full)
    if mode == "r":
        rows = [(0, 0)] * (a.ndim - 2) + [(0, a.shape[-2] - r.shape[-2]), (0, 0)]
        return (fnp.pad(r, rows), *order)
    return (q, r, *order)


def qr_multiply(
    a: Any,
    c: Any,
    mode: str = "right",
    pivoting: bool = False,
    conjugate: bool = False,
    overwrite_a: bool = False,
    overwrite_c: bool = False,
) -> tuple[Array, ...]:
    """The product of a matrix with the factor Q of another, and the factor R.

    Parameters
    ----------
    a : array_like
        ``(..., m, n)``, of which Q has min(m, n) columns.
    c : array_like
        ``(..., k, m)`` for ``c Q``, ``(..., min(m, n), k)`` for ``Q c``; or without the axis of
        length k.
    mode : {"right", "left"}
        Whether Q is to the right of ``c``, or to the left.
    pivoting : bool
        As for `qr`.
    conjugate : bool
        Whether Q is conjugated.

    Returns
    -------
    (c Q, R) or (Q c, R); with ``pivoting``, the columns' order behind them

    Examples
    --------
    >>> product, r = qr_multiply(np.array([[3.0], [4.0]]), np.array([1.0, 1.0]))
    >>> product.round(12)
    array([-1.4])
    """
    del overwrite_a, overwrite_c
    if mode not in ("right", "left"):
        raise ValueError(f"qr_multiply: mode must be 'right' or 'left', got {mode!r}")
    a, c = of_one_dtype("qr_multiply", a, c)
    a = as_matrices("qr_multiply", a)
    m, k = a.shape[-2], min(a.shape[-2:])
    rows = c.shape[max(c.ndim - 2, 0)] if c.ndim else 0
    fits = rows == k if mode == "left" else c.ndim > 0 and c.shape[-1] == m
    if not fits:
        raise ValueError(
            f"qr_multiply: c of shape {c.shape} does not go with the factor Q of a of shape"
            f" {a.shape} on the {mode}"
        )
    q, *rest = qr(a, mode="economic", pivoting=pivoting)
    q = fnp.conjugate(q) if conjugate else q
    return (c @ q if mode == "right" else q @ c, *rest)


def hessenberg(
    a: Any, *, calc_q: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Any:
    """The Hessenberg decomposition, ``a = Q H Qᴴ``, by Householder's reflections.

    Parameters
    ----------
    a : array_like
        ``(..., n, n)``.
    calc_q : bool
        Whether Q is wanted.

    Returns
    -------
    H, or (H, Q) with ``calc_q``
        H is zero below the diagonal under the main one; Q has orthonormal columns.

    Examples
    --------
    >>> hessenberg(np.array([[1.0, 2.0, 3.0], [3.0, 1.0, 0.0], [4.0, 0.0, 1.0]])).round(12)[:, 0]
    array([ 1., -5.,  0.])
    """
    del overwrite_a, check_finite
    a = as_matrices("hessenberg", a, square=True)
    packed, taus = lax.linalg.hessenberg(a)
    h = upper_part(packed, -1)
    if not calc_q:
        return h
    identity = expand(fnp.eye(a.shape[-1], dtype=a.dtype), a.shape)
    if a.shape[-1] < 2:
        return h, identity
    # The reflections leave the first row and column alone.
    q = lax.linalg.householder_product(packed[..., 1:, :-1], taus)
    return h, fnp.asarray(fnp.at(identity)[..., 1:, 1:].set(q))
