"""The negative binomial distribution: failures before the ``n``-th success."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import floating, impossible
from fnad.scipy.special import xlogy
from fnad.scipy.special.saddle_points import log_binomial_term


def logpmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    """The logarithm of the probability of ``k``, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpmf(np.array([0, -1]), 1, 0.5)
    array([-0.69314718,        -inf])
    """
    k, n, p, loc = floating("nbinom.logpmf", k, n, p, loc)
    y = k - loc
    outside = (y < 0) | (y != fnp.floor(y))
    z = fnp.where(outside, 0, y)
    # The last trial is the n-th success.
    value = log_binomial_term(n, z, p) + fnp.log(n / (n + z))
    return fnp.where(outside, impossible(y), fnp.where(z == 0, xlogy(n, p), value))


def pmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    """The probability of ``k``, elementwise."""
    return fnp.exp(logpmf(k, n, p, loc))
