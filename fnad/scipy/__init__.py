"""SciPy's special functions, distributions, solvers and signals, with the names of `jax.scipy`.

Functions of `fnad.numpy` and the primitives put together: they trace, differentiate, batch and
compile. Operands promote as in NumPy; integers become float64.
"""

from fnad.scipy import (
    cluster,
    fft,
    integrate,
    interpolate,
    linalg,
    ndimage,
    optimize,
    signal,
    sparse,
    spatial,
    special,
    stats,
)

__all__ = [
    "cluster",
    "fft",
    "integrate",
    "interpolate",
    "linalg",
    "ndimage",
    "optimize",
    "signal",
    "sparse",
    "spatial",
    "special",
    "stats",
]
