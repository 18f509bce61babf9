"""Inner products: the products of few rows of A with columns of B that lie contiguously.

Here the vectors run along k: lane l of a sum takes the terms k = l, l + lanes, and so on, and the
lanes are added at the end, halves first. There is nothing to transpose, and each number of B is
read just as often as there are rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from fnad.lowering.llvm.matrix.integers import Int, advance, integer, parameters
from fnad.lowering.llvm.matrix.variants import Variant
from fnad.lowering.llvm.writer import BOOL, INT64, Function, Module, Value

PARAMETERS = (
    "ptr %a", "i64 %a.row", "ptr %b", "i64 %b.column",
    "ptr %out", "i64 %out.row", "i64 %out.column", "i64 %k", "i1 %accumulate",
)  # fmt: skip

# Rows with gaps are brought together by a function with these parameters.
LINES_PARAMETERS = (
    "ptr %source", "i64 %row", "i64 %step", "i64 %count", "i64 %length", "ptr %target"
)  # fmt: skip


def emit_dots(
    module: Module, name: str, variant: Variant, size: tuple[int, int], lanes: int
) -> None:
    """Define ``out[i, j] = sum(a[i, :k] * b[j, :k])`` (or ``+=``) for so many i and j.

    ``k`` is at least 1. The rows of ``a`` and ``b`` have unit stride and are of dtype
    `Variant.element`.
    """
    f = Function(module, name, PARAMETERS, linkage="")
    a_row, b_column, k = parameters(f, "a.row", "b.column", "k")
    zero = f.b.splat(f.b.constant(0, variant.compute), lanes)
    # What is left for the masked step is not nothing.
    whole = k - ((k - 1) % lanes + 1)
    rows_of_a = [advance(f, "%a", variant.element, a_row * i) for i in range(size[0])]
    rows_of_b = [advance(f, "%b", variant.element, b_column * j) for j in range(size[1])]

    def add(at: Int, totals: Sequence[Value], mask: Value | None) -> list[Value]:
        def load(row: str) -> Value:
            place = advance(f, row, variant.element, at)
            return f.b.convert(f.load(place, variant.element, lanes, mask), variant.compute)

        xs, sums = [load(row) for row in rows_of_a], list(totals)
        for j, row in enumerate(rows_of_b):
            y = load(row)
            for i, x in enumerate(xs):
                number = i * len(rows_of_b) + j
                sums[number] = variant.multiply_add(f, x, y, sums[number])
        return sums

    at, *totals = f.repeat(
        [f.b.constant(0, INT64), *[zero] * (size[0] * size[1])],
        lambda at, *_: Int(f, at.ref) < whole,
        lambda at, *totals: [
            (Int(f, at.ref) + lanes).value,
            *add(Int(f, at.ref), totals, None),
        ],
    )
    rest = f.b.less(f.b.iota(INT64, lanes), f.b.splat((k - whole).value, lanes))
    totals = add(Int(f, at.ref), totals, rest)
    rows = [totals[i : i + size[1]] for i in range(0, len(totals), size[1])]
    _store(f, variant, [_sums_of_lanes(f, variant, row) for row in rows])
    f.ret()
    module.add(f)


def _sums_of_lanes(f: Function, variant: Variant, totals: list[Value]) -> list[Value]:
    """The sum of the lanes of each vector, halves first; vectors that have shrunk share one."""
    count, groups, lanes = len(totals), 1, totals[0].lanes
    while lanes > 1:
        half = lanes // 2
        pairs = list(zip(totals[::2], totals[1::2])) if len(totals) > 1 else [(totals[0], None)]
        groups *= 1 if pairs[0][1] is None else 2
        low = [g * lanes + i for g in range(groups) for i in range(half)]
        totals = [
            variant.sum(f, f.b.shuffle(x, low, y), f.b.shuffle(x, [i + half for i in low], y))
            for x, y in pairs
        ]
        lanes = half
    each = count // len(totals)
    return [f.b.lane(totals[i // each], i % each) for i in range(count)]


def _store(f: Function, variant: Variant, rows: list[list[Value]]) -> None:
    """Store, or add to what is there, which is not to be read otherwise."""
    out_row, out_column = parameters(f, "out.row", "out.column")
    places = [
        [advance(f, "%out", variant.element, out_row * i + out_column * j) for j in range(len(row))]
        for i, row in enumerate(rows)
    ]
    pairs = [pair for row in zip(places, rows, strict=True) for pair in zip(*row, strict=True)]
    yes, no, after = f.fresh("add"), f.fresh("replace"), f.fresh("end")
    f.branch(Value("%accumulate", BOOL), yes, no)
    f.label(yes)
    for place, total in pairs:
        old = f.b.convert(f.load(place, variant.element), variant.compute)
        f.store(f.b.convert(variant.sum(f, old, total), variant.element), place)
    f.jump(after)
    f.label(no)
    for place, total in pairs:
        f.store(f.b.convert(total, variant.element), place)
    f.jump(after)
    f.label(after)


def emit_lines(module: Module, name: str, variant: Variant) -> None:
    """Define the copy of ``(count, length)`` elements with any strides to dense rows."""
    f = Function(module, name, LINES_PARAMETERS, linkage="")
    row, step, count, length = parameters(f, "row", "step", "count", "length")
    one = integer(f, 1).value
    with f.steps(length.value, one) as turn, f.steps(count.value, one) as line:
        i, k = Int(f, line.ref), Int(f, turn.ref)
        x = f.load(advance(f, "%source", variant.element, i * row + k * step), variant.element)
        f.store(x, advance(f, "%target", variant.element, i * length + k))
    f.ret()
    module.add(f)
