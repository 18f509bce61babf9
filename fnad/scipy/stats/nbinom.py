"""The negative binomial distribution: failures before the ``n``-th success."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import floating, impossible
from fnad.scipy.special import betaln, xlog1py, xlogy


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
    ways = -betaln(z + 1, n) - fnp.log(n + z)
    ways = fnp.where(z == 0, 0, ways)
    return fnp.where(outside, impossible(y), ways + xlogy(n, p) + xlog1py(z, -p))


def pmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    """The probability of ``k``, elementwise."""
    return fnp.exp(logpmf(k, n, p, loc))
