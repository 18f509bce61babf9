"""The binomial distribution whose probability is beta distributed."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import impossible
from fnad.scipy.special import betaln
from fnad.scipy.stats.laws import counts, law

_law = law(lambda n, a, b: counts(n) & (a > 0) & (b > 0))


@_law
def logpmf(k: Any, n: Any, a: Any, b: Any, loc: Any = 0) -> Any:
    """The logarithm of the probability of ``k`` successes of ``n``, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpmf(np.array([2.0, 5.0]), 4, 1.0, 1.0)
    array([-1.60943791,        -inf])
    """
    y = k - loc
    outside = (y < 0) | (y > n) | (y != fnp.floor(y))
    z = fnp.where(outside, 0, y)
    choices = -betaln(1 + z, 1 + n - z) - fnp.log(n + 1)
    return fnp.where(outside, impossible(y), choices + betaln(z + a, n - z + b) - betaln(a, b))


@_law
def pmf(k: Any, n: Any, a: Any, b: Any, loc: Any = 0) -> Any:
    """The probability of ``k`` successes of ``n``, elementwise."""
    return fnp.exp(logpmf(k, n, a, b, loc))
