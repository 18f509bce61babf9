"""Dead code elimination: keep the equations that the outputs need, and those with effects."""

from __future__ import annotations

from fnad.core.ir import Atom, Equation, Jaxpr, has_effects, memoize
from fnad.core.rewrites import Mask


@memoize
def dce_jaxpr(jaxpr: Jaxpr, used: Mask) -> tuple[Jaxpr, Mask]:
    """See `fnad.core.rewrites.Rewrites.dce`. An unchanged program keeps its identity.

    Before ``{ lambda ; a b. let c = sin a; d = cos b in (c, d) }`` with only the first output
    used, after ``{ lambda ; a. let c = sin a in (c,) }``.
    """
    outvars = tuple([a for a, u in zip(jaxpr.outvars, used, strict=True) if u])
    live: set[Atom] = set(outvars)
    kept: list[Equation] = []
    unchanged = True
    for eqn in reversed(jaxpr.eqns):
        rule = eqn.primitive.rules.get("dce")  # what holds programs has one
        must_run = eqn.primitive.has_effects or (rule is not None and has_effects(eqn))
        if not must_run and live.isdisjoint(eqn.outvars):
            unchanged = False
            continue
        if rule is not None and not must_run:
            new = rule([v in live for v in eqn.outvars], eqn)
            unchanged = unchanged and new is eqn
            if new is None:
                continue
            eqn = new
        kept.append(eqn)
        live.update(eqn.invars)
    used_in = tuple([v in live for v in jaxpr.invars])
    if unchanged and all(used) and all(used_in):
        return jaxpr, used_in
    invars = tuple([v for v, u in zip(jaxpr.invars, used_in) if u])
    eqns = jaxpr.eqns if unchanged else tuple(reversed(kept))
    return Jaxpr(invars, eqns, outvars), used_in


def drop_dead(jaxpr: Jaxpr) -> Jaxpr:
    """Remove dead equations but keep all inputs and outputs."""
    slim, used_in = dce_jaxpr(jaxpr, (True,) * len(jaxpr.outvars))
    if all(used_in):
        return slim
    return slim.replace(invars=jaxpr.invars)
