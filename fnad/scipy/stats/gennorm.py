"""The generalised normal distribution, of density proportional to ``exp(-|x| ** beta)``."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.scipy.special import gammaincc, gammaln
from fnad.scipy.stats.laws import law

_law = law(lambda beta: beta > 0)


def _power(z: Any, beta: Any) -> Any:
    """``|z|**beta``, with derivatives 0 where z is 0."""
    zero = z == 0
    power = fnp.where(zero, 0, fnp.where(zero, 1, fnp.abs(z)) ** beta)
    return fnp.where(fnp.isnan(z), z, power)  # NaN to the power of 0 is 1


@_law
def logpdf(x: Any, beta: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpdf(np.array([0.0, 1.0]), 1.0)
    array([-0.69314718, -1.69314718])
    """
    z = (x - loc) / scale
    return fnp.log(beta / (2 * scale)) - gammaln(1 / beta) - _power(z, beta)


@_law
def pdf(x: Any, beta: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, beta, loc, scale))


@_law
def cdf(x: Any, beta: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise; accurate where it is small."""
    z = (x - loc) / scale
    tail = 0.5 * gammaincc(1 / beta, _power(z, beta))
    # In the middle, a power that is not smooth is put into a function that is not, either.
    middle = 0.5 + z * fnp.exp(fnp.log(beta / 2) - gammaln(1 / beta))
    return fnp.where(z == 0, middle, fnp.where(z > 0, 1 - tail, tail))


@_law
def sf(x: Any, beta: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise; accurate where it is small."""
    return cdf(loc - x, beta, 0, scale)
