"""Partial evaluation: split a program into what is known now and what must wait.

Before, with ``a`` known and ``t`` unknown (the jvp of ``sin``)::

    { lambda ; a t. let b = sin a; c = cos a; d = mul t c in (b, d) }

after: known ``{ lambda ; a. let b = sin a; c = cos a in (b, c) }`` with the residual ``c``,
and staged ``{ lambda ; c t. let d = mul t c in (d,) }``.
"""

from __future__ import annotations

import numpy as np

from fnad.core.errors import RuleError
from fnad.core.ir import Atom, Equation, Jaxpr, Var, memoize, sub_jaxprs
from fnad.core.rewrites import Mask
from fnad.core.sizes import Size
from fnad.primitives.contraction import dot_general_p
from fnad.primitives.convolution import conv_general_dilated_p
from fnad.primitives.linalg.triangular import triangular_solve_p
from fnad.primitives.shape import broadcast_in_dim_p, reshape_p
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
    residuals, live_eqns = _with_repeated_masks(known_eqns, residuals, live_eqns)
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


def _with_repeated_masks(
    known: list[Equation], residuals: tuple[Var, ...], staged: tuple[Equation, ...]
) -> tuple[tuple[Var, ...], tuple[Equation, ...]]:
    """Keep masks as they are before they are repeated, and repeat them again.

    They are smaller so, and tell which rows a select takes as a whole (`strong_zeros`).
    """
    masks = {r for r in residuals if r.aval.shape and r.aval.dtype == np.bool_}
    if not masks or not any(map(_may_keep_rows, staged)):
        return residuals, staged
    makers = {eqn.outvars[0]: eqn for eqn in known if eqn.outvars[0].aval.dtype == np.bool_}
    again = {}
    for mask in masks:
        eqn = makers.get(mask)
        if eqn is not None and eqn.primitive is broadcast_in_dim_p:
            repeated = _repeated_again(eqn, makers)
            if isinstance(repeated.invars[0], Var):
                again[mask] = repeated
    if not again:
        return residuals, staged
    kept = dict.fromkeys(again[r].invars[0] if r in again else r for r in residuals)
    return tuple(v for v in kept if isinstance(v, Var)), (*again.values(), *staged)


def _may_keep_rows(eqn: Equation) -> bool:
    """Whether an equation is a product of matrices (or a quotient), or may hold one."""
    return eqn.primitive in _PRODUCTS or next(sub_jaxprs(eqn), None) is not None


_PRODUCTS = frozenset({dot_general_p, conv_general_dilated_p, triangular_solve_p})


def _repeated_again(eqn: Equation, makers: dict[Var, Equation]) -> Equation:
    """A mask's repetition, of what it was before axes of length 1 were added to it."""
    [mask] = eqn.invars
    before = makers.get(mask) if isinstance(mask, Var) else None
    if before is None or before.primitive is not reshape_p:
        return eqn
    [small] = before.invars
    sizes = before.outvars[0].aval.shape
    kept = [i for i, n in enumerate(sizes) if type(n) is Size or n != 1]
    if small.aval.shape != tuple(sizes[i] for i in kept):
        return eqn
    dims = tuple(eqn.params["broadcast_dimensions"][i] for i in kept)
    params = {**eqn.params, "broadcast_dimensions": dims}
    return Equation(broadcast_in_dim_p, (small,), eqn.outvars, params, eqn.source)


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
