"""The Pareto distribution of shape ``b``."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import log_of_part
from fnad.scipy.stats.edges import probability
from fnad.scipy.stats.laws import law

_law = law(lambda b: b > 0)


@_law
def logpdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> logpdf(np.array([0.5, 1.0]), 1)
    array([-inf,   0.])
    """
    z = (x - loc) / scale
    y = fnp.where(z < 1, 1, z)
    return fnp.where(z < 1, -np.inf, fnp.log(b / scale) - (b + 1) * fnp.log(y))


@_law
def pdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, b, loc, scale))


@_law
def cdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    z = (x - loc) / scale
    return probability(lambda z: -fnp.expm1(-b * fnp.log(z)), z, 1, np.inf, (0, 1))


@_law
def logcdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    return log_of_part(cdf(x, b, loc, scale), sf(x, b, loc, scale))


@_law
def logsf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    z = (x - loc) / scale
    return probability(lambda z: -b * fnp.log(z), z, 1, np.inf, (0, -np.inf))


@_law
def sf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    return fnp.exp(logsf(x, b, loc, scale))


@_law
def ppf(q: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The quantile function, the inverse of `cdf`, elementwise; NaN outside [0, 1]."""
    outside = (q < 0) | (q > 1)
    power = fnp.exp(-fnp.log1p(-fnp.where(outside, 0, q)) / b)
    return fnp.where(outside, np.nan, loc + scale * power)
