"""The emulated device: compiled modules, memory, and launches that report misuse."""

import ctypes
import functools
import re
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tests.cuda_emulator import compiler
from tests.cuda_emulator.compiler import CHECKS, Module

MAX_THREADS = 1024
MAX_BLOCK = (1024, 1024, 64)
MAX_GRID = (2**31 - 1, 65535, 65535)
MAX_PARAMETER_BYTES = 4096
MAX_STATIC_SHARED = 48 << 10
MAX_SHARED = 227 << 10  # of sm_90, static and dynamic; 164 KB less 1 KB of sm_80, 96 KB of sm_70


class LaunchError(Exception):
    """A launch that the device would refuse."""


class KernelError(Exception):
    """A kernel that did what it must not; the message names the block and the thread."""


class Memory:
    """Bytes of the device, which are NaN until they are written; they live as long as this.

    Attributes
    ----------
    address : int
        Of the first byte; a multiple of 256.
    nbytes : int
    """

    def __init__(self, nbytes: int) -> None:
        library = _runtime()
        allocation = library.emulator_allocate(nbytes)
        if not allocation:
            raise MemoryError(f"no {nbytes} bytes for the emulated device")
        self.address: int = library.emulator_address(allocation)
        self.nbytes = nbytes
        weakref.finalize(self, library.emulator_free, allocation)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return {
            "version": 3,
            "shape": (self.nbytes,),
            "typestr": "|u1",
            "data": (self.address, False),
        }

    def array(self, dtype: DTypeLike, shape: int | tuple[int, ...] = -1) -> np.ndarray:
        """What lies at the start of the memory, as an array of NumPy that shares it."""
        dtype = np.dtype(dtype)
        flat = np.asarray(self)
        if shape == -1:
            return flat.view(dtype)
        count = int(np.prod(shape))
        return flat[: count * dtype.itemsize].view(dtype).reshape(shape)


class _Launch(ctypes.Structure):
    """The struct of the same name in ``runtime/launch.h``."""

    _fields_ = (
        ("kernel", ctypes.c_void_p),
        ("arguments", ctypes.c_void_p),
        ("shared_variables", ctypes.c_void_p),
        ("argument_count", ctypes.c_uint64),
        ("shared_variable_count", ctypes.c_uint64),
        ("shared_bytes", ctypes.c_uint64),
        ("seed", ctypes.c_uint64),
        ("time_limit", ctypes.c_uint64),
        ("races", ctypes.c_uint64),
        ("grid", ctypes.c_uint32 * 3),
        ("block", ctypes.c_uint32 * 3),
    )


_ARGUMENT_SLOTS = 512  # the runtime passes up to so many, whatever the kernel takes
_LAUNCHING = threading.Lock()  # the runtime runs one grid at a time


@functools.cache
def _runtime() -> ctypes.CDLL:
    _, library = compiler.runtime()
    library.emulator_allocate.restype = ctypes.c_void_p
    library.emulator_allocate.argtypes = [ctypes.c_uint64]
    library.emulator_address.restype = ctypes.c_void_p
    library.emulator_address.argtypes = [ctypes.c_void_p]
    library.emulator_free.argtypes = [ctypes.c_void_p]
    library.emulator_launch.argtypes = [ctypes.POINTER(_Launch)]
    library.emulator_message.restype = ctypes.c_char_p
    return library


