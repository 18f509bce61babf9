"""Running sums and their kin: `plan.Accumulate`.

Where neighbouring lanes lie side by side, a thread runs along each of them. Other lanes are run
along by teams of threads, a tile at a time: it is brought to shared memory, a thread adds up
neighbours, shuffles carry totals from thread to thread (Hillis and Steele, 1986) and shared memory
from warp to warp, and the total before it passes from tile to tile. Few long lanes are cut into
pieces: first the total of each, then the running totals of these, then each piece from there on.

What is combined in which order depends on extents alone, so that results do not vary.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fnad.core.errors import InternalError
from fnad.core.types import kind_of
from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.program import Launch, Step
from fnad.lowering.cuda.writer import Function, Value, ctype
from fnad.lowering.nodes import neutral
from fnad.lowering.plan import Accumulate

if TYPE_CHECKING:
    from fnad.lowering.cuda.emitter import Emitter
    from fnad.lowering.cuda.scalars import ScalarBuilder

_WARP = 32
_EVERY_LANE = "0xffffffffu"
# Offsets and numbers of pieces up to here, and what lies a tile beyond, fit 32 bits.
_NARROW = 2**30


@dataclass(frozen=True, slots=True)
class Sizes:
    """How work is divided.

    Attributes
    ----------
    threads : int
        Of a block.
    items : int
        The elements of a tile that one thread adds up, at most; odd, so that threads of a warp
        read different banks of shared memory.
    columns : int
        From so many neighbouring lanes on, a thread runs along each.
    runners : int
        Threads that keep a large card busy.
    blocks : int
        Blocks that do.
    shortest : int
        The length of the pieces that one thread runs along, at least.
    """

    threads: int = 256
    items: int = 9
    columns: int = 8
    runners: int = 1 << 15
    blocks: int = 1 << 10
    shortest: int = 64


SIZES = Sizes()


@dataclass(frozen=True, slots=True)
class Division:
    """How a node's lanes are divided: into ``pieces`` of ``length`` elements, the last one shorter.

    ``width`` pieces are run along by a block, each by ``lanes`` threads that take ``items``
    neighbours of a tile; by one thread, which takes one element after the other, if ``items`` is 0.
    """

    pieces: int
    length: int
    width: int
    lanes: int
    items: int

    @property
    def tile(self) -> int:
        """How much of a piece is in shared memory."""
        return self.lanes * self.items

    @property
    def pitch(self) -> int:
        """How far apart the tiles of neighbouring pieces lie: odd, as `Sizes.items`."""
        return self.tile | 1


def divide(extents: tuple[int, int, int]) -> Division:
    """How lanes of ``(outer, length, inner)`` are divided."""
    outer, length, inner = extents
    sizes, lanes = SIZES, outer * inner
    if inner >= sizes.columns:
        pieces = min(sizes.runners // lanes, length // sizes.shortest)
        size = -(-length // max(pieces, 1))
        return Division(-(-length // size), size, sizes.threads, 1, 0)
    team = min(1 << (-(-length // sizes.items) - 1).bit_length(), sizes.threads)
    items = min(-(-length // team) | 1, sizes.items)
    width, tile = sizes.threads // team, team * items
    pieces = min(sizes.blocks * width // lanes, length // tile)
    tiles = -(-length // tile)
    size = -(-tiles // pieces) * tile if pieces > 1 else length
    return Division(-(-length // size), size, width, team, items)


def accumulate_steps(emitter: Emitter, node: Accumulate) -> list[Step]:
    """The launches that do a node."""
    if 0 in node.extents:
        return []
    division = divide(node.extents)
    outer, _, inner = node.extents
    if division.pieces == 1:
        return [_launch(emitter, node, division, None, True)]
    extents, wide = (outer, division.pieces, inner), node.accumulator
    column = outer * division.pieces * inner, wide
    with emitter.temporaries(column, column) as [totals, sums]:
        first = _launch(emitter, node, division, totals, False)
        running = Accumulate(totals, sums, extents, node.kind, False, wide, wide)
        between = accumulate_steps(emitter, running)
        return [first, *between, _launch(emitter, node, division, sums, True)]


def _launch(
    emitter: Emitter, node: Accumulate, division: Division, totals: int | None, writes: bool
) -> Launch:
    """Run along pieces: from the totals before them to results, or from nothing to totals."""
    outer, _, inner = node.extents
    count = outer * division.pieces * inner
    others = [] if totals is None else [totals]
    written = node.out if writes else others[0]

    def write(f: Function, printer: ExpressionPrinter) -> None:
        scan = _Scan(f, node, division, printer, totals, writes)
        if division.items:
            scan.by_tiles()
        else:
            scan.by_threads()

    return emitter.launch(
        f"running_{node.kind}" if writes else f"total_{node.kind}",
        write,
        sorted({node.source, written, *others}),
        [written],
        [],
        -(-count // division.width),
        division.width * division.lanes,
    )


def running(b: ScalarBuilder, kind: str) -> Callable[[Value, Value], Value]:
    """What joins the total so far and the next element."""
    combine = {
        "add": b.add,
        "multiply": b.multiply,
        "max": b.maximum,
        "min": b.minimum,
        "logaddexp": lambda x, y: _logaddexp(b, x, y),
    }.get(kind)
    if combine is None:
        raise InternalError(f"the CUDA backend has no running {kind}")
    return combine


def _logaddexp(b: ScalarBuilder, x: Value, y: Value) -> Value:
    """log(e**x + e**y) = max(x, y) + log(1 + e**-abs(x - y)), also of equal infinities."""
    distance = b.negative(b.absolute(b.subtract(x, y)))
    result = b.add(b.maximum(x, y), b.elementary("log1p", b.elementary("exp", distance)))
    doubled = b.add(x, b.constant(np.log(2.0), x.dtype))
    return b.where(b.equal(x, y), doubled, result)


class _Scan:
    """Prints a kernel that runs along pieces."""

    def __init__(
        self,
        f: Function,
        node: Accumulate,
        division: Division,
        printer: ExpressionPrinter,
        totals: int | None,
        writes: bool,
    ) -> None:
        self.f, self.node, self.division, self.writes = f, node, division, writes
        self.source = printer.pointers[node.source]
        self.target = printer.pointers[node.out] if writes else ""
        self.totals = None if totals is None else printer.pointers[totals]
        outer, length, inner = node.extents
        self.count = outer * division.pieces * inner
        self.index = "i32" if outer * length * inner <= _NARROW else "i64"
        self.dtype = node.accumulator
        self.combine = running(f.b, node.kind)
        start = neutral(node.kind, self.dtype)
        if node.kind == "add" and kind_of(self.dtype) == "f":
            start = -0.0  # keeps the sign of a zero
        self.neutral = f.b.constant(start, self.dtype)

    # -- places -----------------------------------------------------------------------------

    def _define(self, name: str, text: str) -> None:
        self.f.line(f"const {self.index} {name} = {text};")

    def _locate(self, piece: str) -> None:
        """Define ``lane``, where the piece's lane begins, and ``begin``, its first position."""
        _, length, inner = self.node.extents
        pieces, size = self.division.pieces, self.division.length
        around = f"{piece} / {inner}" if inner > 1 else piece
        outer = f"{around} / {pieces}" if pieces > 1 else around
        inside = f" + {piece} % {inner}" if inner > 1 else ""
        self._define("lane", f"{outer} * {length * inner}{inside}")
        self._define("begin", f"{around} % {pieces} * {size}" if pieces > 1 else "0")

    def _offset(self, position: str) -> str:
        """The place of a position in the order of the scan."""
        _, length, inner = self.node.extents
        along = f"({length - 1} - ({position}))" if self.node.reverse else f"({position})"
        return f"lane + {along} * {inner}" if inner > 1 else f"lane + {along}"

    def _load(self, place: str) -> Value:
        value = self.f.value(f"{self.source}[{place}]", self.node.dtype)
        return self.f.b.convert(value, self.dtype)

    def _store(self, value: Value, place: str) -> None:
        self.f.line(f"{self.target}[{place}] = {self.f.b.convert(value, self.node.dtype).ref};")

    def _carry(self, piece: str) -> Value:
        """A variable with the total before a piece."""
        carry = self.f.variable(self.neutral)
        if self.totals is not None and self.writes:
            inner, pieces = self.node.extents[2], self.division.pieces
            around = f"{piece} / {inner}" if inner > 1 else piece
            with self.f.block(f"if ({piece} < {self.count} && {around} % {pieces} > 0)"):
                self.f.line(f"{carry.ref} = {self.totals}[{piece} - {inner}];")
        return carry

    def _join(self, total: Value, following: Value) -> None:
        self.f.line(f"{total.ref} = {self.combine(total, following).ref};")

    # -- a thread along each piece ----------------------------------------------------------

    def by_threads(self) -> None:
        """Each thread takes the elements of a piece in order."""
        f, division = self.f, self.division
        self._define("piece", f"({self.index})blockIdx.x * {division.width} + threadIdx.x")
        f.line(f"if (piece >= {self.count}) return;")
        self._locate("piece")
        total = self._carry("piece")
        length = self.node.extents[1]
        self._define("end", _least(f"begin + {division.length}", str(length)))
        f.line("#pragma unroll 4")
        with f.block(f"for ({self.index} position = begin; position < end; position++)"):
            self._define("offset", self._offset("position"))
            self._join(total, self._load("offset"))
            if self.writes:
                self._store(total, "offset")
        if not self.writes:
            f.line(f"{self.totals}[piece] = {total.ref};")

    # -- threads together, a tile at a time -------------------------------------------------

    def by_tiles(self) -> None:
        """A team of threads takes a tile of neighbours at a time."""
        f, d = self.f, self.division
        f.line(f"__shared__ {ctype(self.dtype)} tiles[{d.width * d.pitch}];")
        f.line(f"const i32 place = (i32)threadIdx.x / {d.lanes};")
        f.line(f"const i32 member = (i32)threadIdx.x % {d.lanes};")
        f.line(f"{ctype(self.dtype)}* const own = tiles + place * {d.pitch} + member * {d.items};")
        self._define("first", f"({self.index})blockIdx.x * {d.width}")
        carry = self._carry("(first + place)")
        with ExitStack() as stack:
            if d.length > d.tile:
                head = f"for ({self.index} done = 0; done < {d.length}; done += {d.tile})"
                stack.enter_context(f.block(head))
            else:
                self._define("done", "0")
            self._move(loads=True)
            f.line("__syncthreads();")
            self._tile(carry)
            f.line("__syncthreads();")
            if self.writes:
                self._move(loads=False)  # by the threads that will load the next tile to there
        if not self.writes:
            with f.block(f"if (member == 0 && first + place < {self.count})"):
                f.line(f"{self.totals}[first + place] = {carry.ref};")

    def _move(self, loads: bool) -> None:
        """Bring the tiles of all teams of a block to shared memory, or from there."""
        f, d = self.f, self.division
        f.line("#pragma unroll")
        with f.block(f"for (i32 j = 0; j < {d.items}; j++)"):
            f.line(f"const i32 e = j * {d.width * d.lanes} + (i32)threadIdx.x;")
            # Neighbouring threads take neighbouring elements.
            if d.width == 1:
                f.line("const i32 row = 0, k = e;")
            elif self.node.extents[2] == 1:
                f.line(f"const i32 row = e / {d.tile}, k = e % {d.tile};")
            else:
                f.line(f"const i32 row = e % {d.width}, k = e / {d.width};")
            self._define("piece", "first + row")
            self._locate("piece")
            self._define("position", "begin + done + k")
            slot = f"tiles[row * {d.pitch} + k]"
            conditions = [f"piece < {self.count}", f"done + k < {d.length}"]
            if d.pieces > 1:
                conditions.append(f"position < {self.node.extents[1]}")
            f.line(f"const bool inside = {' && '.join(conditions)};")
            if loads:  # of another element rather than none, so that all are on their way together
                self._define("offset", f"inside ? {self._offset('position')} : 0")
                value = self._load("offset")
                f.line(f"{slot} = inside ? {value.ref} : {self.neutral.ref};")
            else:
                with f.block("if (inside)"):
                    self._define("offset", self._offset("position"))
                    self._store(f.value(slot, self.dtype), "offset")

    def _tile(self, carry: Value) -> None:
        """Take a tile into the carry, and replace it by its running totals if they are wanted."""
        f, d = self.f, self.division
        total = f.variable(Value("own[0]", self.dtype))
        if self.writes:
            f.line(f"{ctype(self.dtype)} running[{d.items}];")
            f.line(f"running[0] = {total.ref};")
        f.line("#pragma unroll")
        with f.block(f"for (i32 j = 1; j < {d.items}; j++)"):
            self._join(total, f.value("own[j]", self.dtype))
            if self.writes:
                f.line(f"running[j] = {total.ref};")
        sums = self._across_lanes(total)
        preceding, whole = self._across_warps(sums)
        if self.writes:
            before = carry
            for part in (preceding, self._before_lane(sums)):
                before = before if part is None else self.combine(before, part)
            f.line("#pragma unroll")
            with f.block(f"for (i32 j = 0; j < {d.items}; j++)"):
                value = self.combine(before, f.value("running[j]", self.dtype))
                f.line(f"own[j] = {value.ref};")
        self._join(carry, whole)

    @property
    def _lanes(self) -> int:
        """The threads of a team that are in one warp."""
        return min(self.division.lanes, _WARP)

    def _across_lanes(self, total: Value) -> Value:
        """The totals of a team's threads in one warp up to each one."""
        sums, step = total, 1
        while step < self._lanes:
            joined = self.combine(self._shuffled("up", sums, step), sums)
            text = f"member % {self._lanes} >= {step} ? {joined.ref} : {sums.ref}"
            sums, step = self.f.value(text, self.dtype), step * 2
        return sums

    def _before_lane(self, sums: Value) -> Value | None:
        """The total of the threads of the warp before each one."""
        if self._lanes == 1:
            return None
        shifted = self._shuffled("up", sums, 1)
        text = f"member % {self._lanes} == 0 ? {self.neutral.ref} : {shifted.ref}"
        return self.f.value(text, self.dtype)

    def _across_warps(self, sums: Value) -> tuple[Value | None, Value]:
        """The total of a team's warps before that of each thread, and that of all."""
        f, d = self.f, self.division
        if d.lanes == 1:
            return None, sums
        if d.lanes <= _WARP:
            return None, self._shuffled("", sums, d.lanes - 1)
        warps = d.lanes // _WARP
        f.line(f"__shared__ {ctype(self.dtype)} ends[{d.width * warps}];")
        with f.block(f"if (member % {_WARP} == {_WARP - 1})"):
            f.line(f"ends[place * {warps} + member / {_WARP}] = {sums.ref};")
        f.line("__syncthreads();")
        preceding, whole = f.variable(self.neutral), f.variable(self.neutral)
        with f.block(f"for (i32 w = 0; w < {warps}; w++)"):
            self._join(whole, f.value(f"ends[place * {warps} + w]", self.dtype))
            f.line(f"if (w < member / {_WARP}) {preceding.ref} = {whole.ref};")
        return preceding, whole

    def _shuffled(self, kind: str, x: Value, argument: int) -> Value:
        """The value of another thread of the warp."""
        lanes = self._lanes
        function = f"__shfl_{kind}_sync" if kind else "__shfl_sync"
        if self.dtype.itemsize >= 4:
            text = f"{function}({_EVERY_LANE}, {x.ref}, {argument}, {lanes})"
        else:
            wide = f"{function}({_EVERY_LANE}, (i32){x.ref}, {argument}, {lanes})"
            text = f"({ctype(self.dtype)}){wide}"
        return self.f.value(text, self.dtype)


def _least(x: str, y: str) -> str:
    return f"{x} < {y} ? {x} : {y}"
