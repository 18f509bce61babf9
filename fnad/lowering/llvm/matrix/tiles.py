"""Register tiles: the innermost loop of matrix products.

A tile of ``rows`` by some vectors of the result stays in registers while the loop runs over k;
each turn reads as many vectors of a row of B and multiplies them by ``rows`` numbers of a column
of A, each repeated in all lanes. This is the scheme of Goto and van de Geijn, "Anatomy of
high-performance matrix multiplication" (2008), as Van Zee's BLIS (2015) splits it up.

A tile that is cut off at the right edge needs no masks, which cost 3 % of the time, unless it is
narrower than one vector: its last vectors begin further to the left, over lanes of the ones before,
and both compute and store the same there. One that would be cut off at the lower edge may begin
further up, over rows of the tile above, and leave these as they are: it needs no other function.

Every element is the sum of its products in the order of k, whatever tile it falls in: tiles of all
shapes, whole or cut off at an edge, give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence

from fnad.lowering.llvm.matrix.integers import Int, advance, choose, integer, parameters
from fnad.lowering.llvm.matrix.variants import TileShape, Variant
from fnad.lowering.llvm.writer import BOOL, INT32, INT64, Function, Module, Value

# Of the tile functions; strides in elements.
PARAMETERS = (
    "i64 %k", "ptr %a", "i64 %a.row", "i64 %a.step", "ptr %b", "i64 %b.step",
    "ptr %out", "i64 %out.row", "i64 %out.column", "i64 %first", "i64 %columns", "i1 %accumulate",
)  # fmt: skip

# Turns of the loop in which memory answers; with fewer, fetching the result early is in the way.
_LATENCY = 96

# Lines of a row of the result that are fetched early: those of most tiles.
_LINES = 2

# Rows of A whose addresses share one register that is advanced in the loop.
_SHARING = 3

# Turns of the loop that are written out if A lies in rows or in columns.
_TURNS = 4


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

    def emit(self, name: str, lines: str = "", strided: bool = False) -> None:
        """Define ``out = a b`` or, with ``accumulate``, ``out += a b``.

        ``k`` is at least 1. ``a`` is ``(rows, k)`` with any strides, ``b`` is ``(k, columns)``
        with unit stride in a row, where ``columns`` is at most that of the widest tile. Both are
        of the variant's `compute` dtype. Rows of ``out`` have unit stride, unless ``strided``;
        it is where the row with the number ``first`` goes, and those before it go nowhere.
        If ``lines`` is "rows" or "columns", those of ``a`` have unit stride.
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
            starts = self._starts(f, vectors)
            mask = self._mask(f) if vectors == 1 else None
            if lines and mask is None:
                totals = self._sums_written_out(f, starts, lines)
            else:
                totals = self._sums(f, starts, mask)
            if strided:
                self._spill(f, starts, totals, room)
            else:
                self._store(f, starts, totals, mask)
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

    def _starts(self, f: Function, vectors: int) -> list[Int]:
        """The columns that the vectors of a row begin at: none goes over the edge if there are
        several.
        """
        narrower = [width for width in self.widths if width < vectors]
        starts = [integer(f, j * self.lanes) for j in range(vectors)]
        if narrower:
            last = Int(f, "%columns") - self.lanes
            starts[narrower[-1] :] = [last.up_to(start) for start in starts[narrower[-1] :]]
        return starts

    def _mask(self, f: Function) -> Value:
        """Which lanes there are of the only vector of a row."""
        width = f.value("trunc i64 %columns to i32", INT32)
        return f.b.greater(f.b.splat(width, self.lanes), f.b.iota(INT32, self.lanes))

    def _sums(self, f: Function, starts: list[Int], mask: Value | None) -> list[Value]:
        """The loop over k; returns the tile, row by row."""
        a_row, a_step, b_step = parameters(f, "a.row", "a.step", "b.step")
        dtype, lanes = self.variant.compute, self.lanes
        rows = [advance(f, "%a", dtype, a_row * i) for i in range(0, self.rows, _SHARING)]
        zeros = [f.b.splat(f.b.constant(0, dtype), lanes)] * (self.rows * len(starts))
        zero = f.b.constant(0, INT64)
        with f.loop(Value("%k", INT64), [zero, zero, *zeros]) as loop:
            a_at, b_at, *totals = loop.carried
            row_of_b = advance(f, "%b", dtype, Int(f, b_at.ref))
            places = [f.element(row_of_b, dtype, j.value) for j in starts]
            ys = [f.load(place, dtype, lanes, mask) for place in places]
            sums: list[Value] = []
            for i in range(self.rows):
                if i % _SHARING == 0:
                    place = advance(f, rows[i // _SHARING], dtype, Int(f, a_at.ref))
                else:
                    place = advance(f, place, dtype, a_row)
                x = f.b.splat(f.load(place, dtype), lanes)
                for y in ys:
                    sums.append(self.variant.multiply_add(f, x, y, totals[len(sums)]))
            steps = [(Int(f, at.ref) + by).value for at, by in ((a_at, a_step), (b_at, b_step))]
            loop.carried = [*steps, *sums]
        return loop.carried[2:]

    def _sums_written_out(self, f: Function, starts: list[Int], lines: str) -> list[Value]:
        """The loop over k with several turns in one, for machines of few registers.

        Such a tile has few products for each load, so that the instructions that count turns and
        advance addresses cost time; above all where two threads share the decoder of a core, which
        then gives each three instructions a cycle. Here nearly all addresses are one register and
        a multiple of a stride.
        """
        a_row, a_step, b_step = parameters(f, "a.row", "a.step", "b.step")
        dtype, lanes, one = self.variant.compute, self.lanes, integer(f, 1)
        a_row, a_step, sharing = (
            (a_row, one, _SHARING) if lines == "rows" else (one, a_step, self.rows)
        )
        down, right = _multiples(f, a_row, sharing), _multiples(f, a_step, _TURNS + 1)
        along = _multiples(f, b_step, _TURNS + 1)
        # Vectors that may begin further to the left have addresses of their own.
        fixed = [j for j in starts if j.ref.isdigit()]
        first_rows = [advance(f, "%a", dtype, a_row * i) for i in range(0, self.rows, sharing)]
        first_columns = ["%b", *(f.element("%b", dtype, j.value) for j in starts[len(fixed) :])]
        count = len(first_rows + first_columns)
        zeros = [f.b.splat(f.b.constant(0, dtype), lanes)] * (self.rows * len(starts))

        def turn(a: list[str], b: list[str], k: int, totals: list[Value]) -> list[Value]:
            whole, *others = [advance(f, place, dtype, along[k]) for place in b]
            places = [*(f.element(whole, dtype, j.value) for j in fixed), *others]
            ys = [f.load(place, dtype, lanes) for place in places]
            sums: list[Value] = []
            for i in range(self.rows):
                place = advance(f, a[i // sharing], dtype, down[i % sharing])
                x = f.b.splat(f.load(advance(f, place, dtype, right[k]), dtype), lanes)
                for y in ys:
                    sums.append(self.variant.multiply_add(f, x, y, totals[len(sums)]))
            return sums

        def turns(together: int, left: Value, carried: Sequence[Value]) -> list[Value]:
            pointers = [f.raw(f"inttoptr {x.typed} to ptr", "p") for x in carried[:count]]
            a, b = pointers[: len(first_rows)], pointers[len(first_rows) :]
            totals = list(carried[count:])
            for k in range(together):
                totals = turn(a, b, k, totals)
            ends = [advance(f, place, dtype, right[together]) for place in a]
            ends += [advance(f, place, dtype, along[together]) for place in b]
            return [(Int(f, left.ref) - together).value, *_addresses(f, ends), *totals]

        carried = [Value("%k", INT64), *_addresses(f, first_rows + first_columns), *zeros]
        for together in (_TURNS, 1):
            carried = f.repeat(
                carried,
                lambda left, *_, least=together: Int(f, left.ref) > least - 1,
                lambda left, *rest, together=together: turns(together, left, rest),
            )
        return carried[1 + count :]

    def _store(
        self, f: Function, starts: list[Int], totals: list[Value], mask: Value | None
    ) -> None:
        """Store the tile, or add it to what is there."""
        element = self.variant.element
        add, replace, after = f.fresh("add"), f.fresh("replace"), f.fresh("end")
        out_row, first = parameters(f, "out.row", "first")
        places, row = [], "%out"
        for i in range(self.rows):
            # Rows before the first one are stored at its place too, and it over them.
            row = advance(f, row, element, choose(first < i, out_row, 0)) if i else row
            places += [f.element(row, element, j.value) for j in starts]
        f.branch(Value("%accumulate", BOOL), add, replace)
        f.label(add)
        # All are read before one is written: vectors may overlap.
        olds = [f.load(place, element, self.lanes, mask) for place in places]
        sums = [
            self.variant.sum(f, f.b.convert(old, total.dtype), total)
            for old, total in zip(olds, totals, strict=True)
        ]
        for total, place in zip(sums, places, strict=True):
            f.store(f.b.convert(total, element), place, mask)
        f.jump(after)
        f.label(replace)
        for label, needed in self._ways(f, mask):
            if label:
                f.label(label)
            for total, place in zip(totals, places, strict=True):
                f.store(f.b.convert(total, element), place, needed)
            f.jump(after)
        f.label(after)

    def _ways(self, f: Function, mask: Value | None) -> list[tuple[str, Value | None]]:
        """Labels of the ways to store, and the mask that each needs.

        Masked stores are slow on machines whose vectors are shorter than 64 bytes, and there are
        as many as products if k is small: there, whole tiles have a way of their own.
        """
        if mask is None or self.lanes * self.variant.compute.itemsize == 64:
            return [("", mask)]
        plain, masked = f.fresh("plain"), f.fresh("masked")
        whole = f.value(f"icmp sge i64 %columns, {self.lanes}", BOOL)
        f.branch(whole, plain, masked)
        return [(plain, None), (masked, mask)]

    def _spill(self, f: Function, starts: list[Int], totals: list[Value], room: str) -> None:
        """Put the tile on the stack."""
        for i, total in enumerate(totals):
            row = i // len(starts) * self.widths[-1] * self.lanes
            place = starts[i % len(starts)] + row
            f.store(total, f.element(room, self.variant.compute, place.value))

    def _scatter(self, f: Function, room: str) -> None:
        """Bring the tile from the stack to the result element by element."""
        dtype, element = self.variant.compute, self.variant.element
        out_row, out_column, first, columns = parameters(
            f, "out.row", "out.column", "first", "columns"
        )
        one = integer(f, 1).value
        # The result's rows are close to each other: it is the transpose that is stored by rows.
        with (
            f.steps(columns.value, one) as right,
            f.steps((integer(f, self.rows) - first).value, one) as down,
        ):
            row, column = Int(f, down.ref), Int(f, right.ref)
            number = (first + row) * (self.widths[-1] * self.lanes) + column
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


def _addresses(f: Function, pointers: Sequence[str]) -> list[Value]:
    return [f.value(f"ptrtoint ptr {pointer} to i64", INT64) for pointer in pointers]


def _multiples(f: Function, stride: Int, count: int) -> list[Int]:
    """0, 1, and so on times a stride."""
    if stride.ref.isdigit():
        return [integer(f, i * int(stride.ref)) for i in range(count)]
    return [integer(f, 0), *(stride * i for i in range(1, count))]
