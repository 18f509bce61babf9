"""From a program to machine code: what runs if no earlier process has kept the result.

All that plans and prints is imported from here, which takes longer than to load a kept program.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fnad.core.ir import Jaxpr, memoize
from fnad.core.types import ShapedArray
from fnad.lowering.binary import Binary
from fnad.lowering.host_calls import HostCalls
from fnad.lowering.llvm.compilation import Compilation
from fnad.lowering.llvm.emitter import emit_plan
from fnad.lowering.llvm.target import assembly
from fnad.lowering.llvm.work import nanoseconds
from fnad.lowering.parts import with_real_memory
from fnad.lowering.plan import (
    ArrayType,
    Branch,
    Buffer,
    For,
    Node,
    Plan,
    Release,
    Reserve,
    While,
)
from fnad.lowering.planning import plan_jaxpr
from fnad.lowering.simplify import simplify
from fnad.lowering.target import CPU, Target

# Freeing the interpreter and taking it back costs some 30 ns, more if another thread wants it.
_LONG = 3_000.0


@memoize
def plan_of(jaxpr: Jaxpr, donated: tuple[int, ...]) -> Plan:
    """The plan of a program for this machine."""
    return _planned(jaxpr, donated)


@memoize
def plan_for_card(jaxpr: Jaxpr, donated: tuple[int, ...]) -> Plan:
    """The plan of a program for a card."""
    from fnad.lowering.cuda.target import CARD

    return _planned(jaxpr, donated, target=CARD)


def _planned(jaxpr: Jaxpr, donated: tuple[int, ...], target: Target = CPU, **options: Any) -> Plan:
    real = with_real_memory(jaxpr)
    interface = None if real is jaxpr else (_types(jaxpr.in_avals), _types(jaxpr.out_avals))
    simplified = simplify(real, target.whole)
    return plan_jaxpr(simplified, donated, target=target, interface=interface, **options)


def _types(avals: Sequence[ShapedArray]) -> tuple[ArrayType, ...]:
    return tuple([(a.shape, a.dtype) for a in avals])


def compiled(jaxpr: Jaxpr, donated: tuple[int, ...]) -> Binary:
    """Plan and compile a program; what its nodes will call is compiled while others are planned."""
    with Compilation() as compilation:
        plan = _planned(jaxpr, donated, watch=compilation.anticipate)
        return _finish(plan, compilation)


def binary_of(plan: Plan, stamped: bool = False) -> Binary:
    """Compile a plan; if ``stamped``, it tells the times of its nodes (see `Executable`)."""
    with Compilation() as compilation:
        return _finish(plan, compilation, stamped)


def _finish(plan: Plan, compilation: Compilation, stamped: bool = False) -> Binary:
    emitted = emit_plan(plan, compilation.add, stamped)
    constants = (*plan.constants, emitted.table)
    arguments, results = plan.types()
    places = {number: i for i, number in enumerate(plan.inputs)}
    return Binary(
        compilation.code(),
        (*arguments, *((c.shape, c.dtype) for c in constants)),
        results,
        tuple([places.get(number, -1) for number in plan.outputs]),
        constants,
        emitted.shared_size,
        emitted.thread_size,
        _runs_long(plan),
        sum(b.role == "tape" for b in plan.buffers),
        HostCalls(plan.functions) if plan.functions else None,
    )


def _runs_long(plan: Plan) -> bool:
    """Whether other threads should have the interpreter while this plan runs."""
    return _time(plan.body, {b.number: b for b in plan.buffers}) > _LONG


def _time(body: Iterable[Node], buffers: Mapping[int, Buffer]) -> float:
    return sum((_time_of(node, buffers) for node in body), 0.0)


def _time_of(node: Node, buffers: Mapping[int, Buffer]) -> float:
    match node:
        case For(count=None):
            return node.extent * _time(node.body, buffers)
        case For() | While() | Reserve() | Release():
            return math.inf
        case Branch():
            return max(_time(body, buffers) for body in node.branches)
    return nanoseconds(node, buffers)


def text_of(jaxpr: Jaxpr, stage: str, donated: tuple[int, ...], backend: str) -> str:
    """A program as text, at one of the backend's stages."""
    if stage == "jaxpr":
        return str(jaxpr)
    if stage == "simplified":
        return str(simplify(with_real_memory(jaxpr)))
    plan = plan_of(jaxpr, donated) if backend == "cpu" else plan_for_card(jaxpr, donated)
    if stage == "plan":
        return str(plan)
    if stage == "cuda":
        from fnad.lowering.cuda import emitter

        return emitter.emit_plan(plan).source
    if stage == "llvm":
        return emit_plan(plan).text
    parts: list[str] = []
    emit_plan(plan, lambda *part: parts.append(assembly(*part)))
    return "\n".join(parts)
