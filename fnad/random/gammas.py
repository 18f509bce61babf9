"""The gamma distribution and what is made of it; differentiable in all parameters.

Numbers are drawn by rejection (G. Marsaglia and W. W. Tsang, "A simple method for generating
gamma variables", ACM TOMS 26, 2000), each from a key of its own, as in JAX. Their derivatives are
implicit (M. Figurnov, S. Mohamed and A. Mnih, "Implicit reparameterization gradients", 2018):
with the distribution function F and the density f, ``F(x; a)`` stays what it is if
``dx/da = -(dF/da) / f``.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from fnad import lax
from fnad import numpy as fnp
from fnad.core.types import aval_of
from fnad.primitives.custom import custom_jvp
from fnad.random.counts import rademacher
from fnad.random.distributions import exponential, normal
from fnad.random.keys import count_of, shape_tuple, split, split_in
from fnad.random.uniform import Shape, floating_dtype, parameters, uniform
from fnad.transforms.blocks import compiled_by_rows
from fnad.transforms.vmap import vmap


def _draw_one(key: Any, a: Any, log_space: bool) -> Any:
    """One number of the gamma distribution, or its logarithm."""
    dtype = aval_of(a).dtype
    one = dtype.type(1)
    # Below 1, a number of a + 1 times a power of a uniform number has the distribution of a.
    large = lax.ge(a, one)
    d = fnp.where(large, a, a + one) - dtype.type(1 / 3)
    c = dtype.type(1 / 3) / lax.sqrt(d)

    def normal_above(carry: Any) -> Any:
        key, _, _ = carry
        key, subkey = split_in(key, 2)
        x = normal(subkey, (), dtype)
        return key, x, one + x * c

    def is_rejected(carry: Any) -> Any:
        _, squared, v, u = carry
        squeezed = u >= one - dtype.type(0.0331) * (squared * squared)
        bound = squared * dtype.type(0.5) + d * ((one - v) + lax.log(v))
        return squeezed & (lax.log(u) >= bound)

    def draw(carry: Any) -> Any:
        key, x_key, u_key = split_in(carry[0], 3)
        start = (x_key, dtype.type(0), dtype.type(-1))
        _, x, v = lax.while_loop(lambda carry: carry[2] <= 0, normal_above, start)
        return key, x * x, (v * v) * v, uniform(u_key, (), dtype)

    key, boost_key = split_in(key, 2)
    start = (key, dtype.type(0), one, dtype.type(2))  # which is rejected
    _, _, v, _ = lax.while_loop(is_rejected, draw, start)
    if log_space:
        boost = -exponential(boost_key, (), dtype)
        unchanged = large | (boost == 0)
        return (lax.log(d) + lax.log(v)) + fnp.where(unchanged, 0, boost * (one / a))
    boost = one - uniform(boost_key, (), dtype)
    return (d * v) * fnp.where(large, one, boost ** (one / a))


_DRAWERS = {
    log_space: compiled_by_rows(vmap(partial(_draw_one, log_space=log_space)))
    for log_space in (False, True)
}


def _draw(key: Any, a: Any, log_space: bool) -> Any:
    size = math.prod(aval_of(a).shape)
    if size == 0:
        return a
    drawn = _DRAWERS[log_space](split(key, size), a.reshape(size))
    return drawn.reshape(aval_of(a).shape)


@custom_jvp
def _gamma(key: Any, a: Any) -> Any:
    return _draw(key, a, False)


@_gamma.defjvp
def _(primals: Any, tangents: Any) -> tuple[Any, Any]:
    drawn = _gamma(*primals)
    dtype = aval_of(drawn).dtype
    tiny = dtype.type(fnp.finfo(dtype).tiny)
    slope = _log_slope(lax.log(lax.max(drawn, tiny)), primals[1])
    # Numbers that are too small for their dtype stay so, whatever their slope.
    return drawn, tangents[1] * fnp.where(drawn == 0, 0, drawn * slope)


@custom_jvp
def _loggamma(key: Any, a: Any) -> Any:
    return _draw(key, a, True)


@_loggamma.defjvp
def _(primals: Any, tangents: Any) -> tuple[Any, Any]:
    drawn = _loggamma(*primals)
    return drawn, tangents[1] * _log_slope(drawn, primals[1])


_NEGLIGIBLE = 45.0  # exp(-45) is far below the rounding of a double


def _nodes(count: int = 96, reach: float = 3.1) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1] of H. Takahasi and M. Mori's tanh-sinh rule (1974)."""
    t = np.linspace(-reach, reach, count)
    nodes = 1 / (1 + np.exp(-np.pi * np.sinh(t)))
    weights = (t[1] - t[0]) * np.pi * np.cosh(t) * nodes / (1 + np.exp(np.pi * np.sinh(t)))
    return nodes, weights


_NODES, _WEIGHTS = _nodes()


