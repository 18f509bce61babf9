"""Tables of calls: contexts are put together from the arena, the arrays and the turns of loops."""

import ctypes

import numpy as np

from fnad.lowering.llvm import table, threads
from fnad.lowering.llvm.target import compile_module

# Writes what it is called with behind the pointer that is its context's first word.
NOTE = """
@tasks = constant [2 x ptr] [ptr @first, ptr @second]

define void @note(ptr %context, i64 %begin, i64 %end, i64 %words, i64 %mark) {
entry:
  %out = load ptr, ptr %context
  %count = load i64, ptr %out
  %next = getelementptr i64, ptr %out, i64 %count
  store i64 %mark, ptr %next
  %p1 = getelementptr i64, ptr %next, i64 1
  store i64 %begin, ptr %p1
  %p2 = getelementptr i64, ptr %next, i64 2
  store i64 %end, ptr %p2
  br label %head
head:
  %i = phi i64 [ 1, %entry ], [ %i1, %body ]
  %over = icmp sge i64 %i, %words
  br i1 %over, label %done, label %body
body:
  %source = getelementptr i64, ptr %context, i64 %i
  %value = load i64, ptr %source
  %place = add i64 %i, 2
  %target = getelementptr i64, ptr %next, i64 %place
  store i64 %value, ptr %target
  %i1 = add i64 %i, 1
  br label %head
done:
  %length = add i64 %words, 2
  %total = add i64 %count, %length
  store i64 %total, ptr %out
  ret void
}

define void @first(ptr %context, i64 %begin, i64 %end, i64 %slot) {
  call void @note(ptr %context, i64 %begin, i64 %end, i64 4, i64 100)
  ret void
}

define void @second(ptr %context, i64 %begin, i64 %end, i64 %slot) {
  call void @note(ptr %context, i64 %begin, i64 %end, i64 1, i64 200)
  ret void
}

define ptr @table() {
  ret ptr @tasks
}
"""


def test_calls_are_made_in_order_with_their_contexts():
    module = compile_module(NOTE)
    pointer, i64 = ctypes.c_void_p, ctypes.c_int64
    functions = ctypes.CFUNCTYPE(pointer)(module.address("table"))()
    out = np.zeros(100, np.int64)
    out[0] = 1
    arena, turns = np.full(8, 1, np.int64), np.array([11, 22])
    data = np.array([77, out.ctypes.data, 99])
    where = table.word(table.DATA, 1)
    calls = table.Table()
    words = [table.word(table.ARENA, 24), table.word(table.DATA, 2), table.word(table.TURN, 1)]
    calls.add(0, 5, 0, [where, *words])
    middle = len(calls)
    calls.add(1, 7, 0, [where])
    calls.add(1, 9, 3, [where])
    run = ctypes.CFUNCTYPE(None, pointer, i64, i64, pointer, pointer, pointer, pointer)(
        threads.runtime().address("fnad.run")
    )
    array = calls.array()
    rest = (functions, data.ctypes.data, arena.ctypes.data, turns.ctypes.data)
    run(array.ctypes.data, 1, middle, *rest)
    first = [100, 0, 5, arena.ctypes.data + 24, 99, 22]
    assert out[: out[0]].tolist() == [7, *first]
    run(array.ctypes.data, middle, len(calls), *rest)
    # The arena has room for one thread, so that the second call takes all of its tasks at once.
    assert out[: out[0]].tolist() == [13, *first, 200, 0, 7, 200, 0, 9]
