"""Reads of an old value that happen before any of it is replaced.

A few elements of a copy are replaced, and the copy then takes the place of the original. What
still reads the original meanwhile is all that the copy is for. Before::

    copy: %2 = %1; kernel: %2[%5[0]] = 0; kernel: %3[0] = %1[%6[0]]; copy: %1 = %2

after, when nothing keeps `fnad.lowering.carries` from writing into ``%1`` at once::

    copy: %2 = %1; kernel: %3[0] = %1[%6[0]]; kernel: %2[%5[0]] = 0; copy: %1 = %2
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeGuard

from fnad.lowering.access import access, kernel_exprs, loads
from fnad.lowering.expr import B, Expr, axis, integer, load
from fnad.lowering.kernels import mapped
from fnad.lowering.plan import Branch, Buffer, Copy, Kernel, Node, Store
from fnad.lowering.tensors import linear
from fnad.lowering.walk import postorder, rebuild

# A kernel that reads of a buffer is small if it has fewer points than one in so many elements.
_FRACTION = 8
# Where numbers of neighbours come closer, a schedule is numbered anew.
_LEAST_STEP = 1e-6


def copies_whole(node: Node | None, source: int, out: int) -> bool:
    """Whether a node copies one buffer to another from the first elements on."""
    return (
        isinstance(node, Copy)
        and (node.source, node.out) == (source, out)
        and node.source_offset is node.out_offset is integer(0)
    )


def same_element(kernel: Kernel, copy: Copy) -> bool:
    """Whether no point of a kernel reads of a copy's target what others write to its source."""
    if any(s.buffer == copy.out for s in kernel.stores):
        return False
    if not kernel.axes:
        return True
    stores = [s for s in kernel.stores if s.buffer == copy.source]
    reduced = loads([r.value for r in kernel.reductions])
    if kernel.sequential or any(e.attr == copy.out for e in reduced):
        return False
    # All that a point stores is computed before any of it is stored, both parts of complex numbers.
    places = {copy.out_offset + s.offset for s in stores}
    return all(e.args[0] in places for e in loads(kernel_exprs(kernel)) if e.attr == copy.out)


def read_early(body: Sequence[Node], buffers: list[Buffer]) -> list[Node]:
    """Move reads of old values in front of what makes the new ones.

    Around each copy: reads of its target, which it overwrites, in front of it; reads of its
    source behind it, where the target has begun to change. Kernels that read only a few
    elements are cut in two where they cannot move whole; buffers may be added.
    """
    if not any(_is_of_whole_temporary(n, buffers) for n in body):
        return list(body)
    schedule = _Schedule(body)
    copies = [n for n in schedule.nodes if _is_of_whole_temporary(n, buffers)]
    for copy in copies:
        first, last = schedule.around(copy)
        if _begins_as(first, copy.out, copy.source) and _reads_late(first, copy):
            span = schedule.span(first[0], copy)
            schedule.replace(first[0], _moved(span, copy, buffers), len(span))
        back = replace(copy, source=copy.out, out=copy.source)
        if _reads_late(last, back):
            span = [*schedule.span(last[0], last[-1]), last[-1]]
            schedule.replace(last[0], _moved(span, back, buffers), len(span))
    return schedule.nodes


def _is_of_whole_temporary(node: Node, buffers: Sequence[Buffer]) -> TypeGuard[Copy]:
    return (
        isinstance(node, Copy)
        and copies_whole(node, node.source, node.out)
        and buffers[node.source].role == "temp"
    )


