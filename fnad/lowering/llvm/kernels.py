"""Loop nests: `plan.Kernel`, each printed as a function of its own.

Vectors run along the innermost axis of a kernel (`lanes`: elementwise work, and reductions that
keep a row of totals in registers), or along a reduced axis (`rows`: a total per point of the
kernel, the stores one by one), or across tiles of the innermost and another axis (`transposes`).
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

from fnad.lowering.access import kernel_exprs
from fnad.lowering.expr import affine_parts, axis
from fnad.lowering.llvm.domains import Box, boxes
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.lanes import emit_lanes, is_written_out
from fnad.lowering.llvm.nests import Nest
from fnad.lowering.llvm.reductions import sharing_loops
from fnad.lowering.llvm.rows import emit_points
from fnad.lowering.llvm.scattered import PARTS, written_rows
from fnad.lowering.llvm.transposes import across, emit_tiles
from fnad.lowering.llvm.vectors import Range
from fnad.lowering.llvm.writer import Function, Value
from fnad.lowering.plan import Kernel, Store
from fnad.lowering.walk import below, postorder

# Kernels whose stores are further apart run point by point, unless they fill what is between.
_NEAR = 8


def emit_kernel(
    f: Function,
    p: ExpressionPrinter,
    kernel: Kernel,
    begin: Value,
    end: Value,
    multiple: int = 1,
) -> None:
    """Emit the tasks of a kernel from ``begin`` to ``end``.

    The length of that range is a multiple of ``multiple``.
    """
    if any(extent == 0 for _, extent in kernel.axes):
        return
    tasks, parts = Range(_number(begin), _number(end), multiple), Range(0, PARTS)
    if not kernel.axes or kernel.sequential:
        if count_tasks(kernel) > 1:
            parts = tasks
        tasks = Range(0, kernel.axes[0][1] if kernel.axes else 1)
    for box in boxes(kernel):
        with p.scope():
            _emit_box(f, p, kernel, box, tasks, parts)


def count_tasks(kernel: Kernel) -> int:
    """How many tasks a kernel has: the values of its outermost axis.

    Those of a sequential kernel are the parts of the buffer that it writes, if it writes rows.
    """
    if not kernel.axes:
        return 1
    if not kernel.sequential:
        return kernel.axes[0][1]
    return PARTS if _runs_along_lanes(kernel) and written_rows(kernel) is not None else 1


def _number(bound: Value) -> int | Value:
    return int(bound.ref) if bound.ref.isdigit() else bound


def _emit_box(
    f: Function, p: ExpressionPrinter, whole: Kernel, box: Box, tasks: Range, parts: Range
) -> None:
    """Emit those tasks of a box that are among ``tasks``, rows in ``parts`` of the buffer only."""
    kernel = sharing_loops(box.kernel)
    sums = [
        r.value for r in kernel.reductions if r.kind == "add" and r.accumulator == r.value.dtype
    ]
    p.prepare(kernel_exprs(kernel), frozenset(s.buffer for s in kernel.stores), sums)
    ranges = {number: Range(0, extent) for number, extent in kernel.axes}
    with ExitStack() as stack:
        if box.tasks != (0, whole.axes[0][1] if whole.axes else 1):
            tasks = tasks.part(f, *box.tasks)
            if tasks.known is None:
                stack.enter_context(f.when(f.b.less(*tasks.values(f))))
            elif tasks.known[0] >= tasks.known[1]:
                return
        if whole.axes and whole.axes[0][0] in ranges:
            ranges[whole.axes[0][0]] = tasks
        nest, other = Nest(f, p, kernel, ranges), across(kernel)
        if other is not None:
            emit_tiles(nest, other)
        elif _runs_along_lanes(kernel):
            emit_lanes(nest, parts)
        else:
            emit_points(nest)


def _runs_along_lanes(kernel: Kernel) -> bool:
    """Whether vectors run along the innermost axis."""
    if not kernel.axes or kernel.axes[-1][1] == 1:
        return False
    if kernel.sequential:
        return not kernel.reductions and all(_disjoint_lanes(kernel, s) for s in kernel.stores)
    if not kernel.parallel_inner and not all(map(is_written_out, kernel.reductions)):
        return False
    innermost = axis(*kernel.axes[-1])
    strides = [affine_parts(s.offset)[0].get(innermost, 0) for s in kernel.stores]
    rows = Counter((s.buffer, stride) for s, stride in zip(kernel.stores, strides))
    return any(0 < abs(stride) <= max(_NEAR, count) for (_, stride), count in rows.items())


def _disjoint_lanes(kernel: Kernel, store: Store) -> bool:
    """Whether the points of the innermost axis of a sequential kernel go to different places."""
    innermost = axis(*kernel.axes[-1])
    terms, _ = affine_parts(store.offset)
    if innermost not in terms or any(innermost in below(t) for t in terms if t is not innermost):
        return False
    written = {s.buffer for s in kernel.stores}
    return not any(e.op == "load" and e.attr in written for e in postorder(kernel_exprs(kernel)))
