"""Kernels over the same points become one: a value is read, or computed, once for all its uses.

The planner makes a kernel for each tensor that it stores. Here a kernel moves up to an earlier
one over the same points if nothing between them depends on it or it on that; what the earlier
one stores at a point, the other takes from there instead of from memory. Stores of temporaries
that nothing reads any more vanish.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from fnad.lowering.access import (
    Access,
    access,
    kernel_exprs,
    loads,
    node_bodies,
    own_access,
    with_bodies,
)
from fnad.lowering.costs import MAX_FUSED, operations_beyond, operations_of
from fnad.lowering.expr import Expr, axis, integer, make
from fnad.lowering.kernels import Axes, mapped, remade, store_parts
from fnad.lowering.plan import Buffer, Kernel, Node
from fnad.lowering.walk import postorder, rebuild

# How many earlier kernels are tried that touch one of a kernel's buffers.
_CANDIDATES = 4


def fuse(body: Sequence[Node], buffers: Sequence[Buffer]) -> list[Node]:
    """Fuse the kernels of a schedule and of those inside it, and drop dead stores."""
    sizes = [b.size for b in buffers]
    fused = _fuse_schedule(body, sizes)
    return without_dead_stores(fused, buffers)


class _Schedule:
    """A schedule under construction: who touched a buffer last, and where kernels could go."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = sizes  # of buffers, in elements
        self.nodes: list[Node] = []
        self.last_write: dict[int, int] = {}
        self.last_touch: dict[int, int] = {}
        self.kernels: dict[int, list[int]] = {}  # where those are that touch a buffer
        self.points: dict[int, int] = {}  # of kernels, by position
        self.operations: dict[int, tuple[set[Expr], int]] = {}  # in kernels, and their number

    def barrier(self, found: Access) -> int:
        """The last position that a node must not come before; -1 is none."""
        positions = [self.last_write.get(n, -1) for n in found.reads]
        positions += [self.last_touch.get(n, -1) for n in found.writes]
        return max(positions, default=-1)

    def note(self, node: Node, found: Access, position: int) -> None:
        is_kernel = isinstance(node, Kernel) and not node.sequential
        for number in found.touched:
            if self.last_touch.get(number, -1) < position:
                self.last_touch[number] = position
            if is_kernel:
                self.kernels.setdefault(number, []).append(position)
        for number in found.writes:
            if self.last_write.get(number, -1) < position:
                self.last_write[number] = position

    def add(self, node: Node, found: Access) -> None:
        position = len(self.nodes)
        self.nodes.append(node)
        if isinstance(node, Kernel):
            self.points[position] = _points(node)
        self.note(node, found, position)

    def join(self, kernel: Kernel, found: Access) -> bool:
        """Fuse a kernel into an earlier one, if one can take it."""
        if kernel.sequential or _lays_out(kernel):
            return False  # what only lays elements out anew stays near those who read them
        candidates = self._candidates(kernel, found)
        if not candidates:
            return False
        barrier = self.barrier(found)
        for position in candidates:
            if position < barrier:
                return False
            earlier = self.nodes[position]
            assert isinstance(earlier, Kernel)
            exprs = kernel_exprs(earlier)
            if not self._fits(position, exprs, kernel_exprs(kernel)):
                continue
            merged = merge_kernels(earlier, kernel)
            if merged is not None:
                self.nodes[position] = merged
                self.note(merged, found, position)
                if not set(exprs) <= set(kernel_exprs(merged)):  # renamed
                    self.operations.pop(position, None)
                return True
        return False

    def _fits(self, position: int, earlier: list[Expr], later: list[Expr]) -> bool:
        """Whether two kernels have few enough operations to be one."""
        if sum([e.weight for e in (*earlier, *later)]) <= MAX_FUSED:  # none is counted too few
            return True
        seen, count = self.operations.get(position, (set(), 0))
        count += operations_beyond(seen, earlier)
        self.operations[position] = seen, count
        return count + operations_of(later) <= MAX_FUSED

    def _candidates(self, kernel: Kernel, found: Access) -> list[int]:
        """Where kernels over as many points are that share memory with this one, last first.

        What is small beside the points does not count: the scalars that all updates of an
        optimiser read are no reason to make one kernel of them.
        """
        points = _points(kernel)
        positions: set[int] = set()
        for number in found.touched:
            if 2 * self.sizes[number] >= points and number in self.kernels:
                positions.update(self.kernels[number][-_CANDIDATES:])
        return sorted([p for p in positions if self.points[p] == points], reverse=True)


def _points(kernel: Kernel) -> int:
    points = 1
    for _, extent in kernel.axes:
        points *= extent
    return points


def _lays_out(kernel: Kernel) -> bool:
    return all(s.value.op == "load" for s in kernel.stores)


def _fuse_schedule(body: Sequence[Node], sizes: Sequence[int]) -> list[Node]:
    schedule = _Schedule(sizes)
    for node in body:
        inside = with_bodies(node, lambda inner: _fuse_schedule(inner, sizes))
        found = access(inside)
        if not (isinstance(inside, Kernel) and schedule.join(inside, found)):
            schedule.add(inside, found)
    return schedule.nodes


# -- two kernels -------------------------------------------------------------------------------


