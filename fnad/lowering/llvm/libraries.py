"""Functions of the C library, of the LAPACK and BLAS that come with SciPy, of NumPy's pocketfft."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib
from typing import Any

import numpy as np

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


# Where a ufunc has its loops and what is passed to them (``ufuncobject.h``): behind the head of an
# object, four integers.
_UFUNC_LOOPS = object.__basicsize__ + 16
_UFUNC_DATA = _UFUNC_LOOPS + ctypes.sizeof(ctypes.c_void_p)


@functools.cache
def pocketfft_function(name: str) -> int:
    """The address of a loop of one of the ufuncs behind `numpy.fft`, ``fft.float32`` for example.

    ``fft.float32.data`` is what a loop of complex numbers takes last: the way that it goes.
    """
    ufunc, dtype, *data = name.split(".")
    function = getattr(importlib.import_module("numpy.fft._pocketfft_umath"), ufunc)
    table = ctypes.c_void_p.from_address(id(function) + (_UFUNC_DATA if data else _UFUNC_LOOPS))
    loops = (ctypes.c_void_p * function.ntypes).from_address(table.value or 0)
    # The factor, behind the numbers, has the dtype of their parts.
    reals = [types.partition("->")[0][-1] for types in function.types]
    return loops[reals.index(np.dtype(dtype).char)] or 0


@functools.cache
def _c_libraries() -> list[ctypes.CDLL]:
    """Where the interpreter is linked to the mathematics library, no search is needed."""
    process = ctypes.CDLL(None)
    if hasattr(process, "erff"):
        return [process]
    return [process, ctypes.CDLL(ctypes.util.find_library("m"))]
