"""Which kernels of a plan run for so short that LLVM need not optimise their machine code.

Good machine code takes LLVM several times as long to find as any at all. Half of the functions of
a training step (the update of a bias, a learning rate, the mean of the losses) run for less than
a thousandth of the step: they are translated as they stand.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

from fnad.lowering.access import node_bodies
from fnad.lowering.llvm import work
from fnad.lowering.plan import Branch, Contraction, For, Group, Kernel, Node, Plan, While

# The part of a plan's time that may be spent in code that LLVM has not optimised. Such code takes
# three to eight times as long.
_SHARE = 0.002

# Nanoseconds of a term of a reduction and of a byte stored, at least: see `work`.
_TERM = 0.008
_BYTE = 0.02


def hurried(plan: Plan) -> frozenset[int]:
    """The identities of the kernels, members of groups among them, not worth optimised code.

    Those that do the same are all among them or all not; those in loops are not.
    """
    buffers = {b.number: b for b in plan.buffers}
    budget = _SHARE * _time(plan.body)
    kernels = [(_at_least(n), n) for n in _outside_loops(plan.body) if isinstance(n, Kernel)]
    timed: list[tuple[float, Kernel]] = []
    pending: list[float] = []  # times longer than the least time looked at, a heap
    spent = 0.0  # by kernels that no other one can take less time than
    for least, kernel in sorted(kernels, key=_first):
        while pending and pending[0] <= least:
            spent += heapq.heappop(pending)
        if spent > budget:
            break  # what follows takes longer than those that there is no time for
        timed.append((work.nanoseconds(kernel, buffers), kernel))
        heapq.heappush(pending, timed[-1][0])
    return frozenset(map(id, _cheapest(timed, budget)))


def _cheapest(timed: Sequence[tuple[float, Kernel]], budget: float) -> list[Kernel]:
    """What takes the smallest times that fit a budget together; of equal times, all or none."""
    found: list[Kernel] = []
    for time, equal in itertools.groupby(sorted(timed, key=_first), key=_first):
        nodes = [node for _, node in equal]
        budget -= time * len(nodes)
        if budget < 0:
            break
        found += nodes
    return found


def _first(timed: tuple[float, Kernel]) -> float:
    return timed[0]


def _outside_loops(body: Iterable[Node]) -> Iterator[Node]:
    for node in body:
        if isinstance(node, Group):
            yield from (member.node for member in node.members)
        elif not isinstance(node, (For, While, Branch)):
            yield node


def _time(body: Iterable[Node]) -> float:
    """Nanoseconds that a schedule takes at least."""
    total = 0.0
    for node in body:
        if isinstance(node, (For, Group)):
            turns = node.extent if isinstance(node, For) else 1
            if isinstance(node, Group) or node.count is None:
                total += turns * sum(map(_time, node_bodies(node)))
        elif not isinstance(node, (While, Branch)):
            total += _at_least(node)
    return total


def _at_least(node: Node) -> float:
    """Nanoseconds that a node takes at least, found without a look at its expressions."""
    if isinstance(node, Kernel):
        terms = sum(math.prod(extent for _, extent in r.axes) for r in node.reductions)
        points = math.prod(extent for _, extent in node.axes)
        stored = sum(s.value.dtype.itemsize for s in node.stores)
        return points * (terms * _TERM + stored * _BYTE)
    return work.nanoseconds(node, {}) if isinstance(node, Contraction) else 0.0
