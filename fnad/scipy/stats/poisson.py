"""The Poisson distribution of mean ``mu``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import impossible, polynomial
from fnad.scipy.special import gammaincc, gammaln
from fnad.scipy.special.saddle_points import log_poisson_term
from fnad.scipy.stats.edges import poisson_kernel, probability
from fnad.scipy.stats.laws import law, of_reals

_law = law(lambda mu: mu >= 0)


@_law
def logpmf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """The logarithm of the probability of ``k``, elementwise.

    Examples
    --------
    >>> logpmf(np.array([0.0, 0.5]), 1)
    array([ -1., -inf])
    """
    y = k - loc
    outside = (y < 0) | (y != fnp.floor(y))
    z = fnp.where(outside, 0, y)
    return fnp.where(outside, impossible(y), log_poisson_term(z, mu))


@_law
def pmf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """The probability of ``k``, elementwise."""
    y = k - loc
    outside = (y < 0) | (y != fnp.floor(y))
    z = fnp.where(outside, 0, y)
    return fnp.where(outside, fnp.exp(impossible(y)), poisson_kernel(z, mu))


@_law
def cdf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """The distribution function, elementwise."""
    y = fnp.floor(k - loc)
    return probability(lambda z: gammaincc(z + 1, mu), y, 0, np.inf, (0, 1))


_LARGE = 50.0  # from here on the asymptotic series is exact to the last bits
_TERMS = 150  # and below, no later probability counts
# Its coefficients, from 1/mu on, fitted with 50 digits; the first ones are those of R. J. Evans and
# J. Boersma, "The entropy of a Poisson distribution" (SIAM Review 30, 1988).
_SERIES = (
    -1 / 12, -1 / 24, -19 / 360, -9 / 80, -0.34246031746, -1.36408730203, -6.73670615954,
    -39.7785318358, -273.591598237, -2152.08956034,
)  # fmt: skip


@of_reals
def entropy(mu: Any, loc: Any = 0) -> Any:
    """The entropy of the distribution, elementwise.

    Examples
    --------
    >>> print(f"{entropy(1.0):.6f}")
    1.304842
    """
    mu, loc = fnp.broadcast_arrays(mu, loc)
    small = mu < _LARGE
    near = fnp.where(small & (mu > 0), mu, 1)[..., None]
    k = np.arange(_TERMS, dtype=mu.dtype)
    logs = k * fnp.log(near) - gammaln(k + 1) - near
    direct = -fnp.sum(fnp.exp(logs) * logs, axis=-1)
    far = fnp.where(small, _LARGE, mu)
    series = polynomial(1 / far, _SERIES) / far + 0.5 * fnp.log(2 * math.pi * math.e * far)
    value = fnp.where(small, fnp.where(mu == 0, 0, direct), series)
    return fnp.where((mu >= 0) & ~fnp.isnan(loc), value, np.nan)
