"""Matrix products as ``__global__`` functions: tiles through shared memory into registers.

A kernel of a plan that sums products of one factor which does not vary along the columns and one
which does not vary along the rows is a matrix product (`matrix_product`), whatever its factors are
made of and whatever its stores do with the sums. A block of threads computes one tile of the
result. It goes through the summed axis a slab at a time: while it multiplies one slab in shared
memory, it has the next one on its way from memory to registers.

Sums run in the order of the summed axis, so results depend on shapes alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.core.types import is_half
from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.points import bind_axes, print_stores
from fnad.lowering.cuda.vectors import VectorRead, vector_read
from fnad.lowering.cuda.writer import INT64, Function, Value, ctype
from fnad.lowering.expr import Expr, affine_parts, axis
from fnad.lowering.plan import Kernel, Store
from fnad.lowering.walk import below, loads

Axis = tuple[int, int]

# With fewer rows or columns most of a tile would be empty; with fewer terms nothing is gained.
_FEW = 16
_FEW_TERMS = 8
# Processors of a large card; fewer tiles than these leave some idle.
_PROCESSORS = 132
# Rows of tiles that run together, so that the columns they share stay in cache.
_ROWS_TOGETHER = 8


@dataclass(frozen=True, slots=True)
class Tile:
    """``rows`` x ``columns`` of a result, by threads that have ``high`` x ``wide`` of it each.

    ``cost`` is the time of one of its elements, relative to that of the largest tile.
    """

    rows: int
    columns: int
    high: int
    wide: int
    cost: float

    @property
    def threads(self) -> int:
        """The threads of a block."""
        return self.rows * self.columns // (self.high * self.wide)


# The terms of a slab.
DEPTH = 16
TILES = (
    Tile(128, 128, 8, 8, 1.0),
    Tile(64, 64, 4, 4, 1.5),
    Tile(128, 32, 4, 4, 1.7),
    Tile(32, 128, 4, 4, 1.7),
    Tile(128, 16, 4, 2, 2.2),
    Tile(16, 128, 2, 4, 2.2),
    Tile(32, 32, 2, 2, 3.0),
)
# Two slabs of numbers of 8 bytes of the largest tile do not fit in shared memory.
WIDE_TILES = TILES[1:]


@dataclass(frozen=True, slots=True)
class MatrixProduct:
    """``sum over term of left * right`` for all of ``batch``, ``row`` and ``column``, stored.

    ``left`` does not vary along ``column``, ``right`` not along ``row``. ``stores`` name the sum
    as reduction 0; it has ``dtype``, and is computed in ``wide``.
    """

    batch: tuple[Axis, ...]
    row: Axis
    column: Axis
    term: Axis
    left: Expr
    right: Expr
    stores: tuple[Store, ...]
    wide: np.dtype[Any]
    dtype: np.dtype[Any]

    @property
    def entries(self) -> int:
        """The number of matrices."""
        return math.prod(extent for _, extent in self.batch)


def matrix_product(kernel: Kernel) -> MatrixProduct | None:
    """A kernel as a product of matrices large enough for tiles, if it is one."""
    if kernel.sequential or len(kernel.reductions) != 1 or len(kernel.axes) < 2:
        return None
    [reduction] = kernel.reductions
    boolean = reduction.accumulator.kind == "b"
    kind, operation = ("or", "bitwise_and") if boolean else ("add", "multiply")
    value = reduction.value
    if reduction.kind != kind or value.op != operation or len(reduction.axes) != 1:
        return None
    if is_half(value.dtype) or value.dtype != reduction.accumulator:
        return None
    *batch, row, column = kernel.axes
    [term] = reduction.axes
    if min(row[1], column[1]) < _FEW or term[1] < _FEW_TERMS:
        return None
    for left, right in (value.args, value.args[::-1]):
        if axis(*column) not in below(left) and axis(*row) not in below(right):
            return MatrixProduct(
                tuple(batch),
                row,
                column,
                term,
                left,
                right,
                kernel.stores,
                reduction.accumulator,
                reduction.dtype,
            )
    return None


def tile_of(product: MatrixProduct) -> Tile:
    """The tile with which all of a product takes the least time, by a rough estimate."""
    known = WIDE_TILES if product.wide.itemsize == 8 else TILES
    return min(known, key=lambda tile: _time(product, tile))


def _time(product: MatrixProduct, tile: Tile) -> float:
    blocks = max(tiles_of(product, tile), _PROCESSORS)
    return blocks * tile.rows * tile.columns * tile.cost


def tiles_of(product: MatrixProduct, tile: Tile) -> int:
    """How many tiles a product has, which is how many blocks it is launched with."""
    across, down = -(-product.column[1] // tile.columns), -(-product.row[1] // tile.rows)
    return product.entries * across * down


def print_product(
    f: Function, printer: ExpressionPrinter, product: MatrixProduct, tile: Tile
) -> None:
    """Append the body of the kernel, launched with `tiles_of` blocks."""
    row, column = _print_places(f, printer, product, tile)
    number = _Number(product.wide)
    left = _Operand(product.left, product.row, product.term, tile.rows, row, tile.threads)
    right = _Operand(
        product.right, product.column, product.term, tile.columns, column, tile.threads
    )
    for operand, name in ((left, "left"), (right, "right")):
        f.line(
            f"__shared__ __align__(16) {number.type}"
            f" {name}[2][{DEPTH}][{operand.size + 16 // number.size}];"
        )
        f.line(f"{number.type} next_{name}[{operand.turns}][{operand.width}];")
    f.line(f"{number.type} total[{tile.high}][{tile.wide}];")
    with _unrolled(f, "a", tile.high), _unrolled(f, "b", tile.wide):
        f.line("total[a][b] = 0;")
    slabs = -(-product.term[1] // DEPTH)
    # In turn `slab` one slab is read, the one before it is multiplied.
    with f.block(f"for (i32 slab = 0; slab <= {slabs}; slab++)"):
        with f.block(f"if (slab < {slabs})"):
            left.read(f, printer, number, "next_left")
            right.read(f, printer, number, "next_right")
        with f.block("if (slab > 0)"):
            _print_multiplication(f, tile, number)
        with f.block(f"if (slab < {slabs})"):
            left.keep(f, "next_left", "left")
            right.keep(f, "next_right", "right")
        f.line("__syncthreads();")
    _print_results(f, printer, product, tile, number, (row, column))


def _print_places(
    f: Function, printer: ExpressionPrinter, product: MatrixProduct, tile: Tile
) -> tuple[str, str]:
    """Where the tile of this block begins; binds the batch axes."""
    across, down = -(-product.column[1] // tile.columns), -(-product.row[1] // tile.rows)
    f.line("const u32 block = blockIdx.x;")
    if product.batch:
        entry = f.named("i32", f"(i32)(block / {across * down}u)", INT64).ref
        bind_axes(f, printer, product.batch, entry, "i32")
    f.line(f"const i32 place = (i32)(block % {across * down}u);")
    f.line(f"const i32 first = place / {across * _ROWS_TOGETHER} * {_ROWS_TOGETHER};")
    f.line(f"const i32 together = min({down} - first, {_ROWS_TOGETHER});")
    inside = f"place % {across * _ROWS_TOGETHER}"
    f.line(f"const i32 row = (first + {inside} % together) * {tile.rows};")
    f.line(f"const i32 column = {inside} / together * {tile.columns};")
    return "row", "column"


class _Number:
    """How numbers are held and multiplied: integers as unsigned ones, which wrap."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        if dtype.kind == "f":
            self.type, self.size = ctype(dtype), dtype.itemsize
        else:
            self.size = 8 if dtype.itemsize == 8 else 4
            self.type = f"u{self.size * 8}"

    def held(self, value: Value) -> str:
        """A value as it is held."""
        return value.ref if self.dtype.kind == "f" else f"({self.type}){value.ref}"

    def add_product(self, total: str, x: str, y: str) -> str:
        """The statement that adds a product to a sum."""
        if self.dtype.kind == "f":
            return f"{total} = fma{'f' * (self.size == 4)}({x}, {y}, {total});"
        return f"{total} |= {x} & {y};" if self.dtype.kind == "b" else f"{total} += {x} * {y};"

    def value(self, f: Function, text: str) -> Value:
        """What is held as a value of the dtype."""
        if self.dtype.kind == "b":
            text = f"{text} != 0"
        elif self.dtype.kind != "f":
            text = f"({ctype(self.dtype)}){text}"
        return f.value(text, self.dtype)