class EmulatedDevice:
    """Runs CUDA kernels on the CPU, one thread at a time.

    Parameters
    ----------
    seed : int
        Zero runs blocks and threads in their natural order. Other numbers permute it, differently
        in every launch: results that depend on the seed show a race.
    checks : sequence of str
        Names of g++'s ``-fsanitize`` whose failure is reported as an error of the kernel.
    time_limit : int
        Seconds of processor time after which a launch is given up.
    races : bool
        Whether to look for races: accesses of two threads to the same bytes, of which one writes,
        and which nothing orders. Each access to memory then takes some 50 ns.
    """

    def __init__(
        self,
        seed: int = 0,
        checks: Sequence[str] = CHECKS,
        time_limit: int = 60,
        races: bool = False,
    ) -> None:
        self.seed = seed
        self.checks = tuple(checks)
        self.time_limit = time_limit
        self.races = races
        self.launches = 0

    def module(self, source: str) -> Module:
        """Compile a source, once for all devices of the process.

        Raises
        ------
        CompileError
            With the compiler's messages.
        """
        key = source, self.checks, self.races
        if key not in _MODULES:
            _MODULES[key] = compiler.compile_module(*key)
        return _MODULES[key]

    def empty(self, nbytes: int) -> Memory:
        """Memory that nobody has written: reading it as floats gives NaN."""
        return Memory(nbytes)

    def array(self, value: np.ndarray) -> Memory:
        """Memory with the contents of an array."""
        memory = Memory(value.nbytes)
        memory.array(np.uint8)[:] = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        return memory

    def launch(
        self,
        module: Module,
        name: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        shared_bytes: int,
        args: Sequence[int],
    ) -> None:
        """Run a kernel to its end.

        Raises
        ------
        LaunchError
            If the grid, the block, the shared memory or the arguments are not what the device or
            the kernel takes.
        KernelError
            For deadlocks, misused shuffles, accesses out of bounds and what else a device would not
            forgive or, worse, would. Memory is then in an undefined state.
        """
        _check(module, name, grid, block, shared_bytes, args)
        kernel = module.kernels[name]
        self.launches += 1
        arguments = (ctypes.c_uint64 * _ARGUMENT_SLOTS)(*(arg % 2**64 for arg in args))
        flat = [number for pair in kernel.shared_variables for number in pair]
        variables = (ctypes.c_uint64 * max(1, len(flat)))(*flat)
        launch = _Launch(
            kernel=kernel.address,
            arguments=ctypes.addressof(arguments),
            shared_variables=ctypes.addressof(variables),
            argument_count=len(args),
            shared_variable_count=len(kernel.shared_variables),
            shared_bytes=shared_bytes,
            seed=self.seed and hash((self.seed, self.launches)) % 2**64,
            time_limit=self.time_limit,
            races=self.races,
            grid=grid,
            block=block,
        )
        library = _runtime()
        with _LAUNCHING:
            failed = library.emulator_launch(ctypes.byref(launch))
            message = library.emulator_message().decode() if failed else ""
        if failed:
            raise KernelError(f"kernel {name!r}: {_with_lines(message, module)}")


_MODULES: dict[tuple[str, tuple[str, ...], bool], Module] = {}


def _with_lines(message: str, module: Module) -> str:
    """The message, and below it the lines of the source that it names."""

    def line(match: re.Match[str]) -> str:
        number = module.line_of(int(match[1], 16))
        return match[0] if number is None else f"line {number}"

    message = re.sub(r"code\+(0x[0-9a-f]+)", line, message)
    numbers = dict.fromkeys(int(number) for number in re.findall(r"\bline (\d+)", message))
    return message + "".join(f"\n  line {n}: {module.line(n)}" for n in numbers)


def _check(
    module: Module,
    name: str,
    grid: tuple[int, int, int],
    block: tuple[int, int, int],
    shared_bytes: int,
    args: Sequence[int],
) -> None:
    kernel = module.kernels.get(name)
    if kernel is None:
        raise LaunchError(f"no kernel {name!r}: the module has {', '.join(module.kernels)}")
    problems = []
    if not all(0 < n <= limit for n, limit in zip(grid, MAX_GRID, strict=True)):
        problems.append(f"a grid of {grid}, beyond 1 to {MAX_GRID}")
    if not all(0 < n <= limit for n, limit in zip(block, MAX_BLOCK, strict=True)):
        problems.append(f"a block of {block}, beyond 1 to {MAX_BLOCK}")
    threads = block[0] * block[1] * block[2]
    if threads > min(MAX_THREADS, kernel.max_threads):
        problems.append(f"{threads} threads a block, where {kernel.max_threads} are allowed")
    if kernel.shared_bytes > MAX_STATIC_SHARED:
        problems.append(f"{kernel.shared_bytes} bytes of static shared memory, beyond 48 KB")
    if not 0 <= shared_bytes <= MAX_SHARED - kernel.shared_bytes:
        static = kernel.shared_bytes
        problems.append(f"{shared_bytes} + {static} bytes of shared memory, beyond {MAX_SHARED}")
    if len(args) != kernel.parameters:
        problems.append(f"{len(args)} arguments, where it takes {kernel.parameters}")
    if 8 * len(args) > MAX_PARAMETER_BYTES:
        problems.append(f"{len(args)} arguments, beyond {MAX_PARAMETER_BYTES} bytes")
    if problems:
        raise LaunchError(f"kernel {name!r} launched with " + "; ".join(problems))
