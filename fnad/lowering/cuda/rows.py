"""Groups of kernels over the same rows as stages of one kernel, and what stays in registers.

Softmax is a group of four members; here they become stages, loops over the points of one row by
the threads of a crew, which has the row for itself::

    max = maximum of x[row, p] for all p
    e[row, p] = exp(x[row, p] - max)
    sum = sum of e[row, p] for all p
    out[row, p] = e[row, p] / sum

All stages of as many points divide them alike. So what one stage has loaded or stored at a point,
the next one finds in a register of the same thread: memory sees each row once. Values that others
need at other points go through shared memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fnad.lowering.cuda.points import Axes, count
from fnad.lowering.cuda.teams import WARP
from fnad.lowering.cuda.words import most_lanes, neighbours
from fnad.lowering.expr import Expr, axis, integer, load
from fnad.lowering.kernels import store_parts
from fnad.lowering.plan import Buffer, Contraction, Group, Kernel, Reduction, Store
from fnad.lowering.tensors import unravel
from fnad.lowering.walk import below, loads, rebuild

# Points of a row that a crew works through.
_MOST_POINTS = 1 << 15
_MOST_THREADS = 1024
_BLOCK = 256
# Threads that keep a large card busy.
_MANY_THREADS = 1 << 16
# Points that a thread holds of a buffer, and bytes of all buffers: 255 registers are the most, 64
# where blocks have 1024 threads.
_MOST_HELD = 32
_HELD_BYTES = 256
_HELD_BYTES_OF_LARGE_BLOCKS = 112
# Bytes of shared memory for local buffers: of 48 KiB, some are left to reductions.
_SHARED_BYTES = 36 << 10

# A load and the stage at which its value came into a register.
Version = tuple[int, Expr]


@dataclass(frozen=True, slots=True)
class Stage:
    """A loop over ``points`` points of a row: terms of a reduction, or what a member stores.

    Expressions name the row by `ROW`, and points by `point`.
    """

    member: int
    points: int
    reduction: Reduction | None
    stores: tuple[Store, ...] = ()

    @property
    def exprs(self) -> list[Expr]:
        """All expressions of the stage."""
        if self.reduction is not None:
            return [self.reduction.value]
        return [e for s in self.stores for e in store_parts(s)]


ROW = 0  # the number of the variable that counts rows


def point(points: int) -> Expr:
    """The variable of a loop over so many points; the same for all stages."""
    return axis(points, points) if points > 1 else integer(0)


def stages_of(kernels: Sequence[Kernel | Contraction], extent: int) -> list[Stage] | None:
    """Kernels over the same ``extent`` rows as stages; None if they cannot run so."""
    stages: list[Stage] = []
    for member, kernel in enumerate(kernels):
        if not isinstance(kernel, Kernel) or kernel.sequential or not kernel.axes:
            return None
        points = count(kernel.axes) // extent
        if kernel.reductions and points > 1:
            return None
        mapping = _in_row(kernel.axes, extent, points)
        for r in kernel.reductions:
            terms = count(r.axes)
            [value] = rebuild([r.value], {**mapping, **_over(r.axes, terms)}.get)
            reduction = Reduction(r.kind, r.axes, value, r.accumulator, r.dtype)
            stages.append(Stage(member, terms, reduction))
        stores = tuple([_mapped(s, mapping) for s in kernel.stores])
        stages.append(Stage(member, points, None, stores))
    if any(s.points > _MOST_POINTS for s in stages):
        return None
    return stages


def run_together(kernels: Sequence[Kernel | Contraction], extent: int) -> bool:
    """Whether kernels should become one that goes through so many rows."""
    stages = stages_of(kernels, extent)
    return stages is not None and any(s.reduction and s.points > 1 for s in stages)


def _in_row(axes: Axes, extent: int, points: int) -> dict[Expr, Expr]:
    """The loop variables of a member by its row and the point in it."""
    (first, length), *inner = axes
    step = length // extent
    outer, *rest = unravel(point(points), (step, *(n for _, n in inner)))
    mapping = {axis(*a): i for a, i in zip(inner, rest, strict=True)}
    mapping[axis(first, length)] = axis(ROW, extent) * step + outer
    return mapping


def _over(axes: Axes, terms: int) -> dict[Expr, Expr]:
    """The loop variables of a reduction by the number of the term."""
    index = unravel(point(terms), tuple(n for _, n in axes))
    return {axis(*a): i for a, i in zip(axes, index, strict=True)}


def _mapped(store: Store, mapping: Mapping[Expr, Expr]) -> Store:
    offset, value, *when = rebuild(store_parts(store), mapping.get)
    return Store(store.buffer, offset, value, store.combine, when[0] if when else None)


@dataclass(frozen=True, slots=True)
class Rows:
    """How a group runs: ``crew`` threads a row, ``width`` rows a block.

    ``lanes`` tells how many neighbouring points a thread takes together, by the points of a stage.
    ``kept`` are the versions of loads that later stages find in registers; ``memory`` are those
    local buffers that need memory all the same, offsets into which count from the row's part on.
    """

    extent: int
    crew: int
    width: int
    stages: tuple[Stage, ...]
    lanes: Mapping[int, int]
    kept: frozenset[Version]
    served: frozenset[Version]
    memory: Mapping[int, int]
    shared: frozenset[int]

    @property
    def threads(self) -> int:
        """The threads of a block."""
        return self.crew * self.width

    @property
    def blocks(self) -> int:
        """The blocks of a launch."""
        return -(-self.extent // self.width)

    def turns(self, points: int) -> int:
        """How many vectors of a row a thread takes."""
        return -(-points // (self.lanes[points] * self.crew))

    def holds(self, points: int) -> bool:
        """Whether a thread may hold its points of a row."""
        return self.turns(points) * self.lanes[points] <= _MOST_HELD


def rows_of(group: Group, buffers: Mapping[int, Buffer]) -> Rows:
    """How to run a group of kernels for which there are stages."""
    stages = stages_of([member.node for member in group.members], group.extent)
    assert stages is not None
    row = axis(ROW, group.extent)
    parts = {n: buffers[n].size // group.extent for n in group.locals}
    stages = [_with_local_offsets(s, row, parts) for s in stages]
    lanes = {s.points: 1 for s in stages}
    for points in lanes:
        lanes[points] = _lanes(points, [s for s in stages if s.points == points])
    first = _crew(group.extent, lanes)
    for crew in [first << k for k in range(11) if first << k <= _MOST_THREADS]:
        found = _rows(group, stages, lanes, crew, parts, buffers)
        if _held_bytes(found) <= (
            _HELD_BYTES if crew < _MOST_THREADS else _HELD_BYTES_OF_LARGE_BLOCKS
        ):
            return found
    return _rows(group, stages, lanes, first, parts, buffers, hold=False)


def _with_local_offsets(stage: Stage, row: Expr, parts: Mapping[int, int]) -> Stage:
    """A stage whose offsets into local buffers count from the row's part on."""

    def leaf(e: Expr) -> Expr | None:
        if e.op == "load" and e.attr in parts:
            return load(e.attr, _inside(e.args[0], row, parts[e.attr]), e.dtype)
        return None

    if stage.reduction is not None:
        r = stage.reduction
        [value] = rebuild([r.value], leaf)
        return Stage(
            stage.member, stage.points, Reduction(r.kind, r.axes, value, r.accumulator, r.dtype)
        )
    stores = []
    for s in stage.stores:
        offset, value, *when = rebuild(store_parts(s), leaf)
        if s.buffer in parts:
            offset = _inside(offset, row, parts[s.buffer])
        stores.append(Store(s.buffer, offset, value, s.combine, when[0] if when else None))
    return Stage(stage.member, stage.points, None, tuple(stores))


