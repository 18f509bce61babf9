"""Results that are only copied are written where the copy goes.

The parts of a complex array that come from one kernel (a pass of a Fourier transform, say) are
laid side by side by another one. Before::

    kernel [i0<8]: %1[i0] = v0; %2[i0] = v1; kernel [i0<8]: %3[2*i0] = %1[i0]; %3[2*i0+1] = %2[i0]

after::

    kernel [i0<8]: %3[2*i0] = v0; %3[2*i0+1] = v1

The copy may run over the elements in another order: then the loops of the kernel are split so that
each goes along one axis of the copy. Vectors must still find their elements side by side.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from fnad.lowering.access import Access, access, node_bodies, own_access, with_bodies
from fnad.lowering.expr import Expr, affine, affine_parts, axis
from fnad.lowering.fusion import over_axes
from fnad.lowering.plan import Buffer, Kernel, Node, Store
from fnad.lowering.walk import rebuild

# Vectors run along so many elements, or several times as many, so that they are full.
_PIECE = 16

# A first cache holds so few lines whose addresses differ by multiples of so many bytes: what is
# written to more of them at a time is better laid out by a copy, in its own order.
_WAYS, _WAY_BYTES, _LINE_BYTES = 8, 4096, 64

# By what a buffer's elements are numbered in a copy: each axis and its stride, the smallest first.
Digits = list[tuple[Expr, int]]


def forward_stores(body: Sequence[Node], buffers: Sequence[Buffer]) -> list[Node]:
    """A schedule without copies of temporaries that kernels can write elsewhere at once."""
    readers: dict[int, int] = {}
    pending = [list(body)]
    while pending:
        for node in pending.pop():
            for number in own_access(node).reads:
                readers[number] = readers.get(number, 0) + 1
            pending += map(list, node_bodies(node))
    own = {b.number for b in buffers if b.role == "temp" and readers.get(b.number) == 1}
    return _forwarded(body, own, buffers)


def _forwarded(body: Sequence[Node], own: set[int], buffers: Sequence[Buffer]) -> list[Node]:
    """``own`` are the temporaries that only one node reads."""
    nodes = [with_bodies(n, lambda inner: _forwarded(inner, own, buffers)) for n in body]
    found: list[Node | None] = []
    accesses: list[Access] = []
    for node in nodes:
        copied = _copied(node, buffers)
        if copied is not None and copied.keys() <= own:
            position = _position(copied.keys(), accesses)
            if position is not None and _is_free(node, position, accesses):
                assert isinstance(node, Kernel)
                writer = _writing_there(found[position], node, copied)
                if writer is not None:
                    found[position], accesses[position] = writer, access(writer)
                    continue
        found.append(node)
        accesses.append(access(node))
    return [n for n in found if n is not None]


def _copied(node: Node, buffers: Sequence[Buffer]) -> dict[int, tuple[Store, Digits]] | None:
    """What a kernel does that only copies whole buffers, by the buffers copied."""
    if not isinstance(node, Kernel) or node.reductions or node.sequential:
        return None
    found: dict[int, tuple[Store, Digits]] = {}
    for s in node.stores:
        if s.value.op != "load" or s.combine is not None or s.when is not None:
            return None
        digits = _digits(s.value.args[0], node, buffers[s.value.attr].size)
        if digits is None or s.value.attr in found:
            return None
        found[s.value.attr] = s, digits
    return found


def _digits(offset: Expr, kernel: Kernel, size: int) -> Digits | None:
    """The axes of a kernel by their strides in a buffer, if each element is there once."""
    terms, constant = affine_parts(offset)
    extents = {axis(*a): a[1] for a in kernel.axes}
    if constant or terms.keys() != extents.keys():
        return None
    digits = sorted(terms.items(), key=lambda item: item[1])
    stride = 1
    for variable, coefficient in digits:
        if coefficient != stride:
            return None
        stride *= extents[variable]
    return digits if stride == size else None


def _position(numbers: Iterable[int], accesses: Sequence[Access]) -> int | None:
    """Where the one node is that writes all of some buffers."""
    positions = {k for k, a in enumerate(accesses) if not a.writes.isdisjoint(numbers)}
    return positions.pop() if len(positions) == 1 else None


def _is_free(copy: Node, position: int, accesses: Sequence[Access]) -> bool:
    """Whether nothing from ``position`` on uses what a copy writes."""
    written = access(copy).writes
    return all(written.isdisjoint(a.touched) for a in accesses[position:])


def _writing_there(
    writer: Node | None, copy: Kernel, copied: dict[int, tuple[Store, Digits]]
) -> Kernel | None:
    """A kernel that writes to where a copy of its results goes, if vectors can."""
    if not isinstance(writer, Kernel) or writer.sequential or writer.parallel_inner:
        return None
    if {s.buffer for s in writer.stores} != copied.keys() or not writer.axes:
        return None
    split = _split(writer, [digits for _, digits in copied.values()])
    if split is None or split.axes[-1][1] % _PIECE:
        return None
    stores = []
    for s in split.stores:
        target, digits = copied[s.buffer]
        offset = _moved(s.offset, target.offset, digits)
        if s.combine is not None or s.when is not None or offset is None:
            return None
        stores.append(replace(s, buffer=target.buffer, offset=offset))
    if not _side_by_side(stores, axis(*split.axes[-1])) or _contend(stores):
        return None
    stores.sort(key=lambda s: (s.buffer, affine_parts(s.offset)[1]))
    return replace(split, stores=tuple(stores), origin=copy.origin)


def _split(kernel: Kernel, numberings: Sequence[Digits]) -> Kernel | None:
    """A kernel whose axes go along one digit each of where it stores."""
    cuts = {stride for digits in numberings for _, stride in digits}
    axes: list[tuple[int, int]] = []
    for number, extent in kernel.axes:
        parts = {extent}  # the sizes of what is within an axis from some place on
        for s in kernel.stores:
            coefficient = affine_parts(s.offset)[0].get(axis(number, extent), 0)
            for cut in cuts:
                if coefficient and coefficient < cut < coefficient * extent:
                    if cut % coefficient or extent % (cut // coefficient):
                        return None
                    parts.add(cut // coefficient)
        sizes = sorted(parts)
        factors = [b // a for a, b in zip([1, *sizes], sizes)]
        if any(b % a for a, b in itertools.pairwise(sizes)):
            return None
        axes += [(len(axes) + k, n) for k, n in enumerate(reversed(factors))]
    return over_axes(kernel, tuple(axes))


def _moved(offset: Expr, target: Expr, digits: Digits) -> Expr | None:
    """Where a copy writes the element at ``offset``; None if axes go along several digits."""
    terms, constant = affine_parts(offset)
    values: dict[Expr, Expr] = {}
    for variable, stride in reversed(digits):
        extent = variable.attr[1]
        inside = {t: c // stride for t, c in terms.items() if c >= stride and c % stride == 0}
        terms = {t: c for t, c in terms.items() if t not in inside}
        value = affine(inside, constant // stride)
        constant %= stride
        if value.bounds is None or not 0 <= value.bounds[0] <= value.bounds[1] < extent:
            return None
        values[variable] = value
    if terms or constant:
        return None
    [moved] = rebuild([target], values.get)
    return moved


def _side_by_side(stores: Sequence[Store], along: Expr) -> bool:
    """Whether vectors along an axis write neighbours, or whole rows of them."""
    starts: dict[tuple[int, int], int] = {}
    for s in stores:
        terms, _ = affine_parts(s.offset)
        stride = terms.get(along, 0)
        starts[s.buffer, stride] = starts.get((s.buffer, stride), 0) + 1
    return all(stride > 0 and count % stride == 0 for (_, stride), count in starts.items())


def _contend(stores: Sequence[Store]) -> bool:
    """Whether stores write to so many lines far apart that a cache cannot hold all of them."""
    lines = {(s.buffer, _start(s) // _LINE_BYTES) for s in stores}
    places = Counter((number, line % (_WAY_BYTES // _LINE_BYTES)) for number, line in lines)
    return max(places.values()) > _WAYS


def _start(s: Store) -> int:
    return affine_parts(s.offset)[1] * s.value.dtype.itemsize
