"""The multinomial distribution of ``n`` trials of probabilities ``p``."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.special import gammaln, xlogy
from fnad.scipy.stats.laws import counts, of_reals


@of_reals
def logpmf(x: Any, n: Any, p: Any) -> Any:
    """The logarithm of the probability of counts.

    Parameters
    ----------
    x : array of shape (..., k)
        Counts along the last axis; those that do not sum to ``n`` give -inf.
    n : array of shape (...)
        Where it is no whole number from 0 on, the result is NaN.
    p : array of shape (..., k)
        Taken as they are (SciPy puts what the others leave of 1 in place of the last one). Where
        one is not in [0, 1], the result is NaN.

    Examples
    --------
    >>> logpmf(np.array([1, 1]), 2, np.array([0.5, 0.5]))
    np.float64(-0.6931471805599453)
    """
    if x.ndim == 0 or p.ndim == 0 or x.shape[-1] != p.shape[-1]:
        raise ValueError(
            "multinomial.logpmf takes x and p of shape (..., k), got shapes"
            f" {x.shape} and {p.shape}"
        )
    ways = gammaln(n + 1) - fnp.sum(gammaln(fnp.where(x < 0, 0, x) + 1), axis=-1)
    wrong = (fnp.sum(x, axis=-1) != n) | fnp.any((x < 0) | (x != fnp.floor(x)), axis=-1)
    value = fnp.where(wrong, -np.inf, ways + fnp.sum(xlogy(x, p), axis=-1))
    known = counts(n) & fnp.all((p >= 0) & (p <= 1), axis=-1)
    return fnp.where(known, value, np.nan)


@of_reals
def pmf(x: Any, n: Any, p: Any) -> Any:
    """The probability of counts; see `logpmf`. Where p is 0, slopes are those within [0, 1]."""
    zero = p == 0
    others = fnp.exp(logpmf(x, n, fnp.where(zero, 1, p)))
    return others * fnp.prod(fnp.where(zero, p, 1) ** fnp.where(x < 0, 0, x), axis=-1)
