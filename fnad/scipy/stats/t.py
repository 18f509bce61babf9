"""Student's t distribution with ``df`` degrees of freedom."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import log1p_of_square
from fnad.scipy.special import betaln
from fnad.scipy.stats import norm
from fnad.scipy.stats.laws import law

_law = law(lambda df: df > 0)


@_law
def logpdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> logpdf(np.array([0.0]), 1)
    array([-1.14472989])
    """
    z = (x - loc) / scale
    normal = df == np.inf
    n = fnp.where(normal, 1, df)
    normalizer = betaln(n / 2, fnp.full_like(n, 0.5)) + 0.5 * fnp.log(n) + fnp.log(scale)
    value = -0.5 * (n + 1) * log1p_of_square(z / fnp.sqrt(n)) - normalizer
    return fnp.where(normal, norm.logpdf(x, loc, scale), value)


@_law
def pdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, df, loc, scale))
