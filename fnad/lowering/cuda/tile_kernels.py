"""Matrix products as ``__global__`` functions: tiles through shared memory into registers.

A block of threads goes through the summed axis a slab at a time: while it multiplies one slab in
shared memory, it has the next one on its way from memory to registers. Sums run in the order of
that axis, so results depend on shapes alone.
"""

from __future__ import annotations

from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.points import bind_axes
from fnad.lowering.cuda.tile_cores import TensorCores
from fnad.lowering.cuda.tile_results import print_results
from fnad.lowering.cuda.tile_scalars import Scalars
from fnad.lowering.cuda.tile_text import Number, unrolled
from fnad.lowering.cuda.tiles import Axis, MatrixProduct, Tile
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
    way: Scalars | TensorCores
    factors = product.left, product.right
    if tile.cores:
        way = TensorCores(factors[0].args[0].dtype, tile)
        factors = factors[0].args[0], factors[1].args[0]
    else:
        way = Scalars(Number(product.wide), tile)
    left = _Operand(factors[0], product.row, product.term, (tile.rows, tile.threads), row, way)
    right = _Operand(
        factors[1], product.column, product.term, (tile.columns, tile.threads), column, way
    )
    for operand, name in ((left, "left"), (right, "right")):
        f.line(f"__shared__ __align__(16) {way.element} {name}[2]{way.slab(operand.size)};")
        f.line(f"{way.element} next_{name}[{operand.turns}][{operand.width}];")
    f.line(f"{way.number.type} total[{tile.high}][{tile.wide}];")
    with unrolled(f, "a", tile.high), unrolled(f, "b", tile.wide):
        f.line("total[a][b] = 0;")
    slabs = -(-product.term[1] // way.depth)
    # In turn `slab` one slab is read, the one before it is multiplied.
    with f.block(f"for (i32 slab = 0; slab <= {slabs}; slab++)"):
        with f.block(f"if (slab < {slabs})"):
            left.read(f, printer, "next_left")
            right.read(f, printer, "next_right")
        with f.block("if (slab > 0)"):
            way.begin(f)
            way.multiply(f)
        with f.block(f"if (slab < {slabs})"):
            left.keep(f, "next_left", "left")
            right.keep(f, "next_right", "right")
        f.line("__syncthreads();")
    print_results(f, printer, product, tile, way, (row, column))


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

    A slab has ``size`` lines, of so many terms as ``way`` says. It is divided into chunks of
    ``width`` elements that lie side by side in memory, of which each thread reads ``turns``.
    """

    def __init__(
        self,
        expr: Expr,
        line: Axis,
        term: Axis,
        sizes: tuple[int, int],
        first: str,
        way: Scalars | TensorCores,
    ) -> None:
        self.line, self.term, self.first, self.way = line, term, first, way
        self.size, self.threads = sizes
        each = self.size * way.depth // self.threads
        along_term, along_line = (
            vector_read(expr, a, min(each, limit))
            for a, limit in ((term, way.depth), (line, self.size))
        )
        wider = along_line.width - along_term.width
        self.by_line = wider > 0 or (wider == 0 and _runs_along(expr, line, term))
        self.reading: VectorRead = along_line if self.by_line else along_term
        self.width = self.reading.width
        self.turns = each // self.width

    def read(self, f: Function, printer: ExpressionPrinter, target: str) -> None:
        """Read this thread's part of the next slab; beyond the last term there are zeros."""
        (line, lines), (term, terms) = self.line, self.term
        with unrolled(f, "turn", self.turns), printer.scope():
            at_line, at_term = self._print_place(f)
            last = lines - self.width if self.by_line else lines - 1
            inside = f"{self.first} + {at_line}"
            clamped = f"min({inside}, {last})" if lines % self.size else inside
            i = f.named("i32", clamped, INT64)
            k = f.named("i32", f"slab * {self.way.depth} + {at_term}", INT64)
            printer.bind_axis(line, i)
            printer.bind_axis(term, k)
            start = i if self.by_line else k
            if terms % self.way.depth == 0:
                self._print_values(f, printer, target, start)
                return
            with f.block(f"if ({k.ref} < {terms})"), printer.scope():
                self._print_values(f, printer, target, start)
            with f.block("else"):
                for v in range(self.width):
                    f.line(f"{target}[turn][{v}] = 0;")

    def _print_values(
        self, f: Function, printer: ExpressionPrinter, target: str, start: Value
    ) -> None:
        for v, value in enumerate(self.reading.values(f, printer, start)):
            f.line(f"{target}[turn][{v}] = {self.way.held(value)};")

    def _print_place(self, f: Function) -> tuple[str, str]:
        """The line and the term of a chunk's first element, within the slab."""
        f.line(f"const i32 chunk = (i32)threadIdx.x + turn * {self.threads};")
        count = (self.size if self.by_line else self.way.depth) // self.width
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
                at = self.way.at(
                    *((f"line{more}", "term") if self.by_line else ("line", f"term{more}"))
                )
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
