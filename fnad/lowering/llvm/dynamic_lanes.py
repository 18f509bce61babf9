"""What goes along an axis lane by lane, of any length: running sums and their kin, sorts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fnad.lowering.llvm.accumulate import combination
from fnad.lowering.llvm.sized import SizedFunction
from fnad.lowering.llvm.sorting import require_sort
from fnad.lowering.llvm.writer import INT64, DType, Value
from fnad.lowering.plan import Accumulate, Sort


def emit_accumulate(f: SizedFunction, node: Accumulate, source: str, out: str) -> None:
    """Running sums and their kin, row by row."""
    b = f.b
    outer, length, inner = (b.constant(n, INT64) for n in node.extents)
    one, last = b.constant(1, INT64), b.subtract(length, b.constant(1, INT64))
    combine, start = combination(b, node)
    with f.steps(b.multiply(outer, inner), one) as number:
        begin = _begin(f, number, length, inner)

        def turn(k: Value, total: Value) -> list[Value]:
            step = b.subtract(last, k) if node.reverse else k
            place = b.add(begin, b.multiply(step, inner))
            value = f.load(f.element(source, node.dtype, place), node.dtype)
            total = combine(total, b.convert(value, node.accumulator))
            f.store(b.convert(total, node.dtype), f.element(out, node.dtype, place))
            return [b.add(k, one), total]

        f.repeat([b.constant(0, INT64), start], lambda k, _: b.less(k, length), turn)


def emit_sort(
    f: SizedFunction, node: Sort, pointers: Mapping[int, str], dtypes: Sequence[DType]
) -> None:
    """Stable sorts by merging, as static programs sort short lanes; ``%words`` has the scratch."""
    b = f.b
    outer, length, inner = (b.constant(n, INT64) for n in node.extents)
    one = b.constant(1, INT64)
    symbol = require_sort(f.module, dtypes, node.num_keys)
    place, lanes = f.raw("load ptr, ptr %words"), []
    for dtype in (*dtypes, *dtypes):
        lanes.append(place)
        nbytes = b.add(b.multiply(length, b.constant(dtype.itemsize, INT64)), b.constant(63, INT64))
        size = b.bitwise_and(nbytes, b.constant(-64, INT64))
        place = f.raw(f"getelementptr inbounds i8, ptr {place}, {size.typed}")
    with f.steps(b.multiply(outer, inner), one) as number:
        begin = _begin(f, number, length, inner)

        def move(arrays: Sequence[int], to_lane: bool) -> None:
            with f.steps(length, one) as k:
                at = b.add(begin, b.multiply(k, inner))
                for lane, array, dtype in zip(lanes, arrays, dtypes):
                    inside = f.element(lane, dtype, k)
                    outside = f.element(pointers[array], dtype, at)
                    came, goes = (outside, inside) if to_lane else (inside, outside)
                    f.store(f.load(came, dtype), goes)

        move(node.sources, to_lane=True)
        f.emit(f"call void @{symbol}({', '.join(f'ptr {p}' for p in lanes)}, {length.typed})")
        move(node.outs, to_lane=False)


def _begin(f: SizedFunction, number: Value, length: Value, inner: Value) -> Value:
    """Where a lane begins, in a loop over lanes: if it has turns, ``inner`` is not 0."""
    b = f.b
    row = b.divide(number, inner)
    column = b.subtract(number, b.multiply(row, inner))
    return b.add(b.multiply(b.multiply(row, length), inner), column)
