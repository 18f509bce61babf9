"""What the nodes of a plan read and write: the dependences that a schedule must keep."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from fnad.lowering.expr import Expr
from fnad.lowering.kernels import store_parts
from fnad.lowering.plan import (
    Accumulate,
    Attention,
    BlockStep,
    Branch,
    Buffer,
    Contraction,
    Copy,
    For,
    Group,
    HostCall,
    Kernel,
    Mirror,
    Node,
    Release,
    Reserve,
    Routine,
    Sort,
    SortStep,
    While,
)
from fnad.lowering.walk import loads


class Access:
    """The buffers that a node reads and writes, schedules inside it included; never changed."""

    __slots__ = ("reads", "touched", "writes")

    def __init__(
        self,
        reads: AbstractSet[int] = frozenset(),
        writes: AbstractSet[int] = frozenset(),
    ) -> None:
        self.reads, self.writes = reads, writes
        self.touched = reads | writes

    def conflicts(self, later: Access) -> bool:
        """Whether ``later`` must stay behind."""
        return not (self.writes.isdisjoint(later.touched) and self.reads.isdisjoint(later.writes))

    def joined(self, other: Access) -> Access:
        """What two nodes read and write."""
        return Access(self.reads | other.reads, self.writes | other.writes)


def kernel_exprs(kernel: Kernel) -> list[Expr]:
    """All expressions of a kernel."""
    exprs = [r.value for r in kernel.reductions]
    for s in kernel.stores:
        exprs += store_parts(s)
    return exprs


def node_bodies(node: Node) -> tuple[Sequence[Node], ...]:
    """The schedules inside a node."""
    found = _BODIES.get(type(node))
    return () if found is None else found(node)


_BODIES: Mapping[type, Callable[[Any], tuple[Sequence[Node], ...]]] = {
    For: lambda node: (node.body,),
    While: lambda node: (node.condition, node.body),
    Branch: lambda node: node.branches,
    Group: lambda node: ([member.node for member in node.members],),
}


def with_bodies(node: Node, change: Callable[[Sequence[Node]], Iterable[Node]]) -> Node:
    """A loop or branch with its schedules changed; other nodes as they are."""
    if type(node) not in _NESTING:
        return node
    if isinstance(node, For):
        return replace(node, body=tuple(change(node.body)))
    if isinstance(node, While):
        return replace(node, condition=tuple(change(node.condition)), body=tuple(change(node.body)))
    assert isinstance(node, Branch)
    return replace(node, branches=tuple(tuple(change(b)) for b in node.branches))


_NESTING = frozenset({For, While, Branch})


def own_access(node: Node) -> Access:
    """What a node itself reads and writes, without the schedules inside it."""
    if type(node) is Kernel or type(node) is Contraction or type(node) is Copy:
        found = node.access
        if found is None:  # every pass asks again
            found = _OWN[type(node)](node)
            node.access = found
        return found
    own = _OWN.get(type(node))
    return _NOTHING if own is None else own(node)


_NOTHING = Access()


def _of_kernel(node: Kernel) -> Access:
    writes = {s.buffer for s in node.stores}
    combined = {s.buffer for s in node.stores if s.combine is not None}
    return Access(_loaded(kernel_exprs(node)) | combined, writes)


def _of_contraction(node: Contraction) -> Access:
    out = {node.out.buffer}
    reads = _loaded([node.left.offset, node.right.offset, node.out.offset])
    reads |= {node.left.buffer, node.right.buffer}
    return Access(reads | out if node.accumulate else reads, out)


_OWN: dict[type, Callable[[Any], Access]] = {
    Kernel: _of_kernel,
    Contraction: _of_contraction,
    Accumulate: lambda node: Access({node.source}, {node.out}),
    Sort: lambda node: Access(set(node.sources), set(node.outs)),
    SortStep: lambda node: Access(set(node.sources), set(node.outs)),
    Mirror: lambda node: Access({node.out}, {node.out}),
    BlockStep: lambda node: Access(node.buffers, set(node.outs)),
    Routine: lambda node: Access({*node.sources, *node.outs}, set(node.outs)),
    Attention: lambda node: Access(set(node.sources), set(node.outs)),
    HostCall: lambda node: Access({*node.sources, node.state}, {*node.outs, node.state}),
    Copy: lambda node: Access(
        {node.source} | _loaded([node.source_offset, node.out_offset]), {node.out}
    ),
    For: lambda node: _NOTHING if node.count is None else Access({node.count}),
    While: lambda node: Access({node.predicate}),
    Branch: lambda node: Access({node.index}),
    Reserve: lambda node: Access({node.count}, {node.granted, *node.tapes}),
    Release: lambda node: Access(frozenset(), set(node.tapes)),
}


def access(node: Node) -> Access:
    """What a node reads and writes, schedules inside it included."""
    if not isinstance(node, _NESTED):
        return own_access(node)
    if node.access is None:  # every schedule around it asks again
        own = own_access(node)
        reads, writes = set(own.reads), set(own.writes)
        for body in node_bodies(node):
            for inner in body:
                found = access(inner)
                reads |= found.reads
                writes |= found.writes
        node.access = Access(reads, writes)
    return node.access


_NESTED = (For, While, Branch, Group)


def touched_bytes(kernel: Kernel, buffers: Mapping[int, Buffer]) -> int:
    """Bytes that a kernel reads and writes, those of each buffer once.

    It may touch a part of a buffer only: as many elements as it has points (and turns of its
    reductions).
    """
    points = math.prod(extent for _, extent in kernel.axes)
    turns = sum(math.prod(extent for _, extent in r.axes) for r in kernel.reductions)
    own = own_access(kernel)
    return sum(
        min(buffers[n].nbytes, points * times * buffers[n].dtype.itemsize)
        for numbers, times in ((own.reads, max(turns, 1)), (own.writes, 1))
        for n in numbers
    )


def count_uses(body: Iterable[Node]) -> Counter[int]:
    """How many nodes of a schedule, and of those inside it, use each buffer."""
    uses: dict[int, int] = {}
    stack = list(body)
    while stack:
        node = stack.pop()
        for number in own_access(node).touched:
            uses[number] = uses.get(number, 0) + 1
        for inner in node_bodies(node):
            stack.extend(inner)
    return Counter(uses)


def uses_of(number: int, body: Iterable[Node]) -> int:
    """How many nodes of a schedule, and of those inside it, use one buffer."""
    uses = 0
    stack = list(body)
    while stack:
        node = stack.pop()
        if number in access(node).touched:
            uses += number in own_access(node).touched
            for inner in node_bodies(node):
                stack.extend(inner)
    return uses


def _loaded(exprs: Iterable[Expr]) -> set[int]:
    return {e.attr for e in loads(exprs)}
