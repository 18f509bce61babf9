"""A program ready to run: its machine code and what is needed to call it, kept on disk.

Under the fingerprint of a program, a later process finds what this one has compiled, and need
neither plan it nor print it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fnad import config
from fnad.core.fingerprint import fingerprint, source_fingerprint
from fnad.core.ir import Jaxpr
from fnad.lowering.host_calls import HostCalls
from fnad.lowering.llvm import cache
from fnad.lowering.llvm.target import MachineCode, host

if TYPE_CHECKING:
    from fnad.lowering.plan import ArrayType


@dataclass(frozen=True, slots=True)
class Binary:
    """A compiled plan.

    ``inputs`` and ``outputs`` are types, ``constants`` the arrays for the last of the inputs, of
    which the very last is the table of the program's calls (`fnad.lowering.llvm.table`).
    ``updates`` says for each output which input it updates in place, or -1. There are ``tapes``
    words behind the addresses of all these arrays (`fnad.lowering.plan.Reserve`). The arena takes
    ``shared_size`` bytes, and ``thread_size`` for each thread. ``is_long`` says whether other
    threads should have the interpreter while it runs. The state of a run with ``host_calls`` is
    the constant before the last; such a program is not kept on disk, its functions have no content.
    """

    code: MachineCode
    inputs: tuple[ArrayType, ...]
    outputs: tuple[ArrayType, ...]
    updates: tuple[int, ...]
    constants: tuple[np.ndarray[Any, Any], ...]
    shared_size: int
    thread_size: int
    is_long: bool
    tapes: int = 0
    host_calls: HostCalls | None = None

    def to_bytes(self) -> bytes:
        """All of it, for `from_bytes`."""
        constants = [np.ascontiguousarray(c) for c in self.constants]
        head = {
            "inputs": [(shape, dtype.name) for shape, dtype in self.inputs],
            "outputs": [(shape, dtype.name) for shape, dtype in self.outputs],
            "updates": self.updates,
            "constants": len(constants),
            "shared_size": self.shared_size,
            "thread_size": self.thread_size,
            "is_long": self.is_long,
            "tapes": self.tapes,
        }
        parts = [json.dumps(head).encode(), b"\n", *(c.tobytes() for c in constants)]
        return b"".join([*parts, self.code.to_bytes()])

    @staticmethod
    def from_bytes(content: bytes) -> Binary:
        """What `to_bytes` has written."""
        end = content.index(b"\n")
        head = json.loads(content[:end])
        inputs, outputs = (
            tuple([(tuple(shape), np.dtype(dtype)) for shape, dtype in head[name]])
            for name in ("inputs", "outputs")
        )
        position, constants = end + 1, []
        for shape, dtype in inputs[len(inputs) - head["constants"] :]:
            count = int(np.prod(shape, dtype=np.int64))
            flat = np.frombuffer(content, dtype, count, position)
            constants.append(flat.reshape(shape).copy())
            position += flat.nbytes
        return Binary(
            MachineCode.from_bytes(content[position:]),
            inputs,
            outputs,
            tuple(head["updates"]),
            tuple(constants),
            head["shared_size"],
            head["thread_size"],
            head["is_long"],
            head["tapes"],
        )


# -- on disk ------------------------------------------------------------------------------------


def kept_name(jaxpr: Jaxpr, donated: tuple[int, ...]) -> str | None:
    """The name under which a program's binary is kept; None if it is not."""
    content = fingerprint(jaxpr) if config.cache_dir is not None else None
    if content is None:
        return None
    versions = f"{donated} Python {sys.version_info} NumPy {np.__version__}"
    return cache.digest(b"program", content, versions.encode(), source_fingerprint(), host())


def load(name: str) -> Binary | None:
    """The binary that an earlier process, or this one, has kept."""
    content = cache.load(name)
    return None if content is None else Binary.from_bytes(content)


def store(name: str, binary: Binary) -> None:
    """Keep a binary."""
    cache.store(name, binary.to_bytes())
