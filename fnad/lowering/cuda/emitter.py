"""Prints a whole plan as CUDA source and the steps that run it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fnad.core.errors import MissingRuleError
from fnad.lowering.access import count_uses, kernel_exprs, own_access
from fnad.lowering.cuda.accumulate import accumulate_steps
from fnad.lowering.cuda.attention import attention_steps
from fnad.lowering.cuda.crews import group_steps
from fnad.lowering.cuda.device import LIMITS, Limits
from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.forms import form_of
from fnad.lowering.cuda.library import library_text
from fnad.lowering.cuda.memory import makers
from fnad.lowering.cuda.points import count
from fnad.lowering.cuda.products import arrange_products
from fnad.lowering.cuda.program import (
    CallOfPython,
    HostRoutine,
    Launch,
    Product,
    Program,
    Repeat,
    RepeatWhile,
    Step,
    Switch,
)
from fnad.lowering.cuda.scatter import scatter_of, scatter_steps
from fnad.lowering.cuda.small_loops import loop_steps
from fnad.lowering.cuda.sorting import sort_steps
from fnad.lowering.cuda.writer import INT64, PRELUDE, DType, Function, Value, ctype
from fnad.lowering.expr import Expr
from fnad.lowering.plan import (
    Accumulate,
    Attention,
    Branch,
    Buffer,
    Contraction,
    Copy,
    For,
    Group,
    HostCall,
    Kernel,
    Node,
    Plan,
    Reserve,
    Routine,
    Sort,
    While,
)
from fnad.lowering.unroll import as_kernel
from fnad.lowering.walk import postorder

_ALIGNMENT = 256  # bytes, of temporaries


def emit_plan(plan: Plan, library: bool = True, limits: Limits = LIMITS) -> Program:
    """Print a plan; without ``library``, for a device that has no library of matrix products.

    ``limits`` are those of the device.
    """
    plan = arrange_products(plan, library)
    emitter = Emitter(plan, limits)
    steps = emitter.steps(plan.body)
    return Program(
        emitter.source(),
        steps,
        tuple(emitter.buffers.values()),
        plan.inputs,
        plan.outputs,
        plan.constants,
        emitter.arena_size,
        plan.types(),
        makers(plan.body),
        plan.functions,
    )


class Emitter:
    """Kernels printed so far; nodes that do the same to other buffers share one."""

    def __init__(self, plan: Plan, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self.buffers: dict[int, Buffer] = {b.number: b for b in plan.buffers}
        self.arena_size = plan.arena_size
        self._free = _aligned(plan.arena_size)  # where the next temporary of a node begins
        self._temporaries: dict[tuple[int, int, DType], int] = {}
        self.uses = count_uses(plan.body)
        self._names: dict[str, str] = {}  # of the functions, by their texts without names
        self._functions: list[str] = []
        self._used: dict[str, None] = {}

    def source(self) -> str:
        """The source of all kernels."""
        return "\n".join([PRELUDE, library_text(list(self._used)), *self._functions])

    def steps(self, body: Iterable[Node]) -> tuple[Step, ...]:
        """What runs the nodes of a schedule."""
        return tuple([step for node in body for step in _STEPS[type(node)](self, node)])

    @contextmanager
    def temporaries(self, *wanted: tuple[int, DType]) -> Iterator[list[int]]:
        """Buffers of so many elements for the steps of one node; what follows reuses the memory."""
        begin, numbers = self._free, []
        for size, dtype in wanted:
            key = self._free, size, dtype
            if key not in self._temporaries:
                number = self._temporaries[key] = max(self.buffers) + 1
                self.buffers[number] = Buffer(number, (size,), dtype, "temp", self._free)
            numbers.append(self._temporaries[key])
            self._free = _aligned(self._free + size * dtype.itemsize)
        self.arena_size = max(self.arena_size, self._free)
        yield numbers
        self._free = begin

    def launch(
        self,
        stem: str,
        write: Callable[[Function, ExpressionPrinter], None],
        buffers: Sequence[int],
        written: Iterable[int],
        exprs: Iterable[Expr],
        blocks: int,
        threads: int,
        shared_bytes: int = 0,
        together: int = 1,
    ) -> Launch:
        """Print a kernel, if none does the same, and return the launch of it.

        ``write`` appends its body; ``buffers`` are those that it is given, ``exprs`` what names
        the turns of loops. Its threads get as many registers as leave room for ``together`` blocks
        on a multiprocessor.
        """
        turns = sorted({e.attr[0] for e in postorder(exprs) if e.op == "counter"})
        pointers = {number: f"p{i}" for i, number in enumerate(buffers)}
        counters = {turn: Value(f"c{i}", INT64) for i, turn in enumerate(turns)}
        f = Function()
        write(f, ExpressionPrinter(f, pointers, counters))
        changed = set(written)
        parameters = [self._parameter(n, pointers[n], n in changed) for n in buffers]
        parameters += [f"const i64 {c.ref}" for c in counters.values()]
        attributes = f"__launch_bounds__({threads}{f', {together}' * (together > 1)}) "
        name = self._function(stem, f, parameters, attributes)
        return Launch(name, blocks, threads, tuple(buffers), tuple(turns), shared_bytes)

    def _function(self, stem: str, f: Function, parameters: Sequence[str], attributes: str) -> str:
        text = f.text("", parameters, attributes)
        name = self._names.get(text)
        if name is None:
            name = self._names[text] = f"{stem}_{len(self._names)}"
            self._functions.append(f.text(name, parameters, attributes))
            self._used.update(f.used)
        return name

    def _parameter(self, number: int, name: str, written: bool) -> str:
        kind = ctype(self.buffers[number].dtype)
        return f"{'' if written else 'const '}{kind}* __restrict__ {name}"


def _aligned(nbytes: int) -> int:
    return -(-nbytes // _ALIGNMENT) * _ALIGNMENT


# -- nodes -------------------------------------------------------------------------------------


def _kernel(emitter: Emitter, node: Kernel, stem: str = "kernel") -> list[Step]:
    if count(node.axes) == 0:
        return []
    if node.sequential:
        scatter = scatter_of(node, emitter.buffers[node.stores[0].buffer].size)
        if scatter is not None:  # else one thread runs all points, in order
            return scatter_steps(emitter, scatter)
    found, form = own_access(node), form_of(node)
    return [
        emitter.launch(
            node.origin.primitive if node.origin else stem,
            form.write,
            sorted(found.touched),
            found.writes,
            kernel_exprs(node),
            form.blocks,
            form.threads,
        )
    ]


def _copy(emitter: Emitter, node: Copy) -> list[Step]:
    kernel = as_kernel(node, emitter.buffers)
    assert kernel is not None
    return _kernel(emitter, kernel, "copy")


def _contraction(emitter: Emitter, node: Contraction) -> list[Step]:
    return [Product(node)]


def _host_call(emitter: Emitter, node: HostCall) -> list[Step]:
    return [CallOfPython(node)]


def _routine(emitter: Emitter, node: Routine) -> list[Step]:
    return [HostRoutine(node)] if node.count else []


def _for(emitter: Emitter, node: For) -> list[Step]:
    small = loop_steps(emitter, node)
    if small is not None:
        return small
    body = emitter.steps(node.body)
    return [Repeat(node.counter, node.extent, body, node.count, node.backwards)]


def _while(emitter: Emitter, node: While) -> list[Step]:
    small = loop_steps(emitter, node)
    if small is not None:
        return small
    return [RepeatWhile(emitter.steps(node.condition), node.predicate, emitter.steps(node.body))]


def _refuse_tapes(emitter: Emitter, node: Reserve) -> list[Step]:
    raise MissingRuleError(
        "reverse mode through a loop whose number of steps is not bounded needs memory for as many"
        " steps as it makes, which programs for a card cannot get while they run. Give while_loop"
        f" (or fori_loop) max_steps.{f'  at: {node.origin}' if node.origin else ''}"
    )


def _branch(emitter: Emitter, node: Branch) -> list[Step]:
    small = loop_steps(emitter, node)
    if small is not None:
        return small
    return [Switch(node.index, tuple([emitter.steps(body) for body in node.branches]))]


_STEPS: dict[type, Callable[[Emitter, Any], list[Step]]] = {
    Kernel: _kernel,
    Copy: _copy,
    Contraction: _contraction,
    Routine: _routine,
    HostCall: _host_call,
    Accumulate: accumulate_steps,
    Sort: sort_steps,
    Attention: attention_steps,
    Group: group_steps,
    For: _for,
    While: _while,
    Branch: _branch,
    Reserve: _refuse_tapes,
}
