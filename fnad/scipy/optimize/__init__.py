"""Minima, least squares and roots (`scipy.optimize`)."""

from fnad.scipy.optimize.bounded import Bounds
from fnad.scipy.optimize.least_squares import LeastSquaresResults, least_squares
from fnad.scipy.optimize.minimization import OptimizeResults, minimize
from fnad.scipy.optimize.root_finding import RootResults, ScalarRootResults, root, root_scalar

__all__ = [
    "Bounds",
    "LeastSquaresResults",
    "OptimizeResults",
    "RootResults",
    "ScalarRootResults",
    "least_squares",
    "minimize",
    "root",
    "root_scalar",
]