def _unrolled(f: Function, name: str, extent: int) -> Any:
    f.line("#pragma unroll")
    return f.block(f"for (i32 {name} = 0; {name} < {extent}; {name}++)")


class _Operand:
    """One side of a product: how the threads of a block read a slab of it.

    A slab has ``size`` lines, of ``DEPTH`` terms each. It is divided into chunks of ``width``
    elements that lie side by side in memory, of which each thread reads ``turns``.
    """

    def __init__(
        self, expr: Expr, line: Axis, term: Axis, size: int, first: str, threads: int
    ) -> None:
        self.line, self.term, self.size, self.first = line, term, size, first
        self.threads = threads
        each = size * DEPTH // threads
        along_term, along_line = (
            vector_read(expr, a, min(each, limit)) for a, limit in ((term, DEPTH), (line, size))
        )
        wider = along_line.width - along_term.width
        self.by_line = wider > 0 or (wider == 0 and _runs_along(expr, line, term))
        self.reading: VectorRead = along_line if self.by_line else along_term
        self.width = self.reading.width
        self.turns = each // self.width

    def read(self, f: Function, printer: ExpressionPrinter, number: _Number, target: str) -> None:
        """Read this thread's part of the next slab; beyond the last term there are zeros."""
        (line, lines), (term, terms) = self.line, self.term
        with _unrolled(f, "turn", self.turns), printer.scope():
            at_line, at_term = self._print_place(f)
            last = lines - self.width if self.by_line else lines - 1
            inside = f"{self.first} + {at_line}"
            clamped = f"min({inside}, {last})" if lines % self.size else inside
            i = f.named("i32", clamped, INT64)
            k = f.named("i32", f"slab * {DEPTH} + {at_term}", INT64)
            printer.bind_axis(line, i)
            printer.bind_axis(term, k)
            start = i if self.by_line else k
            if terms % DEPTH == 0:
                self._print_values(f, printer, number, target, start)
                return
            with f.block(f"if ({k.ref} < {terms})"), printer.scope():
                self._print_values(f, printer, number, target, start)
            with f.block("else"):
                for v in range(self.width):
                    f.line(f"{target}[turn][{v}] = 0;")

    def _print_values(
        self,
        f: Function,
        printer: ExpressionPrinter,
        number: _Number,
        target: str,
        start: Value,
    ) -> None:
        for v, value in enumerate(self.reading.values(f, printer, start)):
            f.line(f"{target}[turn][{v}] = {number.held(value)};")

    def _print_place(self, f: Function) -> tuple[str, str]:
        """The line and the term of a chunk's first element, within the slab."""
        f.line(f"const i32 chunk = (i32)threadIdx.x + turn * {self.threads};")
        count = (self.size if self.by_line else DEPTH) // self.width
        inner, outer = f"chunk % {count} * {self.width}", f"chunk / {count}"
        names = ("line", "term") if self.by_line else ("term", "line")
        f.line(f"const i32 {names[0]} = {inner}, {names[1]} = {outer};")
        return "line", "term"

    def keep(self, f: Function, source: str, target: str) -> None:
        """Write what has been read to shared memory."""
        with _unrolled(f, "turn", self.turns):
            self._print_place(f)
            for v in range(self.width):
                more = f" + {v}" if v else ""
                at = f"[term][line{more}]" if self.by_line else f"[term{more}][line]"
                f.line(f"{target}[slab & 1]{at} = {source}[turn][{v}];")


