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
        invars = tuple(env.get(a, a) for a in eqn.invars)
        if invars != eqn.invars:
            eqn = eqn.replace(invars=invars)
        key = None if eqn.primitive.multiple_results else _key(eqn)
        if key is not None:
            first = seen.setdefault(key, eqn.outvars[0])
            if first is not eqn.outvars[0]:
                env[eqn.outvars[0]] = first
                continue
        eqns.append(eqn)
    if len(eqns) == len(jaxpr.eqns):
        return jaxpr
    return Jaxpr(jaxpr.invars, tuple(eqns), tuple(env.get(a, a) for a in jaxpr.outvars))


def _atom_key(atom: Atom) -> Any:
    if not isinstance(atom, Literal):
        return atom
    return id(atom.val) if atom.aval.shape else atom.val.tobytes(), atom.aval


def _key(eqn: Equation) -> Any:
    key = (
        eqn.primitive,
        tuple(_atom_key(a) for a in eqn.invars),
        tuple(v.aval for v in eqn.outvars),
        # repr tells apart what == does not: 0.0 and -0.0, 1 and True.
        tuple(
            (k, v, repr(v) if isinstance(v, float) else type(v))
            for k, v in sorted(eqn.params.items())
        ),
    )
    try:
        hash(key)
    except TypeError:
        return None
    return key
