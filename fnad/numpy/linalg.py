"""Linear algebra, under the names of `numpy.linalg`."""

from typing import Any

from fnad.numpy import indexing
from fnad.numpy.contraction import cross, matmul, norm, outer, tensordot
from fnad.numpy.manipulation import matrix_transpose
from fnad.numpy.operands import Array
from fnad.numpy.solving import cholesky, det, inv, matrix_power, slogdet, solve


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
    "cross",
    "det",
    "diagonal",
    "inv",
    "matmul",
    "matrix_power",
    "matrix_transpose",
    "norm",
    "outer",
    "slogdet",
    "solve",
    "tensordot",
    "trace",
]
