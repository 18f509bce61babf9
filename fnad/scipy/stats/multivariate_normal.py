"""The normal distribution of vectors, of a mean and a covariance."""

from __future__ import annotations

import math
from typing import Any

import fnad.numpy as fnp
from fnad.scipy.linalg import solve_triangular
from fnad.scipy.operands import floating


def logpdf(x: Any, mean: Any, cov: Any) -> Any:
    """The logarithm of the density.

    Parameters
    ----------
    x : array_like
        ``(..., n)``, or of any shape for numbers.
    mean : array_like
        ``(..., n)``, or a number for numbers.
    cov : array_like
        ``(..., n, n)``, positive definite, or a number times the identity. Leading axes of all
        broadcast. Where it is not positive definite, the result is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> logpdf(np.array([1.0, 0.0]), np.zeros(2), np.diag([1.0, 4.0]))
    np.float64(-3.0310242469692907)
    """
    x, mean, cov = map(fnp.asarray, floating("multivariate_normal.logpdf", x, mean, cov))
    if mean.ndim == 0:
        return -0.5 * ((x - mean) ** 2 / cov + fnp.log(2 * math.pi * cov))
    n = mean.shape[-1]
    if cov.ndim == 0:
        squares = fnp.sum((x - mean) ** 2, -1) / cov
        return -0.5 * (squares + n * fnp.log(2 * math.pi * cov))
    if x.ndim == 0 or x.shape[-1] not in (1, n) or cov.shape[-2:] != (n, n):
        raise ValueError(
            "multivariate_normal.logpdf takes x and mean of shape (..., n) and cov of shape"
            f" (..., n, n), got shapes {x.shape}, {mean.shape} and {cov.shape}"
        )
    factor, difference = fnp.linalg.cholesky(cov), x - mean
    if cov.ndim == 2:
        # One equation with many right-hand sides.
        columns = fnp.reshape(difference, (-1, n)).T
        inner = fnp.reshape(solve_triangular(factor, columns, lower=True).T, difference.shape)
    else:
        inner = solve_triangular(factor, difference[..., None], lower=True)[..., 0]
    logarithms = fnp.sum(fnp.log(fnp.diagonal(factor, axis1=-2, axis2=-1)), -1)
    return -0.5 * (fnp.sum(inner**2, -1) + n * math.log(2 * math.pi)) - logarithms


def pdf(x: Any, mean: Any, cov: Any) -> Any:
    """The density; see `logpdf`."""
    return fnp.exp(logpdf(x, mean, cov))
