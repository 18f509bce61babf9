"""The nodes that become functions, each over a range of its tasks: what they use, who prints them.

A function's parameters are the node's buffers, the turns of enclosing loops, perhaps a thread's
scratch memory, and ``i64 %begin, i64 %end``. What tasks are, `work` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from fnad.core.errors import InternalError
from fnad.lowering.access import kernel_exprs, loads
from fnad.lowering.expr import Expr
from fnad.lowering.llvm.accumulate import emit_accumulate
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.kernels import emit_kernel
from fnad.lowering.llvm.matrix import MatrixOperand, Product, emit_product
from fnad.lowering.llvm.sorting import emit_sort, scratch_bytes
from fnad.lowering.llvm.writer import INT64, Function, Value
from fnad.lowering.plan import Accumulate, Buffer, Contraction, Copy, Kernel, Matrix, Sort

Buffers = Mapping[int, Buffer]

BEGIN, END = Value("%begin", INT64), Value("%end", INT64)
SCRATCH = "%scratch"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A node as a function.

    ``buffers`` may name one several times. ``emit`` prints the tasks from `BEGIN` to `END`.
    ``scratch`` is the bytes of memory at `SCRATCH` that it needs.
    """

    buffers: Sequence[int]
    exprs: Sequence[Expr]
    emit: Callable[[Function, ExpressionPrinter], None]
    scratch: int = 0


def leaf(node: Any, buffers: Buffers) -> Leaf:
    """How a node becomes a function."""
    return _LEAVES[type(node)](node, buffers)


def _kernel(node: Kernel, buffers: Buffers) -> Leaf:
    exprs = kernel_exprs(node)
    used = [e.attr for e in loads(exprs)] + [s.buffer for s in node.stores]
    return Leaf(used, exprs, lambda f, p: emit_kernel(f, p, node, BEGIN, END))


def _contraction(node: Contraction, buffers: Buffers) -> Leaf:
    """A whole product: one task."""

    def emit(f: Function, p: ExpressionPrinter) -> None:
        with ExitStack() as stack:
            index = [stack.enter_context(f.loop(extent)).index for extent in node.batch]
            _emit_product(f, p, node, buffers, index, None)

    return _contraction_leaf(node, emit)


def member(node: Any, buffers: Buffers) -> Leaf:
    """How a member of a group becomes a function: the tasks of a product are entries or rows."""
    if not isinstance(node, Contraction):
        return leaf(node, buffers)

    def emit(f: Function, p: ExpressionPrinter) -> None:
        with f.loop(f.b.subtract(END, BEGIN)) as loop:
            task = f.b.add(BEGIN, loop.index)
            if node.batch:
                _emit_product(f, p, node, buffers, _coordinates(f, task, node.batch), None)
            else:
                _emit_product(f, p, node, buffers, [], task)

    return _contraction_leaf(node, emit)


def _contraction_leaf(
    node: Contraction, emit: Callable[[Function, ExpressionPrinter], None]
) -> Leaf:
    matrices = (node.left, node.right, node.out)
    exprs = [m.offset for m in matrices]
    return Leaf([m.buffer for m in matrices] + [e.attr for e in loads(exprs)], exprs, emit)


def _emit_product(
    f: Function,
    p: ExpressionPrinter,
    node: Contraction,
    buffers: Buffers,
    batch: Sequence[Value],
    row: Value | None,
) -> None:
    """One entry of the batch, or one row of the left side and the result."""

    def operand(m: Matrix, row: Value | None) -> MatrixOperand:
        dtype, offset = buffers[m.buffer].dtype, p.value(m.offset)
        for index, stride in zip([*batch, row] if row else batch, m.strides):
            offset = f.b.add(offset, f.b.multiply(index, f.b.constant(stride, INT64)))
        start = f.element(p.pointers[m.buffer], dtype, offset)
        return MatrixOperand(start, (0, m.strides[-2], m.strides[-1]))

    matrices = (node.left, node.right, node.out)
    dtypes = [buffers[m.buffer].dtype for m in matrices]
    if dtypes[0] != dtypes[1] or node.accumulate:
        raise InternalError(f"the LLVM backend has no product {node}")
    a, b, out = (operand(m, None if m is node.right else row) for m in matrices)
    rows = node.m if row is None else 1
    emit_product(f, Product(1, rows, node.k, node.n, dtypes[0], dtypes[2], a, b, out))


def _coordinates(f: Function, index: Value, extents: Sequence[int]) -> list[Value]:
    """Where the element ``index`` of a row-major array lies along each axis."""
    result: list[Value] = []
    for extent in reversed(extents):
        size = f.b.constant(extent, INT64)
        result.append(f.b.remainder(index, size))
        index = f.b.divide(index, size)
    return result[::-1]


def _accumulate(node: Accumulate, buffers: Buffers) -> Leaf:
    def emit(f: Function, p: ExpressionPrinter) -> None:
        emit_accumulate(f, node, p.pointers[node.source], p.pointers[node.out], BEGIN, END)

    return Leaf([node.source, node.out], [], emit)


def _sort(node: Sort, buffers: Buffers) -> Leaf:
    dtypes = [buffers[n].dtype for n in node.sources]

    def emit(f: Function, p: ExpressionPrinter) -> None:
        outs, sources = ([p.pointers[n] for n in ns] for ns in (node.outs, node.sources))
        emit_sort(
            f, outs, sources, dtypes, node.extents, node.num_keys, SCRATCH, (BEGIN, END)
        )

    scratch = max(scratch_bytes(dtypes, node.extents[1]), 1)
    return Leaf([*node.sources, *node.outs], [], emit, scratch)


def _copy(node: Copy, buffers: Buffers) -> Leaf:
    dtype = buffers[node.source].dtype
    exprs = [node.source_offset, node.out_offset]

    def emit(f: Function, p: ExpressionPrinter) -> None:
        source = f.element(p.pointers[node.source], dtype, p.value(node.source_offset))
        out = f.element(p.pointers[node.out], dtype, p.value(node.out_offset))
        f.copy(out, source, node.size * dtype.itemsize)

    return Leaf([node.source, node.out, *(e.attr for e in loads(exprs))], exprs, emit)


_LEAVES: Mapping[type, Callable[[Any, Buffers], Leaf]] = {
    Kernel: _kernel,
    Contraction: _contraction,
    Accumulate: _accumulate,
    Sort: _sort,
    Copy: _copy,
}
