"""Short rows, worked through in vectors across them: element i of every row in one vector.

The elements of rows of n lie n apart along the vectors' axis. Together they fill n neighbouring
vectors, which are read once and sorted apart by shuffles::

    a0 b0 c0 d0   e0 f0 g0 h0        a0 e0 a1 e1   b0 f0 b1 f1   c0 g0 c1 g1   d0 h0 d1 h1
    a1 b1 c1 d1   e1 f1 g1 h1   ->   from evens and odds of pairs of vectors, again and again

What is written to rows is sorted together in the same way.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fnad.lowering.expr import Expr, affine_parts, axis, integer
from fnad.lowering.llvm import host
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.places import Strided, Vector, address, fetch_ahead, picked, strided
from fnad.lowering.llvm.squares import transposed
from fnad.lowering.llvm.writer import BOOL, INT64, DType, Function, Value
from fnad.lowering.plan import Reduction, Store
from fnad.lowering.walk import loads, rebuild

# Vectors that are sorted apart at a time; all of them need registers.
_MOST = 9
# Rows of so many elements of eight bytes keep the machine busy with one vector of rows: for two
# there are too few registers.
_LONG = 7
# So much is hardly in a cache when a kernel begins.
_FAR_BYTES = 1 << 23
# Fewer rows are hardly more than what is left over behind pairs of vectors.
_MANY_ROWS = 256

_BYTE = np.dtype(np.uint8)


def columns(f: Function, p: ExpressionPrinter, r: Reduction) -> dict[Expr, list[Value]]:
    """Loads that read all of the rows that a vector runs across, and their value for each term.

    Vectors are bound; the reduction's axis is not.
    """
    vector = p.vector
    if vector is None or vector.lanes == 1 or len(r.axes) != 1:
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
        if any(p.depends(term, number) for term in terms):
            continue
        known = [p.known(term) for term in _at_each(e, number, extent)]
        if None not in known:
            found[e] = known
            continue
        with p.scope():
            p.bind_axis(number, f.b.constant(0, INT64))
            start = address(p, e.attr, e.dtype, place)
            found[e] = _read(f, start, e.dtype, extent, vector)
    return found


def fills_registers(r: Reduction, inner: Expr) -> bool:
    """Whether a reduction sorts apart rows so long that two vectors of rows are one too many.

    Measured: sums of 7 and 9 numbers take 10 to 30 % less time by single vectors. So do sums of 8
    in kernels that compute more than the sum if they come from afar, or up to 6 % less if they are
    few; others take 1 to 5 % more.
    """
    if len(r.axes) != 1 or r.accumulator.itemsize < 8:
        return False
    [(number, extent)] = r.axes
    if type(extent) is not int or not _LONG <= extent <= _MOST:
        return False
    rows = inner.attr[1]
    if extent & (extent - 1) == 0:
        near = rows >= _MANY_ROWS and rows * extent * r.accumulator.itemsize < _FAR_BYTES
        if near or r.value.op == "load":
            return False
    for e in loads([r.value]):
        terms, _ = affine_parts(e.args[0])
        if terms.get(inner) == extent and terms.get(axis(number, extent)) == 1:
            return True
    return False


def _at_each(e: Expr, number: int, extent: int) -> list[Expr]:
    """A load at each value of an axis."""
    variable = axis(number, extent)
    return [rebuild([e], {variable: integer(i)}.get)[0] for i in range(extent)]


def whole_rows(p: ExpressionPrinter, values: Sequence[Expr]) -> list[list[Expr]]:
    """Loads of the elements of rows that a vector runs across, of each all of the elements."""
    vector = p.vector
    if vector is None or vector.lanes == 1:
        return []
    rows: dict[tuple[int, Strided], dict[int, Expr]] = {}
    for e in loads(values):
        place = strided(p, e.args[0], vector.number)
        if place is not None and 2 <= place.stride <= _MOST:
            element = place.constant % place.stride
            row = replace(place, constant=place.constant - element)
            rows.setdefault((e.attr, row), {})[element] = e
    return [
        [elements[i] for i in range(row.stride)]
        for (_, row), elements in rows.items()
        if len(elements) == row.stride
    ]


def read_rows(p: ExpressionPrinter, elements: Sequence[Expr]) -> list[Value]:
    """The values of such loads."""
    vector, first = p.vector, elements[0]
    assert vector is not None
    place = strided(p, first.args[0], vector.number)
    assert place is not None
    start = address(p, first.attr, first.dtype, place)
    fetch_ahead(p, first.attr, place, start, (place.stride * vector.lanes, first.dtype), 0)
    return _read(p.f, start, first.dtype, place.stride, vector)


def row_length(p: ExpressionPrinter, stores: Sequence[Store]) -> int:
    """How many of the first stores together write whole rows that a vector runs across.

    It is 0 if they do not. Real and imaginary parts of complex numbers are such rows.
    """
    vector, first = p.vector, stores[0]
    if vector is None:
        return 0
    place = strided(p, first.offset, vector.number)
    if place is None or not 2 <= place.stride <= len(stores):
        return 0
    if _MOST < place.stride < vector.lanes and first.value.dtype.itemsize < 4:
        return 0
    for i, s in enumerate(stores[: place.stride]):
        if (s.buffer, s.value.dtype) != (first.buffer, first.value.dtype):
            return 0
        if s.combine is not None or s.when is not None:
            return 0
        if strided(p, s.offset, vector.number) != replace(place, constant=place.constant + i):
            return 0
    return place.stride


def store_row(p: ExpressionPrinter, row: Sequence[Store], values: Sequence[Value]) -> None:
    """Write whole rows, one a lane."""
    vector, first = p.vector, row[0]
    assert vector is not None
    place = strided(p, first.offset, vector.number)
    assert place is not None
    f, lanes, count = p.f, vector.lanes, place.stride
    start = address(p, first.buffer, values[0].dtype, place)
    fetch_ahead(p, first.buffer, place, start, (count * lanes, values[0].dtype), 1)
    columns = [f.b.splat(v, lanes) for v in values]
    parts: dict[int, Value] = {}  # by the place of the first element
    if count >= lanes:  # the last square may repeat elements of the one before
        for k in dict.fromkeys(min(k, count - lanes) for k in range(0, count, lanes)):
            lines = transposed(f, columns[k : k + lanes])
            parts.update((i * count + k, line) for i, line in enumerate(lines))
    else:
        parts.update((i * lanes, part) for i, part in enumerate(sorted_together(f, columns)))
    for at, part in sorted(parts.items()):
        mask = _mask_of(f, vector, range(at, at + lanes), count)
        f.store(part, f.element(start, part.dtype, at), mask)


def _read(f: Function, start: str, dtype: DType, count: int, vector: Vector) -> list[Value]:
    """The columns of so many rows as there are lanes, ``count`` of them."""
    b, lanes, stored = f.b, vector.lanes, _BYTE if dtype == BOOL else dtype  # bits shuffle as bytes
    width = lanes
    if count & (count - 1) == 0:  # evens and odds of whole registers are all there is
        width = min(host.vector_bits() // (8 * stored.itemsize), count * lanes)
    parts = []
    for k in range(0, count * lanes, width):
        mask = _mask_of(f, vector, range(k, k + width), count)
        parts.append(f.load(f.element(start, stored, k), stored, width, mask))
    values = sorted_apart(f, parts, count)
    return [b.not_equal(v, b.constant(0, _BYTE)) for v in values] if dtype == BOOL else values


def _mask_of(f: Function, vector: Vector, places: Sequence[int], count: int) -> Value | None:
    """Which of some neighbouring elements are in rows that are there, of ``count`` elements."""
    if vector.mask is None:
        return None
    return f.b.shuffle(vector.mask, [place // count for place in places])


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
        if not host.has_masks():
            return _rotated_apart(f, parts)
        starts = range(0, count * lanes, lanes)
        return [picked(f, parts, starts, range(i, count * lanes, count)) for i in range(count)]
    pairs = list(zip(parts[::2], parts[1::2]))
    evens, odds = (
        sorted_apart(f, [f.b.shuffle(a, range(i, 2 * lanes, 2), b) for a, b in pairs], count // 2)
        for i in range(2)
    )
    return [part for pair in zip(evens, odds) for part in pair]


def sorted_together(f: Function, columns: Sequence[Value]) -> list[Value]:
    """Neighbouring vectors with the elements of ``columns`` in turn: undoes `sorted_apart`."""
    count, lanes = len(columns), columns[0].lanes
    if count % 2:
        if not host.has_masks():
            return _rotated_together(f, columns)
        return [_in_turn(f, columns, range(k, k + lanes)) for k in range(0, count * lanes, lanes)]
    evens, odds = ([columns[i]] for i in range(2))
    if count > 2:
        evens, odds = (sorted_together(f, columns[i::2]) for i in range(2))
    halves = [range(k, k + lanes // 2) for k in (0, lanes // 2)]
    orders = [[i + k for i in half for k in (0, lanes)] for half in halves]
    return [f.b.shuffle(a, order, b) for a, b in zip(evens, odds) for order in orders]


def _in_turn(f: Function, columns: Sequence[Value], wanted: Sequence[int]) -> Value:
    """Element ``w // n`` of column ``w % n`` for each of ``wanted``, of n columns."""
    count, lanes = len(columns), columns[0].lanes
    result, done = columns[0], [w // count if w % count == 0 else None for w in wanted]
    for i, column in enumerate(columns[1:], 1):
        chosen = [lanes + w // count if w % count == i else old for w, old in zip(wanted, done)]
        result = f.b.shuffle(result, chosen, column)
        done = [k if c is not None else None for k, c in enumerate(chosen)]
    return result


# Where no instruction picks any elements of two vectors, an odd number n of columns is sorted
# within registers of 128 bits, of which a vector may have two: one for the first half of the rows,
# one for the second. The elements i, i + n, i + 2 n ... of column i have places in their registers
# that all differ, so that blends bring them into one register, and one permutation into order.

_REGISTER = 16  # bytes


def _halves(x: Value) -> int:
    halves = max(1, x.lanes * x.dtype.itemsize // _REGISTER)
    assert halves <= 2, f"a vector of {halves} registers"
    return halves


def _rotated_apart(f: Function, parts: Sequence[Value]) -> list[Value]:
    """`sorted_apart` for an odd number of vectors."""
    count, halves = len(parts), _halves(parts[0])
    lanes = parts[0].lanes // halves
    registers = _regrouped(f, parts, [h * count + k for k in range(count) for h in range(halves)])
    columns = []
    for i in range(count):
        places = [divmod(i + count * row, lanes) for row in range(lanes)]
        if lanes == 2:
            columns.append(_of_two(f, registers, places))
            continue
        sources = [part for part, _ in sorted(places, key=operator.itemgetter(1))]
        blended = _blended(f, registers, sources)
        columns.append(_within(f, blended, [lane for _, lane in places]))
    return columns


def _rotated_together(f: Function, columns: Sequence[Value]) -> list[Value]:
    """`sorted_together` for an odd number of columns."""
    count, halves = len(columns), _halves(columns[0])
    lanes = columns[0].lanes // halves
    rotated = []
    for i, column in enumerate(columns):
        rows = {(i + count * row) % lanes: row for row in range(lanes)}
        rotated.append(_within(f, column, [rows[lane] for lane in range(lanes)]))
    registers = [
        _blended(f, rotated, [w % count for w in range(k, k + lanes)])
        for k in range(0, count * lanes, lanes)
    ]
    order = [k * halves + h for h in range(halves) for k in range(count)]
    return _regrouped(f, registers, order)


def _regrouped(f: Function, vectors: Sequence[Value], order: Sequence[int]) -> list[Value]:
    """Vectors of the halves ``order`` of given ones, all of which are numbered in a row."""
    halves = _halves(vectors[0])
    if halves == 1:
        return [vectors[k] for k in order]
    lanes = vectors[0].lanes // halves
    found = []
    for a, b in zip(order[::2], order[1::2]):
        (first, low), (second, high) = divmod(a, halves), divmod(b, halves)
        chosen = [low * lanes + k for k in range(lanes)]
        chosen += [(halves + high) * lanes + k for k in range(lanes)]
        found.append(f.b.shuffle(vectors[first], chosen, vectors[second]))
    return found


def _blended(f: Function, vectors: Sequence[Value], sources: Sequence[int]) -> Value:
    """In each half, lane k of the vector ``sources[k]``."""
    lanes = vectors[0].lanes
    result = vectors[sources[0]]
    for number in sorted(set(sources) - {sources[0]}):
        taken = [sources[k % len(sources)] == number for k in range(lanes)]
        chosen = [lanes + k if other else k for k, other in enumerate(taken)]
        result = f.b.shuffle(result, chosen, vectors[number])
    return result


def _of_two(f: Function, vectors: Sequence[Value], places: Sequence[tuple[int, int]]) -> Value:
    """In each half two lanes, each given by the number of its vector and its place there."""
    (a, low), (b, high) = places
    lanes = vectors[0].lanes
    chosen = [k for half in range(0, lanes, 2) for k in (half + low, lanes + half + high)]
    return f.b.shuffle(vectors[a], chosen, vectors[b])


def _within(f: Function, x: Value, order: Sequence[int]) -> Value:
    """The lanes ``order`` of each half."""
    if list(order) == sorted(order):
        return x
    size = len(order)
    return f.b.shuffle(x, [start + k for start in range(0, x.lanes, size) for k in order])
