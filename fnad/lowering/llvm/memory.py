"""Memory that a program gets while it runs: that of tapes, which is as long as a loop makes it.

Large tapes are blocks of the pool of results (`fnad.lowering.native.pool`), as fresh memory costs
several times what writing it does: the second call of a program gets the memory of the first. The
pool needs the interpreter lock, for which small ones need not wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from fnad.lowering.llvm.once import once
from fnad.lowering.llvm.writer import INT64, Function, Module
from fnad.lowering.plan import Buffer, Release, Reserve

if TYPE_CHECKING:
    from fnad.lowering.llvm.target import CompiledModule

_MOST_BYTES = 1 << 62
_ALIGNMENT = 64

_TAKE, _GIVE = "fnad.tape.take", "fnad.tape.give"

# From so many bytes on, memory is from the pool. A word before it says so.
_LARGE = 1 << 20

_IR = f"""
declare ptr @malloc(i64)
declare void @free(ptr)
declare ptr @fnad.pool.take(i64)
declare void @fnad.pool.give(ptr)
declare i32 @PyGILState_Ensure()
declare void @PyGILState_Release(i32)

define ptr @{_TAKE}(i64 %size) nounwind {{
entry:
  %large = icmp uge i64 %size, {_LARGE}
  %word = zext i1 %large to i64
  %total = add i64 %size, {_ALIGNMENT}
  br i1 %large, label %pool, label %heap
pool:
  %state = call i32 @PyGILState_Ensure()
  %block = call ptr @fnad.pool.take(i64 %total)
  call void @PyGILState_Release(i32 %state)
  br label %found
heap:
  %chunk = call ptr @malloc(i64 %total)
  br label %found
found:
  %memory = phi ptr [ %block, %pool ], [ %chunk, %heap ]
  %none = icmp eq ptr %memory, null
  br i1 %none, label %failed, label %given
given:
  store i64 %word, ptr %memory
  %data = getelementptr i8, ptr %memory, i64 {_ALIGNMENT}
  ret ptr %data
failed:
  ret ptr null
}}

define void @{_GIVE}(ptr %data) nounwind {{
entry:
  %none = icmp eq ptr %data, null
  br i1 %none, label %done, label %some
some:
  %memory = getelementptr i8, ptr %data, i64 -{_ALIGNMENT}
  %word = load i64, ptr %memory
  %large = icmp ne i64 %word, 0
  br i1 %large, label %pool, label %heap
pool:
  %state = call i32 @PyGILState_Ensure()
  call void @fnad.pool.give(ptr %memory)
  call void @PyGILState_Release(i32 %state)
  ret void
heap:
  call void @free(ptr %memory)
  ret void
done:
  ret void
}}
"""


@once
def _compiled() -> CompiledModule:
    from fnad.lowering.llvm import target  # its symbols come from here, too

    return target.CompiledModule(target.known_code("fnad.tape", lambda: (_IR, target.VECTOR_CODE)))


def address(name: str) -> int:
    """The address of ``fnad.tape.<name>``, which is compiled once per process."""
    return _compiled().address(f"fnad.tape.{name}")


class Entry(Protocol):
    """What prints the function that a program begins with."""

    module: Module
    entry: Function

    @property
    def buffers(self) -> Mapping[int, Buffer]:
        """The plan's buffers."""

    @property
    def positions(self) -> Mapping[int | None, int]:
        """Where the addresses of buffers stand in the table of arrays."""

    def pointer(self, number: int) -> str:
        """Where a buffer lies."""

    def missing(self) -> str:
        """Where a program says how many bytes it could not get."""


def row_bytes(tape: Buffer) -> int:
    """The bytes that a step writes to a tape."""
    return tape.nbytes // tape.shape[0]


def emit_memory(s: Entry, node: Reserve | Release) -> None:
    """Print what gets the memory of tapes, or gives it back.

    One piece of memory holds all tapes of a `Reserve`, one behind the other, beginning with the
    first one. No loop touches tapes for which there is none, as none makes a turn then.
    """
    f = s.entry
    if node.origin:
        f.comment(node.origin)
    if isinstance(node, Release):
        s.module.declare(_GIVE, f"declare void @{_GIVE}(ptr) nounwind")
        f.emit(f"call void @{_GIVE}(ptr {s.pointer(node.tapes[0])})")
        return
    rows = f.load(s.pointer(node.count), INT64).ref
    sizes = [row_bytes(s.buffers[n]) for n in node.tapes]
    places, total = [], "0"
    for nbytes in sizes:
        places.append(total)
        size = f.b.constant(nbytes, INT64).ref  # it may be known at a call only
        end = f.raw(f"add i64 {total}, {f.raw(f'mul i64 {rows}, {size}')}")
        total = f.raw(f"and i64 {f.raw(f'add i64 {end}, {_ALIGNMENT - 1}')}, {-_ALIGNMENT}")
    # At least one byte, so that what is missing is never nothing.
    total = f.raw(f"select i1 {f.raw(f'icmp eq i64 {total}, 0')}, i64 1, i64 {total}")
    countable = f.raw(f"icmp ule i64 {rows}, {_most_rows(f, sum(sizes))}")
    wanted = f.raw(f"select i1 {countable}, i64 {total}, i64 {_MOST_BYTES}")
    s.module.declare(_TAKE, f"declare ptr @{_TAKE}(i64) nounwind")
    memory = f.raw(f"call ptr @{_TAKE}(i64 {wanted})")
    none = f.raw(f"icmp eq ptr {memory}, null")
    for number, place in zip(node.tapes, places, strict=True):
        slot = f.raw(f"getelementptr inbounds ptr, ptr %data, i64 {s.positions[number]}")
        f.emit(f"store ptr {f.raw(f'getelementptr i8, ptr {memory}, i64 {place}')}, ptr {slot}")
    missing = s.missing()
    before = f.raw(f"load i64, ptr {missing}")
    f.emit(f"store i64 {f.raw(f'select i1 {none}, i64 {wanted}, i64 {before}')}, ptr {missing}")
    granted = f.raw(f"select i1 {none}, i64 0, i64 {rows}")
    f.emit(f"store i64 {granted}, ptr {s.pointer(node.granted)}")


def _most_rows(f: Function, nbytes: int) -> str:
    """How many rows there are addresses for."""
    if type(nbytes) is int:
        return str(_MOST_BYTES // max(nbytes, 1))
    b = f.b
    row = b.maximum(b.constant(nbytes, INT64), b.constant(1, INT64))
    return b.divide(b.constant(_MOST_BYTES, INT64), row).ref
