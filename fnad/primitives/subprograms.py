"""What the primitives that hold sub-programs (jit, scan, cond ...) have in common.

Masks are sequences of bool, one an input or output of a program; "marked" means True.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps
from typing import Any, TypeVar

from fnad.core import tree
from fnad.core.flat_function import FlatFunction
from fnad.core.ir import Atom, Equation, Jaxpr, Literal, Var, memoize, sub_jaxprs
from fnad.core.primitive import Linear, Primitive, Zero, instantiate
from fnad.core.rewrites import BatchAxis, Mask, MaskAxes, get_rewrites
from fnad.core.tracer import apply_jaxpr, trace_to_jaxpr
from fnad.core.types import ShapedArray, aval_of, kind_of
from fnad.primitives.dependencies import Operand, propagate
from fnad.primitives.logic import convert_element_type
from fnad.primitives.shape import broadcast_in_dim
from fnad.primitives.strong_zeros import StrongZeros, given_zeros, mask_and_axes, settled

T = TypeVar("T")


# -- masks --------------------------------------------------------------------------------


def none(count: int) -> Mask:
    """A mask that marks nothing."""
    return (False,) * count


def every(count: int) -> Mask:
    """A mask that marks everything."""
    return (True,) * count


def split(mask: Iterable[bool], values: Iterable[T]) -> tuple[list[T], list[T]]:
    """Separate values into those not marked and those marked."""
    parts: tuple[list[T], list[T]] = ([], [])
    for marked, value in zip(mask, values, strict=True):
        parts[marked].append(value)
    return parts


def merge(mask: Iterable[bool], unmarked: Iterable[T], marked: Iterable[T]) -> list[T]:
    """Undo `split`."""
    parts = (iter(unmarked), iter(marked))
    return [next(parts[m]) for m in mask]


def either(a: Iterable[bool], b: Iterable[bool]) -> Mask:
    """Mark what one of two masks marks."""
    return tuple(x or y for x, y in zip(a, b, strict=True))


def parts(values: Sequence[T], *sizes: int) -> list[list[T]]:
    """Cut a sequence into leading parts of the given sizes and the rest."""
    out: list[list[T]] = []
    start = 0
    for size in sizes:
        out.append(list(values[start : start + size]))
        start += size
    return [*out, list(values[start:])]


def nonzero_mask(tangents: Iterable[Any]) -> Mask:
    """Mark the tangents that are not symbolic zeros."""
    return tuple(not isinstance(t, Zero) for t in tangents)


def expand_zeros(mask: Mask, nonzero: Iterable[Any], avals: Sequence[ShapedArray]) -> list[Any]:
    """Put symbolic zeros where ``mask`` marks nothing."""
    given = iter(nonzero)
    return [next(given) if m else Zero(a.strong()) for m, a in zip(mask, avals, strict=True)]


def joined(masks: Sequence[Mask]) -> Mask:
    """Mark what any of some masks marks."""
    whole = masks[0]
    for mask in masks[1:]:
        whole = either(whole, mask)
    return whole


def series_mask(series: Iterable[list[Any] | None]) -> Mask:
    """Mark the operands of Taylor mode that have coefficients beyond their value."""
    return tuple(terms is not None for terms in series)


def flat_terms(series: Iterable[list[Any] | None]) -> list[Any]:
    """The coefficients of all operands that have some, one after the other."""
    return [term for terms in series for term in terms or ()]


def split_terms(mask: Mask, terms: Sequence[Any], order: int) -> list[list[Any] | None]:
    """Undo `flat_terms`, where ``mask`` marks the operands that have coefficients."""
    groups = ([*terms[i : i + order]] for i in range(0, len(terms), order))
    return [next(groups) if marked else None for marked in mask]


# -- programs -----------------------------------------------------------------------------


@memoize
def permute(jaxpr: Jaxpr, in_order: tuple[int, ...], out_order: tuple[int, ...]) -> Jaxpr:
    """The same program with inputs and outputs in another order (outputs may be dropped)."""
    invars = tuple(jaxpr.invars[i] for i in in_order)
    return Jaxpr(invars, jaxpr.eqns, tuple(jaxpr.outvars[i] for i in out_order))


@memoize
def embed_inputs(jaxpr: Jaxpr, avals: tuple[ShapedArray, ...], positions: tuple[int, ...]) -> Jaxpr:
    """A program with inputs of types ``avals``, whose input ``positions[i]`` is input i."""
    invars = [Var(a) for a in avals]
    for old, position in zip(jaxpr.invars, positions, strict=True):
        invars[position] = old
    return Jaxpr(tuple(invars), jaxpr.eqns, jaxpr.outvars)


@memoize
def dce_keeping(jaxpr: Jaxpr, used: Mask, kept_in: Mask) -> Jaxpr:
    """The program of the outputs marked ``used`` with exactly the inputs ``kept_in``."""
    slim, _ = get_rewrites().dce(jaxpr, used)
    same_eqns = len(slim.eqns) == len(jaxpr.eqns) and all(
        a is b for a, b in zip(slim.eqns, jaxpr.eqns, strict=True)
    )
    if all(used) and all(kept_in) and same_eqns:
        return jaxpr
    return Jaxpr(tuple(split(kept_in, jaxpr.invars)[1]), slim.eqns, slim.outvars)


@memoize
def uses_axis(jaxpr: Jaxpr, name: Any) -> bool:
    """Whether a collective over the axis ``name`` stands anywhere in the program."""
    return any(equation_uses_axis(eqn, name) for eqn in jaxpr.eqns)


def equation_uses_axis(eqn: Equation, name: Any) -> bool:
    """Whether an equation is a collective over the axis ``name``, or holds one."""
    if name is None:
        return False
    axes = eqn.params.get("axes")
    if isinstance(axes, tuple) and any(a == name and not isinstance(a, int) for a in axes):
        return True
    return any(uses_axis(inner, name) for inner in sub_jaxprs(eqn))


def inline_equations(jaxpr: Jaxpr, args: Sequence[Atom]) -> tuple[list[Equation], list[Atom]]:
    """Copy a program's equations, applied to atoms of another program, with fresh variables."""
    env: dict[Atom, Atom] = dict(zip(jaxpr.invars, args, strict=True))

    def read(atom: Atom) -> Atom:
        return atom if isinstance(atom, Literal) else env[atom]

    eqns = []
    for eqn in jaxpr.eqns:
        outvars = tuple(Var(v.aval) for v in eqn.outvars)
        eqns.append(eqn.replace(invars=tuple(map(read, eqn.invars)), outvars=outvars))
        env.update(zip(eqn.outvars, outvars, strict=True))
    return eqns, [read(a) for a in jaxpr.outvars]


