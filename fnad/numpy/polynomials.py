"""Polynomials as arrays of coefficients, the one of the highest power first.

Lengths follow from shapes alone, as in JAX: leading coefficients that happen to be zero stay.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from fnad.core.dtypes import result_type
from fnad.core.errors import ConcretizationTypeError
from fnad.core.tracer import Tracer
from fnad.numpy import ufuncs
from fnad.numpy.complex_numbers import conjugate
from fnad.numpy.contraction import matmul, outer
from fnad.numpy.creation import asarray, eye, zeros_like
from fnad.numpy.dtype_info import finfo
from fnad.numpy.joining import atleast_1d, concatenate, stack
from fnad.numpy.operands import Array, convert, to_inexact
from fnad.numpy.reductions import sum
from fnad.numpy.signals import convolve
from fnad.numpy.solving import inv
from fnad.numpy.spectral import eigvals, lstsq
from fnad.primitives.reversal import rev
from fnad.primitives.shape import full
from fnad.primitives.slicing import pad, slice_in_dim


def _coefficients(name: str, p: Any) -> Array:
    coefficients = atleast_1d(p)
    if coefficients.ndim != 1:
        raise ValueError(
            f"{name}: the coefficients of a polynomial are one axis, got shape"
            f" {coefficients.shape}; use fnad.vmap for stacks of polynomials"
        )
    return coefficients


def _order(name: str, m: Any) -> int:
    order = operator.index(m)
    if order < 0:
        raise ValueError(f"{name}: the order must not be negative, got {order}")
    return order


def _trimmed(p: Array) -> Array:
    """Without leading zeros; one coefficient stays."""
    if isinstance(p, Tracer):
        p = p.concretize(ConcretizationTypeError)
    return p[min(int(np.argmax(p != 0)) if np.any(p) else p.size, p.size - 1) :]


def polyval(p: Any, x: Any) -> Array:
    """The value of a polynomial, by Horner's rule.

    Parameters
    ----------
    p : array_like
        Coefficients, shape ``(N,)``.
    x : array_like
        Where, any shape.

    Examples
    --------
    >>> polyval([1, 0, 2], np.array([1, 3]))
    array([ 3, 11])
    """
    coefficients, x = _coefficients("polyval", p), asarray(x)
    out = zeros_like(x)
    for i in range(coefficients.size):
        out = ufuncs.add(ufuncs.multiply(out, x), coefficients[i])
    return out


def _of_one_length(name: str, a1: Any, a2: Any) -> tuple[Array, Array]:
    x, y = _coefficients(name, a1), _coefficients(name, a2)
    longest = max(x.size, y.size)
    return (
        pad(x, x.dtype.type(0), [(longest - x.size, 0, 0)]),
        pad(y, y.dtype.type(0), [(longest - y.size, 0, 0)]),
    )


def polyadd(a1: Any, a2: Any) -> Array:
    """The sum of two polynomials.

    Examples
    --------
    >>> polyadd([1, 2], [9, 5, 4])
    array([9, 6, 6])
    """
    return ufuncs.add(*_of_one_length("polyadd", a1, a2))


def polysub(a1: Any, a2: Any) -> Array:
    """The difference of two polynomials.

    Examples
    --------
    >>> polysub([1, 2], [9, 5, 4])
    array([-9, -4, -2])
    """
    return ufuncs.subtract(*_of_one_length("polysub", a1, a2))


def polymul(a1: Any, a2: Any, *, trim_leading_zeros: bool = False) -> Array:
    """The product of two polynomials.

    ``trim_leading_zeros`` drops leading zeros of both as NumPy does; it needs known values.

    Examples
    --------
    >>> polymul([1, 2], [1, -2])
    array([ 1,  0, -4])
    """
    x, y = _coefficients("polymul", a1), _coefficients("polymul", a2)
    if trim_leading_zeros:
        x, y = _trimmed(x), _trimmed(y)
    return convolve(x, y)


def polydiv(u: Any, v: Any, *, trim_leading_zeros: bool = False) -> tuple[Array, Array]:
    """Quotient and remainder of two polynomials, by long division.

    The remainder has as many coefficients as ``u``, the first ones zero;
    ``trim_leading_zeros`` drops them as NumPy does, and needs known values.

    Examples
    --------
    >>> polydiv([3.0, 5.0, 2.0], [2.0, 1.0])
    (array([1.5 , 1.75]), array([0.  , 0.  , 0.25]))
    """
    x, y = _coefficients("polydiv", u), _coefficients("polydiv", v)
    dtype = result_type(to_inexact(x), to_inexact(y))
    rest, divisor = convert(x, dtype), convert(y, dtype)
    if not y.size:
        raise ValueError("polydiv: the divisor has no coefficients")
    quotient = []
    for k in range(x.size - y.size + 1):
        factor = ufuncs.true_divide(rest[k], divisor[0])
        quotient.append(factor)
        # The leading term cancels by construction: subtracting it would leave a rounding error.
        product = ufuncs.multiply(factor, slice_in_dim(divisor, 1, None))
        tail = ufuncs.subtract(slice_in_dim(rest, k + 1, k + y.size), product)
        parts = [full((k + 1,), 0, dtype), tail, slice_in_dim(rest, k + y.size, None)]
        rest = concatenate(parts)
    out = stack(quotient) if quotient else full((1,), 0, dtype)
    return out, _trimmed(rest) if trim_leading_zeros else rest


def polyder(p: Any, m: int = 1) -> Array:
    """The m-th derivative of a polynomial.

    Examples
    --------
    >>> polyder([1, 1, 1, 1])
    array([3, 2, 1])
    """
    out = _coefficients("polyder", p)
    for _ in range(_order("polyder", m)):
        powers = np.arange(max(out.size - 1, 0), 0, -1)
        out = ufuncs.multiply(slice_in_dim(out, 0, powers.size), powers)
    return out


def polyint(p: Any, m: int = 1, k: Any = None) -> Array:
    """The m-th antiderivative of a polynomial.

    Parameters
    ----------
    p : array_like
        Coefficients, shape ``(N,)``.
    m : int
        How often to integrate.
    k : scalar or array_like of shape ``(m,)``, optional
        The constants of integration, in the order of the integrations; zero by default.

    Examples
    --------
    >>> polyint([3, 2, 1])
    array([1., 1., 1., 0.])
    """
    out, order = _coefficients("polyint", p), _order("polyint", m)
    constants = atleast_1d(0.0 if k is None else k)
    if constants.size not in (1, order):
        raise ValueError(f"polyint: k must be one constant or m = {order}, got {constants.size}")
    for i in range(order):
        constant = slice_in_dim(constants, i % constants.size, i % constants.size + 1)
        out = concatenate([ufuncs.true_divide(out, np.arange(out.size, 0, -1)), constant])
    return out


def poly(seq_of_zeros: Any) -> Array:
    """The coefficients of the polynomial, leading one 1, that has the given zeros.

    That of a square matrix is its characteristic polynomial, with complex coefficients, as whether
    its eigenvalues are real depends on their values.

    Examples
    --------
    >>> poly([1.0, 2.0])
    array([ 1., -3.,  2.])
    """
    zeros = to_inexact(atleast_1d(seq_of_zeros))
    if zeros.ndim == 2 and zeros.shape[0] == zeros.shape[1]:
        zeros = eigvals(zeros)
    if zeros.ndim != 1:
        raise ValueError(
            f"poly: takes zeros along one axis, or a square matrix, got shape {zeros.shape}"
        )
    dtype = zeros.dtype
    if zeros.size == 0:
        return dtype.type(1)
    out = full((1,), 1, dtype)
    for i in range(zeros.size):
        product = ufuncs.multiply(out, zeros[i])
        zero = full((1,), 0, dtype)
        out = ufuncs.subtract(concatenate([out, zero]), concatenate([zero, product]))
    return out


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Array:  # noqa: N803
    """The Vandermonde matrix: powers of ``x`` as columns, the highest first unless increasing.

    Examples
    --------
    >>> vander([1, 2, 3], 3)
    array([[1, 1, 1],
           [4, 2, 1],
           [9, 3, 1]])
    """
    points = asarray(x)
    if points.ndim != 1:
        raise ValueError(f"vander: x must have one axis, got shape {points.shape}")
    count = points.size if N is None else _order("vander", N)
    points = convert(points, result_type(points, np.dtype(int)))
    power = full(points.shape, 1, points.dtype)
    powers = []
    for _ in range(count):
        powers.append(power)
        power = ufuncs.multiply(power, points)
    if not powers:
        return full((points.size, 0), 0, points.dtype)
    out = stack(powers, 1)
    return out if increasing else rev(out, (1,))


def polyfit(
    x: Any,
    y: Any,
    deg: int,
    rcond: float | None = None,
    full: bool = False,
    w: Any = None,
    cov: bool | str = False,
) -> Any:
    """The polynomial of a degree that fits points best: least squares.

    Parameters
    ----------
    x : array_like
        Where, shape ``(M,)``.
    y : array_like
        Values, ``(M,)`` or ``(M, K)`` for K polynomials.
    deg : int
        The degree.
    rcond : float, optional
        Singular values up to ``rcond`` times the largest count as zero; M times the machine epsilon
        by default.
    full : bool
        Whether to return the residuals, the rank, the singular values and ``rcond``, too.
    w : array_like, optional
        Weights of the distances (not of their squares), shape ``(M,)``.
    cov : bool or "unscaled"
        Whether to return the covariance of the coefficients, too: scaled so that the sum of squares
        is as large as its number of degrees of freedom, or ("unscaled") for weights that are
        inverse standard deviations.

    Returns
    -------
    array, or tuple
        Coefficients, ``(deg + 1,)`` or ``(deg + 1, K)``, and what else was asked for.

    Examples
    --------
    >>> polyfit(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]), 1).round(12)
    array([2., 1.])
    """
    order = _order("polyfit", deg) + 1
    xs, ys = to_inexact(asarray(x)), to_inexact(asarray(y))
    if xs.ndim != 1 or ys.ndim not in (1, 2) or xs.shape[0] != ys.shape[0] or not xs.size:
        raise ValueError(
            "polyfit: needs x of shape (M,) and y of shape (M,) or (M, K), not empty, got"
            f" {xs.shape} and {ys.shape}"
        )
    if rcond is None:
        rcond = xs.shape[0] * float(finfo(xs.dtype).eps)
    matrix, rhs = vander(xs, order), ys
    if w is not None:
        weights = asarray(w)
        if weights.shape != xs.shape:
            raise ValueError(f"polyfit: needs weights of shape {xs.shape}, got {weights.shape}")
        matrix = ufuncs.multiply(matrix, weights[:, None])
        rhs = ufuncs.multiply(ys, weights if ys.ndim == 1 else weights[:, None])
    # Columns of one length are better conditioned.
    scale = ufuncs.sqrt(sum(ufuncs.square(ufuncs.absolute(matrix)), 0))
    matrix = ufuncs.divide(matrix, scale)
    fitted, residuals, rank, singular = lstsq(matrix, rhs, rcond)
    coefficients = ufuncs.divide(fitted, scale if ys.ndim == 1 else scale[:, None])
    if full:
        return coefficients, residuals, rank, singular, rcond
    if not cov:
        return coefficients
    base = inv(matmul(conjugate(matrix.T), matrix))
    base = ufuncs.divide(base, outer(scale, scale))
    if cov != "unscaled":
        freedom = xs.shape[0] - order
        if freedom <= 0:
            raise ValueError(
                f"polyfit: {xs.shape[0]} points leave no freedom for a covariance of {order}"
                " coefficients; pass more points, or cov='unscaled'"
            )
        factor = ufuncs.divide(residuals, freedom)
        base = ufuncs.multiply(base if ys.ndim == 1 else base[:, :, None], factor)
    elif ys.ndim == 2:
        base = base[:, :, None]
    return coefficients, base


def roots(p: Any, *, strip_zeros: bool = True) -> Array:
    """The roots of a polynomial: eigenvalues of its companion matrix.

    Parameters
    ----------
    p : array_like
        Coefficients, shape ``(N,)``.
    strip_zeros : bool
        Whether to leave out leading and trailing coefficients that are zero, for which they must be
        known. Without it there are N - 1 roots, and a leading zero makes them infinite or NaN.

    Returns
    -------
    array
        Always complex, in no particular order.

    Examples
    --------
    >>> roots(np.array([1.0, -3.0, 2.0])).round(12)
    array([2.+0.j, 1.+0.j])
    """
    p = to_inexact(_coefficients("roots", p))
    trailing = 0
    if strip_zeros:
        p, trailing = _stripped(p)
    whole = result_type(p, np.complex64)
    if p.size < 2:
        return full((trailing,), whole.type(0), whole)
    # Ones below the diagonal; the coefficients in the first row.
    first = ufuncs.negative(ufuncs.divide(p[1:], p[0]))[None]
    below = eye(p.size - 2, p.size - 1, dtype=p.dtype)
    found = eigvals(concatenate([first, below], 0))
    return concatenate([found, full((trailing,), whole.type(0), whole)], 0)


def _stripped(p: Array) -> tuple[Array, int]:
    """Without zeros at both ends, and how many stood at the second."""
    known = p
    if isinstance(p, Tracer):
        try:
            known = p.concretize(ConcretizationTypeError)
        except ConcretizationTypeError as error:
            error.add_note("roots: say strip_zeros=False where coefficients are traced")
            raise
    nonzero = np.flatnonzero(known)
    if not nonzero.size:
        return p[:0], 0
    return p[nonzero[0] : nonzero[-1] + 1], p.size - 1 - int(nonzero[-1])
