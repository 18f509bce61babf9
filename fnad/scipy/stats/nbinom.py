"""The negative binomial distribution: failures before the ``n``-th success."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import impossible
from fnad.scipy.special.saddle_points import log_binomial_term
from fnad.scipy.stats.edges import binomial_kernel
from fnad.scipy.stats.laws import law

_law = law(lambda n, p: (n > 0) & (p > 0) & (p <= 1))


@_law
def logpmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    """The logarithm of the probability of ``k``, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpmf(np.array([0, -1]), 1, 0.5)
    array([-0.69314718,        -inf])
    """
    y = k - loc
    outside = (y < 0) | (y != fnp.floor(y))
    z = fnp.where(outside, 0, y)
    # The last trial is the n-th success.
    return fnp.where(outside, impossible(y), log_binomial_term(n, z, p) + fnp.log(n / (n + z)))


@_law
def pmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    """The probability of ``k``, elementwise."""
    y = k - loc
    outside = (y < 0) | (y != fnp.floor(y))
    z = fnp.where(outside, 0, y)
    return fnp.where(outside, fnp.exp(impossible(y)), binomial_kernel(n, z, p) * (n / (n + z)))
