"""The gamma distribution of shape ``a``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.special import gammaln
from fnad.scipy.special.edge_powers import gamma_kernel
from fnad.scipy.special.incomplete_gamma import (
    log_lower_of_quotient,
    log_upper_of_quotient,
    lower_of_quotient,
    upper_of_quotient,
)
from fnad.scipy.special.saddle_points import log_poisson_term
from fnad.scipy.stats.edges import probability
from fnad.scipy.stats.laws import law
from fnad.transforms.blocks import compiled_elementwise

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
    y = fnp.where(outside, 1, z)
    large = (a > 10) & (y > 0)
    smooth = fnp.exp(log_poisson_term(fnp.where(large, a, 2) - 1, fnp.where(large, y, 1)))
    p, distance = fnp.where(large, 2, a) - 1, fnp.where(outside, scale, x - loc)
    value = gamma_kernel(1)(p, distance, scale, fnp.where(large, 0, gammaln(a)))
    value = fnp.where(large, smooth / scale, value)
    return fnp.where(outside, 0, value)


def _of_quotient(
    function: Callable[..., Any], x: Any, a: Any, scale: Any, ends: tuple[float, float]
) -> Any:
    def of_parts(x: Any, scale: Any) -> Any:
        return function(a, x, scale)

    return probability(of_parts, x / scale, 0, np.inf, ends, (x, scale))


@_law
@compiled_elementwise
def cdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    return _of_quotient(lower_of_quotient, x - loc, a, scale, (0, 1))


@_law
@compiled_elementwise
def logcdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    return _of_quotient(log_lower_of_quotient, x - loc, a, scale, (-np.inf, 0))


@_law
@compiled_elementwise
def sf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    return _of_quotient(upper_of_quotient, x - loc, a, scale, (1, 0))


@_law
@compiled_elementwise
def logsf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    return _of_quotient(log_upper_of_quotient, x - loc, a, scale, (0, -np.inf))
