"""Carries of loops without copies: what is copied into another buffer is written there at once.

The planner ends each turn of a loop with copies of new values into the carry, and of results
into their places in stacked outputs. Where the old value is needed no more when the new one is
made, the new one is written over it. Where it is, a loop makes two turns in one: the second reads
what the first wrote beside the carry, and writes the carry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fnad.lowering.access import Access, access, count_uses, loads, node_bodies, own_access
from fnad.lowering.early_reads import copies_whole, read_early, same_element
from fnad.lowering.expr import B, Expr, counter, integer, load
from fnad.lowering.kernels import mapped
from fnad.lowering.plan import (
    Accumulate,
    Attention,
    Branch,
    Buffer,
    Contraction,
    Copy,
    For,
    Kernel,
    Matrix,
    Node,
    Reserve,
    Routine,
    Sort,
    Store,
    While,
)
from fnad.lowering.walk import rebuild

# Two turns in one double what there is to print; small carries are copied, or kept in registers.
_MIN_BYTES = 4096
_MIN_BYTES_A_NODE = 256

# Other buffers that are to be used instead of some, and the offsets of their elements.
Places = dict[int, tuple[int, Expr]]
Listed = Sort | Routine | Attention


def settle_carries(
    body: Sequence[Node], buffers: list[Buffer], branches: bool = True
) -> list[Node]:
    """Free the loops of a schedule from copies.

    Before ``for t0 < 10: {kernel: %2[i0] = sin(%1[i0]); copy 8: %1[0] = %2[0]}``, after
    ``for t0 < 10: kernel: %1[i0] = sin(%1[i0])``. Buffers may be added. Loops whose number of
    turns is in a buffer keep their copies unless there may be ``branches`` instead.
    """
    if not any(isinstance(node, (For, While, Branch, Copy)) for node in body):
        return list(body)
    return _Settling(buffers, count_uses(body), branches).schedule(body)


class _Settling:
    def __init__(self, buffers: list[Buffer], uses: Counter[int], branches: bool) -> None:
        self.buffers, self.uses, self.branches = buffers, uses, branches

    def schedule(self, body: Iterable[Node]) -> list[Node]:
        nodes: list[Node] = []
        for node in body:
            if isinstance(node, (For, While)):
                nodes += self._loop(node)
            elif isinstance(node, Branch):
                branches = tuple(tuple(self.schedule(b)) for b in node.branches)
                nodes.append(replace(node, branches=branches))
            else:
                nodes.append(node)
        left = len(nodes) + 1
        while 0 < (copies := sum(isinstance(node, Copy) for node in nodes)) < left:
            left = copies
            early = read_early(nodes, self.buffers)
            if early != nodes:
                self.uses.update(count_uses(early))
                self.uses.subtract(count_uses(nodes))
            nodes = _Direct(early, self.buffers, self.uses).nodes()
        return nodes

    def _loop(self, node: For | While) -> list[Node]:
        body = tuple(self.schedule(node.body))
        node = replace(node, body=body)
        copies = self._copies_at_the_end(body)
        nbytes = sum(self.buffers[c.out].nbytes for c in copies)
        if nbytes < max(_MIN_BYTES, _MIN_BYTES_A_NODE * len(body)):
            return [node]
        if isinstance(node, While):
            nodes = self._two_of_while(node, copies)
        elif node.count is not None:
            nodes = self._two_of_counted(node, copies) if self.branches else [node]
        elif node.extent > 1:
            nodes = _two_of_for(node, copies)
        else:
            return [node]
        self.uses.update(count_uses(nodes))
        self.uses.subtract(count_uses([node]))
        return nodes

    # -- two turns in one -------------------------------------------------------------------

    def _copies_at_the_end(self, body: Sequence[Node]) -> list[Copy]:
        """Copies of new values over old ones that end a body, and that turns may do without."""
        inside = count_uses(body)
        copies: list[Copy] = []
        touched: set[int] = set()  # by what comes later
        for node in reversed(body):
            if not isinstance(node, Copy):
                break
            names = {node.source, node.out}
            if (
                touched.isdisjoint(names)
                and _is_whole_temporary(node, self.buffers, self.uses, inside[node.source])
                and _fills(node, self.buffers)
            ):
                copies.append(node)
            touched |= names
        return copies[::-1]

    def _two_of_while(self, node: While, copies: Sequence[Copy]) -> list[Node]:
        """The second turn happens if the condition holds of what the first one wrote."""
        body = _without(node.body, copies)
        swapped = _swap(copies)
        choice = B.convert(load(node.predicate, integer(0), np.dtype(np.bool_)), np.int32)
        which, choose = self._scalar(choice)
        again = [*(redirected(n, swapped) for n in node.condition), choose]
        second = tuple(redirected(n, swapped) for n in body)
        branch = Branch(which, (tuple(copies), second), node.origin)
        return [replace(node, body=(*body, *again, branch))]

    def _two_of_counted(self, node: For, copies: Sequence[Copy]) -> list[Node]:
        """Of an odd number of turns, the one with the last number has no other one beside it."""
        assert node.count is not None
        body, swapped = _without(node.body, copies), _swap(copies)
        count = load(node.count, integer(0), np.dtype(np.int64))
        half, halve = self._scalar(B.divide(count + 1, integer(2)))
        extent = (node.extent + 1) // 2
        turn, old = counter(node.counter, extent), counter(node.counter, node.extent)
        lower = [with_turn(n, old, turn * 2) for n in body]
        upper = [with_turn(n, old, turn * 2 + 1) for n in body]
        which, choose = self._scalar(B.convert(B.less(turn * 2 + 1, count), np.int32))
        if node.backwards:
            back = tuple(redirected(c, swapped) for c in copies)
            turns: list[Node] = [choose, Branch(which, (back, tuple(upper)), node.origin)]
            turns += [redirected(n, swapped) for n in lower]
        else:
            second = tuple(redirected(n, swapped) for n in upper)
            turns = [*lower, choose, Branch(which, (tuple(copies), second), node.origin)]
        return [halve, replace(node, extent=extent, body=tuple(turns), count=half)]

    def _scalar(self, value: Expr) -> tuple[int, Kernel]:
        """A new buffer for a scalar, and what writes it."""
        number = len(self.buffers)
        self.buffers.append(Buffer(number, (), value.dtype, "temp"))
        return number, Kernel((), (), (Store(number, integer(0), value),))


def _is_whole_temporary(
    node: Copy, buffers: Sequence[Buffer], uses: Counter[int], inside: int
) -> bool:
    """Whether a node copies a whole temporary that only its schedule uses."""
    source = buffers[node.source]
    return (
        source.role == "temp"
        and inside == uses[node.source]
        and node.size == source.size
        and node.source_offset is integer(0)
        and node.source != node.out
    )


def _fills(node: Copy, buffers: Sequence[Buffer]) -> bool:
    return node.out_offset is integer(0) and buffers[node.out].size == node.size


class _Direct:
    """A schedule that loses its copies one by one."""

    def __init__(self, body: Sequence[Node], buffers: Sequence[Buffer], uses: Counter[int]) -> None:
        self.buffers, self.uses = buffers, uses
        self.body: list[Node | None] = list(body)
        self.accesses = [access(node) for node in body]
        self.users: dict[int, list[int]] = {}
        for k, found in enumerate(self.accesses):
            for number in found.reads | found.writes:
                self.users.setdefault(number, []).append(k)

    def nodes(self) -> list[Node]:
        for position, node in enumerate(self.body):
            if isinstance(node, Copy) and self._goes_straight(node, position):
                self._redirect(node, position)
        return [node for node in self.body if node is not None]

    def _redirect(self, copy: Copy, position: int) -> None:
        """Let everybody use the target instead of the source."""
        places = {copy.source: (copy.out, copy.out_offset)}
        users = self.users.pop(copy.source)
        old = [self.body[k] for k in users]
        for k, node in zip(users, old):
            assert node is not None
            if k == position or copies_whole(node, copy.out, copy.source):
                self.body[k], self.accesses[k] = None, Access()
            else:
                new = self.body[k] = redirected(node, places)
                self.accesses[k] = access(new)
        new_nodes = [n for k in users if (n := self.body[k]) is not None]
        self.uses.update(count_uses(new_nodes))
        self.uses.subtract(count_uses([n for n in old if n is not None]))
        kept = {k for k in {*users, *self.users[copy.out]} if self.body[k] is not None}
        self.users[copy.out] = sorted(kept)

    def _goes_straight(self, copy: Copy, position: int) -> bool:
        """Whether a copy's source may be written at its target from the beginning."""
        source = copy.source
        users = self.users[source]
        inside = count_uses([n for k in users if (n := self.body[k]) is not None])
        if not _is_whole_temporary(copy, self.buffers, self.uses, inside[source]):
            return False
        if loads([copy.out_offset]) or users[0] == position:
            return False
        fills = _fills(copy, self.buffers)
        if not all(_redirectable(self.body[k], source, fills) for k in users):
            return False
        return self._keeps_old(copy, position) and self._leaves_source(copy, position)

    def _leaves_source(self, copy: Copy, position: int) -> bool:
        """Whether source and target do not change behind the copy as long as both are needed."""
        source, target = copy.source, copy.out
        if any(k > position and source in self.accesses[k].writes for k in self.users[source]):
            return False
        last_read = max(k for k in self.users[source] if source in self.accesses[k].reads)
        whole, back = copies_whole(copy, source, target), replace(copy, source=target, out=source)
        for k in self.users[target]:
            if position < k <= last_read and target in self.accesses[k].writes:
                node = self.body[k]
                at_once = whole and isinstance(node, Kernel) and same_element(node, back)
                if k < last_read or not at_once:
                    return False
        return True

    def _keeps_old(self, copy: Copy, position: int) -> bool:
        """Whether the target's old value is not needed once something is written to the source."""
        first = self.users[copy.source][0]
        both = sorted({*self.users[copy.source], *self.users[copy.out]})
        steps = [(self.body[k], self.accesses[k]) for k in both if first <= k < position]
        return bool(_begun(steps, copy, _fills(copy, self.buffers), False))


