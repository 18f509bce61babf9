"""Launches kernels on the emulated device for tests."""

import numpy as np

from tests.cuda_emulator import EmulatedDevice


def run(source, args, grid=(1, 1, 1), block=(32, 1, 1), shared_bytes=0, seed=0, name="k"):
    """Launch a kernel; arrays among the arguments are replaced by what the kernel leaves there."""
    device = EmulatedDevice(seed)
    memories = [device.array(arg) if isinstance(arg, np.ndarray) else arg for arg in args]
    numbers = [arg if isinstance(arg, int) else arg.address for arg in memories]
    device.launch(device.module(source), name, grid, block, shared_bytes, numbers)
    return [
        memory.array(arg.dtype, arg.shape).copy()
        for arg, memory in zip(args, memories, strict=True)
        if isinstance(arg, np.ndarray)
    ]


def zeros(count, dtype=np.int32):
    return np.zeros(count, dtype)
