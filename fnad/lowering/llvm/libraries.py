"""Functions of other libraries: the C library, and what Cython modules of SciPy export."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import re
from typing import Any

from fnad.core.errors import InternalError


@functools.cache
def c_function(name: str) -> int:
    """The address of a function of the C library or its mathematics library."""
    for library in _c_libraries():
        function = getattr(library, name, None)
        if function is not None:
            return int(ctypes.cast(function, ctypes.c_void_p).value or 0)
    raise InternalError(f"the C library of this system has no function {name}")


@functools.cache
def _c_libraries() -> list[ctypes.CDLL]:
    """Where the interpreter is linked to the mathematics library, no search is needed."""
    process = ctypes.CDLL(None)
    if hasattr(process, "erff"):
        return [process]
    return [process, ctypes.CDLL(ctypes.util.find_library("m"))]


def cython_function(module: str, function: str, signature: str) -> int:
    """The address of a C function that a Cython module exports.

    ``signature`` is how its C declaration starts; of the specialisations of a fused function
    (their names are prefixed) it tells which one is meant.
    """
    exported = __import__(module, fromlist=["__pyx_capi__"]).__pyx_capi__
    api: Any = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    for key, capsule in exported.items():
        declared = api.PyCapsule_GetName(capsule)
        fused = re.fullmatch(rf"(__pyx_fuse_\d+)?{function}", key)
        if fused and declared.startswith(signature.encode()):
            return int(api.PyCapsule_GetPointer(capsule, declared))
    raise InternalError(f"{module} of this SciPy exports no {signature}...) {function}")
