"""Kernels that read along one axis and write along another, through tiles transposed in registers.

Before, every lane of a vector was a load of its own::

    [i0<64, i1<64]: %1[64*i0 + i1] = %0[i0 + 64*i1]

Now a square tile of points is read in vectors along ``i0``, transposed by shuffles of vectors
(Eklundh, 1972) and left on the stack, from where vectors along ``i1`` are taken. The sides of a
tile are whole cache lines, so that each is read, and written, at once.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

from fnad.lowering.expr import Expr, affine_parts, axis
from fnad.lowering.llvm.nests import Nest
from fnad.lowering.llvm.places import Strided, Vector, strided
from fnad.lowering.llvm.squares import transposed
from fnad.lowering.llvm.target import VECTOR_CODE, Recipe
from fnad.lowering.llvm.vectors import Range, lanes_for, mask_of
from fnad.lowering.llvm.writer import (
    INT64,
    DType,
    Function,
    Module,
    Value,
    dtype_of_suffix,
    memory_type,
    suffix,
)
from fnad.lowering.plan import Kernel
from fnad.lowering.walk import postorder

# Elements that are further apart along the axis of the stores are worth a tile.
_FAR = 8
# Larger tiles need more registers than there are.
_LARGEST = 16

_LINE_BYTES = 64


def across(kernel: Kernel) -> tuple[int, int] | None:
    """The axis along which most loads have unit stride that are far apart along the innermost."""
    if kernel.reductions or kernel.sequential or len(kernel.axes) < 2:
        return None
    votes = Counter(
        other
        for load in postorder(s.value for s in kernel.stores)
        for other in [_read_across(kernel, load)]
        if other is not None
    )
    return votes.most_common(1)[0][0] if votes else None


def tasks_of_tile(kernel: Kernel) -> int:
    """How many tasks a tile takes in: as few elements would be read of each of its vectors."""
    return _LARGEST if across(kernel) == kernel.axes[0] else 1


def _read_across(kernel: Kernel, e: Expr) -> tuple[int, int] | None:
    """The axis along which a load has unit stride, if that is another than the innermost."""
    if e.op != "load":
        return None
    terms, _ = affine_parts(e.args[0])
    *outer, innermost = kernel.axes
    if abs(terms.get(axis(*innermost), 0)) <= _FAR or innermost[1] < _FAR:
        return None
    found = [a for a in outer if terms.get(axis(*a)) == 1 and a[1] >= _FAR]
    if not found or not all(t.op in ("axis", "counter") for t in terms):
        return None
    return found[0]


def emit_tiles(nest: Nest, other: tuple[int, int]) -> None:
    """Emit tiles of the innermost axis (columns) and the axis ``other`` (rows)."""
    f, p, kernel = nest.f, nest.p, nest.kernel
    columns = kernel.axes[-1]
    shorter = min(other[1], columns[1])
    lanes = min(lanes_for(nest.roots, [], shorter), _LARGEST)
    outer = [a for a in kernel.axes if a not in (other, columns)]
    loads = [
        e for e in postorder(s.value for s in kernel.stores) if _read_across(kernel, e) == other
    ]
    side = lanes
    while 2 * side <= min(shorter, _LARGEST, _LINE_BYTES // max(e.dtype.itemsize for e in loads)):
        side *= 2
    overlapping = nest.is_plain() and columns[1] >= side
    tiles = [f.alloca(memory_type(e.dtype, side), side) for e in loads]
    with nest.loops(outer, None), ExitStack() as stack:
        row, height = _tile(stack, nest, nest.ranges[other[0]], side)
        column, width = _tile(stack, nest, Range(0, columns[1]), side)
        if overlapping:  # the last tile may begin earlier: what it repeats stays the same
            column = f.b.minimum(column, _number(f, columns[1] - side))
            width = _number(f, side)
        for e, tile in zip(loads, tiles):
            with p.scope():
                p.bind_vector(Vector(other[0], row, 0, lanes))
                place = strided(p, e.args[0], other[0])
                assert place is not None
                _fill(nest, e, place, (columns[0], column), (tile, height, width), side)
        masked = not overlapping and columns[1] % side != 0
        with (
            f.loop(height, as_written=True) as turn,
            f.loop(side // lanes, as_written=True) as part,
            p.scope(),
        ):
            first = f.b.multiply(part.index, _number(f, lanes))
            mask = _mask(f, width, first, lanes) if masked else None
            p.bind_axis(other[0], f.b.add(row, turn.index))
            p.bind_vector(Vector(columns[0], f.b.add(column, first), 0, lanes, mask))
            at = f.b.add(f.b.multiply(turn.index, _number(f, side)), first)
            for e, tile in zip(loads, tiles):
                p.keep(e, f.load(f.element(tile, e.dtype, at), e.dtype, lanes))
            nest.stores()


def _mask(f: Function, length: Value, first: Value, lanes: int) -> Value:
    """Which lanes from ``first`` on there are."""
    left = f.b.maximum(f.b.subtract(length, first), _number(f, 0))
    return mask_of(f, left, lanes)


def _number(f: Function, value: int) -> Value:
    return f.b.constant(value, INT64)


def _tile(stack: ExitStack, nest: Nest, where: Range, lanes: int) -> tuple[Value, Value]:
    """Open a loop over the tiles of a range; where one starts, and how long it is."""
    f, (start, stop) = nest.f, where.values(nest.f)
    length = f.b.subtract(stop, start)
    count = f.b.divide(f.b.add(length, _number(f, lanes - 1)), _number(f, lanes))
    turn = stack.enter_context(f.loop(count, as_written=True))
    stack.enter_context(nest.p.scope())
    first = f.b.add(start, f.b.multiply(turn.index, _number(f, lanes)))
    return first, f.b.minimum(f.b.subtract(stop, first), _number(f, lanes))


def _fill(
    nest: Nest,
    e: Expr,
    place: Strided,
    columns: tuple[int, Value],
    tile: tuple[str, Value, Value],
    side: int,
) -> None:
    """Call the function that transposes a tile, from the buffer to the stack."""
    f, p = nest.f, nest.p
    number, column = columns
    stride = affine_parts(place.rest)[0][_axis_in(place.rest, number)]
    p.bind_axis(number, column)
    assert p.vector is not None
    offset = f.b.add(p.value(place.rest), p.vector.base)
    source = f.element(f.element(p.pointers[e.attr], e.dtype, offset), e.dtype, place.constant)
    symbol = _declared(f.module, e.dtype, p.vector.lanes, side)
    target, height, width = tile
    f.emit(
        f"call void @{symbol}(ptr {source}, i64 {stride}, ptr {target}, {height.typed},"
        f" {width.typed})"
    )


def _axis_in(expr: Expr, number: int) -> Expr:
    terms = affine_parts(expr)[0]
    return next(t for t in terms if t.op == "axis" and t.attr[0] == number)


# -- the function that transposes a tile --------------------------------------------------------

_SYMBOL = "fnad.transpose.{}x{}x{}"


def _declared(module: Module, dtype: DType, lanes: int, side: int) -> str:
    """Declare ``transpose(source, stride, target, height, width)``; returns its symbol.

    Element (i, j) of the dense target, of ``side`` columns, is ``source[i + stride * j]`` for
    all i < height and j < width; the others are anything.
    """
    symbol = _SYMBOL.format(suffix(dtype), lanes, side)
    module.declare(symbol, f"declare void @{symbol}(ptr, i64, ptr, i64, i64) nounwind")
    return symbol


def source_of(symbol: str) -> tuple[str, Recipe]:
    """A module with the function of that name; `own_functions` loads it."""
    kind, lanes, side = symbol.rpartition(".")[2].split("x")
    module = Module()
    _define(module, symbol, dtype_of_suffix(kind), int(lanes), int(side))
    return module.text(), VECTOR_CODE


def _define(module: Module, symbol: str, dtype: DType, lanes: int, side: int) -> None:
    """Squares of ``lanes`` by ``lanes`` elements, those beside each other in the source first."""
    parameters = ["ptr %source", "i64 %stride", "ptr noalias %target", "i64 %height", "i64 %width"]
    f = Function(module, symbol, parameters, linkage="")
    b, stride, width = f.b, Value("%stride", INT64), Value("%width", INT64)
    height, last = Value("%height", INT64), b.subtract(width, _number(f, 1))
    corners = range(0, side, lanes)
    masks = [_mask(f, height, _number(f, i), lanes) for i in corners]
    for j in corners:
        starts = [b.multiply(b.minimum(_number(f, j + k), last), stride) for k in range(lanes)]
        for i, mask in zip(corners, masks, strict=True):
            rows = []
            for start in starts:
                place = f.element(f.element("%source", dtype, start), dtype, i)
                rows.append(f.load(place, dtype, lanes, mask))
            for k, row in enumerate(transposed(f, rows)):
                f.store(row, f.element("%target", dtype, (i + k) * side + j))
    f.ret()
    module.add(f)
