"""Common subexpressions: equal equations are computed once."""

from __future__ import annotations

from typing import Any

from fnad.core.ir import Atom, Equation, Jaxpr, Literal


def merge_common(jaxpr: Jaxpr) -> Jaxpr:
    """Keep the first of several equal equations.

    Before ``{ lambda ; a. let b = sin a; c = sin a; d = mul b c in (d,) }``,
    after ``{ lambda ; a. let b = sin a; d = mul b b in (d,) }``. Primitives with several
    results (loops, sorts, and the barriers that keep values apart) are left alone.
    """
    env: dict[Atom, Atom] = {}
    seen: dict[Any, Atom] = {}
    eqns = []
    for eqn in jaxpr.eqns:
        if env and not env.keys().isdisjoint(eqn.invars):
            eqn = eqn.replace(invars=tuple([env.get(a, a) for a in eqn.invars]))
        if not eqn.primitive.multiple_results:
            out = eqn.outvars[0]
            first = _first(seen, _key(eqn), out)
            if first is not out:
                env[out] = first
                continue
        eqns.append(eqn)
    if len(eqns) == len(jaxpr.eqns):
        return jaxpr
    return Jaxpr(jaxpr.invars, tuple(eqns), tuple([env.get(a, a) for a in jaxpr.outvars]))


def _first(seen: dict[Any, Atom], key: Any, out: Atom) -> Atom:
    try:
        return seen.setdefault(key, out)
    except TypeError:  # a parameter that cannot be hashed
        return out


def _key(eqn: Equation) -> Any:
    operands = tuple([_constant(a) if type(a) is Literal else a for a in eqn.invars])
    if not eqn.params:
        return eqn.primitive, operands, eqn.outvars[0].aval
    # repr tells apart what == does not: 0.0 and -0.0, 1 and True.
    params = [
        (k, v, repr(v) if isinstance(v, float) else type(v)) for k, v in sorted(eqn.params.items())
    ]
    return eqn.primitive, operands, eqn.outvars[0].aval, *params


def _constant(literal: Literal) -> Any:
    value = literal.val
    return id(value) if literal.aval.shape else value.tobytes(), literal.aval
