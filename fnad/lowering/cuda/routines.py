"""Calls of LAPACK for programs on a device: on the host, by the routines that CPU programs call.

Factorisations of small matrices are latency, of which a card has more than a host; their operands
cross over to the host and back.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np

from fnad.lowering.cuda.device import Device
from fnad.lowering.llvm.libraries import lapack_function
from fnad.lowering.plan import Buffer, Operand, Routine, Workspace


def run_routine(
    device: Device, node: Routine, buffers: Mapping[int, Buffer], places: Mapping[int, int]
) -> None:
    """Fetch what a routine reads, make its calls, and send back what it writes."""
    numbers = (*node.sources, *node.outs)
    arrays = [device.fetch(places[n], buffers[n].size, buffers[n].dtype) for n in numbers]
    for task in range(node.count):
        _call(node, [array.reshape(node.count, -1)[task] for array in arrays])
    for number, array in list(zip(numbers, arrays))[len(node.sources) :]:
        device.send(places[number], array)


def _call(node: Routine, parts: list[np.ndarray[Any, Any]]) -> None:
    """One call: Fortran takes every argument by reference."""
    kept: list[Any] = []
    pointers = []
    for argument in node.arguments:
        if isinstance(argument, Operand):
            pointers.append(parts[argument.position].ctypes.data)
            continue
        kept.append(_in_memory(argument, node.dtype))
        pointers.append(kept[-1].ctypes.data)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(pointers))(
        lapack_function(node.name)
    )
    function(*pointers)


def _in_memory(argument: str | int | float | Workspace, dtype: np.dtype[Any]) -> np.ndarray:
    if isinstance(argument, Workspace):
        return np.empty(argument.nbytes, np.uint8)
    if isinstance(argument, str):
        return np.frombuffer(argument.encode(), np.uint8)
    return np.array(argument, np.int32 if isinstance(argument, int) else dtype)
