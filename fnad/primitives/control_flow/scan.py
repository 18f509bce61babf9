"""``scan``: a loop of known length that carries a state and maps over leading axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.flat_function import FlatFunction, function_name
from fnad.core.interpret import eval_jaxpr
from fnad.core.ir import Atom, Equation, Jaxpr, Var
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
from fnad.core.tracer import trace_to_jaxpr
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.control_flow.carry import cast_outputs, check_carry, settle_carry
from fnad.primitives.control_flow.loop_dependencies import scan_pattern
from fnad.primitives.control_flow.loop_jets import scan_jet
from fnad.primitives.control_flow.scan_body import (
    depends_on,
    hoist,
    interleave,
    linear_carries,
    split_body,
    transposed_body,
)
from fnad.primitives.dependencies import Operand
from fnad.primitives.shape import moveaxis
from fnad.primitives.subprograms import (
    broadcast_batch,
    cast,
    check_operands,
    dce_keeping,
    either,
    every,
    expand_zeros,
    instantiate_marked,
    merge,
    none,
    nonzero_mask,
    parts,
    permute,
    split,
    transpose_call,
)

scan_p = Primitive(
    "scan",
    "Loop ``length`` times. Operands: ``num_consts`` constants, ``num_carry`` initial states, and"
    " arrays ``xs`` with a leading axis of that length; the program maps (constants, states, a"
    " slice of each of xs) to (states, ys); results: final states and stacked ys. ``reverse``"
    " runs from the last slice to the first.",
    multiple_results=True,
)


def _stacked(aval: ShapedArray, length: int) -> ShapedArray:
    return ShapedArray((length, *aval.shape), aval.dtype)


@scan_p.type_rule
def _(
    *avals: ShapedArray, jaxpr: Jaxpr, length: int, num_consts: int, num_carry: int, **params: Any
) -> list[ShapedArray]:
    consts, carry, xs = parts(jaxpr.in_avals, num_consts, num_carry)
    check_operands("scan", avals, [*consts, *carry, *(_stacked(x, length) for x in xs)])
    return [*carry, *(_stacked(y, length) for y in jaxpr.out_avals[num_carry:])]


@scan_p.evaluate
def _(
    *args: Any,
    jaxpr: Jaxpr,
    length: int,
    reverse: bool,
    num_consts: int,
    num_carry: int,
    unroll: int,
) -> list[Any]:
    consts, carry, xs = parts(args, num_consts, num_carry)
    xs = [np.asarray(x) for x in xs]
    ys = [np.empty((length, *y.shape), y.dtype) for y in jaxpr.out_avals[num_carry:]]
    for i in reversed(range(length)) if reverse else range(length):
        outs = eval_jaxpr(jaxpr, [*consts, *carry, *(x[i] for x in xs)])
        carry = outs[:num_carry]
        for y, out in zip(ys, outs[num_carry:], strict=True):
            y[i] = out
    carry_avals = jaxpr.in_avals[num_consts : num_consts + num_carry]
    return [*(np.asarray(c, a.dtype) for c, a in zip(carry, carry_avals)), *ys]


@scan_p.dependencies
def _(*operands: Operand, unroll: int, **params: Any) -> list[Operand]:
    return scan_pattern(operands, **params)


@scan_p.jet
def _(
    primals: Sequence[Any], series: Sequence[list[Any] | None], order: int, **params: Any
) -> tuple[list[Any], list[list[Any] | None]]:
    return scan_jet(scan_p, primals, series, order, **params)


# -- forward mode -------------------------------------------------------------------------


@scan_p.jvp
def _(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    jaxpr: Jaxpr,
    num_consts: int,
    num_carry: int,
    **params: Any,
) -> tuple[list[Any], list[Any]]:
    num_ys = len(jaxpr.outvars) - num_carry
    const_nz, carry_nz, xs_nz = map(tuple, parts(nonzero_mask(tangents), num_consts, num_carry))
    while True:
        program, nonzero_out = get_rewrites().jvp(
            jaxpr, (*const_nz, *carry_nz, *xs_nz), (*carry_nz, *none(num_ys))
        )
        if nonzero_out[:num_carry] == carry_nz:
            break
        carry_nz = either(carry_nz, nonzero_out[:num_carry])
    ys_nz = nonzero_out[num_carry:]
    program = permute(
        program,
        interleave((num_consts, num_carry, len(xs_nz)), (const_nz, carry_nz, xs_nz)),
        interleave((num_carry, num_ys), (carry_nz, ys_nz)),
    )
    consts, carry, xs = parts(primals, num_consts, num_carry)
    const_dots, carry_dots, xs_dots = parts(tangents, num_consts, num_carry)
    results = scan_p.bind(
        *consts,
        *instantiate_marked(const_nz, const_dots),
        *carry,
        *instantiate_marked(carry_nz, carry_dots),
        *xs,
        *instantiate_marked(xs_nz, xs_dots),
        jaxpr=program,
        num_consts=num_consts + sum(const_nz),
        num_carry=num_carry + sum(carry_nz),
        **params,
    )
    carry_out, carry_out_dot, ys, ys_dot = parts(results, num_carry, sum(carry_nz), num_ys)
    outs = [*carry_out, *ys]
    avals = [aval_of(o) for o in outs]
    return outs, expand_zeros((*carry_nz, *ys_nz), [*carry_out_dot, *ys_dot], avals)


# -- partial evaluation -------------------------------------------------------------------


@scan_p.partial_eval
def _(unknown: Sequence[bool], eqn: Equation) -> tuple[list[Equation], list[Equation], list[bool]]:
    """Known loop first, which stacks the residuals; then the loop of the unknown part.

    Residuals that do not change from step to step are passed whole, not stacked: constants,
    and what is computed from constants alone (which is computed once, before the loop).
    Slices of known ``xs`` are passed as those ``xs``.
    """
    params = eqn.params
    num_consts, num_carry, length = params["num_consts"], params["num_carry"], params["length"]
    const_unk, init_unk, xs_unk = map(tuple, parts(unknown, num_consts, num_carry))
    known, staged, carry_unk, unknown_out, num_res = split_body(
        params["jaxpr"], const_unk, init_unk, xs_unk
    )
    consts, init, xs = parts(eqn.invars, num_consts, num_carry)
    known_consts, unknown_consts = split(const_unk, consts)
    known_init, unknown_init = split(carry_unk, init)
    known_xs, unknown_xs = split(xs_unk, xs)
    known_outs, unknown_outs = split(unknown_out, eqn.outvars)
    num_kc, num_kcarry, num_kout = len(known_consts), len(known_init), len(known_outs)

    varying = depends_on(known, (*none(num_kc), *every(num_kcarry + len(known_xs))))
    residuals = known.outvars[num_kout:]
    invariant = tuple(not (isinstance(r, Var) and r in varying) for r in residuals)
    hoisted_eqns, fixed = hoist(known, num_kc, num_kout, invariant, known_consts)

    # Where the stacked residuals come from: known xs and ys as they are, others as new ys.
    where: dict[Atom, Atom] = dict(zip(known.invars[num_kc + num_kcarry :], known_xs))
    known_ys = known_outs[num_kcarry:]
    where.update(zip(known.outvars[num_kcarry:num_kout], known_ys))
    new: list[Var] = []
    order = list(range(num_kout))
    for i, residual in enumerate(residuals):
        if not invariant[i] and residual not in where:
            where[residual] = fresh = Var(_stacked(residual.aval, length))
            new.append(fresh)
            order.append(num_kout + i)
    stacked = [where[r] for r in split(invariant, residuals)[0]]

    known_eqns = list(hoisted_eqns)
    if order:
        known_eqns.append(
            eqn.replace(
                invars=(*known_consts, *known_init, *known_xs),
                outvars=(*known_outs, *new),
                params={
                    **params,
                    "jaxpr": permute(known, tuple(range(len(known.invars))), tuple(order)),
                    "num_consts": num_kc,
                    "num_carry": num_kcarry,
                },
            )
        )
    # Staged inputs: from (residuals, consts, carry, xs) to (fixed, consts, carry, stacked, xs).
    positions = range(len(staged.invars))
    res_at, rest_at = list(positions[:num_res]), list(positions[num_res:])
    stacked_at, fixed_at = split(invariant, res_at)
    state_at, xs_at = parts(rest_at, len(unknown_consts) + len(unknown_init))
    staged_order = (*fixed_at, *state_at, *stacked_at, *xs_at)
    staged_eqn = eqn.replace(
        invars=(*fixed, *unknown_consts, *unknown_init, *stacked, *unknown_xs),
        outvars=tuple(unknown_outs),
        params={
            **params,
            "jaxpr": permute(staged, staged_order, tuple(range(len(staged.outvars)))),
            "num_consts": len(fixed) + len(unknown_consts),
            "num_carry": len(unknown_init),
        },
    )
    return known_eqns, [staged_eqn], list(unknown_out)


# -- reverse mode -------------------------------------------------------------------------


@scan_p.transpose
def _(
    cts: Sequence[Any],
    *operands: Any,
    jaxpr: Jaxpr,
    length: int,
    reverse: bool,
    num_consts: int,
    num_carry: int,
    unroll: int,
) -> list[Any]:
    linear = tuple(isinstance(x, Linear) for x in operands)
    _, carry_lin, xs_lin = parts(linear, num_consts, num_carry)
    params = {"length": length, "reverse": reverse, "unroll": unroll}
    body_linear = (*linear[:num_consts], *every(num_carry), *xs_lin)
    if not all(linear_carries(jaxpr, linear, num_consts, num_carry)):
        split_params = dict(params, jaxpr=jaxpr, num_consts=num_consts, num_carry=num_carry)
        return _transpose_linear_part(cts, operands, linear, split_params)
    ct_carry, ct_ys = parts(cts, num_carry)
    ys_nz = nonzero_mask(ct_ys)
    body = transposed_body(jaxpr, num_consts, num_carry, body_linear, ys_nz)
    consts, _, xs = parts(operands, num_consts, num_carry)
    res_consts, lin_consts = split(linear[:num_consts], consts)
    res_xs = split(xs_lin, xs)[0]
    results = scan_p.bind(
        *res_consts,
        *(instantiate(Zero(x.aval.strong())) for x in lin_consts),
        *map(instantiate, ct_carry),
        *res_xs,
        *split(ys_nz, ct_ys)[1],
        jaxpr=body,
        num_consts=len(res_consts),
        num_carry=len(lin_consts) + num_carry,
        **dict(params, reverse=not reverse),
    )
    ct_consts, ct_init, ct_xs = parts(results, len(lin_consts), num_carry)
    return [
        *merge(linear[:num_consts], [None] * len(res_consts), ct_consts),
        *(ct if lin else None for ct, lin in zip(ct_init, carry_lin)),
        *merge(xs_lin, [None] * len(res_xs), ct_xs),
    ]


def _transpose_linear_part(
    cts: Sequence[Any], operands: Sequence[Any], linear: Mask, params: dict[str, Any]
) -> list[Any]:
    """Transpose a scan some of whose carries (counters, keys) are not linear.

    Partial evaluation separates the loop of the carries that are not linear; what remains is
    linear in all its carries.
    """
    invars = tuple(Var(x.aval if isinstance(x, Linear) else aval_of(x)) for x in operands)
    avals = scan_p.out_avals([v.aval for v in invars], params)
    eqn = Equation(scan_p, invars, tuple(Var(a) for a in avals), params)
    known, staged, unknown_out = scan_p.rule("partial_eval")(linear, eqn)
    outvars = tuple(split(unknown_out, eqn.outvars)[1])
    program = Jaxpr(invars, (*known, *staged), outvars)
    return transpose_call(program, split(unknown_out, cts)[1], operands)


# -- batching and dead code -----------------------------------------------------------------


@scan_p.batch
def _(
    args: Sequence[Any],
    batched: Sequence[bool],
    axis: BatchAxis,
    *,
    jaxpr: Jaxpr,
    num_consts: int,
    num_carry: int,
    **params: Any,
) -> tuple[list[Any], Mask]:
    num_ys = len(jaxpr.outvars) - num_carry
    const_b, init_b, xs_b = map(tuple, parts(batched, num_consts, num_carry))
    carry_b = init_b
    while True:
        program, batched_out = get_rewrites().batch(
            jaxpr, axis, (*const_b, *carry_b, *xs_b), (*carry_b, *none(num_ys))
        )
        if batched_out[:num_carry] == carry_b:
            break
        carry_b = either(carry_b, batched_out[:num_carry])
    consts, init, xs = parts(args, num_consts, num_carry)
    init = [
        broadcast_batch(c, axis.size) if now and not was else c
        for c, was, now in zip(init, init_b, carry_b, strict=True)
    ]
    # The loop runs over axis 0 of xs and ys, so their batch axis stands second.
    xs = [moveaxis(x, 0, 1) if b else x for x, b in zip(xs, xs_b, strict=True)]
    results = scan_p.bind(
        *consts, *init, *xs, jaxpr=program, num_consts=num_consts, num_carry=num_carry, **params
    )
    carry, ys = parts(results, num_carry)
    ys = [moveaxis(y, 1, 0) if b else y for y, b in zip(ys, batched_out[num_carry:], strict=True)]
    return [*carry, *ys], batched_out


@scan_p.parts
def _(*operands: Any, jaxpr: Jaxpr, num_consts: int, num_carry: int, **params: Any) -> list[Any]:
    consts, carry, xs = map(flat_parts, parts(operands, num_consts, num_carry))
    results = scan_p.bind(
        *consts,
        *carry,
        *xs,
        jaxpr=get_rewrites().in_parts(jaxpr),
        num_consts=len(consts),
        num_carry=len(carry),
        **params,
    )
    return joined_parts(results, are_complex(jaxpr.out_avals))


@scan_p.lower
def _(
    p: Any,
    *tensors: Any,
    jaxpr: Jaxpr,
    length: int,
    reverse: bool,
    num_consts: int,
    num_carry: int,
    **params: Any,
) -> list[Any]:
    consts, carry, xs = parts(tensors, num_consts, num_carry)
    return p.scan(jaxpr, consts, carry, xs, length, reverse)


@scan_p.dce
def _(used: Sequence[bool], eqn: Equation) -> Equation | None:
    params = eqn.params
    jaxpr, num_consts, num_carry = params["jaxpr"], params["num_consts"], params["num_carry"]
    used_carry, used_ys = map(tuple, parts(used, num_carry))
    while True:
        _, used_in = get_rewrites().dce(jaxpr, (*used_carry, *used_ys))
        used_consts, reads, used_xs = map(tuple, parts(used_in, num_consts, num_carry))
        if either(used_carry, reads) == used_carry:
            break
        used_carry = either(used_carry, reads)
    kept_in = (*used_consts, *used_carry, *used_xs)
    kept_out = (*used_carry, *used_ys)
    program = dce_keeping(jaxpr, kept_out, kept_in)
    if program is jaxpr:
        return eqn
    return eqn.replace(
        invars=tuple(split(kept_in, eqn.invars)[1]),
        outvars=tuple(split(kept_out, eqn.outvars)[1]),
        params={
            **params,
            "jaxpr": program,
            "num_consts": sum(used_consts),
            "num_carry": sum(used_carry),
        },
    )


# -- the function for users -----------------------------------------------------------------


class _Body:
    """The user's step function as one of flat lists, remembering the structures it returned."""

    def __init__(self, f: Callable[..., Any], in_tree: Any) -> None:
        self.f = f
        self.in_tree = in_tree
        self.carry_tree: Any = None
        self.ys_tree: Any = None

    def __call__(self, *leaves: Any) -> list[Any]:
        name = function_name(self.f)

        def step(carry: Any, x: Any) -> Any:
            out = self.f(carry, x)
            if not isinstance(out, (tuple, list)) or len(out) != 2:
                raise TypeError(
                    f"scan: the step function {name} must return a pair (carry, y), got"
                    f" {type(out).__name__}{_length_of(out)}"
                )
            self.carry_tree, self.ys_tree = tree.structure(out[0]), tree.structure(out[1])
            return tuple(out)

        step.__name__ = name
        return FlatFunction(step, self.in_tree)(*leaves)