def fix_arguments(
    fun: Callable[..., Any], fixed: Sequence[int], args: Sequence[Any]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Fix positional arguments of a function; returns it as one of the others, and the others."""
    positions = {i % len(args) for i in fixed if -len(args) <= i < len(args)}
    if not positions:
        return fun, tuple(args)

    @wraps(fun)
    def of_others(*others: Any, **kwargs: Any) -> Any:
        given = iter(others)
        return fun(*(a if i in positions else next(given) for i, a in enumerate(args)), **kwargs)

    return of_others, tuple(a for i, a in enumerate(args) if i not in positions)


def trace_function(
    fun: Callable[..., Any],
    in_tree: Any,
    avals: Sequence[ShapedArray],
    kind: str,
    values: Sequence[Any] | None = None,
) -> tuple[Jaxpr, list[Any], FlatFunction]:
    """Trace a user's function of pytrees; returns its program, consts, and output structure."""
    flat = FlatFunction(fun, in_tree)
    jaxpr, consts = trace_to_jaxpr(flat, avals, kind, values)
    return jaxpr, consts, flat


# -- types --------------------------------------------------------------------------------

_KIND_RANK = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


def same_type(a: ShapedArray, b: ShapedArray) -> bool:
    """Whether two types agree in shape and dtype (weakness aside)."""
    return a.shape == b.shape and a.dtype == b.dtype


def weakly_fits(weak: ShapedArray, aval: ShapedArray) -> bool:
    """Whether a weak value may take the type ``aval``, as a Python scalar would."""
    return (
        weak.weak_type
        and weak.shape == aval.shape
        and _KIND_RANK[kind_of(weak.dtype)] <= _KIND_RANK[kind_of(aval.dtype)]
    )


def cast(value: Any, aval: ShapedArray) -> Any:
    """Give a value the dtype and weakness of ``aval``; leave it alone if it has them."""
    have = aval_of(value)
    if have.dtype == aval.dtype and have.weak_type <= aval.weak_type:
        return value
    return convert_element_type(value, aval.dtype)


def check_operands(
    name: str, avals: Sequence[ShapedArray], expected: Sequence[ShapedArray]
) -> None:
    """Check that a sub-program gets operands of the types that it was traced for."""
    if len(avals) != len(expected) or not all(map(same_type, avals, expected)):
        raise TypeError(
            f"{name}: operands of types ({', '.join(map(str, avals))}) for a program that takes"
            f" ({', '.join(map(str, expected))})"
        )


def describe_difference(
    got_tree: Any, got: Sequence[ShapedArray], want_tree: Any, want: Sequence[ShapedArray]
) -> str | None:
    """Say where two typed pytrees differ, or None if they agree."""
    if got_tree != want_tree:
        return f"the pytree structures differ: {got_tree} against {want_tree}"
    differing = [
        (i, g, w) for i, (g, w) in enumerate(zip(got, want, strict=True)) if not same_type(g, w)
    ]
    if not differing:
        return None
    whole = tree.unflatten(want_tree, list(range(len(want))))
    paths = [tree.keystr(path) for path, _ in tree.flatten_with_path(whole)[0]]
    lines = [f"{paths[i] or 'the value'} has type {g} against {w}" for i, g, w in differing]
    return "; ".join(lines)


def broadcast_batch(value: Any, size: int) -> Any:
    """Repeat one value along a new leading axis."""
    shape = aval_of(value).shape
    return broadcast_in_dim(value, (size, *shape), tuple(range(1, len(shape) + 1)))


# -- rules of primitives that just call one program -----------------------------------------


def transpose_call(
    jaxpr: Jaxpr,
    cts: Sequence[Any],
    operands: Sequence[Any],
    call: Callable[[Jaxpr, Sequence[Any]], Sequence[Any]] = apply_jaxpr,
) -> list[Any]:
    """Transpose the call of a program that is linear in the operands that are `Linear`.

    ``call(program, args)`` runs the transposed program. The result has one entry an operand:
    its cotangent, or None where that is zero or the operand is not linear.
    """
    linear = tuple(isinstance(x, Linear) for x in operands)
    others, unknowns = split(linear, operands)
    nonzero = nonzero_mask(cts)
    program, nonzero_in = get_rewrites().transpose(jaxpr, linear, nonzero, none(len(unknowns)))
    results = iter(call(program, [*others, *split(nonzero, cts)[1]]))
    found = [next(results) if nz else None for nz in nonzero_in]
    return merge(linear, [None] * len(others), found)


def strong_transpose_call(
    jaxpr: Jaxpr,
    cts: Sequence[Any],
    operands: Sequence[Any],
    call: Callable[[Jaxpr, Sequence[Any]], Sequence[Any]] = apply_jaxpr,
) -> list[Any]:
    """Transpose a call as `transpose_call` does, following strong zeros in and out of it."""
    linear = tuple(isinstance(x, Linear) for x in operands)
    others = split(linear, operands)[0]
    nonzero = nonzero_mask(cts)
    masks, lives = masks_of(cts)
    program, nonzero_in, live_in = get_rewrites().strong_transpose(jaxpr, linear, nonzero, lives)
    given = [settled(ct) for ct in split(nonzero, cts)[1]]
    results = iter(call(program, [*others, *given, *masks]))
    found = [next(results) if nz else None for nz in nonzero_in]
    strong = with_masks(found, live_in, results)
    return merge(linear, [None] * len(others), strong)


@memoize
def makes_zeros(jaxpr: Jaxpr) -> bool:
    """Whether a program has selects, so that cotangents may become `StrongZeros` in it."""
    return any(
        e.primitive.name in ("select", "masked_mul") or any(map(makes_zeros, sub_jaxprs(e)))
        for e in jaxpr.eqns
    )


def masks_of(cts: Sequence[Any]) -> tuple[list[Any], MaskAxes]:
    """The masks of those cotangents that are `StrongZeros`, and for each what axes its mask has."""
    found = [mask_and_axes(ct) if type(ct) is StrongZeros else (None, None) for ct in cts]
    return [mask for mask, _ in found if mask is not None], tuple(axes for _, axes in found)


def with_masks(cts: Sequence[Any], lives: MaskAxes, masks: Iterator[Any]) -> list[Any]:
    """Cotangents with the masks of those that have one."""
    return [
        ct if axes is None else given_zeros(ct, next(masks), axes)
        for ct, axes in zip(cts, lives, strict=True)
    ]


def call_rules(primitive: Primitive) -> None:
    """Attach the rules of a primitive ``p(*args; jaxpr, **params)`` that calls its program.

    They are: type rule, jvp, transpose, batch, dce and lowering by inlining. Each transformed
    equation holds the transformed program and the same other parameters.
    """
    primitive.lowering_params = ("jaxpr",)

    @primitive.type_rule
    def _(*avals: ShapedArray, jaxpr: Jaxpr, **params: Any) -> list[ShapedArray]:
        check_operands(primitive.name, avals, jaxpr.in_avals)
        return jaxpr.out_avals

    @primitive.dependencies
    def _(*operands: Operand, jaxpr: Jaxpr, **params: Any) -> list[Operand]:
        return propagate(jaxpr, operands)

    @primitive.jvp
    def _(
        primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr, **params: Any
    ) -> tuple[list[Any], list[Any]]:
        nonzero = nonzero_mask(tangents)
        count = len(jaxpr.outvars)
        program, nonzero_out = get_rewrites().jvp(jaxpr, nonzero, none(count))
        given = split(nonzero, tangents)[1]
        results = primitive.bind(*primals, *given, jaxpr=program, **params)
        return results[:count], expand_zeros(nonzero_out, results[count:], jaxpr.out_avals)

    @primitive.jet
    def _(
        primals: Sequence[Any],
        series: Sequence[list[Any] | None],
        order: int,
        *,
        jaxpr: Jaxpr,
        **params: Any,
    ) -> tuple[list[Any], list[list[Any] | None]]:
        count = len(jaxpr.outvars)
        program, nonzero_out = get_rewrites().jet(jaxpr, order, series_mask(series), none(count))
        results = primitive.bind(*primals, *flat_terms(series), jaxpr=program, **params)
        return results[:count], split_terms(nonzero_out, results[count:], order)

    @primitive.transpose
    def _(cts: Sequence[Any], *operands: Any, jaxpr: Jaxpr, **params: Any) -> list[Any]:
        def call(program: Jaxpr, args: Sequence[Any]) -> Sequence[Any]:
            return primitive.bind(*args, jaxpr=program, **params)

        return transpose_call(jaxpr, cts, operands, call)

    @primitive.strong_transpose
    def _(cts: Sequence[Any], *operands: Any, jaxpr: Jaxpr, **params: Any) -> list[Any]:
        def call(program: Jaxpr, args: Sequence[Any]) -> Sequence[Any]:
            return primitive.bind(*args, jaxpr=program, **params)

        return strong_transpose_call(jaxpr, cts, operands, call)

    @primitive.batch
    def _(
        args: Sequence[Any],
        batched: Sequence[bool],
        axis: BatchAxis,
        *,
        jaxpr: Jaxpr,
        **params: Any,
    ) -> tuple[list[Any], Mask]:
        program, batched_out = get_rewrites().batch(
            jaxpr, axis, tuple(batched), none(len(jaxpr.outvars))
        )
        return primitive.bind(*args, jaxpr=program, **params), batched_out

    @primitive.dce
    def _(used: Sequence[bool], eqn: Equation) -> Equation | None:
        jaxpr = eqn.params["jaxpr"]
        program, used_in = get_rewrites().dce(jaxpr, tuple(used))
        if program is jaxpr:
            return eqn
        return eqn.replace(
            invars=tuple(split(used_in, eqn.invars)[1]),
            outvars=tuple(split(used, eqn.outvars)[1]),
            params={**eqn.params, "jaxpr": program},
        )

    @primitive.lower_as
    def _(*args: Any, jaxpr: Jaxpr, **params: Any) -> list[Any]:
        return apply_jaxpr(jaxpr, args)


def instantiate_marked(mask: Iterable[bool], tangents: Iterable[Any]) -> list[Any]:
    """The marked tangents, as arrays."""
    return [instantiate(t) for m, t in zip(mask, tangents, strict=True) if m]
