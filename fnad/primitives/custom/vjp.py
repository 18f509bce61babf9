"""``custom_vjp``: a rule for reverse mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from itertools import pairwise
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.flat_function import function_name
from fnad.core.interpret import eval_jaxpr
from fnad.core.ir import Jaxpr
from fnad.core.primitive import Linear, Primitive
from fnad.core.rewrites import BatchAxis, Mask, get_rewrites
from fnad.core.tracer import apply_jaxpr, current_trace, rewrite
from fnad.core.types import ShapedArray, aval_of, is_differentiable
from fnad.primitives.custom.rules import (
    BoundCustom,
    call_args,
    check_closed_over,
    positional,
    rule_state,
)
from fnad.primitives.custom.strong_rules import apply_in_lanes
from fnad.primitives.custom.vjp_rules import BackwardProgram, ForwardProgram, VjpRules
from fnad.primitives.dependencies import (
    Operand,
    Pattern,
    independent_inputs,
    propagate,
    through,
    union,
)
from fnad.primitives.reductions import reduce_sum
from fnad.primitives.strong_zeros import StrongZeros
from fnad.primitives.subprograms import (
    check_operands,
    every,
    expand_zeros,
    fix_arguments,
    instantiate_marked,
    merge,
    nonzero_mask,
    parts,
    split,
    trace_function,
    transpose_call,
)

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


custom_vjp_call_p.lowering_params = ("call_jaxpr", "num_consts")


@custom_vjp_call_p.lower_as
def _(*args: Any, call_jaxpr: Jaxpr, num_consts: tuple[int, int, int], **params: Any) -> list[Any]:
    return apply_jaxpr(call_jaxpr, _vjp_args(args, num_consts))


@custom_vjp_call_p.dependencies
def _(
    *operands: Operand, call_jaxpr: Jaxpr, num_consts: tuple[int, int, int], **params: Any
) -> list[Operand]:
    return propagate(call_jaxpr, _vjp_args(operands, num_consts))


@custom_vjp_call_p.transpose
def _(
    cts: Sequence[Any],
    *operands: Any,
    call_jaxpr: Jaxpr,
    num_consts: tuple[int, int, int],
    **params: Any,
) -> list[Any]:
    found = transpose_call(call_jaxpr, cts, _vjp_args(operands, num_consts))
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


@custom_lin_p.dependencies
def _(
    *operands: Operand,
    bwd_jaxpr_fun: BackwardProgram,
    num_residuals: int,
    out_avals: Sequence[ShapedArray],
    **params: Any,
) -> list[Operand]:
    """The transpose of what the backward rule's results say of its cotangents."""
    residuals, tangents = parts(operands, num_residuals)
    program, nonzero_in = bwd_jaxpr_fun(every(len(out_avals)))
    cts = propagate(program, [*residuals, *independent_inputs(out_avals)])
    found = merge(nonzero_in, [None] * nonzero_in.count(False), [ct.pattern for ct in cts])
    outs: list[Pattern | None] = [None] * len(out_avals)
    ends = np.cumsum([0, *(a.size for a in out_avals)])
    for tangent, pulled in zip(tangents, found, strict=True):
        if tangent.pattern is not None and pulled is not None:
            pushed = through(pulled.T.tocsr(), tangent.pattern)
            slices = [pushed[lo:hi] for lo, hi in pairwise(ends)]
            outs = [union(both) for both in zip(outs, slices, strict=True)]
    return [Operand(a, None, p) for a, p in zip(out_avals, outs, strict=True)]


@custom_lin_p.transpose
@custom_lin_p.strong_transpose
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
    given = instantiate_marked(nonzero, cts)
    run = apply_in_lanes if any(type(ct) is StrongZeros for ct in given) else apply_jaxpr
    results = iter(run(program, [*residuals, *given]))
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


class custom_vjp:  # noqa: N801 - JAX's name; used as a decorator
    """Give a function a rule for reverse mode.

    Parameters
    ----------
    fun : callable
        The function.
    nondiff_argnums : sequence of int
        Positional arguments that are not differentiated (functions, options); the forward rule
        gets them in their places, the backward rule first.

    Notes
    -----
    Called where nothing is traced, it is ``fun`` itself that runs: what ``fun`` returns of its
    arguments is the caller's own array, not a copy.

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
        rules = VjpRules(
            name,
            (self.fwd, self.bwd),
            self.symbolic_zeros,
            self.nondiff_argnums,
            args,
            (in_tree, avals),
            (flat.out_tree, call_jaxpr.out_avals),
        )
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
