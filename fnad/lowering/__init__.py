"""Lowering: ``Jaxpr -> simplified Jaxpr -> plan -> LLVM IR -> machine code``.

Reading order: ``pipeline`` for the whole way; ``parts``, ``simplify``, ``interned``, ``expr``,
``walk``, ``plan``, ``tensors``, ``planner``, ``kernels``, ``buffers``, ``planning``; then ``llvm``,
``binary`` for what is kept of a compiled plan, and ``executable`` and ``native`` for how it is
called. ``cuda`` is the other backend: the same plan printed for a card.

What only compiling needs, LLVM included, is imported by the first program that is compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fnad import config
from fnad.core.advice import recursion_explained
from fnad.core.ir import Jaxpr, memoize
from fnad.lowering.parts import in_parts

if TYPE_CHECKING:
    from fnad.lowering.cuda.device import Device
    from fnad.lowering.cuda.executable import CudaExecutable
    from fnad.lowering.executable import Executable
    from fnad.lowering.plan import Plan
    from fnad.lowering.profiling import NodeTime

STAGES = ("jaxpr", "simplified", "plan", "llvm", "asm")
CUDA_STAGES = ("jaxpr", "simplified", "plan", "cuda")


def lower_jaxpr(jaxpr: Jaxpr, donated: tuple[int, ...] = ()) -> Plan:
    """The plan of a program, which is simplified first; see `planning.plan_jaxpr`."""
    from fnad.lowering import pipeline

    return pipeline.plan_of(jaxpr, donated)


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
    from fnad.lowering.profiling import profile

    return profile(lower_jaxpr(jaxpr, donated), args, repeats)


@memoize
def _executable(jaxpr: Jaxpr, donated: tuple[int, ...]) -> Executable:
    from fnad.lowering.binary import kept_name, load, store
    from fnad.lowering.executable import Executable

    name = kept_name(jaxpr, donated)
    binary = None if name is None else load(name)
    if binary is None:
        from fnad.lowering import pipeline

        binary = pipeline.compiled(jaxpr, donated)
        if name is not None:
            store(name, binary)
    return Executable(binary)


@memoize
def _cuda_executable(
    jaxpr: Jaxpr, donated: tuple[int, ...], device: Device, precision: str
) -> CudaExecutable:
    from fnad.lowering import pipeline
    from fnad.lowering.cuda.emitter import emit_plan
    from fnad.lowering.cuda.executable import CudaExecutable

    program = emit_plan(pipeline.plan_for_card(jaxpr, donated), limits=device.limits)
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
    from fnad.lowering import pipeline

    stages = STAGES if backend == "cpu" else CUDA_STAGES
    if stage not in stages:
        raise ValueError(f"there is no stage {stage!r}: choose one of {', '.join(stages)}")
    return pipeline.text_of(jaxpr, stage, donated, backend)


__all__ = [
    "CUDA_STAGES",
    "STAGES",
    "compile_for_device",
    "compile_jaxpr",
    "current_device",
    "in_parts",
    "lower_jaxpr",
    "lowered_text",
    "profile_jaxpr",
]
