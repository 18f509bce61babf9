"""Kernels without reductions: a thread computes neighbouring points, read and written in words.

A thread has ``lanes`` neighbouring points in each of ``turns``; the points of neighbouring threads
lie side by side in each turn. All words of all turns are read before the first result is written,
for it is bytes on their way that memory needs to be busy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from fnad.lowering.access import kernel_exprs
from fnad.lowering.costs import operations_of
from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.points import bind_axes, count, index_kind, print_stores
from fnad.lowering.cuda.words import Words, length_of, most_lanes, uniform, varying
from fnad.lowering.cuda.writer import INT64, Function, Value
from fnad.lowering.expr import Expr, affine, affine_parts, axis
from fnad.lowering.kernels import store_parts
from fnad.lowering.plan import Kernel
from fnad.lowering.tensors import row_major
from fnad.lowering.walk import below, loads, postorder

THREADS = 256
# Fewer points are too few for the threads of a card: each gets its own.
_MIN_POINTS = 1 << 16
# Bytes that a thread reads before it waits.
_BYTES_IN_FLIGHT = 64
_MAX_TURNS = 4
# Blocks that keep a large card busy; turns do not leave fewer.
_MANY_BLOCKS = 1 << 10
# What a division for each point costs, in instructions that access memory.
_DIVISION = 0.5
# Operations at a point beyond which registers are better spent on them than on further points.
_MANY_OPERATIONS = 64


@dataclass(frozen=True, slots=True)
class Vectors:
    """How the points of a kernel are divided: see this module.

    If ``flat``, neighbours may belong to different rows, and the last ones may be fewer; else the
    innermost axis is a multiple of ``lanes``. ``loads`` are read before anything is computed, in
    words of so many elements; ``stores``, by position, are written so.
    """

    lanes: int
    turns: int
    flat: bool
    loads: dict[Expr, int]
    stores: dict[int, int]


def vectors_of(kernel: Kernel) -> Vectors | None:
    """How to divide a kernel into vectors; None if it is better run point by point."""
    if kernel.reductions or kernel.sequential or count(kernel.axes) < _MIN_POINTS:
        return None
    if any(s.combine is not None for s in kernel.stores):
        return None
    ways = [_divided(kernel, lanes, flat) for lanes, flat in _ways(kernel)]
    best = min(ways, key=lambda way: (_cost(kernel, way), way.lanes))
    return best if best.lanes > 1 or best.turns > 1 else None


def _ways(kernel: Kernel) -> Iterator[tuple[int, bool]]:
    """Numbers of lanes that are worth a try, and whether they are flat."""
    elements = [*loads(kernel_exprs(kernel)), *(s.value for s in kernel.stores)]
    most = most_lanes([e.dtype for e in elements])
    yield 1, False
    yield math.gcd(kernel.axes[-1][1], most), False
    yield most, True


def _divided(kernel: Kernel, lanes: int, flat: bool) -> Vectors:
    read = {e: _length(kernel, e.args[0], e, lanes, flat) for e in loads(kernel_exprs(kernel))}
    if lanes == 1:  # what need not wait for other loads is read ahead all the same
        innermost = axis(*kernel.axes[-1])
        ahead = {e: 1 for e in read if innermost in below(e) and not loads(e.args)}
        return Vectors(lanes, _turns(kernel, lanes, ahead), flat, ahead, {})
    read = {e: n for e, n in read.items() if n > 1}
    written = {
        k: _length(kernel, s.offset, s.value, lanes, flat)
        for k, s in enumerate(kernel.stores)
        if s.when is None
    }
    written = {k: n for k, n in written.items() if n > 1}
    return Vectors(lanes, _turns(kernel, lanes, read), flat, read, written)


def _length(kernel: Kernel, offset: Expr, element: Expr, lanes: int, flat: bool) -> int:
    """How many elements a word has at an offset."""
    inner = axis(*kernel.axes[-1])
    if flat:
        found = _flattened(kernel, offset)
        if found is None:
            return 1
        offset, inner = found, _flat_axis(kernel)
    return length_of(offset, inner, element.dtype.itemsize, lanes)


def _flat_axis(kernel: Kernel) -> Expr:
    """A variable that numbers all points."""
    return axis(1 + max(number for number, _ in kernel.axes), count(kernel.axes))


def _flattened(kernel: Kernel, offset: Expr) -> Expr | None:
    """An offset by the number of the point, if it is that and what does not vary."""
    terms, constant = affine_parts(offset)
    strides = row_major(tuple(extent for _, extent in kernel.axes))
    for a, stride in zip(kernel.axes, strides, strict=True):
        if terms.pop(axis(*a), 0) != stride:
            return None
    axes = [axis(*a) for a in kernel.axes]
    if not varying(terms, axes).isdisjoint(terms):
        return None
    return affine({**terms, _flat_axis(kernel): 1}, constant)


def _cost(kernel: Kernel, way: Vectors) -> float:
    """Roughly, what a point costs: instructions that access memory, and divisions."""
    read = loads(kernel_exprs(kernel))
    large = [e for e in read if _is_large(kernel, e.args[0])]
    if way.lanes == 1:
        return float(len(large) + len(kernel.stores))
    lengths = [way.loads.get(e, 1) for e in large]
    lengths += [way.stores.get(k, 1) for k in range(len(kernel.stores))]
    # An instruction of a warp that leaves gaps between its elements takes more cycles.
    total = sum(2.0 if n == 1 else 1.0 / n for n in lengths)
    axes = [axis(*a) for a in kernel.axes]
    scalar = [e.args[0] for e in read if e not in way.loads]
    if way.flat and not varying(scalar, axes).isdisjoint(scalar):
        total += _DIVISION * (len(axes) - 1)
    return total


def _is_large(kernel: Kernel, offset: Expr) -> bool:
    """Whether about as many elements are read as there are points; few ones stay in caches."""
    if offset.bounds is None:
        return True
    return 4 * (offset.bounds[1] - offset.bounds[0] + 1) >= count(kernel.axes)


def _turns(kernel: Kernel, lanes: int, read: dict[Expr, int]) -> int:
    """How many vectors of a thread are on their way together."""
    if operations_of(kernel_exprs(kernel)) > _MANY_OPERATIONS:
        return 1
    nbytes = lanes * sum(e.dtype.itemsize for e in read)
    nbytes = nbytes or lanes * max(s.value.dtype.itemsize for s in kernel.stores)
    blocks = count(kernel.axes) // (THREADS * lanes)
    turns = 1
    while (
        2 * turns <= _MAX_TURNS
        and 2 * turns * nbytes <= _BYTES_IN_FLIGHT
        and blocks >= 2 * turns * _MANY_BLOCKS
    ):
        turns *= 2
    return turns


def blocks_of(kernel: Kernel, way: Vectors) -> int:
    """How many blocks of `THREADS` threads a kernel is launched with."""
    return -(-(count(kernel.axes) // way.lanes) // (THREADS * way.turns))


# -- printing ----------------------------------------------------------------------------------


def print_vectors(f: Function, printer: ExpressionPrinter, kernel: Kernel, way: Vectors) -> None:
    """Append the body of a kernel, launched with `blocks_of` blocks of `THREADS` threads."""
    _Printing(f, printer, kernel, way).body()


class _Printing:
    """A kernel on its way into a function."""

    def __init__(
        self, f: Function, printer: ExpressionPrinter, kernel: Kernel, way: Vectors
    ) -> None:
        self.f, self.printer, self.kernel, self.way = f, printer, kernel, way
        self.points = count(kernel.axes)
        self.vectors = self.points // way.lanes
        self.kind = index_kind(self.points + THREADS * way.turns * way.lanes)
        self.read = {
            e: Words(f, e.dtype, way.lanes, length, way.turns) for e, length in way.loads.items()
        }
        # What varies in a vector, and what is computed point by point.
        self._axes = {axis(*a) for a in (kernel.axes if way.flat else kernel.axes[-1:])}
        self._roots = [
            e for k, s in enumerate(kernel.stores) for e in store_parts(s)[k in way.stores :]
        ]

    def body(self) -> None:
        f, kind = self.f, self.kind
        block = THREADS * self.way.turns
        first = f.named(kind, f"({kind})blockIdx.x * {block} + (i32)threadIdx.x", INT64).ref
        whole = self.vectors % block == 0
        with self._if("" if whole else f"{first} < {self.vectors}"):
            if self.way.turns == 1:
                self._vector(first, "0", fill=True)
            else:
                self._all_turns(first, whole)
        self._rest(first)

    def _all_turns(self, first: str, whole: bool) -> None:
        """Read the words of all turns, then run them; ``whole`` if there is a vector for each."""
        f = self.f
        if self.read:
            with self._turn(first) as (vector, turn), self.printer.scope():
                if not whole:  # a vector of its own once more: others may be written meanwhile
                    inside = f"{vector} < {self.vectors} ? {vector} : {first}"
                    vector = f.named(self.kind, inside, INT64).ref
                self._bind(vector)
                self._fill(turn)
        with (
            self._turn(first) as (vector, turn),
            self._if("" if whole else f"{vector} < {self.vectors}"),
        ):
            self._vector(vector, turn)

    @contextmanager
    def _turn(self, first: str) -> Iterator[tuple[str, str]]:
        """A loop over turns: the number of the vector, and of the turn."""
        f, turn = self.f, self.f.fresh("turn")
        f.line("#pragma unroll")
        with f.block(f"for (i32 {turn} = 0; {turn} < {self.way.turns}; {turn}++)"):
            yield f.named(self.kind, f"{first} + {turn} * {THREADS}", INT64).ref, turn

    @contextmanager
    def _if(self, condition: str) -> Iterator[None]:
        with ExitStack() as stack:
            if condition:
                stack.enter_context(self.f.block(f"if ({condition})"))
            yield

    def _fill(self, turn: str) -> None:
        """Read the words of a vector whose first point is bound."""
        for e, words in self.read.items():
            words.fill(self.printer.pointers[e.attr], self._place(e.args[0]), turn)

    def _place(self, offset: Expr) -> Value:
        """Where the first element of a vector lies."""
        if self.way.flat:
            found = _flattened(self.kernel, offset)
            assert found is not None
            offset = found
        return self.printer.value(offset)

    def _vector(self, vector: str, turn: str, fill: bool = False) -> None:
        """What the points of a vector store; read its words first if that has not been done."""
        f, printer, way, stores = self.f, self.printer, self.way, self.kernel.stores
        with printer.scope():
            base = self._bind(vector)
            with printer.scope():
                if fill:
                    self._fill(turn)
                places = {k: self._place(stores[k].offset) for k in way.stores}
            written = {
                k: Words(f, stores[k].value.dtype, way.lanes, length)
                for k, length in way.stores.items()
            }
            with ExitStack() as stack:
                lane = "0"
                if way.lanes > 1:
                    self._hoist()
                    lane = f.fresh("lane")
                    f.line("#pragma unroll")
                    head = f"for (i32 {lane} = 0; {lane} < {way.lanes}; {lane}++)"
                    stack.enter_context(f.block(head))
                    stack.enter_context(printer.scope())
                    self._bind_lane(base, lane)
                for e, words in self.read.items():
                    printer.bind(e, words.element(turn, lane))
                self._point(written, lane)
            for k, words in written.items():
                words.flush(printer.pointers[stores[k].buffer], places[k])

    def _point(self, written: dict[int, Words], lane: str) -> None:
        """One point: all values first, for a store must not change what another one reads."""
        stores = self.kernel.stores
        values = [self.printer.value(s.value) for s in stores]
        for k, words in written.items():
            self.f.line(f"{words.element('0', lane).ref} = {values[k].ref};")
        rest = [s for k, s in enumerate(stores) if k not in written]
        print_stores(self.f, self.printer, rest)

    def _bind(self, vector: str) -> str:
        """Bind the axes at the first point of a vector, save those that vary in it if flat.

        Returns what the numbers of lanes are added to: a point, or a place on the innermost axis.
        """
        f, printer, way, kind = self.f, self.printer, self.way, self.kind
        if way.flat:
            point = f.named(kind, f"{vector} * {way.lanes}", INT64)
            printer.bind_axis(_flat_axis(self.kernel).attr[0], point)
            return point.ref
        *outer, (number, extent) = self.kernel.axes
        bind_axes(f, printer, (*outer, (number, extent // way.lanes)), vector, kind)
        if way.lanes == 1:
            return ""
        base = f.named(kind, f"{printer.axis_value(number).ref} * {way.lanes}", INT64)
        printer.bind_axis(number, base)
        return base.ref

    def _bind_lane(self, base: str, lane: str) -> None:
        f, axes = self.f, self.kernel.axes
        if self._axes.isdisjoint(postorder(self._roots, lambda e: e in self.read)):
            return  # only words vary
        place = f.named(self.kind, f"{base} + {lane}", INT64)
        if self.way.flat:
            bind_axes(f, self.printer, axes, place.ref, self.kind)
        else:
            self.printer.bind_axis(axes[-1][0], place)

    def _hoist(self) -> None:
        """Emit what all points of a vector share."""
        for e in uniform(self._roots, {*self._axes, *self.read}):
            self.printer.value(e)

    def _rest(self, first: str) -> None:
        """Points behind the last whole vector, one for each of the first threads."""
        rest = self.points % self.way.lanes
        if not rest:
            return
        f, printer = self.f, self.printer
        with f.block(f"if ({first} < {rest})"), printer.scope():
            start = self.vectors * self.way.lanes
            point = f.named(self.kind, f"{start} + {first}", INT64).ref
            bind_axes(f, printer, self.kernel.axes, point, self.kind)
            print_stores(f, printer, self.kernel.stores)
