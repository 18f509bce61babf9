"""The Bernoulli distribution of probability ``p``."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import impossible
from fnad.scipy.special import xlog1py, xlogy
from fnad.scipy.stats.laws import law

_law = law(lambda p: (p >= 0) & (p <= 1))


@_law
def logpmf(k: Any, p: Any, loc: Any = 0) -> Any:
    """The logarithm of the probability of ``k``, elementwise.

    Examples
    --------
    >>> logpmf(np.array([0, 2]), 0.5)
    array([-0.69314718,        -inf])
    """
    y = k - loc
    outside = (y != 0) & (y != 1)
    z = fnp.where(outside, 0, y)
    return fnp.where(outside, impossible(y), xlogy(z, p) + xlog1py(1 - z, -p))


@_law
def pmf(k: Any, p: Any, loc: Any = 0) -> Any:
    """The probability of ``k``, elementwise."""
    y = k - loc
    return fnp.where(y == 1, p, fnp.where(y == 0, 1 - p, fnp.exp(impossible(y))))


@_law
def cdf(k: Any, p: Any, loc: Any = 0) -> Any:
    """The distribution function, elementwise."""
    y = fnp.floor(k - loc)
    inside = fnp.where(y < 0, 0, fnp.where(y < 1, 1 - p, 1))
    return fnp.where(fnp.isnan(y), y, inside)


@_law
def ppf(q: Any, p: Any, loc: Any = 0) -> Any:
    """The quantile function, the inverse of `cdf`, elementwise; NaN outside [0, 1]."""
    value = fnp.where(q <= 1 - p, 0, q.dtype.type(1)) + loc
    value = fnp.where(q == 0, loc - 1, fnp.where(q == 1, loc + 1, value))
    return fnp.where(~((q >= 0) & (q <= 1)), np.nan, value)
