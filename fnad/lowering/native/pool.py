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

import numpy as np

from fnad import config
from fnad.lowering.llvm.once import once
from fnad.lowering.llvm.target import VECTOR_CODE, CompiledModule, known_code
from fnad.lowering.native import capi

# Room before a mapped block for its alignment to a huge page and its header, and behind it for
# the lines by which blocks are shifted against each other.
_SLACK = (2 << 20) + (12 << 10)

_CAPSULE_NAME = b"mem_handler"  # what NumPy calls it
_TYPE_NAME = b"fnad.lowering.native.pool.RestingArray"

# Of CPython's headers (typeslots.h, object.h), part of the stable ABI.
_TP_FREE, _DEFAULT = 74, 1 << 18

_DTYPE = np.dtype(np.float32)  # which dead arrays have
_TRIALS = 16  # more arrays than NumPy keeps shapes of one length


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
        self._module = CompiledModule(known_code("fnad.pool", lambda: (_source(), VECTOR_CODE)))
        functions = {n: self.address_of(n) for n in ("malloc", "calloc", "realloc")}
        self._handler = _Handler(name=b"fnad", version=1, free=self.address_of("free"), **functions)
        self.handler = capi.new_capsule(ctypes.addressof(self._handler), _CAPSULE_NAME)
        # PYFUNCTYPE: the interpreter's lock guards the pool.
        self._idle = ctypes.PYFUNCTYPE(ctypes.c_int64)(self.address_of("idle_bytes"))
        self._trim = ctypes.PYFUNCTYPE(None)(self.address_of("trim"))
        self._give = ctypes.PYFUNCTYPE(None, ctypes.c_int64)(self.address_of("give"))
        objects = map(id, (self.handler, np.ndarray, _DTYPE))
        start: Any = ctypes.PYFUNCTYPE(None, *[ctypes.c_void_p] * 4)
        start(self.address_of("start"))(config.pool_bytes_address(), *objects)
        self._resting_type = self._recycle() if capi.layouts_are_known() else None
        # Arrays may outlive everything else that Python has.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))

    @property
    def recycles(self) -> bool:
        """Whether the objects of dead arrays serve again, and not their memory alone."""
        return self._resting_type is not None

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

    def _recycle(self) -> type | None:
        """Let the objects of dead arrays serve again, if NumPy frees them as is expected."""
        slots = [capi.Slot(_TP_FREE, self.address_of("rest"))]
        resting_type = capi.new_type(_TYPE_NAME, 0, _DEFAULT, slots, np.ndarray)
        recycle: Any = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(self.address_of("recycle"))
        recycle(id(resting_type))
        if self._objects_rest():
            return resting_type
        recycle(None)
        return None

    def _objects_rest(self) -> bool:
        """Try it: an array that dies leaves its object and its shape to its block, not to NumPy."""
        take: Any = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(self.address_of("take"))
        own: Any = ctypes.PYFUNCTYPE(None, ctypes.py_object, ctypes.py_object)(
            self.address_of("own")
        )
        data, extents = take(1), (1, 2, 3)
        array = capi.new_array(data, _DTYPE, extents)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.handler))
        own(array, self.handler)
        address, shape = id(array), capi.pointer_at(id(array) + capi.ARRAY_SHAPE)
        del array
        others = [np.empty(extents, _DTYPE) for _ in range(_TRIALS)]
        taken = {id(a) for a in others}, {capi.pointer_at(id(a) + capi.ARRAY_SHAPE) for a in others}
        if take(1) != data or address in taken[0] or shape in taken[1]:
            return False
        self._give(data)
        return True


def _source() -> str:
    constants = {
        "slack": _SLACK,
        "map_flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
        "huge_pages": getattr(mmap, "MADV_HUGEPAGE", 0),
    }
    return Template(Path(__file__).with_name("pool.ll").read_text()).substitute(constants)


@once
def get_pool() -> Pool:
    """The pool, compiled when it is first needed; it lives as long as the process."""
    return Pool()
