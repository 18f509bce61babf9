"""Packing: blocks of an operand copied to where register tiles read them fastest.

A panel of B holds the columns of one tile, row after row; a panel of A holds the rows of one tile,
column after column. What is read often is then contiguous, whatever its strides are in the user's
array, and of the dtype that sums are taken in.
"""

from __future__ import annotations

from collections.abc import Callable

from fnad.lowering.llvm.matrix.integers import Int, advance, integer, parameters
from fnad.lowering.llvm.matrix.variants import Variant
from fnad.lowering.llvm.writer import INT64, Function, Module, Value

PARAMETERS = ("ptr %source", "i64 %row", "i64 %step", "i64 %count", "i64 %length", "ptr %target")

# Rows of a block that is transposed. More would take fewer instructions, but LLVM much longer.
_BLOCK = 8


class Packing:
    """Writes the function that packs ``(count, length)`` elements into panels.

    Parameters
    ----------
    module : Module
        Where it goes.
    variant : Variant
        Of the products.
    rows : int
        Rows of a panel. Row i, column k of panel p is element ``(p * length + k) * width + i``.
    width : int
        ``rows``, padded to a multiple of ``lanes``.
    lanes : int
        Of a vector.
    """

    def __init__(self, module: Module, variant: Variant, rows: int, width: int, lanes: int) -> None:
        self.module = module
        self.variant = variant
        self.rows = rows
        self.width = width
        self.lanes = lanes

    def emit(self, name: str, way: str) -> None:
        """Define ``name``. It may write ``lanes - 1`` columns beyond the last panel.

        ``way`` says for which strides: ``copy`` if rows are neighbours (``row`` is 1), ``turn`` if
        columns are (``step`` is 1), ``gather`` for any.
        """
        f = Function(self.module, name, PARAMETERS, linkage="")
        {"copy": self._copy, "turn": self._turn, "gather": self._gather}[way](f)
        f.ret()
        self.module.add(f)

    def _panels(self, f: Function, body: Callable[[Int, Int, Int], None]) -> None:
        """``body(first row, rows, where the panel begins)`` for all panels."""
        count, length = parameters(f, "count", "length")
        with f.steps(count.value, integer(f, self.rows).value) as turn:
            first = Int(f, turn.ref)
            panel = first // self.rows * length * self.width
            body(first, (count - first).up_to(self.rows), panel)

    def _copy(self, f: Function) -> None:
        """Rows are neighbours: the source is read along them, for all panels at once."""
        step, length = parameters(f, "step", "length")
        with f.steps(length.value, integer(f, 1).value) as turn:
            k = Int(f, turn.ref)

            def body(first: Int, rows: Int, panel: Int) -> None:
                source = advance(f, "%source", self.variant.element, k * step + first)
                target = advance(f, "%target", self.variant.compute, panel + k * self.width)
                for j in range(0, self.width, self.lanes):
                    place = f.element(source, self.variant.element, j)
                    x = self._load(f, place, rows - j, self.lanes)
                    f.store(x, f.element(target, self.variant.compute, j))

            self._panels(f, body)

    def _turn(self, f: Function) -> None:
        """Columns are neighbours: square blocks are transposed."""
        row, length = parameters(f, "row", "length")
        size = min(self.lanes, _BLOCK)

        def body(first: Int, rows: Int, panel: Int) -> None:
            with (
                f.steps(length.value, integer(f, size).value) as turn,
                f.steps(rows.value, integer(f, size).value) as block,
            ):
                k, j = Int(f, turn.ref), Int(f, block.ref)
                vectors = []
                for i in range(size):
                    # Instead of rows that there are not, the last one: nothing reads them.
                    place = (first + (j + i).up_to(rows - 1)) * row + k
                    source = advance(f, "%source", self.variant.element, place)
                    vectors.append(self._load(f, source, length - k, size))
                for i, x in enumerate(transposed(f, vectors)):
                    place = panel + (k + i) * self.width + j
                    f.store(x, advance(f, "%target", self.variant.compute, place))

        self._panels(f, body)

    def _gather(self, f: Function) -> None:
        """Element by element."""
        row, step, length = parameters(f, "row", "step", "length")
        one = integer(f, 1).value

        def body(first: Int, rows: Int, panel: Int) -> None:
            with f.steps(length.value, one) as turn, f.steps(rows.value, one) as i:
                k = Int(f, turn.ref)
                source = (first + Int(f, i.ref)) * row + k * step
                x = f.load(
                    advance(f, "%source", self.variant.element, source), self.variant.element
                )
                target = panel + k * self.width + Int(f, i.ref)
                f.store(
                    f.b.convert(x, self.variant.compute),
                    advance(f, "%target", self.variant.compute, target),
                )

        self._panels(f, body)

    def _load(self, f: Function, pointer: str, count: Int, lanes: int) -> Value:
        """A vector of neighbours, of which there are ``count``, or more."""
        mask = f.b.less(f.b.iota(INT64, lanes), f.b.splat(count.value, lanes))
        x = f.load(pointer, self.variant.element, lanes, mask)
        return f.b.convert(x, self.variant.compute)


def transposed(f: Function, rows: list[Value]) -> list[Value]:
    """A square block as vectors, transposed.

    By steps that are one instruction each: interleaving within 16 bytes, then whole 16 bytes.
    """
    within = 16 // rows[0].dtype.itemsize
    groups = [rows[i : i + within] for i in range(0, len(rows), within)]
    groups = [_interleaved(f, group) for group in groups]
    columns = [_blocks(f, [group[i] for group in groups], within) for i in range(within)]
    return [columns[i % within][i // within] for i in range(len(rows))]


def _interleaved(f: Function, rows: list[Value]) -> list[Value]:
    """Transpose each block of 16 bytes by two or four rows of as many elements."""
    if len(rows) == 2:
        return _pair(f, rows[0], rows[1], 1)
    first, second = _pair(f, rows[0], rows[1], 1), _pair(f, rows[2], rows[3], 1)
    return _pair(f, first[0], second[0], 2) + _pair(f, first[1], second[1], 2)


def _pair(f: Function, x: Value, y: Value, size: int) -> list[Value]:
    """Runs of ``size`` elements of x and y by turns: of the lower halves of blocks, the upper."""
    lanes, half = x.lanes, 8 // x.dtype.itemsize
    low = [
        start + i
        for block in range(0, lanes, 2 * half)
        for run in range(0, half, size)
        for start in (block + run, lanes + block + run)
        for i in range(size)
    ]
    return [f.b.shuffle(x, [i + shift for i in low], y) for shift in (0, half)]


def _blocks(f: Function, vectors: list[Value], within: int) -> list[Value]:
    """Transpose the square whose elements are the blocks of 16 bytes of vectors."""
    if len(vectors) == 1:
        return vectors
    lanes = vectors[0].lanes
    even = [i for i in range(2 * lanes) if i // within % 2 == 0]
    odd = [i + within for i in even]
    pairs = list(zip(vectors[::2], vectors[1::2], strict=True))
    halves = [
        _blocks(f, [f.b.shuffle(x, side, y) for x, y in pairs], within) for side in (even, odd)
    ]
    return [vector for pair in zip(*halves, strict=True) for vector in pair]
