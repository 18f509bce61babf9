"""The Dirichlet distribution of concentrations ``alpha``, on the simplex."""

from __future__ import annotations

from typing import Any

import numpy as np
from ml_dtypes import finfo

import fnad.numpy as fnp
from fnad.scipy.operands import floating
from fnad.scipy.special import gammaln, xlogy
from fnad.scipy.stats.laws import of_reals


def logpdf(x: Any, alpha: Any) -> Any:
    """The logarithm of the density.

    Parameters
    ----------
    x : array of shape (n,) or (n, ...)
        Points, along the first axis as in SciPy; those off the simplex give -inf. Of n - 1 numbers,
        what they leave of 1 is the last one.
    alpha : array of shape (n,)
        Positive; else the result is NaN.

    Examples
    --------
    >>> logpdf(np.array([0.25, 0.75]), np.array([1.0, 1.0]))
    np.float64(0.0)
    """
    return _log_density(x, alpha, _slack("dirichlet.logpdf", x, alpha))


def pdf(x: Any, alpha: Any) -> Any:
    """The density; see `logpdf`."""
    return _density(x, alpha, _slack("dirichlet.pdf", x, alpha))


def _slack(name: str, x: Any, alpha: Any) -> float:
    """How far the sum of numbers of this dtype may be from 1."""
    return max(1e-5, float(finfo(floating(name, x, alpha)[0].dtype).eps))


@of_reals
def _density(x: Any, alpha: Any, slack: Any) -> Any:
    return fnp.exp(_log_density(x, alpha, slack))


@of_reals
def _log_density(x: Any, alpha: Any, slack: Any) -> Any:
    n = alpha.size
    if alpha.ndim != 1 or x.ndim < 1 or x.shape[0] not in (n - 1, n):
        raise ValueError(
            "dirichlet takes alpha of shape (n,) and x of shape (n, ...) or (n - 1, ...),"
            f" got shapes {alpha.shape} and {x.shape}"
        )
    if x.shape[0] < n:
        x = fnp.concatenate([x, 1 - fnp.sum(x, axis=0, keepdims=True)])
    normalizer = fnp.sum(gammaln(alpha)) - gammaln(fnp.sum(alpha))
    a = alpha.reshape((-1,) + (1,) * (x.ndim - 1))
    off = fnp.any(x < 0, axis=0) | (fnp.abs(fnp.sum(x, axis=0) - 1) > slack)
    inside = fnp.where(off, 0.5, x)
    value = fnp.where(off, -np.inf, fnp.sum(xlogy(a - 1, inside), axis=0) - normalizer)
    return fnp.where(fnp.all(alpha > 0), value, np.nan)
