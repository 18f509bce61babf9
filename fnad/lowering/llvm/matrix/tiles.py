"""Register tiles: the innermost loop of matrix products.

A tile of ``rows`` by some vectors of the result stays in registers while the loop runs over k;
each turn reads as many vectors of a row of B and multiplies them by ``rows`` numbers of a column
of A, each repeated in all lanes. This is the scheme of Goto and van de Geijn, "Anatomy of
high-performance matrix multiplication" (2008), as Van Zee's BLIS (2015) splits it up.

Every element is the sum of its products in the order of k, whatever tile it falls in: tiles of all
shapes, whole or cut off at an edge, give the same bits.
"""

from __future__ import annotations

from fnad.lowering.llvm.matrix.integers import Int, advance, integer, parameters
from fnad.lowering.llvm.matrix.variants import TileShape, Variant
from fnad.lowering.llvm.writer import BOOL, INT32, INT64, Function, Module, Value

# Of the tile functions; strides in elements.
PARAMETERS = (
    "i64 %k", "ptr %a", "i64 %a.row", "i64 %a.step", "ptr %b", "i64 %b.step",
    "ptr %out", "i64 %out.row", "i64 %out.column", "i64 %columns", "i1 %accumulate",
)  # fmt: skip

# Turns of the loop in which memory answers; with fewer, fetching the result early is in the way.
_LATENCY = 96

# Lines of a row of the result that are fetched early: those of most tiles.
_LINES = 2

# Rows of A whose addresses share one register that is advanced in the loop.
_SHARING = 3


