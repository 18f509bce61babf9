"""The functions that formulas call, see `out_of_line`; `symbols` loads them."""

from __future__ import annotations

from collections.abc import Mapping

from fnad.lowering.llvm.maths import negative_gamma, out_of_line, payne_hanek

FORMULAS: Mapping[str, out_of_line.Formula] = {
    "remainder_0": lambda x: payne_hanek.remainder_of_large(x, 0),
    "remainder_1": lambda x: payne_hanek.remainder_of_large(x, 1),
    "lgamma_of_negative": negative_gamma.lgamma_of_negative,
    "digamma_of_negative": negative_gamma.digamma_of_negative,
}


def text_of(symbol: str) -> str:
    """A module with the function of that name."""
    return out_of_line.text_of(symbol, FORMULAS)
