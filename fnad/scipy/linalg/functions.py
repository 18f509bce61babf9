"""The exponential of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad import lax
from fnad.numpy.operands import Array, constant_like, convert
from fnad.numpy.solving import as_matrices
from fnad.primitives.linalg.triangular import triangular_solve
from fnad.scipy.linalg.operands import as_int, of_one_dtype
from fnad.transforms.autodiff import jvp

# By the digits of a dtype: the degree of the Padé approximant, and the size of matrices up to which
# it is good to the last place: Higham (2005), "The scaling and squaring method for the matrix
# exponential revisited". For double precision it is that of Al-Mohy and Higham (2009), table 6.1,
# up to which the derivative is, too.
_DEGREES = {24: (7, 3.925724783138660), 53: (13, 4.74)}


def expm(
    A: Any,  # noqa: N803
    *,
    upper_triangular: bool = False,
    max_squarings: int | None = None,
) -> Array:
    """The exponentials of matrices, by a Padé approximant of the scaled matrix, squared.

    How far to scale is decided by the norms of powers, which scales no more than needed: Al-Mohy
    and Higham (2009), "A new scaling and squaring algorithm for the matrix exponential".

    Parameters
    ----------
    A : array_like
        ``(..., n, n)``.
    upper_triangular : bool
        Whether the matrices are upper triangular, which saves a factorisation.
    max_squarings : int, optional
        Matrices that would have to be squared more often, which are of a norm above about
        ``4.7 * 2 ** max_squarings``, become NaN, and so do their derivatives. By default they are
        squared on, as in SciPy; of matrices of large norms, rounding errors are relative to that.

    Returns
    -------
    array
        As ``A``.

    Examples
    --------
    >>> expm(np.array([[0.0, np.pi], [-np.pi, 0.0]])).round(12) + 0.0
    array([[-1.,  0.],
           [ 0., -1.]])
    """
    a = as_matrices("expm", A, square=True)
    most = _most_squarings(a) if max_squarings is None else max_squarings
    if as_int("expm", "max_squarings", most) < 0:
        raise ValueError(f"expm: max_squarings must not be negative, got {max_squarings}")
    if a.size == 0:
        return a
    degree, bound = _DEGREES[np.finfo(a.dtype).nmant + 1]
    # By a power of two, which is exact, so that powers do not overflow. No more than the dtype's
    # own powers: tiny matrices may stay so.
    norm = _norm(lax.stop_gradient(a))
    magnitude = fnp.frexp(fnp.where(fnp.isfinite(norm), norm, 1))[1]
    magnitude = fnp.maximum(magnitude, 1 - np.finfo(a.dtype).maxexp)
    powers = _powers(_scaled(a, -magnitude))
    squarings = _squarings([lax.stop_gradient(x) for x in powers], magnitude, degree, bound)
    exponents = [k * (magnitude - squarings) for k in _EXPONENTS]
    p, q = _pade([_scaled(x, exponent) for x, exponent in zip(powers, exponents)], degree)
    # A product with NaN, so that derivatives are NaN, too.
    small = (squarings <= most)[..., None, None]
    p = p * fnp.where(small, constant_like(p, 1), constant_like(p, np.nan))
    if upper_triangular:
        r = triangular_solve(q, p, left_side=True)
    else:
        r = fnp.linalg.solve(q, p)

    def unfinished(carry: tuple[Array, Array]) -> Array:
        return fnp.any(carry[1] < squarings)

    def squared(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        r, i = carry
        more = (i < squarings)[..., None, None]
        return fnp.where(more, r @ r, r), i + 1

    start = (r, np.int32(0))
    return lax.while_loop(unfinished, squared, start, max_steps=most, levels=2)[0]


def _most_squarings(a: Array) -> int:
    """For norms up to the largest number, and some more for what rounding errors may take."""
    return np.finfo(a.dtype).maxexp + 64


_EXPONENTS = (1, 2, 4, 6)


def _powers(a: Array) -> list[Array]:
    square = a @ a
    fourth = square @ square
    return [a, square, fourth, fourth @ square]


def _norm(a: Array) -> Array:
    """The largest sum of absolute values of a column."""
    return fnp.max(fnp.sum(fnp.abs(a), -2), -1)


def _scaled(a: Array, exponent: Array) -> Array:
    one = fnp.ones((), np.finfo(a.dtype).dtype)
    return a * fnp.ldexp(one, exponent)[..., None, None]


def _squarings(powers: Sequence[Array], magnitude: Array, degree: int, bound: float) -> Array:
    """How often to halve the matrices ``powers[0] * 2 ** magnitude``: algorithm 5.1 there."""
    a, _, fourth, sixth = powers
    size = fnp.maximum(_norm(sixth) ** (1 / 6), _norm(fourth @ fourth) ** (1 / 8))
    halvings = fnp.ceil(fnp.log2(size / bound) + magnitude)
    halvings = fnp.maximum(halvings, 0)
    # More of them where rounding errors of the approximant would be large: equation 5.1 there. Of
    # matrices without negative elements, the columns' sums of a power are found with vectors.
    absolute = fnp.abs(a)

    def times(_: Any, sums: Array) -> Array:
        return sums @ absolute

    sums = lax.fori_loop(0, 2 * degree + 1, times, fnp.ones_like(absolute[..., :1, :]))
    constant = math.comb(2 * degree, degree) * math.factorial(2 * degree + 1)
    growth = fnp.max(sums, (-2, -1)) / fnp.where(_norm(a) == 0, 1, _norm(a))
    error = fnp.log2(growth) + 2 * degree * (magnitude - halvings) - math.log2(constant)
    excess = (error - math.log2(np.finfo(a.dtype).eps / 2)) / (2 * degree)
    total = halvings + fnp.maximum(fnp.ceil(excess), 0)
    return convert(fnp.where(fnp.isnan(total), 0, total), np.dtype(np.int32))


def _pade(powers: Sequence[Array], degree: int) -> tuple[Array, Array]:
    """Numerator and denominator of the diagonal Padé approximant of the exponential."""
    b = [
        math.comb(degree, i) * math.factorial(2 * degree - i) / math.factorial(2 * degree)
        for i in range(degree + 1)
    ]
    a, *rest = powers
    even = [fnp.eye(a.shape[-1], dtype=a.dtype), *rest]

    def combined(first: int) -> Array:
        """The terms of every second coefficient, with the powers 0, 2, 4, 6 and beyond."""
        low, high = b[first::2][:4], b[first::2][4:]
        total: Any = sum(c * x for c, x in zip(low, even))
        if high:
            total = total + even[3] @ sum(c * x for c, x in zip(high, even[1:]))
        return total

    odd, rest_of_it = a @ combined(1), combined(0)
    return rest_of_it + odd, rest_of_it - odd


def expm_frechet(
    A: Any,  # noqa: N803
    E: Any,  # noqa: N803
    *,
    method: str | None = None,
    compute_expm: bool = True,
) -> Any:
    """The derivative of the exponential of ``A`` in the direction ``E``.

    Parameters
    ----------
    A, E : array_like
        ``(..., n, n)``.
    method : {None, "SPS", "blockEnlarge"}
        For the sake of SciPy's signature: it is always the derivative of `expm`.
    compute_expm : bool
        Whether to return the exponential, too.

    Returns
    -------
    (expm_A, expm_frechet_AE), or only the second without ``compute_expm``

    Examples
    --------
    >>> expm_frechet(np.zeros((1, 1)), np.array([[3.0]]))
    (array([[1.]]), array([[3.]]))
    """
    if method not in (None, "SPS", "blockEnlarge"):
        raise ValueError(
            f"expm_frechet: method must be None, 'SPS' or 'blockEnlarge', got {method!r}"
        )
    a, e = fnp.broadcast_arrays(*of_one_dtype("expm_frechet", A, E))
    value, derivative = jvp(expm, (a,), (e,))
    return (value, derivative) if compute_expm else derivative
