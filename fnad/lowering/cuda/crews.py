"""Prints groups of kernels over the same rows: a crew of threads for each row, see `rows`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

from fnad.lowering.access import access, kernel_exprs
from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.points import index_kind, print_stores
from fnad.lowering.cuda.rows import ROW, Rows, Stage, padded, point, rows_of, streams
from fnad.lowering.cuda.teams import WARP, Accumulator, Team
from fnad.lowering.cuda.words import Words, length_of, neighbours, uniform
from fnad.lowering.cuda.writer import INT64, Function, Value, ctype
from fnad.lowering.expr import Expr, load
from fnad.lowering.kernels import store_parts
from fnad.lowering.plan import Buffer, Group, Kernel, Store
from fnad.lowering.walk import loads, postorder

if TYPE_CHECKING:
    from fnad.lowering.cuda.emitter import Emitter
    from fnad.lowering.cuda.program import Step

# Turns of a loop that are in flight together, where values are not held.
_UNROLL = 4


def group_steps(emitter: Emitter, node: Group) -> list[Step]:
    """The launch of the kernel that a group becomes."""
    rows, found, local = rows_of(node, emitter.buffers), access(node), set(node.locals)
    given = sorted(n for n in found.touched if n not in local)
    # Local buffers that shared memory has no room for.
    spilled = [n for n in node.locals if n in rows.memory and n not in rows.shared]
    places_of_rows = rows.blocks * rows.width
    wanted = [(rows.memory[n] * places_of_rows, emitter.buffers[n].dtype) for n in spilled]
    kernels = [m.node for m in node.members if isinstance(m.node, Kernel)]
    comments = [str(k.origin.primitive) if k.origin else "" for k in kernels]
    with emitter.temporaries(*wanted) as places:

        def write(f: Function, printer: ExpressionPrinter) -> None:
            pointers = dict(printer.pointers)
            pointers.update((n, pointers[place]) for n, place in zip(spilled, places))
            inner = ExpressionPrinter(f, pointers, printer.counters)
            print_rows(f, inner, rows, emitter.buffers, comments)

        launch = emitter.launch(
            node.origin.primitive if node.origin else "rows",
            write,
            [*given, *places],
            {*found.writes, *places},
            [e for kernel in kernels for e in kernel_exprs(kernel)],
            rows.blocks,
            rows.threads,
        )
    return [launch]


def print_rows(
    f: Function,
    printer: ExpressionPrinter,
    rows: Rows,
    buffers: Mapping[int, Buffer],
    comments: Sequence[str],
) -> None:
    """Append the body of a group, launched as ``rows`` says; comments are those of its members."""
    _Crew(f, printer, rows, buffers).body(comments)


class _Crew:
    """A group on its way into a function."""

    def __init__(
        self, f: Function, p: ExpressionPrinter, rows: Rows, buffers: Mapping[int, Buffer]
    ) -> None:
        self.f, self.rows, self.buffers = f, rows, buffers
        self.team = Team(rows.width, rows.crew)
        self.pointers = dict(p.pointers)
        self.printer = ExpressionPrinter(f, self.pointers, p.counters)
        self.rank = self.team.lane
        self.inside = ""  # the condition on which a row is one, and not a repeated one
        self.held: dict[Expr, Words | Value] = {}
        self._written: set[int] = set()  # since all threads waited for each other
        self._read: set[int] = set()

    def body(self, comments: Sequence[str]) -> None:
        rows = self.rows
        self._head()
        for member, comment in enumerate(comments):
            if comment:
                self.f.line(f"// {comment}")
            with self.printer.scope():
                number = 0
                for k, stage in enumerate(rows.stages):
                    if stage.member == member:
                        number += self._stage(k, stage, number)

    def _head(self) -> None:
        """Which row this is, and where the local buffers lie."""
        f, rows = self.f, self.rows
        kind = index_kind(rows.extent + rows.width)
        if rows.width == 1:
            row = slot = f.named(kind, f"({kind})blockIdx.x", INT64)
        else:
            row = slot = f.named(
                kind, f"({kind})blockIdx.x * {rows.width} + {self.team.place}", INT64
            )
            if rows.extent % rows.width:
                row = self._existing(row, kind)
        self.printer.bind_axis(ROW, row)
        for number, part in rows.memory.items():
            if number not in rows.shared:
                self.pointers[number] = f"({self.pointers[number]} + (i64){slot.ref} * {part})"
                continue
            dtype = self.buffers[number].dtype
            size, name = padded(part, dtype.itemsize), f.fresh("local")
            f.line(f"alignas(16) __shared__ {ctype(dtype)} {name}[{rows.width * size}];")
            whole = rows.width == 1
            self.pointers[number] = name if whole else f"({name} + {self.team.place} * {size})"

    def _existing(self, row: Value, kind: str) -> Value:
        """Send threads home that have no row; those whose warp needs them repeat the last one."""
        f, rows = self.f, self.rows
        together = WARP // rows.crew if rows.crew > 1 else 1
        first = row.ref if together == 1 else f"{row.ref} / {together} * {together}"
        f.line(f"if ({first} >= {rows.extent}) return;")
        if rows.extent % together == 0:
            return row
        self.inside = f"{row.ref} < {rows.extent}"
        return f.named(kind, f"{self.inside} ? {row.ref} : {rows.extent - 1}", INT64)

    # -- stages -----------------------------------------------------------------------------

    def _stage(self, k: int, stage: Stage, number: int) -> int:
        """Print a stage; returns how many reductions it has, which are counted by ``number``."""
        printer = self.printer
        self._wait(k, stage)
        for e in loads(stage.exprs):
            held = self.held.get(e)
            if (k, e) in self.rows.served and isinstance(held, Value):
                printer.bind(e, held)
        if stage.reduction is None and stage.points == 1:
            self._row_stores(k, stage)
            return 0
        if stage.reduction is None:
            self._loop(k, stage, _Targets(self, k, stage))
            return 0
        accumulator = Accumulator(self.f, stage.reduction)
        self._loop(k, stage, _Terms(printer, stage, accumulator))
        accumulator.join(self.team)
        printer.bind_reduced(number, accumulator.result())
        return 1

    def _wait(self, k: int, stage: Stage) -> None:
        """Have all threads of the crew wait, if a stage touches what others still work on."""
        found = loads(stage.exprs)
        read = {e.attr for e in found if (k, e) not in self.rows.served}
        written = {s.buffer for s in stage.stores if self.in_memory(s.buffer)}
        if not (self._written.isdisjoint(read | written) and self._read.isdisjoint(written)):
            self._meet()
            self._written, self._read = set(), set()
        self._written |= written
        self._read |= read

    def _meet(self) -> None:
        """All threads of the crew wait for each other."""
        if self.rows.crew > 1:
            self.f.line("__syncthreads();" if self.rows.crew > WARP else "__syncwarp();")

    def in_memory(self, number: int) -> bool:
        """Whether a buffer lies in memory, and not in registers alone."""
        return self.buffers[number].role != "local" or number in self.rows.memory

    def _row_stores(self, k: int, stage: Stage) -> None:
        """What there is once a row: one thread stores it, all compute what they keep of it."""
        printer = self.printer
        kept = [s for s in stage.stores if (k, stored(s)) in self.rows.kept]
        for s in kept:
            self.held[stored(s)] = printer.value(s.value)
        stores = [s for s in stage.stores if self.in_memory(s.buffer)]
        if not {e.attr for e in loads([s.value for s in kept])}.isdisjoint(
            s.buffer for s in stores
        ):
            self._meet()  # all have read what one of them writes in place
        if stores:
            with self.guarded(stores, f"{self.rank} == 0" if self.rows.crew > 1 else ""):
                print_stores(self.f, printer, stores)

    @contextmanager
    def guarded(self, stores: Sequence[Store], condition: str = "") -> Iterator[None]:
        """A block for stores, on a condition; rows that are repeated do not store."""
        shared = all(s.buffer in self.rows.shared for s in stores)
        conditions = [c for c in (condition, "" if shared else self.inside) if c]
        with ExitStack() as stack:
            if conditions:
                stack.enter_context(self.f.block(f"if ({' && '.join(conditions)})"))
                stack.enter_context(self.printer.scope())
            yield

    # -- loops over a row's points ------------------------------------------------------------

    @contextmanager
    def _turns(self, points: int) -> Iterator[tuple[str, str]]:
        """A loop over a thread's vectors: the number of the vector, and of the turn."""
        f, rows = self.f, self.rows
        vectors, turns = points // rows.lanes[points], rows.turns(points)
        with ExitStack() as stack:
            if not rows.holds(points):
                vector = f.fresh("vector")
                f.line(f"#pragma unroll {_UNROLL}")
                head = f"i32 {vector} = {self.rank}; {vector} < {vectors}; {vector} += {rows.crew}"
                stack.enter_context(f.block(f"for ({head})"))
                yield vector, "0"
                return
            turn, vector = "0", self.rank
            if turns > 1:
                turn = f.fresh("turn")
                f.line("#pragma unroll")
                head = f"for (i32 {turn} = 0; {turn} < {turns}; {turn}++)"
                stack.enter_context(f.block(head))
                vector = turn if rows.crew == 1 else f"({self.rank} + {turn} * {rows.crew})"
            if turns * rows.crew != vectors:
                stack.enter_context(f.block(f"if ({vector} < {vectors})"))
            yield vector, turn

    def _loop(self, k: int, stage: Stage, work: _Work) -> None:
        """Do the work of a stage at all of its points."""
        rows, points, printer = self.rows, stage.points, self.printer
        if points == 1:
            work.point("0", "0", "0")
            return
        for e in uniform(work.exprs, [point(points)]):
            printer.value(e)
        served = {e: held for e, held in self.held.items() if (k, e) in rows.served}
        words = {e: held for e, held in served.items() if isinstance(held, Words)}
        runs = self._runs(k, stage)
        # Where a loop is unrolled, all is read before the first value is waited for.
        turns = rows.turns(points) if rows.holds(points) else 1
        variable = point(points)
        ahead = {e for e in runs if turns > 1 and streams(e, rows.extent, variable)}
        early = {e: n for e, n in runs.items() if e in ahead or (k, e) in rows.kept}
        held = {e: self._words(e, points, n, turns) for e, n in early.items()}
        if held and turns > 1:
            with self._turns(points) as (vector, turn), printer.scope():
                self._bind(points, vector)
                self._fill(held, turn)
        late = {e: n for e, n in runs.items() if e not in early and n > 1}
        with self._turns(points) as (vector, turn), printer.scope():
            read = {e: self._words(e, points, n) for e, n in late.items()}
            if turns == 1:
                read = {**held, **read}
            words = {**words, **held, **read}
            moving = point(points) in postorder(work.exprs, lambda e: e in words)
            if read or moving or work.places:
                self._bind(points, vector)
            with printer.scope():
                self._fill(read, turn)
                work.begin()
            self._lanes(stage, moving, turn, words, work)
            work.end(turn)
        self.held.update({e: h for e, h in held.items() if (k, e) in rows.kept})
        self.held.update(work.held)

    def _runs(self, k: int, stage: Stage) -> dict[Expr, int]:
        """The loads of a stage that read neighbours from memory, and the lengths of their words."""
        variable, lanes = point(stage.points), self.rows.lanes[stage.points]
        return {
            e: length_of(e.args[0], variable, e.dtype.itemsize, lanes)
            for e in loads(stage.exprs)
            if (k, e) not in self.rows.served and neighbours(e.args[0], variable)
        }

    def _words(self, e: Expr, points: int, length: int, turns: int = 1) -> Words:
        return Words(self.f, e.dtype, self.rows.lanes[points], length, turns)

    def _bind(self, points: int, vector: str) -> None:
        """Bind the variable of points to the first one of a vector."""
        lanes = self.rows.lanes[points]
        text = vector if lanes == 1 else f"{vector} * {lanes}"
        self.printer.bind_axis(points, self.f.named("i32", text, INT64))

    def _fill(self, words: Mapping[Expr, Words], turn: str) -> None:
        for e, held in words.items():
            held.fill(self.pointers[e.attr], self.printer.value(e.args[0]), turn)

    def _lanes(
        self, stage: Stage, moving: bool, turn: str, words: Mapping[Expr, Words], work: _Work
    ) -> None:
        """The points of a vector, one after another; ``moving`` if their numbers are needed."""
        f, printer, points = self.f, self.printer, stage.points
        lanes, lane = self.rows.lanes[points], "0"
        with ExitStack() as stack:
            if lanes > 1:
                lane = f.fresh("lane")
                f.line("#pragma unroll")
                head = f"for (i32 {lane} = 0; {lane} < {lanes}; {lane}++)"
                stack.enter_context(f.block(head))
                stack.enter_context(printer.scope())
                if moving:
                    base = printer.axis_value(points).ref
                    printer.bind_axis(points, f.named("i32", f"{base} + {lane}", INT64))
            for e, held in words.items():
                printer.bind(e, held.element(turn, lane))
            work.point(printer.axis_value(points).ref if moving else "", lane, turn)


