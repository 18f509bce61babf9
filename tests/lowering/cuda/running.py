"""Runs plans on the emulated device, and compiles their sources for a real one."""

from fnad.lowering.cuda.emitter import emit_plan
from fnad.lowering.cuda.executable import CudaExecutable
from fnad.lowering.plan import Buffer, Plan
from tests.cuda_emulator import EmulatedDevice, needs_emulator
from tests.cuda_emulator.card import EmulatedCard
from tests.cuda_emulator.toolchain import check, needs_toolchain

__all__ = ["compile_for_device", "needs_emulator", "needs_toolchain", "plan_of", "run_plan"]


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


def compile_for_device(plan):
    """Have CUDA's own compiler make machine code of a plan's source, without a warning."""
    check(emit_plan(plan).source, "sm_80")
