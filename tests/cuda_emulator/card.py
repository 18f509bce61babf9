"""An emulated card with arrays like CuPy's: what `fnad.lowering.cuda.device.Device` asks for."""

import ctypes
import weakref
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from fnad.core.types import is_device_array
from fnad.lowering.cuda.device import LIMITS, Limits
from fnad.lowering.plan import Contraction
from tests.cuda_emulator.compiler import Module
from tests.cuda_emulator.device import EmulatedDevice, Memory


class DeviceArray:
    """Behaves as ``cupy.ndarray`` does, as far as fnad uses it; never turns into NumPy's."""

    def __init__(self, memory: Memory, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.memory = memory
        self.shape = shape
        self.dtype = dtype
        self.ndim = len(shape)
        self.size = int(np.prod(shape, dtype=np.int64))
        self.nbytes = self.size * dtype.itemsize

    def __repr__(self) -> str:
        return f"DeviceArray({self.get()!r})"

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        data = (self.memory.address, False)
        return {"version": 3, "shape": self.shape, "typestr": self.dtype.str, "data": data}

    @property
    def data(self) -> SimpleNamespace:
        return SimpleNamespace(ptr=self.memory.address)

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def get(self) -> np.ndarray:
        return self.memory.array(self.dtype, self.shape).copy()

    def set(self, value: np.ndarray) -> None:
        self.memory.array(self.dtype, self.shape)[...] = value

    def copy(self) -> "DeviceArray":
        return _put(self.get())

    def astype(self, dtype: Any, copy: bool = True) -> "DeviceArray":
        return _put(self.get().astype(dtype)) if copy or dtype != self.dtype else self

    def __getitem__(self, index: Any) -> "DeviceArray":
        return _put(np.asarray(self.get()[index]))

    def ravel(self) -> "DeviceArray":
        return _put(self.get().ravel())

    def view(self, dtype: Any) -> "DeviceArray":
        return _put(self.get().view(dtype))

    def __eq__(self, other: Any) -> "DeviceArray":  # type: ignore[override]
        return _put(self.get() == other.get())

    __hash__ = object.__hash__

    def all(self) -> "DeviceArray":
        return _put(np.array(self.get().all()))

    def __bool__(self) -> bool:
        return bool(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __int__(self) -> int:
        return int(self.get())


DeviceArray.__module__ = "cupy"  # by which fnad tells arrays of a card


def _put(value: np.ndarray) -> DeviceArray:
    memory = Memory(value.nbytes)
    memory.array(np.uint8)[:] = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    return DeviceArray(memory, value.shape, value.dtype)


class EmulatedCard:
    """A `fnad.lowering.cuda.device.Device` whose kernels run on the CPU.

    Parameters
    ----------
    seed : int
        The order in which blocks and threads run; see `EmulatedDevice`.
    memory_limit : int
        The bytes of the largest array that there is room for.

    Attributes
    ----------
    sources : list of str
        What has been compiled.
    replays : int
        How often recordings have been replayed.
    """

    def __init__(self, seed: int = 0, memory_limit: int = 1 << 40, limits: Limits = LIMITS) -> None:
        self._memory_limit = memory_limit
        self.limits = limits
        self._device = EmulatedDevice(seed, races=True)
        self._recorded: list[Callable[[], None]] | None = None
        self._free: dict[int, list[Memory]] = {}  # memory of dead results by size, as in a pool
        self.replays = 0
        self.sources: list[str] = []

    def is_array(self, value: Any) -> bool:
        return is_device_array(value)

    def put(self, value: Any, dtype: np.dtype) -> Any:
        if is_device_array(value):
            return value if value.dtype == dtype else _put(value.get().astype(dtype))
        with np.errstate(all="ignore"):
            return _put(np.asarray(value).astype(dtype))

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> DeviceArray:
        nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if nbytes > self._memory_limit:
            raise MemoryError(f"out of memory allocating {nbytes} bytes")
        free = self._free.setdefault(nbytes, [])
        memory = free.pop() if free else self._device.empty(nbytes)
        memory.array(np.uint8)[:] = 0xFF
        array = DeviceArray(memory, tuple(shape), dtype)
        weakref.finalize(array, free.append, memory)
        return array

    def address(self, array: Any) -> int:
        return array.memory.address

    def _do(self, work: Callable[[], None]) -> None:
        """Do something, or note it while a recording is being made."""
        if self._recorded is None:
            work()
        else:
            self._recorded.append(work)

    def stream(self) -> int:
        return 0

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        self._recorded = recorded = []
        try:
            work()
        finally:
            self._recorded = None

        def replay() -> None:
            self.replays += 1
            for step in recorded:
                step()

        return replay

    def copy(self, target: int, source: int, nbytes: int) -> None:
        self._do(lambda: ctypes.memmove(target, source, nbytes))

    def fetch(self, address: int, count: int, dtype: np.dtype) -> np.ndarray:
        return _view(address, count, dtype).copy()

    def send(self, address: int, array: np.ndarray) -> None:
        _view(address, array.size, array.dtype)[:] = array.reshape(-1)

    def module(self, source: str) -> Module:
        self.sources.append(source)
        return self._device.module(source)

    def launch(
        self,
        module: Module,
        function: str,
        blocks: int,
        threads: int,
        shared_bytes: int,
        arguments: Sequence[int],
    ) -> None:
        self._do(
            lambda: self._device.launch(
                module, function, (blocks, 1, 1), (threads, 1, 1), shared_bytes, arguments
            )
        )

    def product(self, node: Contraction, left: int, right: int, out: int, precision: str) -> None:
        self._do(lambda: _multiply(node, left, right, out, precision))


# How many bits of float32 the library drops.
_DROPPED_BITS = {"float32": 0, "tensorfloat32": 13, "bfloat16": 16}


def _rounded(x: np.ndarray, bits: int) -> np.ndarray:
    """float32 without its last bits."""
    if x.dtype != np.float32 or not bits:
        return x
    half = np.uint32(1 << (bits - 1))
    return ((x.view(np.uint32) + half) >> bits << bits).view(np.float32)


def _multiply(node: Contraction, left: int, right: int, out: int, precision: str) -> None:
    batch, m, n, k = node.batch, node.m, node.n, node.k
    given = node.operands or node.dtype
    x = _matrix(left, (*batch, m, k), node.left.strides, given)
    y = _matrix(right, (*batch, k, n), node.right.strides, given)
    z = _matrix(out, (*batch, m, n), node.out.strides, node.dtype)
    wide = np.result_type(node.dtype, np.float32) if node.dtype.itemsize == 2 else node.dtype
    x, y = (_rounded(np.ascontiguousarray(a), _DROPPED_BITS[precision]) for a in (x, y))
    total = np.matmul(x.astype(wide), y.astype(wide))
    z[...] = (z + total if node.accumulate else total).astype(node.dtype)


def _view(address: int, count: int, dtype: np.dtype) -> np.ndarray:
    buffer = (ctypes.c_uint8 * (count * dtype.itemsize)).from_address(address)
    return np.frombuffer(buffer, np.uint8).view(dtype)


def _matrix(
    address: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """Strided elements from an address on."""
    span = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    flat = _view(address, span, dtype)
    steps = tuple(s * dtype.itemsize for s in strides)
    return np.lib.stride_tricks.as_strided(flat, shape, steps)
