"""From element expressions to kernels: reductions set apart, loops merged and numbered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from fnad.lowering.expr import B, Expr, affine_parts, axis, integer, make
from fnad.lowering.plan import Kernel, Origin, Reduction, Store
from fnad.lowering.walk import loads, postorder, rebuild

Axes = tuple[tuple[int, int], ...]

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
    reduces = [e for e in postorder(roots, lambda e: not e.reduces) if e.op == "reduce"]
    if reduces:
        named = {e: make("reduced", (), e.dtype, k) for k, e in enumerate(reduces)}
        stores = _with_parts(stores, rebuild(roots, named.get))
    reductions = [
        Reduction(e.attr.kind, e.attr.axes, e.args[0], e.attr.accumulator, e.dtype) for e in reduces
    ]
    kernel = Kernel(axes, tuple(reductions), tuple(stores), False, sequential, origin)
    return remade(_without_divisions(kernel))


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
    mapping: dict[Expr, Expr] = {}
    values = [r.value for r in kernel.reductions]
    roots = list(_roots(kernel))
    axes = _merged(kernel.axes, [*roots, *values], 0, mapping)
    count, reduced = len(axes), []
    for i, r in enumerate(kernel.reductions):
        mine = dict(mapping)
        loops = _merged(r.axes, [r.value], count, mine)
        values[i] = _renamed([r.value], mine)[0]
        reduced.append(loops)
        count += len(loops)
    made = _with_exprs(kernel, axes, reduced, [*values, *_renamed(roots, mapping)])
    parallel_inner = _parallel_inner(made.axes, made.reductions)
    return (
        made
        if parallel_inner == made.parallel_inner
        else replace(made, parallel_inner=parallel_inner)
    )


def _renamed(exprs: list[Expr], mapping: dict[Expr, Expr]) -> list[Expr]:
    if all(old is new for old, new in mapping.items()):
        return exprs
    return rebuild(exprs, mapping.get)


def _roots(kernel: Kernel) -> Iterable[Expr]:
    return (e for s in kernel.stores for e in store_parts(s))


def store_parts(store: Store) -> list[Expr]:
    """The expressions of a store."""
    return [store.offset, store.value] + ([store.when] if store.when is not None else [])


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
    axes = {a for loops in (kernel.axes, *(r.axes for r in kernel.reductions)) for a in loops}
    roots = [*(r.value for r in kernel.reductions), *_roots(kernel)]
    for e in postorder(roots, lambda e: not e.divides):
        if e.op in ("divide", "remainder") and e.args[0].op == "axis":
            variable, divisor = e.args
            if divisor.op == "constant" and variable.attr in axes:
                c = int(divisor.attr)
                if 1 < c < variable.attr[1] and variable.attr[1] % c == 0:
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


def _merged(axes: Axes, exprs: Sequence[Expr], first: int, mapping: dict[Expr, Expr]) -> Axes:
    """Run neighbouring loops as one wherever every index depends on them as on one.

    Loops are numbered from ``first`` on; ``mapping`` takes what becomes of their variables.
    """
    merged: list[tuple[Expr, int]] = []  # the innermost variable of each loop, its extent
    terms: list[dict[Expr, int]] | None = None
    for number, extent in reversed(axes):
        variable = axis(number, extent)
        mapping[variable] = integer(0)
        if extent == 1:
            continue
        if merged:
            inner, size = merged[-1]
            if terms is None:
                terms = [affine_parts(form)[0] for form in index_forms(exprs)]
            if all(t.get(variable, 0) == t.get(inner, 0) * size for t in terms):
                merged[-1] = inner, size * extent
                continue
        merged.append((variable, extent))
    merged.reverse()
    for number, (variable, extent) in enumerate(merged, first):
        mapping[variable] = axis(number, extent)
    return tuple([(number, extent) for number, (_, extent) in enumerate(merged, first)])


def index_forms(exprs: Sequence[Expr]) -> Iterable[Expr]:
    """The maximal affine forms in expressions."""
    forms = [e for e in exprs if e.op in ("affine", "axis")]
    for expr in postorder(exprs):
        if expr.op == "affine":
            # A term that is no leaf may hold forms of its own, which postorder finds.
            continue
        forms.extend(a for a in expr.args if a.op in ("affine", "axis"))
    return dict.fromkeys(forms)


def _parallel_inner(axes: Axes, reductions: Sequence[Reduction]) -> bool:
    """Whether what is reduced has unit stride along the innermost parallel axis."""
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
            if terms[innermost] == 1:
                votes += 1
            elif any(terms.get(a) == 1 for a in reduced):
                votes -= 1
    return votes > 0
