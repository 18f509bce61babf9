"""The chi-squared distribution with ``df`` degrees of freedom."""

from __future__ import annotations

from typing import Any

from fnad.scipy.operands import floating
from fnad.scipy.stats import gamma


def logpdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpdf(np.array([2.0]), 2)
    array([-1.69314718])
    """
    x, df, loc, scale = floating("chi2.logpdf", x, df, loc, scale)
    return gamma.logpdf(x, df / 2, loc, 2 * scale)


def pdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    x, df, loc, scale = floating("chi2.pdf", x, df, loc, scale)
    return gamma.pdf(x, df / 2, loc, 2 * scale)


def cdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    x, df, loc, scale = floating("chi2.cdf", x, df, loc, scale)
    return gamma.cdf(x, df / 2, loc, 2 * scale)


def logcdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    x, df, loc, scale = floating("chi2.logcdf", x, df, loc, scale)
    return gamma.logcdf(x, df / 2, loc, 2 * scale)


def sf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    x, df, loc, scale = floating("chi2.sf", x, df, loc, scale)
    return gamma.sf(x, df / 2, loc, 2 * scale)


def logsf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    x, df, loc, scale = floating("chi2.logsf", x, df, loc, scale)
    return gamma.logsf(x, df / 2, loc, 2 * scale)
