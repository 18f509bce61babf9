"""Where the time of a compiled program goes: its plan once more, with a clock between the nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.core.types import short_dtype
from fnad.lowering.access import access, touched_bytes
from fnad.lowering.costs import operations_of
from fnad.lowering.executable import Executable
from fnad.lowering.llvm.memory import row_bytes
from fnad.lowering.pipeline import binary_of
from fnad.lowering.plan import (
    Accumulate,
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
    Plan,
    Release,
    Reserve,
    Routine,
    Sort,
    SortStep,
    While,
)

Buffers = Mapping[int, Buffer]


@dataclass(frozen=True, slots=True)
class NodeTime:
    """One node of a plan: what it is, where it comes from, and what it takes.

    Attributes
    ----------
    description : str
        Its kind and extents.
    origin : str
        The primitive and the user's line.
    seconds : float
        The shortest time seen.
    num_bytes : int
        Memory read and written, each element once. What a group hands on among its members,
        and a loop from turn to turn, counts too, though it may stay in cache.
    operations : int
        Arithmetic operations; an elementary function such as ``exp`` counts as one. Of a loop
        whose number of turns depends on values those of one turn, of a branch the largest
        alternative.
    """

    description: str
    origin: str
    seconds: float
    num_bytes: int
    operations: int


def profile(plan: Plan, args: Sequence[Any], repeats: int) -> list[NodeTime]:
    """Run a plan ``repeats`` times and time its nodes, in the order in which they run.

    Parameters
    ----------
    plan : Plan
        What to run.
    args : sequence
        The program's inputs.
    repeats : int
        How often, at least once.
    """
    stamps = np.zeros((len(plan.body) + 1, 2), np.int64)
    executable = Executable(binary_of(plan, stamped=True), stamps)
    best = np.full(len(plan.body), np.inf)
    for _ in range(max(repeats, 1)):
        executable(args)
        best = np.minimum(best, np.diff(stamps[:, 0]) + 1e-9 * np.diff(stamps[:, 1]))
    buffers = {b.number: b for b in plan.buffers}
    return [
        NodeTime(
            describe(node, buffers),
            str(node.origin or ""),
            seconds,
            count_bytes(node, buffers),
            count_operations(node),
        )
        for node, seconds in zip(plan.body, best.tolist())
    ]


# -- what a node is ------------------------------------------------------------------------------


def describe(node: Node, buffers: Buffers) -> str:
    """The kind and the extents of a node, in one line."""
    return _DESCRIPTIONS[type(node)](node, buffers)


def _shape(extents: Sequence[int]) -> str:
    return "x".join(map(str, extents)) or "1"


def _kernel_text(node: Kernel, buffers: Buffers) -> str:
    parts = [f"kernel {_shape([extent for _, extent in node.axes])}"]
    parts += [f"{r.kind} over {_shape([e for _, e in r.axes])}" for r in node.reductions]
    written = {s.buffer for s in node.stores}
    dtypes = sorted({short_dtype(buffers[n].dtype) for n in written})
    return f"{', '.join(parts)} -> {len(written)} of {'/'.join(dtypes)}"


def _contraction_text(node: Contraction, buffers: Buffers) -> str:
    batch = f"{_shape(node.batch)} times " if node.batch else ""
    return f"product {batch}{node.m}x{node.k}x{node.n} {short_dtype(node.dtype)}"


def _tapes(node: Reserve, buffers: Buffers) -> list[Buffer]:
    return [buffers[n] for n in node.tapes]


def _body_text(nodes: Sequence[Node], buffers: Buffers) -> str:
    return "; ".join(describe(node, buffers) for node in nodes)


_DESCRIPTIONS: Mapping[type, Callable[[Any, Buffers], str]] = {
    Kernel: _kernel_text,
    Contraction: _contraction_text,
    Accumulate: lambda n, b: f"running {n.kind} {_shape(n.extents)}",
    Sort: lambda n, b: f"sort of {len(n.sources)} {_shape(n.extents)}",
    SortStep: lambda n, b: f"sort of {n.operands} {n.length}: {n.kind}",
    Mirror: lambda n, b: f"mirror {n.count} of {n.n}x{n.n}",
    HostCall: lambda n, b: "call of Python",
    BlockStep: lambda n, b: f"{n.count} tasks of {n.name}",
    Routine: lambda n, b: f"{n.count} calls of {n.name}",
    Copy: lambda n, b: f"copy of {n.size}",
    Group: lambda n, b: (
        f"group {n.extent} by {n.block}: {_body_text([m.node for m in n.members], b)}"
    ),
    For: lambda n, b: f"for {n.extent if n.count is None else '?'}: {_body_text(n.body, b)}",
    While: lambda n, b: f"while: {_body_text(n.body, b)}",
    Branch: lambda n, b: " | ".join(["branch", *(_body_text(x, b) for x in n.branches)]),
    Reserve: lambda n, b: f"tape of {sum(map(row_bytes, _tapes(n, b)))} bytes a step",
    Release: lambda n, b: "tape given back",
}


# -- what a node takes ---------------------------------------------------------------------------


def count_operations(node: Node) -> int:
    """Arithmetic operations of a node; see `NodeTime`."""
    return _OPERATIONS[type(node)](node)


def _sum(nodes: Sequence[Node]) -> int:
    return sum(map(count_operations, nodes))


def _kernel_operations(node: Kernel) -> int:
    points = math.prod(extent for _, extent in node.axes)
    count = operations_of(s.value for s in node.stores)
    for r in node.reductions:
        count += math.prod(extent for _, extent in r.axes) * (operations_of([r.value]) + 1)
    return points * count


_OPERATIONS: Mapping[type, Callable[[Any], int]] = {
    Kernel: _kernel_operations,
    Contraction: lambda n: 2 * math.prod(n.batch) * n.m * n.n * n.k,
    Accumulate: lambda n: math.prod(n.extents),
    Sort: lambda n: 0,
    SortStep: lambda n: 0,
    Mirror: lambda n: 0,
    BlockStep: lambda n: n.count * n.operations,
    Routine: lambda n: n.count * n.operations,
    Copy: lambda n: 0,
    Group: lambda n: _sum([m.node for m in n.members]),
    For: lambda n: (n.extent if n.count is None else 1) * _sum(n.body),
    While: lambda n: _sum((*n.condition, *n.body)),
    Branch: lambda n: max(map(_sum, n.branches), default=0),
    Reserve: lambda n: 0,
    Release: lambda n: 0,
}


def count_bytes(node: Node, buffers: Buffers) -> int:
    """Bytes that a node reads and writes; see `NodeTime`."""
    if isinstance(node, Group):
        return sum(count_bytes(m.node, buffers) for m in node.members)
    if isinstance(node, For):
        turns = node.extent if node.count is None else 1
        return turns * sum(count_bytes(n, buffers) for n in node.body)
    if isinstance(node, (Reserve, Release)):
        return 0
    if isinstance(node, Kernel):
        return touched_bytes(node, buffers)
    if isinstance(node, Copy):
        return 2 * node.size * buffers[node.out].dtype.itemsize
    touched = access(node)
    return sum(buffers[n].nbytes for n in (*touched.reads, *touched.writes))
