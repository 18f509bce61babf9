"""Running sums and their kin: `plan.Accumulate`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from fnad.core.errors import InternalError
from fnad.lowering.llvm.reductions import neutral
from fnad.lowering.llvm.writer import INT64, Function, Value
from fnad.lowering.plan import Accumulate

if TYPE_CHECKING:
    from fnad.lowering.llvm.scalars import ScalarBuilder


def _running(b: ScalarBuilder, kind: str) -> Callable[[Value, Value], Value]:
    """What joins the total so far and the next element."""
    combine = {
        "add": b.add,
        "multiply": b.multiply,
        "max": b.maximum,
        "min": b.minimum,
        "logaddexp": lambda x, y: _logaddexp(b, x, y),
    }.get(kind)
    if combine is None:
        raise InternalError(f"the LLVM backend has no running {kind}")
    return combine


def _logaddexp(b: ScalarBuilder, x: Value, y: Value) -> Value:
    """log(e**x + e**y) = max(x, y) + log(1 + e**-abs(x - y)), also of equal infinities."""
    distance = b.negative(b.absolute(b.subtract(x, y)))
    result = b.add(b.maximum(x, y), b.elementary("log1p", b.elementary("exp", distance)))
    doubled = b.add(x, b.constant(np.log(2.0), x.dtype))
    return b.where(b.equal(x, y), doubled, result)


def emit_accumulate(f: Function, node: Accumulate, source: str, out: str) -> None:
    """Emit running sums and their kin; the loop over a lane carries the total."""
    outer, length, inner = node.extents
    if 0 in node.extents:
        return
    combine = _running(f.b, node.kind)
    b = f.b
    start = b.constant(neutral(node.kind, node.accumulator), node.accumulator)

    def place(i: Value, k: Value, j: Value) -> Value:
        if node.reverse:
            k = b.subtract(b.constant(length - 1, INT64), k)
        row = b.add(b.multiply(i, b.constant(length, INT64)), k)
        return b.add(b.multiply(row, b.constant(inner, INT64)), j)

    with f.loop(outer) as i, f.loop(inner) as j, f.loop(length, [start]) as k:
        at = place(i.index, k.index, j.index)
        term = b.convert(f.load(f.element(source, node.dtype, at), node.dtype), node.accumulator)
        total = combine(k.carried[0], term)
        k.carried = [total]
        f.store(b.convert(total, node.dtype), f.element(out, node.dtype, at))
