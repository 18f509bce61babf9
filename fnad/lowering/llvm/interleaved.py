"""Short rows, summed in vectors across them: element i of every row in one vector.

The terms of a reduction over rows of n elements lie n apart along the vectors' axis. Together
they fill n neighbouring vectors, which are read once and sorted apart by shuffles::

    a0 b0 c0 d0   e0 f0 g0 h0        a0 e0 a1 e1   b0 f0 b1 f1   c0 g0 c1 g1   d0 h0 d1 h1
    a1 b1 c1 d1   e1 f1 g1 h1   ->   from evens and odds of pairs of vectors, again and again
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fnad.lowering.expr import Expr, affine_parts, axis
from fnad.lowering.llvm import host
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.places import address, picked, strided
from fnad.lowering.llvm.writer import BOOL, INT64, DType, Function, Value
from fnad.lowering.plan import Reduction
from fnad.lowering.walk import loads

# Vectors that are sorted apart at a time; all of them need registers.
_MOST = 9

_BYTE = np.dtype(np.uint8)


def columns(f: Function, p: ExpressionPrinter, r: Reduction) -> dict[Expr, list[Value]]:
    """Loads that read all of the rows that a vector runs across, and their value for each term.

    Vectors are bound; the reduction's axis is not. Loads of masked vectors are not among them.
    """
    vector = p.vector
    if vector is None or vector.mask is not None or vector.lanes == 1 or len(r.axes) != 1:
        return {}
    [(number, extent)] = r.axes
    if not 2 <= extent <= _MOST:
        return {}
    found = {}
    for e in loads([r.value]):
        place = strided(p, e.args[0], vector.number)
        if place is None or place.stride != extent:
            continue
        terms = dict(affine_parts(place.rest)[0])
        if terms.pop(axis(number, extent), 0) != 1:
            continue
        if any(p.dependences(term) >> number & 1 for term in terms):
            continue
        with p.scope():
            p.bind_axis(number, f.b.constant(0, INT64))
            start = address(p, e.attr, e.dtype, place)
            found[e] = _read(f, start, e.dtype, extent, vector.lanes)
    return found


def _read(f: Function, start: str, dtype: DType, count: int, lanes: int) -> list[Value]:
    """The columns of so many rows as there are lanes, ``count`` of them."""
    b, stored = f.b, _BYTE if dtype == BOOL else dtype  # bits would be shuffled as bytes, too
    width = lanes
    if count & (count - 1) == 0:  # evens and odds of whole registers are all there is
        width = min(host.vector_bits() // (8 * stored.itemsize), count * lanes)
    places = range(0, count * lanes, width)
    parts = [f.load(f.element(start, stored, k), stored, width) for k in places]
    values = sorted_apart(f, parts, count)
    return [b.not_equal(v, b.constant(0, _BYTE)) for v in values] if dtype == BOOL else values


def sorted_apart(f: Function, parts: Sequence[Value], count: int) -> list[Value]:
    """Of neighbouring vectors, the elements 0, n, 2n ..., then 1, n + 1, 2n + 1 ... and so on.

    There are ``count`` vectors; or fewer and wider ones, if it is a power of two.
    """
    lanes = parts[0].lanes
    if count == 1:
        return list(parts)
    if len(parts) == 1:
        return [f.b.shuffle(parts[0], range(i, lanes, count)) for i in range(count)]
    if count % 2:
        starts = range(0, count * lanes, lanes)
        return [picked(f, parts, starts, range(i, count * lanes, count)) for i in range(count)]
    pairs = list(zip(parts[::2], parts[1::2]))
    evens, odds = (
        sorted_apart(f, [f.b.shuffle(a, range(i, 2 * lanes, 2), b) for a, b in pairs], count // 2)
        for i in range(2)
    )
    return [part for pair in zip(evens, odds) for part in pair]
