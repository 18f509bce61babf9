"""Register tiles: the innermost loop of matrix products.

A tile of ``rows`` by ``vectors`` vectors of the result stays in registers while the loop runs over
k; each turn reads ``vectors`` vectors of a row of B and multiplies them by ``rows`` numbers of a
column of A, each repeated in all lanes. This is the scheme of Goto and van de Geijn, "Anatomy of
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

# Rows of A whose addresses share one register that is advanced in the loop.
_SHARING = 3


def emit_tile(
    module: Module, name: str, variant: Variant, shape: TileShape, strided: bool = False
) -> None:
    """Define ``out = a b`` or, with ``accumulate``, ``out += a b``, for one tile.

    ``k`` is at least 1. ``a`` is ``(rows, k)`` with any strides, ``b`` is ``(k, columns)`` with
    unit stride in a row, where ``columns`` is at most that of the tile. Both are of the variant's
    `compute` dtype. Rows of ``out`` have unit stride, unless ``strided``.
    """
    f = Function(module, name, PARAMETERS, linkage="")
    a_row, a_step, b_step, out_row, columns = parameters(
        f, "a.row", "a.step", "b.step", "out.row", "columns"
    )
    masks = _masks(f, shape, columns)
    strides = (a_row, a_step, b_step)
    if strided:
        _store_strided(f, variant, shape, _sums(f, variant, shape, masks, strides))
    else:
        places = _places(f, variant, shape, out_row)
        with f.when(Int(f, "%k") > _LATENCY):
            _prefetch(f, places)
        _store(f, variant, masks, _sums(f, variant, shape, masks, strides), places)
    f.ret()
    module.add(f)


def _masks(f: Function, shape: TileShape, columns: Int) -> list[Value]:
    """Which lanes of each vector of a row there are."""
    b = f.b
    width = f.value(f"trunc i64 {columns.ref} to i32", INT32)
    lanes = b.iota(INT32, shape.lanes)
    return [
        b.greater(
            b.splat(b.subtract(width, b.constant(j * shape.lanes, INT32)), shape.lanes), lanes
        )
        for j in range(shape.vectors)
    ]


def _sums(
    f: Function, variant: Variant, shape: TileShape, masks: list[Value], strides: tuple[Int, ...]
) -> list[Value]:
    """The loop over k; returns the tile, row by row."""
    a_row, a_step, b_step = strides
    dtype, lanes = variant.compute, shape.lanes
    starts = [advance(f, "%a", dtype, a_row * i) for i in range(0, shape.rows, _SHARING)]
    zeros = [f.b.splat(f.b.constant(0, dtype), lanes)] * (shape.rows * shape.vectors)
    start = f.b.constant(0, INT64)
    with f.loop(Value("%k", INT64), [start, start, *zeros]) as loop:
        a_at, b_at, *totals = loop.carried
        row_of_b = advance(f, "%b", dtype, Int(f, b_at.ref))
        places = [f.element(row_of_b, dtype, j * lanes) for j in range(shape.vectors)]
        ys = [f.load(y, dtype, lanes, mask) for y, mask in zip(places, masks, strict=True)]
        sums: list[Value] = []
        for i in range(shape.rows):
            if i % _SHARING == 0:
                place = advance(f, starts[i // _SHARING], dtype, Int(f, a_at.ref))
            else:
                place = advance(f, place, dtype, a_row)
            x = f.b.splat(f.load(place, dtype), lanes)
            for y in ys:
                sums.append(variant.multiply_add(f, x, y, totals[len(sums)]))
        steps = [(Int(f, at.ref) + step).value for at, step in ((a_at, a_step), (b_at, b_step))]
        loop.carried = [*steps, *sums]
    return loop.carried[2:]


def _places(f: Function, variant: Variant, shape: TileShape, out_row: Int) -> list[str]:
    """Where the vectors of the tile are in the result."""
    places, row = [], "%out"
    for i in range(shape.rows):
        row = advance(f, row, variant.element, out_row) if i else row
        places += [f.element(row, variant.element, j * shape.lanes) for j in range(shape.vectors)]
    return places


def _prefetch(f: Function, places: list[str]) -> None:
    """Fetch the result's lines: they arrive while the loop runs, wherever they were."""
    f.module.declare("llvm.prefetch", "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
    for place in places:
        f.emit(f"call void @llvm.prefetch.p0(ptr {place}, i32 1, i32 3, i32 1)")


def _store(
    f: Function, variant: Variant, masks: list[Value], totals: list[Value], places: list[str]
) -> None:
    """Store the tile, or add it to what is there."""
    count = len(masks)
    add, replace, after = f.fresh("add"), f.fresh("replace"), f.fresh("end")
    plain, masked = f.fresh("plain"), f.fresh("masked")
    f.branch(Value("%accumulate", BOOL), add, replace)
    f.label(add)
    for i, (total, place) in enumerate(zip(totals, places, strict=True)):
        mask = masks[i % count]
        old = f.b.convert(f.load(place, variant.element, total.lanes, mask), total.dtype)
        f.store(f.b.convert(variant.sum(f, old, total), variant.element), place, mask)
    f.jump(after)
    f.label(replace)
    # Masked stores are slow on some machines, and there are as many as products if k is small.
    whole = f.value(f"icmp sge i64 %columns, {count * totals[0].lanes}", BOOL)
    f.branch(whole, plain, masked)
    for label, mask_of in ((plain, lambda i: None), (masked, lambda i: masks[i % count])):
        f.label(label)
        for i, (total, place) in enumerate(zip(totals, places, strict=True)):
            f.store(f.b.convert(total, variant.element), place, mask_of(i))
        f.jump(after)
    f.label(after)


def _store_strided(f: Function, variant: Variant, shape: TileShape, totals: list[Value]) -> None:
    """Put the tile on the stack and bring it from there to the result element by element."""
    dtype, element = variant.compute, variant.element
    room = f.alloca(totals[0].type, len(totals))
    for i, total in enumerate(totals):
        f.store(total, f.element(room, dtype, i * shape.lanes))
    out_row, out_column, columns = parameters(f, "out.row", "out.column", "columns")
    one = integer(f, 1).value
    # The result's rows are close to each other: it is the transpose that is stored by rows.
    with f.steps(columns.value, one) as right, f.steps(integer(f, shape.rows).value, one) as down:
        row, column = Int(f, down.ref), Int(f, right.ref)
        total = f.load(advance(f, room, dtype, row * shape.columns + column), dtype)
        place = advance(f, "%out", element, row * out_row + column * out_column)
        add, replace, after = f.fresh("add"), f.fresh("replace"), f.fresh("end")
        f.branch(Value("%accumulate", BOOL), add, replace)
        f.label(add)
        old = f.b.convert(f.load(place, element), dtype)
        f.store(f.b.convert(variant.sum(f, old, total), element), place)
        f.jump(after)
        f.label(replace)
        f.store(f.b.convert(total, element), place)
        f.jump(after)
        f.label(after)
