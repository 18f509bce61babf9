"""Loops whose bodies are small, each as one function that keeps its carry in registers.

The nodes of such a loop are written out (`fnad.lowering.unroll`) where they stand, or are loops
inside the function. Buffers of few elements, all of them used at constant places, live on the
function's stack: LLVM turns them into registers, and what one turn hands to the next into phis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from fnad.lowering.access import access, count_uses, kernel_exprs, loads, node_bodies
from fnad.lowering.costs import cost, operations_of
from fnad.lowering.expr import Expr
from fnad.lowering.kernels import store_parts
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.kernels import count_tasks, emit_kernel
from fnad.lowering.llvm.loops import CONTROL
from fnad.lowering.llvm.writer import INT64, Function, memory_type
from fnad.lowering.plan import Branch, Buffer, For, Kernel, Node, While
from fnad.lowering.unroll import Points, as_kernel, written_out

# Operations of a loop's body, written out, beyond which each node becomes a function of its own.
_MAX_OPERATIONS = 3000
# Operations up to which LLVM packs scalars into vectors: products of real and complex matrices of
# 4 by 4, tanh of them and what goes back through it then take a third of the time. Larger loops are
# where its packing was seen to fail assertions (`target`).
_MAX_PACKED = 1000
# Elements of a buffer that lives in registers.
_MAX_REGISTERS = 32
# Cost of a kernel that is a loop inside the function; larger ones may be worth several threads.
_MAX_COST = 20_000


class SmallLoop:
    """A loop or branch that may become one function, which it may only if it ``fits``.

    Parameters
    ----------
    node : For, While or Branch
        The loop.
    buffers : mapping of int to Buffer
        The plan's buffers.
    uses : mapping of int to int
        How many nodes of the whole plan use each buffer.

    Attributes
    ----------
    exprs : list of Expr
        All expressions of the loop.
    arguments : list of int
        The buffers that the function takes: those used elsewhere, too, or in memory.
    packed : bool
        Whether LLVM should look for scalars to pack into vectors. In loops that go back through
        tapes, whose turns are counted when they run, it would double the time of a step.
    """

    def __init__(
        self, node: For | While | Branch, buffers: Mapping[int, Buffer], uses: Mapping[int, int]
    ) -> None:
        self.node = node
        self.buffers = buffers
        self.exprs: list[Expr] = []
        # How each node is printed, by id: element by element, or as loops.
        self._points: dict[int, Points] = {}
        self._loops: dict[int, Kernel] = {}
        self._operations = 0
        self._counted = False
        self._in_memory: set[int] = set()
        self.fits = self._walk([node])
        self.packed = self._operations <= _MAX_PACKED and not self._counted
        if not self.fits:
            return
        inside = count_uses([node])
        self._local = {
            n
            for n, count in inside.items()
            if buffers[n].role == "temp" and count == uses[n] and self._in_registers(n)
        }
        self.arguments = [n for n in sorted(inside) if n not in self._local]

    def _walk(self, nodes: Iterable[Node]) -> bool:
        for node in nodes:
            if isinstance(node, (For, While, Branch)):
                self._counted |= isinstance(node, For) and node.count is not None
                fits = all(self._walk(body) for body in node_bodies(node))
            else:
                fits = self._note(node)
            if not fits or self._operations > _MAX_OPERATIONS:
                return False
        return True

    def _note(self, node: Node) -> bool:
        """Note how a leaf will be printed; whether it can be printed here."""
        points = written_out(node, self.buffers)
        if points is not None:
            self._points[id(node)] = points
            stores = [s for at_point in points for s in at_point]
            exprs = [e for s in stores for e in store_parts(s)]
        else:
            kernel = as_kernel(node, self.buffers)
            if kernel is None or _cost(kernel) > _MAX_COST:
                return False
            self._loops[id(node)] = kernel
            stores, exprs = list(kernel.stores), kernel_exprs(kernel)
        self.exprs += exprs
        self._operations += operations_of(exprs) + len(stores)
        in_places = [(e.attr, e.args[0]) for e in loads(exprs)]
        in_places += [(s.buffer, s.offset) for s in stores]
        self._in_memory |= {number for number, place in in_places if place.op != "constant"}
        return True

    def _in_registers(self, number: int) -> bool:
        return number not in self._in_memory and self.buffers[number].size <= _MAX_REGISTERS

    def emit(self, f: Function, p: ExpressionPrinter) -> None:
        """Print the loop into a function that takes pointers to ``arguments``."""
        found = access(self.node)
        pointers = dict(p.pointers)
        for number in sorted(found.reads | found.writes):
            if self._in_registers(number):
                b = self.buffers[number]
                pointers[number] = f.alloca(memory_type(b.dtype), b.size)
                if number in p.pointers:
                    self._move(f, number, p.pointers[number], pointers[number])
        printer = ExpressionPrinter(f, pointers, p.counters)
        _InFunction(self._points, self._loops, printer).body([self.node])
        for number in sorted(found.writes):
            if number in p.pointers and self._in_registers(number):
                self._move(f, number, pointers[number], p.pointers[number])

    def _move(self, f: Function, number: int, source: str, target: str) -> None:
        b = self.buffers[number]
        for i in range(b.size):
            value = f.load(f.element(source, b.dtype, i), b.dtype)
            f.store(value, f.element(target, b.dtype, i))


class _InFunction:
    """Prints a schedule into one function; a `Schedule` as in `loops`."""

    def __init__(
        self, points: Mapping[int, Points], loops: Mapping[int, Kernel], p: ExpressionPrinter
    ) -> None:
        self.entry = p.f
        self.counters = dict(p.counters)
        self._points, self._loops = points, loops
        self._p = ExpressionPrinter(p.f, p.pointers, self.counters)

    def pointer(self, number: int) -> str:
        return self._p.pointers[number]

    def body(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            control = CONTROL.get(type(node))
            if control is not None:
                control(self, node)
                continue
            if node.origin:
                self.entry.comment(node.origin)
            points = self._points.get(id(node))
            if points is None:
                self._kernel(self._loops[id(node)])
                continue
            for stores in points:
                self._kernel(Kernel((), (), stores))

    def _kernel(self, kernel: Kernel) -> None:
        with self._p.scope():
            tasks = self.entry.b.constant(count_tasks(kernel), INT64)
            emit_kernel(self.entry, self._p, kernel, self.entry.b.constant(0, INT64), tasks)


def _cost(kernel: Kernel) -> int:
    reduced = (cost(r.value) * _count(r.axes) for r in kernel.reductions)
    stored = (1 + cost(s.value) for s in kernel.stores)
    return (sum(reduced) + sum(stored)) * _count(kernel.axes)


def _count(axes: Sequence[tuple[int, int]]) -> int:
    return math.prod(extent for _, extent in axes)
