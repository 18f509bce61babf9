"""What every turn of a loop would find the same: it leaves the loop when that is lowered.

Carries that no turn changes are constants, and what is made of constants alone is made once,
before the loop. Where a loop makes no turn that is for nothing, but nothing goes wrong, since no
operation traps; only a ``while`` might run forever, and stays in a body that may never run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fnad.core.ir import Atom, Equation, Jaxpr, Var, has_effects, has_sub_jaxprs, sub_jaxprs
from fnad.core.rewrites import Mask
from fnad.primitives.contraction import dot_general_p
from fnad.primitives.control_flow.counted_scan import counted_scan_p
from fnad.primitives.control_flow.while_loop import while_p
from fnad.primitives.logic import convert_element_type_p
from fnad.primitives.subprograms import inline_equations, parts, split

# Computed again in each turn rather than kept: they move elements, or make them from nothing.
_FREE = {"broadcast_in_dim", "reshape", "transpose", "iota", "slice", "rev", "pad", "concatenate"}


@while_p.expand
def expand_while(eqn: Equation) -> list[Equation] | None:
    """The loop that remains, between what runs before it and names for carries that stay.

    Before ``{ lambda a b ; c. let d = exp a; e = mul c d in (b, e) }`` as a body with one
    constant, after ``{ lambda a b d ; c. let e = mul c d in (e,) }``.
    """
    params = eqn.params
    cond_consts, body_consts, init = parts(
        eqn.invars, params["cond_nconsts"], params["body_nconsts"]
    )
    idle = idle_carries(params["body_jaxpr"], len(body_consts), len(init))
    init, fixed = split(idle, init)
    outvars, names = split(idle, eqn.outvars)
    cond_consts, body_consts = [*cond_consts, *fixed], [*body_consts, *fixed]
    cond = with_constants(params["cond_jaxpr"], params["cond_nconsts"], idle)
    body = with_constants(params["body_jaxpr"], params["body_nconsts"], idle)
    body = body.replace(outvars=tuple(split(idle, body.outvars)[0]))
    test, test_eqns, cond_consts = without_invariant(cond, cond_consts)
    step, step_eqns, body_consts = without_invariant(body, body_consts, may_not_run=True)
    if not fixed and test is cond and step is body:
        return None
    loop = eqn.replace(
        invars=(*cond_consts, *body_consts, *init),
        outvars=tuple(outvars),
        params={
            **params,
            "cond_jaxpr": test,
            "body_jaxpr": step,
            "cond_nconsts": len(cond_consts),
            "body_nconsts": len(body_consts),
        },
    )
    return [*test_eqns, *step_eqns, loop, *renaming(names, fixed)]


@counted_scan_p.expand
def expand_counted_scan(eqn: Equation) -> list[Equation] | None:
    """The same for ``counted_scan``."""
    params = eqn.params
    num_carry = params["num_carry"]
    counts, consts, init, xs = parts(eqn.invars, 1, params["num_consts"], num_carry)
    idle = idle_carries(params["jaxpr"], len(consts), num_carry)
    init, fixed = split(idle, init)
    carry_out, ys = parts(eqn.outvars, num_carry)
    outvars, names = split(idle, carry_out)
    body = with_constants(params["jaxpr"], len(consts), idle)
    new_carry, new_ys = parts(body.outvars, num_carry)
    body = body.replace(outvars=(*split(idle, new_carry)[0], *new_ys))
    step, step_eqns, consts = without_invariant(body, [*consts, *fixed], may_not_run=True)
    if not fixed and step is body:
        return None
    loop = eqn.replace(
        invars=(*counts, *consts, *init, *xs),
        outvars=(*outvars, *ys),
        params={**params, "jaxpr": step, "num_consts": len(consts), "num_carry": len(init)},
    )
    return [*step_eqns, loop, *renaming(names, fixed)]


def idle_carries(body: Jaxpr, num_consts: int, num_carry: int) -> Mask:
    """Mark the carries that a body hands on as they are."""
    carry = body.invars[num_consts : num_consts + num_carry]
    return tuple(v is out for v, out in zip(carry, body.outvars))


def with_constants(program: Jaxpr, num_consts: int, moved: Mask) -> Jaxpr:
    """A program in which the carries that are marked are the last constants."""
    consts, carry, rest = parts(program.invars, num_consts, len(moved))
    stay, move = split(moved, carry)
    return program.replace(invars=(*consts, *move, *stay, *rest)) if move else program


def renaming(names: Iterable[Var], atoms: Iterable[Atom]) -> list[Equation]:
    """Equations that give values other names, which folding removes."""
    return [
        Equation(
            convert_element_type_p,
            (atom,),
            (v,),
            {"new_dtype": v.aval.dtype, "weak_type": v.aval.weak_type},
        )
        for v, atom in zip(names, atoms, strict=True)
    ]


def without_invariant(
    program: Jaxpr, consts: Sequence[Atom], may_not_run: bool = False
) -> tuple[Jaxpr, list[Equation], list[Atom]]:
    """A program without what depends on constants alone, unless that costs less than to read it.

    Parameters
    ----------
    program : Jaxpr
        One turn of a loop. Its first inputs are constants.
    consts : sequence of Atom
        What they are outside.
    may_not_run : bool, optional
        Whether the loop may make no turn.

    Returns
    -------
    program : Jaxpr
        The same one if there is no such thing.
    eqns : list of Equation
        What runs before the loop.
    consts : list of Atom
        Those that the program takes now.
    """
    inputs, others = parts(program.invars, len(consts))
    varying: set[Atom] = set(others)
    base: dict[Atom, int] = {v: v.aval.size for v in inputs}  # elements before a broadcast
    invariant: dict[Equation, None] = {}  # in order
    for eqn in program.eqns:
        stays = has_effects(eqn) or (may_not_run and _may_never_end(eqn))
        if stays or not varying.isdisjoint(eqn.invars):
            varying.update(eqn.outvars)
            continue
        size = max((base.get(a, 1) for a in eqn.invars), default=1)
        largest = max(v.aval.size for v in eqn.outvars)
        moves = eqn.primitive.name in _FREE
        base |= {v: size if moves else v.aval.size for v in eqn.outvars}
        spreads = largest > 4 * size and eqn.primitive is not dot_general_p
        if not (moves or spreads or (size == largest == 1 and _is_simple(eqn))):
            invariant[eqn] = None
    rest = [eqn for eqn in program.eqns if eqn not in invariant]
    read = {a for eqn in rest for a in eqn.invars} | set(program.outvars)
    kept = [v for eqn in invariant for v in eqn.outvars if v in read]
    if not kept:
        return program, [], list(consts)
    eqns, values = inline_equations(program_of(inputs, program.eqns, kept), consts)
    remaining = Jaxpr((*inputs, *kept, *others), tuple(rest), program.outvars)
    return remaining, eqns, [*consts, *values]


def program_of(inputs: Sequence[Var], eqns: Sequence[Equation], outs: Sequence[Atom]) -> Jaxpr:
    """The program of some of the values that equations compute, without anything else."""
    needed = set(outs)
    kept = []
    for eqn in reversed(eqns):
        if not needed.isdisjoint(eqn.outvars):
            kept.append(eqn)
            needed.update(eqn.invars)
    return Jaxpr(tuple(inputs), tuple(reversed(kept)), tuple(outs))


def _is_simple(eqn: Equation) -> bool:
    """Whether an equation of scalars takes less time than a kernel of its own is worth."""
    return not has_sub_jaxprs(eqn)


def _may_never_end(eqn: Equation) -> bool:
    return eqn.primitive is while_p or any(
        _may_never_end(inner) for program in sub_jaxprs(eqn) for inner in program.eqns
    )
