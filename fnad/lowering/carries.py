"""Carries of loops without copies: what is copied into another buffer is written there at once.

The planner ends each turn of a loop with copies of new values into the carry, and of results
into their places in stacked outputs. Where the old value is needed no more when the new one is
made, the new one is written over it. Where it is, a loop makes two turns in one: the second reads
what the first wrote beside the carry, and writes the carry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from fnad.lowering.access import (
    Access,
    access,
    count_uses,
    loads,
    node_bodies,
    own_access,
    uses_of,
)
from fnad.lowering.early_reads import copies_whole, read_early, same_element
from fnad.lowering.expr import B, Expr, counter, integer, load
from fnad.lowering.plan import Branch, Buffer, Copy, For, Kernel, Node, Store, While
from fnad.lowering.redirected import Places, redirectable, redirected, with_turn

# Two turns in one double what there is to print; small carries are copied, or kept in registers.
_MIN_BYTES = 4096
_MIN_BYTES_A_NODE = 256

_CONTROL = (For, While, Branch)


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

    def schedule(self, body: Sequence[Node]) -> list[Node]:
        nodes: list[Node] = []
        for node in self._handed_in(body):
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

    def _handed_in(self, body: Sequence[Node]) -> Sequence[Node]:
        """A schedule with copies of what one node makes moved into the schedules of that node.

        Before ``if %1: {copy: %3 = %2}; copy: %4 = %3``, after ``if %1: {copy: %4 = %2}``, if
        nothing else uses ``%3``, and nothing before uses ``%4``. What comes out of many nested
        bodies is so handed from each to the next one inside, and renamed once, not once a body.
        """
        if not any(isinstance(node, _CONTROL) for node in body):
            return body
        users: dict[int, list[int]] = {}
        # By the position of what makes what is copied: who in it uses what, and new places.
        inside: dict[int, dict[int, list[Node]]] = {}
        places: dict[int, Places] = {}
        gone: set[int] = set()
        for position, node in enumerate(body):
            if isinstance(node, Copy) and node.out not in users:
                [maker, *others] = users.get(node.source, [-1])
                made_inside = maker >= 0 and not others and isinstance(body[maker], _CONTROL)
                if made_inside and maker not in inside:
                    inside[maker] = _users_inside(body[maker])
                if made_inside and self._is_handed_in(node, body[maker], inside[maker]):
                    places.setdefault(maker, {})[node.source] = node.out, node.out_offset
                    gone.add(position)
                    users[node.out] = [maker]
                    self.uses[node.out] += self.uses.pop(node.source) - 2  # the copy used both
                    continue
            for number in access(node).touched:
                users.setdefault(number, []).append(position)
        if not places:
            return body
        changed = [redirected(n, places[k]) if k in places else n for k, n in enumerate(body)]
        return [node for k, node in enumerate(changed) if k not in gone]

    def _is_handed_in(self, copy: Copy, maker: Node, inside: dict[int, list[Node]]) -> bool:
        """Whether the target of a copy may be written by the node whose result it reads."""
        users = inside.get(copy.source, [])
        uses = uses_of(copy.source, users) + 1
        if not _is_whole_temporary(copy, self.buffers, self.uses, uses) or loads([copy.out_offset]):
            return False
        whole = _fills(copy, self.buffers)
        return (
            copy.source in access(maker).writes
            and copy.source not in own_access(maker).touched
            and all(redirectable(node, copy.source, whole) for node in users)
        )

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


def _users_inside(node: Node) -> dict[int, list[Node]]:
    """The nodes of the schedules right inside of a node, by the buffers that they use."""
    users: dict[int, list[Node]] = {}
    for body in node_bodies(node):
        for inner in body:
            for number in access(inner).touched:
                users.setdefault(number, []).append(inner)
    return users


class _Direct:
    """A schedule that loses its copies one by one."""

    def __init__(self, body: Sequence[Node], buffers: Sequence[Buffer], uses: Counter[int]) -> None:
        self.buffers, self.uses = buffers, uses
        self.body: list[Node | None] = list(body)
        self.original = list(body)
        self.accesses = [access(node) for node in body]
        self.users: dict[int, list[int]] = {}
        for k, found in enumerate(self.accesses):
            for number in found.touched:
                self.users.setdefault(number, []).append(k)
        self.first_users = {number: tuple(users) for number, users in self.users.items()}

    def nodes(self) -> list[Node]:
        copies: dict[int, list[int]] = {}
        for position, node in enumerate(self.body):
            if isinstance(node, Copy):
                copies.setdefault(node.source, []).append(position)
        # The last source first: of values that are made of each other, each node changes once.
        for position in (k for positions in reversed(copies.values()) for k in positions):
            node = self.body[position]
            if isinstance(node, Copy) and self._goes_straight(node, position):
                self._redirect(node, position)
        changed = [k for k, node in enumerate(self.original) if self.body[k] is not node]
        self.uses.update(count_uses([n for k in changed if (n := self.body[k]) is not None]))
        self.uses.subtract(count_uses([self.original[k] for k in changed]))
        return [node for node in self.body if node is not None]

    def _redirect(self, copy: Copy, position: int) -> None:
        """Let everybody use the target instead of the source."""
        places = {copy.source: (copy.out, copy.out_offset)}
        users = self.users.pop(copy.source)
        for k in users:
            node = self.body[k]
            assert node is not None
            if k == position or copies_whole(node, copy.out, copy.source):
                self.body[k], self.accesses[k] = None, Access()
            else:
                new = self.body[k] = redirected(node, places)
                self.accesses[k] = access(new)
        kept = {k for k in {*users, *self.users[copy.out]} if self.body[k] is not None}
        self.users[copy.out] = sorted(kept)

    def _goes_straight(self, copy: Copy, position: int) -> bool:
        """Whether a copy's source may be written at its target from the beginning."""
        source = copy.source
        users = self.users[source]
        # Changes here leave the number of uses elsewhere as it is: those from before still count.
        inside = uses_of(source, [self.original[k] for k in self.first_users.get(source, ())])
        if not _is_whole_temporary(copy, self.buffers, self.uses, inside):
            return False
        if loads([copy.out_offset]) or users[0] == position:
            return False
        fills = _fills(copy, self.buffers)
        if not all(redirectable(self.body[k], source, fills) for k in users):
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
