"""Memory that a program gets while it runs: that of tapes, which is as long as a loop makes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from fnad.lowering.llvm.writer import INT64, Function, Module
from fnad.lowering.plan import Buffer, Release, Reserve

# Where in the arena a program says how many bytes it could not get.
MISSING_OFFSET = 8

_MOST_BYTES = 1 << 62
_ALIGNMENT = 64


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
        s.module.declare("free", "declare void @free(ptr)")
        f.emit(f"call void @free(ptr {s.pointer(node.tapes[0])})")
        return
    rows = f.load(s.pointer(node.count), INT64).ref
    sizes = [row_bytes(s.buffers[n]) for n in node.tapes]
    places, total = [], "0"
    for nbytes in sizes:
        places.append(total)
        end = f.raw(f"add i64 {total}, {f.raw(f'mul i64 {rows}, {nbytes}')}")
        total = f.raw(f"and i64 {f.raw(f'add i64 {end}, {_ALIGNMENT - 1}')}, {-_ALIGNMENT}")
    # At least one byte, so that null means that there is no memory.
    most = _MOST_BYTES // max(sum(sizes), 1)
    countable = f.raw(f"icmp ule i64 {rows}, {most}")
    some = f.raw(f"select i1 {f.raw(f'icmp eq i64 {total}, 0')}, i64 1, i64 {total}")
    wanted = f.raw(f"select i1 {countable}, i64 {some}, i64 {_MOST_BYTES}")
    s.module.declare("malloc", "declare ptr @malloc(i64)")
    memory = f.raw(f"call ptr @malloc(i64 {wanted})")
    none = f.raw(f"icmp eq ptr {memory}, null")
    for number, place in zip(node.tapes, places, strict=True):
        slot = f.raw(f"getelementptr inbounds ptr, ptr %data, i64 {s.positions[number]}")
        f.emit(f"store ptr {f.raw(f'getelementptr i8, ptr {memory}, i64 {place}')}, ptr {slot}")
    missing = f.raw(f"getelementptr inbounds i8, ptr %arena, i64 {MISSING_OFFSET}")
    before = f.raw(f"load i64, ptr {missing}")
    f.emit(f"store i64 {f.raw(f'select i1 {none}, i64 {wanted}, i64 {before}')}, ptr {missing}")
    granted = f.raw(f"select i1 {none}, i64 0, i64 {rows}")
    f.emit(f"store i64 {granted}, ptr {s.pointer(node.granted)}")
