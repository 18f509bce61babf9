"""The binomial distribution of ``n`` trials of probability ``p``."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import floating, impossible
from fnad.scipy.special.saddle_points import log_binomial_term


def logpmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    """The logarithm of the probability of ``k``, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpmf(np.array([2.0, 5.0]), 4, 0.5)
    array([-0.98082925,        -inf])
    """
    k, n, p, loc = floating("binom.logpmf", k, n, p, loc)
    y = k - loc
    outside = (y < 0) | (y > n) | (y != fnp.floor(y))
    z = fnp.where(outside, 0, y)
    return fnp.where(outside, impossible(y), log_binomial_term(z, n - z, p))


def pmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    """The probability of ``k``, elementwise."""
    return fnp.exp(logpmf(k, n, p, loc))