def _log_slope(log_x: Any, a: Any) -> Any:
    """``d log(x) / da`` at a fixed value of the distribution function of the gamma distribution.

    The derivative of the density in a is the density times ``log(t) - digamma(a)``. Integrated
    over one of the tails, with ``t = x exp(w)``::

        d log(x) / da = integral of (log(x) - digamma(a) + w) exp(a w - x (exp(w) - 1)) dw

    from 0 to plus or minus infinity. Each tail is taken where the factor does not change sign;
    downwards also for small x a little beyond that, as the integrand has one scale there and
    little cancels. The integral ends where the exponent is below -45; bounds of that point follow
    from ``exp(w) - 1 - w >= w**2 / 2`` and, downwards, ``exp(-w) - 1 + w >= w**2 / (2 + w)``.
    Computed in float64 for all dtypes.
    """
    dtype = aval_of(a).dtype
    log_x, a = (lax.convert_element_type(value, np.float64) for value in (log_x, a))
    x = lax.exp(log_x)
    score = log_x - lax.digamma(a)
    up = (score >= 0.9 / a) & (log_x > -20)
    # Upwards; where x is small, the exponential bounds w more closely than its square does.
    x_up = fnp.where(up, x, 1.0)
    end = (a - x_up + lax.sqrt((a - x_up) ** 2 + 2 * _NEGLIGIBLE * x_up)) / x_up
    for _ in range(4):
        end = fnp.minimum(end, lax.log1p((_NEGLIGIBLE + a * end) / x_up))
    excess = _NEGLIGIBLE - 2 * (a - x)
    begin = (excess + lax.sqrt(excess**2 + 8 * _NEGLIGIBLE * a)) / (2 * a)
    width = lax.stop_gradient(fnp.where(up, end, -begin))
    w = width[..., None] * _NODES
    exponent = a[..., None] * w - x[..., None] * lax.expm1(w)
    terms = (score[..., None] + w) * lax.exp(exponent)
    return lax.convert_element_type(fnp.sum(terms * _WEIGHTS, axis=-1) * width, dtype)


def gamma(key: Any, a: Any, shape: Shape | None = None, dtype: Any = np.float32) -> Any:
    """Numbers of the gamma distribution: the density is proportional to ``x**(a - 1) exp(-x)``.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    a : array
        Parameter, positive.
    shape : int or sequence of int, optional
        Of the result; by default that of ``a``.
    dtype : dtype
        bfloat16, float16, float32 (the default, as JAX's) or float64.

    Returns
    -------
    array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> gamma(PRNGKey(0), 2.0, (2,))
    array([1.5897877, 1.7599413], dtype=float32)
    """
    dtype = floating_dtype("gamma", dtype)
    shape, (a,) = parameters("gamma", shape, dtype, a)
    return _gamma(key, fnp.broadcast_to(a, shape))


def loggamma(key: Any, a: Any, shape: Shape | None = None, dtype: Any = np.float32) -> Any:
    """Logarithms of numbers of the gamma distribution (parameters as in `gamma`).

    For small ``a``, numbers may be too small for their dtype where their logarithms are not.

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> loggamma(PRNGKey(0), 0.001, (2,))
    array([-110.61791,  -95.54807], dtype=float32)
    """
    dtype = floating_dtype("loggamma", dtype)
    shape, (a,) = parameters("loggamma", shape, dtype, a)
    return _loggamma(key, fnp.broadcast_to(a, shape))


def beta(key: Any, a: Any, b: Any, shape: Shape | None = None, dtype: Any = np.float32) -> Any:
    """Numbers of the density proportional to ``x**(a - 1) (1 - x)**(b - 1)`` in [0, 1].

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    a, b : array
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
    >>> beta(PRNGKey(0), 2.0, 3.0, (2,)).round(4)
    array([0.2363, 0.4905], dtype=float32)
    """
    dtype = floating_dtype("beta", dtype)
    shape, (a, b) = parameters("beta", shape, dtype, a, b)
    key_a, key_b = split_in(key, 2)
    log_a, log_b = loggamma(key_a, a, shape, dtype), loggamma(key_b, b, shape, dtype)
    largest = lax.stop_gradient(lax.max(log_a, log_b))
    part_a, part_b = lax.exp(lax.sub(log_a, largest)), lax.exp(lax.sub(log_b, largest))
    return lax.div(part_a, lax.add(part_a, part_b))


def dirichlet(key: Any, alpha: Any, shape: Shape | None = None, dtype: Any = np.float32) -> Any:
    """Probabilities of k outcomes: of density proportional to the product of ``x**(alpha - 1)``.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    alpha : array, shape (..., k)
        Parameters, positive.
    shape : int or sequence of int, optional
        Of the result without its last axis; by default that of ``alpha`` without its last.
    dtype : dtype
        bfloat16, float16, float32 (the default, as JAX's) or float64.

    Returns
    -------
    array of ``dtype``, shape ``(*shape, k)``
        Sums along the last axis are 1.

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> dirichlet(PRNGKey(0), np.array([1.0, 2.0, 3.0])).round(4)
    array([0.1423, 0.4049, 0.4528], dtype=float32)
    """
    dtype = floating_dtype("dirichlet", dtype)
    own = alpha.shape if hasattr(alpha, "aval") else np.shape(alpha)
    if not own:
        raise ValueError("dirichlet: alpha must have an axis of outcomes, got a scalar")
    full = None if shape is None else (*shape_tuple("dirichlet", shape), own[-1])
    full, (alpha,) = parameters("dirichlet", full, dtype, alpha)
    logs = loggamma(key, alpha, full, dtype)
    largest = lax.stop_gradient(fnp.max(logs, axis=-1, keepdims=True))
    parts = lax.exp(fnp.subtract(logs, largest))
    return fnp.divide(parts, fnp.sum(parts, axis=-1, keepdims=True))


