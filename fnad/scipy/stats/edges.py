"""Densities and distribution functions at the edges of their support: slopes are those within.

So are those of probabilities of counts at the edges of their parameters.

The derivatives of powers of 0 are taken term by term, so that those of a density have their limits
at an edge, finite ones and infinite ones, where the exponential of its logarithm has NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import with_partials
from fnad.scipy.special import betaln, gammaln, xlog1py, xlogy
from fnad.scipy.special.saddle_points import log_binomial_term, log_poisson_term


def within(z: Any, low: Any, high: Any) -> Any:
    """``z`` moved into an interval; at its ends, the derivative is that from within."""
    return fnp.where(z < low, low, fnp.where(z > high, high, z))


def probability(
    function: Callable[[Any], Any], z: Any, low: Any, high: Any, ends: tuple[float, float]
) -> Any:
    """A distribution function of ``z``, or its logarithm, with its values at its support's ends.

    Outside, all its derivatives are 0, also where the slope at the edge is infinite.
    """
    below, above = z < low, (z > high) | (z == np.inf)
    value = function(fnp.where(below | above, 0.5, z))
    return fnp.where(below, ends[0], fnp.where(above, ends[1], value))


def _times_log(density: Any, log: Any) -> Any:
    return density * fnp.where(density == 0, 0, log)


def _gamma_slope(p: Any, z: Any, log_norm: Any) -> Any:
    constant = p == 0
    slope = p - fnp.where(constant, 1, z)
    return slope * gamma_kernel(fnp.where(constant, 0, p - 1), z, log_norm)


@with_partials(
    lambda p, z, log_norm: _times_log(gamma_kernel(p, z, log_norm), fnp.log(z)),
    _gamma_slope,
    lambda p, z, log_norm: -gamma_kernel(p, z, log_norm),
)
def gamma_kernel(p: Any, z: Any, log_norm: Any) -> Any:
    """``z**p exp(-z)``, for z from 0 on, divided by a number whose logarithm is given."""
    return fnp.exp(xlogy(p, z) - z - log_norm)


def _beta_slope(p: Any, q: Any, z: Any, log_norm: Any) -> Any:
    no_p, no_q = p == 0, q == 0
    slope = p * fnp.where(no_q, 1, 1 - z) - q * fnp.where(no_p, 1, z)
    p, q = fnp.where(no_p, 0, p - 1), fnp.where(no_q, 0, q - 1)
    flat = no_p & no_q
    return fnp.where(flat, 0, slope) * beta_kernel(p, q, z, log_norm)


@with_partials(
    lambda p, q, z, log_norm: _times_log(beta_kernel(p, q, z, log_norm), fnp.log(z)),
    lambda p, q, z, log_norm: _times_log(beta_kernel(p, q, z, log_norm), fnp.log1p(-z)),
    _beta_slope,
    lambda p, q, z, log_norm: -beta_kernel(p, q, z, log_norm),
)
def beta_kernel(p: Any, q: Any, z: Any, log_norm: Any) -> Any:
    """``z**p (1 - z)**q``, for z in [0, 1], divided by a number whose logarithm is given."""
    return fnp.exp(xlogy(p, z) + xlog1py(q, -z) - log_norm)


def binomial_kernel(k: Any, m: Any, x: Any) -> Any:
    """``x**k (1 - x)**m`` times the ways to choose ``k`` of ``k + m``, for x in [0, 1]."""
    edge = (x == 0) | (x == 1)
    inside = fnp.exp(log_binomial_term(k, m, fnp.where(edge, 0.5, x)))
    log_norm = betaln(k + 1, m + 1) + fnp.log(k + m + 1)
    return fnp.where(edge, beta_kernel(k, m, fnp.where(edge, x, 0), log_norm), inside)


def poisson_kernel(k: Any, x: Any) -> Any:
    """``x**k exp(-x) / gamma(k + 1)``, for x from 0 on."""
    edge = x == 0
    inside = fnp.exp(log_poisson_term(k, fnp.where(edge, 1, x)))
    return fnp.where(edge, gamma_kernel(k, fnp.where(edge, x, 0), gammaln(k + 1)), inside)
