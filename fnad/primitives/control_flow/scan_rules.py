"""The rules that ``scan`` and ``counted_scan`` share: derivatives, batching and so on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fnad.core.ir import Atom, Equation, Jaxpr, Var, does_something
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
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.control_flow.scan_body import (
    depends_on,
    hoist,
    interleave,
    linear_carries,
    split_body,
    transposed_body,
)
from fnad.primitives.control_flow.strong_loops import strong_transposed_loop
from fnad.primitives.shape import moveaxis
from fnad.primitives.strong_zeros import StrongZeros
from fnad.primitives.subprograms import (
    broadcast_batch,
    dce_keeping,
    either,
    every,
    expand_zeros,
    instantiate_marked,
    makes_zeros,
    merge,
    none,
    nonzero_mask,
    parts,
    permute,
    split,
    strong_transpose_call,
)


def stacked(aval: ShapedArray, length: int) -> ShapedArray:
    """The type of ``length`` arrays of type ``aval``, one behind the other."""
    return ShapedArray((length, *aval.shape), aval.dtype)


def attach_rules(loop: Primitive, counted: bool) -> None:
    """Attach the rules for jvp, partial evaluation, transposition, batching, complex parts and dead
    code.

    Parameters
    ----------
    loop : Primitive
        Its operands are constants, initial states and ``xs``, its parameters among others
        ``jaxpr``, ``length``, ``reverse``, ``num_consts`` and ``num_carry``, as those of `scan`.
    counted : bool
        Whether one more operand stands before these: an integer. In
        batches it is the same for all.
    """
    _Rules(loop, 1 if counted else 0).attach()


class _Rules:
    def __init__(self, loop: Primitive, num_counts: int) -> None:
        self.loop, self.num_counts = loop, num_counts

    def attach(self) -> None:
        self.loop.jvp(self.jvp)
        self.loop.partial_eval(self.partial_eval)
        self.loop.transpose(self.transpose)
        self.loop.strong_transpose(self.strong_transpose)
        self.loop.batch(self.batch)
        self.loop.parts(self.parts)
        self.loop.dce(self.dce)

    # -- forward mode ---------------------------------------------------------------------

    def jvp(
        self,
        primals: Sequence[Any],
        tangents: Sequence[Any],
        *,
        jaxpr: Jaxpr,
        num_consts: int,
        num_carry: int,
        **params: Any,
    ) -> tuple[list[Any], list[Any]]:
        counts, consts, carry, xs = parts(primals, self.num_counts, num_consts, num_carry)
        _, const_dots, carry_dots, xs_dots = parts(tangents, self.num_counts, num_consts, num_carry)
        num_ys = len(jaxpr.outvars) - num_carry
        const_nz, carry_nz, xs_nz = map(nonzero_mask, (const_dots, carry_dots, xs_dots))
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
        results = self.loop.bind(
            *counts,
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

    # -- partial evaluation ---------------------------------------------------------------

    def partial_eval(
        self, unknown: Sequence[bool], eqn: Equation
    ) -> tuple[list[Equation], list[Equation], list[bool]]:
        """Known loop first, which stacks the residuals; then the loop of the unknown part.

        Residuals that do not change from step to step are passed whole, not stacked: constants,
        and what is computed from constants alone (which is computed once, before the loop).
        Slices of known ``xs`` are passed as those ``xs``.
        """
        params = eqn.params
        num_consts, num_carry, length = params["num_consts"], params["num_carry"], params["length"]
        count_unk, const_unk, init_unk, xs_unk = map(
            tuple, parts(unknown, self.num_counts, num_consts, num_carry)
        )
        if any(count_unk):
            return [], [eqn], [True] * len(eqn.outvars)
        known, staged, carry_unk, unknown_out, num_res = split_body(
            params["jaxpr"], const_unk, init_unk, xs_unk
        )
        counts, consts, init, xs = parts(eqn.invars, self.num_counts, num_consts, num_carry)
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
                where[residual] = fresh = Var(stacked(residual.aval, length))
                new.append(fresh)
                order.append(num_kout + i)
        stacks = [where[r] for r in split(invariant, residuals)[0]]

        known_eqns = list(hoisted_eqns)
        if order or does_something(known):
            known_eqns.append(
                eqn.replace(
                    invars=(*counts, *known_consts, *known_init, *known_xs),
                    outvars=(*known_outs, *new),
                    params={
                        **params,
                        "jaxpr": permute(known, tuple(range(len(known.invars))), tuple(order)),
                        "num_consts": num_kc,
                        "num_carry": num_kcarry,
                    },
                )
            )
        # Staged inputs: from (residuals, consts, carry, xs) to (fixed, consts, carry, stacks, xs).
        positions = range(len(staged.invars))
        res_at, rest_at = list(positions[:num_res]), list(positions[num_res:])
        stacks_at, fixed_at = split(invariant, res_at)
        state_at, xs_at = parts(rest_at, len(unknown_consts) + len(unknown_init))
        staged_order = (*fixed_at, *state_at, *stacks_at, *xs_at)
        staged_eqn = eqn.replace(
            invars=(*counts, *fixed, *unknown_consts, *unknown_init, *stacks, *unknown_xs),
            outvars=tuple(unknown_outs),
            params={
                **params,
                "jaxpr": permute(staged, staged_order, tuple(range(len(staged.outvars)))),
                "num_consts": len(fixed) + len(unknown_consts),
                "num_carry": len(unknown_init),
            },
        )
        return known_eqns, [staged_eqn], list(unknown_out)

    # -- reverse mode ---------------------------------------------------------------------

    def transpose(
        self,
        cts: Sequence[Any],
        *operands: Any,
        jaxpr: Jaxpr,
        reverse: bool,
        num_consts: int,
        num_carry: int,
        **params: Any,
    ) -> list[Any]:
        counts, operands = operands[: self.num_counts], operands[self.num_counts :]
        linear = tuple(isinstance(x, Linear) for x in operands)
        _, carry_lin, xs_lin = parts(linear, num_consts, num_carry)
        body_linear = (*linear[:num_consts], *every(num_carry), *xs_lin)
        if not all(linear_carries(jaxpr, linear, num_consts, num_carry)):
            params |= {"jaxpr": jaxpr, "reverse": reverse}
            params |= {"num_consts": num_consts, "num_carry": num_carry}
            return self._transpose_linear_part(
                cts, (*counts, *operands), (*none(len(counts)), *linear), params
            )
        ct_carry, ct_ys = parts(cts, num_carry)
        ys_nz = nonzero_mask(ct_ys)
        body = transposed_body(jaxpr, num_consts, num_carry, body_linear, ys_nz)
        consts, _, xs = parts(operands, num_consts, num_carry)
        res_consts, lin_consts = split(linear[:num_consts], consts)
        res_xs = split(xs_lin, xs)[0]
        results = self.loop.bind(
            *counts,
            *res_consts,
            *(instantiate(Zero(x.aval.strong())) for x in lin_consts),
            *map(instantiate, ct_carry),
            *res_xs,
            *split(ys_nz, ct_ys)[1],
            jaxpr=body,
            reverse=not reverse,
            num_consts=len(res_consts),
            num_carry=len(lin_consts) + num_carry,
            **params,
        )
        ct_consts, ct_init, ct_xs = parts(results, len(lin_consts), num_carry)
        return [
            *(None for _ in counts),
            *merge(linear[:num_consts], [None] * len(res_consts), ct_consts),
            *(ct if lin else None for ct, lin in zip(ct_init, carry_lin)),
            *merge(xs_lin, [None] * len(res_xs), ct_xs),
        ]

    def strong_transpose(
        self,
        cts: Sequence[Any],
        *operands: Any,
        jaxpr: Jaxpr,
        num_consts: int,
        num_carry: int,
        **params: Any,
    ) -> list[Any]:
        """Transpose a loop of which a select took some lanes; their masks go through its steps."""
        params |= {"jaxpr": jaxpr, "num_consts": num_consts, "num_carry": num_carry}
        if not (makes_zeros(jaxpr) or any(type(ct) is StrongZeros for ct in cts)):
            return list(self.loop.rule("transpose")(cts, *operands, **params))
        linear = tuple(isinstance(x, Linear) for x in operands)
        if not all(linear_carries(jaxpr, linear[self.num_counts :], num_consts, num_carry)):
            return self._transpose_linear_part(cts, operands, linear, params)
        return strong_transposed_loop(self.loop, self.num_counts, cts, operands, **params)

    def _transpose_linear_part(
        self, cts: Sequence[Any], operands: Sequence[Any], linear: Mask, params: dict[str, Any]
    ) -> list[Any]:
        """Transpose a loop some of whose carries (counters, keys) are not linear.

        Partial evaluation separates the loop of the carries that are not linear; what remains is
        linear in all its carries.
        """
        invars = tuple(Var(x.aval if isinstance(x, Linear) else aval_of(x)) for x in operands)
        avals = self.loop.out_avals([v.aval for v in invars], params)
        eqn = Equation(self.loop, invars, tuple(Var(a) for a in avals), params)
        known, staged, unknown_out = self.partial_eval(linear, eqn)
        outvars = tuple(split(unknown_out, eqn.outvars)[1])
        program = Jaxpr(invars, (*known, *staged), outvars)
        return strong_transpose_call(program, split(unknown_out, cts)[1], operands)

    # -- batching, complex parts, dead code ---------------------------------------------------

    def batch(
        self,
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
        _, const_b, init_b, xs_b = map(
            tuple, parts(batched, self.num_counts, num_consts, num_carry)
        )
        carry_b = init_b
        while True:
            program, batched_out = get_rewrites().batch(
                jaxpr, axis, (*const_b, *carry_b, *xs_b), (*carry_b, *none(num_ys))
            )
            if batched_out[:num_carry] == carry_b:
                break
            carry_b = either(carry_b, batched_out[:num_carry])
        counts, consts, init, xs = parts(args, self.num_counts, num_consts, num_carry)
        init = [
            broadcast_batch(c, axis.size) if now and not was else c
            for c, was, now in zip(init, init_b, carry_b, strict=True)
        ]
        # The loop runs over axis 0 of xs and ys, so their batch axis stands second.
        xs = [moveaxis(x, 0, 1) if b else x for x, b in zip(xs, xs_b, strict=True)]
        params |= {"jaxpr": program, "num_consts": num_consts, "num_carry": num_carry}
        results = self.loop.bind(*counts, *consts, *init, *xs, **params)
        carry, ys = parts(results, num_carry)
        ys_b = batched_out[num_carry:]
        ys = [moveaxis(y, 1, 0) if b else y for y, b in zip(ys, ys_b, strict=True)]
        return [*carry, *ys], batched_out

    def parts(
        self, *operands: Any, jaxpr: Jaxpr, num_consts: int, num_carry: int, **params: Any
    ) -> list[Any]:
        counts, *groups = parts(operands, self.num_counts, num_consts, num_carry)
        consts, carry, xs = map(flat_parts, groups)
        params |= {"num_consts": len(consts), "num_carry": len(carry)}
        program = get_rewrites().in_parts(jaxpr)
        results = self.loop.bind(*counts, *consts, *carry, *xs, jaxpr=program, **params)
        return joined_parts(results, are_complex(jaxpr.out_avals))

    def dce(self, used: Sequence[bool], eqn: Equation) -> Equation | None:
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
            invars=tuple(split((*every(self.num_counts), *kept_in), eqn.invars)[1]),
            outvars=tuple(split(kept_out, eqn.outvars)[1]),
            params={
                **params,
                "jaxpr": program,
                "num_consts": sum(used_consts),
                "num_carry": sum(used_carry),
            },
        )
