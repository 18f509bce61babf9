"""What the rules of ``scan`` do to its body, the program of one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fnad.core.ir import Atom, Equation, Jaxpr, Literal, Var, does_something, has_effects, memoize
from fnad.core.rewrites import Mask, get_rewrites
from fnad.core.tracer import apply_jaxpr, rewrite
from fnad.primitives.accumulation import accumulate_in_place
from fnad.primitives.subprograms import (
    dce_keeping,
    either,
    every,
    inline_equations,
    none,
    parts,
    split,
)


def interleave(sizes: Sequence[int], masks: Sequence[Mask]) -> tuple[int, ...]:
    """Order of inputs (all primals, nonzero tangents) regrouped as group, its tangents, ..."""
    total = sum(sizes)
    order: list[int] = []
    start, dot = 0, total
    for size, mask in zip(sizes, masks, strict=True):
        order += range(start, start + size)
        order += range(dot, dot + sum(mask))
        start, dot = start + size, dot + sum(mask)
    return tuple(order)


@memoize
def depends_on(jaxpr: Jaxpr, inputs: Mask) -> frozenset[Var]:
    """The variables of a program that depend on the inputs marked, or go with an effect."""
    found = {v for v, m in zip(jaxpr.invars, inputs, strict=True) if m}
    for eqn in jaxpr.eqns:
        if has_effects(eqn) or any(a in found for a in eqn.invars if isinstance(a, Var)):
            found.update(eqn.outvars)
    return frozenset(found)


def split_body(
    jaxpr: Jaxpr, const_unk: Mask, carry_unk: Mask, xs_unk: Mask
) -> tuple[Jaxpr, Jaxpr, Mask, Mask, int]:
    """Partially evaluate the body of a scan, to the fixpoint of its unknown carries."""
    num_carry = len(carry_unk)
    num_ys = len(jaxpr.outvars) - num_carry
    while True:
        known, staged, unknown_out, num_res = get_rewrites().partial_eval(
            jaxpr, (*const_unk, *carry_unk, *xs_unk), (*carry_unk, *none(num_ys))
        )
        if unknown_out[:num_carry] == carry_unk:
            num_kept = carry_unk.count(False)
            free = (*every(const_unk.count(False)), *none(num_kept), *every(xs_unk.count(False)))
            known, staged, num_res = fewer_residuals(
                known, staged, free, num_kept, unknown_out.count(False)
            )
            return known, staged, carry_unk, unknown_out, num_res
        carry_unk = either(carry_unk, unknown_out[:num_carry])


# Computed again from other residuals in less time than a stack of them is written and read.
_CHEAP = {
    "neg", "add", "sub", "mul", "div", "square", "abs", "sign", "max", "min", "not", "and", "or",
    "eq", "ne", "lt", "le", "gt", "ge", "select", "convert_element_type", "broadcast_in_dim",
    "reshape", "transpose",
}  # fmt: skip
# How many such functions may stand between a residual and others.
_DEPTH = 3


def fewer_residuals(
    known: Jaxpr, staged: Jaxpr, free: Mask, num_carry: int, num_outs: int
) -> tuple[Jaxpr, Jaxpr, int]:
    """Let the staged body compute residuals again that are cheap functions of others.

    ``free`` marks the inputs of ``known`` that need no stack to be residuals, as its outputs
    from ``num_carry`` to ``num_outs`` need none. Before ``known: e = exp a; r = add 1.0 e; ...
    residuals (e, r)``, after ``residuals (e)``, and ``staged`` begins with ``r = add 1.0 e``.
    """
    residuals = known.outvars[num_outs:]
    inputs: dict[Atom, Var] = dict(zip(residuals, staged.invars))
    if len(inputs) < len(residuals):
        return known, staged, len(residuals)
    made: dict[Atom, int] = {
        eqn.outvars[0]: k for k, eqn in enumerate(known.eqns) if _is_cheap(eqn)
    }
    at_hand: set[Atom] = {v for v, is_free in zip(known.invars, free, strict=True) if is_free}
    at_hand.update(known.outvars[num_carry:num_outs])
    kept: dict[Atom, None] = dict.fromkeys(residuals)
    again: set[int] = set()

    def again_from_others(atom: Atom, depth: int) -> tuple[set[int], set[Atom]] | None:
        """The equations that compute a value again, and the residuals that they need."""
        if depth == 0 or atom not in made:
            return None
        places: set[int] = {made[atom]}
        needed: set[Atom] = set()
        for a in known.eqns[made[atom]].invars:
            if isinstance(a, Literal):
                continue
            if a in kept or a in at_hand:
                needed.add(a)
                continue
            more = again_from_others(a, depth - 1)
            if more is None:
                return None
            places, needed = places | more[0], needed | more[1]
        return places, needed

    candidates = [r for r in residuals if r in made and r not in at_hand]
    for r in sorted(candidates, key=made.__getitem__, reverse=True):
        found = again_from_others(r, _DEPTH)
        if found is not None:
            del kept[r]
            again |= found[0]
            kept |= dict.fromkeys(found[1])
    if not again:
        return known, staged, len(residuals)
    env: dict[Atom, Var] = {a: inputs.get(a, Var(a.aval)) for a in kept}
    leading = tuple(env.values())
    eqns = []
    for eqn in (known.eqns[k] for k in sorted(again)):
        if eqn.outvars[0] in env:
            continue
        invars = tuple(a if isinstance(a, Literal) else env[a] for a in eqn.invars)
        [v] = eqn.outvars
        env[v] = inputs.get(v, Var(v.aval))
        eqns.append(eqn.replace(invars=invars, outvars=(env[v],)))
    rest = staged.invars[len(residuals) :]
    staged = Jaxpr((*leading, *rest), (*eqns, *staged.eqns), staged.outvars)
    return known.replace(outvars=(*known.outvars[:num_outs], *kept)), staged, len(kept)


def _is_cheap(eqn: Equation) -> bool:
    return eqn.primitive.name in _CHEAP and len(eqn.outvars) == 1


def hoist(
    known: Jaxpr, num_consts: int, num_outs: int, invariant: Mask, consts: Sequence[Atom]
) -> tuple[list[Equation], list[Atom]]:
    """Compute the loop-invariant residuals of a known body from the constants, once."""
    wanted = (*none(num_outs), *invariant)
    kept_in = (*every(num_consts), *none(len(known.invars) - num_consts))
    if does_something(known):
        known = known.replace(eqns=tuple([e for e in known.eqns if not has_effects(e)]))
    program = dce_keeping(known, wanted, kept_in)
    return inline_equations(program, consts)


@memoize
def transposed_body(
    jaxpr: Jaxpr, num_consts: int, num_carry: int, linear: Mask, ys_nz: Mask
) -> Jaxpr:
    """The step of the backward loop, itself a body of a scan.

    It maps (residual consts; ct of linear consts, ct of carry; residual xs, ct of ys) to
    (ct of linear consts so far, ct of carry; ct of linear xs).
    """
    const_lin, _, xs_lin = parts(linear, num_consts, num_carry)
    num_ct_consts = sum(const_lin)
    res_const_avals = split(const_lin, jaxpr.in_avals[:num_consts])[0]
    ct_const_avals = split(const_lin, jaxpr.in_avals[:num_consts])[1]
    carry_avals = jaxpr.in_avals[num_consts : num_consts + num_carry]
    res_xs_avals = split(xs_lin, jaxpr.in_avals[num_consts + num_carry :])[0]
    ys_avals = split(ys_nz, jaxpr.out_avals[num_carry:])[1]
    program, nonzero_in = get_rewrites().transpose(
        jaxpr,
        linear,
        (*every(num_carry), *ys_nz),
        (*none(num_ct_consts), *every(num_carry + sum(xs_lin))),
    )

    def run(*args: Any) -> list[Any]:
        res_consts, so_far, ct_carry, res_xs, ct_ys = parts(
            args, len(res_const_avals), num_ct_consts, num_carry, len(res_xs_avals)
        )
        results = iter(apply_jaxpr(program, [*res_consts, *res_xs, *ct_carry, *ct_ys]))
        cts = [next(results) if nz else None for nz in nonzero_in]
        totals = [
            total if ct is None else total + ct
            for total, ct in zip(so_far, cts[:num_ct_consts], strict=True)
        ]
        return [*totals, *cts[num_ct_consts:]]

    avals = [
        *res_const_avals,
        *(a.strong() for a in (*ct_const_avals, *carry_avals)),
        *res_xs_avals,
        *(a.strong() for a in ys_avals),
    ]
    return accumulate_in_place(rewrite(run, avals, "transposition of scan"))


def linear_carries(jaxpr: Jaxpr, linear: Mask, num_consts: int, num_carry: int) -> Mask:
    """Which carries are linear: those that start linear or become so in the body."""
    const_lin, carry_lin, xs_lin = map(tuple, parts(linear, num_consts, num_carry))
    while True:
        reached = depends_on(jaxpr, (*const_lin, *carry_lin, *xs_lin))
        out = either(carry_lin, (a in reached for a in jaxpr.outvars[:num_carry]))
        if out == carry_lin:
            return carry_lin
        carry_lin = out
