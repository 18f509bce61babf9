"""Runs plans on the emulated device, and compiles their sources for a real one."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest

from fnad.lowering.cuda.emitter import emit_plan
from fnad.lowering.cuda.executable import CudaExecutable
from fnad.lowering.plan import Buffer, Plan
from tests.cuda_emulator import EmulatedDevice, available

needs_emulator = pytest.mark.skipif(not available(), reason="the emulator needs g++")
needs_nvcc = pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc")


class PlanDevice:
    """`fnad.lowering.cuda.device.Device` on the emulated one; ``seed`` permutes its threads."""

    def __init__(self, seed=0):
        self.emulated = EmulatedDevice(seed)
        self.launches = []

    def put(self, value, dtype):
        return self.emulated.array(np.asarray(value, dtype))

    def empty(self, shape, dtype):
        return self.emulated.empty(int(np.prod(shape)) * dtype.itemsize)

    def address(self, array):
        return array.address

    def copy(self, target, source, nbytes):
        ctypes.memmove(target, source, nbytes)

    def fetch(self, address, count, dtype):
        return np.frombuffer(ctypes.string_at(address, count * dtype.itemsize), dtype)

    def module(self, source):
        return self.emulated.module(source)

    def launch(self, module, function, blocks, threads, shared_bytes, arguments):
        self.launches.append(function)
        grid, block = (blocks, 1, 1), (threads, 1, 1)
        self.emulated.launch(module, function, grid, block, shared_bytes, arguments)


def run_plan(plan, args, seed=0):
    """The results of a plan, and the names of the kernels that were launched."""
    device = PlanDevice(seed)
    outs = CudaExecutable(emit_plan(plan), device)(args)
    buffers = [plan.buffers[n] for n in plan.outputs]
    arrays = [out.array(b.dtype, b.shape).copy() for out, b in zip(outs, buffers, strict=True)]
    return arrays, device.launches


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
    options = "-arch=sm_80 -cubin -Werror all-warnings -diag-suppress 177,550 -o".split()
    command = ["nvcc", *options, str(folder / "out.cubin"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
