"""Writes at computed places: sequential kernels, whose points may meet in one place.

The loops of such a kernel are of two kinds: `points`, which choose the place, a row of the buffer,
and `columns` within the row. What happens where points meet follows from their order:

- If there are few points, every thread looks at all of them for those that meet its own.
- The last point that writes to a place is found by a maximum over the numbers of points.
- Integers, and the extrema of floats, are combined by atomic operations: any order does.
- Otherwise points are sorted by place (`radix`), and one thread takes those of a place in order; a
  long run of them in parts, which are cut where their numbers are multiples of `RUN`.

So results never depend on which thread is the faster one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fnad.core.types import kind_of
from fnad.lowering.access import kernel_exprs, own_access
from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.points import Axes, bind_axes, count, index_kind
from fnad.lowering.cuda.program import Launch, Step
from fnad.lowering.cuda.radix import UINT32, UINT64, Columns, radix_steps
from fnad.lowering.cuda.writer import INT64, DType, Function, Value, ctype
from fnad.lowering.expr import Expr, affine, affine_parts, axis
from fnad.lowering.plan import Kernel, Store
from fnad.lowering.walk import below, loads

if TYPE_CHECKING:
    from fnad.lowering.cuda.emitter import Emitter

# So many points, each of which is compared with all, and such comparisons in a launch.
FEW = 512
COMPARISONS = 1 << 31
# Points of one place that one thread combines, at most, if there are many.
RUN = 256
_THREADS = 256


@dataclass(frozen=True, slots=True)
class Scatter:
    """A sequential kernel of one store, its loops told apart.

    Attributes
    ----------
    points, columns : Axes
        The loops that choose a row, and those that run inside of it: points in different rows, or
        in different columns of one, write different elements.
    place : Expr
        The number of the row, less than ``places``; it does not vary along columns.
    """

    kernel: Kernel
    store: Store
    points: Axes
    columns: Axes
    place: Expr
    places: int

    @property
    def count(self) -> int:
        """How many points there are."""
        return count(self.points)

    @property
    def width(self) -> int:
        """How many columns each of them has."""
        return count(self.columns)

    @property
    def index(self) -> str:
        """The type of numbers of points, and of columns of points."""
        return index_kind(self.count * self.width + _THREADS)

    @property
    def place_dtype(self) -> DType:
        """That of numbers of rows; ``places`` stands for no row at all."""
        return UINT32 if self.places < 2**32 else UINT64


# -- what is written where ---------------------------------------------------------------------


def scatter_of(kernel: Kernel, size: int) -> Scatter | None:
    """The loops of a sequential kernel told apart; ``size`` is that of the buffer it writes.

    None for a kernel that has several stores, or reads what it writes: its points need to run one
    after the other.
    """
    if len(kernel.stores) != 1 or kernel.reductions or count(kernel.axes) >= 2**32:
        return None
    [store] = kernel.stores
    if any(e.attr == store.buffer for e in loads(kernel_exprs(kernel))):
        return None
    terms, _ = affine_parts(store.offset)
    candidates = _candidates(kernel, store, terms)
    for number in range(len(candidates), 0, -1):
        columns = candidates[:number]
        rest = {t: c for t, c in terms.items() if t not in columns}
        pitch = math.gcd(*rest.values())
        if not _disjoint([(terms[e], e.attr[1]) for e in columns], pitch):
            continue
        place = affine({t: c // max(pitch, 1) for t, c in rest.items()}, 0)
        if place.bounds is not None:
            low, high = place.bounds
            inner = tuple(a for a in kernel.axes if axis(*a) in columns)
            outer = tuple(a for a in kernel.axes if axis(*a) not in columns)
            return Scatter(kernel, store, outer, inner, place - low, high - low + 1)
    return Scatter(kernel, store, kernel.axes, (), store.offset, size)


def _candidates(kernel: Kernel, store: Store, terms: dict[Expr, int]) -> list[Expr]:
    """Loop variables that move the place by themselves alone, from the smallest step on."""
    found = [axis(*a) for a in kernel.axes if terms.get(axis(*a), 0) > 0]
    others = [e for t in terms if t.op != "axis" for e in below(t)]
    if store.when is not None:
        others += below(store.when)
    hidden = set(others)
    return sorted([e for e in found if e not in hidden], key=lambda e: terms[e])


def _disjoint(steps: list[tuple[int, int]], pitch: int) -> bool:
    """Whether columns of such steps and extents never meet, in rows that are ``pitch`` apart."""
    span = 1
    for step, extent in steps:
        if step < span:
            return False
        span += step * (extent - 1)
    return pitch == 0 or pitch >= span


# -- steps -------------------------------------------------------------------------------------


def scatter_steps(emitter: Emitter, s: Scatter) -> list[Step]:
    """The launches that do a kernel."""
    if s.count <= FEW and s.count**2 * s.width <= COMPARISONS:
        return [_few(emitter, s)]
    if s.store.combine is None:
        return _last(emitter, s)
    if is_exact(s.store.combine, s.store.value.dtype):
        return [_atomic(emitter, s)]
    return _in_order(emitter, s)


def is_exact(combine: str, dtype: DType) -> bool:
    """Whether elements may be combined in any order, by atomic operations.

    There are none for elements of less than 32 bits that would not touch their neighbours.
    """
    return dtype.itemsize >= 4 and (dtype.kind in "iu" or combine in ("max", "min"))


def _launch(
    emitter: Emitter,
    s: Scatter,
    stem: str,
    write: Callable[[Function, ExpressionPrinter], None],
    temporaries: Iterable[int],
    written: Iterable[int],
    threads: int,
) -> Launch:
    """A launch of so many threads, numbered ``e``, that may read what the kernel reads."""

    def guarded(f: Function, printer: ExpressionPrinter) -> None:
        f.line(f"const {s.index} e = ({s.index})blockIdx.x * {_THREADS} + threadIdx.x;")
        write(f, printer)

    buffers = [*sorted(own_access(s.kernel).touched), *temporaries]
    blocks = -(-threads // _THREADS)
    exprs = kernel_exprs(s.kernel)
    return emitter.launch(stem, guarded, buffers, written, exprs, blocks, _THREADS)


def _print_place(f: Function, printer: ExpressionPrinter, s: Scatter, point: str) -> Value:
    """The number of the row that a point writes to, ``places`` if it writes nothing."""
    with printer.scope():
        bind_axes(f, printer, s.points, point, s.index)
        place, dtype = printer.value(s.place), s.place_dtype
        none = f.b.constant(s.places, dtype)
        if s.store.when is None:
            return f.value(f"({ctype(dtype)}){place.ref}", dtype)
        when = printer.value(s.store.when)
        return f.value(f"{when.ref} ? ({ctype(dtype)}){place.ref} : {none.ref}", dtype)


def _print_value(f: Function, printer: ExpressionPrinter, s: Scatter, point: str) -> Value:
    """What a point writes in the column that is bound."""
    with printer.scope():
        bind_axes(f, printer, s.points, point, s.index)
        return printer.value(s.store.value)


def _print_element(f: Function, printer: ExpressionPrinter, s: Scatter, point: str) -> str:
    """The element of the buffer that a point writes to in the column that is bound."""
    with printer.scope():
        bind_axes(f, printer, s.points, point, s.index)
        return f"{printer.pointers[s.store.buffer]}[{printer.value(s.store.offset).ref}]"


def _print_point(f: Function, printer: ExpressionPrinter, s: Scatter) -> None:
    """Define the number ``p`` that thread ``e`` has among the points, and bind its column."""
    f.line(f"if (e >= {s.count * s.width}) return;")
    f.line(f"const {s.index} p = e / {s.width};")
    bind_axes(f, printer, s.columns, f.named(s.index, f"e % {s.width}", INT64).ref, s.index)


# -- few points --------------------------------------------------------------------------------


def _few(emitter: Emitter, s: Scatter) -> Launch:
    """The first of the points that meet combines all of them; or the last one alone writes."""
    combine, none = s.store.combine, s.places

    def write(f: Function, printer: ExpressionPrinter) -> None:
        f.line(f"__shared__ {ctype(s.place_dtype)} rows[{s.count}];")
        with f.block(f"for ({s.index} k = threadIdx.x; k < {s.count}; k += {_THREADS})"):
            f.line(f"rows[k] = {_print_place(f, printer, s, 'k').ref};")
        f.line("__syncthreads();")
        _print_point(f, printer, s)
        f.line(f"const {ctype(s.place_dtype)} row = rows[p];")
        if s.store.when is not None:
            f.line(f"if (row == {f.b.constant(none, s.place_dtype).ref}) return;")
        others = f"k = p + 1; k < {s.count}" if combine is None else "k = 0; k < p"
        with f.block(f"for ({s.index} {others}; k++)"):
            f.line("if (rows[k] == row) return;")
        element = _print_element(f, printer, s, "p")
        if combine is None:
            f.line(f"{element} = {_print_value(f, printer, s, 'p').ref};")
            return
        total = f.variable(Value(element, s.store.value.dtype))
        with f.block(f"for ({s.index} k = p; k < {s.count}; k++)"), f.block("if (rows[k] == row)"):
            term = _print_value(f, printer, s, "k")
            f.line(f"{total.ref} = {f.b.accumulate(combine, total, term).ref};")
        f.line(f"{element} = {total.ref};")

    return _launch(emitter, s, "scatter", write, [], [s.store.buffer], s.count * s.width)


# -- the last one writes -----------------------------------------------------------------------


def _last(emitter: Emitter, s: Scatter) -> list[Step]:
    """Write to every row the number of the last point that writes there, and look who that is."""

    def each_point(change: str) -> Callable[[Function, ExpressionPrinter], None]:
        def write(f: Function, printer: ExpressionPrinter) -> None:
            f.line(f"if (e >= {s.count}) return;")
            row = _print_place(f, printer, s, "e").ref
            f.line(change.format(f"{printer.pointers[last]}[{row}]"))

        return write

    def write(f: Function, printer: ExpressionPrinter) -> None:
        _print_point(f, printer, s)
        row = _print_place(f, printer, s, "p")
        if s.store.when is not None:
            f.line(f"if ({row.ref} == {f.b.constant(s.places, row.dtype).ref}) return;")
        f.line(f"if ({printer.pointers[last]}[{row.ref}] != (u32)p) return;")
        element = _print_element(f, printer, s, "p")
        f.line(f"{element} = {_print_value(f, printer, s, 'p').ref};")

    with emitter.temporaries((s.places + 1, UINT32)) as [last]:
        none, find = each_point("{} = 0;"), each_point("atomicMax(&{}, (u32)e);")
        return [
            _launch(emitter, s, "no_writers", none, [last], [last], s.count),
            _launch(emitter, s, "last_writers", find, [last], [last], s.count),
            _launch(emitter, s, "scatter", write, [last], [s.store.buffer], s.count * s.width),
        ]


# -- any order ---------------------------------------------------------------------------------


def _atomic(emitter: Emitter, s: Scatter) -> Launch:
    """Combine elements in the order in which threads come."""
    combine = s.store.combine
    assert combine is not None

    def write(f: Function, printer: ExpressionPrinter) -> None:
        _print_point(f, printer, s)
        with ExitStack() as stack:
            if s.store.when is not None:
                row = _print_place(f, printer, s, "p")
                none = f.b.constant(s.places, row.dtype).ref
                stack.enter_context(f.block(f"if ({row.ref} != {none})"))
                stack.enter_context(printer.scope())
            value = _print_value(f, printer, s, "p")
            _print_atomic(f, combine, _print_element(f, printer, s, "p"), value)

    return _launch(emitter, s, "scatter", write, [], [s.store.buffer], s.count * s.width)


_ATOMICS = {"add": "atomicAdd", "max": "atomicMax", "min": "atomicMin"}


def _print_atomic(f: Function, combine: str, element: str, value: Value) -> None:
    """Combine a value with an element of memory; see `is_exact`."""
    kind = ctype(value.dtype)
    if value.dtype.kind in "iu" and combine in _ATOMICS:
        # Sums wrap, so that their type does not matter; CUDA has but one of 64 bits.
        word = "u64" if combine == "add" and value.dtype.itemsize == 8 else kind
        f.line(f"{_ATOMICS[combine]}(({word}*)&{element}, ({word}){value.ref});")
        return
    unsigned = np.dtype(f"u{value.dtype.itemsize}")
    word = ctype(unsigned)
    if kind_of(value.dtype) == "f":  # let it not matter whose NaN it is
        value = f.b.where(f.b.is_nan(value), f.b.constant(np.nan, value.dtype), value)
    memory, found, old = f.fresh("memory"), f.fresh("found"), f.fresh("old")
    f.line(f"{word}* const {memory} = ({word}*)&{element};")
    f.line(f"{word} {found} = *(volatile {word}*){memory}, {old};")
    with f.block("do"):
        f.line(f"{old} = {found};")
        total = f.b.bitcast(Value(old, unsigned), value.dtype)
        if kind_of(value.dtype) == "f":
            f.line(f"if (!({_is_beyond(f, combine, value, total)})) break;")
            following = value
        else:
            following = f.b.accumulate(combine, total, value)
        f.line(f"{found} = atomicCAS({memory}, {old}, {f.b.bitcast(following, unsigned).ref});")
    f.line(f"while ({found} != {old});")


def _is_beyond(f: Function, combine: str, x: Value, y: Value) -> str:
    """Whether float ``x`` is a new extremum: NaN is beyond all numbers, and 0.0 above -0.0."""
    ahead = f.b.greater(x, y) if combine == "max" else f.b.less(x, y)
    signed = (
        f.b.copysign(f.b.constant(1.0, x.dtype), x),
        f.b.copysign(f.b.constant(1.0, y.dtype), y),
    )
    tied = f.b.greater(*signed) if combine == "max" else f.b.less(*signed)
    return f"{f.b.is_nan(x).ref} || {ahead.ref} || {f.b.equal(x, y).ref} && {tied.ref}"


# -- in order ----------------------------------------------------------------------------------


def _in_order(emitter: Emitter, s: Scatter) -> list[Step]:
    """Sort points by row, so that those that meet are a run, and combine each run in order."""
    size, dtype = s.count, s.place_dtype
    columns = [(size, dtype), (size, dtype), (size, UINT32), (size, UINT32)]
    if size > RUN:
        columns.append((-(-size // RUN) * s.width, s.store.value.dtype))
    with emitter.temporaries(*columns) as [a, b, c, d, *partial]:
        unsorted = Columns(1, size, (a, b), (c, d), dtype)
        passes, now = radix_steps(emitter, unsorted, s.places.bit_length())
        rows, order = now.keys[0], now.places[0]
        steps: list[Step] = [_rows(emitter, s, unsorted.keys[0], unsorted.places[0]), *passes]
        if partial:
            steps.append(_parts(emitter, s, rows, order, partial[0]))
        return [*steps, _runs(emitter, s, rows, order, partial)]


def _rows(emitter: Emitter, s: Scatter, rows: int, order: int) -> Launch:
    """The rows of points, and their numbers."""

    def write(f: Function, printer: ExpressionPrinter) -> None:
        f.line(f"if (e >= {s.count}) return;")
        f.line(f"{printer.pointers[rows]}[e] = {_print_place(f, printer, s, 'e').ref};")
        f.line(f"{printer.pointers[order]}[e] = (u32)e;")

    return _launch(emitter, s, "scatter_rows", write, [rows, order], [rows, order], s.count)


def _parts(emitter: Emitter, s: Scatter, rows: int, order: int, partial: int) -> Launch:
    """Combine each part of a run but the first: they begin at the multiples of `RUN`."""
    number = -(-s.count // RUN) * s.width

    def write(f: Function, printer: ExpressionPrinter) -> None:
        row = printer.pointers[rows]
        f.line(f"if (e >= {number}) return;")
        f.line(f"const {s.index} begin = e / {s.width} * {RUN};")
        f.line(f"if (begin == 0 || {row}[begin] != {row}[begin - 1]) return;")
        bind_axes(f, printer, s.columns, f.named(s.index, f"e % {s.width}", INT64).ref, s.index)
        first = f.named(s.index, f"{printer.pointers[order]}[begin]", INT64)
        total = f.variable(_print_value(f, printer, s, first.ref))
        _print_run(f, printer, s, (rows, order), total, "begin", "begin + 1")
        f.line(f"{printer.pointers[partial]}[e] = {total.ref};")

    temporaries = [rows, order, partial]
    return _launch(emitter, s, "scatter_parts", write, temporaries, [partial], number)


def _print_run(
    f: Function,
    printer: ExpressionPrinter,
    s: Scatter,
    sorted_points: tuple[int, int],
    total: Value,
    begin: str,
    start: str,
) -> None:
    """Take points from ``start`` on into a total, as long as they are of the part of ``begin``."""
    row, order = (printer.pointers[n] for n in sorted_points)
    combine = s.store.combine
    assert combine is not None
    f.line(f"{s.index} end = ({begin} / {RUN} + 1) * {RUN};")
    f.line(f"if (end > {s.count}) end = {s.count};")
    head = f"for ({s.index} k = {start}; k < end && {row}[k] == {row}[{begin}]; k++)"
    with f.block(head):
        point = f.named(s.index, f"{order}[k]", INT64)
        term = _print_value(f, printer, s, point.ref)
        f.line(f"{total.ref} = {f.b.accumulate(combine, total, term).ref};")


def _runs(emitter: Emitter, s: Scatter, rows: int, order: int, partial: list[int]) -> Launch:
    """Take each run into the row that its points write to."""
    combine, dtype = s.store.combine, s.store.value.dtype
    assert combine is not None

    def write(f: Function, printer: ExpressionPrinter) -> None:
        row = printer.pointers[rows]
        _print_point(f, printer, s)
        f.line(f"if (p > 0 && {row}[p] == {row}[p - 1]) return;")
        if s.store.when is not None:
            f.line(f"if ({row}[p] == {f.b.constant(s.places, s.place_dtype).ref}) return;")
        first = f.named(s.index, f"{printer.pointers[order]}[p]", INT64)
        element = _print_element(f, printer, s, first.ref)
        total = f.variable(Value(element, dtype))
        _print_run(f, printer, s, (rows, order), total, "p", "p")
        for parts in partial:
            head = f"for (; end < {s.count} && {row}[end] == {row}[p]; end += {RUN})"
            with f.block(head):
                part = f"{printer.pointers[parts]}[end / {RUN} * {s.width} + e % {s.width}]"
                term = f.value(part, dtype)
                f.line(f"{total.ref} = {f.b.accumulate(combine, total, term).ref};")
        f.line(f"{element} = {total.ref};")

    temporaries = [rows, order, *partial]
    return _launch(emitter, s, "scatter", write, temporaries, [s.store.buffer], s.count * s.width)
