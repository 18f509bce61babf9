"""A compiled program as a Python function of arrays.

Machine code is entered by ``void fnad.entry(ptr data, ptr arena)``. ``data`` is a table of the
addresses of elements: those of the inputs, the program's constants, then the
outputs; all are C-contiguous and aligned. Behind them are words for the program's tapes. ``arena``
is scratch memory for one call at a time, aligned to 64; its first eight bytes hold the number of
threads that it has room for, an int64, never less than 1. A program with tapes writes to the eight
bytes behind them how many bytes it could not get for these.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from fnad import config
from fnad.core import tree
from fnad.core.errors import InternalError, OutOfMemoryError
from fnad.core.types import ShapedArray
from fnad.lowering.binary import Binary
from fnad.lowering.llvm.interface import ENTRY, MISSING_OFFSET
from fnad.lowering.llvm.target import CompiledModule
from fnad.lowering.native.calls import NativeCallable
from fnad.lowering.native.routine import Routine
from fnad.lowering.native.signatures import Signature, Unsupported

_READABLE = 0x1 | 0x100  # NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED
_ALIGNMENT = 64

# PyArrayObject begins with PyObject_HEAD and then ``char *data``; NumPy's ABI fixes that
# (PyArrayObject_fields in ndarraytypes.h).
ARRAY_DATA_OFFSET = object.__basicsize__


class Executable(NativeCallable):
    """A program compiled for this machine: takes and returns lists of arrays.

    Any number of threads may call it at once; the interpreter lock is free while it runs.

    Parameters
    ----------
    binary : Binary
        The compiled program.
    stamps : array, optional
        Where each run writes the times at which the nodes of the plan begin and the last one
        ends: seconds and nanoseconds, (len(plan.body) + 1, 2) of int64.

    Notes
    -----
    Results are fresh arrays, those of rank 0 NumPy scalars. Inputs are read in place if they
    are C-contiguous, and copied if they are not. (`jit` has programs for other orders of axes;
    they take arrays that are.)
    """

    def __init__(self, binary: Binary, stamps: np.ndarray | None = None) -> None:
        super().__init__()
        self._module = CompiledModule(binary.code)
        self.address = self._module.address(ENTRY)
        self._entry = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(self.address)
        num_args = len(binary.inputs) - len(binary.constants)
        self._in_types = binary.inputs[:num_args]
        self.constants = list(map(_prepare, binary.constants, *zip(*binary.inputs[num_args:])))
        self._out_types = binary.outputs
        self._updates = binary.updates
        self._scalar_outputs = [i for i, (shape, _) in enumerate(self._out_types) if shape == ()]
        self._stamps = [] if stamps is None else [stamps]
        self._tapes = binary.tapes
        self._host_calls = binary.host_calls
        size = len(binary.inputs) + len(binary.outputs) + self._tapes + len(self._stamps)
        self._pack = struct.Struct(f"{size}P").pack
        self._shared_size, self._thread_size = binary.shared_size, binary.thread_size
        self._is_long = binary.is_long
        self._calls = 0

    def routine(self, bound: Sequence[Any]) -> Routine:
        """How native calls run the program, values bound to its first inputs.

        Raises
        ------
        Unsupported
            If they cannot: of a program with tapes, they would not see whether it got them, nor of
            one that calls Python, what went wrong there.
        """
        if self._tapes or self._host_calls is not None:
            raise Unsupported
        arrays = [_prepare(value, *kind) for value, kind in zip(bound, self._in_types)]
        return Routine(
            keeper=self._module,
            address=self.address,
            shared_bytes=self._shared_size,
            thread_bytes=self._thread_size,
            is_long=self._is_long,
            inputs=self._in_types,
            outputs=self._out_types,
            bound=arrays,
            constants=self.constants,
            updates=self._updates,
        )

    def __call__(self, args: Sequence[Any]) -> list[Any]:
        """Run the program.

        Raises
        ------
        InternalError
            If the number, a shape or a dtype of the arguments is not what was compiled.
        """
        if len(args) != len(self._in_types):
            raise InternalError(
                f"a compiled program of {len(self._in_types)} inputs was called with {len(args)}"
            )
        arrays = [
            a
            if type(a) is np.ndarray
            and a.dtype is dtype
            and a.shape == shape
            and a.flags.num & _READABLE == _READABLE
            else _prepare(a, shape, dtype)
            for a, (shape, dtype) in zip(args, self._in_types)
        ]
        outs: list[Any] = [np.empty(shape, dtype) for shape, dtype in self._out_types]
        for out, source in zip(outs, self._updates):
            if source >= 0:
                np.copyto(out, arrays[source])
        arrays += self.constants
        if self._host_calls is not None:
            arrays[-2] = state = self._host_calls.begin()
        # `arrays` and `outs` keep the memory alive whose addresses the table holds.
        addresses = [*map(_data, (*arrays, *outs)), *(0,) * self._tapes, *map(_data, self._stamps)]
        self._run(self._pack(*addresses))
        if self._host_calls is not None:
            self._host_calls.end(state)
        for i in self._scalar_outputs:
            outs[i] = outs[i][()]
        self._calls += 1
        is_plain = not self._stamps and not self._tapes and self._host_calls is None
        if self._calls == 2 and is_plain:
            self._become_native()
        return outs

    def _run(self, table: bytes) -> None:
        threads = config.num_threads
        size = self._shared_size + threads * self._thread_size
        memory = np.empty(size + _ALIGNMENT, np.uint8)
        arena = memory.ctypes.data + -memory.ctypes.data % _ALIGNMENT
        ctypes.c_int64.from_address(arena).value = threads
        if not self._tapes:
            self._entry(table, arena)
            return
        missing = ctypes.c_int64.from_address(arena + MISSING_OFFSET)
        missing.value = 0
        self._entry(ctypes.create_string_buffer(table, len(table)), arena)
        if missing.value:
            raise no_memory_for_tapes(missing.value)

    def _become_native(self) -> None:
        """From now on, calls with a list of arrays need no Python."""
        avals = [ShapedArray(*kind) for kind in self._in_types]
        out_tree = tree.structure([0] * len(self._out_types))
        arguments = [[0] * len(avals)]
        with suppress(Unsupported):
            self.add_signature(
                Signature(self.routine(()), arguments, {}, avals, out_tree, any_scalar=True)
            )


def no_memory_for_tapes(nbytes: int) -> OutOfMemoryError:
    """The error of a program that did not get so many bytes."""
    return OutOfMemoryError(
        f"reverse mode through a loop without max_steps found no memory for {nbytes} bytes: its"
        " residuals for as many steps as the loop made. Give while_loop (or fori_loop) max_steps,"
        " so that it keeps checkpoints of some steps and computes the others again."
    )


def _prepare(value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """An array of this type that compiled code can read in place."""
    if not isinstance(value, (np.ndarray, np.generic)):
        value = np.asarray(value, dtype)
    if value.shape != shape or value.dtype.newbyteorder("=") != dtype:
        raise InternalError(
            f"a compiled program expected {dtype}{list(shape)}, got"
            f" {value.dtype}{list(value.shape)}"
        )
    value = np.asarray(value, dtype)
    if value.flags.num & _READABLE != _READABLE:
        value = np.array(value, order="C")
    return value


def _data(array: np.ndarray) -> int | None:
    """Where an array's elements lie; ``array.ctypes.data`` takes a microsecond."""
    return ctypes.c_void_p.from_address(id(array) + ARRAY_DATA_OFFSET).value


def _check_array_layout() -> None:
    """Check on this interpreter what `ARRAY_DATA_OFFSET` takes from NumPy's headers."""
    array = np.empty(1)
    found = ctypes.c_void_p.from_address(id(array) + ARRAY_DATA_OFFSET).value
    if found != array.ctypes.data:
        raise InternalError("arrays of this NumPy are not laid out as its C headers say")


_check_array_layout()
