"""Functions of the C library."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools

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