def _inside(offset: Expr, row: Expr, part: int) -> Expr:
    return offset - row * part


def _lanes(points: int, stages: Iterable[Stage]) -> int:
    """How many neighbouring points a thread takes together."""
    if points == 1:
        return 1
    variable = point(points)
    dtypes = []
    for s in stages:
        places = [(e.args[0], e.dtype) for e in loads(s.exprs)]
        places += [(store.offset, store.value.dtype) for store in s.stores]
        dtypes += [dtype for offset, dtype in places if neighbours(offset, variable)]
    return math.gcd(points, most_lanes(dtypes)) if dtypes else 1


def _crew(extent: int, lanes: Mapping[int, int]) -> int:
    """How many threads a row gets at least."""
    vectors = max(points // n for points, n in lanes.items())
    longest = max(n for n in lanes.values())
    crew = 1
    while crew < WARP and (-(-vectors // crew)) * longest > _MOST_HELD // 2:
        crew *= 2
    while crew < _MOST_THREADS and -(-vectors // crew) * longest > _MOST_HELD:
        crew *= 2
    while crew < _MOST_THREADS and crew < vectors and extent * crew < _MANY_THREADS:
        crew *= 2
    return crew


def _rows(
    group: Group,
    stages: Sequence[Stage],
    lanes: Mapping[int, int],
    crew: int,
    parts: Mapping[int, int],
    buffers: Mapping[int, Buffer],
    hold: bool = True,
) -> Rows:
    width = max(_BLOCK // crew, 1) if crew <= WARP else 1
    empty: frozenset[Version] = frozenset()
    plain = Rows(group.extent, crew, width, tuple(stages), lanes, empty, empty, {}, frozenset())
    kept, served = _registers(plain, hold)
    missed = {
        e.attr
        for k, s in enumerate(stages)
        for e in loads(s.exprs)
        if e.attr in parts and (k, e) not in served
    }
    memory = {n: parts[n] for n in group.locals if n in missed}
    shared, nbytes = set(), 0
    for n, size in sorted(memory.items(), key=lambda item: item[1]):
        nbytes += padded(size, buffers[n].dtype.itemsize) * width * buffers[n].dtype.itemsize
        if nbytes <= _SHARED_BYTES:
            shared.add(n)
    return Rows(
        group.extent,
        crew,
        width,
        tuple(stages),
        lanes,
        frozenset(kept),
        frozenset(served),
        memory,
        frozenset(shared),
    )


def padded(size: int, itemsize: int) -> int:
    """Elements of a row's part in shared memory, so that the next one is aligned as well."""
    unit = max(16 // itemsize, 1)
    return -(-size // unit) * unit


def _registers(rows: Rows, hold: bool) -> tuple[set[Version], set[Version]]:
    """Which versions of loads are kept in registers, and which loads of stages find them there."""
    kept: set[Version] = set()
    served: set[Version] = set()
    known: dict[Expr, tuple[int, int]] = {}  # by load: the stage it is from, and its points
    for k, stage in enumerate(rows.stages):
        variable = point(stage.points)
        for e in loads(stage.exprs):
            varies = stage.points > 1 and variable in below(e)
            if e in known and known[e][1] == (stage.points if varies else 1):
                kept.add((known[e][0], e))
                served.add((k, e))
            elif varies and hold and rows.holds(stage.points) and streams(e, rows.extent, variable):
                known[e] = k, stage.points
        for s in stage.stores:
            known = {e: found for e, found in known.items() if e.attr != s.buffer}
        for s in stage.stores:
            if s.when is None and (stage.points == 1 or (hold and rows.holds(stage.points))):
                known[load(s.buffer, s.offset, s.value.dtype)] = k, stage.points
    return kept, served


def streams(e: Expr, extent: int, variable: Expr) -> bool:
    """Whether a load reads neighbours as points do, and others in each row.

    What all rows read stays in the cache next to the threads, and need not stay in registers.
    """
    return neighbours(e.args[0], variable) and axis(ROW, extent) in below(e)


def _held_bytes(rows: Rows) -> int:
    """The most bytes that a thread holds at a time: what is kept, and what is read ahead."""
    last: dict[Version, int] = {}
    for k, e in rows.served:
        version = max((v for v in rows.kept if v[1] is e and v[0] < k), key=lambda v: v[0])
        last[version] = max(last.get(version, 0), k)
    most = 0
    for k, stage in enumerate(rows.stages):
        versions = {v for v, end in last.items() if v[0] <= k < end}
        if stage.points > 1 and rows.holds(stage.points):
            variable = point(stage.points)
            found = [e for e in loads(stage.exprs) if streams(e, rows.extent, variable)]
            versions |= {(k, e) for e in found if (k, e) not in rows.served}
        most = max(most, sum(_held_points(rows, v) * v[1].dtype.itemsize for v in versions))
    return most


def _held_points(rows: Rows, version: Version) -> int:
    points = rows.stages[version[0]].points
    return rows.turns(points) * rows.lanes[points]
