"""The node of a plan as a call of the matrix runtime."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Sequence

from fnad.core.errors import InternalError
from fnad.lowering.llvm.matrix.schedule import Product, Schedule, schedule
from fnad.lowering.llvm.writer import INT64, Function, Module, Value
from fnad.lowering.plan import Contraction

_PARAMETERS = "(ptr, ptr, ptr, ptr, i64, i64, ptr)"


@functools.lru_cache(4096)
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
        ),
        divided,
    )


def emit_contraction(
    f: Function,
    node: Contraction,
    pointers: Sequence[str],
    tasks: tuple[Value, Value],
    scratch: str,
) -> None:
    """Run a range of the node's tasks. ``pointers`` are to left, right and out."""
    _call(f, schedule_of(node), "tasks", pointers, tasks, scratch)


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
        _call(f, s, "rows", pointers, rows, scratch, counts)
        return
    each = f.b.constant(s.tasks // math.prod(node.batch), INT64)
    begin, end = (f.b.multiply(i, each) for i in rows)
    _call(f, s, "tasks", pointers, (begin, end), scratch)


def _call(
    f: Function,
    s: Schedule,
    form: str,
    pointers: Sequence[str],
    tasks: tuple[Value, Value],
    scratch: str,
    counts: Sequence[int] = (),
) -> None:
    left, right, out = pointers
    if s.swapped:
        left, right = right, left
    symbol = f"{s.variant.prefix}.{form}"
    f.module.declare(symbol, f"declare void @{symbol}{_PARAMETERS} nounwind")
    begin, end = tasks
    record = _record(f.module, s, counts)
    f.emit(
        f"call void @{symbol}(ptr {record}, ptr {left}, ptr {right}, ptr {out},"
        f" {begin.typed}, {end.typed}, ptr {scratch if s.scratch_bytes else 'null'})"
    )


def _record(module: Module, s: Schedule, counts: Sequence[int]) -> str:
    """A constant with the sizes of a product and the functions that it needs (`driver.FIELDS`)."""
    fields = [f"i64 {int(value)}" for value in s.fields().values()]
    functions = [f"ptr @{symbol}" if symbol else "ptr null" for symbol in s.functions(counts)]
    batch = [f"i64 {value}" for axis in s.batch_fields() for value in axis]
    parts = [(len(x), x[0].split()[0], ", ".join(x)) for x in (fields, functions, batch) if x]
    kinds = ", ".join(f"[{count} x {kind}]" for count, kind, _ in parts)
    values = ", ".join(f"[{count} x {kind}] [{text}]" for count, kind, text in parts)
    text = f"private constant {{ {kinds} }} {{ {values} }}, align 64"
    p = s.product
    name = f"@fnad.product.{p.m}x{p.n}x{p.k}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    module.declare(name, f"{name} = {text}")
    for symbol in filter(None, s.functions(counts)):
        module.declare(symbol, f"declare void @{symbol}() nounwind")
    return name
