"""Constant folding of scalars, and the algebraic rules that primitives bring (``simplify``)."""

from __future__ import annotations

from fnad.core.interpret import evaluate_primitive
from fnad.core.ir import Atom, Equation, Jaxpr, Literal, Var, has_sub_jaxprs


def fold(jaxpr: Jaxpr) -> Jaxpr:
    """Evaluate equations between scalar constants and apply algebraic rules, in one pass.

    Before ``{ lambda ; a. let b = mul 2.0 3.0; c = mul a b; d = neg c; e = neg d in (e,) }``,
    after ``{ lambda ; a. let c = mul a 6.0; d = neg c in (c,) }`` (``d`` is dead now).
    """
    env: dict[Atom, Atom] = {}
    definitions: dict[Atom, Equation] = {}
    eqns: list[Equation] = []
    for eqn in jaxpr.eqns:
        if env and not env.keys().isdisjoint(eqn.invars):
            eqn = eqn.replace(invars=tuple([env.get(a, a) for a in eqn.invars]))
        new: Atom | None = _constant(eqn)
        if new is None and "simplify" in eqn.primitive.rules:
            eqn, new = _simplified(eqn, definitions)
        if new is not None:
            env[eqn.outvars[0]] = new
            continue
        for var in eqn.outvars:
            definitions[var] = eqn
        eqns.append(eqn)
    return Jaxpr(jaxpr.invars, tuple(eqns), tuple([env.get(a, a) for a in jaxpr.outvars]))


def _constant(eqn: Equation) -> Literal | None:
    """The value of an equation between scalar constants."""
    values = []
    for atom in eqn.invars:
        if type(atom) is not Literal:
            return None
        values.append(atom.val)
    if not values or eqn.primitive.multiple_results or eqn.outvars[0].aval.shape:
        return None
    if has_sub_jaxprs(eqn):
        return None
    [value] = evaluate_primitive(eqn.primitive, values, eqn.params)
    return Literal(value, eqn.outvars[0].aval)


def _simplified(eqn: Equation, definitions: dict[Atom, Equation]) -> tuple[Equation, Atom | None]:
    """Apply the primitive's ``simplify`` rule until it has nothing more to say."""
    while (rule := eqn.primitive.rules.get("simplify")) is not None:
        new = rule(eqn, definitions.get)
        if new is None:
            break
        if isinstance(new, (Var, Literal)):
            out = eqn.outvars[0].aval
            # Weakness does not matter below here, but the value must be the very same.
            if new.aval.shape == out.shape and new.aval.dtype == out.dtype:
                return eqn, new
            break
        eqn = new
    return eqn, None
