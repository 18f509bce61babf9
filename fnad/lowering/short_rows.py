"""Short rows in one loop: what is reduced of a row, and what is then made of its elements.

Before, rows are read twice, by vectors of a row the second time, which it does not fill::

    kernel [i0<1000]
      reduce [i1<3]: r0 add= %0[3*i0 + i1]
      %1[i0] = r0
    kernel [i0<1000, i1<3]
      %2[3*i0 + i1] = %0[3*i0 + i1] / %1[i0]

After, vectors run across rows (`fnad.lowering.llvm.interleaved`), whose elements are read once;
what is known of a row, such as whether a select took it, stays in a register::

    kernel [i0<1000]
      reduce [i1<3]: r0 add= %0[3*i0 + i1]
      %2[3*i0] = %0[3*i0] / r0
      %2[3*i0 + 1] = %0[3*i0 + 1] / r0
      %2[3*i0 + 2] = %0[3*i0 + 2] / r0
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial

from fnad.lowering.access import access, with_bodies
from fnad.lowering.costs import cost_of
from fnad.lowering.expr import Expr, affine_parts, axis, integer
from fnad.lowering.fusion import common_axes, merge_kernels, over_axes, without_dead_stores
from fnad.lowering.kernels import Axes
from fnad.lowering.plan import Buffer, Kernel, Node, Store
from fnad.lowering.walk import below, loads, rebuild

# Fewer rows do not fill vectors.
_MIN_ROWS = 16
# Rows of more bytes fill so much of a vector that runs along them that sorting elements apart and
# together gains nothing, but where it saves to read them again.
_MAX_BYTES = 24
# The elements of a row are written out. Where they cost more, times their bytes, it gains nothing
# to fill vectors with them: fewer rows are on their way at a time.
_MAX_COST = 560
# Reductions of rows of so many elements are written out, in vectors across rows, two of which hold
# so many rows of the smallest elements; shorter blocks do not become whole vectors.
_WRITTEN_OUT = 9
_VECTOR_ROWS = 16
_MANY_ROWS = 64
# So much is hardly in a cache when a program begins to run.
_FAR_BYTES = 16 << 20
# How many nodes before a kernel may be the one that it waits for.
_NEAR = 16


def join_short_rows(
    body: Sequence[Node], buffers: Sequence[Buffer], longest: int
) -> Sequence[Node]:
    """A schedule in which rows of at most ``longest`` elements are worked through once."""
    joined = _joined(body, longest)
    return body if joined == body else without_dead_stores(joined, buffers)


def _joined(body: Sequence[Node], longest: int) -> list[Node]:
    nodes: list[Node] = []
    for node in body:
        node = with_bodies(node, partial(_joined, longest=longest))
        if isinstance(node, Kernel) and _may_join(node, longest):
            if _join(nodes, node):
                continue
            node = _written_out(node)
        nodes.append(node)
    return nodes


def _written_out(kernel: Kernel) -> Kernel:
    """The elements of rows as stores of their own, as far as vectors across rows suit them.

    Dense rows that are read as they are written are no axis; so these repeat elements, as
    ``repeat`` does.
    """
    axes = kernel.axes
    if len(axes) < 2 or axes[-2][1] < _MIN_ROWS or not _suits(kernel.stores, axes):
        return kernel
    if _fills_much(kernel, axes[-1][1]):
        return kernel
    return Kernel(axes[:-1], (), _by_columns(kernel.stores, axes[-1]), origin=kernel.origin)


def _may_join(kernel: Kernel, longest: int) -> bool:
    if kernel.reductions or kernel.sequential or not kernel.axes:
        return False
    return type(kernel.axes[-1][1]) is int and kernel.axes[-1][1] <= longest


def _join(nodes: list[Node], kernel: Kernel) -> bool:
    """Let the last node that a kernel has to wait for do its work, too, if it can."""
    found = access(kernel)
    for position in range(len(nodes) - 1, max(len(nodes) - _NEAR, 0) - 1, -1):
        earlier = nodes[position]
        if access(earlier).conflicts(found):
            merged = with_rows(earlier, kernel) if isinstance(earlier, Kernel) else None
            if merged is not None:
                nodes[position] = merged
            return merged is not None
    return False


def with_rows(first: Kernel, second: Kernel) -> Kernel | None:
    """A kernel that reduces rows, and then does with their elements what another kernel does."""
    length = second.axes[-1][1]
    if not first.axes or not _reduces_rows(first, length):
        return None
    axes = common_axes((*first.axes, (len(first.axes), length)), second.axes)
    if axes is None or axes[-1][1] != length or axes[-2][1] < _MIN_ROWS:
        return None
    first, second = over_axes(first, axes[:-1]), over_axes(second, axes)
    if not _suits(second.stores, axes):
        return None
    if _fills_much(second, length) and not _reads_same_rows(first, second, axes):
        return None
    stores = _by_columns(second.stores, axes[-1])
    return merge_kernels(first, Kernel(axes[:-1], (), stores, origin=second.origin))


def _suits(stores: Sequence[Store], axes: Axes) -> bool:
    """Whether the elements of rows cost little, and lie so that vectors across rows are quick."""
    values = [s.value for s in stores]
    if axes[-1][1] * cost_of(values) * max([v.dtype.itemsize for v in values]) > _MAX_COST:
        return False
    return all(_is_dense(s, axes) for s in stores) and _reads_rows(stores, axes)


def _by_columns(stores: Sequence[Store], row: tuple[int, int]) -> tuple[Store, ...]:
    """The elements of a row one by one."""
    parts = [part for s in stores for part in (s.offset, s.value)]
    columns = [rebuild(parts, {axis(*row): integer(k)}.get) for k in range(row[1])]
    return tuple(
        Store(s.buffer, column[2 * i], column[2 * i + 1])
        for i, s in enumerate(stores)
        for column in columns
    )


def _reduces_rows(kernel: Kernel, length: int) -> bool:
    """Whether all that a kernel reduces is along rows of a length that lie behind each other."""
    row = axis(*kernel.axes[-1])
    found = False
    for r in kernel.reductions:
        if [extent for _, extent in r.axes] != [length]:
            return False
        element = axis(*r.axes[0])
        for e in loads([r.value]):
            terms, _ = affine_parts(e.args[0])
            found = found or (terms.get(row) == length and terms.get(element) == 1)
    return found and not kernel.parallel_inner


def _is_dense(store: Store, axes: Axes) -> bool:
    """Whether a store writes whole short rows, one behind the other, in elements of some bytes."""
    size = store.value.dtype.itemsize
    if store.combine is not None or store.when is not None:
        return False
    if size < 4:
        return False
    terms, _ = affine_parts(store.offset)
    return terms.get(axis(*axes[-1])) == 1 and terms.get(axis(*axes[-2])) == axes[-1][1]


def _reads_rows(stores: Iterable[Store], axes: Axes) -> bool:
    """Whether vectors across rows find what they read side by side, or in rows."""
    row, element = axis(*axes[-2]), axis(*axes[-1])
    for e in loads([s.value for s in stores]):
        terms, _ = affine_parts(e.args[0])
        if any(_depends(t, (row, element)) for t in terms if t not in (row, element)):
            return False
        stride = terms.get(row, 0)
        if stride not in (0, 1) and (stride, terms.get(element)) != (axes[-1][1], 1):
            return False
    return True


def _fills_much(kernel: Kernel, length: int) -> bool:
    return length * max([s.value.dtype.itemsize for s in kernel.stores]) > _MAX_BYTES


def _reads_same_rows(first: Kernel, second: Kernel, axes: Axes) -> bool:
    """Whether the second kernel reads no rows that the first one does not reduce."""
    row, length = axis(*axes[-2]), axes[-1][1]
    reduced = {e.attr for e in loads([r.value for r in first.reductions])}
    return all(
        e.attr in reduced
        for e in loads([s.value for s in second.stores])
        if affine_parts(e.args[0])[0].get(row) == length
    )


def _depends(term: Expr, variables: Sequence[Expr]) -> bool:
    return term.op != "axis" and not set(variables).isdisjoint(below(term))


def reduces_short_rows(node: Node) -> bool:
    """Whether a node computes a number of each row, with vectors across short rows."""
    if not isinstance(node, Kernel) or len(node.axes) != 1:
        return False
    return any(math.prod(n for _, n in r.axes) <= _WRITTEN_OUT for r in node.reductions)


def block_of_vectors(block: int, extent: int, row_bytes: int) -> int:
    """How many rows to run at a time where others would run ``block`` of all of them.

    Vectors of rows are full: the last one of other blocks is written under a mask, and what then
    reads parts of it has to wait until it, and all that was written before, has reached a cache.
    Blocks of what comes from afar are smaller than others: rows that are read again so soon stand
    in the way of what is fetched and written meanwhile. If there are few blocks, about as many
    should lie in each eighth of the rows, for threads.
    """
    if block < _MANY_ROWS:
        return block
    near = max(block // 2 if extent * row_bytes > _FAR_BYTES else block, 2 * _VECTOR_ROWS)
    lowest = -(-3 * near // (4 * _VECTOR_ROWS)) * _VECTOR_ROWS
    sizes = range(lowest, 9 * near // 8 + 1, _VECTOR_ROWS)
    eighth = -(-extent // 8)
    return min(sizes, key=lambda rows: (-eighth % rows * 50 // eighth, abs(rows - near)))
