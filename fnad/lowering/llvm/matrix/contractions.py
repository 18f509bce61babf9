"""The node of a plan as a call of the matrix runtime."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from fnad.core.errors import InternalError
from fnad.lowering.llvm.matrix.integers import Int, advance, integer
from fnad.lowering.llvm.matrix.library import declaration, shape_of
from fnad.lowering.llvm.matrix.schedule import Product, Schedule, schedule
from fnad.lowering.llvm.writer import INT64, Function, Module, Value
from fnad.lowering.plan import Contraction, Matrix


def schedule_of(node: Contraction, divided: bool = True) -> Schedule:
    """How a node is computed; its tasks are blocks of the result.

    They are small enough for several threads if ``divided``, else as large as is best for one.
    """
    if node.k < 1:
        raise InternalError(f"a product over an axis of length {node.k} reached the LLVM backend")
    return schedule(
        Product(
            node.batch,
            node.m,
            node.n,
            node.k,
            node.dtype,
            node.left.strides,
            node.right.strides,
            node.out.strides,
            node.accumulate,
            node.panel,
        ),
        divided,
    )


def runtime_of(node: Contraction) -> list[str]:
    """The functions of the runtime that a node calls unless it is changed or becomes a member."""
    s = schedule_of(node)
    if s.direct:
        return [s.symbol(f"tile.{height}") for _, _, height in s.tile_rows()]
    return [
        *(f"{s.variant.prefix}.{x}" for x in ("products", "placed")),
        *filter(None, s.functions()),
    ]


def placed_call(
    module: Module, node: Contraction
) -> tuple[str, list[Matrix], tuple[int | str, ...], int] | None:
    """The call of a runtime function that is a whole node, or None.

    Its symbol, the matrices whose buffers it is given, words, and bytes of scratch memory.
    """
    s = schedule_of(node)
    matrices = [node.left, node.right, node.out]
    if s.direct or any(m.offset.op != "constant" for m in matrices):
        return None
    if s.swapped:
        matrices[:2] = reversed(matrices[:2])
    symbol = f"{s.variant.prefix}.placed"
    module.declare(symbol, declaration(symbol))
    record = _record(module, s, None).removeprefix("@")
    return symbol, matrices, (record, *(int(m.offset.attr) for m in matrices)), s.scratch_bytes


def emit_contraction(
    f: Function,
    node: Contraction,
    pointers: Sequence[str],
    tasks: tuple[Value, Value],
    scratch: str,
) -> None:
    """Run a range of the node's tasks. ``pointers`` are to left, right and out."""
    _call(f, schedule_of(node), pointers, tasks, scratch)


def emit_contraction_rows(
    f: Function,
    node: Contraction,
    pointers: Sequence[str],
    rows: tuple[Value, Value],
    scratch: str,
    counts: Sequence[int],
) -> None:
    """Run a range of the node's rows, or, if it has batch axes, of the entries of its batch.

    ``counts`` holds the lengths that the range may have.
    """
    s = schedule_of(node, divided=False)
    if not node.batch:
        _call(f, s, pointers, rows, scratch, counts)
        return
    each = f.b.constant(s.tasks // math.prod(node.batch), INT64)
    begin, end = (f.b.multiply(i, each) for i in rows)
    _call(f, s, pointers, (begin, end), scratch)


def _call(
    f: Function,
    s: Schedule,
    pointers: Sequence[str],
    span: tuple[Value, Value],
    scratch: str,
    counts: Sequence[int] | None = None,
) -> None:
    """Compute a range of tasks or, with ``counts``, of rows."""
    a, b, out = pointers
    if s.swapped:
        a, b = b, a
    if counts is None and s.direct:
        _call_tiles(f, s, (a, b, out), span, scratch)
        return
    symbol = f"{s.variant.prefix}.products"
    f.module.declare(symbol, declaration(symbol))
    begin, end = span
    record = _record(f.module, s, counts)
    f.emit(
        f"call void @{symbol}(ptr {record}, ptr {a}, ptr {b}, ptr {out},"
        f" {begin.typed}, {end.typed}, ptr {scratch if s.scratch_bytes else 'null'})"
    )


# -- small products -----------------------------------------------------------------------------


def _call_tiles(
    f: Function,
    s: Schedule,
    pointers: tuple[str, str, str],
    tasks: tuple[Value, Value],
    scratch: str,
) -> None:
    """Call the tiles of each entry of the batch."""
    if not s.product.batch:
        _call_tiles_of_entry(f, s, pointers, scratch)
        return
    begin, end = tasks
    with f.steps(f.b.subtract(end, begin), f.b.constant(1, INT64)) as turn:
        rest = Int(f, f.b.add(begin, turn).ref)
        offsets = [integer(f, 0)] * 3
        for extent, *strides in s.batch_fields():
            index = rest % extent
            rest = rest // extent
            offsets = [o + index * stride for o, stride in zip(offsets, strides, strict=True)]
        a, b, out = (
            advance(f, pointer, s.variant.element, offset)
            for pointer, offset in zip(pointers, offsets, strict=True)
        )
        _call_tiles_of_entry(f, s, (a, b, out), scratch)


def _call_tiles_of_entry(
    f: Function, s: Schedule, pointers: tuple[str, str, str], scratch: str
) -> None:
    a, b, out = pointers
    p, element = s.product, s.variant.element
    b_step, b_column = p.b[-2], 1
    if s.pack_b:
        sizes, width = (p.b[-1], p.b[-2], p.n, p.k), shape_of(s.variant).columns
        _call_function(f, s.symbol("pack.b"), b, *sizes, scratch, width, width)
        b, b_step = scratch, width
    for j, columns in s.tile_columns():
        for i, new, height in s.tile_rows():
            _call_function(
                f,
                s.symbol(f"tile.{height}"),
                p.k,
                f.element(a, element, i * p.a[-2]),
                p.a[-2],
                p.a[-1],
                f.element(b, element, j * b_column),
                b_step,
                f.element(out, element, new * p.out[-2] + j * p.out[-1]),
                p.out[-2],
                p.out[-1],
                new - i,
                columns,
                p.accumulate,
            )


def _call_function(f: Function, symbol: str, *arguments: int | str) -> None:
    f.module.declare(symbol, declaration(symbol))
    texts = [
        f"ptr {x}" if isinstance(x, str) else f"{'i1' if isinstance(x, bool) else 'i64'} {int(x)}"
        for x in arguments
    ]
    f.emit(f"call void @{symbol}({', '.join(texts)})")


# -- records ------------------------------------------------------------------------------------


def _record(module: Module, s: Schedule, counts: Sequence[int] | None) -> str:
    """A constant with the sizes of a product and the functions that it needs (`driver.FIELDS`)."""
    fields = [f"i64 {int(value)}" for value in s.fields(counts).values()]
    symbols = s.functions(counts or ())
    functions = [f"ptr @{symbol}" if symbol else "ptr null" for symbol in symbols]
    batch = [f"i64 {value}" for axis in s.batch_fields() for value in axis]
    parts = [(len(x), x[0].split()[0], ", ".join(x)) for x in (fields, functions, batch) if x]
    kinds = ", ".join(f"[{count} x {kind}]" for count, kind, _ in parts)
    values = ", ".join(f"[{count} x {kind}] [{text}]" for count, kind, text in parts)
    text = f"private constant {{ {kinds} }} {{ {values} }}, align 64"
    p = s.product
    name = f"@fnad.product.{p.m}x{p.n}x{p.k}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    module.declare(name, f"{name} = {text}")
    for symbol in filter(None, symbols):
        module.declare(symbol, declaration(symbol))
    return name
