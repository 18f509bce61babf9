"""``custom_jvp``: a rule for forward mode, from which reverse mode follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

from fnad.core import tree
from fnad.core.flat_function import function_name
from fnad.core.interpret import eval_jaxpr
from fnad.core.ir import Jaxpr
from fnad.core.primitive import Primitive, Zero
from fnad.core.rewrites import BatchAxis, Mask, get_rewrites
from fnad.core.tracer import apply_jaxpr, current_trace
from fnad.core.types import ShapedArray, aval_of, is_differentiable
from fnad.primitives.custom.rules import (
    BoundCustom,
    TracedRule,
    call_args,
    check_closed_over,
    fit,
    normalised,
    place_of,
    positional,
    rule_state,
    trace_rule,
    zero_tangent,
)
from fnad.primitives.dependencies import Operand, propagate
from fnad.primitives.subprograms import (
    check_operands,
    every,
    expand_zeros,
    fix_arguments,
    instantiate_marked,
    nonzero_mask,
    parts,
    split,
    trace_function,
    transpose_call,
)

JvpProgram = Callable[[Mask], tuple[Jaxpr, Mask]]

custom_jvp_call_p = Primitive(
    "custom_jvp_call",
    "Call ``call_jaxpr`` on the constants (``num_consts`` of the program and ``num_rule_consts``"
    " of the rule) and arguments; ``jvp_jaxpr_fun(nonzero)`` gives the program of its jvp.",
    multiple_results=True,
)


@custom_jvp_call_p.type_rule
def _(
    *avals: ShapedArray, call_jaxpr: Jaxpr, num_consts: int, num_rule_consts: int, **params: Any
) -> list[ShapedArray]:
    check_operands("custom_jvp", call_args(avals, num_consts, num_rule_consts), call_jaxpr.in_avals)
    return call_jaxpr.out_avals


@custom_jvp_call_p.evaluate
def _(
    *args: Any, call_jaxpr: Jaxpr, num_consts: int, num_rule_consts: int, **params: Any
) -> list[Any]:
    return eval_jaxpr(call_jaxpr, call_args(args, num_consts, num_rule_consts))


custom_jvp_call_p.lowering_params = ("call_jaxpr", "num_consts", "num_rule_consts")


@custom_jvp_call_p.lower_as
def _(
    *args: Any, call_jaxpr: Jaxpr, num_consts: int, num_rule_consts: int, **params: Any
) -> list[Any]:
    return apply_jaxpr(call_jaxpr, call_args(args, num_consts, num_rule_consts))


@custom_jvp_call_p.jvp
def _(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    call_jaxpr: Jaxpr,
    jvp_jaxpr_fun: JvpProgram,
    num_consts: int,
    num_rule_consts: int,
    symbolic_zeros: bool,
    name: str,
) -> tuple[list[Any], list[Any]]:
    closed_over = num_consts + num_rule_consts
    check_closed_over(f"the custom_jvp function {name}", tangents[:closed_over])
    tangents = tangents[closed_over:]
    args = call_jaxpr.in_avals[num_consts:]
    nonzero = nonzero_mask(tangents)
    if not symbolic_zeros:
        nonzero = tuple(is_differentiable(a) for a in args)
    program, nonzero_out = jvp_jaxpr_fun(nonzero)
    given = instantiate_marked(nonzero, tangents)
    results = apply_jaxpr(program, [*primals[num_consts:], *given])
    outs, dots = parts(results, len(call_jaxpr.outvars))
    return outs, expand_zeros(nonzero_out, dots, call_jaxpr.out_avals)


@custom_jvp_call_p.dependencies
def _(
    *operands: Operand, call_jaxpr: Jaxpr, num_consts: int, num_rule_consts: int, **params: Any
) -> list[Operand]:
    return propagate(call_jaxpr, call_args(operands, num_consts, num_rule_consts))


@custom_jvp_call_p.transpose
def _(
    cts: Sequence[Any],
    *operands: Any,
    call_jaxpr: Jaxpr,
    num_consts: int,
    num_rule_consts: int,
    **params: Any,
) -> list[Any]:
    args = call_args(operands, num_consts, num_rule_consts)
    found = transpose_call(call_jaxpr, cts, args)
    return [*found[:num_consts], *[None] * num_rule_consts, *found[num_consts:]]


@custom_jvp_call_p.batch
def _(
    args: Sequence[Any],
    batched: Sequence[bool],
    axis: BatchAxis,
    *,
    call_jaxpr: Jaxpr,
    jvp_jaxpr_fun: JvpProgram,
    num_consts: int,
    num_rule_consts: int,
    **params: Any,
) -> tuple[list[Any], Mask]:
    count = len(call_jaxpr.outvars)
    const_b, rule_b, args_b = map(tuple, parts(batched, num_consts, num_rule_consts))
    call, _ = get_rewrites().batch(call_jaxpr, axis, (*const_b, *args_b), every(count))
    memo: dict[Mask, tuple[Jaxpr, Mask]] = {}

    def batched_jvp(nonzero: Mask) -> tuple[Jaxpr, Mask]:
        if nonzero not in memo:
            program, nonzero_out = jvp_jaxpr_fun(nonzero)
            dots_b = tuple(split(nonzero, args_b)[1])
            mask = (*rule_b, *args_b, *dots_b)
            out = every(len(program.outvars))
            memo[nonzero] = get_rewrites().batch(program, axis, mask, out)[0], nonzero_out
        return memo[nonzero]

    outs = custom_jvp_call_p.bind(
        *args,
        call_jaxpr=call,
        jvp_jaxpr_fun=batched_jvp,
        num_consts=num_consts,
        num_rule_consts=num_rule_consts,
        **params,
    )
    return outs, every(count)


class custom_jvp:  # noqa: N801 - JAX's name; used as a decorator
    """Give a function a rule for forward mode (from which reverse mode follows).

    Parameters
    ----------
    fun : callable
        The function.
    nondiff_argnums : sequence of int
        Positional arguments that are not differentiated (functions, options); the rule gets
        them first.

    Notes
    -----
    Called where nothing is traced, it is ``fun`` itself that runs: what ``fun`` returns of its
    arguments is the caller's own array, not a copy.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> @fnad.custom_jvp
    ... def log1pexp(x):
    ...     return np.log1p(np.exp(x))
    >>> @log1pexp.defjvp
    ... def _(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return log1pexp(x), t / (1 + np.exp(-x))
    >>> fnad.grad(log1pexp)(0.0)
    np.float64(0.5)
    """

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        update_wrapper(self, fun)
        self.fun = fun
        self.nondiff_argnums = tuple(nondiff_argnums)
        self.jvp: Callable[..., Any] | None = None
        self.symbolic_zeros = False

    def defjvp(self, jvp: Callable[..., Any], symbolic_zeros: bool = False) -> Callable[..., Any]:
        """Set the rule ``jvp(*nondiff, primals, tangents) -> (out, out_tangent)``.

        With ``symbolic_zeros`` tangents that are zero come as `SymbolicZero`.
        """
        if not callable(jvp):
            raise TypeError(f"defjvp of {function_name(self.fun)} takes a function, got {jvp!r}")
        self.jvp = jvp
        self.symbolic_zeros = symbolic_zeros
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Set one rule an argument: ``jvp(tangent, out, *primals)``; None means no influence."""
        if self.nondiff_argnums:
            raise TypeError("defjvps cannot be used with nondiff_argnums; use defjvp")

        def jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
            out = self(*primals)
            terms = [rule(t, out, *primals) for rule, t in zip(jvps, tangents, strict=True) if rule]
            if not terms:
                return out, tree.map(lambda o: o * 0, out)
            total = terms[0]
            for term in terms[1:]:
                total = tree.map(lambda a, b: a + b, total, term)
            return out, total

        jvp.__name__ = f"the rules given to {function_name(self.fun)}.defjvps"
        self.defjvp(jvp)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else BoundCustom(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.jvp is None:
            raise AttributeError(
                f"no rule is defined for the custom_jvp function {function_name(self.fun)}: give"
                " it one with defjvp"
            )
        args = positional(self.fun, args, kwargs)
        if current_trace() is None:
            return self.fun(*args)
        name = function_name(self.fun)
        fun, dynamic = fix_arguments(self.fun, self.nondiff_argnums, args)
        leaves, in_tree = tree.flatten((dynamic, {}))
        avals = [aval_of(leaf) for leaf in leaves]
        call_jaxpr, consts, flat = trace_function(fun, in_tree, avals, name, leaves)
        rule = self._rule(args, avals, in_tree, flat.out_tree, call_jaxpr.out_avals)
        rule_consts: list[Any] = []
        if not rule_state.being_traced:
            rule_consts = rule.prepare(tuple(is_differentiable(a) for a in avals), leaves)
        outs = custom_jvp_call_p.bind(
            *consts,
            *rule_consts,
            *leaves,
            call_jaxpr=call_jaxpr,
            jvp_jaxpr_fun=rule,
            num_consts=len(consts),
            num_rule_consts=len(rule_consts),
            symbolic_zeros=self.symbolic_zeros,
            name=name,
        )
        return tree.unflatten(flat.out_tree, outs)

    def _rule(
        self,
        args: Sequence[Any],
        avals: Sequence[ShapedArray],
        in_tree: Any,
        out_tree: Any,
        out_avals: Sequence[ShapedArray],
    ) -> TracedRule:
        jvp, symbolic = self.jvp, self.symbolic_zeros
        assert jvp is not None
        fixed = [args[i] for i in normalised(self.nondiff_argnums, len(args))]
        place = place_of(jvp)
        name = function_name(self.fun)

        def trace(nonzero: Mask, values: Sequence[Any] | None) -> tuple[Jaxpr, list[Any], Mask]:
            nonzero_out: list[bool] = []

            def run(*flat: Any) -> list[Any]:
                given = iter(flat[len(avals) :])
                tangents = [
                    next(given) if nz else zero_tangent(a, symbolic)
                    for a, nz in zip(avals, nonzero, strict=True)
                ]
                primals, _ = tree.unflatten(in_tree, flat[: len(avals)])
                dots, _ = tree.unflatten(in_tree, tangents)
                result = jvp(*fixed, primals, dots)
                outs, out_dots = _check_jvp_result(place, name, result, out_tree, out_avals)
                nonzero_out.extend(nonzero_mask(out_dots))
                return [*outs, *split(nonzero_out, out_dots)[1]]

            dot_avals = [a.strong() for a in split(nonzero, avals)[1]]
            kind = f"the jvp rule of {name}"
            jaxpr, consts = trace_rule(run, avals, dot_avals, kind, values)
            return jaxpr, consts, tuple(nonzero_out)

        return TracedRule(place, trace)


def _check_jvp_result(
    place: str, name: str, result: Any, out_tree: Any, out_avals: Sequence[ShapedArray]
) -> tuple[list[Any], list[Any]]:
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise TypeError(
            f"the jvp rule {place} of {name} must return a pair (out, out_tangent), got"
            f" {type(result).__name__}"
        )
    checked = []
    for what, value in zip(("primal output", "tangent output"), result):
        leaves, structure = tree.flatten(value)
        if structure != out_tree:
            raise TypeError(
                f"the jvp rule {place} returned a {what} of structure {structure}, but {name}"
                f" returns {out_tree}"
            )
        checked.append(leaves)

    def complain(what: str, want: ShapedArray) -> Callable[[ShapedArray], Exception]:
        return lambda got: TypeError(
            f"the jvp rule {place} returned a {what} of type {got}, but {name} returns {want};"
            " shapes and dtypes must be equal"
        )

    outs = [fit(o, a, complain("primal output", a)) for o, a in zip(checked[0], out_avals)]
    dots = [
        Zero(a.strong())
        if not is_differentiable(a) or isinstance(t, Zero)
        else fit(t, a.strong(), complain("tangent output", a))
        for t, a in zip(checked[1], out_avals)
    ]
    return outs, dots
