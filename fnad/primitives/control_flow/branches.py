"""``cond`` and ``switch``: the functions for users of the primitive `cond_p`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.flat_function import function_name
from fnad.core.tracer import Tracer
from fnad.core.types import ShapedArray, aval_of, kind_of
from fnad.primitives.arithmetic import clamp
from fnad.primitives.control_flow.carry import cast_outputs, show_types
from fnad.primitives.control_flow.cond import cond_p
from fnad.primitives.logic import convert_element_type, ne
from fnad.primitives.subprograms import (
    describe_difference,
    embed_inputs,
    trace_function,
)

# The operand may be None.
_NONE_GIVEN: Any = object()


def _given(name: str, operands: tuple[Any, ...], operand: Any) -> tuple[Any, ...]:
    """The operands, given one by one or as JAX's keyword of a single one."""
    if operand is _NONE_GIVEN:
        return operands
    if operands:
        raise TypeError(
            f"{name}: operand= is the only operand, but there are {len(operands)} before it; give"
            " all of them by position"
        )
    return (operand,)


def _common_types(outs: Sequence[Sequence[ShapedArray]]) -> tuple[ShapedArray, ...]:
    """One type an output: weak results take the type of the others."""
    common = []
    for avals in zip(*outs, strict=True):
        strong = [a for a in avals if not a.weak_type]
        widest = max(avals, key=lambda a: "biufc".index(kind_of(a.dtype)))
        common.append(strong[0] if strong else widest)
    return tuple(common)


def run_branches(
    what: str, index: Any, branches: Sequence[Callable[..., Any]], operands: Any
) -> Any:
    leaves, in_tree = tree.flatten((tuple(operands), {}))
    avals = [aval_of(leaf) for leaf in leaves]
    traced = [trace_function(b, in_tree, avals, f"a branch of {what}") for b in branches]
    first = traced[0][2]
    if all(flat.out_tree == first.out_tree for _, _, flat in traced):
        common = _common_types([jaxpr.out_avals for jaxpr, _, _ in traced])
        traced = [(cast_outputs(j, common), consts, flat) for j, consts, flat in traced]
    for branch, (jaxpr, _, flat) in zip(branches, traced, strict=True):
        difference = describe_difference(
            flat.out_tree, jaxpr.out_avals, first.out_tree, traced[0][0].out_avals
        )
        if difference is not None:
            raise TypeError(
                f"{what}: all branches must return the same structure, shapes and dtypes, but for"
                f" {function_name(branch)} and {function_name(branches[0])} {difference}.\n"
                f"  {function_name(branches[0])}:"
                f" {show_types(first.out_tree, traced[0][0].out_avals)}\n"
                f"  {function_name(branch)}: {show_types(flat.out_tree, jaxpr.out_avals)}"
            )
    # What the branches close over becomes operands of all of them.
    consts: dict[int, Any] = {}
    for _, values, _ in traced:
        consts.update((id(v.variable if isinstance(v, Tracer) else v), v) for v in values)
    place = {key: i for i, key in enumerate(consts)}
    all_avals = (*(aval_of(v) for v in consts.values()), *avals)
    programs = []
    for jaxpr, values, _ in traced:
        at = [place[id(v.variable if isinstance(v, Tracer) else v)] for v in values]
        at += range(len(consts), len(all_avals))
        programs.append(embed_inputs(jaxpr, all_avals, tuple(at)))
    results = cond_p.bind(index, *consts.values(), *leaves, branches=tuple(programs))
    return tree.unflatten(first.out_tree, results)


def cond(
    pred: Any,
    true_fun: Callable[..., Any],
    false_fun: Callable[..., Any],
    *operands: Any,
    operand: Any = _NONE_GIVEN,
) -> Any:
    """Run one of two functions, chosen by a boolean scalar.

    It computes ``true_fun(*operands) if pred else false_fun(*operands)``; only the branch taken
    is computed. Under `vmap` with predicates that differ, a branch runs once for the whole batch
    if any lane takes it. The lanes that do not take it then compute on the operands of one that
    does, so that no loop of theirs is endless, and their results are dropped. Branches of a few
    operations an element are computed for all lanes, and chosen from.

    Parameters
    ----------
    pred : bool or scalar
        The choice; a number counts as true if it is not zero.
    true_fun, false_fun : callable
        Functions of the operands with results of equal structure, shapes and dtypes.
    *operands : pytrees of arrays
        Their arguments.
    operand : pytree of arrays, optional
        The only argument, by name.

    Returns
    -------
    pytree of arrays

    Raises
    ------
    TypeError
        If ``pred`` is no scalar, or the branches return different types.

    Examples
    --------
    >>> from fnad import lax
    >>> lax.cond(True, lambda x: x + 1.0, lambda x: x - 1.0, 2.0)
    np.float64(3.0)
    """
    operands = _given("cond", operands, operand)
    for branch in (true_fun, false_fun):
        if not callable(branch):
            raise TypeError(f"cond: true_fun and false_fun must be functions, got {branch!r}")
    aval = aval_of(pred)
    if aval.shape:
        raise TypeError(
            f"cond: the predicate must be a scalar, got {aval}; choose element by element with"
            " fnp.where(pred, x, y)"
        )
    if not isinstance(pred, Tracer):
        index: Any = np.int32(bool(pred))
    else:
        index = pred if aval.dtype == np.bool_ else ne(pred, aval.dtype.type(0))
        index = convert_element_type(index, np.int32)
    return run_branches("cond", index, (false_fun, true_fun), operands)


def switch(
    index: Any,
    branches: Sequence[Callable[..., Any]],
    *operands: Any,
    operand: Any = _NONE_GIVEN,
) -> Any:
    """Run one of several functions, chosen by an integer.

    Parameters
    ----------
    index : int or integer scalar
        Position of the branch; it is clamped to the range.
    branches : sequence of callables
        Functions of the operands with results of equal structure, shapes and dtypes.
    *operands : pytrees of arrays
        Their arguments.
    operand : pytree of arrays, optional
        The only argument, by name.

    Returns
    -------
    pytree of arrays

    Raises
    ------
    TypeError
        If ``index`` is no integer scalar, or the branches return different types.
    ValueError
        If there are no branches.

    Examples
    --------
    >>> from fnad import lax
    >>> lax.switch(7, [lambda x: x, lambda x: 10 * x], 2.0)
    np.float64(20.0)
    """
    operands = _given("switch", operands, operand)
    if not branches:
        raise ValueError("switch: there must be at least one branch")
    aval = aval_of(index)
    if aval.shape or aval.dtype.kind not in "iu":
        raise TypeError(f"switch: the index must be an integer scalar, got {aval}")
    if len(branches) == 1:
        return branches[0](*operands)
    last = len(branches) - 1
    if not isinstance(index, Tracer):
        clamped: Any = np.int32(min(max(int(index), 0), last))
    else:
        strong = convert_element_type(index, aval.dtype)
        low, high = aval.dtype.type(0), aval.dtype.type(min(last, np.iinfo(aval.dtype).max))
        clamped = convert_element_type(clamp(low, strong, high), np.int32)
    return run_branches("switch", clamped, tuple(branches), operands)
