"""Matrix products as ``__global__`` functions: tiles through shared memory into registers.

A block of threads goes through the summed axis a slab at a time: while it multiplies one slab in
shared memory, it has the next one on its way from memory to registers. Sums run in the order of
that axis, so results depend on shapes alone.
"""

from __future__ import annotations

from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.points import bind_axes
from fnad.lowering.cuda.tile_results import print_results
from fnad.lowering.cuda.tile_text import Number, line_of, quad_of, unrolled
from fnad.lowering.cuda.tiles import DEPTH, Axis, MatrixProduct, Tile
from fnad.lowering.cuda.vectors import VectorRead, vector_read
from fnad.lowering.cuda.writer import INT64, Function, Value
from fnad.lowering.expr import Expr, affine_parts, axis
from fnad.lowering.walk import loads

# Rows of tiles that run together, so that the columns they share stay in cache.
_ROWS_TOGETHER = 8


def print_product(
    f: Function, printer: ExpressionPrinter, product: MatrixProduct, tile: Tile
) -> None:
    """Append the body of the kernel, launched with `tiles_of` blocks."""
    row, column = _print_places(f, printer, product, tile)
    number = Number(product.wide)
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
    with unrolled(f, "a", tile.high), unrolled(f, "b", tile.wide):
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
    print_results(f, printer, product, tile, number, (row, column))


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

    def read(self, f: Function, printer: ExpressionPrinter, number: Number, target: str) -> None:
        """Read this thread's part of the next slab; beyond the last term there are zeros."""
        (line, lines), (term, terms) = self.line, self.term
        with unrolled(f, "turn", self.turns), printer.scope():
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
        number: Number,
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
        with unrolled(f, "turn", self.turns):
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


def _print_multiplication(f: Function, tile: Tile, number: Number) -> None:
    """Add the products of the slab that is in shared memory."""
    lanes = tile.columns // tile.wide
    f.line(f"const i32 across = (i32)threadIdx.x % {lanes}, down = (i32)threadIdx.x / {lanes};")
    sides = (
        ("left", "x", tile.rows, tile.high, "down"),
        ("right", "y", tile.columns, tile.wide, "across"),
    )
    for name, _, _, count, _ in sides:
        quad = quad_of(number.size, count)
        f.line(f"struct alignas({quad * number.size}) {name}_part {{ {number.type} at[{quad}]; }};")
    with unrolled(f, "k", DEPTH):
        for name, variable, size, count, lane in sides:
            quad = quad_of(number.size, count)
            f.line(f"{name}_part {variable}[{count // quad}];")
            with unrolled(f, "part", count // quad):
                at = line_of(quad, size, count, f"part * {quad}", lane)
                f.line(f"{variable}[part] = *(const {name}_part*)&{name}[(slab - 1) & 1][k][{at}];")
        x, y = (
            f"{v}[{i} / {quad_of(number.size, n)}].at[{i} % {quad_of(number.size, n)}]"
            for v, i, n in (("x", "a", tile.high), ("y", "b", tile.wide))
        )
        with unrolled(f, "a", tile.high), unrolled(f, "b", tile.wide):
            f.line(number.add_product("total[a][b]", x, y))
