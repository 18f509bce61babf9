"""Partial evaluation: split a program into what is known now and what must wait.

Before, with ``a`` known and ``t`` unknown (the jvp of ``sin``)::

    { lambda ; a t. let b = sin a; c = cos a; d = mul t c in (b, d) }

after: known ``{ lambda ; a. let b = sin a; c = cos a in (b, c) }`` with the residual ``c``,
and staged ``{ lambda ; c t. let d = mul t c in (d,) }``.
"""

from __future__ import annotations

from fnad.core.errors import RuleError
from fnad.core.ir import Atom, Equation, Jaxpr, Var, memoize
from fnad.core.rewrites import Mask
from fnad.transforms.dce import drop_dead
from fnad.transforms.forward import jvp_jaxpr


@memoize
def partial_eval_jaxpr(
    jaxpr: Jaxpr, unknown: Mask, instantiate: Mask
) -> tuple[Jaxpr, Jaxpr, Mask, int]:
    """See `fnad.core.rewrites.Rewrites.partial_eval`."""
    unknown_vars: set[Atom] = {v for v, u in zip(jaxpr.invars, unknown, strict=True) if u}
    known_eqns: list[Equation] = []
    staged_eqns: list[Equation] = []
    for eqn in jaxpr.eqns:
        if unknown_vars.isdisjoint(eqn.invars):
            known_eqns.append(eqn)
        elif "partial_eval" not in eqn.primitive.rules:
            staged_eqns.append(eqn)
            unknown_vars.update(eqn.outvars)
        else:
            known, staged, unknown_out = _split([a in unknown_vars for a in eqn.invars], eqn)
            known_eqns += known
            staged_eqns += staged
            unknown_vars.update(v for v, u in zip(eqn.outvars, unknown_out, strict=True) if u)

    out_mask = tuple(
        a in unknown_vars or wanted for a, wanted in zip(jaxpr.outvars, instantiate, strict=True)
    )
    unknown_in = tuple(v for v, u in zip(jaxpr.invars, unknown) if u)
    known_in = tuple(v for v, u in zip(jaxpr.invars, unknown) if not u)
    staged_outs = tuple(a for a, u in zip(jaxpr.outvars, out_mask) if u)
    known_outs = tuple(a for a, u in zip(jaxpr.outvars, out_mask) if not u)

    residuals, live_eqns = _residuals(staged_eqns, staged_outs, set(unknown_in))
    known_jaxpr = drop_dead(Jaxpr(known_in, tuple(known_eqns), (*known_outs, *residuals)))
    staged_jaxpr = Jaxpr((*residuals, *unknown_in), live_eqns, staged_outs)
    return known_jaxpr, staged_jaxpr, out_mask, len(residuals)


def _split(unknown: list[bool], eqn: Equation) -> tuple[list[Equation], list[Equation], list[bool]]:
    known, staged, unknown_out = eqn.primitive.rule("partial_eval")(unknown, eqn)
    if len(unknown_out) != len(eqn.outvars):
        raise RuleError(
            f"the partial_eval rule of primitive {eqn.primitive.name!r} returned a mask of"
            f" {len(unknown_out)} outputs for {len(eqn.outvars)}, in {eqn}"
        )
    return list(known), list(staged), list(unknown_out)


def _residuals(
    eqns: list[Equation], outs: tuple[Atom, ...], inputs: set[Var]
) -> tuple[tuple[Var, ...], tuple[Equation, ...]]:
    """The live staged equations, and the variables that they read but do not define."""
    open_jaxpr = drop_dead(Jaxpr((), tuple(eqns), outs))
    defined: set[Atom] = set(inputs)
    residuals: dict[Var, None] = {}
    for eqn in open_jaxpr.eqns:
        if not defined.issuperset(eqn.invars):
            for atom in eqn.invars:
                if isinstance(atom, Var) and atom not in defined:
                    residuals[atom] = None
        defined.update(eqn.outvars)
    for atom in outs:
        if isinstance(atom, Var) and atom not in defined:
            residuals[atom] = None
    return tuple(residuals), open_jaxpr.eqns


@memoize
def linearize_jaxpr(jaxpr: Jaxpr, nonzero: Mask) -> tuple[Jaxpr, Jaxpr, Mask]:
    """Split the jvp of a program into its values and its linear part.

    Returns
    -------
    known : Jaxpr
        Maps the inputs to (outputs, residuals).
    linear : Jaxpr
        Maps (residuals, tangents of the inputs marked ``nonzero``) to the tangents of the
        outputs that the returned mask marks.
    nonzero_out : tuple of bool
    """
    none = (False,) * len(jaxpr.outvars)
    jvp, nonzero_out = jvp_jaxpr(jaxpr, nonzero, none)
    num_tangents = sum(nonzero)
    unknown = (False,) * len(jaxpr.invars) + (True,) * num_tangents
    wanted = none + (True,) * sum(nonzero_out)
    known, linear, _, _ = partial_eval_jaxpr(jvp, unknown, wanted)
    return known, linear, nonzero_out
