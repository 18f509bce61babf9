"""How much work a node is, and how it is divided among threads.

The tasks of a node are independent parts of it, numbered from 0; running them in any partition
gives the same bits. Everything here depends on shapes alone, never on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from fnad.lowering.access import touched_bytes
from fnad.lowering.costs import cost, cost_of
from fnad.lowering.llvm import accumulate, mirrors, sort_steps, sorting
from fnad.lowering.llvm.kernels import count_tasks
from fnad.lowering.llvm.matrix.contractions import schedule_of
from fnad.lowering.llvm.transposes import tasks_of_tile
from fnad.lowering.plan import (
    Accumulate,
    BlockStep,
    Buffer,
    Contraction,
    Copy,
    Group,
    HostCall,
    Kernel,
    Mirror,
    Routine,
    Sort,
    SortStep,
)

Buffers = Mapping[int, Buffer]

# A parallel region costs some microseconds: the caller wakes workers and waits for the last one.
_WORTH_THREADS = 20_000.0
# Nanoseconds of one chunk: much longer than claiming it, short enough to even out delays.
_CHUNK = 12_000.0
# More chunks than this only cost time.
_MOST_CHUNKS = 1024

# Elements that a task of a copy copies.
COPIED_TOGETHER = 2**14

# Nanoseconds on one core, roughly: of an addition to one byte's share of a vector, of one byte
# read or written (near the caches, or beyond them), of a multiplication of a matrix product.
_OPERATION = 0.004
_BYTE = 0.02
_FAR_BYTE = 0.08
_FAR = 2**21
_PRODUCT = 0.01
_COMPARISON = 4.0
# Of a call of LAPACK with small matrices.
_CALL = 200.0


def tasks(node: Any) -> int:
    """How many tasks a node has."""
    return _TASKS[type(node)](node)


def chunk(node: Any, buffers: Buffers) -> int:
    """How many tasks a thread takes at a time; all of them if threads would not pay."""
    count = tasks(node)
    time = nanoseconds(node, buffers)
    if count < 2 or time < _WORTH_THREADS:
        return count
    chunks = max(2, int(time / _CHUNK))
    chunks = min(count, _MOST_CHUNKS, chunks + chunks % 2)  # of five, one thread has to take three
    size = -(-count // chunks)
    if isinstance(node, Group):
        together = node.block
    elif count >= 64 * chunks:  # whole vectors and cache lines
        together = 64
    else:
        together = tasks_of_tile(node) if isinstance(node, Kernel) else 1
    return -(-size // together) * together


def nanoseconds(node: Any, buffers: Buffers) -> float:
    """An estimate of a node's time on one core."""
    return _TIMES[type(node)](node, buffers)


# -- kernels ------------------------------------------------------------------------------------


def _kernel_time(node: Kernel, buffers: Buffers) -> float:
    points = math.prod(extent for _, extent in node.axes)
    operations = 0.0
    for reduction in node.reductions:
        turns = math.prod(extent for _, extent in reduction.axes)
        operations += turns * (1 + cost(reduction.value)) * reduction.accumulator.itemsize
    if node.stores:  # what they share is computed once
        values = [store.value for store in node.stores]
        size = max(value.dtype.itemsize for value in values)
        operations += (len(values) + cost_of(values)) * size
    if node.sequential:  # no vectors
        operations *= 8
    size = touched_bytes(node, buffers)
    return points * operations * _OPERATION + size * (_FAR_BYTE if size > _FAR else _BYTE)


# -- the others ---------------------------------------------------------------------------------


# Nanoseconds of a call of Python that does nothing.
_HOST_CALL = 5_000.0


def _contraction_time(node: Contraction, buffers: Buffers) -> float:
    m, n, k, size = node.m, node.n, node.k, node.dtype.itemsize
    # Products of few rows take as long as it takes to read the matrix.
    one = max(m * n * k * _PRODUCT * size / 4, (m * k + k * n) * size * _BYTE)
    return math.prod(node.batch) * one


def _sort_time(node: Sort, buffers: Buffers) -> float:
    outer, n, inner = node.extents
    return outer * inner * n * math.log2(n + 1) * _COMPARISON * len(node.sources)


def _sort_step_time(node: SortStep, buffers: Buffers) -> float:
    columns = 2 if node.operands > 1 else 1
    return node.length * columns * (math.log2(node.width) if node.kind == "runs" else 1)


def _mirror_time(node: Mirror, buffers: Buffers) -> float:
    size = node.count * node.n * node.n * buffers[node.out].dtype.itemsize
    return size * (_FAR_BYTE if size > _FAR else _BYTE)


def _routine_time(node: Routine | BlockStep, buffers: Buffers) -> float:
    return node.count * (_CALL + node.operations * _PRODUCT * node.dtype.itemsize)


def _accumulate_time(node: Accumulate, buffers: Buffers) -> float:
    return math.prod(node.extents) * node.dtype.itemsize * 0.1


def _copy_tasks(node: Copy) -> int:
    return max(1, -(-node.size // COPIED_TOGETHER))


def _copy_time(node: Copy, buffers: Buffers) -> float:
    size = node.size * buffers[node.out].dtype.itemsize
    return 2 * size * (_FAR_BYTE if size > _FAR else _BYTE)


def _group_time(node: Group, buffers: Buffers) -> float:
    return sum(nanoseconds(member.node, buffers) for member in node.members)


_TASKS: Mapping[type, Callable[[Any], int]] = {
    Kernel: count_tasks,
    Contraction: lambda node: schedule_of(node).tasks,
    Accumulate: accumulate.tasks,
    Sort: lambda node: sorting.tasks(node.extents),
    SortStep: sort_steps.step_tasks,
    Mirror: mirrors.tasks,
    Routine: lambda node: node.count,
    BlockStep: lambda node: node.count,
    HostCall: lambda node: 1,
    Copy: _copy_tasks,
    Group: lambda node: node.extent,
}
_TIMES: Mapping[type, Callable[[Any, Buffers], float]] = {
    Kernel: _kernel_time,
    Contraction: _contraction_time,
    Accumulate: _accumulate_time,
    Sort: _sort_time,
    SortStep: _sort_step_time,
    Mirror: _mirror_time,
    Routine: _routine_time,
    BlockStep: _routine_time,
    HostCall: lambda node, buffers: _HOST_CALL,
    Copy: _copy_time,
    Group: _group_time,
}
