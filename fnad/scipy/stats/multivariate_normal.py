"""The normal distribution of vectors, of a mean and a covariance."""

from __future__ import annotations

import math
from typing import Any

import fnad.numpy as fnp
from fnad.scipy.linalg import solve_triangular
from fnad.scipy.stats.laws import of_reals


def logpdf(x: Any, mean: Any = None, cov: Any = 1) -> Any:
    """The logarithm of the density.

    Parameters
    ----------
    x : array_like
        ``(..., n)``, or of any shape for numbers; of any shape where n is 1, too.
    mean : array_like, optional
        ``(..., n)``, or one number for all; 0 by default.
    cov : array_like
        ``(..., n, n)``, positive definite, or a diagonal ``(n,)``, or a number times the identity.
        Leading axes of all broadcast. Where it is not positive definite, the result is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> logpdf(np.array([1.0, 0.0]), np.zeros(2), np.diag([1.0, 4.0]))
    np.float64(-3.0310242469692907)
    """
    return _log_density(x, 0 if mean is None else mean, cov)


def pdf(x: Any, mean: Any = None, cov: Any = 1) -> Any:
    """The density; see `logpdf`."""
    return _density(x, 0 if mean is None else mean, cov)


@of_reals
def _density(x: Any, mean: Any, cov: Any) -> Any:
    return fnp.exp(_log_density(x, mean, cov))


@of_reals
def _log_density(x: Any, mean: Any, cov: Any) -> Any:
    if mean.ndim == cov.ndim == 0:
        return -0.5 * ((x - mean) ** 2 / cov + fnp.log(2 * math.pi * cov))
    n = (cov.shape or mean.shape)[-1]
    if n == 1 and x.shape[-1:] != (1,):
        x = x[..., None]
    fits = x.shape[-1:] in ((1,), (n,)) and mean.shape[-1:] in ((), (n,))
    if not fits or cov.shape[-2:] not in ((), (n,), (n, n)):
        raise ValueError(
            "multivariate_normal takes x and mean of shape (..., n) and cov of shape (..., n, n),"
            f" got shapes {x.shape}, {mean.shape} and {cov.shape}"
        )
    difference = x - mean
    difference = fnp.broadcast_to(difference, (*difference.shape[:-1], n))
    if cov.ndim < 2:
        logarithms = fnp.sum(fnp.log(fnp.broadcast_to(cov, (n,))))
        squares = fnp.sum(difference**2 / cov, -1)
        return -0.5 * (squares + n * math.log(2 * math.pi) + logarithms)
    factor = fnp.linalg.cholesky(cov)
    if cov.ndim == 2:
        # One equation with many right-hand sides.
        columns = fnp.reshape(difference, (-1, n)).T
        inner = fnp.reshape(solve_triangular(factor, columns, lower=True).T, difference.shape)
    else:
        inner = solve_triangular(factor, difference[..., None], lower=True)[..., 0]
    logarithms = fnp.sum(fnp.log(fnp.diagonal(factor, axis1=-2, axis2=-1)), -1)
    return -0.5 * (fnp.sum(inner**2, -1) + n * math.log(2 * math.pi)) - logarithms