def _begun(
    steps: Iterable[tuple[Node | None, Access]], copy: Copy, fills: bool, begun: bool
) -> bool | None:
    """Whether some nodes begin the new value, or None if one then touches the old one.

    ``begun`` says whether others before them did.
    """
    source, target = copy.source, copy.out
    for node, found in steps:
        touches = target in found.touched
        if begun and touches:
            return None
        if source not in found.writes:
            if target in found.writes:
                return None
            continue
        if fills and copies_whole(node, target, source):
            continue  # the source begins as what the target holds
        if touches and isinstance(node, Branch):
            sides = [_begun([(n, access(n)) for n in b], copy, fills, False) for b in node.branches]
            if None in sides or node.index in (source, target):
                return None
            begun = any(sides)
            continue
        if touches and not (isinstance(node, Kernel) and same_element(node, copy)):
            return None
        begun = True
    return begun


def _redirectable(node: Node | None, number: int, whole: bool) -> bool:
    """Whether a node can use another buffer, or a part of one, in place of a buffer."""
    if isinstance(node, (For, While, Branch)):
        inner = [n for body in node_bodies(node) for n in body if number in access(n).touched]
        outside = number not in own_access(node).touched
        return (whole or outside) and all(_redirectable(n, number, whole) for n in inner)
    return isinstance(node, (Kernel, Contraction, Copy)) or (
        whole and isinstance(node, (Accumulate, Attention, Routine, Sort))
    )


