"""Nodes over few elements, written out element by element.

Inside a loop of the plan such a node costs less than the call of a function: its elements are
expressions at constant places, which a backend may keep in registers.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from fnad.core.types import computing_dtype
from fnad.lowering.access import kernel_exprs
from fnad.lowering.costs import operations_of
from fnad.lowering.expr import B, Expr, Reduce, axis, integer, load, reduce
from fnad.lowering.kernels import COMBINE, build_kernel, store_parts
from fnad.lowering.plan import Buffer, Contraction, Copy, Kernel, Matrix, Node, Reduction, Store
from fnad.lowering.walk import rebuild

Axes = tuple[tuple[int, int], ...]
# The stores of each point of a node, in order.
Points = list[tuple[Store, ...]]

# Elements of a kernel, and terms of a reduction, that are written out.
MAX_ELEMENTS = 16
# Operations of a node when it is written out.
MAX_OPERATIONS = 1000


def written_out(node: Node, buffers: Mapping[int, Buffer]) -> Points | None:
    """The stores of each point of a node, free of loop variables; None if they are too many.

    Before ``[i0<2]: %1[i0] = where(less(i0, 1), %0[0], %0[i0])``, after ``%1[0] = %0[0]`` and
    ``%1[1] = %0[1]``.
    """
    if isinstance(node, Kernel):
        return [tuple(_stores(node, p)) for p in _points(node.axes)] if _few(node) else None
    if isinstance(node, Copy):
        return _copies(node, buffers) if node.size <= MAX_ELEMENTS else None
    if isinstance(node, Contraction):
        count = math.prod(node.batch) * node.m * node.n * node.k
        return _products(node, buffers) if 2 * count <= MAX_OPERATIONS else None
    return None


def as_kernel(node: Node, buffers: Mapping[int, Buffer]) -> Kernel | None:
    """A copy or a matrix product as loops; a kernel as it is, other nodes as None."""
    if isinstance(node, Copy):
        i = axis(0, node.size)
        value = load(node.source, node.source_offset + i, buffers[node.source].dtype)
        return Kernel(((0, node.size),), (), (Store(node.out, node.out_offset + i, value),))
    if isinstance(node, Contraction):
        return _product_loops(node, buffers)
    return node if isinstance(node, Kernel) else None


def _count(axes: Axes) -> int:
    return math.prod(extent for _, extent in axes)


def _few(kernel: Kernel) -> bool:
    elements = _count(kernel.axes)
    terms = max((_count(r.axes) for r in kernel.reductions), default=1)
    if max(elements, terms) > MAX_ELEMENTS or any(r.kind not in COMBINE for r in kernel.reductions):
        return False
    return operations_of(kernel_exprs(kernel)) * elements * terms <= MAX_OPERATIONS


def _points(axes: Axes) -> Iterator[dict[Expr, Expr]]:
    for place in itertools.product(*(range(extent) for _, extent in axes)):
        yield {axis(*a): integer(i) for a, i in zip(axes, place, strict=True)}


def _stores(kernel: Kernel, point: dict[Expr, Expr]) -> Iterator[Store]:
    totals: list[Expr] = []

    def leaf(expr: Expr) -> Expr | None:
        return totals[expr.attr] if expr.op == "reduced" else point.get(expr)

    for r in kernel.reductions:
        totals.append(_reduced(r, leaf))
    for s in kernel.stores:
        offset, value, *when = rebuild(store_parts(s), leaf)
        yield Store(s.buffer, offset, value, s.combine, when[0] if when else None)


def _reduced(r: Reduction, leaf: Callable[[Expr], Expr | None]) -> Expr:
    terms = []
    for point in _points(r.axes):
        [term] = rebuild([r.value], functools.partial(_first, point, leaf))
        terms.append(B.convert(term, r.accumulator))
    return B.convert(_balanced(COMBINE[r.kind], terms), r.dtype)


def _first(
    point: Mapping[Expr, Expr], leaf: Callable[[Expr], Expr | None], expr: Expr
) -> Expr | None:
    found = point.get(expr)
    return leaf(expr) if found is None else found


def _balanced(combine: Callable[[Expr, Expr], Expr], terms: list[Expr]) -> Expr:
    """A reduction as a balanced tree, whose additions need not wait for each other."""
    while len(terms) > 1:
        pairs = [combine(x, y) for x, y in zip(terms[::2], terms[1::2])]
        terms = pairs + terms[2 * len(pairs) :]
    return terms[0]


def _copies(node: Copy, buffers: Mapping[int, Buffer]) -> Points:
    dtype = buffers[node.source].dtype
    return [
        (Store(node.out, node.out_offset + i, load(node.source, node.source_offset + i, dtype)),)
        for i in range(node.size)
    ]


def _place(m: Matrix, index: Sequence[Expr]) -> Expr:
    return m.offset + sum(i * stride for i, stride in zip(index, m.strides, strict=True))


def _term(node: Contraction, buffers: Mapping[int, Buffer], index: Sequence[Expr], k: Expr) -> Expr:
    """One product, in the dtype in which products are summed up."""
    *batch, i, j = index
    dtype = buffers[node.out.buffer].dtype
    wide = computing_dtype(dtype)
    sides = (node.left, (*batch, i, k)), (node.right, (*batch, k, j))
    x, y = (load(m.buffer, _place(m, at), buffers[m.buffer].dtype) for m, at in sides)
    return B.multiply(B.convert(x, wide), B.convert(y, wide))


def _products(node: Contraction, buffers: Mapping[int, Buffer]) -> Points:
    dtype = buffers[node.out.buffer].dtype
    points: Points = []
    for numbers in itertools.product(*map(range, (*node.batch, node.m, node.n))):
        index = [integer(n) for n in numbers]
        terms = [_term(node, buffers, index, integer(k)) for k in range(node.k)]
        total = B.convert(_balanced(B.add, terms), dtype)
        combine = "add" if node.accumulate else None
        points.append((Store(node.out.buffer, _place(node.out, index), total, combine),))
    return points


def _product_loops(node: Contraction, buffers: Mapping[int, Buffer]) -> Kernel:
    extents = (*node.batch, node.m, node.n)
    axes = tuple((number, extent) for number, extent in enumerate(extents) if extent > 1)
    index = [
        axis(number, extent) if extent > 1 else integer(0) for number, extent in enumerate(extents)
    ]
    dtype = buffers[node.out.buffer].dtype
    summed = axis(len(extents), node.k)
    value = _term(node, buffers, index, summed if node.k > 1 else integer(0))
    if node.k > 1:
        value = reduce(Reduce("add", (summed.attr,), value.dtype), value, value.dtype)
    combine = "add" if node.accumulate else None
    store = Store(node.out.buffer, _place(node.out, index), B.convert(value, dtype), combine)
    return build_kernel(axes, (store,), node.origin)
