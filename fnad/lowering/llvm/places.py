"""Where in memory the lanes of a vector lie, and how they are read and written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fnad.lowering.expr import Expr, affine, affine_parts, integer
from fnad.lowering.llvm import host
from fnad.lowering.llvm.writer import INT32, INT64, DType, Function, Value

if TYPE_CHECKING:
    from fnad.lowering.llvm.expressions import ExpressionPrinter

# Up to this distance, lanes are picked out of whole vectors: loads and shuffles beat gathers.
_MAX_PICKED = 8

_LINE_BYTES = 64

# Elements of so many bytes enter and leave vectors one by one at little cost.
_WORD = 4


@dataclass(frozen=True, slots=True)
class Vector:
    """The axis along which vectors run: lane l is at ``base + shift + l``.

    Lanes where ``mask`` is false are beyond the end: they are neither loaded nor stored.
    """

    number: int
    base: Value
    shift: int
    lanes: int
    mask: Value | None = None


@dataclass(frozen=True, slots=True)
class Strided:
    """An offset along the vector's axis: ``rest + stride * axis + constant``."""

    rest: Expr
    stride: int
    constant: int


@dataclass(frozen=True, slots=True)
class Ahead:
    """Buffers of which a kernel fetches the lines that it will need so many ``tasks`` later.

    ``number`` is that of the axis of its tasks.
    """

    number: int
    tasks: int
    buffers: frozenset[int]


def axis_bit(number: int) -> int:
    """The bit of an axis among those of `ExpressionPrinter.dependences`; odd ones are others'."""
    return 1 << 2 * number


def strided(p: ExpressionPrinter, offset: Expr, vector: int | None) -> Strided | None:
    """An offset that depends on the axis ``vector`` as part that does not and a stride."""
    if vector is None or not p.depends(offset, vector):
        return None
    key = (offset, vector, p.varying)
    if key not in p.strides:
        p.strides[key] = _strided(p, offset, vector)
    return p.strides[key]


def _strided(p: ExpressionPrinter, offset: Expr, vector: int) -> Strided | None:
    bit = axis_bit(vector)
    terms, constant = affine_parts(offset)
    stride, rest = 0, {}
    for term, coefficient in terms.items():
        if term.op == "axis" and term.attr[0] == vector:
            stride = coefficient
        elif p.dependences(term) & (bit | p.varying):
            return None
        else:
            rest[term] = coefficient
    return Strided(affine(rest, 0), stride, constant)


def row(p: ExpressionPrinter, buffer: int, dtype: DType, rest: Expr) -> str:
    """The address of an element, kept for the scope."""
    key = (buffer, rest)
    known: str | None = p.known(key)
    if known is None:
        known = p.pointers[buffer]
        if rest is not integer(0):
            known = p.f.element(known, dtype, p.operand(rest))
        p.keep(key, known)
    return known


def load(p: ExpressionPrinter, expr: Expr) -> Value:
    """Read an element, or one for each lane."""
    f, vector, dtype, [offset] = p.f, p.vector, expr.dtype, expr.args
    pointer = p.pointers[expr.attr]
    if vector is None or not p.varies(offset):
        return f.load(f.element(pointer, dtype, p.operand(offset)), dtype)
    place = strided(p, offset, vector.number)
    if place is None:
        return f.gather(pointer, dtype, p.operand(offset), vector.mask)
    if 1 < abs(place.stride) <= _MAX_PICKED and vector.mask is None:
        return _load_picked(p, expr, place, vector)
    start = address(p, expr.attr, dtype, place)
    if place.stride == 1:
        return f.load(start, dtype, vector.lanes, vector.mask)
    if place.stride == -1:
        return _load_reversed(f, start, dtype, vector)
    return _load_apart(p, start, dtype, place.stride, vector.mask)


def store(
    p: ExpressionPrinter,
    buffer: int,
    offset: Expr,
    value: Value,
    combine: Callable[[Value, Value], Value] | None,
    where: Value | None,
    selected: bool,
) -> None:
    """Write a value, or all lanes of a vector, at an offset.

    ``combine(old, value)`` is written if ``combine`` is given; lanes where ``where`` (a
    vector) is false are left as they are. ``selected`` says that the value may be selected from
    another one and what is there.
    """
    f, b, vector, dtype = p.f, p.f.b, p.vector, value.dtype
    if vector is None or not p.varies(offset):
        start = f.element(p.pointers[buffer], dtype, p.operand(offset))
        if combine is not None:
            value = combine(f.load(start, dtype), value)
        f.store(value, start)
        return
    mask = vector.mask
    if where is not None:
        mask = where if mask is None else b.bitwise_and(mask, where)
    value = b.splat(value, vector.lanes)
    place = strided(p, offset, vector.number)
    if place is not None and place.stride == 1:
        start = address(p, buffer, dtype, place)
        if combine is not None:
            value = combine(f.load(start, dtype, vector.lanes, mask), value)
        f.store(value, start, mask, whole=selected)
        return
    if place is not None:
        start = address(p, buffer, dtype, place)
        if combine is not None:
            value = combine(_load_apart(p, start, dtype, place.stride, mask), value)
        _store_apart(p, start, value, place.stride, mask)
        return
    start, indices = p.pointers[buffer], p.operand(offset)
    if combine is not None:
        value = combine(f.gather(start, dtype, indices, mask), value)
    f.scatter(value, start, indices, mask)


