"""The exponential distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import log_of_part
from fnad.scipy.stats.edges import within
from fnad.scipy.stats.laws import law

_law = law()


@_law
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> logpdf(np.array([-1.0, 2.0]))
    array([-inf,  -2.])
    """
    z = (x - loc) / scale
    return fnp.where(z < 0, -np.inf, -z - fnp.log(scale))


@_law
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, loc, scale))


@_law
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    return -fnp.expm1(-within((x - loc) / scale, 0, np.inf))


@_law
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    return log_of_part(cdf(x, loc, scale), sf(x, loc, scale))


@_law
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    return -within((x - loc) / scale, 0, np.inf)


@_law
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    return fnp.exp(logsf(x, loc, scale))


@_law
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The quantile function, the inverse of `cdf`, elementwise; NaN outside [0, 1]."""
    outside = (q < 0) | (q > 1)
    return fnp.where(outside, np.nan, loc - scale * fnp.log1p(-fnp.where(outside, 0, q)))