class _Work(Protocol):
    """What is done at the points of a stage.

    Attributes
    ----------
    exprs : list of Expr
        What is computed at each point.
    places : bool
        Whether `begin` needs to know where a vector begins.
    held : dict
        Loads whose values later stages find in registers, once the stage is done.
    """

    exprs: list[Expr]
    places: bool
    held: dict[Expr, Words]

    def begin(self) -> None:
        """Compute what a vector needs, its first point being bound."""
        ...

    def point(self, place: str, lane: str, turn: str) -> None:
        """Work at a point, its number and its place in a vector and a turn given."""
        ...

    def end(self, turn: str) -> None:
        """Finish a vector."""
        ...


class _Terms:
    """The terms of a reduction."""

    def __init__(self, printer: ExpressionPrinter, stage: Stage, accumulator: Accumulator) -> None:
        self.exprs = list(stage.exprs)
        if accumulator.positional:
            self.exprs.append(point(stage.points))
        self.places = False
        self.held: dict[Expr, Words] = {}
        self._printer, self._accumulator = printer, accumulator

    def begin(self) -> None:
        pass

    def point(self, place: str, lane: str, turn: str) -> None:
        self._accumulator.add(self._printer.value(self.exprs[0]), place)

    def end(self, turn: str) -> None:
        pass


