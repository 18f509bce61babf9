"""Running sums and their kin: `plan.Accumulate`.

Along contiguous elements a vector's own running sums take log2(lanes) shifted additions (Hillis
and Steele, 1986), and only the total before it passes from vector to vector. Along other axes
neighbouring lanes run side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fnad.core.errors import InternalError
from fnad.lowering.llvm import host
from fnad.lowering.llvm.writer import INT32, INT64, Function, Value
from fnad.lowering.nodes import neutral
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


def _lanes(node: Accumulate, extent: int) -> int:
    return min(host.lanes_of(node.accumulator), 1 << (extent - 1).bit_length())


def _width(node: Accumulate) -> int:
    """How many neighbouring lanes run side by side.

    Long pieces of a row are worth more than that all totals stay in registers.
    """
    inner = node.extents[2]
    vectors = 1 if node.kind == "logaddexp" else 32 if host.has_masks() else 16
    lanes = _lanes(node, inner)
    return lanes * min(vectors, -(-inner // lanes))


def tasks(node: Accumulate) -> int:
    """How many tasks a node has: rows, or blocks of neighbouring lanes."""
    outer, _, inner = node.extents
    return outer if inner == 1 else outer * -(-inner // _width(node))


def emit_accumulate(
    f: Function, node: Accumulate, source: str, out: str, begin: Value, end: Value
) -> None:
    """Emit the tasks from ``begin`` to ``end`` of running sums and their kin."""
    if 0 in node.extents:
        return
    running = _Running(f, node, source, out)
    with f.loop(end, start=begin) as task:
        if node.extents[2] == 1:
            running.row(task.index)
        else:
            running.block(task.index)


def combination(
    b: ScalarBuilder, node: Accumulate
) -> tuple[Callable[[Value, Value], Value], Value]:
    """What joins the total so far and the next element, and the total of nothing."""
    start = neutral(node.kind, node.accumulator)
    if node.kind == "add" and node.accumulator.kind == "f":
        start = -0.0  # keeps the sign of a zero
    return _running(b, node.kind), b.constant(start, node.accumulator)


class _Running:
    def __init__(self, f: Function, node: Accumulate, source: str, out: str) -> None:
        self.f, self.node, self.source, self.out = f, node, source, out
        self.combine, self.start = combination(f.b, node)

    def _load(self, place: Value, lanes: int, mask: Value | None) -> Value:
        dtype = self.node.dtype
        value = self.f.load(self.f.element(self.source, dtype, place), dtype, lanes, mask)
        return self.f.b.convert(value, self.node.accumulator)

    def _store(self, value: Value, place: Value, mask: Value | None) -> None:
        dtype = self.node.dtype
        place_pointer = self.f.element(self.out, dtype, place)
        self.f.store(self.f.b.convert(value, dtype), place_pointer, mask)

    def _mask(self, count: int, lanes: int) -> Value | None:
        """The first ``count`` lanes."""
        if count == lanes:
            return None
        b = self.f.b
        return b.less(b.iota(INT32, lanes), b.constant(count, INT32))

    # -- along contiguous elements ----------------------------------------------------------

    def row(self, number: Value) -> None:
        """The running sums of one row."""
        f, b = self.f, self.f.b
        length = self.node.extents[1]
        lanes = _lanes(self.node, length)
        base = b.multiply(number, b.constant(length, INT64))
        whole = length // lanes
        rest = self._mask(length % lanes, lanes) if length % lanes else None
        after = b.add(base, b.constant(whole * lanes, INT64))
        total = b.splat(self.start, lanes)
        if rest is not None and self.node.reverse:
            total = self._vector(after, total, rest)
        if whole:
            with f.loop(whole, [total]) as turn:
                k = turn.index
                if self.node.reverse:
                    k = b.subtract(b.constant(whole - 1, INT64), k)
                place = b.add(base, b.multiply(k, b.constant(lanes, INT64)))
                turn.carried = [self._vector(place, turn.carried[0], None)]
            [total] = turn.carried
        if rest is not None and not self.node.reverse:
            self._vector(after, total, rest)

    def _vector(self, place: Value, before: Value, mask: Value | None) -> Value:
        """The sums at a vector of neighbours; returns the total behind it, in all lanes."""
        b, lanes = self.f.b, before.lanes
        sums = self._load(place, lanes, mask)
        if mask is not None:
            sums = b.where(mask, sums, self.start)
        neutrals = b.splat(self.start, lanes)
        shift = 1
        while shift < lanes:
            sums = self.combine(b.shuffle(sums, self._shifted(lanes, shift), neutrals), sums)
            shift *= 2
        self._store(self.combine(before, sums), place, mask)
        last = b.lane(sums, 0 if self.node.reverse else lanes - 1)
        return self.combine(before, b.splat(last, lanes))

    def _shifted(self, lanes: int, shift: int) -> Sequence[int]:
        """For each lane the one ``shift`` before it; those of another vector where none is."""
        if self.node.reverse:
            return range(shift, lanes + shift)
        return [lanes if i < shift else i - shift for i in range(lanes)]

    # -- along another axis -----------------------------------------------------------------

    def block(self, number: Value) -> None:
        """The running sums of a block of neighbouring lanes."""
        f, b = self.f, self.f.b
        _, length, inner = self.node.extents
        width = _width(self.node)
        blocks, rest = -(-inner // width), inner % width
        outer = b.divide(number, b.constant(blocks, INT64))
        block = b.subtract(number, b.multiply(outer, b.constant(blocks, INT64)))
        start = b.add(
            b.multiply(outer, b.constant(length * inner, INT64)),
            b.multiply(block, b.constant(width, INT64)),
        )
        if not rest:
            self._columns(start, width)
        elif blocks == 1:
            self._columns(start, rest)
        else:
            is_last = b.equal(block, b.constant(blocks - 1, INT64))
            with f.when(b.bitwise_not(is_last)):
                self._columns(start, width)
            with f.when(is_last):
                self._columns(start, rest)

    def _columns(self, start: Value, count: int) -> None:
        """The running sums of ``count`` neighbouring lanes."""
        f, b = self.f, self.f.b
        _, length, inner = self.node.extents
        lanes = _lanes(self.node, inner)
        vectors = range(0, count, lanes)
        masks = [self._mask(min(lanes, count - v), lanes) for v in vectors]
        totals = [b.splat(self.start, lanes) for _ in vectors]
        with f.loop(length, totals) as turn:
            k = turn.index
            if self.node.reverse:
                k = b.subtract(b.constant(length - 1, INT64), k)
            row = b.add(start, b.multiply(k, b.constant(inner, INT64)))
            following = []
            for v, mask, total in zip(vectors, masks, turn.carried, strict=True):
                place = b.add(row, b.constant(v, INT64))
                total = self.combine(total, self._load(place, lanes, mask))
                self._store(total, place, mask)
                following.append(total)
            turn.carried = following
