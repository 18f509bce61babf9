"""Densities and distribution functions at the edges of their support: slopes are those within.

So are those of probabilities of counts at the edges of their parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.special import betaln, gammaln
from fnad.scipy.special.edge_powers import beta_kernel, gamma_kernel
from fnad.scipy.special.saddle_points import log_binomial_term, log_poisson_term


def within(z: Any, low: Any, high: Any) -> Any:
    """``z`` moved into an interval; at its ends, the derivative is that from within."""
    return fnp.where(z < low, low, fnp.where(z > high, high, z))


def probability(
    function: Callable[..., Any],
    z: Any,
    low: Any,
    high: Any,
    ends: tuple[float, float],
    quotient: tuple[Any, Any] | None = None,
) -> Any:
    """A distribution function of ``z``, or its logarithm, with its values at its support's ends.

    Where ``quotient`` is given, ``z`` is one, and the function is one of its two parts. Outside,
    all its derivatives are 0, also where the slope at the edge is infinite.
    """
    outside = (z < low) | (z > high) | (z == np.inf)
    parts = ((z, 0.5),) if quotient is None else ((quotient[0], 0.5), (quotient[1], 1))
    value = function(*[fnp.where(outside, inside, x) for x, inside in parts])
    return fnp.where(z < low, ends[0], fnp.where(outside, ends[1], value))


def binomial_kernel(k: Any, m: Any, x: Any) -> Any:
    """``x**k (1 - x)**m`` times the ways to choose ``k`` of ``k + m``, for x in [0, 1]."""
    edge = (x == 0) | (x == 1)
    inside = fnp.exp(log_binomial_term(k, m, fnp.where(edge, 0.5, x)))
    log_norm = betaln(k + 1, m + 1) + fnp.log(k + m + 1)
    return fnp.where(
        edge, beta_kernel(0)(k, m, fnp.where(edge, x, 0), x.dtype.type(1), log_norm), inside
    )


def poisson_kernel(k: Any, x: Any) -> Any:
    """``x**k exp(-x) / gamma(k + 1)``, for x from 0 on."""
    edge = x == 0
    inside = fnp.exp(log_poisson_term(k, fnp.where(edge, 1, x)))
    return fnp.where(
        edge, gamma_kernel(0)(k, fnp.where(edge, x, 0), x.dtype.type(1), gammaln(k + 1)), inside
    )
