"""Inner products: the products of few rows of A with columns of B that lie contiguously.

Here the vectors run along k: lane l of a sum takes the terms k = l, l + lanes, and so on, and the
lanes are added at the end, halves first. There is nothing to transpose, and each number of B is
read just as often as there are rows.
"""

from __future__ import annotations

from fnad.lowering.llvm.matrix.integers import Int, advance, parameters
from fnad.lowering.llvm.matrix.variants import Variant
from fnad.lowering.llvm.writer import BOOL, INT64, Function, Module, Value

PARAMETERS = ("ptr %a", "ptr %b", "i64 %b.column", "ptr %out", "i64 %out.column", "i64 %k",
              "i1 %accumulate")  # fmt: skip


def emit_dots(module: Module, name: str, variant: Variant, columns: int, lanes: int) -> None:
    """Define ``out[j] = sum(a[:k] * b[j, :k])`` (or ``+=``) for so many columns j.

    ``a`` and the rows of ``b`` have unit stride and are of dtype `Variant.element`.
    """
    f = Function(module, name, PARAMETERS, linkage="")
    b_column, out_column, k = parameters(f, "b.column", "out.column", "k")
    zero = f.b.splat(f.b.constant(0, variant.compute), lanes)
    whole = k - k % lanes
    rows = ["%b"]
    for _ in range(columns - 1):
        rows.append(advance(f, rows[-1], variant.element, b_column))

    def add(at: Int, totals: list[Value], mask: Value | None) -> list[Value]:
        def load(pointer: str) -> Value:
            place = advance(f, pointer, variant.element, at)
            return f.b.convert(f.load(place, variant.element, lanes, mask), variant.compute)

        x = load("%a")
        return [
            variant.multiply_add(f, x, load(row), t) for row, t in zip(rows, totals, strict=True)
        ]

    at, *totals = f.repeat(
        [f.b.constant(0, INT64), *[zero] * columns],
        lambda at, *_: Int(f, at.ref) < whole,
        lambda at, *totals: [
            (Int(f, at.ref) + lanes).value,
            *add(Int(f, at.ref), list(totals), None),
        ],
    )
    rest = f.b.less(f.b.iota(INT64, lanes), f.b.splat((k - whole).value, lanes))
    totals = add(Int(f, at.ref), totals, rest)
    for j, total in enumerate(totals):
        place = advance(f, "%out", variant.element, out_column * j)
        _store(f, variant, _sum_of_lanes(f, variant, total), place)
    f.ret()
    module.add(f)


def _sum_of_lanes(f: Function, variant: Variant, total: Value) -> Value:
    while total.lanes > 1:
        half = total.lanes // 2
        low, high = (f.b.shuffle(total, range(s, s + half)) for s in (0, half))
        total = variant.sum(f, low, high)
    return total


def _store(f: Function, variant: Variant, total: Value, place: str) -> None:
    """Store, or add to what is there, which is not to be read otherwise."""
    yes, no, after = f.fresh("add"), f.fresh("replace"), f.fresh("end")
    f.branch(Value("%accumulate", BOOL), yes, no)
    f.label(yes)
    old = f.b.convert(f.load(place, variant.element), variant.compute)
    f.store(f.b.convert(variant.sum(f, old, total), variant.element), place)
    f.jump(after)
    f.label(no)
    f.store(f.b.convert(total, variant.element), place)
    f.jump(after)
    f.label(after)