def _runs_along(expr: Expr, line: Axis, term: Axis) -> bool:
    """Whether it is neighbouring lines, not neighbouring terms, that lie side by side in memory."""
    for load in loads([expr]):
        terms = affine_parts(load.args[0])[0]
        along_line, along_term = (abs(terms.get(axis(*a), 0)) for a in (line, term))
        if along_line and along_term:
            return along_line < along_term
        if along_line or along_term:
            return along_line == 1
    return False


def _quad(size: int, count: int) -> int:
    """How many neighbouring lines of a slab a thread has together: 16 bytes at most."""
    return min(count, 16 // size)


def _line_of(quad: int, size: int, count: int, index: str, lane: str) -> str:
    """The line that is ``index`` of a thread's ``count``, which lie in quads far apart."""
    if quad == count:
        return f"{lane} * {quad} + {index}"
    return f"{index} / {quad} * {size * quad // count} + {lane} * {quad} + {index} % {quad}"


def _print_multiplication(f: Function, tile: Tile, number: _Number) -> None:
    """Add the products of the slab that is in shared memory."""
    lanes = tile.columns // tile.wide
    f.line(f"const i32 across = (i32)threadIdx.x % {lanes}, down = (i32)threadIdx.x / {lanes};")
    sides = (
        ("left", "x", tile.rows, tile.high, "down"),
        ("right", "y", tile.columns, tile.wide, "across"),
    )
    for name, _, _, count, _ in sides:
        quad = _quad(number.size, count)
        f.line(f"struct alignas({quad * number.size}) {name}_part {{ {number.type} at[{quad}]; }};")
    with _unrolled(f, "k", DEPTH):
        for name, variable, size, count, lane in sides:
            quad = _quad(number.size, count)
            f.line(f"{name}_part {variable}[{count // quad}];")
            with _unrolled(f, "part", count // quad):
                at = _line_of(quad, size, count, f"part * {quad}", lane)
                f.line(f"{variable}[part] = *(const {name}_part*)&{name}[(slab - 1) & 1][k][{at}];")
        x, y = (
            f"{v}[{i} / {_quad(number.size, n)}].at[{i} % {_quad(number.size, n)}]"
            for v, i, n in (("x", "a", tile.high), ("y", "b", tile.wide))
        )
        with _unrolled(f, "a", tile.high), _unrolled(f, "b", tile.wide):
            f.line(number.add_product("total[a][b]", x, y))


def _print_results(
    f: Function,
    printer: ExpressionPrinter,
    product: MatrixProduct,
    tile: Tile,
    number: _Number,
    first: Sequence[str],
) -> None:
    """Store what this thread has of the tile, as far as it lies inside of the result."""
    lanes = tile.columns // tile.wide
    f.line(f"const i32 across = (i32)threadIdx.x % {lanes}, down = (i32)threadIdx.x / {lanes};")
    quads = _quad(number.size, tile.high), _quad(number.size, tile.wide)
    row = _line_of(quads[0], tile.rows, tile.high, "a", "down")
    column = _line_of(quads[1], tile.columns, tile.wide, "b", "across")
    with _unrolled(f, "a", tile.high), printer.scope():
        i = f.named("i32", f"{first[0]} + {row}", INT64)
        printer.bind_axis(product.row[0], i)
        with _unrolled(f, "b", tile.wide), printer.scope():
            j = f.named("i32", f"{first[1]} + {column}", INT64)
            printer.bind_axis(product.column[0], j)
            checks = [
                f"{value.ref} < {extent}"
                for value, (_, extent), size in (
                    (i, product.row, tile.rows),
                    (j, product.column, tile.columns),
                )
                if extent % size
            ]
            with f.block(f"if ({' && '.join(checks)})" if checks else ""), printer.scope():
                total = f.b.convert(number.value(f, "total[a][b]"), product.dtype)
                printer.bind_reduced(0, total)
                print_stores(f, printer, product.stores)
