"""Calls of LAPACK and BLAS, and of functions in their conventions: `plan.Routine`.

Fortran takes every argument by reference: what is no memory yet gets a place on the stack. The
tasks of a routine are its calls. Each works on matrices of its own, so results do not depend on
which thread makes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fnad.lowering.llvm.small_lapack import is_small
from fnad.lowering.llvm.writer import INT64, DType, Function, Value, constant_text, llvm_type
from fnad.lowering.plan import Operand, Routine, Workspace

# Pieces of a workspace begin at cache lines.
_ALIGNMENT = 64
_INT32 = np.dtype(np.int32)


def workspace_bytes(node: Routine) -> int:
    """The scratch memory that `emit_routine` needs."""
    return sum(_padded(x.nbytes) for x in node.arguments if isinstance(x, Workspace))


def emit_routine(
    f: Function,
    node: Routine,
    parts: Sequence[tuple[str, DType, int]],
    scratch: str,
    bounds: tuple[Value, Value],
) -> None:
    """Print the calls from ``bounds[0]`` to ``bounds[1]``.

    ``parts`` are the pointer, dtype and number of elements for each call of the node's buffers.
    """
    library = "" if "." in node.name else "small." if is_small(node) else "lapack."
    symbol = f"fnad.{library}{node.name}"
    types = ", ".join("ptr" for _ in node.arguments)
    f.module.declare(symbol, f"declare void @{symbol}({types})")
    places: list[str | int] = []  # a pointer, or the number of a part
    offset = 0
    for argument in node.arguments:
        if isinstance(argument, Operand):
            places.append(argument.position)
        elif isinstance(argument, Workspace):
            place = f.b.constant(offset, INT64)  # a number of bytes may be known at a call only
            places.append(f.raw(f"getelementptr inbounds i8, ptr {scratch}, {place.typed}"))
            offset += _padded(argument.nbytes)
        else:
            places.append(_on_stack(f, argument, node.dtype))
    begin, end = bounds
    with f.loop(end, start=begin) as task:
        pointers = [
            f"ptr {_part(f, *parts[place], task.index) if isinstance(place, int) else place}"
            for place in places
        ]
        f.emit(f"call void @{symbol}({', '.join(pointers)})")


def _part(f: Function, pointer: str, dtype: DType, size: int, index: Value) -> str:
    return f.element(pointer, dtype, f.b.multiply(index, f.b.constant(size, INT64)))


def _on_stack(f: Function, argument: str | int | float, dtype: DType) -> str:
    if isinstance(argument, str):
        kind, text = "i8", str(ord(argument))
    elif isinstance(argument, int):
        kind, text = "i32", f.b.constant(argument, _INT32).ref
    else:
        kind, text = llvm_type(dtype), constant_text(argument, dtype)
    place = f.alloca(kind)
    f.emit(f"store {kind} {text}, ptr {place}")
    return place


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
