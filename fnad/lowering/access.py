"""What the nodes of a plan read and write: the dependences that a schedule must keep."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fnad.lowering.expr import Expr
from fnad.lowering.kernels import store_parts
from fnad.lowering.plan import (
    Accumulate,
    Branch,
    Buffer,
    Contraction,
    Copy,
    For,
    Group,
    Kernel,
    Node,
    Sort,
    While,
)
from fnad.lowering.walk import loads


@dataclass(slots=True)
class Access:
    """The buffers that a node reads and writes, schedules inside it included."""

    reads: set[int] = field(default_factory=set)
    writes: set[int] = field(default_factory=set)

    def conflicts(self, later: Access) -> bool:
        """Whether ``later`` must stay behind."""
        return not (
            self.writes.isdisjoint(later.reads)
            and self.writes.isdisjoint(later.writes)
            and self.reads.isdisjoint(later.writes)
        )

    def add(self, other: Access) -> None:
        self.reads |= other.reads
        self.writes |= other.writes


def kernel_exprs(kernel: Kernel) -> list[Expr]:
    """All expressions of a kernel."""
    return [r.value for r in kernel.reductions] + [e for s in kernel.stores for e in store_parts(s)]


def node_bodies(node: Node) -> tuple[Sequence[Node], ...]:
    """The schedules inside a node."""
    if isinstance(node, For):
        return (node.body,)
    if isinstance(node, While):
        return (node.condition, node.body)
    if isinstance(node, Group):
        return ([member.node for member in node.members],)
    return node.branches if isinstance(node, Branch) else ()


def with_bodies(node: Node, change: Callable[[Sequence[Node]], Iterable[Node]]) -> Node:
    """A loop or branch with its schedules changed; other nodes as they are."""
    if isinstance(node, For):
        return replace(node, body=tuple(change(node.body)))
    if isinstance(node, While):
        return replace(node, condition=tuple(change(node.condition)), body=tuple(change(node.body)))
    if isinstance(node, Branch):
        return replace(node, branches=tuple(tuple(change(b)) for b in node.branches))
    return node


def own_access(node: Node) -> Access:
    """What a node itself reads and writes, without the schedules inside it."""
    if isinstance(node, (Kernel, Contraction)):
        if node.touched is None:  # every pass asks again
            touched = _OWN[type(node)](node)
            object.__setattr__(node, "touched", touched)
        assert node.touched is not None
        reads, writes = node.touched
    else:
        reads, writes = _OWN.get(type(node), _nothing)(node)
    return Access(set(reads), set(writes))


def _of_kernel(node: Kernel) -> tuple[set[int], set[int]]:
    combined = {s.buffer for s in node.stores if s.combine is not None}
    return _loaded(kernel_exprs(node)) | combined, {s.buffer for s in node.stores}


def _of_contraction(node: Contraction) -> tuple[set[int], set[int]]:
    indices = _loaded([node.left.offset, node.right.offset, node.out.offset])
    old = {node.out.buffer} if node.accumulate else set()
    return {node.left.buffer, node.right.buffer} | indices | old, {node.out.buffer}


def _nothing(node: Node) -> tuple[set[int], set[int]]:
    return set(), set()


_OWN: dict[type, Callable[[Any], tuple[set[int], set[int]]]] = {
    Kernel: _of_kernel,
    Contraction: _of_contraction,
    Accumulate: lambda node: ({node.source}, {node.out}),
    Sort: lambda node: (set(node.sources), set(node.outs)),
    Copy: lambda node: (
        {node.source} | _loaded([node.source_offset, node.out_offset]),
        {node.out},
    ),
    While: lambda node: ({node.predicate}, set()),
    Branch: lambda node: ({node.index}, set()),
}


def access(node: Node) -> Access:
    """What a node reads and writes, schedules inside it included."""
    total = own_access(node)
    for body in node_bodies(node):
        for inner in body:
            total.add(access(inner))
    return total


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
    uses: Counter[int] = Counter()
    stack = list(body)
    while stack:
        node = stack.pop()
        own = own_access(node)
        uses.update(own.reads | own.writes)
        for inner in node_bodies(node):
            stack.extend(inner)
    return uses


def _loaded(exprs: Iterable[Expr]) -> set[int]:
    return {e.attr for e in loads(exprs)}
