"""Rematerialisation: compute intermediate values again in the backward pass to save memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from types import SimpleNamespace
from typing import Any

from fnad.core import tree
from fnad.core.flat_function import function_name
from fnad.core.interpret import eval_jaxpr
from fnad.core.ir import (
    Atom,
    Equation,
    Jaxpr,
    Var,
    avals_of,
    does_something,
    memoize,
    results_of_effects,
    without_effects,
)
from fnad.core.primitive import Primitive
from fnad.core.rewrites import BatchAxis, Mask, get_rewrites
from fnad.core.tracer import apply_jaxpr, current_trace
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.calls import jit_p, optimization_barrier_p
from fnad.primitives.dependencies import moves
from fnad.primitives.subprograms import (
    call_rules,
    every,
    fix_arguments,
    inline_equations,
    none,
    parts,
    split,
    trace_function,
)

Policy = Callable[..., bool]

# -- names and policies -------------------------------------------------------------------

name_p = Primitive("name", "The operand itself, under a name that checkpoint policies can see.")


@name_p.type_rule
def _(x: ShapedArray, *, name: str) -> ShapedArray:
    return x


@name_p.evaluate
def _(x: Any, *, name: str) -> Any:
    return x


moves(name_p)


@name_p.jvp
def _(primals: Sequence[Any], tangents: Sequence[Any], *, name: str) -> tuple[Any, Any]:
    return name_p.bind(*primals, name=name), tangents[0]


@name_p.batch
def _(
    args: Sequence[Any], batched: Sequence[bool], axis: BatchAxis, *, name: str
) -> tuple[Any, bool]:
    return name_p.bind(*args, name=name), batched[0]


@name_p.lower_as
def _(x: Any, *, name: str) -> Any:
    return x


def checkpoint_name(x: Any, name: str) -> Any:
    """Name a value, so that checkpoint policies can say whether to keep it.

    Parameters
    ----------
    x : pytree of arrays
        The value.
    name : str
        Its name, for `checkpoint_policies.save_only_these_names` and its kin.

    Returns
    -------
    pytree of arrays
        The value itself.

    Examples
    --------
    >>> import numpy as np
    >>> checkpoint_name(np.float32(2), "activation")
    np.float32(2.0)
    """
    return tree.map(lambda leaf: name_p.bind(leaf, name=name), x)


def _everything_saveable(primitive: Primitive, *avals: ShapedArray, **params: Any) -> bool:
    """Keep every intermediate value: as if there were no checkpoint."""
    return True


def _nothing_saveable(primitive: Primitive, *avals: ShapedArray, **params: Any) -> bool:
    """Keep only the arguments (the default)."""
    return False


def _dots_saveable(primitive: Primitive, *avals: ShapedArray, **params: Any) -> bool:
    """Keep the results of matrix products and convolutions."""
    return primitive.name in ("dot_general", "conv_general_dilated")


def _dots_with_no_batch_dims_saveable(
    primitive: Primitive, *avals: ShapedArray, **params: Any
) -> bool:
    """Keep the results of matrix products that have no batch dimensions."""
    if primitive.name != "dot_general":
        return False
    _, (lhs_batch, rhs_batch) = params["dimension_numbers"]
    return not lhs_batch and not rhs_batch


def _save_only_these_names(*names: str) -> Policy:
    """Keep the values that `checkpoint_name` gave one of these names."""
    kept = frozenset(names)

    def policy(primitive: Primitive, *avals: ShapedArray, **params: Any) -> bool:
        return primitive is name_p and params["name"] in kept

    return policy


def _save_any_names_but_these(*names: str) -> Policy:
    """Keep the values that have a name other than these."""
    dropped = frozenset(names)

    def policy(primitive: Primitive, *avals: ShapedArray, **params: Any) -> bool:
        return primitive is name_p and params["name"] not in dropped

    return policy


def _save_anything_except_these_names(*names: str) -> Policy:
    """Keep all values but those that have one of these names."""
    dropped = frozenset(names)

    def policy(primitive: Primitive, *avals: ShapedArray, **params: Any) -> bool:
        return primitive is not name_p or params["name"] not in dropped

    return policy


def _save_from_both_policies(first: Policy, second: Policy) -> Policy:
    """Keep the values that one of two policies keeps."""

    def policy(primitive: Primitive, *avals: ShapedArray, **params: Any) -> bool:
        return first(primitive, *avals, **params) or second(primitive, *avals, **params)

    return policy


checkpoint_policies = SimpleNamespace(
    everything_saveable=_everything_saveable,
    nothing_saveable=_nothing_saveable,
    dots_saveable=_dots_saveable,
    checkpoint_dots=_dots_saveable,
    dots_with_no_batch_dims_saveable=_dots_with_no_batch_dims_saveable,
    checkpoint_dots_with_no_batch_dims=_dots_with_no_batch_dims_saveable,
    save_only_these_names=_save_only_these_names,
    save_any_names_but_these=_save_any_names_but_these,
    save_anything_except_these_names=_save_anything_except_these_names,
    save_from_both_policies=_save_from_both_policies,
)

# -- the primitive ------------------------------------------------------------------------

checkpoint_p = Primitive(
    "checkpoint",
    "Call the program ``jaxpr``; reverse mode keeps only what ``policy`` says of its values and"
    " computes the rest again. ``differentiated`` marks programs that compute again.",
    multiple_results=True,
)

call_rules(checkpoint_p)
checkpoint_p.lowering_params = ("jaxpr", "prevent_cse", "differentiated")


@checkpoint_p.evaluate
def _(*args: Any, jaxpr: Jaxpr, **params: Any) -> list[Any]:
    return eval_jaxpr(jaxpr, args)


@memoize
def _inline_jit(jaxpr: Jaxpr) -> Jaxpr:
    """Expand the jit equations of a program, so that a policy sees what is in them."""
    if not any(eqn.primitive is jit_p for eqn in jaxpr.eqns):
        return jaxpr
    replaced: dict[Atom, Atom] = {}

    def read(atoms: Sequence[Atom]) -> tuple[Atom, ...]:
        return tuple(replaced.get(a, a) for a in atoms)

    eqns: list[Equation] = []
    for eqn in jaxpr.eqns:
        eqn = eqn.replace(invars=read(eqn.invars))
        if eqn.primitive is not jit_p:
            eqns.append(eqn)
            continue
        inner, outs = inline_equations(_inline_jit(eqn.params["jaxpr"]), eqn.invars)
        eqns += inner
        replaced.update(zip(eqn.outvars, outs, strict=True))
    return Jaxpr(jaxpr.invars, tuple(eqns), read(jaxpr.outvars))


@memoize
def _split_checkpoint(
    jaxpr: Jaxpr, unknown: Mask, policy: Policy
) -> tuple[Jaxpr, Jaxpr, Mask, Mask, Mask]:
    """Split a checkpointed program; memoised part of its partial evaluation rule.

    Returns
    -------
    forward : Jaxpr
        Maps the known inputs to (the known outputs, the values that are kept).
    recompute : Jaxpr
        Maps (the values that are kept, known inputs, unknown inputs) to the unknown outputs.
    unknown_out : tuple of bool
        One entry an output.
    used_known, used_unknown : tuple of bool
        The known and unknown inputs that ``recompute`` takes.
    """
    known, staged, unknown_out, num_res = get_rewrites().partial_eval(
        jaxpr, unknown, none(len(jaxpr.outvars))
    )
    num_known_outs = len(known.outvars) - num_res
    kept: dict[Var, None] = {}
    again: list[Equation] = []
    for eqn in known.eqns:
        if results_of_effects(eqn) or policy(eqn.primitive, *avals_of(eqn.invars), **eqn.params):
            kept.update(dict.fromkeys(eqn.outvars))
        else:
            again.append(eqn)
    unknown_in = staged.invars[num_res:]
    tail, outs = inline_equations(staged, (*known.outvars[num_known_outs:], *unknown_in))
    silent = without_effects(Jaxpr(known.invars, tuple(again), ())).eqns
    whole = Jaxpr((*kept, *known.invars, *unknown_in), (*silent, *tail), tuple(outs))
    recompute, used = get_rewrites().dce(whole, every(len(outs)))
    used_kept, used_known, used_unknown = (
        tuple(m) for m in parts(used, len(kept), len(known.invars))
    )
    saved = split(used_kept, kept)[1]
    forward = known.replace(outvars=(*known.outvars[:num_known_outs], *saved))
    return forward, recompute, unknown_out, used_known, used_unknown


@checkpoint_p.partial_eval
def _(unknown: Sequence[bool], eqn: Equation) -> tuple[list[Equation], list[Equation], list[bool]]:
    jaxpr = _inline_jit(eqn.params["jaxpr"])
    policy = eqn.params["policy"] or _nothing_saveable
    forward, recompute, unknown_out, used_known, used_unknown = _split_checkpoint(
        jaxpr, tuple(unknown), policy
    )
    known_in, unknown_in = split(unknown, eqn.invars)
    known_outs, unknown_outs = split(unknown_out, eqn.outvars)
    saved = [Var(v.aval) for v in forward.outvars[len(known_outs) :]]
    known_eqns = []
    if forward.outvars or does_something(forward):
        known_eqns.append(
            eqn.replace(
                invars=tuple(known_in),
                outvars=(*known_outs, *saved),
                params={**eqn.params, "jaxpr": forward},
            )
        )
    staged_eqn = eqn.replace(
        invars=(*saved, *split(used_known, known_in)[1], *split(used_unknown, unknown_in)[1]),
        outvars=tuple(unknown_outs),
        params={**eqn.params, "jaxpr": recompute, "differentiated": True},
    )
    return known_eqns, [staged_eqn], list(unknown_out)


@checkpoint_p.lower_as
def _(
    *args: Any, jaxpr: Jaxpr, prevent_cse: bool, differentiated: bool, policy: Policy | None
) -> list[Any]:
    # Without the barrier the compiler would find the values of the forward pass again, and
    # keep them: the recomputation would be merged away as a common subexpression.
    if differentiated and prevent_cse:
        args = tuple(optimization_barrier_p.bind(*args))
    return apply_jaxpr(jaxpr, args)


def checkpoint(
    fun: Callable[..., Any] | None = None,
    *,
    prevent_cse: bool = True,
    policy: Policy | None = None,
    static_argnums: int | Sequence[int] = (),
) -> Callable[..., Any]:
    """Make a function whose intermediate values are computed again in the backward pass.

    Parameters
    ----------
    fun : callable
        Function of arrays (or pytrees of them).
    prevent_cse : bool
        Whether to keep the compiler from merging the recomputation with the forward pass.
        It may be False within `scan`, where the two stand in different loops.
    policy : callable, optional
        ``policy(primitive, *avals, **params) -> bool`` says which values to keep; one of
        `checkpoint_policies`. By default only the arguments are kept.
    static_argnums : int or sequence of int
        Positional arguments that are no arrays.

    Returns
    -------
    callable
        Computes what ``fun`` does.

    Notes
    -----
    Called where nothing is traced, it is ``fun`` itself that runs: what ``fun`` returns of its
    arguments is the caller's own array, not a copy.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.grad(fnad.checkpoint(lambda x: np.sin(np.sin(x))))(0.0)
    np.float64(1.0)
    """
    if fun is None:
        return lambda f: checkpoint(
            f, prevent_cse=prevent_cse, policy=policy, static_argnums=static_argnums
        )
    if not (policy is None or callable(policy)):
        raise TypeError(
            f"checkpoint of {function_name(fun)}: policy must be a function, one of those of"
            f" fnad.checkpoint_policies, got {policy!r}"
        )
    function = fun
    static = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)

    @wraps(function)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        if current_trace() is None:
            return function(*args, **kwargs)
        dynamic_fun, dynamic = fix_arguments(function, static, args)
        leaves, in_tree = tree.flatten((dynamic, kwargs))
        avals = [aval_of(leaf) for leaf in leaves]
        kind = f"checkpoint of {function_name(function)}"
        jaxpr, consts, flat = trace_function(dynamic_fun, in_tree, avals, kind, leaves)
        outs = checkpoint_p.bind(
            *consts,
            *leaves,
            jaxpr=jaxpr,
            policy=policy,
            prevent_cse=prevent_cse,
            differentiated=False,
        )
        return tree.unflatten(flat.out_tree, outs)

    return checkpointed
