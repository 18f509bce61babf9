"""The exponential distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import floating, log_of_part
from fnad.scipy.stats.edges import within


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> logpdf(np.array([-1.0, 2.0]))
    array([-inf,  -2.])
    """
    x, loc, scale = floating("expon.logpdf", x, loc, scale)
    z = (x - loc) / scale
    return fnp.where(z < 0, -np.inf, -z - fnp.log(scale))


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    x, loc, scale = floating("expon.cdf", x, loc, scale)
    return -fnp.expm1(-within((x - loc) / scale, 0, np.inf))


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    return log_of_part(cdf(x, loc, scale), sf(x, loc, scale))


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    x, loc, scale = floating("expon.logsf", x, loc, scale)
    return -within((x - loc) / scale, 0, np.inf)


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    return fnp.exp(logsf(x, loc, scale))


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The quantile function, the inverse of `cdf`, elementwise; NaN outside [0, 1]."""
    q, loc, scale = floating("expon.ppf", q, loc, scale)
    outside = (q < 0) | (q > 1)
    return fnp.where(outside, np.nan, loc - scale * fnp.log1p(-fnp.where(outside, 0, q)))