class _Schedule:
    """A schedule that knows who touches a buffer, while a few neighbours after others change.

    Nodes are found by numbers that grow along the schedule; new ones get some in between.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        # What stands there twice is found at its first place; behind it stands an equal.
        firsts: dict[int, int] = {}
        self.nodes = [
            node if firsts.setdefault(id(node), k) == k else replace(node)
            for k, node in enumerate(nodes)
        ]
        self._number()

    def _number(self) -> None:
        self._keys = [float(k) for k in range(len(self.nodes))]
        self._key_of = {id(node): key for node, key in zip(self.nodes, self._keys)}
        self._users: dict[int, list[float]] = {}
        for node, key in zip(self.nodes, self._keys):
            for number in access(node).touched:
                self._users.setdefault(number, []).append(key)

    def _at(self, node: Node) -> int:
        return bisect_left(self._keys, self._key_of[id(node)])

    def around(self, copy: Copy) -> tuple[list[Node], list[Node]]:
        """What touches the source or the target of a copy, before it and behind it."""
        own = self._key_of[id(copy)]
        keys = sorted({*self._users[copy.source], *self._users[copy.out]})
        nodes = [self.nodes[bisect_left(self._keys, key)] for key in keys]
        at = bisect_left(keys, own)
        return nodes[:at], nodes[at + 1 :]

    def span(self, start: Node, end: Node) -> list[Node]:
        """The nodes from one to what stands before another."""
        return self.nodes[self._at(start) : self._at(end)]

    def replace(self, start: Node, new: Sequence[Node], count: int) -> None:
        """Put other nodes in the place of ``count`` from one on."""
        at = self._at(start)
        end = at + count
        low = self._keys[at - 1] if at else self._keys[0] - 1.0
        high = self._keys[end] if end < len(self._keys) else self._keys[-1] + 1.0
        step = (high - low) / (len(new) + 1)
        keys = [low + step * (k + 1) for k in range(len(new))]
        old = list(zip(self.nodes[at:end], self._keys[at:end]))
        self.nodes[at:end], self._keys[at:end] = new, keys
        if step < _LEAST_STEP:
            self._number()
            return
        for node, key in old:
            del self._key_of[id(node)]
            for number in access(node).touched:
                keys_of = self._users[number]
                del keys_of[bisect_left(keys_of, key)]
        for node, key in zip(new, keys):
            self._key_of[id(node)] = key
            for number in access(node).touched:
                insort(self._users.setdefault(number, []), key)


def _reads_late(nodes: Sequence[Node], copy: Copy) -> bool:
    """Whether a copy's target is read when nodes have begun to make, or make, its source."""
    made = False
    for node in nodes:
        found = access(node)
        makes = copy.source in found.writes and not copies_whole(node, copy.out, copy.source)
        if copy.out in found.reads and (
            made or (makes and not (isinstance(node, Kernel) and same_element(node, copy)))
        ):
            return True
        made = made or makes
    return False


def _begins_as(nodes: Sequence[Node], target: int, source: int) -> bool:
    return any(
        copies_whole(n, target, source)
        or (isinstance(n, Branch) and any(_begins_as(b, target, source) for b in n.branches))
        for n in nodes
    )


def _moved(nodes: Sequence[Node], copy: Copy, buffers: list[Buffer]) -> list[Node]:
    """Let nodes that make the source of a copy read its target first."""
    source, target = copy.source, copy.out
    out: list[Node] = []
    start: int | None = None  # where the first node stands that makes the new value
    for node in nodes:
        found = access(node)
        makes = source in found.writes and not copies_whole(node, target, source)
        reads = target in found.reads and target not in found.writes
        if reads and (makes or start is not None):
            if isinstance(node, Branch) and start is None:
                branches = tuple(tuple(_moved(b, copy, buffers)) for b in node.branches)
                node = replace(node, branches=branches)
            elif start is not None and not any(access(n).conflicts(found) for n in out[start:]):
                out.insert(start, node)
                start += 1
                continue
            elif isinstance(node, Kernel) and (start is not None or not same_element(node, copy)):
                place = len(out) if start is None else start
                written = {n for other in out[place:] for n in access(other).writes}
                if target not in written:
                    first, node = _apart(node, target, written, buffers)
                    out[place:place] = first
                    start = None if start is None else start + len(first)
        if makes and start is None:
            start = len(out)
        out.append(node)
    return out


def _apart(
    kernel: Kernel, target: int, written: set[int], buffers: list[Buffer]
) -> tuple[list[Node], Kernel]:
    """Kernels that read the few elements of a buffer which a kernel needs, and what is left.

    A place may be outside of the buffer where a condition keeps the kernel from reading it.
    """
    points = math.prod(extent for _, extent in kernel.axes)
    reduced = set(loads([r.value for r in kernel.reductions]))
    found = dict.fromkeys(
        e for e in loads(kernel_exprs(kernel)) if e.attr == target and e not in reduced
    )
    size = buffers[target].size
    if not found or points * _FRACTION > size:
        return [], kernel
    extents = tuple(extent for _, extent in kernel.axes)
    place = linear(tuple(axis(*a) for a in kernel.axes), extents)
    early: list[Node] = []
    replaced: dict[Expr, Expr] = {}
    for read in found:
        offset = read.args[0]
        if any(e.attr in written for e in loads([offset])) or _is_of_reductions(offset):
            continue
        held = Buffer(len(buffers), extents, read.dtype, "temp")
        buffers.append(held)
        inside = B.minimum(B.maximum(offset, integer(0)), integer(size - 1))
        value = load(target, inside, read.dtype)
        early.append(Kernel(kernel.axes, (), (Store(held.number, place, value),)))
        replaced[read] = load(held.number, place, read.dtype)
    return early, mapped(kernel, lambda exprs: rebuild(exprs, replaced.get))


def _is_of_reductions(expr: Expr) -> bool:
    return any(e.op in ("reduce", "reduced") for e in postorder([expr]))
