"""Lowering: ``Jaxpr -> simplified Jaxpr -> plan -> LLVM IR -> machine code``.

Reading order: ``simplify``, ``interned``, ``expr``, ``walk``, ``plan``, ``tensors``, ``planner``,
``kernels``, ``buffers``; then ``llvm``, ``binary`` for what is kept of a compiled plan, and
``executable`` and ``native`` for how it is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fnad.core.ir import Jaxpr, memoize
from fnad.lowering.binary import finish_binary, kept_name, load, store
from fnad.lowering.executable import Executable
from fnad.lowering.llvm.compilation import Compilation
from fnad.lowering.llvm.emitter import emit_plan
from fnad.lowering.llvm.target import assembly
from fnad.lowering.plan import Plan
from fnad.lowering.planner import plan_jaxpr
from fnad.lowering.profiling import NodeTime, profile
from fnad.lowering.simplify import simplify

STAGES = ("jaxpr", "simplified", "plan", "llvm", "asm")


def lower_jaxpr(jaxpr: Jaxpr, donated: tuple[int, ...] = ()) -> Plan:
    """The plan of a program, which is simplified first; see `plan_jaxpr`."""
    return _plan(jaxpr, donated)


def compile_jaxpr(jaxpr: Jaxpr, donated: tuple[int, ...] = ()) -> Executable:
    """Compile a program for this machine; the result takes and returns lists of arrays.

    Inputs at the positions ``donated`` may be given up for outputs.
    """
    return _executable(jaxpr, donated)


def profile_jaxpr(
    jaxpr: Jaxpr, args: Sequence[Any], repeats: int, donated: tuple[int, ...] = ()
) -> list[NodeTime]:
    """Run a program several times, and time the nodes of its plan."""
    return profile(_plan(jaxpr, donated), args, repeats)


@memoize
def _plan(jaxpr: Jaxpr, donated: tuple[int, ...]) -> Plan:
    return plan_jaxpr(simplify(jaxpr), donated)


@memoize
def _executable(jaxpr: Jaxpr, donated: tuple[int, ...]) -> Executable:
    name = kept_name(jaxpr, donated)
    binary = None if name is None else load(name)
    if binary is None:
        with Compilation() as compilation:
            plan = plan_jaxpr(simplify(jaxpr), donated, compilation.anticipate)
            binary = finish_binary(plan, compilation)
        if name is not None:
            store(name, binary)
    return Executable(binary)


def lowered_text(jaxpr: Jaxpr, stage: str, donated: tuple[int, ...] = ()) -> str:
    """A program as text, at one of the stages ``jaxpr simplified plan llvm asm``.

    Raises
    ------
    ValueError
        If there is no such stage.
    """
    if stage == "jaxpr":
        return str(jaxpr)
    if stage == "simplified":
        return str(simplify(jaxpr))
    if stage == "plan":
        return str(lower_jaxpr(jaxpr, donated))
    if stage == "llvm":
        return emit_plan(lower_jaxpr(jaxpr, donated)).text
    if stage == "asm":
        parts: list[str] = []
        emit_plan(lower_jaxpr(jaxpr, donated), lambda *part: parts.append(assembly(*part)))
        return "\n".join(parts)
    raise ValueError(f"there is no stage {stage!r}: choose one of {', '.join(STAGES)}")


__all__ = [
    "STAGES",
    "Executable",
    "NodeTime",
    "Plan",
    "compile_jaxpr",
    "lower_jaxpr",
    "lowered_text",
    "profile_jaxpr",
    "simplify",
]
