"""A CUDA device for tests: the source that fnad generates, compiled by g++ and run on the CPU.

::

    device = EmulatedDevice(seed=1)
    module = device.module('''
    extern "C" __global__ void scale(float *x, long long n) {
      long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
      if (i < n) x[i] *= 2;
    }
    ''')
    x = device.array(np.arange(5, dtype=np.float32))
    device.launch(module, "scale", (2, 1, 1), (4, 1, 1), 0, [x.address, 5])
    x.array(np.float32)  # [0, 2, 4, 6, 8]

- ``EmulatedDevice(seed=0, checks=CHECKS, time_limit=60, races=False)`` has ``module(source)``,
  ``empty(nbytes)``, ``array(value)`` and
  ``launch(module, name, grid, block, shared_bytes, args)``; arguments of kernels are addresses and
  i64 values.
- ``Memory`` has ``address``, ``nbytes`` and ``array(dtype, shape)``, a view; it is freed with its
  last reference. What was not written is NaN (bytes 0xff), shared memory too, in every block.
- ``CompileError``, ``LaunchError`` and ``KernelError`` tell what is wrong: deadlocks at barriers,
  shuffles with lanes that do not take part, accesses beyond the end of an allocation or of shared
  memory, misaligned addresses, shifts and conversions that the device does in its own way, kernels
  that do not end. They name the block, the thread and, where known, the line.
- ``EmulatedDevice(races=True)`` finds races, in shared memory and among blocks, whether or not they
  change the result in the order at hand; other devices let them show by their ``seed``.
- ``available()`` says whether there is a compiler; ``needs_emulator`` marks tests that need one.

Threads of a block are fibers in one thread of the host. One runs until it must wait, so atomics
need no atomicity, and a kernel that never waits is a loop. Warps do not run in lockstep: what needs
``__syncwarp`` and lacks it fails. Spinning on what other threads write never ends (``time_limit``).
"""

import pytest

from tests.cuda_emulator.compiler import CHECKS, CompileError, Kernel, Module, compiler_path
from tests.cuda_emulator.device import EmulatedDevice, KernelError, LaunchError, Memory

__all__ = [
    "CHECKS",
    "CompileError",
    "EmulatedDevice",
    "Kernel",
    "KernelError",
    "LaunchError",
    "Memory",
    "Module",
    "available",
    "needs_emulator",
]


def available() -> bool:
    """Whether there is a compiler for the emulated device."""
    return compiler_path() is not None


needs_emulator = pytest.mark.skipif(not available(), reason="the emulated CUDA device needs g++")
