"""From element expressions to kernels: reductions set apart, loops merged and numbered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from fnad.lowering.expr import Expr, affine_parts, axis, integer, make
from fnad.lowering.plan import Kernel, Origin, Reduction, Store
from fnad.lowering.walk import postorder, rebuild

Axes = tuple[tuple[int, int], ...]


def build_kernel(
    axes: Axes, stores: Sequence[Store], origin: Origin | None, sequential: bool = False
) -> Kernel:
    """Make the kernel that runs ``stores`` for every point of ``axes``."""
    roots = [e for s in stores for e in store_parts(s)]
    reduces = [e for e in postorder(roots, lambda e: not e.reduces) if e.op == "reduce"]
    numbers = {e: k for k, e in enumerate(reduces)}
    roots = rebuild(
        roots,
        lambda e: make("reduced", (), e.dtype, numbers[e]) if e in numbers else None,
    )
    reductions = [
        Reduction(e.attr.kind, e.attr.axes, e.args[0], e.attr.accumulator, e.dtype) for e in reduces
    ]
    stores = _with_parts(stores, roots)
    kernel = Kernel(axes, tuple(reductions), tuple(stores), False, sequential, origin)
    return remade(_without_divisions(kernel))


def mapped(kernel: Kernel, change: Callable[[list[Expr]], list[Expr]]) -> Kernel:
    """A kernel with all of its expressions changed, its loops as they are."""
    count = len(kernel.reductions)
    exprs = change([r.value for r in kernel.reductions] + list(_roots(kernel)))
    reductions = [replace(r, value=v) for r, v in zip(kernel.reductions, exprs[:count])]
    stores = _with_parts(kernel.stores, exprs[count:])
    return replace(kernel, reductions=tuple(reductions), stores=tuple(stores))


def remade(kernel: Kernel) -> Kernel:
    """The kernel with its loops merged where they run as one, and numbered."""
    axes, roots, values = _merge(
        kernel.axes, list(_roots(kernel)), [r.value for r in kernel.reductions]
    )
    reductions = []
    for r, value in zip(kernel.reductions, values, strict=True):
        inner, _, [value] = _merge(r.axes, [], [value])
        reductions.append(replace(r, axes=inner, value=value))
    return _renumber(
        Kernel(
            axes,
            tuple(reductions),
            tuple(_with_parts(kernel.stores, roots)),
            _parallel_inner(axes, reductions),
            kernel.sequential,
            kernel.origin,
        )
    )


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
    for e in postorder([r.value for r in kernel.reductions] + list(_roots(kernel))):
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


def _merge(
    axes: Axes, roots: list[Expr], values: list[Expr]
) -> tuple[Axes, list[Expr], list[Expr]]:
    """Run neighbouring loops as one wherever every index depends on them as on one.

    Before ``[i0<64, i1<8]: %1[8*i0 + i1] = %0[8*i0 + i1]``, after ``[i0<512]: %1[i0] = %0[i0]``.
    """
    count = len(roots)
    merged = [(n, extent) for n, extent in axes if extent != 1]
    forms: list[dict[Expr, int]] | None = None
    for position in range(len(merged) - 2, -1, -1):
        (outer, outer_extent), (inner, inner_extent) = merged[position : position + 2]
        a, b = axis(outer, outer_extent), axis(inner, inner_extent)
        if forms is None:
            forms = [affine_parts(form)[0] for form in index_forms([*roots, *values])]
        if all(f.get(a, 0) == f.get(b, 0) * inner_extent for f in forms):
            whole = axis(outer, outer_extent * inner_extent)
            replacement = {a: integer(0), b: whole}
            new = rebuild([*roots, *values], replacement.get)
            roots, values, forms = new[:count], new[count:], None
            merged[position : position + 2] = [whole.attr]
    return tuple(merged), roots, values


def index_forms(exprs: Sequence[Expr]) -> Iterable[Expr]:
    """The maximal affine forms in expressions."""
    forms = [e for e in exprs if e.op in ("affine", "axis")]
    for expr in postorder(exprs):
        if expr.op == "affine":
            # A term that is no leaf may hold forms of its own, which postorder finds.
            continue
        forms.extend(a for a in expr.args if a.op in ("affine", "axis"))
    return dict.fromkeys(forms)


# -- order and numbers -------------------------------------------------------------------------


def _parallel_inner(axes: Axes, reductions: Sequence[Reduction]) -> bool:
    """Whether what is reduced has unit stride along the innermost parallel axis."""
    if not axes or not reductions:
        return False
    innermost = axis(*axes[-1])
    votes = 0
    for r in reductions:
        reduced = {axis(*a) for a in r.axes}
        for expr in postorder([r.value]):
            if expr.op != "load":
                continue
            terms, _ = affine_parts(expr.args[0])
            # What does not vary along both is read the same way whichever runs inside.
            if innermost not in terms or reduced.isdisjoint(terms):
                continue
            if terms[innermost] == 1:
                votes += 1
            elif any(terms.get(a) == 1 for a in reduced):
                votes -= 1
    return votes > 0


def _renumber(kernel: Kernel) -> Kernel:
    """Number the axes 0, 1, ... in the order of the text."""
    numbers = [n for axes in (kernel.axes, *(r.axes for r in kernel.reductions)) for n, _ in axes]
    if numbers == list(range(len(numbers))):
        return kernel
    mapping: dict[Expr, Expr] = {}
    fresh = 0
    axes = []
    for a in kernel.axes:
        mapping[axis(*a)] = axis(fresh, a[1])
        axes.append((fresh, a[1]))
        fresh += 1
    reductions = []
    for r in kernel.reductions:
        inner, mine = [], dict(mapping)
        for a in r.axes:
            mine[axis(*a)] = axis(fresh, a[1])
            inner.append((fresh, a[1]))
            fresh += 1
        [value] = rebuild([r.value], mine.get)
        reductions.append(Reduction(r.kind, tuple(inner), value, r.accumulator, r.dtype))
    parts = rebuild(_roots(kernel), mapping.get)
    return Kernel(
        tuple(axes),
        tuple(reductions),
        tuple(_with_parts(kernel.stores, parts)),
        kernel.parallel_inner,
        kernel.sequential,
        kernel.origin,
    )
