"""The logistic distribution."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import floating
from fnad.scipy.special import expit, log_expit, logit


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpdf(np.array([0.0, 1000.0]))
    array([   -1.38629436, -1000.        ])
    """
    x, loc, scale = floating("logistic.logpdf", x, loc, scale)
    z = (x - loc) / scale
    return log_expit(z) + log_expit(-z) - fnp.log(scale)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    x, loc, scale = floating("logistic.cdf", x, loc, scale)
    return expit((x - loc) / scale)


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    x, loc, scale = floating("logistic.logcdf", x, loc, scale)
    return log_expit((x - loc) / scale)


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    x, loc, scale = floating("logistic.sf", x, loc, scale)
    return expit((loc - x) / scale)


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    x, loc, scale = floating("logistic.logsf", x, loc, scale)
    return log_expit((loc - x) / scale)


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The quantile function, the inverse of `cdf`, elementwise; NaN outside [0, 1]."""
    q, loc, scale = floating("logistic.ppf", q, loc, scale)
    return logit(q) * scale + loc


def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The inverse of `sf`, elementwise."""
    q, loc, scale = floating("logistic.isf", q, loc, scale)
    return loc - logit(q) * scale