def _length_of(out: Any) -> str:
    return f" of length {len(out)}" if isinstance(out, (tuple, list)) else ""


def _scan_length(xs: Any, leaves: Sequence[Any], length: int | None) -> int:
    sizes: dict[str, int] = {}
    for path, leaf in tree.flatten_with_path(xs)[0]:
        shape = aval_of(leaf).shape
        if not shape:
            raise ValueError(
                f"scan: xs{tree.keystr(path)} is a scalar; scan runs over the leading axis of xs"
            )
        sizes[f"xs{tree.keystr(path)}"] = shape[0]
    if length is not None:
        sizes["length"] = length.__index__()
    if not sizes:
        raise ValueError("scan: give xs to scan over, or length, the number of steps")
    if len(set(sizes.values())) > 1:
        listing = ", ".join(f"{k}: {v}" for k, v in sizes.items())
        raise ValueError(f"scan: the leading axes of xs must have one length, got {listing}")
    found = next(iter(sizes.values()))
    if found < 0:
        raise ValueError(f"scan: length must not be negative, got {found}")
    return found


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int = 1,
) -> tuple[Any, Any]:
    """Loop with a state over the leading axis of arrays.

    It computes what this Python loop does, as one equation of the program::

        carry, ys = init, []
        for x in xs:
            carry, y = f(carry, x)
            ys.append(y)
        return carry, np.stack(ys)

    Parameters
    ----------
    f : callable
        ``f(carry, x) -> (carry, y)``; the carry keeps its structure, shapes and dtypes.
    init : pytree of arrays
        The first carry. A Python scalar takes the dtype of the carry that ``f`` returns.
    xs : pytree of arrays, optional
        Arrays of one leading length; ``f`` gets their slices.
    length : int, optional
        Number of steps; needed if there are no ``xs``.
    reverse : bool
        Whether to run from the last slice to the first (``ys`` are in the order of ``xs``).
    unroll : int
        Number of steps that the compiler may write out in a row.

    Returns
    -------
    carry : pytree of arrays
        The last carry.
    ys : pytree of arrays
        The second results of ``f``, stacked along a new leading axis.

    Raises
    ------
    TypeError
        If the carry that ``f`` returns is not of the type of the carry that it takes.
    ValueError
        If the lengths of ``xs`` differ, or none is given.

    Examples
    --------
    >>> import numpy as np
    >>> from fnad import lax
    >>> lax.scan(lambda total, x: (total + x, total), 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 1., 3.]))
    """
    init_leaves, init_tree = tree.flatten(init)
    xs_leaves = tree.leaves(xs)
    steps = _scan_length(xs, xs_leaves, length)
    in_tree = tree.structure(((init, xs), {}))
    carry_avals = [aval_of(c) for c in init_leaves]
    x_avals = [aval_of(x) for x in xs_leaves]
    x_avals = [ShapedArray(a.shape[1:], a.dtype) for a in x_avals]
    num_carry = len(init_leaves)
    body = _Body(f, in_tree)
    while True:
        jaxpr, consts = trace_to_jaxpr(body, [*carry_avals, *x_avals], "the body of scan")
        out_avals = jaxpr.out_avals[: body.carry_tree.num_leaves]
        promoted = settle_carry(carry_avals, body.carry_tree, init_tree, out_avals)
        if promoted is None:
            break
        carry_avals = promoted
    if body.carry_tree == init_tree:
        jaxpr = cast_outputs(jaxpr, tuple(carry_avals))
        out_avals = jaxpr.out_avals[:num_carry]
    check_carry("scan", init_tree, carry_avals, body.carry_tree, out_avals)
    results = scan_p.bind(
        *consts,
        *(cast(c, a) for c, a in zip(init_leaves, carry_avals, strict=True)),
        *xs_leaves,
        jaxpr=jaxpr,
        length=steps,
        reverse=bool(reverse),
        num_consts=len(consts),
        num_carry=num_carry,
        unroll=int(unroll),
    )
    carry_out, ys = parts(results, num_carry)
    return tree.unflatten(init_tree, carry_out), tree.unflatten(body.ys_tree, ys)
