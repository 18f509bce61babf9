"""The logistic distribution."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.scipy.special import expit, log_expit, logit
from fnad.scipy.stats.laws import law

_law = law()


@_law
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpdf(np.array([0.0, 1000.0]))
    array([   -1.38629436, -1000.        ])
    """
    z = (x - loc) / scale
    return log_expit(z) + log_expit(-z) - fnp.log(scale)


@_law
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, loc, scale))


@_law
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    return expit((x - loc) / scale)


@_law
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    return log_expit((x - loc) / scale)


@_law
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    return expit((loc - x) / scale)


@_law
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    return log_expit((loc - x) / scale)


@_law
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The quantile function, the inverse of `cdf`, elementwise; NaN outside [0, 1]."""
    return logit(q) * scale + loc


@_law
def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The inverse of `sf`, elementwise."""
    return loc - logit(q) * scale
