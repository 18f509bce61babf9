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
from collections.abc import Sequence
from dataclasses import replace

from fnad.lowering.access import access, node_bodies, own_access, with_bodies
from fnad.lowering.expr import Expr, affine, affine_parts, axis
from fnad.lowering.fusion import over_axes
from fnad.lowering.plan import Buffer, Kernel, Node, Store
from fnad.lowering.walk import rebuild

# Vectors run along so many elements, or several times as many, so that they are full; of many
# elements, the last vectors may be less full.
_PIECE, _MANY = 16, 64

# A first cache holds so few lines whose addresses differ by multiples of so many bytes: what is
# written to more of them at a time is better laid out by a copy, in its own order.
_WAYS, _WAY_BYTES, _LINE_BYTES = 8, 4096, 64

# Rows of more elements are better written by a copy that transposes squares of them.
_LONGEST_ROW = 8

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
    found: list[Node] = []
    writers: dict[int, set[int]] = {}  # the positions of the nodes that write a buffer
    last_touch: dict[int, int] = {}

    def note(node: Node, position: int) -> None:
        for number in access(node).touched:
            last_touch[number] = max(last_touch.get(number, -1), position)
        for number in access(node).writes:
            writers.setdefault(number, set()).add(position)

    for outer in body:
        node = with_bodies(outer, lambda inner: _forwarded(inner, own, buffers))
        copied = _copied(node, buffers)
        if isinstance(node, Kernel) and copied and copied.keys() <= own:
            [*positions] = set().union(*(writers.get(n, ()) for n in copied))
            # Nothing from there on may use what the copy writes.
            if len(positions) == 1 and all(
                last_touch.get(s.buffer, -1) < positions[0] for s in node.stores
            ):
                writer = _writing_there(found[positions[0]], node, copied)
                if writer is not None:
                    found[positions[0]] = writer
                    note(writer, positions[0])
                    continue
        note(node, len(found))
        found.append(node)
    return found


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


def _writing_there(
    writer: Node, copy: Kernel, copied: dict[int, tuple[Store, Digits]]
) -> Kernel | None:
    """A kernel that writes to where a copy of its results goes, if vectors can."""
    if not isinstance(writer, Kernel) or writer.sequential or writer.parallel_inner:
        return None
    if {s.buffer for s in writer.stores} != copied.keys() or not writer.axes:
        return None
    split = _split(writer, [digits for _, digits in copied.values()])
    if split is None or (split.axes[-1][1] % _PIECE and split.axes[-1][1] < _MANY):
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
    return all(
        0 < stride <= _LONGEST_ROW and count % stride == 0 for (_, stride), count in starts.items()
    )


def _contend(stores: Sequence[Store]) -> bool:
    """Whether stores write to so many lines far apart that a cache cannot hold all of them."""
    lines = {(s.buffer, _start(s) // _LINE_BYTES) for s in stores}
    places = Counter((number, line % (_WAY_BYTES // _LINE_BYTES)) for number, line in lines)
    return max(places.values()) > _WAYS


def _start(s: Store) -> int:
    return affine_parts(s.offset)[1] * s.value.dtype.itemsize
