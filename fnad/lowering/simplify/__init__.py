"""Jaxpr -> Jaxpr before planning: inlining, constants, algebra, common and dead equations."""

from __future__ import annotations

from fnad.core.ir import Jaxpr, memoize
from fnad.lowering.simplify.cse import merge_common
from fnad.lowering.simplify.dce import drop_dead
from fnad.lowering.simplify.fold import fold
from fnad.lowering.simplify.inline import inline


@memoize
def simplify(jaxpr: Jaxpr) -> Jaxpr:
    """Run the passes, first on inner programs; the inputs and outputs stay as they are."""
    return drop_dead(merge_common(fold(inline(drop_dead(jaxpr)))))


__all__ = ["drop_dead", "fold", "inline", "merge_common", "simplify"]
