"""The loops around register tiles: blocks of k, packing, rows and columns of tiles, tasks, batches.

All sizes are run-time values, in a record that the calling program holds as a constant (`FIELDS`,
then for each batch axis, the innermost first, `BATCH_FIELDS`); so one driver serves all products of
a variant.
"""

from __future__ import annotations

from fnad.lowering.llvm.matrix.integers import Int, advance, choose, integer, parameters
from fnad.lowering.llvm.matrix.variants import TileShape, Variant
from fnad.lowering.llvm.writer import INT64, Function, Module, Value

FIELDS = (
    "m", "n", "k",
    "a.row", "a.step", "b.step", "b.column", "out.row", "out.column",
    "depth",  # of a block of k
    "terms",  # of those that are summed before they are added to the result
    "pack.a", "pack.b", "dots", "accumulate",  # flags
    "panel",  # columns of B in a panel, a power of two; 1 if it lies in rows
    "height",  # of tiles
    "overlapping",  # whether the last tile of a column is as high as the others
    "part",  # rows of A that are packed at a time
    "task.rows", "task.columns", "row.blocks", "column.blocks",
    "by.rows",  # whether ranges are of rows of the product, not of tasks
    "swapped",  # whether rows of the product are columns here
    "room.a",  # of the scratch, for A, in elements of the compute dtype; B comes behind it
    "batch.axes", "batch.count",
)  # fmt: skip
BATCH_FIELDS = ("extent", "a", "b", "out")

POINTERS = ("ptr %record", "ptr %a", "ptr %b", "ptr %out")
BLOCK_PARAMETERS = (*POINTERS, "i64 %above", "i64 %rows", "i64 %columns", "ptr %scratch")
RANGE_PARAMETERS = (*POINTERS, "i64 %begin", "i64 %end", "ptr %scratch")
PLACED_PARAMETERS = (
    "ptr %a", "ptr %b", "ptr %out", "i64 %record", "i64 %a.at", "i64 %b.at", "i64 %out.at",
    "ptr %scratch", "i64 %begin", "i64 %end",
)  # fmt: skip


def function_slots(shape: TileShape) -> list[str]:
    """The functions whose addresses stand in a record behind its fields."""
    tiles = [f"tile.{height}" for height in range(1, shape.tallest + 1)]
    rows, columns = shape.dots
    dots = [f"dots.{i}x{j}" for i in range(1, rows + 1) for j in (1, columns)]
    return [*tiles, *dots, "pack.a", "pack.b", "lines"]


def field(f: Function, name: str) -> Int:
    place = f.element("%record", INT64, FIELDS.index(name))
    return Int(f, f.load(place, INT64).ref)


def flag(f: Function, name: str) -> Value:
    return field(f, name) > 0


