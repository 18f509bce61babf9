"""Factorisations of stacks of matrices, under the names of `jax.lax.linalg`."""

from fnad.lax.decompositions import eig, eigh, qr, svd
from fnad.lax.factors import cholesky_update, lu_pivots_to_permutation, symmetric_product
from fnad.lax.polar import qdwh
from fnad.lax.tridiagonal import tridiagonal_solve
from fnad.numpy.reflections import hessenberg, householder_product, ormqr, tridiagonal
from fnad.primitives.linalg.cholesky import cholesky
from fnad.primitives.linalg.lu import lu
from fnad.primitives.linalg.schur import schur
from fnad.primitives.linalg.triangular import triangular_solve

__all__ = [
    "cholesky",
    "cholesky_update",
    "eig",
    "eigh",
    "hessenberg",
    "householder_product",
    "lu",
    "lu_pivots_to_permutation",
    "ormqr",
    "qdwh",
    "qr",
    "schur",
    "svd",
    "symmetric_product",
    "triangular_solve",
    "tridiagonal",
    "tridiagonal_solve",
]
