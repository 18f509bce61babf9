"""SciPy's special functions, distributions and solvers, with the names of `jax.scipy`.

Functions of `fnad.numpy` and the primitives put together: they trace, differentiate, batch and
compile. Operands promote as in NumPy; integers become float64.
"""

from fnad.scipy import optimize, sparse, special, stats

__all__ = ["optimize", "sparse", "special", "stats"]
