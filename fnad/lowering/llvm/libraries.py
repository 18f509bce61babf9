"""Functions of the C library, and of the LAPACK and BLAS that come with SciPy."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
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
def lapack_function(name: str) -> int:
    """The address of a function of LAPACK or BLAS, in Fortran's conventions, with 32-bit integers.

    SciPy offers them to compiled code as capsules, whose names are the functions' C types:
    docs.scipy.org, "Low-level LAPACK functions".
    """
    # Neither is small, and few programs need them.
    from scipy.linalg import cython_blas, cython_lapack

    for module in (cython_lapack, cython_blas):
        capsule = module.__pyx_capi__.get(name)
        if capsule is not None:
            api, an_object, text = ctypes.pythonapi, ctypes.py_object, ctypes.c_char_p
            name_of: Any = ctypes.PYFUNCTYPE(text, an_object)(("PyCapsule_GetName", api))
            get: Any = ctypes.PYFUNCTYPE(ctypes.c_void_p, an_object, text)(
                ("PyCapsule_GetPointer", api)
            )
            return int(get(capsule, name_of(capsule)))
    raise InternalError(f"SciPy's LAPACK and BLAS have no function {name}")


@functools.cache
def _c_libraries() -> list[ctypes.CDLL]:
    """Where the interpreter is linked to the mathematics library, no search is needed."""
    process = ctypes.CDLL(None)
    if hasattr(process, "erff"):
        return [process]
    return [process, ctypes.CDLL(ctypes.util.find_library("m"))]
