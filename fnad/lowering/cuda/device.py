"""What a program needs of a card."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fnad.lowering.plan import Contraction


@dataclass(frozen=True, slots=True)
class Limits:
    """What kernels may ask of a card; if not given, what those of data centres have from sm_80 on.

    ``shared_bytes`` is how much shared memory a block gets at most; ``multiplies_halves`` whether a
    warp has an instruction for products of 16 x 16 by 16 x 8 numbers of 16 bits, as from sm_80 on.
    """

    shared_bytes: int = 163 << 10
    multiplies_halves: bool = True


LIMITS = Limits()


class Device(Protocol):
    """A card, or what stands for one; all work is done in the order in which it is asked for.

    Addresses are integers. Arrays of the device are dense and row-major, and aligned to 16 bytes
    at least.
    """

    limits: Limits

    def is_array(self, value: Any) -> bool:
        """Whether a value is an array that lies on the device."""
        ...

    def put(self, value: Any, dtype: np.dtype[Any]) -> Any:
        """A value as a dense array on the device: itself if it is one."""
        ...

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """A new array on the device, its elements undefined.

        Raises
        ------
        MemoryError
            If there is no room for it.
        """
        ...

    def address(self, array: Any) -> int:
        """Where the elements of an array on the device lie."""
        ...

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """Copy memory on the device."""
        ...

    def fetch(self, address: int, count: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """Wait for all work before, and return elements as an array on the host."""
        ...

    def send(self, address: int, array: np.ndarray[Any, Any]) -> None:
        """Copy a dense array from the host to the device."""
        ...

    def module(self, source: str) -> Any:
        """Compile CUDA source."""
        ...

    def launch(
        self,
        module: Any,
        function: str,
        blocks: int,
        threads: int,
        shared_bytes: int,
        arguments: Sequence[int],
    ) -> None:
        """Run a function of a module; all of its arguments are addresses and 64-bit integers."""
        ...

    def stream(self) -> int:
        """The stream that work goes to now; that of one stream is done in order."""
        ...

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Note what ``work`` asks for instead of doing it; what is returned does all of it.

        ``work`` asks for copies on the device, launches and products.
        """
        ...

    def product(self, node: Contraction, left: int, right: int, out: int, precision: str) -> None:
        """Multiply matrices that begin at the given addresses.

        ``precision`` is one of those of `fnad.config.matmul_precision`; it concerns float32.
        """
        ...


_installed: list[Device] = []


def current_device() -> Device:
    """The device on which programs run: the current one of CuPy.

    Raises
    ------
    BackendError
        If there is none.
    """
    if _installed:
        return _installed[-1]
    from fnad.lowering.cuda.cupy_device import cupy_device  # CuPy is imported only when needed

    return cupy_device()


@contextmanager
def installed(device: Device) -> Iterator[None]:
    """Have programs run on a device of the caller's."""
    _installed.append(device)
    try:
        yield
    finally:
        _installed.pop()
