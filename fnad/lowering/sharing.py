"""Which variables of a program are read where: what the planner asks before it stores one."""

from __future__ import annotations

from typing import Any

from fnad.core.ir import Atom, Jaxpr, Var


def last_uses(jaxpr: Jaxpr) -> dict[Var, int]:
    """The position of the last equation that reads a variable; results are read after all."""
    last = {
        v: position
        for position, eqn in enumerate(jaxpr.eqns)
        for v in eqn.invars
        if isinstance(v, Var)
    }
    last.update((v, len(jaxpr.eqns)) for v in jaxpr.outvars if isinstance(v, Var))
    return last


def shared_variables(jaxpr: Jaxpr) -> set[Var]:
    """Variables whose values would end up in more than one kernel, were they not stored.

    A variable read by several equations may still flow into one kernel only, through equations
    that keep the shape of their operands (most of them elementwise). What an equation flows
    into is itself, unless it keeps the shape and flows into one kernel alone.
    """
    into: dict[Atom, set[Any]] = {v: {v} for v in jaxpr.outvars if isinstance(v, Var)}
    shared: set[Var] = set()
    for eqn in reversed(jaxpr.eqns):
        goals: set[Any] = set()
        for v in eqn.outvars:
            reached = into.get(v, set())
            if len(reached) > 1:
                shared.add(v)
                reached = {v}
            goals |= reached
        shape = eqn.outvars[0].aval.shape if eqn.outvars else ()
        for a in eqn.invars:
            if isinstance(a, Var):
                into.setdefault(a, set()).update(goals if a.aval.shape == shape else {eqn})
    return shared
