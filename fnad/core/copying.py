"""Copies of large arrays, about as fast as the memory is: the tables that programs close over.

They are made at once. Beside the compilation, which has work for two processors itself, a copy
took these as long again, and what the function writes meanwhile would get into it.
"""

from __future__ import annotations

import _thread
import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np

# Below this a second thread and whole huge pages do not pay.
_LARGE_BYTES = 16 << 20
_HUGE_PAGE = 2 << 20

# Without the interpreter's lock, which ctypes.CDLL gives up.
_memmove = ctypes.CDLL(None).memmove
_memmove.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
_memmove.restype = None


def frozen_copy(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return a read-only copy of an array, in C order."""
    if array.nbytes < _LARGE_BYTES or not array.flags.c_contiguous or array.dtype != dtype:
        copy = np.array(array, dtype, order="C")
        copy.flags.writeable = False
        return copy
    # NumPy asks for huge pages, but neither begins nor ends with one.
    room = np.empty(array.nbytes + 2 * _HUGE_PAGE, np.uint8)
    start = -room.ctypes.data % _HUGE_PAGE
    copy = room[start : start + array.nbytes]
    _fill(copy, array)
    room.flags.writeable = copy.flags.writeable = False
    return copy.view(dtype).reshape(array.shape)


def _fill(copy: np.ndarray[Any, Any], array: np.ndarray[Any, Any]) -> None:
    """Copy by this thread and a helper, which come close to what the memory can do."""
    starts = iter(range(0, array.nbytes, _HUGE_PAGE))
    failures: list[BaseException] = []
    at_work = _thread.allocate_lock()
    at_work.acquire()

    def help_out() -> None:
        try:
            _fill_pages(copy, array, starts)
        except BaseException as error:
            failures.append(error)
        finally:
            at_work.release()

    # A `threading.Thread` would let this thread wait for its first steps, a tenth of the time.
    _thread.start_new_thread(help_out, ())
    try:
        _fill_pages(copy, array, starts)
    finally:
        at_work.acquire()
    if failures:
        raise failures[0]


def _fill_pages(
    copy: np.ndarray[Any, Any], array: np.ndarray[Any, Any], starts: Iterator[int]
) -> None:
    """Copy the pages whose starts the other thread has not taken."""
    to, source, size = copy.ctypes.data, array.ctypes.data, array.nbytes
    for start in starts:
        end = min(start + _HUGE_PAGE, size)
        # Linux clears a huge page from its far end towards the byte that is touched first. It
        # does so in half the time if that is the last one: then it goes upwards.
        _memmove(to + end - 1, source + end - 1, 1)
        _memmove(to + start, source + start, end - start)
