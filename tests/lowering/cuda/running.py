"""Runs plans on the emulated device, and compiles their sources for a real one."""

import shutil
import subprocess

import pytest

from fnad.lowering.cuda.emitter import emit_plan
from fnad.lowering.cuda.executable import CudaExecutable
from fnad.lowering.plan import Buffer, Plan
from tests.cuda_emulator import EmulatedDevice, needs_emulator
from tests.cuda_emulator.card import EmulatedCard

__all__ = ["compile_for_device", "needs_emulator", "needs_nvcc", "plan_of", "run_plan"]

needs_nvcc = pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc")


class PlanCard(EmulatedCard):
    """An emulated card that notes what it launches, and may look for races."""

    def __init__(self, seed=0, races=False):
        super().__init__(seed)
        self._device = EmulatedDevice(seed, races=races)
        self.launches = []

    def launch(self, module, function, *rest):
        self.launches.append(function)
        super().launch(module, function, *rest)


def run_plan(plan, args, seed=0, races=False):
    """The results of a plan, and the names of the kernels that were launched."""
    card = PlanCard(seed, races)
    outs = CudaExecutable(emit_plan(plan), card)(args)
    return [out.get() for out in outs], card.launches


def plan_of(node, args, outs):
    """A plan of one node, which reads buffers 0, 1, ... and writes those behind them."""
    values = [*args, *outs]
    roles = ["input"] * len(args) + ["output"] * len(outs)
    buffers = [Buffer(i, v.shape, v.dtype, r) for i, (v, r) in enumerate(zip(values, roles))]
    numbers = range(len(values))
    return Plan(
        tuple(buffers), tuple(numbers[: len(args)]), tuple(numbers[len(args) :]), (node,), 0
    )


def compile_for_device(plan, folder):
    """Have nvcc compile a plan's source; warnings are errors, but for those of unused variables."""
    path = folder / "source.cu"
    path.write_text(emit_plan(plan).source)
    strict = ["-Werror", "all-warnings", "-diag-suppress", "177,550"]
    command = ["nvcc", "-arch=sm_80", "-cubin", *strict, "-o", str(folder / "out.cubin"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
