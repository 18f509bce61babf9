"""Calls of Python functions, see `fnad.lowering.host_calls`."""

from __future__ import annotations

from collections.abc import Sequence

from fnad.lowering.host_calls import ADDRESS_OFFSET
from fnad.lowering.llvm.writer import Function


def emit_host_call(f: Function, number: int, pointers: Sequence[str]) -> None:
    """Print the call of a function with these arrays, of which the last is the state of the run."""
    table = f.alloca(f"[{len(pointers) + 1} x i64]")
    f.emit(f"store i64 {number}, ptr {table}")
    for k, pointer in enumerate(pointers):
        word = f.raw(f"ptrtoint ptr {pointer} to i64")
        place = f.raw(f"getelementptr inbounds i64, ptr {table}, i64 {k + 1}")
        f.emit(f"store i64 {word}, ptr {place}")
    place = f.raw(f"getelementptr inbounds i8, ptr {pointers[-1]}, i64 {ADDRESS_OFFSET}")
    function = f.raw(f"load ptr, ptr {place}")
    f.emit(f"call void {function}(ptr {table})")
