"""Jaxpr -> Jaxpr before planning: inlining, constants, algebra, common and dead equations."""

from __future__ import annotations

from collections.abc import Callable

from fnad.core.ir import Equation, Jaxpr, memoize
from fnad.lowering.simplify.cse import merge_common
from fnad.lowering.simplify.dce import drop_dead
from fnad.lowering.simplify.fold import fold
from fnad.lowering.simplify.inline import composed, inline


@memoize
def simplify(jaxpr: Jaxpr, whole: Callable[[Equation], bool] = composed) -> Jaxpr:
    """Run the passes, first on inner programs; the inputs and outputs stay as they are.

    ``whole`` is that of the target (`fnad.lowering.target.Target`).
    """
    return drop_dead(merge_common(fold(inline(drop_dead(jaxpr), whole))))


__all__ = ["drop_dead", "fold", "inline", "merge_common", "simplify"]