def chisquare(key: Any, df: Any, shape: Shape | None = None, dtype: Any = np.float32) -> Any:
    """Sums of squares of ``df`` normal numbers (parameters as in `gamma`).

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> chisquare(PRNGKey(0), 3.0, (2,))
    array([2.205084 , 2.4899669], dtype=float32)
    """
    dtype = floating_dtype("chisquare", dtype)
    shape, (df,) = parameters("chisquare", shape, dtype, df)
    two = dtype.type(2)
    return lax.mul(lax.exp(loggamma(key, lax.div(df, two), shape, dtype)), two)


def f(key: Any, dfnum: Any, dfden: Any, shape: Shape | None = None, dtype: Any = np.float32) -> Any:
    """Quotients of two `chisquare` numbers over their degrees of freedom (as in `beta`).

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> f(PRNGKey(0), 3.0, 5.0, (2,)).round(4)
    array([2.5797, 0.1922], dtype=float32)
    """
    dtype = floating_dtype("f", dtype)
    shape, (dfnum, dfden) = parameters("f", shape, dtype, dfnum, dfden)
    key_den, key_num = split_in(key, 2)
    # By logarithms, as in `t`: both numbers may be too small for their dtype.
    two = dtype.type(2)
    above = loggamma(key_num, lax.div(dfnum, two), shape, dtype)
    below = loggamma(key_den, lax.div(dfden, two), shape, dtype)
    return lax.mul(lax.exp(lax.sub(above, below)), lax.div(dfden, dfnum))


def t(key: Any, df: Any, shape: Shape | None = None, dtype: Any = np.float32) -> Any:
    """Numbers of Student's t distribution with ``df`` degrees of freedom (as in `gamma`).

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> t(PRNGKey(0), 3.0, (2,)).round(4)
    array([ 0.6902, -3.2393], dtype=float32)
    """
    dtype = floating_dtype("t", dtype)
    shape, (df,) = parameters("t", shape, dtype, df)
    key_normal, key_gamma = split_in(key, 2)
    half = lax.div(df, dtype.type(2))
    # By logarithms: where the gamma number is too small for its dtype, its root is not.
    log_ratio = lax.sub(lax.log(half), loggamma(key_gamma, half, shape, dtype))
    root = lax.exp(lax.mul(log_ratio, dtype.type(0.5)))
    return lax.mul(normal(key_normal, shape, dtype), root)


def generalized_normal(
    key: Any, p: Any, shape: Shape | None = None, dtype: Any = np.float32
) -> Any:
    """Numbers of the density proportional to ``exp(-|x|**p)`` (parameters as in `gamma`).

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> generalized_normal(PRNGKey(0), 3.0, (2,))
    array([0.89282674, 0.09650238], dtype=float32)
    """
    dtype = floating_dtype("generalized_normal", dtype)
    shape, (p,) = parameters("generalized_normal", shape, dtype, p)
    key_gamma, key_sign = split_in(key, 2)
    inverse = lax.div(dtype.type(1), p)
    # By logarithms: for large p, powers of numbers that are too small for their dtype are not.
    size = lax.exp(lax.mul(loggamma(key_gamma, inverse, shape, dtype), inverse))
    return lax.mul(rademacher(key_sign, shape, dtype), size)


def ball(key: Any, d: int, p: float = 2, shape: Shape = (), dtype: Any = np.float32) -> Any:
    """Uniform points of the unit ball of the p-norm in d dimensions.

    F. Barthe, O. Guedon, S. Mendelson and A. Naor, "A probabilistic approach to the geometry of
    the l_p^n-ball" (2005).

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    d : int
        Dimension.
    p : float
        Of the norm, positive.
    shape : int or sequence of int
        Of the result without its last axis.
    dtype : dtype
        bfloat16, float16, float32 (the default, as JAX's) or float64.

    Returns
    -------
    array of ``dtype``, shape ``(*shape, d)``

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> ball(PRNGKey(0), 3)
    array([0.91715974, 0.39274207, 0.0116535 ], dtype=float32)
    """
    dtype = floating_dtype("ball", dtype)
    shape, (p,) = parameters("ball", shape, dtype, p)
    if aval_of(p).shape:
        raise ValueError(f"ball: p must be a number, got an array of shape {aval_of(p).shape}")
    first, second = split_in(key, 2)
    points = generalized_normal(first, p, (*shape, count_of("ball", d, "d")), dtype)
    powers = fnp.sum(lax.pow(lax.abs(points), p), axis=-1)
    total = lax.add(powers, exponential(second, shape, dtype))
    length = lax.pow(total, lax.div(dtype.type(1), p))
    return fnp.divide(points, length[..., None])
