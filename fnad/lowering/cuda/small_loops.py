"""Loops and branches whose bodies are small, as one kernel of one block that stays for all turns.

To launch a kernel takes longer than a small body; and the host would have to wait for each
condition. Here the threads of one block share the points of every node and wait for each other
between nodes that depend on each other. If a body is so small that all of its elements can be
written out (`fnad.lowering.unroll`), a single thread runs it, and keeps in registers what is used
at constant places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from fnad.lowering.access import access, count_uses, kernel_exprs, node_bodies, own_access
from fnad.lowering.costs import cost, operations_of
from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.points import bind_axes, count, index_kind, print_stores
from fnad.lowering.cuda.reductions import print_reduction
from fnad.lowering.cuda.teams import WARP, Team
from fnad.lowering.cuda.writer import INT64, Function, Value, ctype
from fnad.lowering.expr import Expr
from fnad.lowering.kernels import store_parts
from fnad.lowering.plan import Branch, Buffer, For, Group, Kernel, Node, While
from fnad.lowering.unroll import Points, as_kernel, written_out
from fnad.lowering.walk import loads, postorder

if TYPE_CHECKING:
    from fnad.lowering.cuda.emitter import Emitter
    from fnad.lowering.cuda.program import Step

# Operations of a node, beyond which many blocks are faster than one, in spite of the launch.
_MAX_COST = 1 << 16
# The same where one thread runs all points in order.
_MAX_SEQUENTIAL_COST = 1 << 12
# Nodes of a body, whose code is one function.
_MAX_NODES = 128
_MAX_THREADS = 1024
# Operations of a body that a single thread runs, written out.
_MAX_OPERATIONS = 3000
# Elements of a buffer that lives in registers.
_MAX_REGISTERS = 32
# Bytes of shared memory for buffers: of 48 KiB, some are left to reductions.
_SHARED_BYTES = 36 << 10

_CONTROL = (For, While, Branch)


def loop_steps(emitter: Emitter, node: For | While | Branch) -> list[Step] | None:
    """The launch of the kernel that a loop or branch becomes; None if it is no small one."""
    loop = SmallLoop(node, emitter.buffers, emitter.uses)
    if not loop.fits:
        return None
    found = access(node)
    return [
        emitter.launch(
            node.origin.primitive if node.origin else "loop",
            loop.write,
            loop.arguments,
            found.writes,
            loop.outer_counters(),
            1,
            loop.threads,
        )
    ]


class SmallLoop:
    """A loop or branch that may become one kernel, which it may only if it ``fits``.

    Attributes
    ----------
    arguments : list of int
        The buffers that the kernel is given: those used elsewhere, too.
    threads : int
        The threads of its block; 1 if it is written out.
    """

    def __init__(
        self, node: For | While | Branch, buffers: Mapping[int, Buffer], uses: Mapping[int, int]
    ) -> None:
        self.node, self.buffers = node, buffers
        self._kernels: dict[int, list[Kernel]] = {}  # of leaves, by id
        self._points: dict[int, list[Points]] = {}
        self._inner: set[int] = set()  # the counters of loops inside
        self.fits = self._walk([node])
        if not self.fits:
            return
        inside = count_uses([node])
        self.local = [n for n in sorted(inside) if self._is_local(n, inside, uses)]
        self.arguments = [n for n in sorted(inside) if n not in set(self.local)]
        self.solo = self._written_out()
        self.registers = self._constant_places() if self.solo else set()
        self.threads = 1 if self.solo else self._threads()
        nbytes = sum(buffers[n].nbytes + 16 for n in self.local if n not in self.registers)
        self.fits = nbytes <= _SHARED_BYTES

    def _is_local(self, n: int, inside: Mapping[int, int], uses: Mapping[int, int]) -> bool:
        """Whether a buffer is used nowhere else."""
        role = self.buffers[n].role
        return role == "local" or (role == "temp" and inside[n] == uses[n])

    def _walk(self, nodes: Iterable[Node]) -> bool:
        """Note the kernels of leaves; whether all of them are small ones."""
        for node in nodes:
            if isinstance(node, _CONTROL):
                if isinstance(node, For):
                    self._inner.add(node.counter)
                if not all(self._walk(body) for body in node_bodies(node)):
                    return False
                continue
            members = [m.node for m in node.members] if isinstance(node, Group) else [node]
            kernels = [as_kernel(member, self.buffers) for member in members]
            found = [k for k in kernels if k is not None and _is_small(k)]
            if len(found) < len(members) or len(self._kernels) >= _MAX_NODES:
                return False
            self._kernels[id(node)] = found
        return True

    def _written_out(self) -> bool:
        """Whether all leaves may be written out; notes how."""
        operations = 0
        for key, kernels in self._kernels.items():
            found = [written_out(kernel, self.buffers) for kernel in kernels]
            points = [p for p in found if p is not None]
            if len(points) < len(found):
                return False
            self._points[key] = points
            stores = [s for kernel in points for at_point in kernel for s in at_point]
            exprs = [e for s in stores for e in store_parts(s)]
            operations += operations_of(exprs) + len(stores)
            if operations > _MAX_OPERATIONS:
                return False
        return True

    def _constant_places(self) -> set[int]:
        """The buffers of few elements that are used at constant places alone."""
        places: list[tuple[int, Expr]] = []
        for kernels in self._points.values():
            for s in (s for points in kernels for at_point in points for s in at_point):
                places += [(e.attr, e.args[0]) for e in loads(store_parts(s))]
                places.append((s.buffer, s.offset))
        moving = {number for number, place in places if place.op != "constant"}
        used = count_uses([self.node])
        return {n for n in used if n not in moving and self.buffers[n].size <= _MAX_REGISTERS}

    def _threads(self) -> int:
        kernels = [k for found in self._kernels.values() for k in found]
        most = max((count(k.axes) * _lanes(k) for k in kernels), default=1)
        return min(max(1 << (most - 1).bit_length(), WARP), _MAX_THREADS)

    def outer_counters(self) -> list[Expr]:
        """The turns of loops around this one that it names."""
        exprs = [e for found in self._kernels.values() for k in found for e in kernel_exprs(k)]
        return [e for e in postorder(exprs) if e.op == "counter" and e.attr[0] not in self._inner]

    def write(self, f: Function, printer: ExpressionPrinter) -> None:
        """Append the body of the kernel."""
        pointers = dict(printer.pointers)
        found = access(self.node)
        for number in sorted(found.touched):
            if number in self.registers or number in self.local:
                pointers[number] = self._declare(f, number)
            if number in self.registers and number in printer.pointers:
                self._copy(f, number, printer.pointers[number], pointers[number])
        counters = dict(printer.counters)
        block = _OneBlock(ExpressionPrinter(f, pointers, counters), counters, self.threads)
        block.kernels, block.written_out = self._kernels, self._points if self.solo else {}
        block.body([self.node])
        for number in sorted(found.writes & self.registers):
            if number in printer.pointers:
                self._copy(f, number, pointers[number], printer.pointers[number])

    def _declare(self, f: Function, number: int) -> str:
        b, name = self.buffers[number], f.fresh("local")
        kind = "" if number in self.registers else "alignas(16) __shared__ "
        f.line(f"{kind}{ctype(b.dtype)} {name}[{max(b.size, 1)}];")
        return name

    def _copy(self, f: Function, number: int, source: str, target: str) -> None:
        for i in range(self.buffers[number].size):
            f.line(f"{target}[{i}] = {source}[{i}];")


def _is_small(kernel: Kernel) -> bool:
    reduced = sum((1 + cost(r.value)) * count(r.axes) for r in kernel.reductions)
    stored = sum(1 + cost(s.value) for s in kernel.stores)
    total = (reduced + stored) * count(kernel.axes)
    return total <= (_MAX_SEQUENTIAL_COST if kernel.sequential else _MAX_COST)


def _lanes(kernel: Kernel) -> int:
    """How many threads share a point: a warp for long reductions, whose terms lie side by side."""
    terms = max((count(r.axes) for r in kernel.reductions), default=1)
    if kernel.sequential or kernel.parallel_inner or terms < WARP:
        return 1
    return WARP


class _OneBlock:
    """Prints a schedule for the threads of one block."""

    kernels: Mapping[int, list[Kernel]]  # of leaves, by id
    written_out: Mapping[int, list[Points]]  # the same, if a single thread runs all

    def __init__(
        self, printer: ExpressionPrinter, counters: dict[int, Value], threads: int
    ) -> None:
        self.f, self.printer = printer.f, printer
        self._counters = counters  # those that the printer knows
        self._threads = threads
        self._written: set[int] = set()  # since all threads waited for each other
        self._read: set[int] = set()

    def body(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            if isinstance(node, For):
                self._for(node)
            elif isinstance(node, While):
                self._while(node)
            elif isinstance(node, Branch):
                self._branch(node)
            else:
                self._leaf(node)

    # -- control ----------------------------------------------------------------------------

    def _for(self, node: For) -> None:
        self._wait()
        turn, kind = self.f.fresh("turn"), index_kind(node.extent)
        first, last, further = "0", str(node.extent), "++"
        if node.count is not None:
            last = self.f.named(kind, f"({kind}){self.printer.pointers[node.count]}[0]", INT64).ref
            self._read.add(node.count)
        test = f"{turn} < {last}"
        if node.backwards:
            first, test, further = f"{last} - 1", f"{turn} >= 0", "--"
        head = f"for ({kind} {turn} = {first}; {test}; {turn}{further})"
        with self.f.block(head), self.printer.scope():
            self._counters[node.counter] = Value(turn, INT64)
            self.body(node.body)
            self._wait()

    def _while(self, node: While) -> None:
        self._wait()
        with self.f.block("while (true)"):
            self.body(node.condition)
            self._wait()
            self.f.line(f"if (!{self.printer.pointers[node.predicate]}[0]) break;")
            self._read.add(node.predicate)
            self.body(node.body)
            self._wait()

    def _branch(self, node: Branch) -> None:
        self._wait()
        last = len(node.branches) - 1
        index = self.f.named("i32", f"{self.printer.pointers[node.index]}[0]", INT64).ref
        for k, branch in enumerate(node.branches):
            condition = f"{index} <= 0" if k == 0 else f"{index} == {k}"
            if k == last:
                condition = f"{index} >= {k}" if k else "true"
            with self.f.block(f"if ({condition})"):
                self._read.add(node.index)
                self.body(branch)
                self._wait()

    def _wait(self) -> None:
        """Have all threads wait for each other, if one has touched memory."""
        if (self._written or self._read) and self._threads > 1:
            self.f.line("__syncthreads();" if self._threads > WARP else "__syncwarp();")
        self._written, self._read = set(), set()

    # -- leaves -----------------------------------------------------------------------------

    def _leaf(self, node: Node) -> None:
        origin = getattr(node, "origin", None)
        if origin is not None:
            self.f.line(f"// {origin.primitive}")
        if self.written_out:
            for points in self.written_out[id(node)]:
                for stores in points:
                    with self.printer.scope():
                        print_stores(self.f, self.printer, stores)
            return
        for kernel in self.kernels[id(node)]:
            found = own_access(kernel)
            if not (
                self._written.isdisjoint(found.touched) and self._read.isdisjoint(found.writes)
            ):
                self._wait()
            self._written |= found.writes
            self._read |= found.reads
            self._kernel(kernel)

    def _kernel(self, kernel: Kernel) -> None:
        f, printer, points = self.f, self.printer, count(kernel.axes)
        lanes = _lanes(kernel)
        if points == 1 and lanes > 1:
            lanes = self._threads
        team = Team(self._threads // lanes, lanes)
        with self._points_of(points, team, kernel.sequential) as point, printer.scope():
            bind_axes(f, printer, kernel.axes, point, "i32")
            for number, r in enumerate(kernel.reductions):
                printer.bind_reduced(number, print_reduction(f, printer, r, team))
            with ExitStack() as stack:
                if lanes > 1:
                    stack.enter_context(f.block(f"if ({team.lane} == 0)"))
                    stack.enter_context(printer.scope())
                print_stores(f, printer, kernel.stores)

    @contextmanager
    def _points_of(self, points: int, team: Team, sequential: bool) -> Iterator[str]:
        """A loop over the points of a team, or a condition if it has one at most."""
        f, point = self.f, self.f.fresh("point")
        if sequential:
            with (
                f.block("if ((i32)threadIdx.x == 0)"),
                f.block(f"for (i32 {point} = 0; {point} < {points}; {point}++)"),
            ):
                yield point
        elif points < team.width:
            with f.block(f"if ({team.place} < {points})"):
                yield team.place
        elif points == team.width:
            with f.block():
                yield team.place
        else:
            head = f"i32 {point} = {team.place}; {point} < {points}; {point} += {team.width}"
            with f.block(f"for ({head})"):
                yield point
