"""The Bernoulli distribution of probability ``p``."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import floating, impossible
from fnad.scipy.special import xlog1py, xlogy


def logpmf(k: Any, p: Any, loc: Any = 0) -> Any:
    """The logarithm of the probability of ``k``, elementwise.

    Examples
    --------
    >>> logpmf(np.array([0, 2]), 0.5)
    array([-0.69314718,        -inf])
    """
    k, p, loc = floating("bernoulli.logpmf", k, p, loc)
    y = k - loc
    outside = (y != 0) & (y != 1)
    z = fnp.where(outside, 0, y)
    return fnp.where(outside, impossible(y), xlogy(z, p) + xlog1py(1 - z, -p))


def pmf(k: Any, p: Any, loc: Any = 0) -> Any:
    """The probability of ``k``, elementwise."""
    return fnp.exp(logpmf(k, p, loc))


def cdf(k: Any, p: Any, loc: Any = 0) -> Any:
    """The distribution function, elementwise."""
    k, p, loc = floating("bernoulli.cdf", k, p, loc)
    y = fnp.floor(k - loc)
    inside = fnp.where(y < 0, 0, fnp.where(y < 1, 1 - p, 1 + 0 * p))
    return fnp.where(fnp.isnan(y), y, inside)


def ppf(q: Any, p: Any, loc: Any = 0) -> Any:
    """The quantile function, the inverse of `cdf`, elementwise; NaN outside [0, 1]."""
    q, p, loc = floating("bernoulli.ppf", q, p, loc)
    value = fnp.where(q <= 1 - p, 0, q.dtype.type(1)) + loc
    value = fnp.where(q == 0, loc - 1, fnp.where(q == 1, loc + 1, value))
    return fnp.where(~((q >= 0) & (q <= 1) & (p >= 0) & (p <= 1)), np.nan, value)
