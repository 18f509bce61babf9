"""The geometric distribution: trials of probability ``p`` up to the first success."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import impossible
from fnad.scipy.special import xlog1py
from fnad.scipy.special.edge_powers import beta_kernel
from fnad.scipy.stats.laws import law

_law = law(lambda p: (p > 0) & (p <= 1))


@_law
def logpmf(k: Any, p: Any, loc: Any = 0) -> Any:
    """The logarithm of the probability of ``k``, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpmf(np.array([0, 1]), 0.5)
    array([       -inf, -0.69314718])
    """
    y = k - loc
    outside = (y < 1) | (y != fnp.floor(y))
    z = fnp.where(outside, 1, y)
    return fnp.where(outside, impossible(y), xlog1py(z - 1, -p) + fnp.log(p))


@_law
def pmf(k: Any, p: Any, loc: Any = 0) -> Any:
    """The probability of ``k``, elementwise."""
    y = k - loc
    outside = (y < 1) | (y != fnp.floor(y))
    z = fnp.where(outside, 1, y)
    value = beta_kernel(0)(fnp.ones_like(z), z - 1, p, p.dtype.type(1), fnp.zeros_like(z))
    return fnp.where(outside, fnp.exp(impossible(y)), value)
