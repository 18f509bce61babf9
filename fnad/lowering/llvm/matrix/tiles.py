"""Register tiles: the innermost loop of matrix products.

A tile of ``rows`` by ``vectors`` vectors of the result stays in registers while the loop runs over
k; each turn reads ``vectors`` vectors of a row of B and multiplies them by ``rows`` numbers of a
column of A, each repeated in all lanes. This is the scheme of Goto and van de Geijn, "Anatomy of
high-performance matrix multiplication" (2008), as Van Zee's BLIS (2015) splits it up.

Every element is the sum of its products in the order of k, whatever tile it falls in: tiles of all
shapes, whole or cut off at an edge, give the same bits.
"""

from __future__ import annotations

from fnad.lowering.llvm.matrix.integers import Int, advance, parameters
from fnad.lowering.llvm.matrix.variants import TileShape, Variant
from fnad.lowering.llvm.writer import BOOL, INT32, INT64, Function, Module, Value

# Of the tile functions; strides in elements.
PARAMETERS = (
    "i64 %k", "ptr %a", "i64 %a.row", "i64 %a.step", "ptr %b", "i64 %b.step",
    "ptr %out", "i64 %out.row", "i64 %columns", "i1 %accumulate",
)  # fmt: skip

# Rows of A whose addresses share one register that is advanced in the loop.
_SHARING = 3


def emit_tile(module: Module, name: str, variant: Variant, shape: TileShape) -> None:
    """Define ``out = a b`` or, with ``accumulate``, ``out += a b``, for one tile.

    ``k`` is at least 1. ``a`` is ``(rows, k)`` with any strides, ``b`` is ``(k, columns)`` with
    unit stride in a row, where ``columns`` is at most that of the tile. Both are of the variant's
    `compute` dtype.
    """
    f = Function(module, name, PARAMETERS, linkage="")
    a_row, a_step, b_step, out_row, columns = parameters(
        f, "a.row", "a.step", "b.step", "out.row", "columns"
    )
    masks = _masks(f, shape, columns)
    totals = _sums(f, variant, shape, masks, (a_row, a_step, b_step))
    _store(f, variant, masks, totals, _places(f, variant, shape, out_row))
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
        ys = [
            f.load(f.element(row_of_b, dtype, j * lanes), dtype, lanes, mask)
            for j, mask in enumerate(masks)
        ]
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


def _store(
    f: Function, variant: Variant, masks: list[Value], totals: list[Value], places: list[str]
) -> None:
    """Store the tile, or add it to what is there."""
    count = len(masks)
    add, replace, after = f.fresh("add"), f.fresh("replace"), f.fresh("end")
    f.branch(Value("%accumulate", BOOL), add, replace)
    f.label(add)
    for i, (total, place) in enumerate(zip(totals, places, strict=True)):
        mask = masks[i % count]
        old = f.b.convert(f.load(place, variant.element, total.lanes, mask), total.dtype)
        f.store(f.b.convert(variant.sum(f, old, total), variant.element), place, mask)
    f.jump(after)
    f.label(replace)
    for i, (total, place) in enumerate(zip(totals, places, strict=True)):
        f.store(f.b.convert(total, variant.element), place, masks[i % count])
    f.jump(after)
    f.label(after)
