"""``while_loop``: repeat a step as long as a condition on the state holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.flat_function import function_name
from fnad.core.interpret import eval_jaxpr
from fnad.core.ir import Equation, Jaxpr, Literal, Var, memoize, without_effects
from fnad.core.primitive import Linear, Primitive, are_complex, flat_parts, joined_parts
from fnad.core.rewrites import BatchAxis, Mask, get_rewrites
from fnad.core.tracer import apply_jaxpr, rewrite
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.control_flow.carry import cast_outputs, check_carry, settle_carry
from fnad.primitives.control_flow.counted_scan import COUNT
from fnad.primitives.control_flow.lanes import borrow_operands, choose_lanes, may_run_forever
from fnad.primitives.control_flow.loop_dependencies import while_pattern
from fnad.primitives.control_flow.loop_jets import while_jet
from fnad.primitives.control_flow.replay import in_two_parts, replayed, sizes_of_blocks
from fnad.primitives.dependencies import Operand
from fnad.primitives.reductions import reduce_or
from fnad.primitives.subprograms import (
    broadcast_batch,
    cast,
    check_operands,
    dce_keeping,
    either,
    embed_inputs,
    every,
    expand_zeros,
    inline_equations,
    instantiate_marked,
    none,
    nonzero_mask,
    parts,
    permute,
    split,
    strong_transpose_call,
    trace_function,
    uses_axis,
)

while_p = Primitive(
    "while",
    "Repeat ``body_jaxpr`` on the carry while ``cond_jaxpr`` of it is true. Operands: constants of"
    " the condition, constants of the body, the initial carry; results: the final carry. ``sizes``"
    " are those of the blocks of steps in which reverse mode goes back (`replay`).",
    multiple_results=True,
)
while_p.lowering_params = ("cond_jaxpr", "body_jaxpr", "cond_nconsts", "body_nconsts")


@while_p.type_rule
def _(
    *avals: ShapedArray,
    cond_jaxpr: Jaxpr,
    body_jaxpr: Jaxpr,
    cond_nconsts: int,
    body_nconsts: int,
    **params: Any,
) -> list[ShapedArray]:
    carry = body_jaxpr.in_avals[body_nconsts:]
    expected = [*cond_jaxpr.in_avals[:cond_nconsts], *body_jaxpr.in_avals[:body_nconsts], *carry]
    check_operands("while_loop", avals, expected)
    return carry


@while_p.evaluate
def _(
    *args: Any,
    cond_jaxpr: Jaxpr,
    body_jaxpr: Jaxpr,
    cond_nconsts: int,
    body_nconsts: int,
    **params: Any,
) -> list[Any]:
    cond_consts, body_consts, carry = parts(args, cond_nconsts, body_nconsts)
    while eval_jaxpr(cond_jaxpr, [*cond_consts, *carry])[0]:
        carry = eval_jaxpr(body_jaxpr, [*body_consts, *carry])
    avals = body_jaxpr.in_avals[body_nconsts:]
    return [np.asarray(c, a.dtype) for c, a in zip(carry, avals, strict=True)]


@while_p.dependencies
def _(*operands: Operand, sizes: tuple[int, ...], **params: Any) -> list[Operand]:
    return while_pattern(operands, **params)


@while_p.jet
def _(
    primals: Sequence[Any], series: Sequence[list[Any] | None], order: int, **params: Any
) -> tuple[list[Any], list[list[Any] | None]]:
    return while_jet(while_p, primals, series, order, **params)


@while_p.jvp
def _(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    cond_jaxpr: Jaxpr,
    body_jaxpr: Jaxpr,
    cond_nconsts: int,
    body_nconsts: int,
    **params: Any,
) -> tuple[list[Any], list[Any]]:
    _, const_nz, carry_nz = map(tuple, parts(nonzero_mask(tangents), cond_nconsts, body_nconsts))
    num_carry = len(carry_nz)
    while True:
        body, nonzero_out = get_rewrites().jvp(body_jaxpr, (*const_nz, *carry_nz), carry_nz)
        if nonzero_out == carry_nz:
            break
        carry_nz = either(carry_nz, nonzero_out)
    # From (consts, carry, const dots, carry dots) to (consts, const dots, carry, carry dots).
    at = range(len(body.invars))
    consts_at, carry_at, const_dots_at, carry_dots_at = parts(
        at, body_nconsts, num_carry, sum(const_nz)
    )
    order = (*consts_at, *const_dots_at, *carry_at, *carry_dots_at)
    body = permute(body, order, tuple(range(len(body.outvars))))
    dots = tuple(a.strong() for a in split(carry_nz, cond_jaxpr.in_avals[cond_nconsts:])[1])
    cond = embed_inputs(
        cond_jaxpr, (*cond_jaxpr.in_avals, *dots), tuple(range(len(cond_jaxpr.invars)))
    )
    cond_consts, body_consts, carry = parts(primals, cond_nconsts, body_nconsts)
    _, const_dots, carry_dots = parts(tangents, cond_nconsts, body_nconsts)
    results = while_p.bind(
        *cond_consts,
        *body_consts,
        *instantiate_marked(const_nz, const_dots),
        *carry,
        *instantiate_marked(carry_nz, carry_dots),
        cond_jaxpr=cond,
        body_jaxpr=body,
        cond_nconsts=cond_nconsts,
        body_nconsts=body_nconsts + sum(const_nz),
        **params,
    )
    outs, out_dots = parts(results, num_carry)
    return outs, expand_zeros(carry_nz, out_dots, [aval_of(o) for o in outs])


@while_p.partial_eval
def _(unknown: Sequence[bool], eqn: Equation) -> tuple[list[Equation], list[Equation], list[bool]]:
    """Run the loop of the known carries now, if it decides alone when to stop, and count.

    What is staged is that many steps from the beginning (`replay`), of all carries.
    """
    params = eqn.params
    cond, body = params["cond_jaxpr"], params["body_jaxpr"]
    cond_nconsts, body_nconsts = params["cond_nconsts"], params["body_nconsts"]
    cond_unk, const_unk, carry_unk = map(tuple, parts(unknown, cond_nconsts, body_nconsts))
    while True:
        known, staged, unknown_out, _ = get_rewrites().partial_eval(
            body, (*const_unk, *carry_unk), carry_unk
        )
        if unknown_out == carry_unk:
            break
        carry_unk = either(carry_unk, unknown_out)
    _, cond_reads = get_rewrites().dce(cond, (True,))
    stops_unknown = any(
        reads and unk for reads, unk in zip(cond_reads, (*cond_unk, *carry_unk), strict=True)
    )
    if stops_unknown:
        return [], [eqn], [True] * len(carry_unk)

    known_carry = tuple(not u for u in carry_unk)
    known_cond = dce_keeping(cond, (True,), (*(not u for u in cond_unk), *known_carry))
    known_body = dce_keeping(
        known,
        (*every(sum(known_carry)), *none(len(known.outvars) - sum(known_carry))),
        every(len(known.invars)),
    )
    cond_consts, body_consts, init = parts(eqn.invars, cond_nconsts, body_nconsts)
    known_cond_consts = split(cond_unk, cond_consts)[0]
    known_body_consts = split(const_unk, body_consts)[0]
    count = Var(COUNT)
    known_eqn = eqn.replace(
        invars=(
            *known_cond_consts,
            *known_body_consts,
            *split(carry_unk, init)[0],
            Literal(np.int64(0), COUNT),
        ),
        outvars=(*split(carry_unk, eqn.outvars)[0], count),
        params={
            **params,
            "cond_jaxpr": embed_inputs(
                known_cond, (*known_cond.in_avals, COUNT), tuple(range(len(known_cond.invars)))
            ),
            "body_jaxpr": _counting(known_body),
            "cond_nconsts": len(known_cond_consts),
            "body_nconsts": len(known_body_consts),
        },
    )
    step = in_two_parts(without_effects(known), staged, (*const_unk, *carry_unk), carry_unk)
    program = replayed(step, body_nconsts, params["sizes"], carry_unk)
    replay, outs = inline_equations(program, (count, *body_consts, *init))
    names = dict(zip(outs, split(carry_unk, eqn.outvars)[1], strict=True))
    replay = [e.replace(outvars=tuple(names.get(v, v) for v in e.outvars)) for e in replay]
    return [known_eqn], replay, list(carry_unk)


@memoize
def _counting(body: Jaxpr) -> Jaxpr:
    """A body that counts its steps in one more carry, the last one."""

    def run(*args: Any) -> list[Any]:
        return [*apply_jaxpr(body, args[:-1]), args[-1] + np.int64(1)]

    return rewrite(run, [*body.in_avals, COUNT], "counting of steps")


@while_p.transpose
@while_p.strong_transpose
def _(cts: Sequence[Any], *operands: Any, **params: Any) -> list[Any]:
    # What is not linear (counters, conditions) decides how many steps there are.
    linear = tuple(isinstance(x, Linear) for x in operands)
    invars = tuple(Var(x.aval if isinstance(x, Linear) else aval_of(x)) for x in operands)
    avals = while_p.out_avals([v.aval for v in invars], params)
    eqn = Equation(while_p, invars, tuple(Var(a) for a in avals), params)
    known, staged, unknown_out = while_p.rule("partial_eval")(linear, eqn)
    if staged == [eqn]:
        raise TypeError(
            "transposition of while_loop: the condition depends on what the loop should be linear"
            " in, so it is not linear; differentiate it instead (vjp, grad)"
        )
    program = Jaxpr(invars, (*known, *staged), tuple(split(unknown_out, eqn.outvars)[1]))
    return strong_transpose_call(program, split(unknown_out, cts)[1], operands)


@memoize
def _any_lane(cond: Jaxpr) -> Jaxpr:
    """Whether the condition holds for any element of the batch."""
    return rewrite(
        lambda *args: [reduce_or(apply_jaxpr(cond, args)[0], (0,))], cond.in_avals, "vmap"
    )


@memoize
def _masked_body(
    body: Jaxpr, cond: Jaxpr, body_nconsts: int, cond_nconsts: int, batched: Mask
) -> Jaxpr:
    """Step only the elements of the batch whose condition holds; the others stay.

    Maps (constants of the condition, constants of the body, carry) to the new carry. Loops in the
    body may end only where the condition holds, so the elements that stay borrow their operands
    from one that does not; ``batched`` says which operands of the body have the axis.
    """

    def run(*args: Any) -> list[Any]:
        cond_consts, body_consts, carry = parts(args, cond_nconsts, body_nconsts)
        active = apply_jaxpr(cond, [*cond_consts, *carry])[0]
        operands = [*body_consts, *carry]
        if batched:
            operands = borrow_operands(active, operands, batched)
        new = apply_jaxpr(body, operands)
        return [choose_lanes(active, n, c) for n, c in zip(new, carry, strict=True)]

    avals = [*cond.in_avals[:cond_nconsts], *body.in_avals]
    return rewrite(run, avals, "vmap")


@while_p.batch
def _(
    args: Sequence[Any],
    batched: Sequence[bool],
    axis: BatchAxis,
    *,
    cond_jaxpr: Jaxpr,
    body_jaxpr: Jaxpr,
    cond_nconsts: int,
    body_nconsts: int,
    **params: Any,
) -> tuple[list[Any], Mask]:
    cond_b, const_b, init_b = map(tuple, parts(batched, cond_nconsts, body_nconsts))
    carry_b = init_b
    while True:
        body, body_out = get_rewrites().batch(body_jaxpr, axis, (*const_b, *carry_b), carry_b)
        cond, (pred_b,) = get_rewrites().batch(cond_jaxpr, axis, (*cond_b, *carry_b), (False,))
        wanted = every(len(carry_b)) if pred_b else either(carry_b, body_out)
        if wanted == carry_b:
            break
        carry_b = wanted
    cond_consts, body_consts, init = parts(args, cond_nconsts, body_nconsts)
    init = [
        broadcast_batch(c, axis.size) if now and not was else c
        for c, was, now in zip(init, init_b, carry_b, strict=True)
    ]
    if pred_b:
        borrow = may_run_forever(body_jaxpr) and not uses_axis(body_jaxpr, axis.name)
        operands_b = (*const_b, *carry_b) if borrow else ()
        body = _masked_body(body, cond, body_nconsts, cond_nconsts, operands_b)
        body_consts = [*cond_consts, *body_consts]
        cond = _any_lane(cond)
    results = while_p.bind(
        *cond_consts,
        *body_consts,
        *init,
        cond_jaxpr=cond,
        body_jaxpr=body,
        cond_nconsts=cond_nconsts,
        body_nconsts=len(body_consts),
        **params,
    )
    return results, carry_b


@while_p.parts
def _(
    *operands: Any,
    cond_jaxpr: Jaxpr,
    body_jaxpr: Jaxpr,
    cond_nconsts: int,
    body_nconsts: int,
    **params: Any,
) -> list[Any]:
    groups = parts(operands, cond_nconsts, body_nconsts)
    cond_consts, body_consts, carry = map(flat_parts, groups)
    in_parts = get_rewrites().in_parts
    results = while_p.bind(
        *cond_consts,
        *body_consts,
        *carry,
        cond_jaxpr=in_parts(cond_jaxpr),
        body_jaxpr=in_parts(body_jaxpr),
        cond_nconsts=len(cond_consts),
        body_nconsts=len(body_consts),
        **params,
    )
    return joined_parts(results, are_complex(body_jaxpr.out_avals))


@while_p.lower
def _(
    p: Any,
    *tensors: Any,
    cond_jaxpr: Jaxpr,
    body_jaxpr: Jaxpr,
    cond_nconsts: int,
    body_nconsts: int,
    **params: Any,
) -> list[Any]:
    cond_consts, body_consts, carry = parts(tensors, cond_nconsts, body_nconsts)
    return p.while_loop(cond_jaxpr, body_jaxpr, cond_consts, body_consts, carry)


@while_p.dce
def _(used: Sequence[bool], eqn: Equation) -> Equation | None:
    params = eqn.params
    cond, body = params["cond_jaxpr"], params["body_jaxpr"]
    cond_nconsts, body_nconsts = params["cond_nconsts"], params["body_nconsts"]
    _, cond_reads = get_rewrites().dce(cond, (True,))
    used_cond_consts, cond_carry = map(tuple, parts(cond_reads, cond_nconsts))
    kept = either(used, cond_carry)
    while True:
        _, used_in = get_rewrites().dce(body, kept)
        used_consts, reads = map(tuple, parts(used_in, body_nconsts))
        if either(kept, reads) == kept:
            break
        kept = either(kept, reads)
    new_cond = dce_keeping(cond, (True,), (*used_cond_consts, *kept))
    new_body = dce_keeping(body, kept, (*used_consts, *kept))
    if new_cond is cond and new_body is body:
        return eqn
    mask = (*used_cond_consts, *used_consts, *kept)
    return eqn.replace(
        invars=tuple(split(mask, eqn.invars)[1]),
        outvars=tuple(split(kept, eqn.outvars)[1]),
        params={
            **params,
            "cond_jaxpr": new_cond,
            "body_jaxpr": new_body,
            "cond_nconsts": sum(used_cond_consts),
            "body_nconsts": sum(used_consts),
        },
    )


def while_loop(
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    init_val: Any,
    *,
    max_steps: int | None = None,
    levels: int = 2,
) -> Any:
    """Repeat a step while a condition holds.

    It computes what this Python loop does, as one equation of the program::

        while cond_fun(val):
            val = body_fun(val)
        return val

    Under `vmap` with conditions that differ the loop runs until all have stopped.

    Reverse mode goes back through the steps that were made. From the forward pass it keeps the
    first value and the number of steps alone, and makes the steps again:

    ============= ==================================== ==========================================
    ``max_steps`` time                                 memory while it goes back
    ============= ==================================== ==========================================
    None          one more run of the loop             steps x residuals, allocated for as many
                                                       steps as there were; not on a card
    given         ``levels`` more runs, and one        s x residuals + (levels - 1) x s x values,
                  allocation of fixed size             s = max_steps ** (1 / levels), rounded up
    ============= ==================================== ==========================================

    The residuals are what the derivative of one step depends on, of those that change from step
    to step; often about as much as the value (``jit(grad(f)).lower(x).as_text("plan")`` shows
    each of them as a buffer). A loop within the step of another one is run again each time the
    step is.

    Parameters
    ----------
    cond_fun : callable
        Maps the value to a boolean scalar.
    body_fun : callable
        Maps the value to the next one, of the same structure, shapes and dtypes.
    init_val : pytree of arrays
        The first value. A Python scalar takes the dtype that ``body_fun`` returns.
    max_steps : int, optional
        How many steps reverse mode should have room for. It does not stop the loop: of one that
        makes more steps the result is right, and its derivatives in reverse mode are NaN.
    levels : int, optional
        How many levels of checkpoints there are if ``max_steps`` is given: with more of them,
        less memory and more time.

    Returns
    -------
    pytree of arrays
        The first value for which the condition is false.

    Raises
    ------
    MemoryError
        In reverse mode without ``max_steps``, if there is no memory for the residuals.
    ValueError
        If ``max_steps`` or ``levels`` is not positive.
    TypeError
        If ``body_fun`` changes the type of the value, or the condition is no boolean scalar.

    Examples
    --------
    >>> from fnad import lax
    >>> lax.while_loop(lambda x: x < 100.0, lambda x: 2 * x, 1.0)
    np.float64(128.0)
    >>> import fnad
    >>> fnad.grad(lambda x: lax.while_loop(lambda x: x < 100.0, lambda x: 2 * x, x))(1.0)
    np.float64(128.0)
    """
    blocks = sizes_of_blocks("while_loop", max_steps, levels)
    init_leaves, in_tree = tree.flatten(init_val)
    args_tree = tree.structure(((init_val,), {}))
    avals = [aval_of(leaf) for leaf in init_leaves]
    while True:
        body, body_consts, flat = trace_function(
            body_fun, args_tree, avals, "the body of while_loop"
        )
        promoted = settle_carry(avals, flat.out_tree, in_tree, body.out_avals)
        if promoted is None:
            break
        avals = promoted
    if flat.out_tree == in_tree:
        body = cast_outputs(body, tuple(avals))
    check_carry("while_loop", in_tree, avals, flat.out_tree, body.out_avals)
    cond, cond_consts, _ = trace_function(cond_fun, args_tree, avals, "the condition of while_loop")
    got = cond.out_avals
    if len(got) != 1 or got[0].shape != () or got[0].dtype != np.bool_:
        shown = ", ".join(map(str, got))
        raise TypeError(
            f"while_loop: the condition {function_name(cond_fun)} must return one boolean scalar,"
            f" got {shown or 'nothing'}"
        )
    results = while_p.bind(
        *cond_consts,
        *body_consts,
        *(cast(x, a) for x, a in zip(init_leaves, avals, strict=True)),
        cond_jaxpr=cond,
        body_jaxpr=body,
        cond_nconsts=len(cond_consts),
        body_nconsts=len(body_consts),
        sizes=blocks,
    )
    return tree.unflatten(in_tree, results)
