"""Iterative linear solvers (`scipy.sparse.linalg`), with the names of `jax.scipy.sparse.linalg`."""

from fnad.scipy.sparse.linalg.solvers import bicgstab, cg, gmres

__all__ = ["bicgstab", "cg", "gmres"]
