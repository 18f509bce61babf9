"""Squares of numbers in vectors, as many as each has lanes, transposed in registers."""

from __future__ import annotations

from collections.abc import Sequence

from fnad.lowering.llvm.writer import FLOAT32, FLOAT64, Function, Value, overload


def transposed(f: Function, rows: Sequence[Value]) -> list[Value]:
    """A square matrix of vectors, transposed: ever smaller blocks change places."""
    rows, size = list(rows), len(rows)
    block = size // 2
    while block:
        upper = [i if not i & block else size + i - block for i in range(size)]
        lower = [i + block if not i & block else size + i for i in range(size)]
        for i in range(size):
            if not i & block:
                one, two = rows[i], rows[i + block]
                rows[i] = f.b.shuffle(one, upper, two)
                rows[i + block] = f.b.shuffle(one, lower, two)
        block //= 2
        if block and size > 8:
            rows = [_opaque(f, row) for row in rows]
    return rows


def _opaque(f: Function, x: Value) -> Value:
    """The same vector, through which LLVM does not look.

    It would spend half of the time of compilation in search of fewer shuffles for several steps.
    """
    if x.dtype.itemsize < 4:
        return x
    number = f.b.bitcast(x, FLOAT32 if x.dtype.itemsize == 4 else FLOAT64)
    fence = f"llvm.arithmetic.fence.{overload(number.dtype, x.lanes)}"
    f.module.declare(fence, f"declare {number.type} @{fence}({number.type})")
    same = f.value(f"call {number.type} @{fence}({number.typed})", number.dtype, x.lanes)
    return f.b.bitcast(same, x.dtype)
