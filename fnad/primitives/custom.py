"""Derivative rules by the user: ``custom_jvp`` and ``custom_vjp``.

A call traces the function, and its rule, to programs; what they close over becomes operands.
While a rule itself is being traced, the rules of custom functions called in it (often the
same function again) wait until they are needed, for otherwise tracing would never end.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import update_wrapper
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.errors import RuleError
from fnad.core.flat_function import function_name
from fnad.core.interpret import eval_jaxpr
from fnad.core.ir import Jaxpr
from fnad.core.primitive import Linear, Primitive, Zero, instantiate
from fnad.core.rewrites import BatchAxis, Mask, get_rewrites
from fnad.core.tracer import Unknown, apply_jaxpr, current_trace, rewrite, trace_to_jaxpr
from fnad.core.types import ShapedArray, aval_of, float0, is_differentiable
from fnad.primitives.reductions import reduce_sum
from fnad.primitives.subprograms import (
    cast,
    check_operands,
    embed_inputs,
    every,
    expand_zeros,
    fix_arguments,
    instantiate_marked,
    merge,
    none,
    nonzero_mask,
    parts,
    same_type,
    split,
    trace_function,
    weakly_fits,
)

SymbolicZero = Zero


class _Rules(threading.local):
    def __init__(self) -> None:
        self.being_traced = False


_rules = _Rules()


@contextmanager
def _tracing_rule() -> Iterator[None]:
    saved, _rules.being_traced = _rules.being_traced, True
    try:
        yield
    finally:
        _rules.being_traced = saved


def _place_of(function: Callable[..., Any]) -> str:
    """A function's name and line, for messages about what it returned."""
    code = getattr(function, "__code__", None)
    where = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
    return f"{function_name(function)}{where}"


