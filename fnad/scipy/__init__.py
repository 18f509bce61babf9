"""SciPy's special functions, distributions, solvers and signals, with the names of `jax.scipy`.

Functions of `fnad.numpy` and the primitives put together: they trace, differentiate, batch and
compile. Operands promote as in NumPy; integers become float64.
"""

import importlib
from typing import TYPE_CHECKING, Any

from fnad.core.names import missing_name

if TYPE_CHECKING:
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

if not TYPE_CHECKING:  # imported when they are asked for: few programs need all of them

    def __getattr__(name: str) -> Any:
        if name in __all__:
            return importlib.import_module(f"{__name__}.{name}")
        raise missing_name(__name__, name, {})

    def __dir__() -> list[str]:
        return sorted([*globals(), *__all__])
