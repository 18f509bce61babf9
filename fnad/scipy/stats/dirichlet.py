"""The Dirichlet distribution of concentrations ``alpha``, on the simplex."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import floating
from fnad.scipy.special import gammaln, xlogy


def logpdf(x: Any, alpha: Any) -> Any:
    """The logarithm of the density.

    Parameters
    ----------
    x : array of shape (n,) or (n, ...)
        Points, along the first axis as in SciPy; those off the simplex give -inf.
    alpha : array of shape (n,)

    Examples
    --------
    >>> logpdf(np.array([0.25, 0.75]), np.array([1.0, 1.0]))
    np.float64(0.0)
    """
    x, alpha = floating("dirichlet.logpdf", x, alpha)
    if fnp.ndim(alpha) != 1 or fnp.ndim(x) < 1 or x.shape[0] != alpha.shape[0]:
        raise ValueError(
            "dirichlet.logpdf takes alpha of shape (n,) and x of shape (n, ...), got shapes"
            f" {fnp.shape(alpha)} and {fnp.shape(x)}"
        )
    normalizer = fnp.sum(gammaln(alpha)) - gammaln(fnp.sum(alpha))
    a = alpha.reshape((-1,) + (1,) * (x.ndim - 1))
    off = fnp.any(x < 0, axis=0) | (fnp.abs(fnp.sum(x, axis=0) - 1) > 1e-5)
    inside = fnp.where(off, 0.5, x)
    return fnp.where(off, -np.inf, fnp.sum(xlogy(a - 1, inside), axis=0) - normalizer)


def pdf(x: Any, alpha: Any) -> Any:
    """The density; see `logpdf`."""
    return fnp.exp(logpdf(x, alpha))
