"""The multinomial distribution of ``n`` trials of probabilities ``p``."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import floating
from fnad.scipy.special import gammaln, xlogy


def logpmf(x: Any, n: Any, p: Any) -> Any:
    """The logarithm of the probability of counts.

    Parameters
    ----------
    x : array of shape (..., k)
        Counts along the last axis; those that do not sum to ``n`` give -inf.
    n : array of shape (...)
    p : array of shape (..., k)

    Examples
    --------
    >>> logpmf(np.array([1, 1]), 2, np.array([0.5, 0.5]))
    np.float64(-0.6931471805599453)
    """
    x, n, p = floating("multinomial.logpmf", x, n, p)
    ways = gammaln(n + 1) - fnp.sum(gammaln(fnp.where(x < 0, 0, x) + 1), axis=-1)
    wrong = (fnp.sum(x, axis=-1) != n) | fnp.any((x < 0) | (x != fnp.floor(x)), axis=-1)
    return fnp.where(wrong, -np.inf, ways + fnp.sum(xlogy(x, p), axis=-1))


def pmf(x: Any, n: Any, p: Any) -> Any:
    """The probability of counts; see `logpmf`."""
    return fnp.exp(logpmf(x, n, p))