class Driver:
    """Writes the loops of one variant."""

    def __init__(self, module: Module, variant: Variant, shape: TileShape) -> None:
        self.module = module
        self.variant = variant
        self.shape = shape
        self.slots = function_slots(shape)

    def emit(self, name: str) -> None:
        """Define ``name``, which computes a range of a product's tasks or rows."""
        self._emit_dots()
        self._emit_block()
        f = Function(self.module, name, RANGE_PARAMETERS, linkage="")
        rows, tasks, after = f.fresh("rows"), f.fresh("tasks"), f.fresh("end")
        f.branch(flag(f, "by.rows"), rows, tasks)
        for label, write in ((rows, self._rows), (tasks, self._tasks)):
            f.label(label)
            write(f)
            f.jump(after)
        f.label(after)
        f.ret()
        self.module.add(f)

    def _symbol(self, name: str) -> str:
        return f"{self.variant.prefix}.{name}"

    def _slot(self, f: Function, number: Int) -> str:
        """The address of a function that the record names."""
        place = f.raw(f"getelementptr i64, ptr %record, i64 {(number + len(FIELDS)).ref}")
        return f.raw(f"load ptr, ptr {place}")

    def _function(self, f: Function, name: str) -> str:
        return self._slot(f, integer(f, self.slots.index(name)))

    # -- one block of the result ----------------------------------------------------------------

    def _emit_block(self) -> None:
        """``rows`` by ``columns`` of the result, from where ``a``, ``b`` and ``out`` point.

        Of A there are ``above`` rows before these.
        """
        f = Function(self.module, self._symbol("block"), BLOCK_PARAMETERS)
        rows, columns = parameters(f, "rows", "columns")
        dots, tiles, after = f.fresh("dots"), f.fresh("tiles"), f.fresh("end")
        f.branch(flag(f, "dots"), dots, tiles)
        f.label(dots)
        f.emit(
            f"call void @{self._symbol('dots')}(ptr %record, ptr %a, ptr %b, ptr %out,"
            f" i64 0, i64 %rows, i64 %columns, ptr %scratch)"
        )
        f.jump(after)
        f.label(tiles)
        k, depth = field(f, "k"), field(f, "depth")
        with f.steps(k.value, depth.value) as turn:
            start = Int(f, turn.ref)
            self._panel(f, rows, columns, start, (k - start).up_to(depth))
        f.jump(after)
        f.label(after)
        f.ret()
        self.module.add(f)

    def _panel(self, f: Function, rows: Int, columns: Int, start: Int, depth: Int) -> None:
        """Add the products of ``depth`` columns of A and rows of B, from ``start`` on."""
        dtype = self.variant.element
        a = advance(f, "%a", dtype, start * field(f, "a.step"))
        b = advance(f, "%b", dtype, start * field(f, "b.step"))
        accumulate = f.b.bitwise_or(flag(f, "accumulate"), start > 0)
        room_b = advance(f, "%scratch", self.variant.compute, field(f, "room.a"))
        packed_b = flag(f, "pack.b")
        with f.when(packed_b):
            column, step = field(f, "b.column"), field(f, "b.step")
            width = self.shape.columns
            _call(
                f, self._function(f, "pack.b"), b, column, step, columns, depth, room_b,
                integer(f, width), integer(f, width),
            )  # fmt: skip
        part = field(f, "part")
        height = (Int(f, "%above") + rows).up_to(field(f, "height"))
        with f.steps(rows.value, part.value) as turn:
            first = Int(f, turn.ref)
            rows_here = (rows - first).up_to(part)
            a_here = advance(f, a, dtype, first * field(f, "a.row"))
            out = advance(f, "%out", self.variant.element, first * field(f, "out.row"))
            with f.when(flag(f, "pack.a")):
                self._pack_a(f, a_here, (rows_here, depth), height)
            self._column_of_tiles(
                f, (rows_here, columns, depth), height, (a_here, b, room_b, out), accumulate
            )

    def _pack_a(self, f: Function, a: str, size: tuple[Int, Int], height: Int) -> None:
        """Pack rows of A, a panel for each tile."""
        rows, depth = size
        row, step = field(f, "a.row"), field(f, "a.step")
        whole = rows // self.shape.rows
        packed = whole * self.shape.rows
        count = choose(flag(f, "overlapping"), height, rows - packed)
        shape = integer(f, self.shape.rows), integer(f, self.shape.panel_rows)
        function = self._function(f, "pack.a")
        with f.when(whole > 0):
            _call(f, function, a, row, step, packed, depth, "%scratch", *shape)
        with f.when(packed < rows):
            last = advance(f, a, self.variant.element, (rows - count) * row)
            room = whole * depth * self.shape.panel_rows
            target = advance(f, "%scratch", self.variant.compute, room)
            _call(f, function, last, row, step, count, depth, target, *shape)

    def _column_of_tiles(
        self,
        f: Function,
        size: tuple[Int, Int, Int],
        height: Int,
        pointers: tuple[str, str, str, str],
        accumulate: Value,
    ) -> None:
        """All tiles of these rows: the panel of B stays in cache for a column of tiles."""
        rows, columns, depth = size
        a, b, room_b, out = pointers
        lanes, width, panel_rows = self.shape.lanes, self.shape.columns, self.shape.panel_rows
        packed_a, packed_b = flag(f, "pack.a"), flag(f, "pack.b")
        a_row = choose(packed_a, integer(f, 1), field(f, "a.row"))
        a_step = choose(packed_a, integer(f, panel_rows), field(f, "a.step"))
        b_step = choose(packed_b, integer(f, width), field(f, "b.step"))
        panel = choose(packed_b, integer(f, width), field(f, "panel"))
        b_column = choose(packed_b, depth, field(f, "b.column"))
        b_from = f.raw(f"select {packed_b.typed}, ptr {room_b}, ptr {b}")
        a_from = f.raw(f"select {packed_a.typed}, ptr %scratch, ptr {a}")
        out_row, out_column = field(f, "out.row"), field(f, "out.column")
        stride, terms = integer(f, width), field(f, "terms")
        for few in (2, 1):
            wide = integer(f, self.shape.widths(few)[-1] * lanes)
            stride = choose(height < few + 1, wide, stride)
        stride = choose(panel > 1, integer(f, width), stride)
        overlapping = flag(f, "overlapping")
        with f.steps(columns.value, stride.value) as turn:
            j = Int(f, turn.ref)
            count = (columns - j).up_to(stride)
            within = j & (panel - 1)
            b_here = advance(f, b_from, self.variant.compute, (j - within) * b_column + within)

            with f.steps(rows.value, height.value) as tile:
                i = Int(f, tile.ref)
                new = (rows - i).up_to(height)
                over = choose(overlapping, height - new, 0)
                function = self._slot(f, new + over - 1)
                packed = i // self.shape.rows * depth * panel_rows
                a_here = advance(
                    f, a_from, self.variant.compute, choose(packed_a, packed, (i - over) * a_row)
                )
                place = advance(f, out, self.variant.element, i * out_row + j * out_column)
                with f.steps(depth.value, terms.value) as part:
                    k = Int(f, part.ref)
                    _call(
                        f, function, (depth - k).up_to(terms),
                        advance(f, a_here, self.variant.compute, k * a_step), a_row, a_step,
                        advance(f, b_here, self.variant.compute, k * b_step), b_step,
                        place, out_row, out_column, over, count,
                        f.b.bitwise_or(accumulate, k > 0),
                    )  # fmt: skip

    # -- inner products -------------------------------------------------------------------------

    def _emit_dots(self) -> None:
        """A block of the result whose elements are inner products."""
        f = Function(self.module, self._symbol("dots"), BLOCK_PARAMETERS)
        rows, columns, k = *parameters(f, "rows", "columns"), field(f, "k")
        lines = flag(f, "pack.a")
        with f.when(lines):
            row, step = field(f, "a.row"), field(f, "a.step")
            _call(f, self._function(f, "lines"), "%a", row, step, rows, k, "%scratch")
        a_from = f.raw(f"select {lines.typed}, ptr %scratch, ptr %a")
        row, out_row = choose(lines, k, field(f, "a.row")), field(f, "out.row")
        column, out_column = field(f, "b.column"), field(f, "out.column")
        accumulate = flag(f, "accumulate")
        most, several = self.shape.dots
        whole = columns - columns % several
        first_slot = self.slots.index("dots.1x1")

        def turns(start: Int, extent: Int, count: int) -> None:
            with (
                f.steps(extent.value, integer(f, count).value) as turn,
                f.steps(rows.value, integer(f, most).value) as down,
            ):
                i, j = Int(f, down.ref), start + Int(f, turn.ref)
                height = (rows - i).up_to(most)
                function = self._slot(f, (height - 1) * 2 + (first_slot + (count > 1)))
                a = advance(f, a_from, self.variant.element, i * row)
                b = advance(f, "%b", self.variant.element, j * column)
                place = advance(f, "%out", self.variant.element, i * out_row + j * out_column)
                _call(f, function, a, row, b, column, place, out_row, out_column, k, accumulate)

        turns(integer(f, 0), whole, several)
        turns(whole, columns - whole, 1)
        f.ret()
        self.module.add(f)

    # -- ranges of tasks and of rows ------------------------------------------------------------

    def _tasks(self, f: Function) -> None:
        """Tasks ``begin`` to ``end``: blocks of rows, for each block of columns, for each batch."""
        begin, end = parameters(f, "begin", "end")
        row_blocks, column_blocks = field(f, "row.blocks"), field(f, "column.blocks")
        height, width = field(f, "task.rows"), field(f, "task.columns")
        m, n = field(f, "m"), field(f, "n")

        def body(at: Value) -> list[Value]:
            task = Int(f, at.ref)
            block, stripe = task % row_blocks, task // row_blocks
            # Neighbours in a column of blocks are one block: what is packed of B serves them all.
            count = (end - task).up_to(row_blocks - block)
            first, left = block * height, (stripe % column_blocks) * width
            rows = (m - first).up_to(count * height)
            columns = (n - left).up_to(width)
            pointers = self._entry(f, stripe // column_blocks)
            self._call_block(f, pointers, (first, left), first, (rows, columns))
            return [(task + count).value]

        f.repeat([begin.value], lambda at: Int(f, at.ref) < end, body)

    def _rows(self, f: Function) -> None:
        """Rows ``begin`` to ``end`` of the product, for all of the batch."""
        begin, end = parameters(f, "begin", "end")
        swapped, zero, rows = flag(f, "swapped"), integer(f, 0), end - begin
        top, left = choose(swapped, zero, begin), choose(swapped, begin, zero)
        height = choose(swapped, field(f, "m"), rows)
        columns, width = choose(swapped, rows, field(f, "n")), field(f, "task.columns")
        one = integer(f, 1)
        with f.steps(field(f, "batch.count").value, one.value) as entry:
            pointers = self._entry(f, Int(f, entry.ref))
            with f.steps(columns.value, width.value) as turn:
                j = Int(f, turn.ref)
                here = (columns - j).up_to(width)
                self._call_block(f, pointers, (top, left + j), zero, (height, here))

    def _entry(self, f: Function, number: Int) -> tuple[str, str, str]:
        """Where the operands and the result of an entry of the batch begin."""
        axes, zero = field(f, "batch.axes"), integer(f, 0).value
        records = f.element("%record", INT64, len(FIELDS) + len(self.slots))

        def body(axis: Value, rest: Value, *offsets: Value) -> list[Value]:
            extent, *strides = (
                Int(
                    f,
                    f.load(
                        advance(f, records, INT64, Int(f, axis.ref) * len(BATCH_FIELDS) + i), INT64
                    ).ref,
                )
                for i in range(len(BATCH_FIELDS))
            )
            index = Int(f, rest.ref) % extent
            return [
                (Int(f, axis.ref) + 1).value,
                (Int(f, rest.ref) // extent).value,
                *((Int(f, o.ref) + index * s).value for o, s in zip(offsets, strides, strict=True)),
            ]

        _, _, *offsets = f.repeat(
            [zero, number.value, zero, zero, zero], lambda axis, *_: Int(f, axis.ref) < axes, body
        )
        a, b, out = (
            advance(f, pointer, self.variant.element, Int(f, offset.ref))
            for pointer, offset in zip(("%a", "%b", "%out"), offsets, strict=True)
        )
        return a, b, out

    def _call_block(
        self,
        f: Function,
        pointers: tuple[str, str, str],
        start: tuple[Int, Int],
        above: Int,
        size: tuple[Int, Int],
    ) -> None:
        a, b, out = pointers
        row, column = start
        a = advance(f, a, self.variant.element, row * field(f, "a.row"))
        b = advance(f, b, self.variant.element, column * field(f, "b.column"))
        place = row * field(f, "out.row") + column * field(f, "out.column")
        out = advance(f, out, self.variant.element, place)
        _call(f, self._symbol("block"), "%record", a, b, out, above, *size, "%scratch")


def _call(f: Function, function: str, *arguments: Int | Value | str) -> None:
    """Call a function by name, or one whose address is in a register."""
    texts = []
    for x in arguments:
        texts.append(
            f"ptr {x}" if isinstance(x, str) else x.value.typed if isinstance(x, Int) else x.typed
        )
    callee = function if function.startswith("%") else f"@{function}"
    f.emit(f"call void {callee}({', '.join(texts)})")


def emit_placed(module: Module, name: str, variant: Variant) -> None:
    """Define ``name``, which computes a range of tasks for matrices in the midst of arrays."""
    f = Function(module, name, PLACED_PARAMETERS, linkage="")
    pointers = [
        advance(f, f"%{x}", variant.element, *parameters(f, f"{x}.at")) for x in ("a", "b", "out")
    ]
    given = ", ".join(f"ptr {x}" for x in (f.raw("inttoptr i64 %record to ptr"), *pointers))
    symbol = f"{variant.prefix}.products"
    kinds = ", ".join(parameter.split()[0] for parameter in RANGE_PARAMETERS)
    module.declare(symbol, f"declare void @{symbol}({kinds}) nounwind")
    f.emit(f"call void @{symbol}({given}, i64 %begin, i64 %end, ptr %scratch)")
    f.ret()
    module.add(f)
