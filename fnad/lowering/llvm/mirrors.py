"""Symmetric matrices of which the part below the diagonal is known, mirrored in place."""

from __future__ import annotations

from fnad.lowering.llvm import host
from fnad.lowering.llvm.squares import transposed
from fnad.lowering.llvm.writer import INT64, DType, Function, Value
from fnad.lowering.plan import Mirror

# Rows that a task mirrors: columns above the diagonal, whole cache lines of them.
_STRIP = 32


def tasks(node: Mirror) -> int:
    """How many strips of rows there are."""
    return node.count * -(-node.n // _STRIP)


def emit_mirror(
    f: Function, node: Mirror, pointer: str, dtype: DType, bounds: tuple[Value, Value]
) -> None:
    """Mirror some strips of rows."""
    begin, end = bounds
    b, n = f.b, node.n
    each = b.constant(-(-n // _STRIP), INT64)
    with f.loop(end, start=begin) as task:
        number = b.divide(task.index, each)
        strip = b.subtract(task.index, b.multiply(number, each))
        matrix = f.element(pointer, dtype, b.multiply(number, b.constant(n * n, INT64)))
        first = b.multiply(strip, b.constant(_STRIP, INT64))
        last = b.minimum(b.add(first, b.constant(_STRIP, INT64)), b.constant(n, INT64))
        _mirror_strip(f, matrix, dtype, n, first, last)


def _mirror_strip(
    f: Function, matrix: str, dtype: DType, n: int, first: Value, last: Value
) -> None:
    b, lanes = f.b, host.lanes_of(dtype)
    whole = b.equal(b.subtract(last, first), b.constant(_STRIP, INT64))
    squared = b.where(whole, first, b.constant(0, INT64))
    with f.steps(squared, b.constant(lanes, INT64)) as column:
        for group in range(0, _STRIP, lanes):
            below = [_plus(f, first, group + i) for i in range(lanes)]
            rows = [f.load(_place(f, matrix, dtype, n, i, column), dtype, lanes) for i in below]
            for i, row in enumerate(transposed(f, rows)):
                to = _place(f, matrix, dtype, n, _plus(f, column, i), _plus(f, first, group))
                f.store(row, to)

    def each_row(i: Value) -> list[Value]:
        def each_column(j: Value) -> list[Value]:
            x = f.load(_place(f, matrix, dtype, n, i, j), dtype)
            f.store(x, _place(f, matrix, dtype, n, j, i))
            return [_plus(f, j, 1)]

        f.repeat([squared], lambda j: b.less(j, i), each_column)
        return [_plus(f, i, 1)]

    f.repeat([first], lambda i: b.less(i, last), each_row)


def _plus(f: Function, i: Value, offset: int) -> Value:
    return f.b.add(i, f.b.constant(offset, INT64))


def _place(f: Function, matrix: str, dtype: DType, n: int, row: Value, column: Value) -> str:
    return f.element(matrix, dtype, f.b.add(f.b.multiply(row, f.b.constant(n, INT64)), column))
