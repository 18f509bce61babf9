"""Packing: blocks of an operand copied to where register tiles read them fastest.

A panel of B holds the columns of one tile, row after row; a panel of A holds the rows of one tile,
column after column. What is read often is then contiguous, whatever its strides are in the user's
array, and of the dtype that sums are taken in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fnad.lowering.llvm.matrix.integers import Int, advance, choose, integer, parameters
from fnad.lowering.llvm.matrix.variants import Variant
from fnad.lowering.llvm.writer import INT32, Function, Module, Value

# Rows of panels that are copied together where loops are written out.
_TOGETHER = 4

# Of the packing functions; the panels' rows are ``rows``, padded to ``width``.
PARAMETERS = (
    "ptr %source", "i64 %row", "i64 %step", "i64 %count", "i64 %length", "ptr %target",
    "i64 %rows", "i64 %width",
)  # fmt: skip


class Packing:
    """Writes functions that pack ``(count, length)`` elements into panels.

    Row i, column k of panel p is element ``(p * length + k) * width + i``, where ``width`` is a
    multiple of ``lanes``. What lies behind the last row of a panel, and in as many columns behind
    the last panel as vectors have lanes, is anything.

    Parameters
    ----------
    module : Module
        Where they go.
    variant : Variant
        Of the products.
    lanes : int
        Of a vector.
    written_out : bool
        Whether several turns of loops are one: see `TileShape`.
    """

    def __init__(self, module: Module, variant: Variant, lanes: int, written_out: bool) -> None:
        self.module = module
        self.variant = variant
        self.lanes = lanes
        self.written_out = written_out

    def emit(self, name: str) -> None:
        """Define ``name``, for operands whose rows or columns are neighbours."""
        f = Function(self.module, name, PARAMETERS, linkage="")
        copy, turn, after = f.fresh("copy"), f.fresh("turn"), f.fresh("end")
        f.branch(Int(f, "%row").equals(1), copy, turn)
        copies = self._copy_together if self.written_out else self._copy
        for label, write in ((copy, copies), (turn, self._turn)):
            f.label(label)
            write(f)
            f.jump(after)
        f.label(after)
        f.ret()
        self.module.add(f)

    def emit_gathering(self, name: str) -> None:
        """Define ``name``, for operands with any strides."""
        f = Function(self.module, name, PARAMETERS, linkage="")
        self._gather(f)
        f.ret()
        self.module.add(f)

    def _copy(self, f: Function) -> None:
        """Rows are neighbours: the source is read along them, for all panels at once."""
        step, count, length, rows, width = parameters(f, "step", "count", "length", "rows", "width")
        one, lanes, size = integer(f, 1).value, integer(f, self.lanes).value, length * width
        with f.steps(length.value, one) as turn:
            k = Int(f, turn.ref)
            source = advance(f, "%source", self.variant.element, k * step)
            target = advance(f, "%target", self.variant.compute, k * width)

            def panel(at: Value, room: Value) -> list[Value]:
                first, start = Int(f, at.ref), Int(f, room.ref)
                with f.steps(width.value, lanes) as block:
                    j = Int(f, block.ref)
                    place = advance(f, source, self.variant.element, first + j)
                    x = self._load(f, place, self._mask(f, count - first - j))
                    f.store(x, advance(f, target, self.variant.compute, start + j))
                return [(first + rows).value, (start + size).value]

            zero = integer(f, 0).value
            f.repeat([zero, zero], lambda at, _: Int(f, at.ref) < count, panel)

    def _copy_together(self, f: Function) -> None:
        """Rows are neighbours: several columns are read along them, for all panels at once."""
        step, count, length, rows, width = parameters(f, "step", "count", "length", "rows", "width")
        element, compute = self.variant.element, self.variant.compute
        lanes, size = integer(f, self.lanes).value, length * width
        with f.steps(length.value, integer(f, _TOGETHER).value) as turn:
            # Behind the last column it is copied once more.
            ks = [(Int(f, turn.ref) + i).up_to(length - 1) for i in range(_TOGETHER)]
            sources = [advance(f, "%source", element, k * step) for k in ks]
            targets = [advance(f, "%target", compute, k * width) for k in ks]

            def copy(first: Int, start: Int, mask: Value | None) -> None:
                for source, target in zip(sources, targets, strict=True):
                    x = self._load(f, advance(f, source, element, first), mask)
                    f.store(x, advance(f, target, compute, start))

            def panel(at: Value, room: Value) -> list[Value]:
                first, start = Int(f, at.ref), Int(f, room.ref)
                with f.steps(width.value, lanes) as block:
                    j = Int(f, block.ref)
                    left = count - first - j
                    whole, masked, after = f.fresh("whole"), f.fresh("masked"), f.fresh("end")
                    f.branch(left > self.lanes - 1, whole, masked)
                    f.label(whole)
                    copy(first + j, start + j, None)
                    f.jump(after)
                    f.label(masked)
                    copy(first + j, start + j, self._mask(f, left))
                    f.jump(after)
                    f.label(after)
                return [(first + rows).value, (start + size).value]

            zero = integer(f, 0).value
            f.repeat([zero, zero], lambda at, _: Int(f, at.ref) < count, panel)

    def _turn(self, f: Function) -> None:
        """Columns are neighbours: square blocks are transposed."""
        row, length, width = parameters(f, "row", "length", "width")
        lanes = integer(f, self.lanes).value
        element, compute = self.variant.element, self.variant.compute
        with (
            self._panel(f) as (first, rows, panel),
            f.steps(length.value, lanes) as turn,
            f.steps(rows.value, lanes) as block,
        ):
            k, j = Int(f, turn.ref), Int(f, block.ref)
            mask, left = self._mask(f, length - k), rows - j
            source = advance(f, "%source", element, (first + j) * row + k)
            vectors = [self._load(f, source, mask)]
            for i in range(1, self.lanes):
                # Instead of rows that there are not, the last one: nothing reads them.
                source = advance(f, source, element, choose(left > i, row, 0))
                vectors.append(self._load(f, source, mask))
            target = advance(f, panel, compute, k * width + j)
            for i, x in enumerate(transposed(f, vectors)):
                target = advance(f, target, compute, width) if i else target
                f.store(x, target)

    def _gather(self, f: Function) -> None:
        """Element by element."""
        row, step, length, width = parameters(f, "row", "step", "length", "width")
        one = integer(f, 1).value
        element, compute = self.variant.element, self.variant.compute
        with (
            self._panel(f) as (first, rows, panel),
            f.steps(length.value, one) as turn,
            f.steps(rows.value, one) as line,
        ):
            k, i = Int(f, turn.ref), Int(f, line.ref)
            source = advance(f, "%source", element, (first + i) * row + k * step)
            x = f.b.convert(f.load(source, element), compute)
            f.store(x, advance(f, panel, compute, k * width + i))

    @contextmanager
    def _panel(self, f: Function) -> Iterator[tuple[Int, Int, str]]:
        """For all panels, the first row, the number of rows and where the panel begins."""
        count, length, rows, width = parameters(f, "count", "length", "rows", "width")
        with f.steps(count.value, rows.value) as turn:
            first = Int(f, turn.ref)
            panel = advance(f, "%target", self.variant.compute, first // rows * length * width)
            yield first, (count - first).up_to(rows), panel

    def _mask(self, f: Function, count: Int) -> Value:
        """Which elements of a vector there are, of ``count``, or more."""
        few = f.value(f"trunc i64 {count.ref} to i32", INT32)
        return f.b.less(f.b.iota(INT32, self.lanes), f.b.splat(few, self.lanes))

    def _load(self, f: Function, pointer: str, mask: Value | None) -> Value:
        x = f.load(pointer, self.variant.element, self.lanes, mask)
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
