"""Prints a whole plan as an LLVM module.

Each kernel becomes a function whose buffers are ``noalias`` parameters, which is what lets LLVM
vectorise it; ``fnad.entry`` holds the loops and branches of the plan and calls the kernels.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fnad.core.errors import InternalError
from fnad.lowering.expr import Expr
from fnad.lowering.llvm.accumulate import emit_accumulate
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.kernels import emit_kernel
from fnad.lowering.llvm.loops import emit_branch, emit_for, emit_while
from fnad.lowering.llvm.matrix import MatrixOperand, Product, emit_product
from fnad.lowering.llvm.sorting import emit_sort, scratch_bytes
from fnad.lowering.llvm.writer import INT64, Function, Module, Value
from fnad.lowering.plan import (
    Accumulate,
    Branch,
    Buffer,
    Contraction,
    Copy,
    For,
    Kernel,
    Matrix,
    Node,
    Plan,
    Sort,
    While,
)
from fnad.lowering.walk import postorder

ENTRY = "fnad.entry"

# LLVM's time for a basic block grows faster than its length.
_CALLS_IN_BLOCK = 64

# PyArrayObject begins with PyObject_HEAD and then ``char *data``; NumPy's ABI fixes that
# (PyArrayObject_fields in ndarraytypes.h), so compiled code can read it.
ARRAY_DATA_OFFSET = object.__basicsize__


@dataclass(frozen=True, slots=True)
class Emitted:
    """A module's text and the bytes of scratch memory that it needs, the plan's arena included."""

    text: str
    arena_size: int


def emit_plan(plan: Plan) -> Emitted:
    """Print a plan as LLVM IR.

    The module defines ``void fnad.entry(ptr arrays, ptr arena)``: ``arrays`` is a table of
    NumPy array objects, inputs then outputs, all C-contiguous.
    """
    emitter = _Emitter(plan)
    emitter.emit()
    return Emitted(emitter.module.text(), emitter.scratch_offset + emitter.scratch_size)


class _Emitter:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.buffers = {b.number: b for b in plan.buffers}
        self.module = Module()
        # There is nothing to optimise in a list of calls, and thousands of them take long.
        self.entry = Function(
            self.module,
            ENTRY,
            ["ptr %arrays", "ptr %arena"],
            attributes="noinline optnone nounwind",
            linkage="",
        )
        self.calls = 0
        arrays = (*plan.inputs, *plan.outputs)
        self.positions = {number: position for position, number in enumerate(arrays)}
        self.counters: dict[int, Value] = {}
        self.names: dict[tuple[str, ...], str] = {}  # of functions, by what they do
        self.scratch_offset = (plan.arena_size + 63) // 64 * 64
        self.scratch_size = 0

    def emit(self) -> None:
        f = self.entry
        self.body(self.plan.body)
        f.ret()
        self.module.add(f)

    def pointer(self, number: int) -> str:
        """Where a buffer lies; found anew for each use, as thousands would fill the stack."""
        f = self.entry
        position = self.positions.get(number)
        if position is None:
            offset = self.buffers[number].offset
            return f.raw(f"getelementptr inbounds i8, ptr %arena, i64 {offset}", "buffer")
        slot = f.raw(f"getelementptr inbounds ptr, ptr %arrays, i64 {position}")
        array = f.raw(f"load ptr, ptr {slot}")
        field = f.raw(f"getelementptr inbounds i8, ptr {array}, i64 {ARRAY_DATA_OFFSET}")
        return f.raw(f"load ptr, ptr {field}", "buffer")

    def body(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            _EMITTERS[type(node)](self, node)

    # -- functions --------------------------------------------------------------------------

    def _function(
        self,
        node: Any,
        buffers: Iterable[int],
        exprs: Iterable[Expr],
        body: Callable[[Function, ExpressionPrinter], None],
        scratch: int = 0,
    ) -> None:
        """Emit ``body`` as a function of the node's buffers and counters, and call it.

        Nodes that do the same to different buffers (the steps of a loop that the user's Python
        unrolled) share one function, which is compiled once.
        """
        used = list(dict.fromkeys(buffers))
        turns = sorted({e.attr[0] for e in postorder(exprs) if e.op == "counter"})
        disjoint = self._disjoint([self.buffers[n] for n in used])
        params = [self._parameter(i, self.buffers[n], disjoint) for i, n in enumerate(used)]
        params += [f"i64 %turn.{i}" for i in range(len(turns))]
        arguments = [f"ptr {self.pointer(n)}" for n in used]
        arguments += [self.counters[t].typed for t in turns]
        if scratch:
            self.scratch_size = max(self.scratch_size, scratch)
            params.append("ptr noalias align 64 %scratch")
            place = f"getelementptr inbounds i8, ptr %arena, i64 {self.scratch_offset}"
            arguments.append(f"ptr {self.entry.raw(place)}")
        origin = str(node.origin) if node.origin else type(node).__name__.lower()
        stem = re.sub(r"\W+", "_", node.origin.primitive if node.origin else origin)
        name = f"fnad.{len(self.names)}.{stem}"
        f = Function(self.module, name, params, attributes="noinline nounwind", comment=origin)
        pointers = {n: f"%buffer.{i}" for i, n in enumerate(used)}
        counters = {t: Value(f"%turn.{i}", INT64) for i, t in enumerate(turns)}
        body(f, ExpressionPrinter(f, pointers, counters))
        f.ret()
        shared = self.names.setdefault(f.code(), name)
        if shared == name:
            self.module.add(f)
        else:
            self.entry.comment(origin)
        self.entry.emit(f"call void @{shared}({', '.join(arguments)})")
        self.calls += 1
        if self.calls % _CALLS_IN_BLOCK == 0:
            after = self.entry.fresh("next")
            self.entry.jump(after)
            self.entry.label(after)

    @staticmethod
    def _parameter(position: int, buffer: Buffer, disjoint: bool) -> str:
        aligned = buffer.offset is not None and buffer.offset % 64 == 0
        alignment = 64 if aligned else buffer.dtype.itemsize
        return f"ptr {'noalias ' if disjoint else ''}align {alignment} %buffer.{position}"

    @staticmethod
    def _disjoint(buffers: list[Buffer]) -> bool:
        """Whether no two temporaries share memory (one may take the place of a dying one)."""
        temps = sorted(
            (b.offset, b.offset + b.nbytes) for b in buffers if b.offset is not None and b.nbytes
        )
        return all(one[1] <= two[0] for one, two in itertools.pairwise(temps))

    # -- leaves -----------------------------------------------------------------------------

    def _kernel(self, node: Kernel) -> None:
        exprs = [r.value for r in node.reductions]
        for store in node.stores:
            exprs += [store.offset, store.value]
            if store.when is not None:
                exprs.append(store.when)
        buffers = [e.attr for e in postorder(exprs) if e.op == "load"]
        buffers += [s.buffer for s in node.stores]
        self._function(node, buffers, exprs, lambda f, p: emit_kernel(f, p, node))

    def _contraction(self, node: Contraction) -> None:
        matrices = (node.left, node.right, node.out)

        def body(f: Function, p: ExpressionPrinter) -> None:
            def operand(m: Matrix) -> MatrixOperand:
                pointer = p.pointers[m.buffer]
                start = f.element(pointer, self.buffers[m.buffer].dtype, p.value(m.offset))
                return MatrixOperand(start, ((0, 0, 0) + m.strides)[-3:])  # type: ignore[arg-type]

            a, b, out = map(operand, matrices)
            dtypes = [self.buffers[m.buffer].dtype for m in matrices]
            if dtypes[0] != dtypes[1]:
                raise InternalError(f"a contraction of {dtypes[0]} with {dtypes[1]}")
            emit_product(
                f, Product(math.prod(node.batch), node.m, node.k, node.n, dtypes[0], dtypes[2], a, b, out)
            )

        self._function(node, [m.buffer for m in matrices], [m.offset for m in matrices], body)

    def _accumulate(self, node: Accumulate) -> None:
        self._function(
            node,
            [node.source, node.out],
            [],
            lambda f, p: emit_accumulate(f, node, p.pointers[node.source], p.pointers[node.out]),
        )

    def _sort(self, node: Sort) -> None:
        dtypes = [self.buffers[n].dtype for n in node.sources]

        def body(f: Function, p: ExpressionPrinter) -> None:
            outs, sources = ([p.pointers[n] for n in ns] for ns in (node.outs, node.sources))
            emit_sort(f, outs, sources, dtypes, node.extents, node.num_keys, "%scratch")

        self._function(
            node,
            [*node.sources, *node.outs],
            [],
            body,
            scratch=max(scratch_bytes(dtypes, node.extents[1]), 1),
        )

    def _copy(self, node: Copy) -> None:
        dtype = self.buffers[node.source].dtype

        def body(f: Function, p: ExpressionPrinter) -> None:
            source = f.element(p.pointers[node.source], dtype, p.value(node.source_offset))
            out = f.element(p.pointers[node.out], dtype, p.value(node.out_offset))
            f.copy(out, source, node.size * dtype.itemsize)

        exprs = [node.source_offset, node.out_offset]
        loads = [e.attr for e in postorder(exprs) if e.op == "load"]
        self._function(node, [node.source, node.out, *loads], exprs, body)


_EMITTERS: Mapping[type, Callable[[_Emitter, Any], None]] = {
    Kernel: _Emitter._kernel,
    Contraction: _Emitter._contraction,
    Accumulate: _Emitter._accumulate,
    Sort: _Emitter._sort,
    Copy: _Emitter._copy,
    For: emit_for,
    While: emit_while,
    Branch: emit_branch,
}
