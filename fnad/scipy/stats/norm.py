"""The normal distribution."""

from __future__ import annotations

import math
from typing import Any

import fnad.numpy as fnp
from fnad.scipy.special import log_ndtr, ndtr, ndtri
from fnad.scipy.stats.laws import law

_law = law()


@_law
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpdf(np.array([0.0, 1.0]))
    array([-0.91893853, -1.41893853])
    """
    z = (x - loc) / scale
    return -0.5 * (z * z + math.log(2 * math.pi)) - fnp.log(scale)


@_law
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, loc, scale))


@_law
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    return ndtr((x - loc) / scale)


@_law
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    return log_ndtr((x - loc) / scale)


@_law
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    return ndtr((loc - x) / scale)


@_law
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    return log_ndtr((loc - x) / scale)


@_law
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The quantile function, the inverse of `cdf`, elementwise; NaN outside [0, 1]."""
    return ndtri(q) * scale + loc


@_law
def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The inverse of `sf`, elementwise."""
    return loc - ndtri(q) * scale
