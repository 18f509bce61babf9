"""The nodes that become functions, each over a range of its tasks: what they use, who prints them.

A function's parameters are the node's buffers, the turns of enclosing loops, perhaps a thread's
scratch memory, and ``i64 %begin, i64 %end``. What tasks are, `work` says.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fnad.lowering.access import kernel_exprs, loads
from fnad.lowering.expr import Expr
from fnad.lowering.llvm import work
from fnad.lowering.llvm.accumulate import emit_accumulate
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.host_calls import emit_host_call
from fnad.lowering.llvm.kernels import emit_kernel
from fnad.lowering.llvm.matrix.contractions import (
    emit_contraction,
    emit_contraction_rows,
    schedule_of,
)
from fnad.lowering.llvm.matrix.schedule import Schedule
from fnad.lowering.llvm.mirrors import emit_mirror
from fnad.lowering.llvm.places import Ahead
from fnad.lowering.llvm.routines import emit_routine, workspace_bytes
from fnad.lowering.llvm.sort_steps import emit_step, step_bytes
from fnad.lowering.llvm.sorting import emit_sort, scratch_bytes
from fnad.lowering.llvm.target import PLAIN, VECTOR_CODE, Recipe
from fnad.lowering.llvm.writer import INT64, Function, Value
from fnad.lowering.plan import (
    Accumulate,
    Buffer,
    Contraction,
    Copy,
    HostCall,
    Kernel,
    Mirror,
    Routine,
    Sort,
    SortStep,
)

Buffers = Mapping[int, Buffer]

BEGIN, END = Value("%begin", INT64), Value("%end", INT64)
SCRATCH = "%scratch"

# What stores so many results at a point reads and writes all over a row, as Fourier transforms do,
# and no processor knows what comes next; what is as large as this may be in no cache.
_MANY = 8
_FAR_BYTES = 1 << 19


@dataclass(frozen=True, slots=True)
class Leaf:
    """A node as a function.

    ``buffers`` may name one several times. ``emit`` prints the tasks from `BEGIN` to `END`.
    ``scratch`` is the bytes of memory at `SCRATCH` that it needs. What is printed shall be compiled
    by ``recipe``; it is `PLAIN` for calls. Of ``ahead.buffers`` the next tasks' lines are fetched.
    """

    buffers: Sequence[int]
    exprs: Sequence[Expr]
    emit: Callable[[Function, ExpressionPrinter], None]
    scratch: int = 0
    recipe: Recipe = VECTOR_CODE
    ahead: Ahead | None = None


def leaf(node: Any, buffers: Buffers) -> Leaf:
    """How a node becomes a function."""
    return _LEAVES[type(node)](node, buffers)


def _kernel(node: Kernel, buffers: Buffers) -> Leaf:
    """A kernel whose tasks all run at once is printed for them, else for the lengths of chunks."""
    exprs, used = _uses(node)

    def emit(f: Function, p: ExpressionPrinter) -> None:
        count, chunk = work.tasks(node), work.chunk(node, buffers)
        if chunk < count:
            emit_kernel(f, p, node, BEGIN, END, math.gcd(chunk, count))
        else:
            emit_kernel(f, p, node, Value("0", INT64), Value(str(count), INT64))

    return Leaf(used, exprs, emit)


def _kernel_part(node: Kernel, buffers: Buffers, counts: Sequence[int]) -> Leaf:
    exprs, used = _uses(node)
    multiple = math.gcd(*counts)
    ahead = None
    if node.axes and len(node.stores) >= _MANY:
        far = {n for n in used if buffers[n].role != "local" and buffers[n].nbytes >= _FAR_BYTES}
        ahead = Ahead(node.axes[0][0], max(counts), frozenset(far))

    def emit(f: Function, p: ExpressionPrinter) -> None:
        p.ahead = ahead
        emit_kernel(f, p, node, BEGIN, END, multiple)

    return Leaf(used, exprs, emit, ahead=ahead)


def _uses(node: Kernel) -> tuple[list[Expr], list[int]]:
    exprs = kernel_exprs(node)
    return exprs, [e.attr for e in loads(exprs)] + [s.buffer for s in node.stores]


def _contraction(node: Contraction, buffers: Buffers) -> Leaf:
    return _product(node, buffers, emit_contraction, schedule_of(node))


def member(node: Any, buffers: Buffers, counts: Sequence[int]) -> Leaf:
    """How a member of a group becomes a function: the tasks of a product are entries or rows.

    ``counts`` are the lengths that ranges of tasks may have.
    """
    if isinstance(node, Kernel):
        return _kernel_part(node, buffers, counts)
    print_call = functools.partial(emit_contraction_rows, counts=counts)
    return _product(node, buffers, print_call, schedule_of(node, divided=False))


def _product(
    node: Contraction, buffers: Buffers, print_call: Callable[..., None], schedule: Schedule
) -> Leaf:
    matrices = (node.left, node.right, node.out)
    exprs = [m.offset for m in matrices]

    def emit(f: Function, p: ExpressionPrinter) -> None:
        places = [
            f.element(p.pointers[m.buffer], buffers[m.buffer].dtype, p.value(m.offset))
            for m in matrices
        ]
        print_call(f, node, places, (BEGIN, END), SCRATCH)

    used = [m.buffer for m in matrices] + [e.attr for e in loads(exprs)]
    recipe = VECTOR_CODE if schedule.direct else PLAIN
    return Leaf(used, exprs, emit, schedule.scratch_bytes, recipe)


def _accumulate(node: Accumulate, buffers: Buffers) -> Leaf:
    def emit(f: Function, p: ExpressionPrinter) -> None:
        emit_accumulate(f, node, p.pointers[node.source], p.pointers[node.out], BEGIN, END)

    return Leaf([node.source, node.out], [], emit)


def _sort(node: Sort, buffers: Buffers) -> Leaf:
    dtypes = [buffers[n].dtype for n in node.sources]

    def emit(f: Function, p: ExpressionPrinter) -> None:
        outs, sources = ([p.pointers[n] for n in ns] for ns in (node.outs, node.sources))
        emit_sort(f, outs, sources, dtypes, node.extents, node.num_keys, SCRATCH, (BEGIN, END))

    scratch = max(scratch_bytes(dtypes, node.extents[1]), 1)
    return Leaf([*node.sources, *node.outs], [], emit, scratch)


def _sort_step(node: SortStep, buffers: Buffers) -> Leaf:
    dtypes = [buffers[n].dtype for n in node.sources]

    def emit(f: Function, p: ExpressionPrinter) -> None:
        outs, sources = ([p.pointers[n] for n in ns] for ns in (node.outs, node.sources))
        emit_step(f, node, outs, sources, dtypes, SCRATCH, (BEGIN, END))

    return Leaf([*node.sources, *node.outs], [], emit, step_bytes(node, dtypes))


def _mirror(node: Mirror, buffers: Buffers) -> Leaf:
    def emit(f: Function, p: ExpressionPrinter) -> None:
        emit_mirror(f, node, p.pointers[node.out], buffers[node.out].dtype, (BEGIN, END))

    return Leaf([node.out], [], emit)


def _routine(node: Routine, buffers: Buffers) -> Leaf:
    numbers = [*node.sources, *node.outs]

    def emit(f: Function, p: ExpressionPrinter) -> None:
        parts = [(p.pointers[n], buffers[n].dtype, buffers[n].size // node.count) for n in numbers]
        emit_routine(f, node, parts, SCRATCH, (BEGIN, END))

    return Leaf(numbers, [], emit, workspace_bytes(node), PLAIN)


def _host_call(node: HostCall, buffers: Buffers) -> Leaf:
    numbers = [*node.sources, *node.outs, node.state]

    def emit(f: Function, p: ExpressionPrinter) -> None:
        emit_host_call(f, node.number, [p.pointers[n] for n in numbers])

    return Leaf(numbers, [], emit, recipe=PLAIN)


def _copy(node: Copy, buffers: Buffers) -> Leaf:
    dtype = buffers[node.source].dtype
    exprs = [node.source_offset, node.out_offset]

    def emit(f: Function, p: ExpressionPrinter) -> None:
        source = f.element(p.pointers[node.source], dtype, p.value(node.source_offset))
        out = f.element(p.pointers[node.out], dtype, p.value(node.out_offset))
        size = f.b.constant(node.size, INT64)
        if work.tasks(node) > 1:
            piece = f.b.constant(work.COPIED_TOGETHER, INT64)
            first = f.b.multiply(BEGIN, piece)
            size = f.b.subtract(f.b.minimum(f.b.multiply(END, piece), size), first)
            source, out = f.element(source, dtype, first), f.element(out, dtype, first)
        f.copy(out, source, f.b.multiply(size, f.b.constant(dtype.itemsize, INT64)))

    return Leaf([node.source, node.out, *(e.attr for e in loads(exprs))], exprs, emit)


_LEAVES: Mapping[type, Callable[[Any, Buffers], Leaf]] = {
    Kernel: _kernel,
    Contraction: _contraction,
    Accumulate: _accumulate,
    Sort: _sort,
    SortStep: _sort_step,
    Mirror: _mirror,
    Routine: _routine,
    HostCall: _host_call,
    Copy: _copy,
}
