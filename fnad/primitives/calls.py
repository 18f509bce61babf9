"""Calls of whole programs: ``jit``, ``optimization_barrier``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fnad.core import tree
from fnad.core.ir import Atom, Equation, Jaxpr, Var, does_something
from fnad.core.primitive import (
    Linear,
    Parts,
    Primitive,
    Zero,
    flat_parts,
    instantiate,
    joined_parts,
)
from fnad.core.rewrites import BatchAxis, get_rewrites
from fnad.core.types import ShapedArray
from fnad.primitives.dependencies import Operand
from fnad.primitives.strong_zeros import StrongZeros, settled
from fnad.primitives.subprograms import call_rules, none, permute, split

jit_p = Primitive(
    "jit",
    "Call the program ``jaxpr``, compiled: ``name`` is the user's name of the function.",
    multiple_results=True,
)

call_rules(jit_p)


@jit_p.evaluate
def _(*args: Any, jaxpr: Jaxpr, name: str) -> list[Any]:
    return get_rewrites().compile(jaxpr)(list(args))


@jit_p.partial_eval
def _(unknown: Sequence[bool], eqn: Equation) -> tuple[list[Equation], list[Equation], list[bool]]:
    jaxpr = eqn.params["jaxpr"]
    known, staged, unknown_out, num_res = get_rewrites().partial_eval(
        jaxpr, tuple(unknown), none(len(jaxpr.outvars))
    )
    known_in, unknown_in = split(unknown, eqn.invars)
    known_outs, unknown_outs = split(unknown_out, eqn.outvars)
    num_known = len(known_outs)
    residuals = known.outvars[num_known : num_known + num_res]

    # A residual that is an operand or a known result needs no second copy.
    where: dict[Atom, Atom] = {}
    where.update(zip(known.outvars[:num_known], known_outs))
    where.update(zip(known.invars, known_in, strict=True))
    order = list(range(num_known))
    new: list[Var] = []
    for i, residual in enumerate(residuals):
        if residual not in where:
            where[residual] = fresh = Var(residual.aval)
            new.append(fresh)
            order.append(num_known + i)
    program = permute(known, tuple(range(len(known.invars))), tuple(order))

    known_eqns = []
    if program.outvars or does_something(program):
        known_eqns.append(
            eqn.replace(
                invars=tuple(known_in),
                outvars=(*known_outs, *new),
                params={**eqn.params, "jaxpr": program},
            )
        )
    staged_eqn = eqn.replace(
        invars=(*(where[r] for r in residuals), *unknown_in),
        outvars=tuple(unknown_outs),
        params={**eqn.params, "jaxpr": staged},
    )
    return known_eqns, [staged_eqn], list(unknown_out)


optimization_barrier_p = Primitive(
    "optimization_barrier",
    "The operands themselves; nothing is merged or moved across it by the compiler.",
    multiple_results=True,
)


@optimization_barrier_p.type_rule
def _(*avals: ShapedArray) -> list[ShapedArray]:
    return list(avals)


@optimization_barrier_p.evaluate
def _(*args: Any) -> list[Any]:
    return list(args)


@optimization_barrier_p.jvp
def _(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    outs = optimization_barrier_p.bind(*primals)
    nonzero = [t for t in tangents if not isinstance(t, Zero)]
    dots = iter(optimization_barrier_p.bind(*nonzero))
    return outs, [t if isinstance(t, Zero) else next(dots) for t in tangents]


@optimization_barrier_p.transpose
def _(cts: Sequence[Any], *operands: Any) -> list[Any]:
    wanted = [isinstance(x, Linear) and not isinstance(c, Zero) for x, c in zip(operands, cts)]
    given = iter(optimization_barrier_p.bind(*(instantiate(c) for c in split(wanted, cts)[1])))
    return [next(given) if w else None for w in wanted]


@optimization_barrier_p.strong_transpose
def _(cts: Sequence[Any], *operands: Any) -> list[Any]:
    found = optimization_barrier_p.rule("transpose")([settled(ct) for ct in cts], *operands)
    return [StrongZeros(f, c.live) if type(c) is StrongZeros else f for f, c in zip(found, cts)]


@optimization_barrier_p.dependencies
def _(*operands: Operand) -> list[Operand]:
    return list(operands)


@optimization_barrier_p.batch
def _(
    args: Sequence[Any], batched: Sequence[bool], axis: BatchAxis
) -> tuple[list[Any], list[bool]]:
    return optimization_barrier_p.bind(*args), list(batched)


@optimization_barrier_p.parts
def _(*args: Any) -> list[Any]:
    outs = optimization_barrier_p.bind(*flat_parts(args))
    return joined_parts(outs, [type(x) is Parts for x in args])


@optimization_barrier_p.lower
def _(p: Any, *tensors: Any) -> list[Any]:
    return list(tensors)


def optimization_barrier(operand: Any) -> Any:
    """Return the operand, hidden from the compiler's rewriting.

    Computations before and after the barrier are neither merged as common subexpressions nor
    simplified together.

    Parameters
    ----------
    operand : pytree of arrays
        Any values.

    Returns
    -------
    pytree of arrays
        The same values.

    Examples
    --------
    >>> import numpy as np
    >>> optimization_barrier((np.float32(1), np.float32(2)))
    (np.float32(1.0), np.float32(2.0))
    """
    leaves, structure = tree.flatten(operand)
    return tree.unflatten(structure, optimization_barrier_p.bind(*leaves))
