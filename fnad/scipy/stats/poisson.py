"""The Poisson distribution of mean ``mu``."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import floating
from fnad.scipy.special import gammaincc, gammaln, xlogy


def logpmf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """The logarithm of the probability of ``k``, elementwise.

    Examples
    --------
    >>> logpmf(np.array([0.0, 0.5]), 1)
    array([ -1., -inf])
    """
    k, mu, loc = floating("poisson.logpmf", k, mu, loc)
    y = k - loc
    outside = (y < 0) | (y != fnp.floor(y))
    z = fnp.where(outside, 0, y)
    return fnp.where(outside, -np.inf, xlogy(z, mu) - gammaln(z + 1) - mu)


def pmf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """The probability of ``k``, elementwise."""
    return fnp.exp(logpmf(k, mu, loc))


def cdf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """The distribution function, elementwise."""
    k, mu, loc = floating("poisson.cdf", k, mu, loc)
    y = fnp.floor(k - loc)
    return fnp.where(y < 0, 0, gammaincc(fnp.where(y < 0, 0, y) + 1, mu))