def address(p: ExpressionPrinter, buffer: int, dtype: DType, place: Strided) -> str:
    """Where the first lane is."""
    vector = p.vector
    assert vector is not None
    index = vector.base
    if place.stride != 1:
        index = p.f.b.multiply(index, p.f.b.constant(place.stride, INT64))
    start = p.f.element(row(p, buffer, dtype, place.rest), dtype, index)
    return p.f.element(start, dtype, place.constant + place.stride * vector.shift)


def fetch_ahead(
    p: ExpressionPrinter, buffer: int, place: Strided, start: str, size: tuple[int, DType], rw: int
) -> None:
    """Fetch what lies where later tasks read (``rw`` 0) or write (1) ``size`` elements.

    The place may be behind the end of the buffer.
    """
    if p.ahead is None or buffer not in p.ahead.buffers:
        return
    f, (count, dtype) = p.f, size
    for term, coefficient in affine_parts(place.rest)[0].items():
        if term.op == "axis" and term.attr[0] == p.ahead.number:
            f.module.declare("llvm.prefetch", "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
            first = coefficient * p.ahead.tasks * dtype.itemsize
            for at in range(first, first + count * dtype.itemsize, _LINE_BYTES):
                line = f.raw(f"getelementptr i8, ptr {start}, i64 {at}")
                f.emit(f"call void @llvm.prefetch.p0(ptr {line}, i32 {rw}, i32 3, i32 1)")


def _steps(p: ExpressionPrinter, stride: int) -> Value:
    """The places of the lanes from that of the first one."""
    assert p.vector is not None
    lanes = p.vector.lanes
    return p.f.b.iota(INT32 if abs(stride) * lanes < 2**31 else INT64, lanes, stride)


def _one_by_one(dtype: DType, mask: Value | None) -> bool:
    """Whether lanes that lie apart are best moved each with an instruction of its own.

    Without masks a gather is no more than that, and computes every address at run time.
    """
    return mask is None and not host.has_masks() and dtype.itemsize >= _WORD


def _load_apart(
    p: ExpressionPrinter, start: str, dtype: DType, stride: int, mask: Value | None
) -> Value:
    assert p.vector is not None
    f, lanes = p.f, p.vector.lanes
    if not _one_by_one(dtype, mask):
        return f.gather(start, dtype, _steps(p, stride), mask)
    elements = [f.load(f.element(start, dtype, k * stride), dtype) for k in range(lanes)]
    result = f.b.splat(elements[0], lanes)
    for k, element in enumerate(elements[1:], 1):
        result = f.b.with_lane(result, k, element)
    return result


def _store_apart(
    p: ExpressionPrinter, start: str, value: Value, stride: int, mask: Value | None
) -> None:
    f = p.f
    if not _one_by_one(value.dtype, mask):
        f.scatter(value, start, _steps(p, stride), mask)
        return
    for k in range(value.lanes):
        f.store(f.b.lane(value, k), f.element(start, value.dtype, k * stride))


def _load_reversed(f: Function, start: str, dtype: DType, vector: Vector) -> Value:
    backwards = range(vector.lanes - 1, -1, -1)
    mask = f.b.shuffle(vector.mask, backwards) if vector.mask is not None else None
    first = f.element(start, dtype, 1 - vector.lanes)
    return f.b.shuffle(f.load(first, dtype, vector.lanes, mask), backwards)


def _load_picked(p: ExpressionPrinter, expr: Expr, place: Strided, vector: Vector) -> Value:
    """Every so manieth element: neighbouring vectors, and the lanes picked out of them.

    Loads of one stride that start less than it apart (the members of a pair, say) read the same
    vectors, except for the last one, which must not reach beyond the last element. Backwards, the
    last lane is the first in memory.
    """
    f, lanes, stride, forwards = p.f, vector.lanes, abs(place.stride), place.stride > 0
    natural = place.rest.bounds is not None and place.rest.bounds[0] >= 0 <= place.constant
    first = place.constant % stride if natural and forwards else 0
    place = Strided(place.rest, place.stride, place.constant - first)
    start = address(p, expr.attr, expr.dtype, place)
    if not forwards:
        start = f.element(start, expr.dtype, place.stride * (lanes - 1))
    last = first + (lanes - 1) * stride  # the last element that is wanted
    starts = [k * lanes for k in range(last // lanes)] + [last - lanes + 1]
    parts = []
    for at in starts:
        key = (expr.attr, place, at)
        part = p.known(key)
        if part is None:
            part = f.load(f.element(start, expr.dtype, at), expr.dtype, lanes)
            p.keep(key, part)
        parts.append(part)
    wanted = [first + i * stride for i in range(lanes)]
    return picked(f, parts, starts, wanted if forwards else wanted[::-1])


def picked(
    f: Function, parts: Sequence[Value], starts: Sequence[int], wanted: Sequence[int]
) -> Value:
    """The elements ``wanted`` from vectors that begin at ``starts``."""
    lanes = parts[0].lanes
    result = parts[0]
    done = [w if w < lanes else None for w in wanted]
    for part, start in zip(parts[1:], starts[1:]):
        inside = [0 <= w - start < lanes for w in wanted]
        chosen = [
            old if old is not None else lanes + w - start if here else None
            for old, w, here in zip(done, wanted, inside)
        ]
        result = f.b.shuffle(result, chosen, part)
        done = [i if c is not None else None for i, c in enumerate(chosen)]
    return result
