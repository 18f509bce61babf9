"""Discrete distributions: signs, and numbers of events, trials and successes.

Methods of rejection repeat until every number of the array has been accepted. A number that was
accepted early is replaced whenever a later turn accepts another, which is how JAX gets its
numbers from a key; turns are independent, so the distribution is the same.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fnad import lax
from fnad import numpy as fnp
from fnad.core.types import aval_of
from fnad.random.keys import shape_tuple, split, split_in
from fnad.random.uniform import Shape, bernoulli, floating_dtype, parameters, uniform

# Where these many events, or successes, are expected, rejection takes over from inversion.
_REJECTION_POISSON = 10
_REJECTION_BINOMIAL = 10


def _integer_dtype(name: str, dtype: Any) -> np.dtype[Any]:
    dtype = np.dtype(dtype)
    if dtype.kind not in "iu":
        raise TypeError(f"{name}: the dtype must be an integer dtype, got {dtype}")
    return dtype


def _own_dtype(name: str, value: Any, default: np.dtype[Any]) -> np.dtype[Any]:
    """The floating dtype to compute in: that of a parameter, unless it is a Python number."""
    aval = aval_of(value) if hasattr(value, "aval") else aval_of(np.asarray(value)[()])
    if type(value) in (int, float) or aval.weak_type or aval.dtype.kind in "biu":
        return default
    return floating_dtype(name, aval.dtype)


def rademacher(key: Any, shape: Shape = (), dtype: Any = np.int32) -> Any:
    """Signs: 1 or -1, each with probability one half.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    shape : int or sequence of int
        Of the result.
    dtype : dtype
        Any signed integer or floating dtype; int32 is the default, as JAX's.

    Returns
    -------
    array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> rademacher(PRNGKey(0), (4,))
    array([-1, -1,  1,  1], dtype=int32)
    """
    dtype = np.dtype(dtype)
    if dtype.kind in "ub":
        raise TypeError(f"rademacher: the dtype must have negative numbers, got {dtype}")
    # As JAX: where types of 64 bits are in use, the bits of a float64 decide.
    half = np.float64(0.5) if dtype.itemsize == 8 else np.float32(0.5)
    drawn = bernoulli(key, half, shape_tuple("rademacher", shape))
    return lax.select(drawn, dtype.type(1), dtype.type(-1))


def geometric(key: Any, p: Any, shape: Shape | None = None, dtype: Any = np.int32) -> Any:
    """Numbers of trials up to and with the first success.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    p : array of floats
        Probability of success, in (0, 1]. The computation is in their dtype; Python numbers
        count as float32, and as float64 if the result has 64 bits.
    shape : int or sequence of int, optional
        Of the result; by default that of ``p``.
    dtype : dtype
        Any integer dtype; int32 is the default, as JAX's.

    Returns
    -------
    array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> geometric(PRNGKey(0), 0.1, (3,))
    array([ 1,  1, 11], dtype=int32)
    """
    dtype = _integer_dtype("geometric", dtype)
    default = np.dtype(np.float64 if dtype.itemsize == 8 else np.float32)
    wide = _own_dtype("geometric", p, default)
    shape, (p,) = parameters("geometric", shape, wide, p)
    draws = uniform(key, shape, wide)
    one = wide.type(1)
    draws = lax.select(lax.eq(draws, wide.type(0)), one, draws)
    failures = lax.floor(lax.div(lax.log(draws), lax.log1p(lax.neg(p))))
    return lax.convert_element_type(lax.add(failures, one), dtype)


def poisson(key: Any, lam: Any, shape: Shape | None = None, dtype: Any = np.int32) -> Any:
    """Numbers of events of which ``lam`` are expected.

    Below 10 by D. Knuth's method ("The art of computer programming" 2, 3.4.1): uniform numbers
    are multiplied until the product is below ``exp(-lam)``; from there on by W. Hoermann's
    transformed rejection PTRS ("The transformed rejection method for generating Poisson random
    variables", 1993). Computed in float32, as JAX does.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    lam : array
        Means, not negative; where one is NaN or negative, the result is -1, and where it is
        infinite, the largest number of ``dtype``.
    shape : int or sequence of int, optional
        Of the result; by default that of ``lam``.
    dtype : dtype
        Any integer dtype; int32 is the default, as JAX's.

    Returns
    -------
    array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> poisson(PRNGKey(0), 4.0, (3,))
    array([0, 1, 5], dtype=int32)
    """
    dtype = _integer_dtype("poisson", dtype)
    shape, (lam,) = parameters("poisson", shape, np.dtype(np.float32), lam)
    lam = fnp.broadcast_to(lax.stop_gradient(lam), shape)
    few = fnp.logical_not(fnp.greater_equal(lam, np.float32(_REJECTION_POISSON)))  # NaN too
    counted = _poisson_knuth(key, fnp.where(few, lam, np.float32(0)), dtype)
    # Any large mean: the more events, the fewer rejections.
    endless = lax.eq(lam, np.float32(np.inf))
    drawable = fnp.where(few | endless, np.float32(1e5), lam)
    rejected = _poisson_rejection(key, drawable, dtype)
    rejected = fnp.where(endless, np.iinfo(dtype).max, rejected)
    drawn = fnp.where(few, counted, rejected)
    return fnp.where(lax.eq(lam, np.float32(0)), dtype.type(0), drawn)


def _poisson_knuth(key: Any, lam: Any, dtype: np.dtype[Any]) -> Any:
    shape = aval_of(lam).shape

    def goes_on(carry: Any) -> Any:
        _, _, log_product = carry
        return fnp.any(log_product > -lam)

    def step(carry: Any) -> Any:
        count, key, log_product = carry
        key, subkey = split_in(key, 2)
        count = fnp.where(log_product > -lam, count + 1, count)
        return count, key, log_product + lax.log(uniform(subkey, shape))

    init = (fnp.zeros(shape, dtype), key, fnp.zeros(shape, np.float32))
    return lax.while_loop(goes_on, step, init)[0] - dtype.type(1)


def _poisson_rejection(key: Any, lam: Any, dtype: np.dtype[Any]) -> Any:
    shape = aval_of(lam).shape

    def step(carry: Any) -> Any:
        drawn, accepted, key = carry
        key, first, second = split_in(key, 3)
        b = 0.931 + 2.53 * lax.sqrt(lam)
        a = -0.059 + 0.02483 * b
        inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
        u = uniform(first, shape) - 0.5
        v = uniform(second, shape)
        centred = 0.5 - lax.abs(u)
        k = lax.floor((2 * a / centred + b) * u + lam + 0.43)
        left = lax.log(v * inverse_alpha / (a / (centred * centred) + b))
        right = _log_probability(fnp.maximum(k, 0), lam)
        at_once = (centred >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2))
        outside = (k < 0) | ((centred < 0.013) & (v > centred))
        accept = at_once | (~outside & (left <= right))
        return fnp.where(accept, k, drawn), accepted | accept, key

    init = (fnp.full(shape, np.float32(-1)), fnp.zeros(shape, np.bool_), key)
    drawn = lax.while_loop(lambda carry: fnp.any(~carry[1]), step, init)[0]
    return lax.convert_element_type(drawn, dtype)


def _log_probability(k: Any, lam: Any) -> Any:
    """The logarithm of the probability of ``k`` events.

    With ``n = k + 1`` and ``x = lam / n - 1``, that is ``n (log1p(x) - x)`` and small terms:
    ``k log(lam) - lam - log(k!)`` has an error of ``lam`` units of its dtype's rounding, which
    for 1,000,000 events expected is far too much.
    """
    n = k + 1
    x = (lam - n) / n
    near = n * (lax.log1p(x) - x) - lax.log(lam) + 0.5 * lax.log(n)
    return near - 0.5 * math.log(2 * math.pi) - _stirling_error(k)


def binomial(key: Any, n: Any, p: Any, shape: Shape | None = None, dtype: Any = np.float32) -> Any:
    """Numbers of successes in ``n`` trials.

    Where 10 or fewer are expected, trials up to each success are drawn until there are more
    than ``n`` (L. Devroye, "Non-uniform random variate generation", X.4); elsewhere by
    W. Hoermann's transformed rejection BTRS ("The generation of binomial random variates",
    1993).

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    n : array
        Numbers of trials; rounded down.
    p : array of floats
        Probabilities of success. The computation is in their dtype; Python numbers count as of
        the result's.
    shape : int or sequence of int, optional
        Of the result; by default that to which the parameters broadcast.
    dtype : dtype
        bfloat16, float16, float32 (the default, as JAX's) or float64.

    Returns
    -------
    array of ``shape`` and ``dtype``
        NaN where ``n`` is negative or NaN, or ``p`` is outside [0, 1]; infinite where ``n`` is.

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> binomial(PRNGKey(0), 20, 0.25, (4,))
    array([4., 2., 4., 4.], dtype=float32)
    """
    dtype = floating_dtype("binomial", dtype)
    wide = _own_dtype("binomial", p, dtype)
    shape, (n, p) = parameters("binomial", shape, wide, n, p)
    n, p = (fnp.broadcast_to(lax.stop_gradient(x), shape) for x in (n, p))
    zero, half, one = wide.type(0), wide.type(0.5), wide.type(1)
    rare = lax.lt(p, half)
    q = lax.select(rare, p, lax.sub(one, p))
    is_probability = lax.ge(q, zero)
    is_count = lax.ge(n, zero)
    infinite = lax.eq(n, wide.type(np.inf))
    q = lax.select(is_probability, q, wide.type(0.01))
    count = lax.floor(n)
    few = fnp.logical_not(lax.gt(lax.mul(n, q), wide.type(_REJECTION_BINOMIAL)))
    few = fnp.logical_or(few, infinite)
    drawable = fnp.logical_and(few, fnp.logical_and(is_count, fnp.logical_not(infinite)))
    counted = _binomial_inversion(key, lax.select(drawable, count, wide.type(-1)), q)
    # What is not drawn by rejection is replaced by something that is accepted soon.
    trials = lax.select(few, wide.type(1e4), count)
    rejected = _binomial_rejection(key, trials, lax.select(few, half, q))
    successes = lax.select(few, counted, rejected)
    successes = lax.select(rare, successes, lax.sub(count, successes))
    successes = lax.select(infinite, wide.type(np.inf), successes)
    valid = fnp.logical_and(is_probability, is_count)
    successes = lax.select(valid, successes, wide.type(np.nan))
    return lax.convert_element_type(successes, dtype)


def _binomial_inversion(key: Any, count: Any, p: Any) -> Any:
    """The number of sums of geometric numbers that are at most ``count``."""
    aval = aval_of(p)

    def step(carry: Any) -> Any:
        successes, trials, key = carry
        subkey, key = split_in(key, 2)
        successes = fnp.where(trials <= count, successes + 1, successes)
        draws = uniform(subkey, aval.shape, aval.dtype)
        return successes, trials + lax.ceil(lax.log(draws) / lax.log1p(-p)), key

    zeros = fnp.zeros(aval.shape, aval.dtype)
    init = (zeros, zeros, key)
    successes = lax.while_loop(lambda carry: fnp.any(carry[1] <= count), step, init)[0]
    return lax.sub(successes, aval.dtype.type(1))


def _stirling_error(k: Any) -> Any:
    """``log(k!)`` less its approximation of Stirling's."""
    dtype = aval_of(k).dtype
    small = np.array(_STIRLING_ERRORS, dtype)
    inverse = 1 / (k + 1)
    squared = inverse * inverse
    series = (1 / 12 - (1 / 360 - squared / 1260) * squared) * inverse
    position = fnp.astype(fnp.clip(k, 0, len(_STIRLING_ERRORS) - 1), np.int32)
    return fnp.where(k <= len(_STIRLING_ERRORS) - 1, fnp.take(small, position), series)


# log(k!) - (k + 1/2) log(k + 1) + (k + 1) - log(2 pi) / 2, for k = 0, 1, ..., 9.
_STIRLING_ERRORS = (
    0.08106146679532726,
    0.04134069595540929,
    0.02767792568499834,
    0.02079067210376509,
    0.01664469118982119,
    0.01387612882307075,
    0.01189670994589177,
    0.01041126526197209,
    0.00925546218271273,
    0.00833056343336287,
)


def _binomial_rejection(key: Any, count: Any, p: Any) -> Any:
    aval = aval_of(p)

    def step(carry: Any) -> Any:
        drawn, accepted, key = carry
        key, first, second = split_in(key, 3)
        deviation = lax.sqrt(count * p * (1 - p))
        b = 1.15 + 2.53 * deviation
        a = -0.0873 + 0.0248 * b + 0.01 * p
        alpha = (2.83 + 5.1 / b) * deviation
        odds = p / (1 - p)
        mode = lax.floor((count + 1) * p)
        u = uniform(first, aval.shape, aval.dtype)
        v = uniform(second, aval.shape, aval.dtype)
        u = u - 0.5
        centred = 0.5 - lax.abs(u)
        k = lax.floor((2 * a / centred + b) * u + count * p + 0.5)
        at_once = (centred >= 0.07) & (v <= 0.92 - 4.2 / b)
        outside = (k < 0) | (k > count)
        left = lax.log(v * alpha / (a / (centred * centred) + b))
        right = (
            (mode + 0.5) * lax.log((mode + 1) / (odds * (count - mode + 1)))
            + (count + 1) * lax.log((count - mode + 1) / (count - k + 1))
            + (k + 0.5) * lax.log(odds * (count - k + 1) / (k + 1))
            + _stirling_error(mode)
            + _stirling_error(count - mode)
            - _stirling_error(k)
            - _stirling_error(count - k)
        )
        accept = at_once | (~outside & (left <= right))
        return fnp.where(accept, k, drawn), accepted | accept, key

    init = (fnp.full(aval.shape, aval.dtype.type(-1)), fnp.zeros(aval.shape, np.bool_), key)
    return lax.while_loop(lambda carry: fnp.any(~carry[1]), step, init)[0]


def multinomial(
    key: Any, n: Any, p: Any, *, shape: Shape | None = None, dtype: Any = np.float32
) -> Any:
    """How often each of several outcomes happens in ``n`` trials.

    The outcomes are drawn one after the other, each a binomial number of the trials that are
    left.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    n : array
        Numbers of trials, of a shape that broadcasts to that of ``p`` without its last axis.
    p : array of floats, shape (..., k)
        Probabilities of the outcomes, along the last axis. The computation is in their dtype.
    shape : int or sequence of int, optional
        Of the result, the axis of the outcomes included; by default that of ``p``.
    dtype : dtype
        bfloat16, float16, float32 (the default, as JAX's) or float64.

    Returns
    -------
    array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> multinomial(PRNGKey(0), 10, np.array([0.2, 0.3, 0.5], np.float32))
    array([1., 1., 8.], dtype=float32)
    """
    dtype = floating_dtype("multinomial", dtype)
    wide = _own_dtype("multinomial", p, dtype)
    shape, (p,) = parameters("multinomial", shape, wide, p)
    if not aval_of(p).shape:
        raise ValueError("multinomial: p must have an axis of outcomes, got a scalar")
    batch, (n,) = parameters("multinomial", shape[:-1], wide, n)
    p = fnp.moveaxis(p, -1, 0)
    left = lax.cumsum(p, 0, reverse=True)
    ratios = fnp.clip(p / fnp.where(lax.eq(left, wide.type(0)), wide.type(1), left), 0, 1)

    def draw(trials: Any, outcome: Any) -> Any:
        ratio, key = outcome
        count = binomial(key, trials, ratio, dtype=wide)
        return trials - count, count

    trials = fnp.broadcast_to(n, batch)
    _, counts = lax.scan(draw, trials, (ratios, split(key, shape[-1])))
    return lax.convert_element_type(fnp.moveaxis(counts, 0, -1), dtype)
