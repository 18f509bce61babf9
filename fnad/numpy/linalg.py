"""Linear algebra, under the names of `numpy.linalg`."""

from typing import Any

from fnad.numpy import contraction, indexing
from fnad.numpy.contraction import matmul, multi_dot, tensordot, vecdot
from fnad.numpy.creation import asarray
from fnad.numpy.determinants import det, slogdet
from fnad.numpy.manipulation import matrix_transpose
from fnad.numpy.norms import cond, matrix_norm, norm, vector_norm
from fnad.numpy.operands import Array
from fnad.numpy.solving import cholesky, inv, matrix_power, solve
from fnad.numpy.spectral import (
    eig,
    eigh,
    eigvals,
    eigvalsh,
    lstsq,
    matrix_rank,
    pinv,
    qr,
    svd,
    svdvals,
)
from fnad.numpy.tensor_equations import tensorinv, tensorsolve
from fnad.primitives.shape import canonicalize_axis


def outer(x1: Any, x2: Any, /) -> Array:
    """All products of an element of ``x1`` and one of ``x2``, which have one axis each.

    Examples
    --------
    >>> outer([1, 2], [3, 4])
    array([[3, 4],
           [6, 8]])
    """
    x, y = asarray(x1), asarray(x2)
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError(
            f"linalg.outer: takes arrays of one axis, got shapes {x.shape} and {y.shape};"
            " fnp.outer flattens them"
        )
    return contraction.outer(x, y)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Array:
    """Vector product of vectors of length 3 along ``axis``.

    Examples
    --------
    >>> cross([1, 0, 0], [0, 1, 0])
    array([0, 0, 1])
    """
    x, y = asarray(x1), asarray(x2)
    lengths = [v.shape[canonicalize_axis(axis, v.ndim)] for v in (x, y)]
    if lengths != [3, 3]:
        raise ValueError(
            f"linalg.cross: vectors must have length 3 along axis {axis}, got {lengths[0]} and"
            f" {lengths[1]}; fnp.cross takes length 2, too"
        )
    return contraction.cross(x, y, axis=axis)


def diagonal(x: Any, /, *, offset: int = 0) -> Array:
    """The diagonals of matrices ``(..., m, n)``.

    Examples
    --------
    >>> import numpy as np
    >>> diagonal(np.array([[[1, 2], [3, 4]]]))
    array([[1, 4]])
    """
    return indexing.diagonal(x, offset, -2, -1)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """The sums of the diagonals of matrices ``(..., m, n)``.

    Examples
    --------
    >>> import numpy as np
    >>> trace(np.array([[[1, 2], [3, 4]]]))
    array([5])
    """
    return indexing.trace(x, offset, -2, -1, dtype)


__all__ = [
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "tensorinv",
    "tensorsolve",
    "trace",
    "vecdot",
    "vector_norm",
]