class Tile:
    """Writes the function of all tiles with so many rows.

    Parameters
    ----------
    module : Module
        Where it goes.
    variant : Variant
        Of the products.
    shape : TileShape
        Of the machine.
    rows : int
        Of the tile.
    """

    def __init__(self, module: Module, variant: Variant, shape: TileShape, rows: int) -> None:
        self.module = module
        self.variant = variant
        self.lanes = shape.lanes
        self.rows = rows
        self.widths = sorted(set(shape.widths(rows)))

    def emit(self, name: str, strided: bool = False) -> None:
        """Define ``out = a b`` or, with ``accumulate``, ``out += a b``.

        ``k`` is at least 1. ``a`` is ``(rows, k)`` with any strides, ``b`` is ``(k, columns)``
        with unit stride in a row, where ``columns`` is at most that of the widest tile. Both are
        of the variant's `compute` dtype. Rows of ``out`` have unit stride, unless ``strided``.
        """
        f = Function(self.module, name, PARAMETERS, linkage="")
        columns = Int(f, "%columns")
        if strided:
            vector = Value("", self.variant.compute, self.lanes)
            room = f.alloca(vector.type, self.rows * self.widths[-1])
        else:
            self._prefetch(f)
        after = f.fresh("end")
        for vectors in self.widths:
            wider = f.fresh("wider")
            if vectors < self.widths[-1]:
                here = f.fresh("width")
                f.branch(columns < vectors * self.lanes + 1, here, wider)
                f.label(here)
            masks = self._masks(f, vectors)
            totals = self._sums(f, masks)
            if strided:
                self._spill(f, totals, room)
            else:
                self._store(f, masks, totals)
            f.jump(after)
            if vectors < self.widths[-1]:
                f.label(wider)
        f.label(after)
        if strided:
            self._scatter(f, room)
        f.ret()
        self.module.add(f)

    def _prefetch(self, f: Function) -> None:
        """Fetch the result's lines: they arrive while the loop runs, wherever they were."""
        f.module.declare("llvm.prefetch", "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        element, out_row = self.variant.element, Int(f, "%out.row")
        with f.when(Int(f, "%k") > _LATENCY), f.loop(self.rows) as turn:
            row = advance(f, "%out", element, Int(f, turn.index.ref) * out_row)
            for j in range(_LINES):
                place = f.element(row, element, j * self.lanes)
                f.emit(f"call void @llvm.prefetch.p0(ptr {place}, i32 1, i32 3, i32 1)")

    def _masks(self, f: Function, vectors: int) -> list[Value]:
        """Which lanes of each vector of a row there are."""
        b = f.b
        width = f.value("trunc i64 %columns to i32", INT32)
        lanes = b.iota(INT32, self.lanes)
        return [
            b.greater(
                b.splat(b.subtract(width, b.constant(j * self.lanes, INT32)), self.lanes), lanes
            )
            for j in range(vectors)
        ]

    def _sums(self, f: Function, masks: list[Value]) -> list[Value]:
        """The loop over k; returns the tile, row by row."""
        a_row, a_step, b_step = parameters(f, "a.row", "a.step", "b.step")
        dtype, lanes = self.variant.compute, self.lanes
        starts = [advance(f, "%a", dtype, a_row * i) for i in range(0, self.rows, _SHARING)]
        zeros = [f.b.splat(f.b.constant(0, dtype), lanes)] * (self.rows * len(masks))
        start = f.b.constant(0, INT64)
        with f.loop(Value("%k", INT64), [start, start, *zeros]) as loop:
            a_at, b_at, *totals = loop.carried
            row_of_b = advance(f, "%b", dtype, Int(f, b_at.ref))
            places = [f.element(row_of_b, dtype, j * lanes) for j in range(len(masks))]
            ys = [f.load(y, dtype, lanes, mask) for y, mask in zip(places, masks, strict=True)]
            sums: list[Value] = []
            for i in range(self.rows):
                if i % _SHARING == 0:
                    place = advance(f, starts[i // _SHARING], dtype, Int(f, a_at.ref))
                else:
                    place = advance(f, place, dtype, a_row)
                x = f.b.splat(f.load(place, dtype), lanes)
                for y in ys:
                    sums.append(self.variant.multiply_add(f, x, y, totals[len(sums)]))
            steps = [(Int(f, at.ref) + by).value for at, by in ((a_at, a_step), (b_at, b_step))]
            loop.carried = [*steps, *sums]
        return loop.carried[2:]

    def _store(self, f: Function, masks: list[Value], totals: list[Value]) -> None:
        """Store the tile, or add it to what is there."""
        count, element = len(masks), self.variant.element
        add, replace, after = f.fresh("add"), f.fresh("replace"), f.fresh("end")
        places, row = [], "%out"
        for i in range(self.rows):
            row = advance(f, row, element, Int(f, "%out.row")) if i else row
            places += [f.element(row, element, j * self.lanes) for j in range(count)]
        f.branch(Value("%accumulate", BOOL), add, replace)
        f.label(add)
        for i, (total, place) in enumerate(zip(totals, places, strict=True)):
            mask = masks[i % count]
            old = f.load(place, element, total.lanes, mask)
            total = self.variant.sum(f, f.b.convert(old, total.dtype), total)
            f.store(f.b.convert(total, element), place, mask)
        f.jump(after)
        f.label(replace)
        for label, needed in self._ways(f, masks):
            if label:
                f.label(label)
            for i, (total, place) in enumerate(zip(totals, places, strict=True)):
                f.store(f.b.convert(total, element), place, masks[i % count] if needed else None)
            f.jump(after)
        f.label(after)

    def _ways(self, f: Function, masks: list[Value]) -> list[tuple[str, bool]]:
        """Labels of the ways to store, and whether each needs masks.

        Masked stores are slow on machines whose vectors are shorter than 64 bytes, and there are
        as many as products if k is small: there, whole tiles have a way of their own.
        """
        if self.lanes * self.variant.compute.itemsize == 64:
            return [("", True)]
        plain, masked = f.fresh("plain"), f.fresh("masked")
        whole = f.value(f"icmp sge i64 %columns, {len(masks) * self.lanes}", BOOL)
        f.branch(whole, plain, masked)
        return [(plain, False), (masked, True)]

    def _spill(self, f: Function, totals: list[Value], room: str) -> None:
        """Put the tile on the stack."""
        count, widest = len(totals) // self.rows, self.widths[-1]
        for i, total in enumerate(totals):
            number = i // count * widest + i % count
            f.store(total, f.element(room, self.variant.compute, number * self.lanes))

    def _scatter(self, f: Function, room: str) -> None:
        """Bring the tile from the stack to the result element by element."""
        dtype, element = self.variant.compute, self.variant.element
        out_row, out_column, columns = parameters(f, "out.row", "out.column", "columns")
        one = integer(f, 1).value
        # The result's rows are close to each other: it is the transpose that is stored by rows.
        with (
            f.steps(columns.value, one) as right,
            f.steps(integer(f, self.rows).value, one) as down,
        ):
            row, column = Int(f, down.ref), Int(f, right.ref)
            number = row * (self.widths[-1] * self.lanes) + column
            total = f.load(advance(f, room, dtype, number), dtype)
            place = advance(f, "%out", element, row * out_row + column * out_column)
            add, replace, after = f.fresh("add"), f.fresh("replace"), f.fresh("end")
            f.branch(Value("%accumulate", BOOL), add, replace)
            f.label(add)
            old = f.b.convert(f.load(place, element), dtype)
            f.store(f.b.convert(self.variant.sum(f, old, total), element), place)
            f.jump(after)
            f.label(replace)
            f.store(f.b.convert(total, element), place)
            f.jump(after)
            f.label(after)
