"""``linear_call``: a linear map with a transpose of its own.

Reverse mode transposes the equations of a tangent program one by one. If derivatives of these
equations are not those of the map (a decomposition that is not unique, for example), the cotangent
program cannot be differentiated again. Where the transpose is a function of the user, with its own
custom rules, it can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fnad.core import tree
from fnad.core.interpret import eval_jaxpr
from fnad.core.ir import Jaxpr
from fnad.core.primitive import Primitive, Zero, instantiate
from fnad.core.rewrites import BatchAxis, Mask, get_rewrites
from fnad.core.tracer import apply_jaxpr
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.arithmetic import add
from fnad.primitives.subprograms import (
    broadcast_batch,
    cast,
    check_operands,
    every,
    none,
    nonzero_mask,
    parts,
    split,
    trace_function,
)

linear_call_p = Primitive(
    "linear_call",
    "The program ``forward`` of an array that it is linear in, whose transpose is ``backward``."
    " Operands: the constants of the two programs (``num_consts`` of each), then that array.",
    multiple_results=True,
)
linear_call_p.lowering_params = ("forward", "num_consts")


@linear_call_p.type_rule
def _(
    *avals: ShapedArray, forward: Jaxpr, backward: Jaxpr, num_consts: tuple[int, int]
) -> list[ShapedArray]:
    consts, _, x = parts(avals, *num_consts)
    check_operands("linear_call", [*consts, *x], forward.in_avals)
    return [a.strong() for a in forward.out_avals]


@linear_call_p.evaluate
def _(*args: Any, forward: Jaxpr, backward: Jaxpr, num_consts: tuple[int, int]) -> list[Any]:
    consts, _, x = parts(args, *num_consts)
    return eval_jaxpr(forward, [*consts, *x])


@linear_call_p.jvp
def _(
    primals: Sequence[Any], tangents: Sequence[Any], *, forward: Jaxpr, **params: Any
) -> tuple[list[Any], list[Any]]:
    outs = linear_call_p.bind(*primals, forward=forward, **params)
    consts, back_consts, x = parts(primals, *params["num_consts"])
    moves, _, change = parts(tangents, *params["num_consts"])
    found: list[Any] = []
    if any(nonzero_mask(change)):
        given = map(instantiate, change)
        found.append(
            linear_call_p.bind(*consts, *back_consts, *given, forward=forward, **params)[0]
        )
    moved = nonzero_mask(moves)
    if any(moved):
        program, _ = get_rewrites().jvp(forward, (*moved, *none(len(x))), every(1))
        found.append(apply_jaxpr(program, [*consts, *x, *split(moved, moves)[1]])[1])
    if not found:
        return outs, [Zero(aval_of(outs[0]))]
    return outs, [found[0] if len(found) == 1 else add(*found)]


@linear_call_p.transpose
def _(
    cts: Sequence[Any],
    *operands: Any,
    forward: Jaxpr,
    backward: Jaxpr,
    num_consts: tuple[int, int],
) -> list[Any]:
    consts, back_consts, _ = parts(operands, *num_consts)
    found = linear_call_p.bind(
        *(*back_consts, *consts, *map(instantiate, cts)),
        forward=backward,
        backward=forward,
        num_consts=num_consts[::-1],
    )
    return [*[None] * sum(num_consts), *found]


@linear_call_p.batch
def _(
    args: Sequence[Any],
    batched: Sequence[bool],
    axis: BatchAxis,
    *,
    forward: Jaxpr,
    backward: Jaxpr,
    num_consts: tuple[int, int],
) -> tuple[list[Any], Mask]:
    *masks, (has,) = map(tuple, parts(batched, *num_consts))
    *consts, x = args

    def batch(program: Jaxpr, mask: Mask) -> Jaxpr:
        return get_rewrites().batch(program, axis, (*mask, True), every(1))[0]

    outs = linear_call_p.bind(
        *(*consts, x if has else broadcast_batch(x, axis.size)),
        forward=batch(forward, masks[0]),
        backward=batch(backward, masks[1]),
        num_consts=num_consts,
    )
    return outs, every(1)


@linear_call_p.lower_as
def _(*args: Any, forward: Jaxpr, backward: Jaxpr, num_consts: tuple[int, int]) -> list[Any]:
    consts, _, x = parts(args, *num_consts)
    return apply_jaxpr(forward, [*consts, *x])


def linear_call(fun: Callable[[Any], Any], transpose: Callable[[Any], Any], x: Any) -> Any:
    """``fun(x)``, whose derivatives with respect to ``x`` are transposed by calling ``transpose``.

    Parameters
    ----------
    fun : callable
        A linear map from an array like ``x`` to an array.
    transpose : callable
        Its transpose, from an array like ``fun(x)`` to one like ``x``; of complex numbers, without
        conjugation. Both may close over traced values: derivatives with respect to them are found.
    x : array
        Floating or complex.

    Returns
    -------
    array
        ``fun(x)``.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> def f(a, x):
    ...     return linear_call(lambda x: a * x, lambda ct: a * ct, x)
    >>> fnad.grad(f, (0, 1))(2.0, 3.0)
    (np.float64(3.0), np.float64(2.0))
    """
    aval = aval_of(x).strong()

    def traced(function: Callable[[Any], Any], aval: ShapedArray) -> tuple[Jaxpr, list[Any]]:
        structure = tree.flatten(((0,), {}))[1]
        program, consts, _ = trace_function(function, structure, [aval], "linear_call")
        return program, consts

    forward, consts = traced(fun, aval)
    backward, back_consts = traced(transpose, forward.out_avals[0].strong())
    (back,) = backward.out_avals
    if (back.shape, back.dtype) != (aval.shape, aval.dtype):
        raise TypeError(f"linear_call: what transpose returns must be like x, {aval}, got {back}")
    return linear_call_p.bind(
        *(*consts, *back_consts, cast(x, aval)),
        forward=forward,
        backward=backward,
        num_consts=(len(consts), len(back_consts)),
    )[0]
