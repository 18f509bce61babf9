"""Distributions that need factorisations of matrices: multivariate normal, orthogonal matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad import lax
from fnad import numpy as fnp
from fnad.core.sizes import common_shape
from fnad.primitives.linalg.cholesky import cholesky
from fnad.primitives.linalg.eigh import eigh
from fnad.primitives.linalg.qr import qr
from fnad.primitives.linalg.svd import svd
from fnad.random.distributions import normal
from fnad.random.keys import count_of, shape_tuple
from fnad.random.uniform import Shape, floating_dtype


def multivariate_normal(
    key: Any,
    mean: Any,
    cov: Any,
    shape: Shape | None = None,
    dtype: Any = None,
    method: str = "cholesky",
) -> Any:
    """Normally distributed vectors of a given mean and covariance.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    mean : array, shape (..., n)
        Mean.
    cov : array, shape (..., n, n)
        Covariance: symmetric, and positive definite for "cholesky".
    shape : int or sequence of int, optional
        Of the result without its last axis; by default that to which the leading axes of the
        parameters broadcast.
    dtype : dtype, optional
        float32 or float64; by default that of the parameters together.
    method : {"cholesky", "eigh", "svd"}
        How the covariance is factorised; the last two take singular ones too.

    Returns
    -------
    array of ``dtype``, shape ``(*shape, n)``

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> cov = np.array([[1.0, 0.5], [0.5, 2.0]], np.float32)
    >>> multivariate_normal(PRNGKey(0), np.zeros(2, np.float32), cov)
    array([1.6226422, 3.4904943], dtype=float32)
    """
    if method not in ("cholesky", "eigh", "svd"):
        raise ValueError(
            f"multivariate_normal: method must be 'cholesky', 'eigh' or 'svd', got {method!r}"
        )
    mean, cov = fnp.asarray(mean), fnp.asarray(cov)
    dtype = np.result_type(mean.dtype, cov.dtype, np.float32) if dtype is None else np.dtype(dtype)
    if floating_dtype("multivariate_normal", dtype).itemsize < 4:
        raise TypeError(f"multivariate_normal: the dtype must be float32 or float64, got {dtype}")
    if mean.ndim < 1 or cov.shape[-2:] != (mean.shape[-1],) * 2:
        raise ValueError(
            "multivariate_normal: a mean of shape (..., n) goes with a covariance of shape"
            f" (..., n, n), got {mean.shape} and {cov.shape}"
        )
    own = (mean.shape[:-1], cov.shape[:-2])
    given = None if shape is None else shape_tuple("multivariate_normal", shape)
    try:
        batch = common_shape(*own)
        leading = batch if given is None else given
        fits = common_shape(batch, leading) == leading
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"multivariate_normal: the leading axes {own[0]} of the mean and {own[1]} of the"
            " covariance do not broadcast" + ("" if shape is None else f" to {shape}")
        )
    mean, cov = (lax.convert_element_type(x, dtype) for x in (mean, cov))
    draws = normal(key, (*leading, mean.shape[-1]), dtype)
    factor = _factor(cov, method)
    return fnp.add(mean, fnp.squeeze(fnp.matmul(factor, draws[..., None]), -1))


def _factor(cov: Any, method: str) -> Any:
    """A matrix whose product with its own transpose is ``cov``."""
    if method == "cholesky":
        return cholesky(cov)
    if method == "eigh":
        vectors, values = eigh(cov)
        # Rounding may put those of a singular covariance below 0.
        values = fnp.maximum(values, values.dtype.type(0))
    else:
        vectors, values, _ = svd(cov)
    return fnp.multiply(vectors, fnp.sqrt(values)[..., None, :])


def orthogonal(
    key: Any, n: int, shape: Shape = (), dtype: Any = np.float32, m: int | None = None
) -> Any:
    """Orthogonal (or unitary) matrices, uniformly (by Haar's measure) distributed.

    F. Mezzadri, "How to generate random matrices from the classical compact groups" (2007): the
    factor Q of a matrix of normal numbers, made unique by the signs of the diagonal of R.
    Matrices of complex numbers are unitary.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    n : int
        Number of rows.
    shape : int or sequence of int
        Of the result without its last two axes.
    dtype : dtype
        float32 (the default, as JAX's), float64, complex64 or complex128.
    m : int, optional
        Number of columns, n by default. The shorter of rows and columns are orthonormal.

    Returns
    -------
    array of ``dtype``, shape ``(*shape, n, m)``

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> q = orthogonal(PRNGKey(0), 3, dtype=np.float64)
    >>> bool(np.allclose(q.T @ q, np.eye(3)))
    True
    """
    dtype = np.dtype(dtype)
    if dtype.char not in "fdFD":
        raise TypeError(
            f"orthogonal: the dtype must be float32, float64, complex64 or complex128, got {dtype}"
        )
    n = count_of("orthogonal", n, "n")
    m = n if m is None else count_of("orthogonal", m, "m")
    draws = normal(key, (*shape_tuple("orthogonal", shape), max(n, m), min(n, m)), dtype)
    q, r = qr(draws, full_matrices=False)
    signs = lax.sign(fnp.diagonal(r, 0, -2, -1))
    q = fnp.multiply(q, signs[..., None, :])
    return fnp.swapaxes(q, -1, -2) if n < m else q
