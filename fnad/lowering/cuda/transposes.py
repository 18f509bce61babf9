"""Kernels that read along one axis and write along another, through tiles in shared memory.

Before, the elements that the threads of a warp read lay far apart::

    [i0<64, i1<64]: %1[64*i0 + i1] = %0[i0 + 64*i1]

Now a block reads a tile of (side, side) elements with neighbouring threads along ``i0``, and
computes its points with neighbouring threads along ``i1``. Lines of a tile are one element longer
than they need be, so that neither way meets a bank of shared memory twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.points import Axes, bind_axes, count, index_kind, print_stores
from fnad.lowering.cuda.writer import INT64, Function, Value, ctype
from fnad.lowering.expr import Expr, affine_parts, axis
from fnad.lowering.plan import Kernel
from fnad.lowering.walk import loads

THREADS = 256
# Elements that are further apart along the axis of the stores are worth a tile.
_FAR = 8
# Shorter axes would leave tiles empty, fewer points stay in caches.
_MIN_EXTENT = 16
_MIN_POINTS = 1 << 14
_SHARED_BYTES = 48 << 10


@dataclass(frozen=True, slots=True)
class Tiles:
    """How a kernel is divided: tiles of its innermost axis and ``other``, and the loads in them."""

    other: tuple[int, int]
    side: int
    loads: tuple[Expr, ...]


def tiles_of(kernel: Kernel) -> Tiles | None:
    """The tiles of a kernel that reads across; None if none is worth one."""
    if kernel.reductions or kernel.sequential or count(kernel.axes) < _MIN_POINTS:
        return None
    if any(s.combine is not None for s in kernel.stores):
        return None
    found = {e: _across(kernel, e) for e in loads([s.value for s in kernel.stores])}
    votes = Counter(other for other in found.values() if other is not None)
    if not votes:
        return None
    other = votes.most_common(1)[0][0]
    read = tuple([e for e, along in found.items() if along == other])
    # 64 bytes at least are read and written together.
    side = 64 if min(e.dtype.itemsize for e in read) == 1 else 32
    nbytes = sum(side * (side + 1) * e.dtype.itemsize for e in read)
    return Tiles(other, side, read) if nbytes <= _SHARED_BYTES else None


def _across(kernel: Kernel, e: Expr) -> tuple[int, int] | None:
    """The axis along which a load reads neighbours, if that is another than the innermost."""
    terms, _ = affine_parts(e.args[0])
    *outer, innermost = kernel.axes
    if abs(terms.get(axis(*innermost), 0)) <= _FAR or innermost[1] < _MIN_EXTENT:
        return None
    found = [a for a in outer if terms.get(axis(*a)) == 1 and a[1] >= _MIN_EXTENT]
    if not found or not all(t.op in ("axis", "counter") for t in terms):
        return None
    return found[0]


def _grid(kernel: Kernel, tiles: Tiles) -> Axes:
    """The loops that number tiles: those of the other axes, then the tiles along both."""
    innermost = kernel.axes[-1]
    outer = [a for a in kernel.axes if a not in (tiles.other, innermost)]
    both = [(number, -(-extent // tiles.side)) for number, extent in (tiles.other, innermost)]
    return (*outer, *both)


def blocks_of(kernel: Kernel, tiles: Tiles) -> int:
    """How many blocks of `THREADS` threads a kernel is launched with."""
    return count(_grid(kernel, tiles))


def print_tiles(f: Function, printer: ExpressionPrinter, kernel: Kernel, tiles: Tiles) -> None:
    """Append the body of a kernel, launched with `blocks_of` blocks of `THREADS` threads."""
    side, rows, columns = tiles.side, tiles.other, kernel.axes[-1]
    kind = index_kind(count(kernel.axes) + side * side)
    names = {}
    for e in tiles.loads:
        names[e] = f.fresh("tile")
        f.line(f"__shared__ {ctype(e.dtype)} {names[e]}[{side}][{side + 1}];")
    grid = _grid(kernel, tiles)
    bind_axes(f, printer, grid, f.named(kind, f"({kind})blockIdx.x", INT64).ref, kind)
    starts = {
        number: f.named(kind, f"{printer.axis_value(number).ref} * {side}", INT64).ref
        for number, _ in (rows, columns)
    }
    with _elements(f, side) as (line, place), printer.scope():
        # What lies beyond the ends is read as the last element is: no load waits for a condition.
        for (number, extent), at in ((rows, place), (columns, line)):
            index = f"{starts[number]} + {at}"
            if extent % side:
                index = f"{index} < {extent} ? {index} : {extent - 1}"
            printer.bind_axis(number, f.named(kind, index, INT64))
        for e in tiles.loads:
            f.line(f"{names[e]}[{line}][{place}] = {printer.value(e).ref};")
    f.line("__syncthreads();")
    with _elements(f, side) as (line, place), printer.scope(), ExitStack() as stack:
        conditions = []
        for (number, extent), at in ((rows, line), (columns, place)):
            inside = f.named(kind, f"{starts[number]} + {at}", INT64)
            printer.bind_axis(number, inside)
            conditions += [f"{inside.ref} < {extent}"] if extent % side else []
        if conditions:
            stack.enter_context(f.block(f"if ({' && '.join(conditions)})"))
            stack.enter_context(printer.scope())
        for e in tiles.loads:
            printer.bind(e, Value(f"{names[e]}[{place}][{line}]", e.dtype))
        print_stores(f, printer, kernel.stores)


@contextmanager
def _elements(f: Function, side: int) -> Iterator[tuple[str, str]]:
    """A loop over a thread's elements of a tile: the line, and the place in it.

    Neighbouring threads have neighbouring places.
    """
    turn = f.fresh("turn")
    f.line("#pragma unroll")
    with f.block(f"for (i32 {turn} = 0; {turn} < {side * side // THREADS}; {turn}++)"):
        lines = THREADS // side
        line = f.named("i32", f"(i32)threadIdx.x / {side} + {turn} * {lines}", INT64).ref
        yield line, f.named("i32", f"(i32)threadIdx.x % {side}", INT64).ref
