"""The Gumbel distribution of largest values."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.scipy.stats import gumbel_l
from fnad.scipy.stats.laws import law

_law = law()


@_law
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpdf(np.array([0.0]))
    array([-1.])
    """
    z = (x - loc) / scale
    return -z - fnp.exp(-z) - fnp.log(scale)


@_law
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, loc, scale))


@_law
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    return -fnp.exp((loc - x) / scale)


@_law
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    return fnp.exp(logcdf(x, loc, scale))


@_law
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    return -fnp.expm1(-fnp.exp((loc - x) / scale))


@_law
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    return gumbel_l.logcdf(loc - x, 0, scale)


@_law
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The quantile function, the inverse of `cdf`, elementwise; NaN outside [0, 1]."""
    return loc - scale * fnp.log(-fnp.log(q))
