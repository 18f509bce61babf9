"""Factorisations of stacks of matrices, under the names of `jax.lax.linalg`."""

from fnad.primitives.linalg.cholesky import cholesky
from fnad.primitives.linalg.eig import eig
from fnad.primitives.linalg.eigh import eigh
from fnad.primitives.linalg.lu import lu
from fnad.primitives.linalg.qr import qr
from fnad.primitives.linalg.schur import schur
from fnad.primitives.linalg.svd import svd
from fnad.primitives.linalg.triangular import triangular_solve

__all__ = [
    "cholesky",
    "eig",
    "eigh",
    "lu",
    "qr",
    "schur",
    "svd",
    "triangular_solve",
]
