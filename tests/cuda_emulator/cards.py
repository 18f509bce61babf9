"""The cards that tests of the CUDA backend run on: an emulated one, and a real one if there is any.

``pytest -m gpu`` runs on the real one only. Without one, those tests are not collected.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fnad.core.errors import BackendError
from fnad.lowering.cuda.device import installed
from tests.cuda_emulator import available
from tests.cuda_emulator.toolchain import Nvrtc, check, supported, toolchain

_ARCHITECTURES = ("sm_70", "sm_80", "sm_90", "sm_100")

CARDS = ["emulated", pytest.param("real", marks=pytest.mark.gpu)]


@contextmanager
def card_of(kind: str, seed: int = 1) -> Iterator[Any]:
    """A device on which programs run meanwhile.

    All that runs on the emulated one is compiled to PTX, too: each source for one architecture,
    which its text chooses, as all of them take four times as long, and each has sources enough.
    """
    if kind == "emulated":
        from tests.cuda_emulator.card import EmulatedCard

        if not available():
            pytest.skip("needs a C++ compiler")
        device: Any = EmulatedCard(seed)
    else:
        from fnad.lowering.cuda.cupy_device import cupy_device

        device = cupy_device()
    with installed(device):
        yield device
    compiler = toolchain()
    if kind == "emulated" and isinstance(compiler, Nvrtc):
        architectures = supported(_ARCHITECTURES)
        for source in device.sources:
            architecture = architectures[zlib.crc32(source.encode()) % len(architectures)]
            check(source, architecture, optimized=False)


def has_card() -> bool:
    """Whether there is a real one."""
    from fnad.lowering.cuda.cupy_device import cupy_device

    try:
        cupy_device()
    except BackendError:
        return False
    return True
