"""The calls of a program as a table, and the function that works it off.

Code that calls thousands of functions takes LLVM long to compile; a table of the same calls takes
no time. ``fnad.run(table, from, to, functions, data, arena, turns)`` makes the calls whose records
lie at the words ``from`` to ``to`` of the table, in order.

A table is an array of int64. Its first word is the number of words of the longest context. Then
come records: their length, which of ``functions`` to call, how many tasks there are, how many a
thread takes at a time (0: no threads), and the context, word by word. A function is called as
``function(context, begin, end, slot)``, see `threads`. A word says in its three lowest bits what
the word of the context is, and above them, where: at this offset of the arena (`ARENA`), what this
word of the table of arrays holds (`DATA`), the turn of this loop (`TURN`), one of ``functions``
(`FUNCTION`); or that it is this number (`NUMBER`).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

RUN = "fnad.run"
DECLARATION = f"declare void @{RUN}(ptr, i64, i64, ptr, ptr, ptr, ptr) nounwind"

ARENA, DATA, TURN, FUNCTION, NUMBER = range(5)


def word(kind: int, place: int) -> int:
    """A word of a context, encoded."""
    return place << 3 | kind


class Table:
    """A table under construction."""

    def __init__(self) -> None:
        self._words = [0]

    def __len__(self) -> int:
        return len(self._words)

    def add(self, function: int, tasks: int, chunk: int, context: Iterable[int]) -> None:
        """Append a call."""
        words = list(context)
        self._words[0] = max(self._words[0], len(words))
        self._words += (4 + len(words), function, tasks, chunk, *words)

    def array(self) -> np.ndarray:
        """The finished table."""
        return np.array(self._words, np.int64)


# To be compiled in one module with `threads`, which defines fnad.parallel.
IR = """
define void @fnad.run(ptr %table, i64 %from, i64 %to, ptr %functions, ptr %data, ptr %arena,
                      ptr %turns) nounwind {
entry:
  %longest = load i64, ptr %table
  %context = alloca i64, i64 %longest, align 16
  %start = ptrtoint ptr %arena to i64
  %slots = load i64, ptr %arena
  br label %record
record:
  %at = phi i64 [ %from, %entry ], [ %next, %called ]
  %r0 = getelementptr inbounds i64, ptr %table, i64 %at
  %length = load i64, ptr %r0
  %next = add i64 %at, %length
  %r1 = getelementptr inbounds i64, ptr %r0, i64 1
  %index = load i64, ptr %r1
  %place = getelementptr inbounds ptr, ptr %functions, i64 %index
  %function = load ptr, ptr %place
  %r2 = getelementptr inbounds i64, ptr %r0, i64 2
  %tasks = load i64, ptr %r2
  %r3 = getelementptr inbounds i64, ptr %r0, i64 3
  %chunk = load i64, ptr %r3
  %words = sub i64 %length, 4
  %r4 = getelementptr inbounds i64, ptr %r0, i64 4
  %empty = icmp eq i64 %words, 0
  br i1 %empty, label %call, label %word
word:
  %i = phi i64 [ 0, %record ], [ %i1, %word ]
  %p = getelementptr inbounds i64, ptr %r4, i64 %i
  %word.coded = load i64, ptr %p
  %kind = and i64 %word.coded, 7
  %where = ashr i64 %word.coded, 3
  %in.arena = icmp eq i64 %kind, 0
  %is.turn = icmp eq i64 %kind, 2
  %is.function = icmp eq i64 %kind, 3
  %is.number = icmp eq i64 %kind, 4
  %is.itself = or i1 %in.arena, %is.number
  %other = select i1 %is.function, ptr %functions, ptr %data
  %base = select i1 %is.turn, ptr %turns, ptr %other
  %entry.index = select i1 %is.itself, i64 0, i64 %where
  %q = getelementptr inbounds i64, ptr %base, i64 %entry.index
  %loaded = load i64, ptr %q
  %address = add i64 %start, %where
  %itself = select i1 %in.arena, i64 %address, i64 %where
  %value = select i1 %is.itself, i64 %itself, i64 %loaded
  %target = getelementptr inbounds i64, ptr %context, i64 %i
  store i64 %value, ptr %target
  %i1 = add i64 %i, 1
  %full = icmp eq i64 %i1, %words
  br i1 %full, label %call, label %word
call:
  %alone = icmp eq i64 %chunk, 0
  br i1 %alone, label %directly, label %in.parallel
directly:
  call void %function(ptr %context, i64 0, i64 %tasks, i64 0)
  br label %called
in.parallel:
  call void @fnad.parallel(ptr %function, ptr %context, i64 %tasks, i64 %chunk, i64 %slots)
  br label %called
called:
  %last = icmp eq i64 %next, %to
  br i1 %last, label %done, label %record
done:
  ret void
}
"""
