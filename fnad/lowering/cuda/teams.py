"""Teams of threads: which threads work on one point of a kernel, and how they reduce together.

A block has ``width`` teams of ``lanes`` threads. The threads of a team are neighbours, and exchange
values by shuffles and, if they are more than a warp, by shared memory; or, if ``strided``, the
threads that are neighbours belong to different teams, so that neighbouring points are read
together, and a team exchanges values by shared memory alone. What a reduction gives depends on the
sizes alone: terms are added in an order that never varies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fnad.lowering.cuda.writer import BOOL, INT64, Function, Value, ctype
from fnad.lowering.nodes import neutral
from fnad.lowering.plan import Reduction

WARP = 32

# The shared memory of a block that reduces: a variable of each thread or warp.
_EVERY_LANE = "0xffffffffu"


@dataclass(frozen=True, slots=True)
class Team:
    """How the threads of a block are divided: see this module."""

    width: int
    lanes: int
    strided: bool = False

    @property
    def threads(self) -> int:
        """The threads of a block."""
        return self.width * self.lanes

    @property
    def waits(self) -> bool:
        """Whether reductions wait for all threads of the block."""
        return self.strided or self.lanes > WARP

    @property
    def lane(self) -> str:
        """A thread's number in its team."""
        if self.lanes == 1:
            return "0"
        if self.strided:
            return f"((i32)threadIdx.x / {self.width})"
        return "(i32)threadIdx.x" if self.width == 1 else f"((i32)threadIdx.x % {self.lanes})"

    @property
    def place(self) -> str:
        """The number of a thread's team in its block."""
        if self.width == 1:
            return "0"
        if self.strided:
            return f"((i32)threadIdx.x % {self.width})"
        return f"((i32)threadIdx.x / {self.lanes})" if self.lanes > 1 else "(i32)threadIdx.x"