def _two_of_for(node: For, copies: Sequence[Copy]) -> list[Node]:
    body, swapped = _without(node.body, copies), _swap(copies)
    half = node.extent // 2
    turn, old = counter(node.counter, half), counter(node.counter, node.extent)

    def at(place: Expr) -> list[Node]:
        return [with_turn(n, old, place) for n in body]

    second = [redirected(n, swapped) for n in at(turn * 2 + 1)]
    nodes: list[Node] = [replace(node, extent=half, body=(*at(turn * 2), *second))]
    if node.extent % 2:
        nodes += [*at(integer(node.extent - 1)), *copies]
    return nodes


def _without(body: Sequence[Node], copies: Sequence[Copy]) -> list[Node]:
    gone = {id(copy) for copy in copies}
    return [node for node in body if id(node) not in gone]


def _swap(copies: Sequence[Copy]) -> Places:
    """Let new values and old ones change places."""
    places = {c.source: (c.out, integer(0)) for c in copies}
    return places | {c.out: (c.source, integer(0)) for c in copies}


# -- nodes with parts replaced -----------------------------------------------------------------


def with_turn(node: Node, turn: Expr, place: Expr) -> Node:
    """A node with another expression for the turn of a loop."""
    return _mapped(node, lambda exprs: rebuild(exprs, {turn: place}.get), {})


