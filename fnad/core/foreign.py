"""Arrays of other libraries: PyTorch's tensors, columns of pandas and pyarrow, Python's buffers."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_foreign_array(value: Any) -> bool:
    """Whether NumPy can read a value as an array, and it is none of NumPy's, CuPy's or ours."""
    if isinstance(value, (type, str, bytes, np.ndarray, np.generic)) or hasattr(value, "aval"):
        return False
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
    try:
        if hasattr(value, "__array__") or not hasattr(value, "__dlpack__"):
            return np.asarray(value, copy=copy)
        return np.from_dlpack(value, copy=copy)
    except ValueError:
        raise
    except Exception as error:
        raise TypeError(
            f"this {type(value).__name__} cannot be read as a NumPy array; its library says:"
            f" {error}"
        ) from error
