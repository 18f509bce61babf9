"""The primitive ``cond``: run one of several branches, chosen when the program runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from fnad.core.interpret import eval_jaxpr
from fnad.core.ir import Atom, Equation, Jaxpr, Var, does_something, memoize
from fnad.core.primitive import (
    Linear,
    Primitive,
    Zero,
    are_complex,
    flat_parts,
    instantiate,
    joined_parts,
)
from fnad.core.rewrites import BatchAxis, Mask, get_rewrites
from fnad.core.tracer import Tracer, apply_jaxpr, rewrite
from fnad.core.types import ShapedArray, aval_of, is_differentiable
from fnad.primitives.arithmetic import clamp
from fnad.primitives.control_flow.lanes import borrow_operands, choose_lanes, is_light
from fnad.primitives.control_flow.loop_dependencies import branches_pattern
from fnad.primitives.control_flow.loop_jets import branches_jet
from fnad.primitives.control_flow.strong_branches import strong_transposed_cond
from fnad.primitives.dependencies import Operand
from fnad.primitives.logic import convert_element_type, eq, stop_gradient
from fnad.primitives.reductions import reduce_or
from fnad.primitives.subprograms import (
    broadcast_batch,
    check_operands,
    dce_keeping,
    embed_inputs,
    every,
    expand_zeros,
    joined,
    merge,
    none,
    nonzero_mask,
    parts,
    split,
    uses_axis,
)

cond_p = Primitive(
    "cond",
    "Run one of ``branches`` on the operands; an int32 index in front of them, clamped to the"
    " range, says which.",
    multiple_results=True,
)


@cond_p.type_rule
def _(index: ShapedArray, *avals: ShapedArray, branches: tuple[Jaxpr, ...]) -> list[ShapedArray]:
    if index.shape or index.dtype != np.int32:
        raise TypeError(f"cond: the index must be an int32 scalar, got {index}")
    check_operands("cond", avals, branches[0].in_avals)
    weak = [all(kinds) for kinds in zip(*([a.weak_type for a in b.out_avals] for b in branches))]
    return [a.update(weak_type=w) for a, w in zip(branches[0].out_avals, weak, strict=True)]


@cond_p.evaluate
def _(index: Any, *args: Any, branches: tuple[Jaxpr, ...]) -> list[Any]:
    return eval_jaxpr(branches[min(max(int(index), 0), len(branches) - 1)], args)


@cond_p.dependencies
def _(index: Operand, *operands: Operand, branches: tuple[Jaxpr, ...]) -> list[Operand]:
    return branches_pattern(index, operands, branches)


@cond_p.jet
def _(
    primals: Sequence[Any], series: Sequence[list[Any] | None], order: int, **params: Any
) -> tuple[list[Any], list[list[Any] | None]]:
    return branches_jet(cond_p, primals, series, order, **params)


@cond_p.jvp
def _(
    primals: Sequence[Any], tangents: Sequence[Any], *, branches: tuple[Jaxpr, ...]
) -> tuple[list[Any], list[Any]]:
    nonzero = nonzero_mask(tangents)[1:]
    count = len(branches[0].outvars)
    jvp = get_rewrites().jvp
    nonzero_out = joined([jvp(b, nonzero, none(count))[1] for b in branches])
    programs = tuple(jvp(b, nonzero, nonzero_out)[0] for b in branches)
    given = split(nonzero, tangents[1:])[1]
    results = cond_p.bind(*primals, *given, branches=programs)
    outs = results[:count]
    return outs, expand_zeros(nonzero_out, results[count:], [aval_of(o) for o in outs])


# -- partial evaluation -------------------------------------------------------------------

Slots = tuple[int, ...]


def _assign_slots(
    residuals: Sequence[Sequence[Atom]],
) -> tuple[tuple[ShapedArray, ...], list[Slots]]:
    """Share room between branches: residuals of one type use one slot where they can."""
    avals: list[ShapedArray] = []
    assigned: list[Slots] = []
    for variables in residuals:
        free = list(range(len(avals)))
        slots = []
        for var in variables:
            aval = var.aval.strong()
            slot = next((s for s in free if avals[s] == aval), None)
            if slot is None:
                avals.append(aval)
                slot = len(avals) - 1
            else:
                free.remove(slot)
            slots.append(slot)
        assigned.append(tuple(slots))
    return tuple(avals), assigned


@memoize
def _pad_residuals(
    known: Jaxpr, num_outs: int, picked: tuple[int, ...], slots: Slots, avals: tuple[Any, ...]
) -> Jaxpr:
    """The known part of a branch with residuals ``picked`` in their slots, zeros in others."""

    def run(*args: Any) -> list[Any]:
        outs = apply_jaxpr(known, args)
        filled = {slot: outs[i] for i, slot in zip(picked, slots, strict=True)}
        padded = [
            filled[s] if s in filled else instantiate(Zero(aval)) for s, aval in enumerate(avals)
        ]
        return [*outs[:num_outs], *padded]

    return rewrite(run, known.in_avals, "partial evaluation of cond")


@cond_p.partial_eval
def _(unknown: Sequence[bool], eqn: Equation) -> tuple[list[Equation], list[Equation], list[bool]]:
    """Known: the branch's known part and its residuals. Staged: the same choice once more.

    All branches return residuals for all; those that are operands are passed as they are.
    """
    branches, count = eqn.params["branches"], len(eqn.outvars)
    if unknown[0]:
        return [], [eqn], [True] * count
    mask = tuple(unknown[1:])
    partial_eval = get_rewrites().partial_eval
    unknown_out = joined([partial_eval(b, mask, none(count))[2] for b in branches])
    pieces = [partial_eval(b, mask, unknown_out) for b in branches]
    num_outs = count - sum(unknown_out)
    known_in, unknown_in = split(mask, eqn.invars[1:])

    computed: list[list[int]] = []  # positions among the outputs of the known program
    operands: list[list[int]] = []  # positions among its inputs
    for known, _, _, num_res in pieces:
        input_at: dict[Atom, int] = {v: i for i, v in enumerate(known.invars)}
        tail = range(num_outs, num_outs + num_res)
        computed.append([i for i in tail if known.outvars[i] not in input_at])
        operands.append([input_at[known.outvars[i]] for i in tail if known.outvars[i] in input_at])
    forwarded = sorted({i for inputs in operands for i in inputs})
    avals, slots = _assign_slots(
        [[known.outvars[i] for i in at] for (known, *_), at in zip(pieces, computed)]
    )
    known_branches = tuple(
        _pad_residuals(known, num_outs, tuple(at), slot, avals)
        for (known, *_), at, slot in zip(pieces, computed, slots)
    )
    staged_branches = []
    in_avals = (
        *avals,
        *(pieces[0][0].invars[i].aval for i in forwarded),
        *(v.aval for v in split(mask, branches[0].invars)[1]),
    )
    for (known, staged, _, num_res), at, slot in zip(pieces, computed, slots):
        input_at = {v: i for i, v in enumerate(known.invars)}
        slot_of = dict(zip(at, slot, strict=True))
        positions = [
            slot_of[i] if i in slot_of else len(avals) + forwarded.index(input_at[known.outvars[i]])
            for i in range(num_outs, num_outs + num_res)
        ]
        first = len(avals) + len(forwarded)
        positions += range(first, first + len(unknown_in))
        staged_branches.append(embed_inputs(staged, in_avals, tuple(positions)))

    known_outs, unknown_outs = split(unknown_out, eqn.outvars)
    residuals = [Var(a) for a in avals]
    known_eqns = []
    if known_outs or residuals or any(map(does_something, known_branches)):
        known_eqns.append(
            eqn.replace(
                invars=(eqn.invars[0], *known_in),
                outvars=(*known_outs, *residuals),
                params={"branches": known_branches},
            )
        )
    passed: list[Atom] = [known_in[i] for i in forwarded]
    staged_eqn = eqn.replace(
        invars=(eqn.invars[0], *residuals, *passed, *unknown_in),
        outvars=tuple(unknown_outs),
        params={"branches": tuple(staged_branches)},
    )
    return known_eqns, [staged_eqn], list(unknown_out)


@cond_p.transpose
def _(cts: Sequence[Any], index: Any, *operands: Any, branches: tuple[Jaxpr, ...]) -> list[Any]:
    linear = tuple(isinstance(x, Linear) for x in operands)
    others, unknowns = split(linear, operands)
    nonzero = nonzero_mask(cts)
    transpose = get_rewrites().transpose
    nothing = none(len(unknowns))
    nonzero_in = joined([transpose(b, linear, nonzero, nothing)[1] for b in branches])
    programs = tuple(transpose(b, linear, nonzero, nonzero_in)[0] for b in branches)
    given = split(nonzero, cts)[1]
    results = iter(cond_p.bind(index, *others, *map(instantiate, given), branches=programs))
    found = [next(results) if nz else None for nz in nonzero_in]
    return [None, *merge(linear, [None] * len(others), found)]


@cond_p.strong_transpose
def _(cts: Sequence[Any], index: Any, *operands: Any, branches: tuple[Jaxpr, ...]) -> list[Any]:
    return strong_transposed_cond(cond_p, cts, index, operands, branches)


@cond_p.batch
def _(
    args: Sequence[Any],
    batched: Sequence[bool],
    axis: BatchAxis,
    *,
    branches: tuple[Jaxpr, ...],
) -> tuple[list[Any], Mask]:
    index, operands, mask = args[0], args[1:], tuple(batched[1:])
    count = len(branches[0].outvars)
    batch = get_rewrites().batch
    if not batched[0]:
        batched_out = joined([batch(b, axis, mask, none(count))[1] for b in branches])
        programs = tuple(batch(b, axis, mask, batched_out)[0] for b in branches)
        return cond_p.bind(index, *operands, branches=programs), batched_out
    index = clamp(np.int32(0), index, np.int32(len(branches) - 1))
    everywhere = every(count)
    chosen: list[Any] = []
    for k, branch in _light_first(branches, axis, mask):
        takes = eq(index, np.int32(k))
        if _is_for_all_lanes(branch, axis, mask):
            guarded = [_guard(takes, x, b, axis.size) for x, b in zip(operands, mask, strict=True)]
            program, _ = batch(branch, axis, tuple(b for _, b in guarded), everywhere)
            results = apply_jaxpr(program, [x for x, _ in guarded])
            chosen = list(map(partial(choose_lanes, takes), results, chosen)) if chosen else results
        else:
            programs = _if_any_takes(branch, axis, mask, bool(chosen))
            any_takes = convert_element_type(reduce_or(takes, (0,)), np.int32)
            chosen = cond_p.bind(any_takes, takes, *chosen, *operands, branches=programs)
    return chosen, everywhere


@memoize
def _is_for_all_lanes(branch: Jaxpr, axis: BatchAxis, mask: Mask) -> bool:
    """Whether a branch is computed in all lanes, and chosen from.

    So are those that cost little, and those with collectives over the lanes, whose results the
    lanes that take other branches belong to.
    """
    if uses_axis(branch, axis.name) or axis.size == 0:
        return True
    program, _ = get_rewrites().batch(branch, axis, mask, none(len(branch.outvars)))
    return is_light(program)


def _light_first(branches: Sequence[Jaxpr], axis: BatchAxis, mask: Mask) -> list[tuple[int, Jaxpr]]:
    """The branches with their numbers; what is computed anyway comes first, to choose from."""
    return sorted(enumerate(branches), key=lambda kb: not _is_for_all_lanes(kb[1], axis, mask))


@memoize
def _if_any_takes(
    branch: Jaxpr, axis: BatchAxis, mask: Mask, has_others: bool
) -> tuple[Jaxpr, Jaxpr]:
    """What becomes of a branch if no lane takes it, and if some do.

    Both map (the lanes that take it, results of the other branches if there are any yet, the
    operands) to results in all lanes.
    """
    count = len(branch.outvars)
    program, batched_out = get_rewrites().batch(branch, axis, mask, none(count))

    def arguments(args: Sequence[Any]) -> tuple[Any, list[Any], list[Any]]:
        [takes], others, operands = parts(args, 1, count * has_others)
        return takes, others, operands

    def skip(*args: Any) -> list[Any]:
        _, others, _ = arguments(args)
        return others if has_others else [instantiate(Zero(a)) for a in avals_out]

    def run(*args: Any) -> list[Any]:
        takes, others, operands = arguments(args)
        results = [
            x if b else broadcast_batch(x, axis.size)
            for x, b in zip(
                apply_jaxpr(program, borrow_operands(takes, operands, mask)),
                batched_out,
                strict=True,
            )
        ]
        if not has_others:
            return results  # what they are in other lanes gives way to those lanes' branches
        return list(map(partial(choose_lanes, takes), results, others))

    avals_out = [ShapedArray((axis.size, *a.shape), a.dtype) for a in branch.out_avals]
    avals = [
        ShapedArray((axis.size,), np.dtype(np.bool_)),
        *(avals_out if has_others else []),
        *program.in_avals,
    ]
    return rewrite(skip, avals, "vmap"), rewrite(run, avals, "vmap")


def _guard(takes: Any, x: Any, batched: bool, size: int) -> tuple[Any, bool]:
    """Cut derivatives of the elements that do not take a branch; returns whether x is batched.

    The branch may be singular there (a square root at 0), and the product of its infinite
    derivative and the cotangent 0 would be NaN.
    """
    if not isinstance(x, Tracer) or not is_differentiable(x.aval):
        return x, batched
    x = x if batched else broadcast_batch(x, size)
    return choose_lanes(takes, x, stop_gradient(x)), True


@cond_p.parts
def _(index: Any, *operands: Any, branches: tuple[Jaxpr, ...]) -> list[Any]:
    programs = tuple(map(get_rewrites().in_parts, branches))
    results = cond_p.bind(index, *flat_parts(operands), branches=programs)
    return joined_parts(results, are_complex(branches[0].out_avals))


@cond_p.lower
def _(p: Any, index: Any, *operands: Any, branches: tuple[Jaxpr, ...]) -> list[Any]:
    return p.switch(index, branches, operands)


@cond_p.dce
def _(used: Sequence[bool], eqn: Equation) -> Equation | None:
    branches, wanted = eqn.params["branches"], tuple(used)
    dce = get_rewrites().dce
    used_in = joined([dce(b, wanted)[1] for b in branches])
    programs = tuple(dce_keeping(b, wanted, used_in) for b in branches)
    if all(new is old for new, old in zip(programs, branches)):
        return eqn
    return eqn.replace(
        invars=(eqn.invars[0], *split(used_in, eqn.invars[1:])[1]),
        outvars=tuple(split(wanted, eqn.outvars)[1]),
        params={"branches": programs},
    )
