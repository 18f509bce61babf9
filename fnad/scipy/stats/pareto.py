"""The Pareto distribution of shape ``b``."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import floating, log_of_part
from fnad.scipy.stats.edges import within


def logpdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> logpdf(np.array([0.5, 1.0]), 1)
    array([-inf,   0.])
    """
    x, b, loc, scale = floating("pareto.logpdf", x, b, loc, scale)
    z = (x - loc) / scale
    y = fnp.where(z < 1, 1, z)
    return fnp.where(z < 1, -np.inf, fnp.log(b / scale) - (b + 1) * fnp.log(y))


def pdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, b, loc, scale))


def cdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    x, b, loc, scale = floating("pareto.cdf", x, b, loc, scale)
    return -fnp.expm1(-b * fnp.log(within((x - loc) / scale, 1, np.inf)))


def logcdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    return log_of_part(cdf(x, b, loc, scale), sf(x, b, loc, scale))


def logsf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    x, b, loc, scale = floating("pareto.logsf", x, b, loc, scale)
    return -b * fnp.log(within((x - loc) / scale, 1, np.inf))


def sf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    return fnp.exp(logsf(x, b, loc, scale))


def ppf(q: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The quantile function, the inverse of `cdf`, elementwise; NaN outside [0, 1]."""
    q, b, loc, scale = floating("pareto.ppf", q, b, loc, scale)
    outside = (q < 0) | (q > 1)
    power = fnp.exp(-fnp.log1p(-fnp.where(outside, 0, q)) / b)
    return fnp.where(outside, np.nan, loc + scale * power)
