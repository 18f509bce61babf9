"""The beta distribution of shapes ``a`` and ``b``."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import floating, log_of_part
from fnad.scipy.special import betainc, betaincc, betaln, xlog1py, xlogy
from fnad.scipy.stats.edges import beta_kernel, probability


def logpdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> logpdf(np.array([0.5, 2.0]), 2, 2)
    array([0.40546511,       -inf])
    """
    x, a, b, loc, scale = floating("beta.logpdf", x, a, b, loc, scale)
    z = (x - loc) / scale
    outside = (z < 0) | (z > 1)
    y = fnp.where(outside, 0.5, z)
    value = xlogy(a - 1, y) + xlog1py(b - 1, -y) - betaln(a, b) - fnp.log(scale)
    return fnp.where(outside, -np.inf, value)


def pdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise. At the ends of [0, 1], slopes are those within."""
    x, a, b, loc, scale = floating("beta.pdf", x, a, b, loc, scale)
    z = (x - loc) / scale
    outside = (z < 0) | (z > 1)
    norm = betaln(a, b) + fnp.log(scale)
    return fnp.where(outside, 0, beta_kernel(a - 1, b - 1, fnp.where(outside, 0.5, z), norm))


def cdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    x, a, b, loc, scale = floating("beta.cdf", x, a, b, loc, scale)
    return probability(lambda z: betainc(a, b, z), (x - loc) / scale, 0, 1, (0, 1))


def logcdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    return log_of_part(cdf(x, a, b, loc, scale), sf(x, a, b, loc, scale))


def sf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    x, a, b, loc, scale = floating("beta.sf", x, a, b, loc, scale)
    return probability(lambda z: betaincc(a, b, z), (x - loc) / scale, 0, 1, (1, 0))


def logsf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    return log_of_part(sf(x, a, b, loc, scale), cdf(x, a, b, loc, scale))
