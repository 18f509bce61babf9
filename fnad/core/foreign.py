"""Arrays of other libraries: PyTorch's tensors, columns of pandas and pyarrow, Python's buffers."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np


def is_foreign_array(value: Any) -> bool:
    """Whether NumPy can read a value as an array, and it is none of NumPy's, CuPy's or ours."""
    if isinstance(value, (type, str, bytes, np.ndarray, np.generic)):
        return False
    if type(value).__module__.startswith("fnad."):
        return False  # a traced array, say
    if hasattr(value, "__cuda_array_interface__"):
        return False  # memory of a card: `fnad.device_get`, or CuPy, reads it
    if hasattr(value, "__array__") or hasattr(value, "__dlpack__"):
        return True
    try:
        memoryview(value)
    except TypeError:
        return False
    return True


def read_foreign(value: Any, copy: bool | None = None) -> np.ndarray[Any, Any]:
    """Return a NumPy array of the same memory, or of a copy where the layout leaves no choice.

    Raises
    ------
    TypeError
        If its library refuses, as PyTorch does for tensors that require gradients.
    ValueError
        If ``copy`` is False, and there has to be one.
    """
    exports = hasattr(value, "__dlpack__")
    try:
        # PyTorch's ``__array__`` knows nothing of ``copy``, its ``__dlpack__`` does.
        if hasattr(value, "__array__") and not (exports and copy is False):
            try:
                return np.asarray(value, copy=copy)
            except TypeError:
                if not exports or not _is_bfloat16(value):
                    raise
        return of_dlpack(value, copy) if exports else np.asarray(value, copy=copy)
    except ValueError:
        raise
    except Exception as error:
        raise TypeError(
            f"this {type(value).__name__} cannot be read as a NumPy array; its library says:"
            f" {error}"
        ) from error


def of_dlpack(value: Any, copy: bool | None = None) -> np.ndarray[Any, Any]:
    """What `numpy.from_dlpack` makes of memory on the CPU, also of bfloat16, which it refuses.

    Raises
    ------
    BufferError
        If DLPack or NumPy does not know the dtype, or the other library does not export it.
    """
    if _is_bfloat16(value):
        from ml_dtypes import bfloat16

        return np.from_dlpack(_AsIntegers(value), copy=copy).view(bfloat16)
    try:
        return np.from_dlpack(value, copy=copy)
    except RuntimeError as error:
        dtype = getattr(value, "dtype", "")
        raise BufferError(f"from_dlpack: an array of {dtype} cannot be read: {error}") from error


def _is_bfloat16(value: Any) -> bool:
    return str(getattr(value, "dtype", "")).rpartition(".")[2] == "bfloat16"


# Of a DLTensor, where its dtype is (a code, bits, and two bytes of lanes), and the codes of it:
# https://dmlc.github.io/dlpack/latest/c_api.html. A versioned one has four words before it.
_DTYPE, _VERSIONED = 20, 32
_UNSIGNED, _BFLOAT = 1, 4


class _AsIntegers:
    """Memory of bfloat16 under the name of uint16: this writes a code into what is handed over."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __dlpack_device__(self) -> Any:
        return self._value.__dlpack_device__()

    def __dlpack__(self, **options: Any) -> Any:
        capsule = self._value.__dlpack__(**options)
        name_of, memory_of = (
            ctypes.pythonapi.PyCapsule_GetName,
            ctypes.pythonapi.PyCapsule_GetPointer,
        )
        name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
        memory_of.restype, memory_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        name = name_of(capsule)
        before = _VERSIONED if name == b"dltensor_versioned" else 0
        code = ctypes.c_uint8.from_address(memory_of(capsule, name) + before + _DTYPE)
        if code.value != _BFLOAT:
            raise BufferError(f"from_dlpack: bfloat16 has the code {_BFLOAT}, got {code.value}")
        code.value = _UNSIGNED
        return capsule
