"""Packing: blocks of an operand copied to where register tiles read them fastest.

A panel of B holds the columns of one tile, row after row; a panel of A holds the rows of one tile
(`PackedA`). What is read often is then contiguous, whatever its strides are in the user's array,
and of the dtype that sums are taken in.
"""

from __future__ import annotations

from fnad.lowering.llvm.matrix.integers import Int, advance, parameters
from fnad.lowering.llvm.matrix.variants import Variant
from fnad.lowering.llvm.writer import INT64, Function, Module, Value

# ``source`` is (count, length) with these strides; ``target`` gets it as (length, padded count).
PARAMETERS = ("ptr %source", "i64 %row", "i64 %step", "i64 %count", "i64 %length", "ptr %target")


def emit_pack(module: Module, name: str, variant: Variant, width: int, lanes: int) -> None:
    """Define the copy of ``count <= width`` rows of ``source`` to columns of ``target``.

    ``width`` is a multiple of ``lanes``; a row of ``target`` has that many elements. Behind
    ``target`` there is room for ``lanes - 1`` rows more, which may be overwritten.
    """
    f = Function(module, name, PARAMETERS, linkage="")
    row, step, count, length = parameters(f, "row", "step", "count", "length")
    by_rows, other = f.fresh("rows"), f.fresh("other")
    by_columns, any_strides, after = f.fresh("columns"), f.fresh("any"), f.fresh("end")
    f.branch(row.equals(1), by_rows, other)
    f.label(by_rows)
    _copy(f, variant, width, lanes, (step, count, length))
    f.jump(after)
    f.label(other)
    f.branch(step.equals(1), by_columns, any_strides)
    f.label(by_columns)
    _transpose(f, variant, width, lanes, (row, count, length))
    f.jump(after)
    f.label(any_strides)
    _gather(f, variant, width, (row, step, count, length))
    f.jump(after)
    f.label(after)
    f.ret()
    module.add(f)


def _copy(
    f: Function, variant: Variant, width: int, lanes: int, sizes: tuple[Int, Int, Int]
) -> None:
    """The source has unit stride along what is a row of the target."""
    step, count, length = sizes
    masks = [f.b.less(f.b.iota(INT64, lanes), f.b.splat((count - j).value, lanes))
             for j in range(0, width, lanes)]  # fmt: skip
    with f.steps(length.value, f.b.constant(1, INT64)) as turn:
        k = Int(f, turn.ref)
        source = advance(f, "%source", variant.element, k * step)
        target = advance(f, "%target", variant.compute, k * width)
        for j, mask in enumerate(masks):
            x = f.load(f.element(source, variant.element, j * lanes), variant.element, lanes, mask)
            place = f.element(target, variant.compute, j * lanes)
            f.store(f.b.convert(x, variant.compute), place)


def _transpose(
    f: Function, variant: Variant, width: int, lanes: int, sizes: tuple[Int, Int, Int]
) -> None:
    """The source has unit stride along what is a column of the target: blocks are transposed."""
    row, count, length = sizes
    lane = f.b.iota(INT64, lanes)
    with f.steps(length.value, f.b.constant(lanes, INT64)) as turn:
        k = Int(f, turn.ref)
        mask = f.b.less(lane, f.b.splat((length - k).value, lanes))
        with f.steps(count.value, f.b.constant(lanes, INT64)) as block:
            j = Int(f, block.ref)
            vectors = []
            for i in range(lanes):
                # Instead of rows that there are not, the last one: nothing reads what comes out.
                place = (j + i).up_to(count - 1) * row + k
                x = f.load(
                    advance(f, "%source", variant.element, place), variant.element, lanes, mask
                )
                vectors.append(f.b.convert(x, variant.compute))
            for i, x in enumerate(transposed(f, vectors)):
                f.store(x, advance(f, "%target", variant.compute, (k + i) * width + j))


def transposed(f: Function, rows: list[Value]) -> list[Value]:
    """A square block as vectors, transposed: halves are exchanged, then quarters, and so on."""
    count, half = len(rows), len(rows) // 2
    while half:
        low = [i for i in range(count) if not i & half]
        first = [i if not i & half else i - half + count for i in range(count)]
        second = [i + half if not i & half else i + count for i in range(count)]
        for i in low:
            x, y = rows[i], rows[i + half]
            rows[i], rows[i + half] = f.b.shuffle(x, first, y), f.b.shuffle(x, second, y)
        half //= 2
    return rows


def _gather(f: Function, variant: Variant, width: int, sizes: tuple[Int, Int, Int, Int]) -> None:
    """Element by element."""
    row, step, count, length = sizes
    one = f.b.constant(1, INT64)
    with f.steps(length.value, one) as k, f.steps(count.value, one) as i:
        at = Int(f, i.ref) * row + Int(f, k.ref) * step
        x = f.load(advance(f, "%source", variant.element, at), variant.element)
        place = advance(f, "%target", variant.compute, Int(f, k.ref) * width + Int(f, i.ref))
        f.store(f.b.convert(x, variant.compute), place)
