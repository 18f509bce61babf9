"""Prints a whole plan as an LLVM module.

Each node becomes a function over a range of its tasks (`functions`); its buffers are ``noalias``
parameters. ``fnad.entry`` holds the loops and branches of the plan; between them, it has the calls
of functions made from a table (`table`): directly, or through the thread pool if there is enough to
do.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.lowering.access import count_uses, node_bodies
from fnad.lowering.llvm import table, work
from fnad.lowering.llvm.effort import hurried
from fnad.lowering.llvm.functions import (
    FUNCTIONS,
    SCRATCH_HEADER,
    SCRATCH_STRIDE,
    Callee,
    Functions,
)
from fnad.lowering.llvm.interface import ENTRY, MISSING_OFFSET
from fnad.lowering.llvm.leaves import Leaf
from fnad.lowering.llvm.loops import CONTROL
from fnad.lowering.llvm.memory import emit_memory
from fnad.lowering.llvm.small_loops import SmallLoop
from fnad.lowering.llvm.split import Splitter
from fnad.lowering.llvm.target import OPTIMIZED, PACKED_CODE, Recipe
from fnad.lowering.llvm.writer import INT64, Function, Module, Value
from fnad.lowering.plan import Branch, For, Node, Plan, Release, Reserve, While

# The arena begins with the number of threads that it has scratch memory for.
_HEADER = 64


@dataclass(frozen=True, slots=True)
class Emitted:
    """A module, the table of its calls, and how large its arena is: a part for all threads and a
    part for each.
    """

    module: Module
    table: np.ndarray
    shared_size: int
    thread_size: int

    @property
    def text(self) -> str:
        """The module as text."""
        return self.module.text()


def emit_plan(
    plan: Plan, begin: Callable[[str, Recipe], None] | None = None, stamped: bool = False
) -> Emitted:
    """Print a plan as LLVM IR.

    The module defines ``void fnad.entry(ptr data, ptr arena)``. ``data`` is a table of the
    addresses of the elements of inputs, of ``table``, of outputs, all C-contiguous and aligned;
    behind them come words for the tapes of the program, where it writes down addresses of its own.
    ``arena`` is memory aligned to 64 bytes, ``shared_size + threads * thread_size`` bytes; its
    first eight hold ``threads``, at most so many take part. With ``stamped``, the time before each
    node and after the last one is written (seconds and nanoseconds) to a further array.

    ``begin`` is given modules that make up the same program, each as soon as it is printed, and
    how it should be compiled (`split`).
    """
    emitter = _Emitter(plan, begin)
    emitter.emit(stamped)
    return Emitted(
        emitter.module,
        emitter.table.array(),
        emitter.scratch_offset,
        emitter.functions.scratch,
    )


class _Emitter:
    def __init__(self, plan: Plan, begin: Callable[[str, Recipe], None] | None) -> None:
        self.plan = plan
        self.buffers = {b.number: b for b in plan.buffers}
        self.module = Module(commented=begin is None)
        self.functions = Functions(self.module, self.buffers, hurried(plan))
        self.splitter = begin and Splitter(self.module, self.functions.units, begin)
        self.entry = Function(
            self.module, ENTRY, ["ptr %data", "ptr %arena"], "void", "nounwind", linkage=""
        )
        self.table = table.Table()
        self.pending = len(self.table)  # where the calls begin that the entry does not make yet
        self.tapes = [b.number for b in plan.buffers if b.role == "tape"]
        arrays = (*plan.inputs, None, *plan.outputs, *self.tapes)  # None: the table
        self.positions = {number: position for position, number in enumerate(arrays)}
        self.counters: dict[int, Value] = {}
        self.turns = {n: i for i, n in enumerate(sorted(_counters(plan.body)))}
        self.turns_at = self.entry.alloca("i64", len(self.turns)) if self.turns else "null"
        self.scratch_offset = _HEADER + (plan.arena_size + 63) // 64 * 64 + SCRATCH_HEADER

    @functools.cached_property
    def uses(self) -> Mapping[int, int]:
        """How many nodes use each buffer."""
        return count_uses(self.plan.body)

    def emit(self, stamped: bool) -> None:
        f = self.entry
        self.module.declare(table.RUN, table.DECLARATION)
        self.write_stride()
        if stamped:
            self.stamped_body()
        else:
            self.body(self.plan.body)
        f.ret()
        self.functions.finish()
        self.module.add(f)
        if self.splitter is not None:
            self.splitter.finish(ENTRY)

    def write_stride(self) -> None:
        """Write down where tasks look for it how far the threads' scratch memories are apart."""
        f = self.entry
        place = f.raw(f"getelementptr inbounds i8, ptr %arena, i64 {self.scratch_offset - 8}")
        f.emit(f"store i64 {f.raw(f'load i64, ptr {SCRATCH_STRIDE}')}, ptr {place}")

    def stamped_body(self) -> None:
        """The plan with a look at the clock between its nodes."""
        f = self.entry
        self.module.declare("clock_gettime", "declare i32 @clock_gettime(i32, ptr)")
        position = len(self.plan.inputs) + 1 + len(self.plan.outputs) + len(self.tapes)
        slot = f.raw(f"getelementptr inbounds ptr, ptr %data, i64 {position}")
        stamps = f.raw(f"load ptr, ptr {slot}", "stamps")
        for i in range(len(self.plan.body) + 1):
            stamp = f.element(stamps, INT64, 2 * i)
            f.raw(f"call i32 @clock_gettime(i32 {time.CLOCK_MONOTONIC}, ptr {stamp})")
            self.body(self.plan.body[i : i + 1])

    def missing(self) -> str:
        """Where the program says how many bytes of tapes it could not get."""
        return self.entry.raw(f"getelementptr inbounds i8, ptr %arena, i64 {MISSING_OFFSET}")

    def pointer(self, number: int) -> str:
        """Where a buffer lies; found anew for each use, as thousands would fill the stack."""
        position = self.positions.get(number)
        if position is not None:
            return self._in_data(position)
        offset = self._offset(number)
        return self.entry.raw(f"getelementptr inbounds i8, ptr %arena, i64 {offset}", "buffer")

    def _in_data(self, position: int) -> str:
        slot = self.entry.raw(f"getelementptr inbounds ptr, ptr %data, i64 {position}")
        return self.entry.raw(f"load ptr, ptr {slot}", "buffer")

    def _offset(self, number: int) -> int:
        """Where a temporary buffer lies in the arena."""
        offset = self.buffers[number].offset
        assert offset is not None
        return _HEADER + offset

    def body(self, nodes: Iterable[Node]) -> None:
        """Print nodes."""
        for node in nodes:
            if isinstance(node, (For, While, Branch)):
                self._loop(node)
            elif isinstance(node, (Reserve, Release)):
                self._run()
                emit_memory(self, node)
            elif work.tasks(node):
                self._call(node, self.functions.of_node(node, self.counters))
        self._run()

    def _loop(self, node: For | While | Branch) -> None:
        """A loop, as one function if its body is small, else around the calls of its nodes."""
        small = SmallLoop(node, self.buffers, self.uses)
        if small.fits:
            # The optimiser puts its stack into registers.
            recipe = PACKED_CODE if small.packed else OPTIMIZED
            leaf = Leaf(small.arguments, small.exprs, small.emit, recipe=recipe)
            self._call(node, self.functions.of_leaf(node, leaf, self.counters))
        else:
            self._run()
            CONTROL[type(node)](self, node)

    # -- calls ------------------------------------------------------------------------------

    def _call(self, node: Any, callee: Callee) -> None:
        """Append a call to the table."""
        if node.origin:
            self.entry.comment(callee.name, node.origin)
        context = [table.word(table.FUNCTION, self.functions.number(callee.name))]
        context += [self._word(n) for n in callee.buffers]
        context += [table.word(table.TURN, self.turns[t]) for t in callee.turns]
        for x in callee.words:
            if isinstance(x, str):
                context.append(table.word(table.FUNCTION, self.functions.number(x)))
            else:
                context.append(table.word(table.NUMBER, x))
        if callee.scratch:
            context.append(table.word(table.ARENA, self.scratch_offset))
        chunk = callee.chunk if callee.chunk < callee.tasks else 0
        self.table.add(self.functions.caller(callee), callee.tasks, chunk, context)
        if self.splitter is not None:
            self.splitter.grow()

    def _word(self, number: int) -> int:
        position = self.positions.get(number)
        if position is not None:
            return table.word(table.DATA, position)
        return table.word(table.ARENA, self._offset(number))

    def _run(self) -> None:
        """Print the making of the calls that the table has and the entry does not."""
        first, last = self.pending, len(self.table)
        if first == last:
            return
        self.pending = last
        f = self.entry
        for number, turn in self.counters.items():
            f.store(turn, f.element(self.turns_at, INT64, self.turns[number]))
        calls = self._in_data(len(self.plan.inputs))
        arguments = f"ptr {calls}, i64 {first}, i64 {last}, ptr {FUNCTIONS}, ptr %data, ptr %arena"
        f.emit(f"call void @{table.RUN}({arguments}, ptr {self.turns_at})")


def _counters(nodes: Iterable[Node]) -> set[int]:
    """The counters of loops, those inside included."""
    found: set[int] = set()
    for node in nodes:
        if isinstance(node, For):
            found.add(node.counter)
        if isinstance(node, (For, While, Branch)):
            for inner in node_bodies(node):
                found |= _counters(inner)
    return found
