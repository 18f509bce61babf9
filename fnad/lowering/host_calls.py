"""Calls of Python functions from compiled programs: `plan.HostCall`.

A program reads the address of one C function from a buffer, the first word of which says whether a
call has failed. That function takes the interpreter lock and finds what to call by its number; an
exception waits until the program has ended, and until then no other function is called.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.core.advice import add_source_note
from fnad.core.source import SourceLine

# Of the buffer that all calls of a program read and write: whether one failed, and the address.
STATE_WORDS = 2
ADDRESS_OFFSET = 8

_CFunction = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
ArrayType = tuple[tuple[int, ...], np.dtype[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class HostFunction:
    """A Python function that a plan calls: of arrays of these types, to a list of such."""

    function: Callable[..., Sequence[np.ndarray[Any, Any]]]
    operands: tuple[ArrayType, ...]
    results: tuple[ArrayType, ...]
    source: SourceLine | None

    def __call__(self, arrays: Sequence[np.ndarray[Any, Any]]) -> Sequence[np.ndarray[Any, Any]]:
        """Call it with arrays that it may keep."""
        for array in arrays:
            array.flags.writeable = False
        try:
            return self.function(*[array[()] for array in arrays])
        except BaseException as error:
            add_source_note(error, self.source)
            raise


class HostCalls:
    """The functions that a compiled program calls, and what went wrong in each run."""

    def __init__(self, functions: Sequence[HostFunction]) -> None:
        self._functions = functions
        self._errors: dict[int, BaseException] = {}  # by where the buffers of their runs lie
        self._entry = _CFunction(self._call)
        self._address = ctypes.cast(self._entry, ctypes.c_void_p).value

    def begin(self) -> np.ndarray[Any, Any]:
        """The buffer for one run."""
        return np.array([0, self._address], np.int64)

    def end(self, state: np.ndarray[Any, Any]) -> None:
        """Raise what a call of that run has raised."""
        if state[0]:
            raise self._errors.pop(state.ctypes.data)

    def _call(self, place: int) -> None:
        """What compiled code calls, with the function's number and where its arrays lie."""
        function = self._functions[ctypes.c_int64.from_address(place).value]
        types = (*function.operands, *function.results)
        words = (ctypes.c_int64 * (len(types) + 2)).from_address(place)
        arrays = [_at(address, *kind) for address, kind in zip(words[1:], types)]
        operands, outs = arrays[: len(function.operands)], arrays[len(function.operands) :]
        state = ctypes.c_int64.from_address(words[-1])
        results: Sequence[Any] = [0] * len(outs)
        if not state.value:
            try:
                results = function([x.copy() for x in operands])
            except BaseException as error:  # KeyboardInterrupt, too, must not be lost
                state.value = 1
                self._errors[words[-1]] = error
        for out, result in zip(outs, results, strict=True):
            out[...] = result


def _at(address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The array at an address."""
    nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if nbytes == 0:
        return np.empty(shape, dtype)
    memory = (ctypes.c_uint8 * nbytes).from_address(address)
    return np.ctypeslib.as_array(memory).view(dtype).reshape(shape)
