"""The uniform distribution on ``[loc, loc + scale]``."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.stats.edges import within
from fnad.scipy.stats.laws import law

_law = law()


@_law
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> logpdf(np.array([0.5, 3.0]), 0, 2)
    array([-0.69314718,        -inf])
    """
    z = (x - loc) / scale
    outside = (z < 0) | (z > 1)
    return fnp.where(outside, -np.inf, fnp.where(outside, 0, z) * 0 - fnp.log(scale))


@_law
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, loc, scale))


@_law
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    return within((x - loc) / scale, 0, 1)


@_law
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The quantile function, the inverse of `cdf`, elementwise; NaN outside [0, 1]."""
    return fnp.where((q < 0) | (q > 1), np.nan, q * scale + loc)
