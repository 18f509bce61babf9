"""CPython's and NumPy's C interfaces as machine code uses them: addresses, and checked layouts."""

from __future__ import annotations

import ctypes
import functools
import gc
import itertools
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.types import BFLOAT16

_API_TABLE = ("numpy._core._multiarray_umath", "_ARRAY_API")

# Positions in NumPy's table of functions, fixed by its ABI (``__multiarray_api.h``).
_NUMPY = {"CopyInto": 50, "Scalar": 60, "NewFromDescr": 94}

WORD = 8

# Where an array has the pointer to its shape.
ARRAY_SHAPE = 32

# Where a dict has the pointer to the table of its items.
_DICT_TABLE = 32

# Flags of an array that is dense, aligned, and may be written.
_CARRAY = 0x501


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


class Slot(ctypes.Structure):
    """PyType_Slot: what a type does (``typeslots.h``), and how."""

    _fields_ = (("slot", ctypes.c_int), ("pointer", ctypes.c_void_p))


class _Spec(ctypes.Structure):
    """PyType_Spec."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("basicsize", ctypes.c_int),
        ("itemsize", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("slots", ctypes.c_void_p),
    )


def new_type(name: bytes, size: int, flags: int, slots: Sequence[Slot], base: type) -> type:
    """A type made of slots; ``name`` and what the slots refer to must outlive it."""
    ended = (Slot * (len(slots) + 1))(*slots)
    spec = _Spec(name, size, 0, flags, ctypes.addressof(ended))
    make: Any = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.POINTER(_Spec), ctypes.py_object)
    function = make(("PyType_FromSpecWithBases", ctypes.pythonapi))
    made: type = function(ctypes.byref(spec), (base,))
    return made


def new_array(data: int, dtype: np.dtype[Any], shape: Sequence[int]) -> np.ndarray[Any, Any]:
    """An array of data that it does not own, nor anything else that it could name."""
    integer, pointer, an_object = ctypes.c_int, ctypes.c_void_p, ctypes.py_object
    types = (an_object, an_object, an_object, integer, pointer, pointer, pointer, integer, pointer)
    make: Any = ctypes.PYFUNCTYPE(*types)(numpy_function("NewFromDescr"))
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(dtype))  # which NumPy takes over
    extents = (ctypes.c_int64 * len(shape))(*shape)
    array: np.ndarray[Any, Any] = make(
        np.ndarray, dtype, len(shape), ctypes.addressof(extents), None, data, _CARRAY, None
    )
    return array


def value_offsets(mapping: dict[Any, Any]) -> list[int]:
    """Where the values of copies of a dict stand in the tables of its items."""
    probe = mapping.copy()
    for key in probe:
        probe[key] = object()
    words = (probe.__sizeof__() - dict.__basicsize__) // WORD
    table = list((ctypes.c_int64 * words).from_address(pointer_at(id(probe) + _DICT_TABLE)))
    return [WORD * table.index(id(value)) for value in probe.values()]


def copied_table(template: dict[Any, Any]) -> tuple[int, int, int]:
    """How to copy the table of a dict that nobody else has, and that had no items but those.

    Returns its bytes, where its first key stands and how far it is to the next; three zeros if
    that is left to CPython.
    """
    if not template or not _tables_are_known():
        return 0, 0, 0
    first, *others = value_offsets(template)
    step = others[0] - first if others else 0
    return template.__sizeof__() - dict.__basicsize__, first - WORD, step


@functools.cache
def _tables_are_known() -> bool:
    """Whether dicts are their heads and one block of ``PyObject_Malloc``, copied as it is.

    That the block is freed by ``PyObject_Free`` cannot be tried, so that the versions are named in
    which it is. The table of an empty dict belongs to all such, and counts them.
    """
    if sys.implementation.name != "cpython" or sys.version_info[:2] != (3, 11):
        return False
    empty: dict[Any, Any] = {}
    shared = pointer_at(id(empty) + _DICT_TABLE)
    users = pointer_at(shared)
    another: dict[Any, Any] = {}
    counts = pointer_at(id(another) + _DICT_TABLE) == shared and pointer_at(shared) == users + 1
    return counts and all(_is_in_rows(dict.fromkeys(k)) for k in ("ab", "abcdef", (1, "b", 3)))


def _is_in_rows(mapping: dict[Any, Any]) -> bool:
    """Check that a dict's table is its own, and has keys before values at equal distances."""
    offsets = value_offsets(mapping)
    table = pointer_at(id(mapping) + _DICT_TABLE)
    steps = {b - a for a, b in itertools.pairwise(offsets)}
    return (
        len(steps) == 1
        and pointer_at(table) == 1
        and pointer_at(id(mapping) + _DICT_TABLE + WORD) == 0  # values stand nowhere else
        and [pointer_at(table + at - WORD) for at in offsets] == list(map(id, mapping))
    )


@functools.cache
def layouts_are_known() -> bool:
    """Whether objects are laid out in this interpreter as ``calls.ll`` takes them to be."""
    if hasattr(sys, "getobjects"):  # every object is in a list of all
        return False
    sizes = {object: 16, tuple: 24, list: 40, dict: 48, float: 24, np.ndarray: 96}
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
        and all(_dict_is_known(dict.fromkeys(keys)) for keys in ((), range(3), map(str, range(12))))
    )


def _dict_is_known(mapping: dict[Any, Any]) -> bool:
    """Check that copies of a dict have its values where `value_offsets` says."""
    try:
        offsets = value_offsets(mapping)
    except ValueError:
        return False
    copy = mapping.copy()
    table = pointer_at(id(copy) + _DICT_TABLE)
    return [pointer_at(table + at) for at in offsets] == list(map(id, copy.values()))


def _arrays_are_known() -> bool:
    """Check the fields of PyArrayObject (``ndarraytypes.h``)."""
    owner = np.empty((3, 5), np.float32)
    view = owner[1:]
    flags = ctypes.c_int32.from_address(id(owner) + 64).value
    shape = pointer_at(id(owner) + ARRAY_SHAPE)
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
        and not gc.is_tracked(owner)
    )


def _scalars_are_known() -> bool:
    """Check that values of scalars stand behind the heads of the objects."""
    samples = [np.dtype(c).type(1) for c in (*"?bhilqBHILQefdFD", BFLOAT16)]
    return (
        all(ctypes.string_at(id(x) + 16, x.dtype.itemsize) == x.tobytes() for x in samples)
        and ctypes.string_at(id(2.5) + 16, 8) == np.float64(2.5).tobytes()
        and ctypes.string_at(id(2.5j) + 16, 16) == np.complex128(2.5j).tobytes()
    )