def _positional(function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Resolve keyword arguments and defaults to positions by the function's signature."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        if kwargs:
            raise
        return tuple(args)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    if bound.kwargs:
        raise TypeError(
            f"{function_name(function)} has a custom derivative rule, which gets all arguments by"
            f" position; it cannot have keyword-only arguments ({', '.join(bound.kwargs)})"
        )
    return bound.args


def _fit(value: Any, aval: ShapedArray, complain: Callable[[ShapedArray], Exception]) -> Any:
    """Check a rule's result; a Python scalar takes the dtype that it should have."""
    got = aval_of(value)
    if same_type(got, aval):
        return value
    if weakly_fits(got, aval):
        return cast(value, aval.strong())
    raise complain(got)


class _TracedRule:
    """A rule as programs, one for each mask of arguments that have tangents.

    ``trace(key, values)`` returns a Jaxpr, the values it closed over, and something more to
    remember; ``values`` are what is known of the arguments, for Python control flow.
    ``consts`` are the values closed over that became operands of the call.
    """

    def __init__(self, name: str, trace: Callable[..., tuple[Jaxpr, list[Any], Any]]) -> None:
        self.name = name
        self.trace = trace
        self.consts: list[Any] = []
        self.const_avals: list[ShapedArray] = []
        self.programs: dict[Any, tuple[Jaxpr, Any]] = {}

    def prepare(self, key: Any, values: Sequence[Any] | None) -> list[Any]:
        """Trace now, where what the rule closes over is alive; returns that."""
        with _tracing_rule():
            jaxpr, consts, more = self.trace(key, values)
        self.programs[key] = jaxpr, more
        # Arrays are remembered to find them again; tracers only belong to the present trace.
        self.consts = [c if isinstance(c, np.ndarray) else None for c in consts]
        self.const_avals = [aval_of(c) for c in consts]
        return consts

    def __call__(self, key: Any) -> tuple[Jaxpr, Any]:
        if key not in self.programs:
            with _tracing_rule():
                jaxpr, consts, more = self.trace(key, None)
            self.programs[key] = self._close(jaxpr, consts), more
        return self.programs[key]

    def _close(self, jaxpr: Jaxpr, consts: Sequence[Any]) -> Jaxpr:
        positions = []
        for const in consts:
            at = next((i for i, known in enumerate(self.consts) if known is const), None)
            if at is None:
                raise RuleError(
                    f"{self.name} closes over an array of type {aval_of(const)}, which is not"
                    " possible where a custom rule is differentiated again (or has"
                    " symbolic_zeros): make the array an argument of the function"
                )
            positions.append(at)
        num_consts = len(self.const_avals)
        args = jaxpr.in_avals[len(consts) :]
        positions += range(num_consts, num_consts + len(args))
        return embed_inputs(jaxpr, (*self.const_avals, *args), tuple(positions))


def _check_closed_over(what: str, tangents: Sequence[Any]) -> None:
    for tangent in tangents:
        if not isinstance(tangent, Zero):
            raise TypeError(
                f"{what} closes over a value ({aval_of(tangent)}) that is being differentiated,"
                " but its custom rule only says how to differentiate with respect to its"
                " arguments. Make that value an argument of the function, and let the rule"
                " handle it."
            )


# -- custom_jvp -----------------------------------------------------------------------------

JvpProgram = Callable[[Mask], tuple[Jaxpr, Mask]]

custom_jvp_call_p = Primitive(
    "custom_jvp_call",
    "Call ``call_jaxpr`` on the constants (``num_consts`` of the program and ``num_rule_consts``"
    " of the rule) and arguments; ``jvp_jaxpr_fun(nonzero)`` gives the program of its jvp.",
    multiple_results=True,
)


def _call_args(args: Sequence[Any], num_consts: int, num_rule_consts: int) -> list[Any]:
    consts, _, rest = parts(args, num_consts, num_rule_consts)
    return [*consts, *rest]


@custom_jvp_call_p.type_rule
def _(
    *avals: ShapedArray, call_jaxpr: Jaxpr, num_consts: int, num_rule_consts: int, **params: Any
) -> list[ShapedArray]:
    check_operands(
        "custom_jvp", _call_args(avals, num_consts, num_rule_consts), call_jaxpr.in_avals
    )
    return call_jaxpr.out_avals


@custom_jvp_call_p.evaluate
def _(
    *args: Any, call_jaxpr: Jaxpr, num_consts: int, num_rule_consts: int, **params: Any
) -> list[Any]:
    return eval_jaxpr(call_jaxpr, _call_args(args, num_consts, num_rule_consts))


@custom_jvp_call_p.lower_as
def _(
    *args: Any, call_jaxpr: Jaxpr, num_consts: int, num_rule_consts: int, **params: Any
) -> list[Any]:
    return apply_jaxpr(call_jaxpr, _call_args(args, num_consts, num_rule_consts))


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
    _check_closed_over(f"the custom_jvp function {name}", tangents[:closed_over])
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


@custom_jvp_call_p.transpose
def _(
    cts: Sequence[Any],
    *operands: Any,
    call_jaxpr: Jaxpr,
    num_consts: int,
    num_rule_consts: int,
    **params: Any,
) -> list[Any]:
    args = _call_args(operands, num_consts, num_rule_consts)
    found = _transpose_inline(call_jaxpr, cts, args)
    return [*found[:num_consts], *[None] * num_rule_consts, *found[num_consts:]]


def _transpose_inline(jaxpr: Jaxpr, cts: Sequence[Any], operands: Sequence[Any]) -> list[Any]:
    """Transpose the plain program of a call that is linear in some operands."""
    linear = tuple(isinstance(x, Linear) for x in operands)
    others, unknowns = split(linear, operands)
    nonzero = nonzero_mask(cts)
    program, nonzero_in = get_rewrites().transpose(jaxpr, linear, nonzero, none(len(unknowns)))
    results = iter(apply_jaxpr(program, [*others, *split(nonzero, cts)[1]]))
    found = [next(results) if nz else None for nz in nonzero_in]
    return merge(linear, [None] * len(others), found)


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
        return self if instance is None else _Method(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.jvp is None:
            raise AttributeError(
                f"no rule is defined for the custom_jvp function {function_name(self.fun)}: give"
                " it one with defjvp"
            )
        args = _positional(self.fun, args, kwargs)
        if current_trace() is None:
            return self.fun(*args)
        name = function_name(self.fun)
        fun, dynamic = fix_arguments(self.fun, self.nondiff_argnums, args)
        leaves, in_tree = tree.flatten((dynamic, {}))
        avals = [aval_of(leaf) for leaf in leaves]
        call_jaxpr, consts, flat = trace_function(fun, in_tree, avals, name, leaves)
        rule = self._rule(args, avals, in_tree, flat.out_tree, call_jaxpr.out_avals)
        rule_consts: list[Any] = []
        if not _rules.being_traced:
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
    ) -> _TracedRule:
        jvp, symbolic = self.jvp, self.symbolic_zeros
        assert jvp is not None
        fixed = [args[i] for i in _normalised(self.nondiff_argnums, len(args))]
        place = _place_of(jvp)
        name = function_name(self.fun)

        def trace(nonzero: Mask, values: Sequence[Any] | None) -> tuple[Jaxpr, list[Any], Mask]:
            nonzero_out: list[bool] = []

            def run(*flat: Any) -> list[Any]:
                given = iter(flat[len(avals) :])
                tangents = [
                    next(given) if nz else _zero_tangent(a, symbolic)
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
            jaxpr, consts = _trace_rule(run, avals, dot_avals, kind, values)
            return jaxpr, consts, tuple(nonzero_out)

        return _TracedRule(place, trace)


class _Method:
    """A custom function bound to an instance: the instance is its first argument."""

    def __init__(self, custom: Callable[..., Any], instance: Any) -> None:
        update_wrapper(self, custom)
        self.custom = custom
        self.instance = instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.custom(self.instance, *args, **kwargs)


def _normalised(positions: Sequence[int], count: int) -> list[int]:
    return sorted({i % count for i in positions if -count <= i < count})


def _zero_tangent(aval: ShapedArray, symbolic: bool) -> Any:
    if symbolic:
        return SymbolicZero(aval.strong())
    return np.zeros(aval.shape, float0)


def _trace_rule(
    run: Callable[..., Sequence[Any]],
    primals: Sequence[ShapedArray],
    others: Sequence[ShapedArray],
    kind: str,
    values: Sequence[Any] | None,
) -> tuple[Jaxpr, list[Any]]:
    """Trace a rule; Python control flow may ask for the values of the primals, if known."""
    unknown = Unknown(kind)
    known = [unknown] * len(primals) if values is None else values
    return trace_to_jaxpr(run, [*primals, *others], kind, [*known, *[unknown] * len(others)])


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

    outs = [_fit(o, a, complain("primal output", a)) for o, a in zip(checked[0], out_avals)]
    dots = [
        Zero(a.strong())
        if not is_differentiable(a) or isinstance(t, Zero)
        else _fit(t, a.strong(), complain("tangent output", a))
        for t, a in zip(checked[1], out_avals)
    ]
    return outs, dots


# -- custom_vjp -----------------------------------------------------------------------------

ForwardProgram = Callable[[Mask], tuple[Jaxpr, Any]]
BackwardProgram = Callable[[Mask], tuple[Jaxpr, Mask]]

custom_vjp_call_p = Primitive(
    "custom_vjp_call",
    "Call ``call_jaxpr``. Operands: constants of the program, of the forward rule, and of the"
    " backward rule (``num_consts``), then the arguments.",
    multiple_results=True,
)


@custom_vjp_call_p.type_rule
def _(
    *avals: ShapedArray, call_jaxpr: Jaxpr, num_consts: tuple[int, int, int], **params: Any
) -> list[ShapedArray]:
    check_operands("custom_vjp", _vjp_args(avals, num_consts), call_jaxpr.in_avals)
    return call_jaxpr.out_avals


def _vjp_args(args: Sequence[Any], num_consts: tuple[int, int, int]) -> list[Any]:
    return _call_args(args, num_consts[0], num_consts[1] + num_consts[2])


@custom_vjp_call_p.evaluate
def _(*args: Any, call_jaxpr: Jaxpr, num_consts: tuple[int, int, int], **params: Any) -> list[Any]:
    return eval_jaxpr(call_jaxpr, _vjp_args(args, num_consts))


@custom_vjp_call_p.lower_as
def _(*args: Any, call_jaxpr: Jaxpr, num_consts: tuple[int, int, int], **params: Any) -> list[Any]:
    return apply_jaxpr(call_jaxpr, _vjp_args(args, num_consts))


@custom_vjp_call_p.transpose
def _(
    cts: Sequence[Any],
    *operands: Any,
    call_jaxpr: Jaxpr,
    num_consts: tuple[int, int, int],
    **params: Any,
) -> list[Any]:
    found = _transpose_inline(call_jaxpr, cts, _vjp_args(operands, num_consts))
    rule_consts = num_consts[1] + num_consts[2]
    return [*found[: num_consts[0]], *[None] * rule_consts, *found[num_consts[0] :]]


@custom_vjp_call_p.jvp
def _(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    call_jaxpr: Jaxpr,
    fwd_jaxpr_fun: ForwardProgram,
    bwd: Callable[[Mask, Any], BackwardProgram],
    num_consts: tuple[int, int, int],
    symbolic_zeros: bool,
    name: str,
) -> tuple[list[Any], list[Any]]:
    _check_closed_over(f"the custom_vjp function {name}", tangents[: sum(num_consts)])
    tangents = tangents[sum(num_consts) :]
    perturbed = nonzero_mask(tangents)
    if not symbolic_zeros:
        perturbed = tuple(is_differentiable(a) for a in call_jaxpr.in_avals[num_consts[0] :])
    _, fwd_consts, bwd_consts, args = parts(primals, *num_consts)
    program, residual_type = fwd_jaxpr_fun(perturbed)
    results = apply_jaxpr(program, [*fwd_consts, *args])
    outs, residuals = parts(results, len(call_jaxpr.outvars))
    differentiable = tuple(is_differentiable(a) for a in call_jaxpr.out_avals)
    dots = custom_lin_p.bind(
        *bwd_consts,
        *residuals,
        *instantiate_marked(perturbed, tangents),
        bwd_jaxpr_fun=bwd(perturbed, residual_type),
        num_residuals=len(bwd_consts) + len(residuals),
        out_avals=tuple(a.strong() for a in split(differentiable, call_jaxpr.out_avals)[1]),
        symbolic_zeros=symbolic_zeros,
        name=name,
    )
    return outs, expand_zeros(differentiable, dots, call_jaxpr.out_avals)


@custom_vjp_call_p.batch
def _(
    args: Sequence[Any],
    batched: Sequence[bool],
    axis: BatchAxis,
    *,
    call_jaxpr: Jaxpr,
    fwd_jaxpr_fun: ForwardProgram,
    bwd: Callable[[Mask, Any], BackwardProgram],
    num_consts: tuple[int, int, int],
    **params: Any,
) -> tuple[list[Any], Mask]:
    count = len(call_jaxpr.outvars)
    const_b, fwd_b, bwd_b, args_b = map(tuple, parts(batched, *num_consts))
    batch = get_rewrites().batch
    call, _ = batch(call_jaxpr, axis, (*const_b, *args_b), every(count))
    memo: dict[Any, Any] = {}

    def batched_fwd(perturbed: Mask) -> tuple[Jaxpr, Any]:
        if perturbed not in memo:
            program, more = fwd_jaxpr_fun(perturbed)
            out = every(len(program.outvars))
            memo[perturbed] = batch(program, axis, (*fwd_b, *args_b), out)[0], more
        return memo[perturbed]

    def batched_bwd(perturbed: Mask, residual_type: Any) -> BackwardProgram:
        num_residuals = len(fwd_jaxpr_fun(perturbed)[0].outvars) - count
        mask = (*bwd_b, *every(num_residuals))
        lanes = tuple(split(perturbed, args_b)[1])
        return _batched_backward(bwd(perturbed, residual_type), axis, mask, lanes)

    outs = custom_vjp_call_p.bind(
        *args,
        call_jaxpr=call,
        fwd_jaxpr_fun=batched_fwd,
        bwd=batched_bwd,
        num_consts=num_consts,
        **params,
    )
    return outs, every(count)


def _batched_backward(
    backward: BackwardProgram, axis: BatchAxis, residuals: Mask, args: Mask
) -> BackwardProgram:
    """A backward program for a batch; cotangents of shared arguments are summed over it."""
    memo: dict[Mask, tuple[Jaxpr, Mask]] = {}

    def batched(nonzero_ct: Mask) -> tuple[Jaxpr, Mask]:
        if nonzero_ct in memo:
            return memo[nonzero_ct]
        program, nonzero_in = backward(nonzero_ct)
        wanted = split(nonzero_in, args)[1]
        mask = (*residuals, *every(sum(nonzero_ct)))
        inner, out_b = get_rewrites().batch(program, axis, mask, every(len(wanted)))

        def run(*values: Any) -> list[Any]:
            cts = apply_jaxpr(inner, values)
            return [ct if b else reduce_sum(ct, (0,)) for ct, b in zip(cts, wanted, strict=True)]

        memo[nonzero_ct] = rewrite(run, inner.in_avals, "vmap"), nonzero_in
        return memo[nonzero_ct]

    return batched


custom_lin_p = Primitive(
    "custom_lin",
    "The derivative of a custom_vjp function: maps (``num_residuals`` residuals, tangents) to"
    " tangents. Only its transpose is known.",
    multiple_results=True,
)


@custom_lin_p.type_rule
def _(*avals: ShapedArray, out_avals: Sequence[ShapedArray], **params: Any) -> list[ShapedArray]:
    return list(out_avals)


def _forward_mode_error(name: str) -> TypeError:
    return TypeError(
        f"forward-mode differentiation (jvp, jacfwd, linearize) does not go through {name},"
        " because it is a custom_vjp function: its rule only says how to pull cotangents back."
        " Use reverse mode (grad, vjp, jacrev), or define the rule with custom_jvp, from which"
        " both modes follow."
    )


@custom_lin_p.evaluate
def _(*args: Any, name: str, **params: Any) -> list[Any]:
    raise _forward_mode_error(name)


@custom_lin_p.lower_as
def _(*args: Any, name: str, **params: Any) -> list[Any]:
    raise _forward_mode_error(name)


@custom_lin_p.jvp
def _(
    primals: Sequence[Any], tangents: Sequence[Any], *, name: str, **params: Any
) -> tuple[list[Any], list[Any]]:
    raise _forward_mode_error(name)


@custom_lin_p.transpose
def _(
    cts: Sequence[Any],
    *operands: Any,
    bwd_jaxpr_fun: BackwardProgram,
    num_residuals: int,
    out_avals: Sequence[ShapedArray],
    symbolic_zeros: bool,
    name: str,
) -> list[Any]:
    residuals, tangents = parts(operands, num_residuals)
    nonzero = nonzero_mask(cts) if symbolic_zeros else every(len(cts))
    program, nonzero_in = bwd_jaxpr_fun(nonzero)
    results = iter(apply_jaxpr(program, [*residuals, *instantiate_marked(nonzero, cts)]))
    found = [next(results) if nz else None for nz in nonzero_in]
    wanted = [ct if isinstance(t, Linear) else None for ct, t in zip(found, tangents, strict=True)]
    return [*[None] * num_residuals, *wanted]


@custom_lin_p.batch
def _(
    args: Sequence[Any],
    batched: Sequence[bool],
    axis: BatchAxis,
    *,
    bwd_jaxpr_fun: BackwardProgram,
    num_residuals: int,
    out_avals: Sequence[ShapedArray],
    **params: Any,
) -> tuple[list[Any], Mask]:
    residuals_b, tangents_b = map(tuple, parts(batched, num_residuals))
    outs = custom_lin_p.bind(
        *args,
        bwd_jaxpr_fun=_batched_backward(bwd_jaxpr_fun, axis, residuals_b, tangents_b),
        num_residuals=num_residuals,
        out_avals=tuple(a.update(shape=(axis.size, *a.shape)) for a in out_avals),
        **params,
    )
    return outs, every(len(out_avals))


class CustomVJPPrimal:
    """An argument of a forward rule with symbolic zeros: its value, and if it is perturbed."""

    def __init__(self, value: Any, perturbed: bool) -> None:
        self.value = value
        self.perturbed = perturbed


class custom_vjp:  # noqa: N801 - JAX's name; used as a decorator
    """Give a function a rule for reverse mode.

    Parameters
    ----------
    fun : callable
        The function.
    nondiff_argnums : sequence of int
        Positional arguments that are not differentiated (functions, options); the forward rule
        gets them in their places, the backward rule first.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> @fnad.custom_vjp
    ... def clip_gradient(x):
    ...     return x
    >>> clip_gradient.defvjp(lambda x: (x, None), lambda _, ct: (np.clip(ct, -1.0, 1.0),))
    >>> fnad.grad(lambda x: 100.0 * clip_gradient(x))(2.0)
    np.float64(1.0)
    """

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        update_wrapper(self, fun)
        self.fun = fun
        self.nondiff_argnums = tuple(nondiff_argnums)
        self.fwd: Callable[..., Any] | None = None
        self.bwd: Callable[..., Any] | None = None
        self.symbolic_zeros = False

    def defvjp(
        self,
        fwd: Callable[..., Any],
        bwd: Callable[..., Any],
        symbolic_zeros: bool = False,
        optimize_remat: bool = False,
    ) -> None:
        """Set the rules ``fwd(*args) -> (out, residuals)`` and ``bwd(*nondiff, residuals, ct)``.

        ``bwd`` returns a tuple with one cotangent an argument, None where it is zero. With
        ``symbolic_zeros`` the leaves of ``fwd``'s arguments are `CustomVJPPrimal`, and
        cotangents that are zero come as `SymbolicZero`. ``optimize_remat`` has no effect: the
        forward program is optimized together with its surroundings in any case.
        """
        for rule in (fwd, bwd):
            if not callable(rule):
                raise TypeError(
                    f"defvjp of {function_name(self.fun)} takes two functions, got {rule!r}"
                )
        self.fwd, self.bwd, self.symbolic_zeros = fwd, bwd, symbolic_zeros

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else _Method(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.fwd is None or self.bwd is None:
            raise AttributeError(
                f"no rules are defined for the custom_vjp function {function_name(self.fun)}:"
                " give it some with defvjp"
            )
        args = _positional(self.fun, args, kwargs)
        if current_trace() is None:
            return self.fun(*args)
        name = function_name(self.fun)
        fun, dynamic = fix_arguments(self.fun, self.nondiff_argnums, args)
        leaves, in_tree = tree.flatten((dynamic, {}))
        avals = [aval_of(leaf) for leaf in leaves]
        call_jaxpr, consts, flat = trace_function(fun, in_tree, avals, name, leaves)
        rules = _VjpRules(self, args, avals, in_tree, flat.out_tree, call_jaxpr.out_avals)
        fwd_consts: list[Any] = []
        bwd_consts: list[Any] = []
        if not _rules.being_traced:
            fwd_consts, bwd_consts = rules.prepare(leaves)
        outs = custom_vjp_call_p.bind(
            *consts,
            *fwd_consts,
            *bwd_consts,
            *leaves,
            call_jaxpr=call_jaxpr,
            fwd_jaxpr_fun=rules.forward,
            bwd=rules.backward,
            num_consts=(len(consts), len(fwd_consts), len(bwd_consts)),
            symbolic_zeros=self.symbolic_zeros,
            name=name,
        )
        return tree.unflatten(flat.out_tree, outs)


class _VjpRules:
    """The forward and backward rules of one call, as programs."""

    def __init__(
        self,
        custom: custom_vjp,
        args: Sequence[Any],
        avals: Sequence[ShapedArray],
        in_tree: Any,
        out_tree: Any,
        out_avals: Sequence[ShapedArray],
    ) -> None:
        assert custom.fwd is not None and custom.bwd is not None
        self.name = function_name(custom.fun)
        self.fwd, self.bwd, self.symbolic = custom.fwd, custom.bwd, custom.symbolic_zeros
        positions = _normalised(custom.nondiff_argnums, len(args))
        self.fixed = {i: args[i] for i in positions}
        self.num_args = len(args)
        self.avals, self.in_tree = list(avals), in_tree
        self.out_tree, self.out_avals = out_tree, list(out_avals)
        self.forward = _TracedRule(_place_of(self.fwd), self._trace_forward)
        self._backward: dict[Any, _TracedRule] = {}

    def prepare(self, values: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Trace both rules now; returns what each closed over."""
        perturbed = tuple(is_differentiable(a) for a in self.avals)
        fwd_consts = self.forward.prepare(perturbed, values)
        residual_type = self.forward(perturbed)[1]
        nonzero = every(sum(is_differentiable(a) for a in self.out_avals))
        rule = self.backward(perturbed, residual_type)
        return fwd_consts, rule.prepare(nonzero, None)

    def backward(self, perturbed: Mask, residual_type: Any) -> _TracedRule:
        """The backward rule for arguments ``perturbed`` and residuals of a type."""
        key = perturbed, residual_type
        if key not in self._backward:

            def trace(nonzero: Mask, values: Sequence[Any] | None) -> tuple[Jaxpr, list[Any], Mask]:
                return self._trace_backward(perturbed, residual_type, nonzero)

            rule = _TracedRule(_place_of(self.bwd), trace)
            for first in self._backward.values():  # they share what they close over
                rule.consts, rule.const_avals = first.consts, first.const_avals
                break
            self._backward[key] = rule
        return self._backward[key]

    def _trace_forward(
        self, perturbed: Mask, values: Sequence[Any] | None
    ) -> tuple[Jaxpr, list[Any], Any]:
        residual_type: list[Any] = []
        place = _place_of(self.fwd)

        def run(*leaves: Any) -> list[Any]:
            given: Sequence[Any] = leaves
            if self.symbolic:
                given = [CustomVJPPrimal(x, p) for x, p in zip(leaves, perturbed, strict=True)]
            dynamic = iter(tree.unflatten(self.in_tree, given)[0])
            args = [
                self.fixed[i] if i in self.fixed else next(dynamic) for i in range(self.num_args)
            ]
            result = self.fwd(*args)
            if not isinstance(result, (tuple, list)) or len(result) != 2:
                raise TypeError(
                    f"the forward rule {place} of {self.name} must return a pair (out,"
                    f" residuals), got {type(result).__name__}"
                )
            outs, structure = tree.flatten(result[0])
            if structure != self.out_tree:
                raise TypeError(
                    f"the forward rule {place} returned an output of structure {structure}, but"
                    f" {self.name} returns {self.out_tree}"
                )
            outs = [_fit(o, a, self._wrong_output(a)) for o, a in zip(outs, self.out_avals)]
            residuals, residual_tree = tree.flatten(result[1])
            residual_type.append((residual_tree, tuple(aval_of(r) for r in residuals)))
            return [*outs, *residuals]

        kind = f"the forward rule of {self.name}"
        jaxpr, consts = _trace_rule(run, self.avals, [], kind, values)
        return jaxpr, consts, residual_type[0]

    def _wrong_output(self, want: ShapedArray) -> Callable[[ShapedArray], Exception]:
        return lambda got: TypeError(
            f"the forward rule {_place_of(self.fwd)} returned an output of type {got}, but"
            f" {self.name} returns {want}; shapes and dtypes must be equal"
        )

    def _trace_backward(
        self, perturbed: Mask, residual_type: Any, nonzero: Mask
    ) -> tuple[Jaxpr, list[Any], Mask]:
        residual_tree, residual_avals = residual_type
        differentiable = tuple(is_differentiable(a) for a in self.out_avals)
        ct_avals = [a.strong() for a in split(differentiable, self.out_avals)[1]]
        nonzero_in: list[bool] = []

        def run(*values: Any) -> list[Any]:
            residuals, given = parts(values, len(residual_avals))
            found = iter(given)
            floating = iter(
                next(found) if nz else SymbolicZero(a) for nz, a in zip(nonzero, ct_avals)
            )
            cts = [
                next(floating) if d else _zero_tangent(a, self.symbolic)
                for d, a in zip(differentiable, self.out_avals)
            ]
            result = self.bwd(
                *self.fixed.values(),
                tree.unflatten(residual_tree, residuals),
                tree.unflatten(self.out_tree, cts),
            )
            leaves = split(perturbed, self._argument_cotangents(result))[1]
            nonzero_in.extend(nonzero_mask(leaves))
            return split(nonzero_in, leaves)[1]

        given_avals = split(nonzero, ct_avals)[1]
        kind = f"the backward rule of {self.name}"
        jaxpr, consts = _trace_rule(run, residual_avals, given_avals, kind, None)
        return jaxpr, consts, tuple(nonzero_in)

    def _argument_cotangents(self, result: Any) -> list[Any]:
        """Check what the backward rule returned; one entry an argument leaf, `Zero` for None."""
        place = _place_of(self.bwd)
        whole = tree.unflatten(self.in_tree, list(range(len(self.avals))))[0]
        if isinstance(result, list):
            result = tuple(result)
        if not isinstance(result, tuple) or len(result) != len(whole):
            got = f"a tuple of length {len(result)}" if isinstance(result, tuple) else repr(result)
            raise TypeError(
                f"the backward rule {place} of {self.name} must return a tuple with one cotangent"
                f" an argument ({len(whole)}), got {got}"
            )
        cts: list[Any] = [Zero(a.strong()) for a in self.avals]

        def place_leaf(ct: Any, positions: Any) -> None:
            if ct is None or isinstance(ct, Zero):
                return
            index = tree.leaves(positions)
            if len(index) != 1 or not isinstance(positions, int):
                raise ValueError("expected a leaf")
            aval = self.avals[index[0]]
            if is_differentiable(aval):
                cts[index[0]] = _fit(ct, aval.strong(), self._wrong_cotangent(index[0]))

        try:
            tree.map(place_leaf, result, whole, is_leaf=lambda x: x is None)
        except ValueError as error:
            raise TypeError(
                f"the backward rule {place} of {self.name} must return cotangents of the structure"
                f" of the arguments, {tree.structure(whole)} (None for zero), got"
                f" {tree.structure(result)}"
            ) from error
        return cts

    def _wrong_cotangent(self, position: int) -> Callable[[ShapedArray], Exception]:
        whole = tree.unflatten(self.in_tree, list(range(len(self.avals))))[0]
        path = tree.keystr(tree.flatten_with_path(whole)[0][position][0])
        return lambda got: TypeError(
            f"the backward rule {_place_of(self.bwd)} of {self.name} returned a cotangent of type"
            f" {got} for the argument at {path}, which has type {self.avals[position]}; shapes"
            " and dtypes must be equal"
        )