def redirected(node: Node, places: Places) -> Node:
    """A node that uses other buffers, from given offsets on, instead of some."""

    def leaf(expr: Expr) -> Expr | None:
        if expr.op != "load" or expr.attr not in places:
            return None
        number, base = places[expr.attr]
        [offset] = rebuild([expr.args[0]], leaf)
        return load(number, base + offset, expr.dtype)

    return _mapped(node, lambda exprs: rebuild(exprs, leaf), places)


Change = Callable[[list[Expr]], list[Expr]]


def _mapped(node: Node, change: Change, places: Places) -> Node:
    """A node with its expressions changed, its own buffers as ``places`` says."""
    return _MAPPED[type(node)](node, change, places)


def _kernel(node: Kernel, change: Change, places: Places) -> Kernel:
    new = mapped(node, change)
    stores = [
        replace(s, buffer=places[s.buffer][0], offset=places[s.buffer][1] + s.offset)
        if s.buffer in places
        else s
        for s in new.stores
    ]
    return replace(new, stores=tuple(stores))


def _matrix(m: Matrix, change: Change, places: Places) -> Matrix:
    [offset] = change([m.offset])
    number, base = places.get(m.buffer, (m.buffer, integer(0)))
    return replace(m, buffer=number, offset=base + offset)


def _contraction(node: Contraction, change: Change, places: Places) -> Contraction:
    left, right, out = (_matrix(m, change, places) for m in (node.left, node.right, node.out))
    return replace(node, left=left, right=right, out=out)


def _copy(node: Copy, change: Change, places: Places) -> Copy:
    source_offset, out_offset = change([node.source_offset, node.out_offset])
    source, source_base = places.get(node.source, (node.source, integer(0)))
    out, out_base = places.get(node.out, (node.out, integer(0)))
    return replace(
        node,
        source=source,
        out=out,
        source_offset=source_base + source_offset,
        out_offset=out_base + out_offset,
    )


def _copies_onto_itself(node: Node) -> bool:
    """Whether a node copies elements to where they are."""
    return (
        isinstance(node, Copy) and node.source == node.out and node.source_offset is node.out_offset
    )


def _renamed(number: int, places: Places) -> int:
    return places[number][0] if number in places else number


def _accumulate(node: Accumulate, change: Change, places: Places) -> Accumulate:
    return replace(node, source=_renamed(node.source, places), out=_renamed(node.out, places))


def _sort(node: Listed, change: Change, places: Places) -> Listed:
    sources = tuple(_renamed(n, places) for n in node.sources)
    return replace(node, sources=sources, outs=tuple(_renamed(n, places) for n in node.outs))


def _reserve(node: Reserve, change: Change, places: Places) -> Reserve:
    count, granted = _renamed(node.count, places), _renamed(node.granted, places)
    return replace(node, count=count, granted=granted)


def _control(node: Any, change: Change, places: Places) -> Any:
    def bodies(nodes: Sequence[Node]) -> tuple[Node, ...]:
        changed = (_mapped(n, change, places) for n in nodes)
        return tuple(n for n in changed if not _copies_onto_itself(n))

    if isinstance(node, For):
        count = None if node.count is None else _renamed(node.count, places)
        return replace(node, body=bodies(node.body), count=count)
    if isinstance(node, While):
        number = _renamed(node.predicate, places)
        condition, body = bodies(node.condition), bodies(node.body)
        return replace(node, predicate=number, condition=condition, body=body)
    index = _renamed(node.index, places)
    return replace(node, index=index, branches=tuple(map(bodies, node.branches)))


_MAPPED: Mapping[type, Callable[[Any, Change, Places], Any]] = {
    Kernel: _kernel,
    Contraction: _contraction,
    Copy: _copy,
    Accumulate: _accumulate,
    Sort: _sort,
    Routine: _sort,
    Attention: _sort,
    For: _control,
    While: _control,
    Branch: _control,
    Reserve: _reserve,
}
