"""The Cauchy distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import log1p_of_square, log_of_part
from fnad.scipy.stats.laws import law

_law = law()


@_law
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> logpdf(np.array([0.0]))
    array([-1.14472989])
    """
    z = (x - loc) / scale
    return -log1p_of_square(z) - fnp.log(math.pi * scale)


@_law
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, loc, scale))


@_law
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    # arctan2 keeps the relative accuracy of the left tail, where 1/2 + arctan(z) / pi cancels.
    return fnp.arctan2(fnp.ones_like(x), (loc - x) / scale) / math.pi


@_law
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    return log_of_part(cdf(x, loc, scale), sf(x, loc, scale))


@_law
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    return fnp.arctan2(fnp.ones_like(x), (x - loc) / scale) / math.pi


@_law
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    return log_of_part(sf(x, loc, scale), cdf(x, loc, scale))


def _quantile(q: Any) -> Any:
    inside = (q > 0) & (q < 1)
    # From the nearest of 0, 1/2 and 1, each of which is exact.
    central = fnp.abs(q - 0.5) < 0.25
    tail = fnp.minimum(
        fnp.where(inside & ~central, q, 0.2), 1 - fnp.where(inside & ~central, q, 0.2)
    )
    outer = fnp.sign(q - 0.5) / fnp.tan(math.pi * tail)
    middle = fnp.where(central, fnp.tan(math.pi * fnp.where(central, q - 0.5, 0)), outer)
    edge = fnp.where(q == 0, -np.inf, fnp.where(q == 1, np.inf, np.nan))
    return fnp.where(inside, middle, edge.astype(q.dtype))


@_law
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The quantile function, the inverse of `cdf`, elementwise; NaN outside [0, 1]."""
    return _quantile(q) * scale + loc


@_law
def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The inverse of `sf`, elementwise."""
    return loc - _quantile(q) * scale
