"""Which elementary functions are CUDA's own, and which are formulas of ours.

Ours are those that CUDA lacks, those whose error is above 2 ulp there ("Mathematical Functions" in
NVIDIA's programming guide), and log10, which is to be exact for powers of ten.
"""

from __future__ import annotations

from fnad.lowering.cuda.writer import FLOAT32, FLOAT64, DType

_CUDA = {
    "cbrt": "cbrt", "exp": "exp", "exp2": "exp2", "expm1": "expm1", "log": "log", "log2": "log2",
    "log1p": "log1p", "sin": "sin", "cos": "cos", "arcsin": "asin", "arccos": "acos",
    "arctan": "atan", "cosh": "cosh", "tanh": "tanh", "power": "pow", "erf": "erf",
    "remainder": "fmod",
}  # fmt: skip
_CUDA_OF_FLOAT64 = {"tan": "tan", "arctan2": "atan2", "sinh": "sinh", "arctanh": "atanh"}
_CUDA_OF_FLOAT32 = {"erfinv": "erfinv"}
_NAMES = {
    FLOAT32: {name: f"{theirs}f" for name, theirs in (_CUDA | _CUDA_OF_FLOAT32).items()},
    FLOAT64: _CUDA | _CUDA_OF_FLOAT64,
}
_FORMULAS = ["arcsinh", "arccosh", "digamma", "erfc", "lgamma", "log10"]

FLOAT_FUNCTIONS = sorted([*_CUDA, *_CUDA_OF_FLOAT32, *_CUDA_OF_FLOAT64, *_FORMULAS])


def cuda_function(name: str, dtype: DType) -> str | None:
    """What CUDA calls an elementary function; None if it is a formula of ours."""
    return _NAMES[dtype].get(name)
