"""The beta distribution of shapes ``a`` and ``b``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.special import betaln, xlog1py, xlogy
from fnad.scipy.special.edge_powers import beta_kernel
from fnad.scipy.special.incomplete_beta import (
    betainc_of_quotient,
    betaincc_of_quotient,
    log_betainc_of_quotient,
    log_betaincc_of_quotient,
)
from fnad.scipy.special.saddle_points import log_binomial_term
from fnad.scipy.stats.edges import probability
from fnad.scipy.stats.laws import law
from fnad.transforms.blocks import compiled_elementwise

_law = law(lambda a, b: (a > 0) & (b > 0))


@_law
def logpdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> logpdf(np.array([0.5, 2.0]), 2, 2)
    array([0.40546511,       -inf])
    """
    z = (x - loc) / scale
    outside = (z < 0) | (z > 1)
    y = fnp.where(outside, 0.5, z)
    large, smooth = _of_large_shapes(y, a, b)
    value = xlogy(a - 1, y) + xlog1py(b - 1, -y) - betaln(a, b)
    return fnp.where(outside, -np.inf, fnp.where(large, smooth, value) - fnp.log(scale))


def _of_large_shapes(x: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """Where nothing is lost by it, and the logarithm of the density without cancellation there."""
    large = (a > 10) & (b > 10) & (x > 0) & (x < 1)
    p, q = fnp.where(large, a - 1, 10), fnp.where(large, b - 1, 10)
    return large, log_binomial_term(p, q, fnp.where(large, x, 0.5)) + fnp.log(p + q + 1)


@_law
def pdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise. At the ends of [0, 1], slopes are those within."""
    z = (x - loc) / scale
    outside = (z < 0) | (z > 1)
    y = fnp.where(outside, 0.5, z)
    large, smooth = _of_large_shapes(y, a, b)
    p, q = fnp.where(large, 2, a), fnp.where(large, 2, b)
    distance, unit = fnp.where(outside, 0.5, x - loc), fnp.where(outside, 1, scale)
    log_norm = fnp.where(large, 0, betaln(a, b))
    value = beta_kernel(1)(p - 1, q - 1, distance, unit, log_norm)
    return fnp.where(outside, 0, fnp.where(large, fnp.exp(smooth) / scale, value))


def _of_quotient(
    function: Callable[..., Any], x: Any, a: Any, b: Any, scale: Any, ends: tuple[float, float]
) -> Any:
    def of_parts(x: Any, scale: Any) -> Any:
        return function(a, b, x, scale)

    return probability(of_parts, x / scale, 0, 1, ends, (x, scale))


@_law
@compiled_elementwise
def cdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    return _of_quotient(betainc_of_quotient, x - loc, a, b, scale, (0, 1))


@_law
@compiled_elementwise
def logcdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    return _of_quotient(log_betainc_of_quotient, x - loc, a, b, scale, (-np.inf, 0))


@_law
@compiled_elementwise
def sf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    return _of_quotient(betaincc_of_quotient, x - loc, a, b, scale, (1, 0))


@_law
@compiled_elementwise
def logsf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    return _of_quotient(log_betaincc_of_quotient, x - loc, a, b, scale, (0, -np.inf))
