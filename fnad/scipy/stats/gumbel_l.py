"""The Gumbel distribution of smallest values."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import floating
from fnad.scipy.special import exprel


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpdf(np.array([0.0]))
    array([-1.])
    """
    x, loc, scale = floating("gumbel_l.logpdf", x, loc, scale)
    z = (x - loc) / scale
    return z - fnp.exp(z) - fnp.log(scale)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    x, loc, scale = floating("gumbel_l.cdf", x, loc, scale)
    return -fnp.expm1(-fnp.exp((x - loc) / scale))


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    x, loc, scale = floating("gumbel_l.logcdf", x, loc, scale)
    z = (x - loc) / scale
    low = z < 0
    below = z + fnp.log(exprel(-fnp.exp(fnp.where(low, z, 0))))
    return fnp.where(low, below, fnp.log1p(-fnp.exp(-fnp.exp(fnp.where(low, 0, z)))))


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    x, loc, scale = floating("gumbel_l.logsf", x, loc, scale)
    return -fnp.exp((x - loc) / scale)


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    return fnp.exp(logsf(x, loc, scale))


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The quantile function, the inverse of `cdf`, elementwise; NaN outside [0, 1]."""
    q, loc, scale = floating("gumbel_l.ppf", q, loc, scale)
    return loc + scale * fnp.log(-fnp.log1p(-q))
