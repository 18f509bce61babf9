"""Minimisation (`scipy.optimize`), with the names of `jax.scipy.optimize`."""

from fnad.scipy.optimize.bounded import Bounds
from fnad.scipy.optimize.minimization import OptimizeResults, minimize

__all__ = ["Bounds", "OptimizeResults", "minimize"]
