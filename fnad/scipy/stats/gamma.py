"""The gamma distribution of shape ``a``."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import floating, log_of_part
from fnad.scipy.special import gammainc, gammaincc, gammaln, xlogy
from fnad.scipy.stats.edges import gamma_kernel, probability


def logpdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> logpdf(np.array([-1.0, 1.0]), 2)
    array([-inf,  -1.])
    """
    x, a, loc, scale = floating("gamma.logpdf", x, a, loc, scale)
    z = (x - loc) / scale
    y = fnp.where(z < 0, 1, z)
    return fnp.where(z < 0, -np.inf, xlogy(a - 1, y) - y - gammaln(a) - fnp.log(scale))


def pdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise. At 0, slopes are those within the support."""
    x, a, loc, scale = floating("gamma.pdf", x, a, loc, scale)
    z = (x - loc) / scale
    norm = gammaln(a) + fnp.log(scale)
    return fnp.where(z < 0, 0, gamma_kernel(a - 1, fnp.where(z < 0, 1, z), norm))


def cdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    x, a, loc, scale = floating("gamma.cdf", x, a, loc, scale)
    return probability(lambda z: gammainc(a, z), (x - loc) / scale, 0, np.inf, (0, 1))


def logcdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    return log_of_part(cdf(x, a, loc, scale), sf(x, a, loc, scale))


def sf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    x, a, loc, scale = floating("gamma.sf", x, a, loc, scale)
    return probability(lambda z: gammaincc(a, z), (x - loc) / scale, 0, np.inf, (1, 0))


def logsf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    return log_of_part(sf(x, a, loc, scale), cdf(x, a, loc, scale))
