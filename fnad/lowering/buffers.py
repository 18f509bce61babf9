"""Lifetimes of buffers, and their places in one arena."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fnad.lowering.access import access, node_bodies, own_access
from fnad.lowering.plan import Buffer, For, Group, Node, While

Intervals = dict[int, tuple[int, int]]

ALIGNMENT = 64
# Buffers of at most this many bytes are placed by linear scan, the others each into the best gap.
_SMALL = 4096
# A program's time is divided into so many periods, to find those that live at the same time.
_PERIODS = 512


@dataclass(slots=True)
class _Use:
    """Where a buffer is used: the interval, and the loops that hold every use so far."""

    first: int
    last: int
    loops: tuple[int, ...]


@dataclass(slots=True)
class _Lifetimes:
    position: int = 0
    uses: dict[int, _Use] = field(default_factory=dict)
    loops: dict[int, tuple[int, int]] = field(default_factory=dict)
    outside: dict[int, set[int]] = field(default_factory=dict)

    def walk(self, body: Sequence[Node], loops: tuple[int, ...]) -> None:
        for node in body:
            start = self.position
            self.position += 1
            inside = loops
            if isinstance(node, (For, While)):
                inside = (*loops, start)
            # The predicate of a loop is read on every turn: it is used inside.
            own = access(node) if isinstance(node, Group) else own_access(node)
            for number in own.reads | own.writes:
                self.note(number, start, inside)
            for inner in () if isinstance(node, Group) else node_bodies(node):
                self.walk(inner, inside)
            if isinstance(node, (For, While)):
                self.loops[start] = (start, self.position)
                self.position += 1

    def note(self, number: int, position: int, loops: tuple[int, ...]) -> None:
        use = self.uses.get(number)
        if use is None:
            self.uses[number] = _Use(position, position, loops)
            self.outside[number] = set()
            return
        use.last = position
        common = 0
        while common < min(len(loops), len(use.loops)) and loops[common] == use.loops[common]:
            common += 1
        # A loop that holds some uses but not all: the value must survive the whole loop.
        self.outside[number] |= {*loops[common:], *use.loops[common:]}
        use.loops = use.loops[:common]

    def intervals(self) -> Intervals:
        result = {}
        for number, use in self.uses.items():
            first, last = use.first, use.last
            for loop in self.outside[number]:
                first = min(first, self.loops[loop][0])
                last = max(last, self.loops[loop][1])
            result[number] = (first, last)
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
        replace(b, offset=offsets[b.number], lifetime=intervals[b.number])
        if b.number in offsets
        else (replace(b, role="local") if b.number in inside else b)
        for b in used
    ), arena


def local_buffers(body: Sequence[Node]) -> set[int]:
    """The buffers that live inside of groups."""
    found: set[int] = set()
    for node in body:
        if isinstance(node, Group):
            found |= set(node.locals)
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
    """What has been placed, by time: a program of thousands of buffers has few at a time."""

    def __init__(self, lives: Sequence[tuple[int, int]]) -> None:
        span = max((last for _, last in lives), default=0) + 1
        self.width = -(-span // _PERIODS)
        self.all: list[tuple[tuple[int, int], tuple[int, int]]] = []
        self.periods: list[list[tuple[tuple[int, int], tuple[int, int]]]] = [
            [] for _ in range(_PERIODS)
        ]

    def add(self, place: tuple[int, int], life: tuple[int, int]) -> None:
        self.all.append((place, life))
        for period in self.periods[life[0] // self.width : life[1] // self.width + 1]:
            period.append((place, life))

    def during(self, life: tuple[int, int]) -> list[tuple[int, int]]:
        """The places that are taken at some time of ``life``, in order."""
        first, last = life
        periods = self.periods[first // self.width : last // self.width + 1]
        if sum(map(len, periods)) > len(self.all):  # what lives long stands in many of them
            periods = [self.all]
        found = {
            place
            for period in periods
            for place, (start, end) in period
            if start <= last and first <= end
        }
        return sorted(found)


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


def _tightest_gap(size: int, taken: list[tuple[int, int]]) -> int:
    best: tuple[int, int] | None = None
    end = 0
    for start, stop in taken:
        if start - end >= size and (best is None or start - end < best[0]):
            best = (start - end, end)
        end = max(end, stop)
    return end if best is None else best[1]
