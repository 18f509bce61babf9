"""Who may change which memory: arrays are the user's own, and the user may change them in place."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.copying import frozen_copy
from fnad.core.types import aval_of, is_device_array

_memcmp = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(
    ("memcmp", ctypes.CDLL(None))
)


def same_bytes(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Whether two arrays are equal bit by bit, NaNs and signs of zeros included."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if is_device_array(a):
        return bool((a.ravel().view(np.uint8) == b.ravel().view(np.uint8)).all())
    dense_a, dense_b = map(np.ascontiguousarray, (a, b))
    # NumPy would make an array of all comparisons, ten times the price for large ones.
    return _memcmp(dense_a.ctypes.data, dense_b.ctypes.data, dense_a.nbytes) == 0


class Snapshots:
    """Copies of the arrays that programs close over, at the values that they had when read.

    A function may fill one buffer again and again while it is traced; each reading must see
    what stood there then. A snapshot is read-only (on the host: CuPy knows no such arrays), and
    serves as long as its array is unchanged.
    """

    def __init__(self) -> None:
        # The array is kept beside its snapshot: its id must not be given to another one.
        self._taken: dict[int, tuple[Any, Any]] = {}

    def take(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return an array of the same contents that nobody will change."""
        if _is_frozen(array):
            return array
        found = self._taken.get(id(array))
        if found is not None and same_bytes(array, found[1]):
            return found[1]
        dtype = aval_of(array).dtype
        copy = array.copy() if is_device_array(array) else frozen_copy(array, dtype)
        self._taken[id(array)] = (array, copy)
        return copy

    def clear(self) -> None:
        self._taken.clear()


def _is_frozen(array: np.ndarray[Any, Any]) -> bool:
    """Whether neither an array nor what it is a view of can be written."""
    if is_device_array(array):
        return False
    base: Any = array
    while isinstance(base, np.ndarray) and not base.flags.writeable:
        base = base.base
    return base is None or type(base) is bytes


def _owner(array: np.ndarray[Any, Any]) -> Any:
    base: Any = array
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    return base


def own_results(results: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """Copy results that share memory with inputs or with each other, or cannot be written."""
    taken = {id(_owner(x)) for x in inputs if isinstance(x, np.ndarray)}
    owned = []
    for result in results:
        if isinstance(result, np.ndarray):
            if not result.flags.writeable or id(_owner(result)) in taken:
                result = result.copy()
            taken.add(id(_owner(result)))
        owned.append(result)
    return owned
