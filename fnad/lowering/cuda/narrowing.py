"""Products of numbers of 16 bits, which a plan has converted to float32 first, without that.

The device's library takes them as they are, sums in float32 all the same, and rounds once; with
that it reads half as much, and multiplies many times as fast. So buffers of float32 that only hold
what has been of 16 bits are given that dtype (`narrowed`), before products are arranged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

import numpy as np

from fnad.core.types import is_half
from fnad.lowering.access import kernel_exprs, node_bodies, own_access, with_bodies
from fnad.lowering.cuda.correspondence import at_points, matrix_at
from fnad.lowering.cuda.cublas import leading, suits
from fnad.lowering.cuda.epilogues import variables_of
from fnad.lowering.cuda.product_kernels import NewBuffer, product_axes
from fnad.lowering.expr import B, Expr, axis, integer, load
from fnad.lowering.kernels import build_kernel, mapped
from fnad.lowering.plan import Contraction, Group, Kernel, Matrix, Node, Plan, Store
from fnad.lowering.tensors import linear, row_major
from fnad.lowering.walk import postorder, rebuild


def unconverted(element: Expr) -> Expr:
    """The element that is converted."""
    while element.op == "convert":
        element = element.args[0]
    return element


def library_product(
    c: Contraction, left: Expr, right: Expr, new_buffer: NewBuffer
) -> tuple[list[Node], Contraction]:
    """A product as the library can read it, behind what lays out its operands where it must.

    ``left`` and ``right`` are the elements of the operands, converted to the product's dtype.
    """
    axes, term = product_axes(c)
    *batch, row, column = axes
    sources = unconverted(left), unconverted(right)
    given = sources[0].dtype
    if is_half(given) and given == sources[1].dtype:
        left, right = sources
        c = replace(c, operands=None if given == c.dtype else given)
    nodes: list[Node] = []

    def place(element: Expr, loops: Sequence[tuple[int, int]], matrix: Matrix) -> Matrix:
        found = None
        if element.op == "load":
            found = matrix_at(element.attr, element.args[0], [axis(*a) for a in loops])
        if found is None or leading(found, loops[-2][1], loops[-1][1]) is None:
            found, kernel = _laid_out(element, loops, matrix.strides, new_buffer)
            nodes.append(replace(kernel, origin=c.origin))
        return found

    left_matrix = place(left, (*batch, row, term), c.left)
    right_matrix = place(right, (*batch, term, column), c.right)
    return nodes, replace(c, left=left_matrix, right=right_matrix)


def _laid_out(
    element: Expr,
    axes: Sequence[tuple[int, int]],
    strides: Sequence[int],
    new_buffer: NewBuffer,
) -> tuple[Matrix, Kernel]:
    """Elements in a dense buffer, and the kernel that writes them there.

    Batch axes for which they are the same, of stride 0, are none of the buffer.
    """
    kept = [i for i, s in enumerate(strides) if s != 0 or i >= len(strides) - 2]
    extents = tuple([axes[i][1] for i in kept])
    buffer = new_buffer(extents, element.dtype)
    steps = dict(zip(kept, row_major(extents)))
    place = linear(tuple([axis(*axes[i]) for i in kept]), extents)
    loops = tuple([axes[i] for i in kept])
    matrix = Matrix(buffer, integer(0), tuple([steps.get(i, 0) for i in range(len(axes))]))
    return matrix, build_kernel(loops, (Store(buffer, place, element),), None)


def moved_result(c: Contraction, reader: Kernel) -> Contraction | None:
    """A product that writes where a kernel would only have copied its result to."""
    variables = variables_of(c, reader)
    if variables is None or len(reader.stores) != 1:
        return None
    [store] = reader.stores
    if store.value.op != "load" or store.combine is not None or store.when is not None:
        return None
    [offset] = at_points([store.offset], variables)
    axes, _ = product_axes(c)
    place = matrix_at(store.buffer, offset, [axis(*a) for a in axes])
    moved = None if place is None else replace(c, out=place)
    return moved if moved is not None and suits(moved) else None


# -- buffers ------------------------------------------------------------------------------------

_FLOAT32 = np.dtype(np.float32)
DTypes = dict[int, np.dtype[Any]]


def narrowed(plan: Plan) -> Plan:
    """A plan in which float32 is stored in 16 bits where that loses nothing.

    That is so of a temporary all of whose elements were converted from 16 bits, and of the result
    of a product of such that every reader rounds.
    """
    nodes = list(_all_nodes(plan.body))
    wide = {b.number for b in plan.buffers if b.role in _INNER and b.dtype == _FLOAT32}
    stored = _stored_narrow(nodes, wide)
    if not stored:
        return plan
    dtypes = {b.number: b.dtype for b in plan.buffers} | stored
    rounded = _read_narrow(nodes, wide - stored.keys(), dtypes)
    change = _Change(stored, rounded)
    buffers = [
        replace(b, dtype=new) if (new := (stored | rounded).get(b.number)) else b
        for b in plan.buffers
    ]
    return replace(plan, buffers=tuple(buffers), body=tuple(change.schedule(plan.body)))


_INNER = ("temp", "local")


def _all_nodes(body: Sequence[Node]) -> Iterator[Node]:
    for node in body:
        yield node
        for inner in node_bodies(node):
            yield from _all_nodes(inner)


def _stored_narrow(nodes: Sequence[Node], wide: AbstractSet[int]) -> DTypes:
    """The buffers that hold only what was converted from one dtype of 16 bits."""
    found: dict[int, set[Any]] = {}
    for node in nodes:
        if isinstance(node, Kernel):
            for s in node.stores:
                converted = s.combine is None and s.value.op == "convert"
                given = s.value.args[0].dtype if converted else None
                found.setdefault(s.buffer, set()).add(given)
        else:
            read = isinstance(node, Contraction)
            for number in own_access(node).writes if read else own_access(node).touched:
                found.setdefault(number, set()).add(None)
    kept = {number: dtypes.pop() for number, dtypes in found.items() if len(dtypes) == 1}
    return {n: dtype for n, dtype in kept.items() if n in wide and dtype and is_half(dtype)}


def _read_narrow(nodes: Sequence[Node], wide: AbstractSet[int], dtypes: DTypes) -> DTypes:
    """The buffers of products of 16 bits that all readers round to these."""
    found: DTypes = {}
    touched = Counter(n for node in nodes for n in own_access(node).writes)
    for node in nodes:
        if isinstance(node, Contraction) and node.out.buffer in wide and not node.accumulate:
            given, other = dtypes[node.left.buffer], dtypes[node.right.buffer]
            if is_half(given) and given == other and touched[node.out.buffer] == 1:
                found[node.out.buffer] = given
    for node in nodes:
        if isinstance(node, Kernel):
            exprs = kernel_exprs(node)
            read = {e.attr for e in exprs if e.op == "load"}
            for e in postorder(exprs):
                for arg in e.args:
                    if arg.op == "load" and found.get(arg.attr) != _rounded_to(e):
                        read.add(arg.attr)
        else:
            read = set(own_access(node).reads)
        for number in read:
            found.pop(number, None)
    return found


def _rounded_to(e: Expr) -> np.dtype[Any] | None:
    return e.dtype if e.op == "convert" else None


class _Change:
    """Nodes with other dtypes of buffers: those ``stored`` so, and those read ``rounded``."""

    def __init__(self, stored: DTypes, rounded: DTypes) -> None:
        self.stored, self.rounded = stored, rounded
        self.dtypes = stored | rounded

    def schedule(self, body: Iterable[Node]) -> list[Node]:
        return [self.node(node) for node in body]

    def node(self, node: Node) -> Node:
        if isinstance(node, (Kernel, Contraction)):
            return self.leaf(node)
        if isinstance(node, Group):
            members = [replace(m, node=self.leaf(m.node)) for m in node.members]
            return replace(node, members=tuple(members))
        return with_bodies(node, self.schedule)

    def leaf(self, node: Kernel | Contraction) -> Kernel | Contraction:
        if isinstance(node, Kernel):
            return self.kernel(node)
        return replace(node, dtype=self.rounded.get(node.out.buffer, node.dtype))

    def kernel(self, kernel: Kernel) -> Kernel:
        if own_access(kernel).touched.isdisjoint(self.dtypes):
            return kernel
        stores = [
            replace(s, value=s.value.args[0]) if s.buffer in self.stored else s
            for s in kernel.stores
        ]
        return mapped(
            replace(kernel, stores=tuple(stores)), lambda exprs: rebuild(exprs, self.element)
        )

    def element(self, e: Expr) -> Expr | None:
        """What stands for an element of a buffer whose dtype is another one."""
        source = e.args[0] if e.op == "convert" else e
        dtype = self.dtypes.get(source.attr) if source.op == "load" else None
        if dtype is None or (e is not source and e.dtype != dtype):
            return None
        narrow = load(source.attr, source.args[0], dtype)
        return B.convert(narrow, e.dtype)