def merge_kernels(first: Kernel, second: Kernel) -> Kernel | None:
    """One kernel that does what two do in turn, or None if their points depend on each other."""
    axes = common_axes(first.axes, second.axes)
    if axes is None or first.sequential or second.sequential:
        return None
    if first.reductions and second.reductions and first.parallel_inner != second.parallel_inner:
        return None
    first, second = over_axes(first, axes), over_axes(second, axes)
    known: dict[tuple[int, Expr], Expr] = {}
    for s in first.stores:
        if s.combine is not None or s.when is not None:
            return None
        known[s.buffer, s.offset] = s.value
    written = {s.buffer for s in first.stores}
    overwritten = {s.buffer: s.offset for s in second.stores}
    if written & overwritten.keys() or any(s.combine or s.when for s in second.stores):
        return None
    for e in loads(kernel_exprs(first)):
        if e.attr in overwritten and e.args[0] is not overwritten[e.attr]:
            return None  # the second would overwrite what other points of the first still read
    given = False
    for e in loads(kernel_exprs(second)):
        if e.attr in written:
            given = True
            if (e.attr, e.args[0]) not in known:
                return None
        if e.attr in overwritten and e.args[0] is not overwritten[e.attr]:
            return None
    count = len(first.reductions)

    def leaf(e: Expr) -> Expr | None:
        if e.op == "reduced":
            return make("reduced", (), e.dtype, e.attr + count)
        return known.get((e.attr, e.args[0])) if e.op == "load" else None

    moved = second
    if given or (count and second.reductions):
        moved = mapped(second, lambda exprs: rebuild(exprs, leaf))
    return remade(
        Kernel(
            axes,
            (*first.reductions, *moved.reductions),
            (*first.stores, *moved.stores),
            first.parallel_inner or second.parallel_inner,
            False,
            second.origin,
        )
    )


def common_axes(one: Axes, other: Axes) -> Axes | None:
    """Axes into which both loop nests can be split, or None."""
    if [n for _, n in one] == [n for _, n in other]:
        return one
    cuts = [set(_strides(axes)) for axes in (one, other)]
    if math.prod(n for _, n in one) != math.prod(n for _, n in other):
        return None
    if cuts[0] < cuts[1]:
        return other
    return one if cuts[1] < cuts[0] else None


def _strides(axes: Axes) -> list[int]:
    strides, total = [], 1
    for _, extent in reversed(axes):
        strides.append(total)
        total *= extent
    return strides


def over_axes(kernel: Kernel, axes: Axes) -> Kernel:
    """The same kernel with its loops split into those of ``axes``, which are finer."""
    if kernel.axes == axes:
        return kernel
    replacement: dict[Expr, Expr] = {}
    position = 0
    for number, extent in kernel.axes:
        whole, size = integer(0), 1
        while size < extent:
            fine = axes[position]
            whole = whole * fine[1] + axis(*fine)
            size *= fine[1]
            position += 1
        replacement[axis(number, extent)] = whole
    # Reduced axes would clash with the new numbers: those get fresh ones first.
    first = len(axes) + len(kernel.axes)
    for r in kernel.reductions:
        for number, extent in r.axes:
            replacement[axis(number, extent)] = axis(number + first, extent)
    reductions = tuple(
        replace(r, axes=tuple((n + first, extent) for n, extent in r.axes))
        for r in kernel.reductions
    )
    moved = replace(kernel, axes=axes, reductions=reductions)
    return mapped(moved, lambda exprs: rebuild(exprs, replacement.get))


# -- dead stores -------------------------------------------------------------------------------


def _all_reads(nodes: Iterable[Node]) -> set[int]:
    found: set[int] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        found |= own_access(node).reads
        for body in node_bodies(node):
            stack.extend(body)
    return found


def without_dead_stores(body: Sequence[Node], buffers: Sequence[Buffer]) -> list[Node]:
    """A schedule without stores of temporaries that nothing reads."""
    temps = {b.number for b in buffers if b.role == "temp"}
    nodes = list(body)
    while True:
        dead = temps - _all_reads(nodes)
        cleaned = _cleaned(nodes, dead)
        if cleaned == nodes:
            return nodes
        nodes = cleaned


def _cleaned(nodes: Sequence[Node], dead: set[int]) -> list[Node]:
    result = []
    for node in nodes:
        if isinstance(node, Kernel):
            stores = tuple(s for s in node.stores if s.buffer not in dead)
            if not stores:
                continue
            if len(stores) < len(node.stores):
                node = without_unused_reductions(replace(node, stores=stores))
        else:
            node = with_bodies(node, lambda inner: _cleaned(inner, dead))
        result.append(node)
    return result


def _named(exprs: Iterable[Expr]) -> set[int]:
    """The reductions that expressions name."""
    return {e.attr for e in postorder(exprs) if e.op == "reduced"}


def without_unused_reductions(kernel: Kernel) -> Kernel:
    """A kernel without the reductions that nothing in it names."""
    if not kernel.reductions:
        return kernel
    used = _named([e for s in kernel.stores for e in store_parts(s)])
    for number in range(len(kernel.reductions) - 1, -1, -1):
        if number in used:
            used |= _named([kernel.reductions[number].value])
    kept = sorted(used)
    if len(kept) == len(kernel.reductions):
        return kernel
    numbers = {old: new for new, old in enumerate(kept)}

    def leaf(e: Expr) -> Expr | None:
        return make("reduced", (), e.dtype, numbers[e.attr]) if e.op == "reduced" else None

    fewer = replace(kernel, reductions=tuple(kernel.reductions[n] for n in kept))
    return remade(mapped(fewer, lambda exprs: rebuild(exprs, leaf)))