class Accumulator:
    """The running value of a reduction, of an extremum's position its value as well."""

    def __init__(self, f: Function, reduction: Reduction) -> None:
        self.f = f
        self.kind = reduction.kind
        self.dtype = reduction.accumulator
        self.result_dtype = reduction.dtype
        self.positional = self.kind.startswith("arg")
        kind = self.kind.removeprefix("arg")
        start = f.b.constant(neutral(kind, self.dtype), self.dtype)
        self.total = f.variable(start)
        # An index that every real one is less than.
        largest = f.b.constant(np.iinfo(np.int64).max, INT64)
        self.position = f.variable(largest) if self.positional else None

    def add(self, term: Value, position: str) -> None:
        """Take in a term, ``position`` being its number among all."""
        f = self.f
        term = f.b.convert(term, self.dtype)
        if self.position is None:
            self._assign(f.b.accumulate(self.kind, self.total, term))
        else:
            self.take(term, Value(position, INT64))

    def take(self, term: Value, position: Value) -> None:
        """Take in an extremum and its position, if it is one of all so far."""
        f, b = self.f, self.f.b
        assert self.position is not None
        ahead, behind = self._better(term, self.total), self._better(self.total, term)
        first = f.value(f"{position.ref} < {self.position.ref}", BOOL)
        chosen = b.bitwise_or(ahead, b.bitwise_and(b.bitwise_not(behind), first))
        with f.block(f"if ({chosen.ref})"):
            f.line(f"{self.total.ref} = {term.ref};")
            f.line(f"{self.position.ref} = {position.ref};")

    def _better(self, x: Value, y: Value) -> Value:
        """Whether ``x`` is the more extreme one, NaN being more so than all else."""
        b = self.f.b
        beyond = b.greater(x, y) if self.kind == "argmax" else b.less(x, y)
        if self.dtype.kind not in "fV":
            return beyond
        return b.bitwise_or(beyond, b.bitwise_and(b.is_nan(x), b.bitwise_not(b.is_nan(y))))

    def _assign(self, value: Value) -> None:
        self.f.line(f"{self.total.ref} = {value.ref};")

    def result(self) -> Value:
        """What has been reduced, in the dtype of the result."""
        return self.f.b.convert(
            self.total if self.position is None else self.position, self.result_dtype
        )

    # -- together ---------------------------------------------------------------------------

    def join(self, team: Team) -> None:
        """Reduce over the threads of a team; every one of them gets the result."""
        if team.lanes == 1:
            return
        if team.strided:
            self._join_by_memory(
                team.threads, "(i32)threadIdx.x", team.place, team.width, team.lanes
            )
            return
        self._join_by_shuffles(min(team.lanes, WARP))
        if team.lanes > WARP:
            assert team.width == 1
            warps = team.lanes // WARP
            self._join_by_memory(warps, f"(i32)threadIdx.x / {WARP}", "0", 1, warps)

    def _join_by_shuffles(self, lanes: int) -> None:
        f = self.f
        step = lanes // 2
        while step:
            other = self._shuffled(self.total, step)
            if self.position is None:
                self._assign(f.b.accumulate(self.kind, self.total, other))
            else:
                self.take(other, self._shuffled(self.position, step))
            step //= 2

    def _shuffled(self, x: Value, step: int) -> Value:
        """The value of the lane whose number differs in one bit."""
        kind = x.dtype
        if kind.itemsize >= 4:
            return self.f.value(f"__shfl_xor_sync({_EVERY_LANE}, {x.ref}, {step})", kind)
        wide = f"__shfl_xor_sync({_EVERY_LANE}, (i32){x.ref}, {step})"
        return self.f.value(f"({ctype(kind)}){wide}", kind)

    def _join_by_memory(self, size: int, place: str, first: str, stride: int, count: int) -> None:
        """Reduce what lies in shared memory at ``first + k * stride``, in order."""
        f = self.f
        total = f.fresh("shared")
        f.line(f"__shared__ {ctype(self.dtype)} {total}[{size}];")
        f.line(f"{total}[{place}] = {self.total.ref};")
        if self.position is not None:
            position = f.fresh("shared")
            f.line(f"__shared__ i64 {position}[{size}];")
            f.line(f"{position}[{place}] = {self.position.ref};")
        f.line("__syncthreads();")
        f.line(f"{self.total.ref} = {total}[{first}];")
        if self.position is not None:
            f.line(f"{self.position.ref} = {position}[{first}];")
        k = f.fresh("k")
        with f.block(f"for (i32 {k} = 1; {k} < {count}; {k}++)"):
            at = f"{first} + {k} * {stride}" if stride > 1 else f"{first} + {k}"
            other = f.value(f"{total}[{at}]", self.dtype)
            if self.position is None:
                self._assign(f.b.accumulate(self.kind, self.total, other))
            else:
                self.take(other, f.value(f"{position}[{at}]", INT64))
        # Nobody writes the next turn's values while others still read these.
        f.line("__syncthreads();")


def _power_of_two(n: int) -> int:
    """The smallest power of two that is not less than ``n``."""
    return 1 << max(n - 1, 0).bit_length()


def team_for(points: int, terms: int, neighbours: bool, block: int = 256) -> Team:
    """How to divide the threads of blocks for so many points of so many terms each.

    ``neighbours`` says that it is neighbouring points whose terms lie side by side in memory.
    """
    if terms < 2 * WARP and (terms < 8 or neighbours or points >= _MANY):
        return Team(block, 1)
    if neighbours:
        if points >= _MANY:
            return Team(block, 1)
        most = 1024 if points < _MANY // WARP else block
        lanes = min(_power_of_two(terms) // 4, most // WARP)
        return Team(WARP, max(lanes, 1), strided=True)
    lanes = min(_power_of_two(terms), WARP)
    # A warp need not wait for others; so it takes long rows as well, if there are many.
    if terms <= 16 * WARP or (terms <= 128 * WARP and points >= _MANY // WARP):
        return Team(block // lanes, lanes)
    return Team(1, min(_power_of_two(terms) // 4, 1024 if points < _MANY // block else block))


# Threads that keep a large card busy.
_MANY = 1 << 17
