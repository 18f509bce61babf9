"""The Gumbel distribution of largest values."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import floating
from fnad.scipy.stats import gumbel_l


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpdf(np.array([0.0]))
    array([-1.])
    """
    x, loc, scale = floating("gumbel_r.logpdf", x, loc, scale)
    z = (x - loc) / scale
    return -z - fnp.exp(-z) - fnp.log(scale)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, loc, scale))


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    x, loc, scale = floating("gumbel_r.logcdf", x, loc, scale)
    return -fnp.exp((loc - x) / scale)


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    return fnp.exp(logcdf(x, loc, scale))


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    x, loc, scale = floating("gumbel_r.sf", x, loc, scale)
    return -fnp.expm1(-fnp.exp((loc - x) / scale))


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    x, loc, scale = floating("gumbel_r.logsf", x, loc, scale)
    return gumbel_l.logcdf(loc - x, 0, scale)


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The quantile function, the inverse of `cdf`, elementwise; NaN outside [0, 1]."""
    q, loc, scale = floating("gumbel_r.ppf", q, loc, scale)
    return loc - scale * fnp.log(-fnp.log(q))
