"""Prints a whole plan as an LLVM module.

Each node becomes a function over a range of its tasks (`functions`); its buffers are ``noalias``
parameters, which is what lets LLVM vectorise it. ``fnad.entry`` holds the loops and branches of
the plan and calls the functions: directly, or through the thread pool if there is enough to do.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fnad.lowering.access import count_uses
from fnad.lowering.llvm import threads, work
from fnad.lowering.llvm.functions import Callee, Functions
from fnad.lowering.llvm.leaves import Leaf
from fnad.lowering.llvm.loops import CONTROL
from fnad.lowering.llvm.small_loops import SmallLoop
from fnad.lowering.llvm.target import OPTIMIZED, VECTOR_CODE, Recipe
from fnad.lowering.llvm.writer import INT64, Function, Module, Value
from fnad.lowering.plan import Branch, For, Node, Plan, While

ENTRY = "fnad.entry"

# LLVM's time for a basic block grows faster than its length.
_CALLS_IN_BLOCK = 64

# The arena begins with the number of threads that it has scratch memory for.
_HEADER = 64


@dataclass(frozen=True, slots=True)
class Emitted:
    """A module's text, how to compile it, and how large its arena is: a part for all threads and
    a part for each.
    """

    text: str
    recipe: Recipe
    shared_size: int
    thread_size: int


def emit_plan(plan: Plan, stamped: bool = False) -> Emitted:
    """Print a plan as LLVM IR.

    The module defines ``void fnad.entry(ptr data, ptr arena)``. ``data`` is a table of the
    addresses of the elements of inputs, then of outputs, all C-contiguous and aligned. ``arena``
    is memory aligned to 64 bytes, ``shared_size + threads * thread_size`` bytes; its first eight
    hold ``threads``, at most so many take part. With ``stamped``, the time before each node and
    after the last one is written (seconds and nanoseconds) to a further array of the table.
    """
    emitter = _Emitter(plan)
    emitter.emit(stamped)
    functions = emitter.functions
    recipe = OPTIMIZED if emitter.module.needs_optimizer else VECTOR_CODE
    return Emitted(emitter.module.text(), recipe, emitter.scratch_offset, functions.scratch)


class _Emitter:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.buffers = {b.number: b for b in plan.buffers}
        self.module = Module()
        self.functions = Functions(self.module, self.buffers)
        # There is nothing to optimise in a list of calls, and thousands of them take long.
        self.entry = Function(
            self.module,
            ENTRY,
            ["ptr %data", "ptr %arena"],
            attributes="noinline optnone nounwind",
            linkage="",
        )
        self.calls = 0
        arrays = (*plan.inputs, *plan.outputs)
        self.positions = {number: position for position, number in enumerate(arrays)}
        self.counters: dict[int, Value] = {}
        self.uses = count_uses(plan.body)
        self.scratch_offset = _HEADER + (plan.arena_size + 63) // 64 * 64
        self.contexts: dict[int, str] = {}  # memory for the arguments of parallel calls, by size

    def emit(self, stamped: bool) -> None:
        f = self.entry
        if stamped:
            self.stamped_body()
        else:
            self.body(self.plan.body)
        f.ret()
        self.module.add(f)
        self.functions.finish()

    def stamped_body(self) -> None:
        """The plan with a look at the clock between its nodes."""
        f = self.entry
        self.module.declare("clock_gettime", "declare i32 @clock_gettime(i32, ptr)")
        position = len(self.plan.inputs) + len(self.plan.outputs)
        slot = f.raw(f"getelementptr inbounds ptr, ptr %data, i64 {position}")
        stamps = f.raw(f"load ptr, ptr {slot}", "stamps")
        for i in range(len(self.plan.body) + 1):
            stamp = f.element(stamps, INT64, 2 * i)
            f.raw(f"call i32 @clock_gettime(i32 {time.CLOCK_MONOTONIC}, ptr {stamp})")
            self.body(self.plan.body[i : i + 1])

    def pointer(self, number: int) -> str:
        """Where a buffer lies; found anew for each use, as thousands would fill the stack."""
        f = self.entry
        position = self.positions.get(number)
        if position is None:
            offset = self.buffers[number].offset
            assert offset is not None
            return self._in_arena(_HEADER + offset)
        slot = f.raw(f"getelementptr inbounds ptr, ptr %data, i64 {position}")
        return f.raw(f"load ptr, ptr {slot}", "buffer")

    def _in_arena(self, offset: int) -> str:
        return self.entry.raw(f"getelementptr inbounds i8, ptr %arena, i64 {offset}", "buffer")

    def body(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            if isinstance(node, (For, While, Branch)):
                self._loop(node)
            elif work.tasks(node):
                self._call(node, self.functions.of_node(node, self.counters))

    def _loop(self, node: For | While | Branch) -> None:
        """A loop, as one function if its body is small, else around the calls of its nodes."""
        small = SmallLoop(node, self.buffers, self.uses)
        if small.fits:
            leaf = Leaf(small.arguments, small.exprs, small.emit)
            self._call_directly(node, self.functions.of_leaf(node, leaf, self.counters), 1)
        else:
            CONTROL[type(node)](self, node)

    # -- calls ------------------------------------------------------------------------------

    def _call(self, node: Any, callee: Callee) -> None:
        count, chunk = work.tasks(node), work.chunk(node, self.buffers)
        if chunk < count:
            self._call_in_parallel(node, callee, count, chunk)
        else:
            self._call_directly(node, callee, count)

    def _call_directly(self, node: Any, callee: Callee, count: int) -> None:
        arguments = callee.arguments(*self._bindings(callee))
        self._emit_call(node, callee.name, [*arguments, "i64 0", f"i64 {count}"])

    def _call_in_parallel(self, node: Any, callee: Callee, count: int, chunk: int) -> None:
        f = self.entry
        words = callee.arguments(*self._bindings(callee))
        context = self._context(len(words))
        for i, word in enumerate(words):
            f.emit(f"store {word}, ptr {f.element(context, INT64, i)}")
        threads_in_arena = f.load("%arena", INT64)
        task = self.functions.task(callee)
        arguments = [f"ptr @{task}", f"ptr {context}", f"i64 {count}", f"i64 {chunk}"]
        self._emit_call(node, threads.PARALLEL, [*arguments, threads_in_arena.typed])

    def _bindings(self, callee: Callee) -> tuple[list[str], list[Value], str]:
        """A callee's buffers, turns and scratch memory, here."""
        pointers = [self.pointer(n) for n in callee.buffers]
        turns = [self.counters[t] for t in callee.turns]
        return pointers, turns, self._in_arena(self.scratch_offset) if callee.scratch else ""

    def _context(self, words: int) -> str:
        size = 1 << max(words - 1, 0).bit_length()
        if size not in self.contexts:
            self.contexts[size] = self.entry.alloca("i64", size)
        return self.contexts[size]

    def _emit_call(self, node: Any, name: str, arguments: list[str]) -> None:
        f = self.entry
        if node.origin:
            f.comment(str(node.origin))
        f.emit(f"call void @{name}({', '.join(arguments)})")
        self.calls += 1
        if self.calls % _CALLS_IN_BLOCK == 0:
            after = f.fresh("next")
            f.jump(after)
            f.label(after)
