"""Loops whose turns are vectors: how many lanes, how many vectors at a time, and the tail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from fnad.core.types import is_half
from fnad.lowering.expr import TRANSCENDENTAL, Expr
from fnad.lowering.llvm import host
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.places import axis_bit
from fnad.lowering.llvm.writer import INT32, INT64, DType, Function, Loop, Value
from fnad.lowering.walk import postorder

INT8 = np.dtype(np.int8)

# Bodies of at most so many operations are written for two vectors in a turn: more gains nothing.
_SHORT = 6

# Ranges of at most so many vectors are one masked loop if they end in a tail: less code.
_FEW = 8

# ``body(base, count, mask, carried)`` emits what is done for ``count`` neighbouring vectors from
# ``base`` on, and returns what it carries to the next turn.
Body = Callable[[Value, int, "Value | None", list[Value]], list[Value]]


def lanes_for(exprs: Iterable[Expr], others: Iterable[DType], extent: int) -> int:
    """How many lanes suit a computation: as many as there are of its widest elements.

    ``others`` are dtypes that are held in vectors besides those of the expressions.
    """
    size = 1
    for expr in postorder(exprs):
        if expr.bounds is None or expr.op in ("load", "reduced"):
            size = max(size, 4 if is_half(expr.dtype) else expr.dtype.itemsize)
    for dtype in others:
        size = max(size, dtype.itemsize)
    lanes = host.vector_bits() // (8 * size)
    return min(lanes, 1 << (extent - 1).bit_length())


def unrolling(p: ExpressionPrinter, roots: Iterable[Expr], outer: Iterable[int]) -> int:
    """How many vectors a turn should compute, so that short bodies keep the machine busy.

    What depends on the axes ``outer`` alone is computed before the turns.
    """
    outside = sum(map(axis_bit, outer))
    repeated = [e for e in postorder(roots) if e.args and p.dependences(e) & ~outside]
    cost = sum(20 if e.op in TRANSCENDENTAL else 1 for e in repeated if e.bounds is None)
    return 2 if cost <= _SHORT else 1


@dataclass(frozen=True, slots=True)
class Range:
    """Where an axis runs, bounds known or not; the length is a multiple of ``multiple``."""

    start: int | Value
    stop: int | Value
    multiple: int = 1

    @property
    def known(self) -> tuple[int, int] | None:
        if isinstance(self.start, int) and isinstance(self.stop, int):
            return self.start, self.stop
        return None

    def values(self, f: Function) -> tuple[Value, Value]:
        start, stop = (
            v if isinstance(v, Value) else f.b.constant(v, INT64) for v in (self.start, self.stop)
        )
        return start, stop

    def part(self, f: Function, start: int, stop: int) -> Range:
        """What lies in ``range(start, stop)``, counted from ``start``; it may be empty."""
        if self.known is not None:
            first, last = self.known
            return Range(max(first, start) - start, min(last, stop) - start)
        b, (begin, end) = f.b, self.values(f)
        offset = b.constant(start, INT64)
        return Range(
            b.subtract(b.maximum(begin, offset), offset),
            b.subtract(b.minimum(end, b.constant(stop, INT64)), offset),
        )


def along(
    f: Function,
    p: ExpressionPrinter,
    where: Range,
    shape: tuple[int, int],
    body: Body,
    *,
    repeatable: bool,
) -> None:
    """Emit the loops that pass over a range, ``shape`` being (lanes, vectors in a turn).

    Where no whole turn is left, vectors go one by one, and the last one is masked; or it begins
    earlier, if elements are ``repeatable``: computed twice, they are written twice as the same. All
    elements see the same operations, wherever the range starts.
    """
    if where.known is not None:
        _along_known_once(f, p, where.known, shape, body, repeatable)
        return
    b, (lanes, count), (start, stop) = f.b, shape, where.values(f)
    if where.multiple % (lanes * count) == 0:
        with _turns(f, p, start, stop, lanes * count) as turn:
            body(turn.index, count, None, [])
        return
    middle = _rounded(f, start, stop, lanes * count)
    with f.when(b.less(start, middle)), _turns(f, p, start, middle, lanes * count) as turn:
        body(turn.index, count, None, [])
    if not host.has_masks() and count > 1:
        start, middle = middle, _rounded(f, middle, stop, lanes)
        with f.when(b.less(start, middle)), _turns(f, p, start, middle, lanes) as turn:
            body(turn.index, 1, None, [])
    with f.when(b.less(middle, stop)):
        padded = b.add(b.subtract(stop, middle), b.constant(lanes - 1, INT64))
        last = b.add(middle, _multiple(f, padded, lanes))
        with _turns(f, p, middle, last, lanes) as turn:
            body(turn.index, 1, _mask(f, turn.index, stop, lanes), [])


def _along_known_once(
    f: Function,
    p: ExpressionPrinter,
    bounds: tuple[int, int],
    shape: tuple[int, int],
    body: Body,
    repeatable: bool,
) -> None:
    """`along` for known bounds."""
    (start, stop), lanes = bounds, shape[0]
    if host.has_masks() or not repeatable or stop - start < lanes:
        along_known(f, p, bounds, shape, body, [])
        return
    whole = start + (stop - start) // lanes * lanes
    along_known(f, p, (start, whole), shape, body, [])
    if whole < stop:
        with p.scope():
            body(f.b.constant(stop - lanes, INT64), 1, None, [])


def along_known(
    f: Function,
    p: ExpressionPrinter,
    bounds: tuple[int, int],
    shape: tuple[int, int],
    body: Body,
    carried: list[Value],
) -> list[Value]:
    """`along` for known bounds; returns what the last turn carries."""
    (start, stop), (lanes, count) = bounds, shape
    if has_few(stop - start, lanes):
        return _masked_turns(f, p, bounds, lanes, body, carried)
    middle = start + (stop - start) // (lanes * count) * (lanes * count)
    if middle > start:
        with _turns(f, p, start, middle, lanes * count, carried) as turn:
            turn.carried = body(turn.index, count, None, turn.carried)
        carried = turn.carried
    whole = middle + (stop - middle) // lanes * lanes
    if whole > middle and (whole == stop or not host.has_masks()):
        with _turns(f, p, middle, whole, lanes, carried) as turn:
            turn.carried = body(turn.index, 1, None, turn.carried)
        carried, middle = turn.carried, whole
    return carried if middle == stop else _masked_turns(f, p, (middle, stop), lanes, body, carried)


def has_few(extent: int, lanes: int) -> bool:
    """Whether a range is short enough to be one loop over masked vectors, if it needs a mask."""
    return host.has_masks() and extent % lanes != 0 and extent <= _FEW * lanes


def _masked_turns(
    f: Function,
    p: ExpressionPrinter,
    bounds: tuple[int, int],
    lanes: int,
    body: Body,
    carried: list[Value],
) -> list[Value]:
    start, stop = bounds
    last = start + -(-(stop - start) // lanes) * lanes
    end = f.b.constant(stop, INT64)
    if (stop - start) % lanes == 1:
        end = _unknown(f, end)
    with _turns(f, p, start, last, lanes, carried) as turn:
        mask = _mask(f, turn.index, end, lanes)
        turn.carried = body(turn.index, 1, mask, turn.carried)
    return turn.carried


@contextmanager
def _turns(
    f: Function,
    p: ExpressionPrinter,
    start: int | Value,
    stop: int | Value,
    step: int,
    carried: Sequence[Value] = (),
) -> Iterator[Loop]:
    """``for index in range(start, stop, step)``, in a scope of its own."""
    with f.loop(stop, carried, start, step, as_written=True) as loop, p.scope():
        yield loop


def _multiple(f: Function, length: Value, size: int) -> Value:
    """The largest multiple of ``size``, a power of two, up to a length."""
    return f.b.bitwise_and(length, f.b.constant(-size, INT64))


def _rounded(f: Function, start: Value, stop: Value, size: int) -> Value:
    """The end of the last whole block of ``size`` from ``start`` on."""
    return f.b.add(start, _multiple(f, f.b.subtract(stop, start), size))


def _unknown(f: Function, x: Value) -> Value:
    """``x``, of which LLVM does not know that it is constant.

    LLVM (22, and some before) stores too many bytes where a mask is known to hold in one lane, and
    the integers to store have just been narrowed: all of the wide one.
    """
    return f.value(f'call {x.type} asm "", "=r,0"({x.typed})', x.dtype)


def _mask(f: Function, base: Value, stop: Value, lanes: int) -> Value:
    """The lanes from ``base`` on that lie before ``stop``."""
    left = f.b.minimum(f.b.subtract(stop, base), f.b.constant(lanes, INT64))
    return mask_of(f, left, lanes)


def mask_of(f: Function, count: Value, lanes: int) -> Value:
    """The first ``count`` lanes, at most all of them."""
    dtype = INT32 if lanes <= 16 else INT8
    return f.b.less(f.b.iota(dtype, lanes), f.b.convert(count, dtype))
