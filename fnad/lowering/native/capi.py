"""CPython's and NumPy's C interfaces as machine code uses them: addresses, and checked layouts."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np

_API_TABLE = ("numpy._core._multiarray_umath", "_ARRAY_API")

# Positions in NumPy's table of functions, fixed by its ABI (``__multiarray_api.h``).
_NUMPY = {"Scalar": 60, "NewCopy": 85, "NewFromDescr": 94}

WORD = 8


def pointer_at(address: int) -> int:
    """The pointer that lies at an address."""
    return ctypes.c_void_p.from_address(address).value or 0


def python_function(name: str) -> int:
    """The address of a function of CPython."""
    return int(ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0)


def numpy_function(name: str) -> int:
    """The address of a function of NumPy, ``PyArray_`` left out of its name."""
    return pointer_at(_numpy_table() + WORD * _NUMPY[name])


@functools.cache
def _numpy_table() -> int:
    module, name = _API_TABLE
    capsule = getattr(__import__(module, fromlist=[name]), name)
    get: Any = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    return int(get(("PyCapsule_GetPointer", ctypes.pythonapi))(capsule, None))


def new_capsule(pointer: int, name: bytes) -> Any:
    """A capsule around a pointer; ``name`` must outlive it."""
    make: Any = ctypes.PYFUNCTYPE(
        ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
    )
    return make(("PyCapsule_New", ctypes.pythonapi))(pointer, name, None)


def layouts_are_known() -> bool:
    """Whether objects are laid out in this interpreter as ``calls.ll`` takes them to be."""
    sizes = {object: 16, tuple: 24, list: 40, float: 24, np.ndarray: 96}
    if ctypes.sizeof(ctypes.c_void_p) != WORD or any(
        t.__basicsize__ != size for t, size in sizes.items()
    ):
        return False
    return all((_containers_are_known(), _arrays_are_known(), _scalars_are_known()))


def _containers_are_known() -> bool:
    one, two = object(), object()
    pair, row, mapping = (one, two), [one, two], {1: one, 2: two}
    return (
        pointer_at(id(pair) + 8) == id(tuple)
        and [pointer_at(id(c) + 16) for c in (pair, row, mapping)] == [2, 2, 2]
        and [pointer_at(id(pair) + at) for at in (24, 32)] == [id(one), id(two)]
        and pointer_at(pointer_at(id(row) + 24) + WORD) == id(two)
    )


def _arrays_are_known() -> bool:
    """Check the fields of PyArrayObject (``ndarraytypes.h``)."""
    owner = np.empty((3, 5), np.float32)
    view = owner[1:]
    flags = ctypes.c_int32.from_address(id(owner) + 64).value
    shape = pointer_at(id(owner) + 32)
    handler = pointer_at(id(owner) + 88)
    return (
        pointer_at(id(owner) + 16) == owner.ctypes.data
        and ctypes.c_int32.from_address(id(owner) + 24).value == 2
        and [pointer_at(shape), pointer_at(shape + WORD)] == [3, 5]
        and pointer_at(id(owner) + 48) == 0
        and pointer_at(id(view) + 48) == id(owner)
        and pointer_at(id(owner) + 56) == id(owner.dtype)
        and (flags & 0x505) == 0x505  # C_CONTIGUOUS, OWNDATA, ALIGNED, WRITEABLE
        and pointer_at(id(view) + 88) == 0
        and handler != 0
        and pointer_at(handler + 8) == id(type(new_capsule(1, b"fnad")))
    )


def _scalars_are_known() -> bool:
    """Check that values of scalars stand behind the heads of the objects."""
    samples = [np.dtype(c).type(1) for c in "?bhilqBHILQefd"]
    return (
        all(ctypes.string_at(id(x) + 16, x.dtype.itemsize) == x.tobytes() for x in samples)
        and ctypes.string_at(id(2.5) + 16, 8) == np.float64(2.5).tobytes()
    )
