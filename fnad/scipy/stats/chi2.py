"""The chi-squared distribution with ``df`` degrees of freedom."""

from __future__ import annotations

from typing import Any

from fnad.scipy.stats import gamma
from fnad.scipy.stats.laws import law

_law = law(lambda df: df > 0)


@_law
def logpdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpdf(np.array([2.0]), 2)
    array([-1.69314718])
    """
    return gamma.logpdf(x, df / 2, loc, 2 * scale)


@_law
def pdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return gamma.pdf(x, df / 2, loc, 2 * scale)


@_law
def cdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    return gamma.cdf(x, df / 2, loc, 2 * scale)


@_law
def logcdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    return gamma.logcdf(x, df / 2, loc, 2 * scale)


@_law
def sf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    return gamma.sf(x, df / 2, loc, 2 * scale)


@_law
def logsf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    return gamma.logsf(x, df / 2, loc, 2 * scale)
