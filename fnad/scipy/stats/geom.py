"""The geometric distribution: trials of probability ``p`` up to the first success."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import floating, impossible
from fnad.scipy.special import xlog1py


def logpmf(k: Any, p: Any, loc: Any = 0) -> Any:
    """The logarithm of the probability of ``k``, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpmf(np.array([0, 1]), 0.5)
    array([       -inf, -0.69314718])
    """
    k, p, loc = floating("geom.logpmf", k, p, loc)
    y = k - loc
    outside = (y < 1) | (y != fnp.floor(y))
    z = fnp.where(outside, 1, y)
    return fnp.where(outside, impossible(y), xlog1py(z - 1, -p) + fnp.log(p))


def pmf(k: Any, p: Any, loc: Any = 0) -> Any:
    """The probability of ``k``, elementwise."""
    return fnp.exp(logpmf(k, p, loc))
