"""The gamma distribution of shape ``a``."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.special import gammainc, gammaincc, gammaln
from fnad.scipy.special.incomplete_gamma import log_gammainc, log_gammaincc
from fnad.scipy.special.saddle_points import log_poisson_term
from fnad.scipy.stats.edges import gamma_kernel, probability
from fnad.scipy.stats.laws import law

_law = law(lambda a: a > 0)


@_law
def logpdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise; -inf at infinity, where SciPy may have NaN.

    Examples
    --------
    >>> logpdf(np.array([-1.0, 1.0]), 2)
    array([-inf,  -1.])
    """
    z = (x - loc) / scale
    outside = (z < 0) | (z == np.inf)
    value = log_poisson_term(a - 1, fnp.where(outside, 1, z)) - fnp.log(scale)
    return fnp.where(outside, -np.inf, value)


@_law
def pdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise. At 0, slopes are those within; at infinity, it is 0."""
    z = (x - loc) / scale
    outside = (z < 0) | (z == np.inf)
    y, norm = fnp.where(outside, 1, z), gammaln(a) + fnp.log(scale)
    large = (a > 10) & (y > 0)
    smooth = fnp.exp(log_poisson_term(fnp.where(large, a, 2) - 1, fnp.where(large, y, 1)))
    value = fnp.where(
        large,
        smooth / scale,
        gamma_kernel(fnp.where(large, 2, a) - 1, y, fnp.where(large, 0, norm)),
    )
    return fnp.where(outside, 0, value)


@_law
def cdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    return probability(lambda z: gammainc(a, z), (x - loc) / scale, 0, np.inf, (0, 1))


@_law
def logcdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    z = (x - loc) / scale
    return probability(lambda z: log_gammainc(a, z), z, 0, np.inf, (-np.inf, 0))


@_law
def sf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    return probability(lambda z: gammaincc(a, z), (x - loc) / scale, 0, np.inf, (1, 0))


@_law
def logsf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    z = (x - loc) / scale
    return probability(lambda z: log_gammaincc(a, z), z, 0, np.inf, (0, -np.inf))
