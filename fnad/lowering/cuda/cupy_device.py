"""The current card of CuPy."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core.errors import BackendError
from fnad.core.types import is_device_array
from fnad.lowering.cuda import binaries
from fnad.lowering.cuda.device import Limits
from fnad.lowering.plan import Contraction

# What vector loads need.
_ALIGNMENT = 16
# Shared memory that a kernel gets without asking for more.
_SHARED_BYTES = 48 << 10


def cupy_device() -> CupyDevice:
    """CuPy's current device.

    Raises
    ------
    BackendError
        If CuPy is not installed, or finds no card.
    """
    cupy = _cupy()
    return _device(cupy.cuda.Device().id)


@functools.cache
def _cupy() -> Any:
    try:
        import cupy
    except ImportError as error:
        raise BackendError(
            f"programs on a card need CuPy ({error}): install fnad[cuda12] or fnad[cuda13], as the"
            " driver has it. `python -m fnad doctor` says what is missing."
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise BackendError(
            f"CuPy finds no card: {error}. `python -m fnad doctor` says what is missing."
        ) from error
    if count == 0:
        raise BackendError("CuPy finds no card. `python -m fnad doctor` says what is missing.")
    return cupy


@functools.cache
def _device(number: int) -> CupyDevice:
    return CupyDevice(_cupy(), number)


class CupyDevice:
    """A card, by its number; work goes to CuPy's current stream, memory comes from its pool."""

    def __init__(self, cupy: Any, number: int) -> None:
        self._cupy = cupy
        self._number = number
        capability = cupy.cuda.Device(number).compute_capability
        self._architecture = f"sm_{capability}"
        runtime = cupy.cuda.runtime
        shared_bytes = runtime.deviceGetAttribute(
            runtime.cudaDevAttrMaxSharedMemoryPerBlockOptin, number
        )
        self.limits = Limits(int(shared_bytes), int(capability) >= 80)

    def is_array(self, value: Any) -> bool:
        return is_device_array(value)

    def put(self, value: Any, dtype: np.dtype[Any]) -> Any:
        cupy = self._cupy
        array = cupy.asarray(value, dtype)
        if not array.flags.c_contiguous or array.data.ptr % _ALIGNMENT:
            array = cupy.array(array, copy=True, order="C")
        return array

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        return self._cupy.empty(shape, dtype)

    def address(self, array: Any) -> int:
        return int(array.data.ptr)

    def copy(self, target: int, source: int, nbytes: int) -> None:
        runtime = self._cupy.cuda.runtime
        stream = self._cupy.cuda.get_current_stream().ptr
        runtime.memcpyAsync(target, source, nbytes, runtime.memcpyDeviceToDevice, stream)

    def fetch(self, address: int, count: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        runtime = self._cupy.cuda.runtime
        stream = self._cupy.cuda.get_current_stream()
        host = np.empty(count, dtype)
        runtime.memcpyAsync(
            host.ctypes.data, address, host.nbytes, runtime.memcpyDeviceToHost, stream.ptr
        )
        stream.synchronize()
        return host

    def send(self, address: int, array: np.ndarray[Any, Any]) -> None:
        runtime = self._cupy.cuda.runtime
        stream = self._cupy.cuda.get_current_stream()
        runtime.memcpyAsync(
            address, array.ctypes.data, array.nbytes, runtime.memcpyHostToDevice, stream.ptr
        )
        stream.synchronize()  # the array may be gone before the copy is done

    def module(self, source: str) -> Any:
        """The functions of a module by name, found when they are first launched."""
        module = self._cupy.cuda.function.Module()
        module.load(binaries.compiled(source, self._architecture))
        return _Functions(self._cupy, module)

    def launch(
        self,
        module: Any,
        function: str,
        blocks: int,
        threads: int,
        shared_bytes: int,
        arguments: Sequence[int],
    ) -> None:
        kernel = module.find(function, shared_bytes)
        kernel((blocks, 1, 1), (threads, 1, 1), tuple(arguments), shared_mem=shared_bytes)

    def stream(self) -> int:
        return int(self._cupy.cuda.get_current_stream().ptr)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """A CUDA graph, which is captured on a stream of its own and runs on the current one."""
        with self._cupy.cuda.Stream(non_blocking=True) as stream:
            stream.begin_capture()
            try:
                work()
            finally:
                graph = stream.end_capture()
        return lambda: graph.launch(self._cupy.cuda.get_current_stream())

    def product(self, node: Contraction, left: int, right: int, out: int, precision: str) -> None:
        from fnad.lowering.cuda import cublas

        cublas.product(self._cupy, node, left, right, out, precision)


class _Functions:
    """The functions of a module."""

    def __init__(self, cupy: Any, module: Any) -> None:
        self._cupy = cupy
        self._module = module
        self._found: dict[str, Any] = {}

    def find(self, name: str, shared_bytes: int) -> Any:
        function = self._found.get(name)
        if function is None:
            function = self._found[name] = self._module.get_function(name)
            if shared_bytes > _SHARED_BYTES:
                driver = self._cupy.cuda.driver
                attribute = driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
                driver.funcSetAttribute(function.ptr, attribute, shared_bytes)
        return function