class _Targets:
    """What a member stores at the points of a row: to memory, to registers, or to both."""

    def __init__(self, crew: _Crew, k: int, stage: Stage) -> None:
        self._crew, self._stage = crew, stage
        rows, variable = crew.rows, point(stage.points)
        lanes = rows.lanes[stage.points]
        self.held: dict[Expr, Words] = {}
        self._lengths = {}  # of words in memory, by position; 1 for single elements
        self._places: dict[int, Value] = {}
        self._words: dict[int, Words] = {}
        self.exprs: list[Expr] = []
        for i, s in enumerate(stage.stores):
            itemsize = s.value.dtype.itemsize
            length = min(lanes, 16 // itemsize)
            if crew.in_memory(s.buffer):
                length = length_of(s.offset, variable, itemsize, lanes) if s.when is None else 1
                self._lengths[i] = length
            self.exprs += store_parts(s) if length == 1 else store_parts(s)[1:]
            key = stored(s)
            if (k, key) in rows.kept:
                turns = rows.turns(stage.points)
                self.held[key] = Words(crew.f, s.value.dtype, lanes, length, turns)
        self.places = any(length > 1 for length in self._lengths.values())

    def begin(self) -> None:
        crew, stage = self._crew, self._stage
        for i, s in enumerate(stage.stores):
            if self._lengths.get(i, 1) > 1:
                self._places[i] = crew.printer.value(s.offset)
                if stored(s) not in self.held:
                    lanes = crew.rows.lanes[stage.points]
                    self._words[i] = Words(crew.f, s.value.dtype, lanes, self._lengths[i])

    def point(self, place: str, lane: str, turn: str) -> None:
        """All values first: a store must not change what another one reads."""
        f, printer, stores = self._crew.f, self._crew.printer, self._stage.stores
        values = [printer.value(s.value) for s in stores]
        for i, s in enumerate(stores):
            if stored(s) in self.held:
                f.line(f"{self.held[stored(s)].element(turn, lane).ref} = {values[i].ref};")
            elif i in self._words:
                f.line(f"{self._words[i].element('0', lane).ref} = {values[i].ref};")
        rest = [s for i, s in enumerate(stores) if self._lengths.get(i) == 1]
        if rest:
            with self._crew.guarded(rest):
                print_stores(f, printer, rest)

    def end(self, turn: str) -> None:
        crew, stores = self._crew, self._stage.stores
        for i, place in self._places.items():
            held = self.held.get(stored(stores[i]))
            with crew.guarded([stores[i]]):
                if held is not None:
                    held.flush(crew.pointers[stores[i].buffer], place, turn)
                else:
                    self._words[i].flush(crew.pointers[stores[i].buffer], place)


def stored(s: Store) -> Expr:
    """The load that finds what has been stored."""
    return load(s.buffer, s.offset, s.value.dtype)
