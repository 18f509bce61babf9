"""What the nodes of a plan read and write: the dependences that a schedule must keep."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

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
    Matrix,
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
    if isinstance(node, Kernel):
        writes = {s.buffer for s in node.stores}
        combined = {s.buffer for s in node.stores if s.combine is not None}
        return Access(_loaded(kernel_exprs(node)) | combined, writes)
    if isinstance(node, Contraction):
        sides: tuple[Matrix, ...] = (node.left, node.right)
        indices = _loaded([node.left.offset, node.right.offset, node.out.offset])
        old = {node.out.buffer} if node.accumulate else set()
        return Access({m.buffer for m in sides} | indices | old, {node.out.buffer})
    if isinstance(node, Accumulate):
        return Access({node.source}, {node.out})
    if isinstance(node, Sort):
        return Access(set(node.sources), set(node.outs))
    if isinstance(node, Copy):
        return Access({node.source} | _loaded([node.source_offset, node.out_offset]), {node.out})
    if isinstance(node, While):
        return Access({node.predicate})
    return Access({node.index}) if isinstance(node, Branch) else Access()


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
    return set(_known_loads(tuple(exprs)))


@functools.lru_cache(maxsize=1024)  # every pass asks again
def _known_loads(exprs: tuple[Expr, ...]) -> frozenset[int]:
    return frozenset([e.attr for e in loads(exprs)])
