"""``custom_root``: find a root by any means, differentiate it by the implicit function theorem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fnad.core import tree
from fnad.core.primitive import Zero
from fnad.core.rewrites import get_rewrites
from fnad.core.tracer import apply_jaxpr
from fnad.core.types import aval_of
from fnad.primitives.arithmetic import neg
from fnad.primitives.custom.jvp import custom_jvp
from fnad.primitives.custom.rules import SymbolicZero
from fnad.primitives.subprograms import (
    cast,
    describe_difference,
    every,
    none,
    parts,
    split,
    trace_function,
)


def custom_root(
    f: Callable[[Any], Any],
    initial_guess: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    tangent_solve: Callable[[Callable[[Any], Any], Any], Any],
    has_aux: bool = False,
) -> Any:
    """Find ``x`` with ``f(x) = 0`` with the function given, and differentiate it implicitly.

    The root moves with what ``f`` closes over: from ``f(x(p), p) = 0`` follows
    ``df/dx dx = -df/dp dp`` (S. G. Krantz, H. R. Parks, The Implicit Function Theorem, 2002).
    What ``solve`` does inside is never differentiated, and the guess has no influence.

    Parameters
    ----------
    f : callable
        From pytrees like ``initial_guess`` to such ones. It may close over traced values.
    initial_guess : pytree of floating arrays
        Where the search starts.
    solve : callable
        ``solve(f, initial_guess)`` returns the root, like the guess; with ``has_aux`` a pair of
        it and anything else, which has no derivatives.
    tangent_solve : callable
        ``tangent_solve(g, y)`` solves ``g(x) = y`` for the linear function ``g``: for scalars
        ``y / g(1.0)``, for arrays best with `custom_linear_solve`. Reverse mode goes through it.
    has_aux : bool
        Whether ``solve`` returns a second result.

    Returns
    -------
    pytree of arrays
        The root, or the pair.

    Raises
    ------
    TypeError
        If ``f`` or the root is of another structure or type than the guess.

    Examples
    --------
    >>> import fnad
    >>> from fnad import lax
    >>> def newton(f, x):
    ...     step = lambda _, x: x - f(x) / fnad.grad(f)(x)
    ...     return lax.fori_loop(0, 20, step, x)
    >>> def root(a):
    ...     return custom_root(lambda x: x * x - a, 1.0, newton, lambda g, y: y / g(1.0))
    >>> float(fnad.grad(root)(4.0))
    0.25
    """
    leaves, structure = tree.flatten(initial_guess)
    avals = [aval_of(x).strong() for x in leaves]
    leaves = [cast(x, a) for x, a in zip(leaves, avals)]
    num = len(leaves)
    one_argument = tree.flatten(((initial_guess,), {}))[1]
    aux_structure: list[Any] = []

    def check(what: str, value: Any) -> list[Any]:
        got, got_structure = tree.flatten(value)
        problem = describe_difference(got_structure, [aval_of(y) for y in got], structure, avals)
        if problem:
            raise TypeError(f"custom_root: {what} must be like the initial guess: {problem}")
        return [cast(y, a) for y, a in zip(got, avals)]

    def find(x: Any) -> list[Any]:
        found = solve(f, x)
        root, aux = found if has_aux else (found, ())
        extra, extra_structure = tree.flatten(aux)
        aux_structure.append(extra_structure)
        return [*check("what solve returns", root), *extra]

    residual, f_consts, _ = trace_function(
        lambda x: check("what f returns", f(x)), one_argument, avals, "custom_root f"
    )
    search, search_consts, _ = trace_function(find, one_argument, avals, "custom_root solve")

    @custom_jvp
    def root(f_consts: Sequence[Any], others: Sequence[Any]) -> list[Any]:
        return apply_jaxpr(search, others)

    def root_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        f_consts, others = primals
        outs = root(f_consts, others)
        solution, aux = parts(outs, num)
        dots, _ = tangents
        moved = tuple(not isinstance(t, SymbolicZero) for t in dots)
        aux_dots = [Zero(aval_of(o).strong()) for o in aux]
        if not any(moved):
            return outs, [*(Zero(a) for a in avals), *aux_dots]
        program, _ = get_rewrites().jvp(residual, (*moved, *none(num)), every(num))
        results = apply_jaxpr(program, [*f_consts, *solution, *split(moved, dots)[1]])
        rhs = [neg(r) for r in results[num:]]
        slope, _ = get_rewrites().jvp(residual, (*none(len(f_consts)), *every(num)), every(num))

        def linear(x: Any) -> Any:
            given = check("what the linear function takes", x)
            found = apply_jaxpr(slope, [*f_consts, *solution, *given])
            return tree.unflatten(structure, found[num:])

        moves = tangent_solve(linear, tree.unflatten(structure, rhs))
        return outs, [*check("what tangent_solve returns", moves), *aux_dots]

    root.defjvp(root_jvp, symbolic_zeros=True)
    solution, aux = parts(root(f_consts, [*search_consts, *leaves]), num)
    found = tree.unflatten(structure, solution)
    return (found, tree.unflatten(aux_structure[-1], aux)) if has_aux else found
