"""Continuous distributions with parameters: transformations of uniform and normal numbers.

All of them are differentiable in their parameters, as the transformations are. Parameters
broadcast; where a shape is not given, it is that to which they broadcast.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ml_dtypes import finfo

from fnad.primitives import arithmetic as ar
from fnad.primitives.logic import eq, le, lt, select
from fnad.primitives.reductions import reduce_sum
from fnad.primitives.transcendental import exp, log, log1p, tan
from fnad.random.counts import rademacher
from fnad.random.distributions import exponential, normal
from fnad.random.keys import shape_tuple, split_in
from fnad.random.uniform import Shape, floating_dtype, parameters, uniform


def cauchy(key: Any, shape: Shape = (), dtype: Any = np.float32) -> Any:
    """Numbers of the density ``1 / (pi (1 + x**2))`` (parameters as in `normal`).

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> cauchy(PRNGKey(0), (2,))
    array([ 6.0274944, 14.837895 ], dtype=float32)
    """
    dtype = floating_dtype("cauchy", dtype)
    draws = uniform(key, shape_tuple("cauchy", shape), dtype, finfo(dtype).eps, 1.0)
    return tan(ar.mul(dtype.type(np.pi), ar.sub(draws, dtype.type(0.5))))


def lognormal(
    key: Any, sigma: Any = 1.0, shape: Shape | None = None, dtype: Any = np.float32
) -> Any:
    """Numbers whose logarithm is normal, of mean 0.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    sigma : array
        Standard deviation of the logarithm.
    shape : int or sequence of int, optional
        Of the result; by default that of ``sigma``.
    dtype : dtype
        bfloat16, float16, float32 (the default, as JAX's), float64; complex64 or complex128 for
        complex normal logarithms.

    Returns
    -------
    array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> lognormal(PRNGKey(0), 0.5, (2,))
    array([2.2508798, 2.7528381], dtype=float32)
    """
    dtype = np.dtype(dtype)
    if dtype.kind != "c":
        floating_dtype("lognormal", dtype)
    shape, (sigma,) = parameters("lognormal", shape, dtype, sigma)
    return exp(ar.mul(normal(key, shape, dtype), sigma))


def pareto(key: Any, b: Any, shape: Shape | None = None, dtype: Any = np.float32) -> Any:
    """Numbers of the density ``b / x**(b + 1)`` for ``x >= 1`` (parameters as in `lognormal`).

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> pareto(PRNGKey(0), 3.0, (2,))
    array([2.673467 , 3.6007476], dtype=float32)
    """
    dtype = floating_dtype("pareto", dtype)
    shape, (b,) = parameters("pareto", shape, dtype, b)
    return exp(ar.div(exponential(key, shape, dtype), b))


def rayleigh(key: Any, scale: Any, shape: Shape | None = None, dtype: Any = np.float32) -> Any:
    """Lengths of pairs of normal numbers of standard deviation ``scale`` (as in `lognormal`).

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> rayleigh(PRNGKey(0), 2.0, (2,))
    array([0.65575665, 0.41620055], dtype=float32)
    """
    dtype = floating_dtype("rayleigh", dtype)
    shape, (scale,) = parameters("rayleigh", shape, dtype, scale)
    draws = uniform(key, shape, dtype)
    return ar.mul(scale, ar.sqrt(ar.mul(log(draws), dtype.type(-2))))


def weibull_min(
    key: Any, scale: Any, concentration: Any, shape: Shape | None = None, dtype: Any = np.float32
) -> Any:
    """Numbers of the Weibull distribution.

    The probability of more than ``x`` is ``exp(-(x / scale)**concentration)``.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    scale, concentration : array
        Parameters, positive.
    shape : int or sequence of int, optional
        Of the result; by default that to which the parameters broadcast.
    dtype : dtype
        bfloat16, float16, float32 (the default, as JAX's) or float64.

    Returns
    -------
    array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> weibull_min(PRNGKey(0), 1.0, 2.0, (2,))
    array([1.7175937, 1.9604654], dtype=float32)
    """
    dtype = floating_dtype("weibull_min", dtype)
    shape, (scale, concentration) = parameters("weibull_min", shape, dtype, scale, concentration)
    draws = ar.neg(log1p(ar.neg(uniform(key, shape, dtype))))
    return ar.mul(_power(draws, ar.div(dtype.type(1), concentration)), scale)


def _power(x: Any, exponent: Any) -> Any:
    """``x**exponent`` for ``x >= 0``, with the derivative 0 in the exponent where x is 0."""
    zero = x.dtype.type(0)
    positive = select(eq(x, zero), x.dtype.type(1), x)
    return select(eq(x, zero), zero, ar.pow(positive, exponent))


def maxwell(key: Any, shape: Shape = (), dtype: Any = np.float32) -> Any:
    """Lengths of vectors of three normal numbers (parameters as in `normal`).

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> maxwell(PRNGKey(0), (2,))
    array([2.6310966, 0.9910329], dtype=float32)
    """
    dtype = floating_dtype("maxwell", dtype)
    shape = shape_tuple("maxwell", shape)
    draws = normal(key, (*shape, 3), dtype)
    return ar.sqrt(reduce_sum(ar.mul(draws, draws), (len(shape),)))


def double_sided_maxwell(
    key: Any, loc: Any, scale: Any, shape: Shape | None = None, dtype: Any = np.float32
) -> Any:
    """``loc`` plus or minus ``scale`` times numbers of the Maxwell distribution.

    The density is proportional to ``z**2 exp(-z**2 / 2)`` with ``z = (x - loc) / scale``.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    loc, scale : array
        Parameters.
    shape, dtype
        As in `weibull_min`.

    Returns
    -------
    array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> double_sided_maxwell(PRNGKey(0), 1.0, 2.0, (2,))
    array([4.091442 , 4.1482553], dtype=float32)
    """
    dtype = floating_dtype("double_sided_maxwell", dtype)
    shape, (loc, scale) = parameters("double_sided_maxwell", shape, dtype, loc, scale)
    lengths, signs = split_in(key, 2)
    draws = ar.mul(rademacher(signs, shape, dtype), maxwell(lengths, shape, dtype))
    return ar.add(ar.mul(draws, scale), loc)


def triangular(
    key: Any,
    left: Any,
    mode: Any,
    right: Any,
    shape: Shape | None = None,
    dtype: Any = np.float32,
) -> Any:
    """Numbers in ``[left, right]`` whose density rises in a line to ``mode``, and falls behind.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    left, mode, right : array
        Parameters, ``left <= mode <= right`` and ``left < right``.
    shape, dtype
        As in `weibull_min`.

    Returns
    -------
    array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> triangular(PRNGKey(0), 0.0, 1.0, 3.0, (2,))
    array([2.4396448, 2.6415021], dtype=float32)
    """
    dtype = floating_dtype("triangular", dtype)
    shape, (left, mode, right) = parameters("triangular", shape, dtype, left, mode, right)
    draws = uniform(key, shape, dtype)
    rise, fall, span = ar.sub(mode, left), ar.sub(right, mode), ar.sub(right, left)
    risen = lt(draws, ar.div(rise, span))
    # The root of the branch that is not taken may be of 0, and its derivative infinite.
    one = dtype.type(1)
    before = select(risen, ar.mul(ar.mul(draws, span), rise), one)
    behind = select(risen, one, ar.mul(ar.mul(ar.sub(one, draws), span), fall))
    return select(risen, ar.add(left, ar.sqrt(before)), ar.sub(right, ar.sqrt(behind)))


def wald(key: Any, mean: Any, shape: Shape | None = None, dtype: Any = np.float32) -> Any:
    """Numbers of the Wald (inverse Gaussian) distribution of scale 1.

    The method is that of J. Michael, W. Schucany and R. Haas, "Generating random variates using
    transformations with multiple roots" (The American Statistician 30, 1976).

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    mean : array
        Mean, positive.
    shape : int or sequence of int, optional
        Of the result; by default that of ``mean``.
    dtype : dtype
        bfloat16, float16, float32 (the default, as JAX's) or float64.

    Returns
    -------
    array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> wald(PRNGKey(0), 1.0, (2,))
    array([0.38059756, 0.41566527], dtype=float32)
    """
    dtype = floating_dtype("wald", dtype)
    shape, (mean,) = parameters("wald", shape, dtype, mean)
    first, second = split_in(key, 2)
    one = dtype.type(1)
    z = normal(first, shape, dtype)
    draws = uniform(second, shape, dtype)
    # The roots of the transformation are mean * root and mean / root. What is usually written as
    # a difference, and cancels where the mean is large, is the inverse of the other root; the
    # root of a product is one of its factors, so that it has a derivative where z is 0.
    half_mean = ar.div(mean, dtype.type(2))
    h = ar.mul(half_mean, ar.square(z))
    rise = ar.mul(ar.mul(ar.abs(z), ar.sqrt(half_mean)), ar.sqrt(ar.add(dtype.type(2), h)))
    root = ar.add(ar.add(one, h), rise)
    taken = le(draws, ar.div(root, ar.add(root, one)))
    return select(taken, ar.div(mean, root), ar.mul(mean, root))
