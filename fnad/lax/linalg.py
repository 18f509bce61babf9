"""Factorisations of stacks of matrices, under the names of `jax.lax.linalg`."""

from fnad.primitives.linalg.cholesky import cholesky
from fnad.primitives.linalg.lu import lu
from fnad.primitives.linalg.triangular import triangular_solve

__all__ = [
    "cholesky",
    "lu",
    "triangular_solve",
]
