"""``custom_vjp``: a rule for reverse mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

from fnad.core import tree
from fnad.core.flat_function import function_name
from fnad.core.interpret import eval_jaxpr
from fnad.core.ir import Jaxpr
from fnad.core.primitive import Linear, Primitive, Zero
from fnad.core.rewrites import BatchAxis, Mask, get_rewrites
from fnad.core.tracer import apply_jaxpr, current_trace, rewrite
from fnad.core.types import ShapedArray, aval_of, is_differentiable
from fnad.primitives.custom.rules import (
    BoundCustom,
    SymbolicZero,
    TracedRule,
    call_args,
    check_closed_over,
    fit,
    normalised,
    place_of,
    positional,
    rule_state,
    trace_rule,
    transpose_inline,
    zero_tangent,
)
from fnad.primitives.reductions import reduce_sum
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
)

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
    return call_args(args, num_consts[0], num_consts[1] + num_consts[2])


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
    found = transpose_inline(call_jaxpr, cts, _vjp_args(operands, num_consts))
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
    check_closed_over(f"the custom_vjp function {name}", tangents[: sum(num_consts)])
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
        inner, _ = get_rewrites().batch(program, axis, mask, every(len(wanted)))

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
        return self if instance is None else BoundCustom(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.fwd is None or self.bwd is None:
            raise AttributeError(
                f"no rules are defined for the custom_vjp function {function_name(self.fun)}:"
                " give it some with defvjp"
            )
        args = positional(self.fun, args, kwargs)
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
        if not rule_state.being_traced:
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
        positions = normalised(custom.nondiff_argnums, len(args))
        self.fixed = {i: args[i] for i in positions}
        self.num_args = len(args)
        self.avals, self.in_tree = list(avals), in_tree
        self.out_tree, self.out_avals = out_tree, list(out_avals)
        self.forward = TracedRule(place_of(self.fwd), self._trace_forward)
        self._backward: dict[Any, TracedRule] = {}

    def prepare(self, values: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Trace both rules now; returns what each closed over."""
        perturbed = tuple(is_differentiable(a) for a in self.avals)
        fwd_consts = self.forward.prepare(perturbed, values)
        residual_type = self.forward(perturbed)[1]
        nonzero = every(sum(is_differentiable(a) for a in self.out_avals))
        rule = self.backward(perturbed, residual_type)
        return fwd_consts, rule.prepare(nonzero, None)

    def backward(self, perturbed: Mask, residual_type: Any) -> TracedRule:
        """The backward rule for arguments ``perturbed`` and residuals of a type."""
        key = perturbed, residual_type
        if key not in self._backward:

            def trace(nonzero: Mask, values: Sequence[Any] | None) -> tuple[Jaxpr, list[Any], Mask]:
                return self._trace_backward(perturbed, residual_type, nonzero)

            rule = TracedRule(place_of(self.bwd), trace)
            for first in self._backward.values():  # they share what they close over
                rule.consts, rule.const_avals = first.consts, first.const_avals
                break
            self._backward[key] = rule
        return self._backward[key]

    def _trace_forward(
        self, perturbed: Mask, values: Sequence[Any] | None
    ) -> tuple[Jaxpr, list[Any], Any]:
        residual_type: list[Any] = []
        place = place_of(self.fwd)

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
            outs = [fit(o, a, self._wrong_output(a)) for o, a in zip(outs, self.out_avals)]
            residuals, residual_tree = tree.flatten(result[1])
            residual_type.append((residual_tree, tuple(aval_of(r) for r in residuals)))
            return [*outs, *residuals]

        kind = f"the forward rule of {self.name}"
        jaxpr, consts = trace_rule(run, self.avals, [], kind, values)
        return jaxpr, consts, residual_type[0]

    def _wrong_output(self, want: ShapedArray) -> Callable[[ShapedArray], Exception]:
        return lambda got: TypeError(
            f"the forward rule {place_of(self.fwd)} returned an output of type {got}, but"
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
                next(floating) if d else zero_tangent(a, self.symbolic)
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
        jaxpr, consts = trace_rule(run, residual_avals, given_avals, kind, None)
        return jaxpr, consts, tuple(nonzero_in)

    def _argument_cotangents(self, result: Any) -> list[Any]:
        """Check what the backward rule returned; one entry an argument leaf, `Zero` for None."""
        place = place_of(self.bwd)
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
                cts[index[0]] = fit(ct, aval.strong(), self._wrong_cotangent(index[0]))

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
            f"the backward rule {place_of(self.bwd)} of {self.name} returned a cotangent of type"
            f" {got} for the argument at {path}, which has type {self.avals[position]}; shapes"
            " and dtypes must be equal"
        )
