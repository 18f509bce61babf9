"""Integration (`scipy.integrate`): differential equations, and sums over samples.

`odeint` is that of `jax.experimental.ode`.
"""

from fnad.scipy.integrate.samples import cumulative_trapezoid, simpson, trapezoid
from fnad.scipy.integrate.solvers import DenseOutput, OdeResult, odeint, solve_ivp

__all__ = [
    "DenseOutput",
    "OdeResult",
    "cumulative_trapezoid",
    "odeint",
    "simpson",
    "solve_ivp",
    "trapezoid",
]
