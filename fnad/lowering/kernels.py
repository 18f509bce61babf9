"""From element expressions to kernels: reductions set apart, loops merged and numbered."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from fnad.lowering.expr import B, Expr, affine_parts, axis, integer, make
from fnad.lowering.plan import Kernel, Origin, Reduction, Store
from fnad.lowering.walk import loads, postorder, rebuild

Axes = tuple[tuple[int, int], ...]

# What is so far apart is read one by one.
_NEAR = 8

# How two parts of a reduction make one, for the kinds whose parts can be taken in any order.
COMBINE: dict[str, Callable[[Expr, Expr], Expr]] = {
    "add": B.add,
    "multiply": B.multiply,
    "max": B.maximum,
    "min": B.minimum,
    "and": B.bitwise_and,
    "or": B.bitwise_or,
}


def build_kernel(
    axes: Axes, stores: Sequence[Store], origin: Origin | None, sequential: bool = False
) -> Kernel:
    """Make the kernel that runs ``stores`` for every point of ``axes``."""
    roots = [e for s in stores for e in store_parts(s)]
    reduces: list[Expr] = []
    if any(e.reduces for e in roots):
        reduces = [e for e in postorder(roots, lambda e: not e.reduces) if e.op == "reduce"]
        named = {e: make("reduced", (), e.dtype, k) for k, e in enumerate(reduces)}
        stores = _with_parts(stores, rebuild(roots, lambda e: named.get(e) if e.reduces else e))
    reductions = [
        Reduction(e.attr.kind, e.attr.axes, e.args[0], e.attr.accumulator, e.dtype) for e in reduces
    ]
    kernel = Kernel(axes, tuple(reductions), tuple(stores), False, sequential, origin)
    if any(e.divides for e in roots):
        kernel = _without_divisions(kernel)
    return remade(kernel)


def mapped(kernel: Kernel, change: Callable[[list[Expr]], list[Expr]]) -> Kernel:
    """A kernel with all of its expressions changed, its loops as they are."""
    exprs = change([*(r.value for r in kernel.reductions), *_roots(kernel)])
    return _with_exprs(kernel, kernel.axes, [r.axes for r in kernel.reductions], exprs)


def _with_exprs(
    kernel: Kernel, axes: Axes, reduced: Sequence[Axes], exprs: Sequence[Expr]
) -> Kernel:
    """A kernel with other loops and expressions, first the values of reductions."""
    reductions = tuple(
        [
            Reduction(r.kind, loops, value, r.accumulator, r.dtype)
            for r, loops, value in zip(kernel.reductions, reduced, exprs)
        ]
    )
    stores = tuple(_with_parts(kernel.stores, exprs[len(reductions) :]))
    flags = kernel.parallel_inner, kernel.sequential
    return Kernel(axes, reductions, stores, *flags, kernel.origin)


def remade(kernel: Kernel) -> Kernel:
    """The kernel with its loops merged where they run as one, and numbered in order.

    Before ``[i0<64, i1<8]: %1[8*i0 + i1] = %0[8*i0 + i1]``, after ``[i0<512]: %1[i0] = %0[i0]``.
    """
    if not (kernel.reductions or kernel.parallel_inner) and _is_one_loop(kernel.axes):
        return kernel
    values = [r.value for r in kernel.reductions]
    roots = _roots(kernel)
    axes, mapping = _merged(kernel.axes, [*roots, *values], 0)
    count, reduced = len(axes), []
    for i, r in enumerate(kernel.reductions):
        loops, inner = _merged(r.axes, [r.value], count)
        [values[i]] = _renamed([r.value], {**mapping, **inner})
        reduced.append(loops)
        count += len(loops)
    made = _with_exprs(kernel, axes, reduced, [*values, *_renamed(roots, mapping)])
    made.parallel_inner = _parallel_inner(made.axes, made.reductions)
    return made


def _is_one_loop(axes: Axes) -> bool:
    return not axes or (len(axes) == 1 and axes[0][0] == 0 and axes[0][1] != 1)


def _renamed(exprs: list[Expr], mapping: Mapping[Expr, Expr]) -> list[Expr]:
    if all(old is new for old, new in mapping.items()):
        return exprs
    return rebuild(exprs, mapping.get)


def _roots(kernel: Kernel) -> list[Expr]:
    return [e for s in kernel.stores for e in store_parts(s)]


def store_parts(store: Store) -> tuple[Expr, ...]:
    """The expressions of a store."""
    if store.when is None:
        return store.offset, store.value
    return store.offset, store.value, store.when


def _with_parts(stores: Sequence[Store], parts: Iterable[Expr]) -> list[Store]:
    items = iter(parts)
    return [
        Store(
            s.buffer,
            next(items),
            next(items),
            s.combine,
            next(items) if s.when is not None else None,
        )
        for s in stores
    ]


# -- splitting of loops ------------------------------------------------------------------------

_MAX_SPLITS = 8


def _without_divisions(kernel: Kernel) -> Kernel:
    """Run a loop as two where indices divide its variable, as those of a reshaped transpose do.

    Before ``[i0<64]: %1[i0] = %0[16 * (i0 % 4) + i0 / 4]``, after
    ``[i0<16, i1<4]: %1[4*i0 + i1] = %0[16*i1 + i0]``.
    """
    for _ in range(_MAX_SPLITS):
        found = _divided_axis(kernel)
        if found is None:
            break
        kernel = _with_split_axis(kernel, *found)
    return kernel


def _divided_axis(kernel: Kernel) -> tuple[tuple[int, int], int] | None:
    """A loop variable that is divided by a constant which its extent is a multiple of."""
    roots = [*[r.value for r in kernel.reductions], *_roots(kernel)]
    axes = {a for loops in (kernel.axes, *(r.axes for r in kernel.reductions)) for a in loops}
    for e in postorder(roots, lambda e: not e.divides):
        if e.op in ("divide", "remainder") and e.args[0].op == "axis":
            variable, divisor = e.args
            if divisor.op == "constant" and variable.attr in axes:
                c = int(divisor.attr)
                if c > 1 and variable.attr[1] % c == 0 and c < variable.attr[1]:
                    return variable.attr, c
    return None


def _with_split_axis(kernel: Kernel, old: tuple[int, int], inner: int) -> Kernel:
    loops = (kernel.axes, *(r.axes for r in kernel.reductions))
    first = 1 + max(n for axes in loops for n, _ in axes)
    parts = (first, old[1] // inner), (first + 1, inner)
    variable, whole = axis(*old), axis(*parts[0]) * inner + axis(*parts[1])

    def split(axes: Axes) -> Axes:
        return tuple(new for a in axes for new in (parts if a == old else (a,)))

    kernel = replace(
        kernel,
        axes=split(kernel.axes),
        reductions=tuple(replace(r, axes=split(r.axes)) for r in kernel.reductions),
    )
    return mapped(kernel, lambda exprs: rebuild(exprs, lambda e: whole if e is variable else None))


# -- merging of loops --------------------------------------------------------------------------


def _merged(axes: Axes, exprs: Sequence[Expr], first: int) -> tuple[Axes, Mapping[Expr, Expr]]:
    """Run neighbouring loops as one wherever every index depends on them as on one.

    Loops are numbered from ``first`` on; returns also what becomes of their variables.
    """
    forms = tuple(index_forms(exprs)) if len(axes) > 1 else ()
    return _merged_loops(axes, forms, first)


@functools.lru_cache(maxsize=1024)
def _merged_loops(
    axes: Axes, forms: tuple[Expr, ...], first: int
) -> tuple[Axes, Mapping[Expr, Expr]]:
    """The same by what is read of expressions: their affine forms."""
    mapping: dict[Expr, Expr] = {}
    merged: list[tuple[Expr, int]] = []  # the innermost variable of each loop, its extent
    terms = [affine_parts(form)[0] for form in forms]
    for number, extent in reversed(axes):
        variable = axis(number, extent)
        mapping[variable] = integer(0)
        if extent == 1:
            continue
        if merged:
            inner, size = merged[-1]
            if all(t.get(variable, 0) == t.get(inner, 0) * size for t in terms):
                merged[-1] = inner, size * extent
                continue
        merged.append((variable, extent))
    merged.reverse()
    for number, (variable, extent) in enumerate(merged, first):
        mapping[variable] = axis(number, extent)
    return tuple([(number, extent) for number, (_, extent) in enumerate(merged, first)]), mapping


_FORMS = frozenset({"affine", "axis"})


def index_forms(exprs: Sequence[Expr]) -> Iterable[Expr]:
    """The maximal affine forms in expressions."""
    forms = {e: None for e in exprs if e.op in _FORMS}
    seen: set[Expr] = set()
    stack = list(exprs)
    while stack:
        expr = stack.pop()
        if expr in seen or not expr.args:
            continue
        seen.add(expr)
        # A term of a form that is no leaf may hold forms of its own.
        if expr.op != "affine":
            for arg in expr.args:
                if arg.op in _FORMS:
                    forms[arg] = None
        stack += expr.args
    return forms


def _parallel_inner(axes: Axes, reductions: Sequence[Reduction]) -> bool:
    """Whether neighbours along the innermost parallel axis are nearer than terms are.

    Those are best worked through in vectors of points: the parts of complex numbers, which are two
    apart, are picked out of vectors.
    """
    if not axes or not reductions:
        return False
    innermost = axis(*axes[-1])
    votes = 0
    for r in reductions:
        reduced = {axis(*a) for a in r.axes}
        for expr in loads([r.value]):
            terms, _ = affine_parts(expr.args[0])
            # What does not vary along both is read the same way whichever runs inside.
            if innermost not in terms or reduced.isdisjoint(terms):
                continue
            stride = terms[innermost]
            nearest = min([abs(terms[a]) for a in reduced if a in terms])
            if stride == 1 or 0 < stride < min(nearest, _NEAR):
                votes += 1
            elif nearest == 1:
                votes -= 1
    return votes > 0
