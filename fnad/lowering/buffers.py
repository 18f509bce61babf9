"""Lifetimes of buffers, and their places in one arena."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fnad.lowering.access import access, node_bodies, own_access
from fnad.lowering.plan import Buffer, For, Group, Node, While

Interval = tuple[int, int]
Intervals = dict[int, Interval]

ALIGNMENT = 64
# Buffers of at most this many bytes are placed by linear scan, the others each into the best gap.
_SMALL = 4096
# A program's time is divided into periods, to find those that live at the same time: as many as
# keep the work even between noting a buffer in its periods and looking through one.
_PERIODS = 512
_LARGE_IN_PERIOD = 8
# What is taken at a time is kept if it is as few places as this.
_FEW_PLACES = 64


@dataclass(slots=True)
class _Lifetimes:
    """Where buffers are used: the interval, and the loops that hold every use so far."""

    position: int = 0
    first: dict[int, int] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)
    inside: dict[int, tuple[int, ...]] = field(default_factory=dict)
    # Loops that hold some uses of a buffer but not all: its value must survive all turns.
    across: dict[int, set[int]] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)  # of loops, by their positions

    def walk(self, body: Sequence[Node], loops: tuple[int, ...]) -> None:
        for node in body:
            start = self.position
            self.position += 1
            is_loop = isinstance(node, (For, While))
            inside = (*loops, start) if is_loop else loops
            # The predicate of a loop is read on every turn: it is used inside.
            is_group = isinstance(node, Group)
            for number in (access(node) if is_group else own_access(node)).touched:
                self.note(number, start, inside)
            for inner in () if is_group else node_bodies(node):
                self.walk(inner, inside)
            if is_loop:
                self.ends[start] = self.position
                self.position += 1

    def note(self, number: int, position: int, loops: tuple[int, ...]) -> None:
        self.last[number] = position
        if number not in self.first:
            self.first[number] = position
            self.inside[number] = loops
            return
        shared = self.inside[number]
        if shared == loops:
            return
        common = 0
        while common < min(len(loops), len(shared)) and loops[common] == shared[common]:
            common += 1
        self.across.setdefault(number, set()).update(loops[common:], shared[common:])
        self.inside[number] = shared[:common]

    def intervals(self) -> Intervals:
        result = {number: (first, self.last[number]) for number, first in self.first.items()}
        for number, loops in self.across.items():
            first, last = result[number]
            result[number] = (
                min(first, *loops),
                max(last, *[self.ends[loop] for loop in loops]),
            )
        return result


def place(buffers: Sequence[Buffer], body: Sequence[Node]) -> tuple[tuple[Buffer, ...], int]:
    """Give every temporary a lifetime and an offset; return the buffers and the arena's size.

    The largest buffers are placed first, each into the tightest gap between those that live at
    the same time (Pisarchyk and Lee, 2020, "greedy by size"). Behind them come the small ones,
    of which an unrolled program has thousands.
    """
    lifetimes = _Lifetimes()
    lifetimes.walk(body, ())
    intervals = lifetimes.intervals()
    inside = local_buffers(body)
    temps = [
        b for b in buffers if b.role == "temp" and b.number in intervals and b.number not in inside
    ]
    offsets, arena = _place_large([b for b in temps if b.nbytes > _SMALL], intervals)
    small, arena = _place_small([b for b in temps if b.nbytes <= _SMALL], intervals, arena)
    offsets |= small
    used = [b for b in buffers if b.role != "temp" or b.number in intervals]
    return tuple(
        [
            Buffer(b.number, b.shape, b.dtype, b.role, offsets[b.number], intervals[b.number])
            if b.number in offsets
            else (replace(b, role="local") if b.number in inside else b)
            for b in used
        ]
    ), arena


def local_buffers(body: Sequence[Node]) -> set[int]:
    """The buffers that live inside of groups."""
    found: set[int] = set()
    for node in body:
        if isinstance(node, Group):
            found.update(node.locals)
        else:
            for inner in node_bodies(node):
                found |= local_buffers(inner)
    return found


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _place_large(temps: Sequence[Buffer], intervals: Intervals) -> tuple[dict[int, int], int]:
    placed = _Placed([intervals[b.number] for b in temps])
    offsets: dict[int, int] = {}
    arena = 0
    for b in sorted(temps, key=lambda b: (-b.nbytes, b.number)):
        size, life = _padded(b.nbytes), intervals[b.number]
        offset = _tightest_gap(size, placed.during(life))
        placed.add((offset, offset + size), life)
        offsets[b.number] = offset
        arena = max(arena, offset + size)
    return offsets, arena


class _Placed:
    """What has been placed, by time: a program of thousands of buffers has few at a time.

    Where it has many, most of them live as long as others do: what was taken then is kept.
    """

    def __init__(self, lives: Sequence[Interval]) -> None:
        span = max((last for _, last in lives), default=0) + 1
        count = min(_PERIODS, 1 + len(lives) // _LARGE_IN_PERIOD)
        self.width = -(-span // count)
        self.all: list[tuple[Interval, Interval]] = []
        self.periods: list[list[tuple[Interval, Interval]]] = [[] for _ in range(count)]
        # By life: what was taken, and how many were placed when that was found.
        self.known: dict[Interval, tuple[list[Interval], int]] = {}

    def add(self, place: Interval, life: Interval) -> None:
        self.all.append((place, life))
        for period in self.periods[life[0] // self.width : life[1] // self.width + 1]:
            period.append((place, life))

    def during(self, life: Interval) -> list[Interval]:
        """What is taken at some time of ``life``: in order, neighbours joined."""
        first, last = life
        taken, count = self.known.get(life, ([], 0))
        periods = self.periods[first // self.width : last // self.width + 1]
        if sum(map(len, periods)) > len(self.all) - count:  # what lives long stands in many
            periods = [self.all[count:]]
        found = {
            place
            for period in periods
            for place, (start, end) in period
            if start <= last and first <= end
        }
        taken = _joined(sorted([*taken, *found]))
        if len(taken) <= _FEW_PLACES:
            self.known[life] = taken, len(self.all)
        return taken


def _joined(places: Sequence[Interval]) -> list[Interval]:
    """Places in order as places with room between them."""
    joined: list[Interval] = []
    begin = end = 0
    for start, stop in places:
        if start > end:
            joined.append((begin, end))
            begin = start
        end = max(end, stop)
    joined.append((begin, end))
    return joined


def _place_small(
    temps: Sequence[Buffer], intervals: Intervals, arena: int
) -> tuple[dict[int, int], int]:
    """In the order of first uses, each takes the place of a dead one of its size, or a new one."""
    offsets: dict[int, int] = {}
    free: dict[int, list[int]] = {}
    alive: list[tuple[int, int, int]] = []  # a heap: last use, size, offset
    for b in sorted(temps, key=lambda b: (intervals[b.number], b.number)):
        first, last = intervals[b.number]
        while alive and alive[0][0] < first:
            _, size, offset = heapq.heappop(alive)
            free.setdefault(size, []).append(offset)
        size = _padded(b.nbytes)
        if free.get(size):
            offset = free[size].pop()
        else:
            offset, arena = arena, arena + size
        offsets[b.number] = offset
        heapq.heappush(alive, (last, size, offset))
    return offsets, arena


def _tightest_gap(size: int, taken: Sequence[Interval]) -> int:
    best: tuple[int, int] | None = None
    end = 0
    for start, stop in taken:
        if start - end >= size and (best is None or start - end < best[0]):
            best = (start - end, end)
        end = stop
    return end if best is None else best[1]
