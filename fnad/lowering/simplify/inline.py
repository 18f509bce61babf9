"""Expansion of calls, and of primitives that are compositions of others (``lower_as``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fnad.core.ir import Atom, Equation, Jaxpr, Var, avals_of, has_sub_jaxprs
from fnad.core.tracer import rewrite

Whole = Callable[[Equation], bool]


def composed(eqn: Equation) -> bool:
    """No equation with a ``lower_as`` rule stays as it is."""
    return False


def inline(jaxpr: Jaxpr, whole: Whole = composed) -> Jaxpr:
    """Replace each equation that has a ``lower_as`` rule by what the rule is composed of.

    Before ``{ lambda ; a. let b = jit[jaxpr={ lambda ; a. let b = sin a in (b,) }] a in (b,) }``,
    after ``{ lambda ; a. let b = sin a in (b,) }``. Programs inside other equations (loops,
    branches) are simplified. Equations that have a ``lower`` rule, too, stay where ``whole`` says
    so, as the target has a kernel for them. What an ``expand`` rule returns takes the place of its
    equation.
    """
    env: dict[Atom, Atom] = {}
    eqns: list[Equation] = []
    changed = expanded = False
    for eqn in jaxpr.eqns:
        if env and not env.keys().isdisjoint(eqn.invars):
            eqn = eqn.replace(invars=tuple([env.get(a, a) for a in eqn.invars]))
        rules = eqn.primitive.rules
        if "lower_as" in rules and not ("lower" in rules and whole(eqn)):
            outs = _splice(_expansion(eqn, whole), eqn.invars, eqns, eqn)
            env.update(zip(eqn.outvars, outs, strict=True))
            changed = True
            continue
        new = _with_simple_programs(eqn, whole)
        rule = rules.get("expand")
        several = rule(new) if rule is not None else None
        expanded |= several is not None
        changed |= expanded or new is not eqn
        eqns += [new] if several is None else several
    if not changed:
        return jaxpr
    result = Jaxpr(jaxpr.invars, tuple(eqns), tuple([env.get(a, a) for a in jaxpr.outvars]))
    return inline(result, whole) if expanded else result


def _expansion(eqn: Equation, whole: Whole) -> Jaxpr:
    """What the ``lower_as`` rule composes, fully simplified."""
    from fnad.lowering.simplify import simplify  # the passes call each other

    rule = eqn.primitive.rule("lower_as")

    def body(*args: Any) -> Sequence[Any]:
        outs = rule(*args, **eqn.params)
        return outs if eqn.primitive.multiple_results else [outs]

    return simplify(rewrite(body, avals_of(eqn.invars), f"lowering {eqn.primitive.name}"), whole)


def _splice(
    program: Jaxpr, args: Sequence[Atom], eqns: list[Equation], caller: Equation
) -> list[Atom]:
    """Append a program's equations under fresh variables; returns its results."""
    env: dict[Atom, Atom] = dict(zip(program.invars, args, strict=True))
    for eqn in program.eqns:
        outvars = tuple([Var(v.aval) for v in eqn.outvars])
        # A literal stands for itself; it is in no environment.
        invars = tuple([env.get(a, a) for a in eqn.invars])
        source = eqn.source or caller.source
        eqns.append(Equation(eqn.primitive, invars, outvars, eqn.params, source))
        env.update(zip(eqn.outvars, outvars, strict=True))
    return [env.get(a, a) for a in program.outvars]


def _with_simple_programs(eqn: Equation, whole: Whole) -> Equation:
    if not has_sub_jaxprs(eqn):
        return eqn
    from fnad.lowering.simplify import simplify  # the passes call each other

    def simple(value: Any) -> Any:
        if isinstance(value, Jaxpr):
            return simplify(value, whole)
        if isinstance(value, tuple):
            return tuple(simple(v) for v in value)
        return value

    params = {name: simple(value) for name, value in eqn.params.items()}
    if all(params[name] is value for name, value in eqn.params.items()):
        return eqn
    return eqn.replace(params=params)
