"""Lowering: ``Jaxpr -> simplified Jaxpr -> plan -> LLVM IR -> machine code``.

Reading order: ``parts``, ``simplify``, ``interned``, ``expr``, ``walk``, ``plan``, ``tensors``,
``planner``, ``kernels``, ``buffers``, ``planning``; then ``llvm``, ``binary`` for what is kept of
a compiled plan, and ``executable`` and ``native`` for how it is called. ``cuda`` is the other
backend: the same plan printed for a card.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fnad import config
from fnad.core.advice import recursion_explained
from fnad.core.ir import Jaxpr, memoize
from fnad.core.types import ShapedArray
from fnad.lowering.binary import finish_binary, kept_name, load, store
from fnad.lowering.executable import Executable
from fnad.lowering.llvm.compilation import Compilation
from fnad.lowering.llvm.emitter import emit_plan
from fnad.lowering.llvm.target import assembly
from fnad.lowering.parts import in_parts, with_real_memory
from fnad.lowering.plan import ArrayType, Plan
from fnad.lowering.planning import plan_jaxpr
from fnad.lowering.profiling import NodeTime, profile
from fnad.lowering.simplify import simplify
from fnad.lowering.target import CPU, Target

if TYPE_CHECKING:
    from fnad.lowering.cuda.device import Device
    from fnad.lowering.cuda.executable import CudaExecutable

STAGES = ("jaxpr", "simplified", "plan", "llvm", "asm")
CUDA_STAGES = ("jaxpr", "simplified", "plan", "cuda")


def lower_jaxpr(jaxpr: Jaxpr, donated: tuple[int, ...] = ()) -> Plan:
    """The plan of a program, which is simplified first; see `plan_jaxpr`."""
    return _plan(jaxpr, donated)


def compile_jaxpr(jaxpr: Jaxpr, donated: tuple[int, ...] = ()) -> Executable:
    """Compile a program for this machine; the result takes and returns lists of arrays.

    Inputs at the positions ``donated`` may be given up for outputs.
    """
    with recursion_explained():
        return _executable(jaxpr, donated)


def current_device() -> Device:
    """The card on which programs run; see `fnad.lowering.cuda.device.current_device`."""
    from fnad.lowering.cuda import device  # most processes use no card

    return device.current_device()


def compile_for_device(jaxpr: Jaxpr, donated: tuple[int, ...] = ()) -> CudaExecutable:
    """Compile a program for the current card; the result takes and returns lists of its arrays."""
    return _cuda_executable(jaxpr, donated, current_device(), config.matmul_precision)


def profile_jaxpr(
    jaxpr: Jaxpr, args: Sequence[Any], repeats: int, donated: tuple[int, ...] = ()
) -> list[NodeTime]:
    """Run a program several times, and time the nodes of its plan."""
    return profile(_plan(jaxpr, donated), args, repeats)


@memoize
def _plan(jaxpr: Jaxpr, donated: tuple[int, ...]) -> Plan:
    return _planned(jaxpr, donated)


def _planned(jaxpr: Jaxpr, donated: tuple[int, ...], target: Target = CPU, **options: Any) -> Plan:
    real = with_real_memory(jaxpr)
    interface = None if real is jaxpr else (_types(jaxpr.in_avals), _types(jaxpr.out_avals))
    simplified = simplify(real, target.whole)
    return plan_jaxpr(simplified, donated, target=target, interface=interface, **options)


def _types(avals: Sequence[ShapedArray]) -> tuple[ArrayType, ...]:
    return tuple([(a.shape, a.dtype) for a in avals])


@memoize
def _executable(jaxpr: Jaxpr, donated: tuple[int, ...]) -> Executable:
    name = kept_name(jaxpr, donated)
    binary = None if name is None else load(name)
    if binary is None:
        with Compilation() as compilation:
            plan = _planned(jaxpr, donated, watch=compilation.anticipate)
            binary = finish_binary(plan, compilation)
        if name is not None:
            store(name, binary)
    return Executable(binary)


@memoize
def _cuda_plan(jaxpr: Jaxpr, donated: tuple[int, ...]) -> Plan:
    from fnad.lowering.cuda.target import CARD

    return _planned(jaxpr, donated, target=CARD)


@memoize
def _cuda_executable(
    jaxpr: Jaxpr, donated: tuple[int, ...], device: Device, precision: str
) -> CudaExecutable:
    from fnad.lowering.cuda.emitter import emit_plan
    from fnad.lowering.cuda.executable import CudaExecutable

    program = emit_plan(_cuda_plan(jaxpr, donated), limits=device.limits)
    return CudaExecutable(program, device, precision)


def lowered_text(
    jaxpr: Jaxpr, stage: str, donated: tuple[int, ...] = (), backend: str = "cpu"
) -> str:
    """A program as text, at one of the stages ``jaxpr simplified plan llvm asm``.

    For the backend ``cuda``, the stages are ``jaxpr simplified plan cuda``.

    Raises
    ------
    ValueError
        If there is no such stage.
    """
    stages = STAGES if backend == "cpu" else CUDA_STAGES
    if stage not in stages:
        raise ValueError(f"there is no stage {stage!r}: choose one of {', '.join(stages)}")
    if stage == "jaxpr":
        return str(jaxpr)
    if stage == "simplified":
        return str(simplify(with_real_memory(jaxpr)))
    plan = lower_jaxpr(jaxpr, donated) if backend == "cpu" else _cuda_plan(jaxpr, donated)
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


__all__ = [
    "CUDA_STAGES",
    "STAGES",
    "Executable",
    "NodeTime",
    "Plan",
    "compile_for_device",
    "compile_jaxpr",
    "current_device",
    "in_parts",
    "lower_jaxpr",
    "lowered_text",
    "profile_jaxpr",
    "simplify",
]
