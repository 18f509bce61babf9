"""The functions that formulas call, see `out_of_line`."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from fnad.lowering.llvm.maths import negative_gamma, out_of_line, payne_hanek

FORMULAS: Mapping[str, out_of_line.Formula] = {
    "remainder_0": lambda x: payne_hanek.remainder_of_large(x, 0),
    "remainder_1": lambda x: payne_hanek.remainder_of_large(x, 1),
    "lgamma_of_negative": negative_gamma.lgamma_of_negative,
    "digamma_of_negative": negative_gamma.digamma_of_negative,
}


@functools.cache
def address(name: str) -> int:
    """The address of ``fnad.maths.<name>``, which is compiled if it is not yet."""
    return out_of_line.compiled_address(f"fnad.maths.{name}", FORMULAS)
