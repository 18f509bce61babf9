"""``custom_linear_solve``: solve a linear system by any means, differentiate it as a solution.

Of A x = b follows A dx = db - dA x, whatever finds x: derivatives are one more solution with the
same matrix, and cotangents one with the transposed matrix (M. B. Giles, An extended collection of
matrix derivative results for forward and reverse mode AD, 2008, section 2.3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any, NamedTuple

from fnad.core import tree
from fnad.core.errors import MissingRuleError
from fnad.core.interpret import eval_jaxpr
from fnad.core.ir import Jaxpr
from fnad.core.primitive import Linear, Primitive, Zero, instantiate
from fnad.core.rewrites import BatchAxis, Mask, get_rewrites
from fnad.core.tracer import apply_jaxpr
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.arithmetic import sub
from fnad.primitives.custom.strong_rules import result_lanes
from fnad.primitives.logic import bitwise_and
from fnad.primitives.strong_lanes import Live, either, joined
from fnad.primitives.strong_zeros import StrongZeros, settled, summed_lanes
from fnad.primitives.subprograms import (
    broadcast_batch,
    cast,
    check_operands,
    describe_difference,
    every,
    none,
    nonzero_mask,
    parts,
    split,
    trace_function,
)


class Programs(NamedTuple):
    """What a linear system is made of; the last two are None where nothing can transpose it."""

    matvec: Jaxpr
    solve: Jaxpr
    vecmat: Jaxpr | None
    transpose_solve: Jaxpr | None


linear_solve_p = Primitive(
    "linear_solve",
    "Solve A x = b with ``programs.solve``, where ``programs.matvec`` computes A x. Operands: the"
    " constants of the four programs (``num_consts`` of each), then b; results: x, and whatever"
    " else the program returns, of which there are no derivatives. Systems along the axes ``apart``"
    " of all of b have nothing to do with each other.",
    multiple_results=True,
)
linear_solve_p.lowering_params = ("programs", "num_consts")


@linear_solve_p.type_rule
def _(
    *avals: ShapedArray, programs: Programs, num_consts: tuple[int, ...], apart: tuple[int, ...]
) -> list[ShapedArray]:
    _, solve_consts, _, _, b = parts(avals, *num_consts)
    check_operands("linear_solve", [*solve_consts, *b], programs.solve.in_avals)
    return [a.strong() for a in programs.solve.out_avals]


@linear_solve_p.evaluate
def _(
    *args: Any, programs: Programs, num_consts: tuple[int, ...], apart: tuple[int, ...]
) -> list[Any]:
    _, solve_consts, _, _, b = parts(args, *num_consts)
    return eval_jaxpr(programs.solve, [*solve_consts, *b])


@linear_solve_p.jvp
def _(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    programs: Programs,
    num_consts: tuple[int, ...],
    apart: tuple[int, ...],
) -> tuple[list[Any], list[Any]]:
    params = {"programs": programs, "num_consts": num_consts, "apart": apart}
    outs = linear_solve_p.bind(*primals, **params)
    zeros = [Zero(aval_of(o).strong()) for o in outs]
    *consts, b = parts(primals, *num_consts)
    matvec_dots, *_, b_dots = parts(tangents, *num_consts)
    moved, changed = nonzero_mask(matvec_dots), any(nonzero_mask(b_dots))
    if not any(moved) and not changed:
        return outs, zeros
    solution, rhs = outs[: len(b)], [instantiate(t) for t in b_dots]
    if any(moved):
        program, _ = get_rewrites().jvp(programs.matvec, (*moved, *none(len(b))), every(len(b)))
        given = split(moved, matvec_dots)[1]
        results = apply_jaxpr(program, [*consts[0], *solution, *given])
        rhs = [sub(r, dot) for r, dot in zip(rhs, results[len(b) :], strict=True)]
    known = [c for group in consts for c in group]
    dots = linear_solve_p.bind(*known, *rhs, **params)
    return outs, [*dots[: len(b)], *zeros[len(b) :]]


@linear_solve_p.transpose
def _(
    cts: Sequence[Any],
    *operands: Any,
    programs: Programs,
    num_consts: tuple[int, ...],
    apart: tuple[int, ...],
) -> list[Any]:
    matvec, solve, vecmat, transpose_solve = programs
    if vecmat is None or transpose_solve is None:
        raise MissingRuleError(
            "reverse-mode differentiation of custom_linear_solve solves with the transposed"
            " matrix: pass transpose_solve, or symmetric=True if the matrix is symmetric"
        )
    *consts, b = parts(operands, *num_consts)
    order = (2, 3, 0, 1)
    outs = linear_solve_p.bind(
        *(c for i in order for c in consts[i]),
        *(instantiate(ct) for ct in cts[: len(b)]),
        programs=Programs(vecmat, transpose_solve, matvec, solve),
        num_consts=tuple(num_consts[i] for i in order),
        apart=apart,
    )
    found = [ct if isinstance(x, Linear) else None for x, ct in zip(b, outs)]
    return [*[None] * sum(num_consts), *found]


@linear_solve_p.strong_transpose
def _(cts: Sequence[Any], *operands: Any, **params: Any) -> list[Any]:
    transpose = linear_solve_p.rule("transpose")
    found: list[Any] = transpose(list(map(settled, cts)), *operands, **params)
    *_, solve_consts, b = parts(operands, *params["num_consts"])
    given = [ct for ct in cts[: len(b)] if type(ct) is StrongZeros]
    if not given:
        return found
    apart, first = params["apart"], len(found) - len(b)
    known = [ct if ct is None else _apart(ct, cts[: len(b)], apart) for ct in found[first:]]
    if all(set(ct.live.along_axes(len(ct.aval.shape))) <= set(apart) for ct in given):
        return [*found[:first], *known]
    # Several systems in one: what solves them shows which they are.
    rhs = [instantiate(ct) for ct in cts[: len(b)]]
    lives = result_lanes(params["programs"].transpose_solve, [*solve_consts, *rhs])
    return [*found[:first], *map(_within, known, lives)]


def _within(ct: Any, live: Live | None) -> Any:
    """A cotangent that is zero outside of these lanes, too."""
    if ct is None or live is None:
        return ct
    if type(ct) is StrongZeros:
        live = joined(bitwise_and, ct.live, live, ct.aval.shape)
        ct = ct.ct
    return StrongZeros(ct, live, live.choose)


def _apart(found: Any, cts: Sequence[Any], apart: tuple[int, ...]) -> Any:
    """A solution, which is zero in systems whose right-hand sides are zero for sure."""
    lives = []
    for ct in cts:
        if isinstance(ct, Zero):
            continue
        if type(ct) is StrongZeros:
            places = [i if i in apart else None for i in range(len(ct.aval.shape))]
            ct = summed_lanes(ct, found, places)
        if type(ct) is not StrongZeros:
            return found
        lives.append(ct.live)
    live = reduce(partial(either, shape=aval_of(found).shape), lives)
    return StrongZeros(found, live, live.choose)


@linear_solve_p.batch
def _(
    args: Sequence[Any],
    batched: Sequence[bool],
    axis: BatchAxis,
    *,
    programs: Programs,
    num_consts: tuple[int, ...],
    apart: tuple[int, ...],
) -> tuple[list[Any], Mask]:
    # Matrix and solution depend on each other's axis: with either of them, all of b has it.
    *masks, b_mask = map(tuple, parts(batched, *num_consts))
    num = len(b_mask)

    def batch(program: Jaxpr | None, mask: Mask) -> Any:
        if program is None:
            return None
        outs = every(len(program.outvars))
        return get_rewrites().batch(program, axis, (*mask, *every(num)), outs)[0]

    b = args[sum(num_consts) :]
    b = [x if has else broadcast_batch(x, axis.size) for x, has in zip(b, b_mask)]
    outs = linear_solve_p.bind(
        *args[: sum(num_consts)],
        *b,
        programs=Programs(*map(batch, programs, masks)),
        num_consts=num_consts,
        apart=(0, *(i + 1 for i in apart)),
    )
    return outs, every(len(outs))


@linear_solve_p.lower_as
def _(
    *args: Any, programs: Programs, num_consts: tuple[int, ...], apart: tuple[int, ...]
) -> list[Any]:
    _, solve_consts, _, _, b = parts(args, *num_consts)
    return apply_jaxpr(programs.solve, [*solve_consts, *b])


def custom_linear_solve(
    matvec: Callable[[Any], Any],
    b: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    transpose_solve: Callable[[Callable[[Any], Any], Any], Any] | None = None,
    symmetric: bool = False,
    has_aux: bool = False,
) -> Any:
    """Solve ``matvec(x) = b`` with the function given, and differentiate it implicitly.

    What ``solve`` does inside, a loop until convergence for example, is never differentiated.

    Parameters
    ----------
    matvec : callable
        The linear map, from pytrees like ``b`` to such ones. It may close over traced values:
        derivatives with respect to them are found.
    b : pytree of floating or complex arrays
        The right-hand side.
    solve : callable
        ``solve(matvec, b)`` returns the solution, like ``b``; with ``has_aux`` a pair of it and
        anything else, which has no derivatives.
    transpose_solve : callable, optional
        ``transpose_solve(vecmat, b)`` solves with the transposed map. Reverse mode needs it.
    symmetric : bool
        Whether the map is its own transpose, so that ``solve`` does for both.
    has_aux : bool
        Whether ``solve`` and ``transpose_solve`` return a second result.

    Returns
    -------
    pytree of arrays
        The solution, or the pair.

    Raises
    ------
    TypeError
        If ``matvec`` or a solution is of another structure or type than ``b``.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> def solution(a, b):
    ...     return custom_linear_solve(lambda x: a * x, b, lambda _, b: b / a, symmetric=True)
    >>> fnad.grad(solution, (0, 1))(2.0, 3.0)
    (np.float64(-0.75), np.float64(0.5))
    """
    return solve_apart((), matvec, b, solve, transpose_solve, symmetric, has_aux)


def solve_apart(
    apart: tuple[int, ...],
    matvec: Callable[[Any], Any],
    b: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    transpose_solve: Callable[[Callable[[Any], Any], Any], Any] | None = None,
    symmetric: bool = False,
    has_aux: bool = False,
) -> Any:
    """`custom_linear_solve` of systems along the axes ``apart`` of ``b``, each for itself."""
    leaves, structure = tree.flatten(b)
    avals = [aval_of(x).strong() for x in leaves]
    leaves = [cast(x, a) for x, a in zip(leaves, avals)]
    one_argument = tree.flatten(((b,), {}))[1]
    aux_structure: Any = None

    def traced(fun: Callable[[Any], Any], what: str, aux: bool = False) -> tuple[Jaxpr, list[Any]]:
        nonlocal aux_structure

        def run(x: Any) -> Any:
            nonlocal aux_structure
            out = fun(x)
            out, extra = out if aux else (out, ())
            got, got_structure = tree.flatten(out)
            got_avals = [aval_of(y) for y in got]
            problem = describe_difference(got_structure, got_avals, structure, avals)
            if problem:
                raise TypeError(
                    f"custom_linear_solve: what {what} returns must be like b: {problem}"
                )
            extra, extra_structure = tree.flatten(extra)
            if what == "solve":
                aux_structure = extra_structure
            return [*got, *extra]

        program, consts, _ = trace_function(run, one_argument, avals, f"custom_linear_solve {what}")
        return program, consts

    def applying(program: Jaxpr, consts: Sequence[Any]) -> Callable[[Any], Any]:
        def apply(x: Any) -> Any:
            given, got_structure = tree.flatten(x)
            problem = describe_difference(
                got_structure, [aval_of(y) for y in given], structure, avals
            )
            if problem:
                raise TypeError(f"custom_linear_solve: the map takes arrays like b: {problem}")
            given = [cast(y, a) for y, a in zip(given, avals)]
            return tree.unflatten(structure, apply_jaxpr(program, [*consts, *given]))

        return apply

    matrix, matrix_consts = traced(matvec, "matvec")
    forward = applying(matrix, matrix_consts)
    program, consts = traced(lambda x: solve(forward, x), "solve", has_aux)
    vecmat: Jaxpr | None = None
    back: Jaxpr | None = None
    vecmat_consts: list[Any] = []
    back_consts: list[Any] = []
    if symmetric:
        vecmat, vecmat_consts, back, back_consts = matrix, matrix_consts, program, consts
    elif transpose_solve is not None:
        backwards = transpose_solve
        linear = (*none(len(matrix_consts)), *every(len(leaves)))
        vecmat, _ = get_rewrites().transpose(matrix, linear, every(len(leaves)), every(len(leaves)))
        vecmat_consts = matrix_consts
        transposed = applying(vecmat, vecmat_consts)
        back, back_consts = traced(lambda x: backwards(transposed, x), "transpose_solve", has_aux)
    groups = (matrix_consts, consts, vecmat_consts, back_consts)
    outs = linear_solve_p.bind(
        *(c for group in groups for c in group),
        *leaves,
        programs=Programs(matrix, program, vecmat, back),
        num_consts=tuple(map(len, groups)),
        apart=apart,
    )
    solution = tree.unflatten(structure, outs[: len(leaves)])
    return (solution, tree.unflatten(aux_structure, outs[len(leaves) :])) if has_aux else solution
