"""The memory of results: blocks that return to a pool when the array that they hold dies.

``pool.ll`` is the pool itself. Arrays give their memory back through NumPy's memory handlers
(NEP 49): the field of the array that names its handler names the pool's.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Any

from fnad.lowering.llvm.target import PLAIN, compile_module
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
        self._module = compile_module(Template(source).substitute(constants), PLAIN)
        functions = {n: self.address_of(n) for n in ("malloc", "calloc", "realloc")}
        self._handler = _Handler(name=b"fnad", version=1, free=self.address_of("free"), **functions)
        self.handler = new_capsule(ctypes.addressof(self._handler), _CAPSULE_NAME)
        # PYFUNCTYPE: the interpreter's lock guards the pool.
        self._idle = ctypes.PYFUNCTYPE(ctypes.c_int64)(self.address_of("idle_bytes"))
        take: Any = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_int64)
        self._take = take(self.address_of("take"))
        give: Any = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
        self._give = give(self.address_of("give"))
        self._trim = ctypes.PYFUNCTYPE(None)(self.address_of("trim"))
        set_limit: Any = ctypes.PYFUNCTYPE(None, ctypes.c_int64)
        self._set_limit = set_limit(self.address_of("set_limit"))
        self.limit = _first_limit()

    def address_of(self, function: str) -> int:
        """Where a function of the pool is."""
        return self._module.address(f"fnad.pool.{function}")

    @contextmanager
    def block(self, size: int) -> Iterator[int]:
        """Memory within the block; its address, a multiple of 64."""
        address = self._take(size)
        if address is None:
            raise MemoryError(f"no memory for {size} bytes")
        try:
            yield address
        finally:
            self._give(address)

    @property
    def limit(self) -> int:
        """The bytes that may lie idle."""
        return self._limit

    @limit.setter
    def limit(self, size: int) -> None:
        self._limit = size
        self._set_limit(size)

    @property
    def idle_bytes(self) -> int:
        """The bytes that lie idle now."""
        return int(self._idle())

    def trim(self) -> None:
        """Give all idle memory back to the system."""
        self._trim()


def _first_limit() -> int:
    text = os.environ.get("FNAD_POOL_BYTES", "")
    if text:
        if not text.isascii() or not text.isdigit():
            raise ValueError(f"FNAD_POOL_BYTES is a number of bytes, not {text!r}")
        return int(text)
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return physical // 4


@functools.cache
def get_pool() -> Pool:
    """The pool, compiled when it is first needed; it lives as long as the process."""
    return Pool()
