"""The memory of results: blocks that return to a pool when the array that they hold dies.

``pool.ll`` is the pool itself. Arrays give their memory back through NumPy's memory handlers
(NEP 49): the field of the array that names its handler names the pool's.
"""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path
from string import Template
from typing import Any

from fnad import config
from fnad.lowering.llvm.once import once
from fnad.lowering.llvm.target import VECTOR_CODE, compile_module
from fnad.lowering.native.capi import new_capsule

# Room before a mapped block for its alignment to a huge page and its header, and behind it for
# the lines by which blocks are shifted against each other.
_SLACK = (2 << 20) + (12 << 10)

_CAPSULE_NAME = b"mem_handler"  # what NumPy calls it


class _Handler(ctypes.Structure):
    """PyDataMem_Handler of NumPy's headers."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        ("malloc", ctypes.c_void_p),
        ("calloc", ctypes.c_void_p),
        ("realloc", ctypes.c_void_p),
        ("free", ctypes.c_void_p),
    )


class Pool:
    """The pool of this process.

    Attributes
    ----------
    handler : capsule
        The memory handler for arrays that own a block of the pool.
    """

    def __init__(self) -> None:
        source = Path(__file__).with_name("pool.ll").read_text()
        constants = {
            "slack": _SLACK,
            "map_flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
            "huge_pages": getattr(mmap, "MADV_HUGEPAGE", 0),
        }
        self._module = compile_module(Template(source).substitute(constants), VECTOR_CODE)
        functions = {n: self.address_of(n) for n in ("malloc", "calloc", "realloc")}
        self._handler = _Handler(name=b"fnad", version=1, free=self.address_of("free"), **functions)
        self.handler = new_capsule(ctypes.addressof(self._handler), _CAPSULE_NAME)
        # PYFUNCTYPE: the interpreter's lock guards the pool.
        self._idle = ctypes.PYFUNCTYPE(ctypes.c_int64)(self.address_of("idle_bytes"))
        self._trim = ctypes.PYFUNCTYPE(None)(self.address_of("trim"))
        watch: Any = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
        watch(self.address_of("watch"))(config.pool_bytes_address())

    def address_of(self, function: str) -> int:
        """Where a function of the pool is."""
        return self._module.address(f"fnad.pool.{function}")

    @property
    def idle_bytes(self) -> int:
        """The bytes that lie idle now."""
        return int(self._idle())

    def trim(self) -> None:
        """Give all idle memory back to the system."""
        self._trim()


@once
def get_pool() -> Pool:
    """The pool, compiled when it is first needed; it lives as long as the process."""
    return Pool()
