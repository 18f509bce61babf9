"""Dead code elimination."""

from __future__ import annotations

from fnad.core.ir import Jaxpr
from fnad.core.rewrites import get_rewrites


def drop_dead(jaxpr: Jaxpr) -> Jaxpr:
    """Remove equations whose results nobody needs, but no input.

    Before ``{ lambda ; a. let b = sin a; c = cos a in (b,) }``,
    after ``{ lambda ; a. let b = sin a in (b,) }``.
    """
    slim, used = get_rewrites().dce(jaxpr, (True,) * len(jaxpr.outvars))
    return slim if all(used) else slim.replace(invars=jaxpr.invars)
