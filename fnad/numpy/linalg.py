"""Linear algebra, under the names of `numpy.linalg`."""

from fnad.numpy.contraction import cross, matmul, norm, outer, tensordot
from fnad.numpy.indexing import diagonal, trace
from fnad.numpy.manipulation import matrix_transpose

__all__ = [
    "cross",
    "diagonal",
    "matmul",
    "matrix_transpose",
    "norm",
    "outer",
    "tensordot",
    "trace",
]
