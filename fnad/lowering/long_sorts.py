"""Sorts of one long lane in steps, each of which has tasks for many threads.

Before: ``sort (1, 100000, 1): %1 = %0``. After: runs of the lane are sorted, neighbours are
merged until one run is left, and what was sorted, integers that stand for rows, becomes rows::

    sort runs of 16384: %2 = %0
    sort merge of 16384: %3 = %2
    sort merge of 32768: %2 = %3
    sort merge of 65536: %3 = %2
    sort results: %1 = %0, %3
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.lowering.access import with_bodies
from fnad.lowering.plan import Buffer, Node, Sort, SortStep

# Elements of a run, which threads sort in their own caches; of shorter lanes, more runs.
_RUN = 1 << 14
_SHORT_RUN = 1 << 12
_SHORT = 1 << 16

# Longer lanes are sorted by the digits of keys that have few.
_MANY_ROWS = 1 << 15

# The columns are so much longer than the lane, for whatever whole registers read and write.
_BEHIND = 512

NewBuffer = Callable[[Sequence[int], np.dtype[Any]], int]


def run_length(length: int) -> int:
    """How many rows of a lane are sorted as one run, and merged or written as one task."""
    return _SHORT_RUN if length < _SHORT else _RUN


def columns_of(key: np.dtype[Any], alone: bool) -> tuple[np.dtype[Any], ...]:
    """What is sorted in place of rows by one key.

    The key, if it is ``alone``; one of up to 4 bytes with the number of its row in the low bits;
    or one of 8 bytes and the number.
    """
    wide = np.dtype(np.int64)
    if alone:
        return (wide if key.itemsize == 8 else np.dtype(np.int32),)
    return (wide, wide) if key.itemsize == 8 else (wide,)


def merges_well(dtypes: Sequence[np.dtype[Any]], num_keys: int, length: int) -> bool:
    """Whether rows have one key, and one that is not soon sorted by its digits."""
    return num_keys == 1 and (dtypes[0].itemsize >= 4 or length < _MANY_ROWS)


def split_sorts(
    body: Sequence[Node], buffers: Sequence[Buffer], new_buffer: NewBuffer
) -> list[Node]:
    """Split the long sorts of a schedule and of those inside it."""
    result: list[Node] = []
    for node in body:
        if isinstance(node, Sort):
            result += _split(node, buffers, new_buffer)
        else:
            result.append(with_bodies(node, lambda inner: split_sorts(inner, buffers, new_buffer)))
    return result


def _split(node: Sort, buffers: Sequence[Buffer], new_buffer: NewBuffer) -> list[Node]:
    outer, length, inner = node.extents
    dtypes = [buffers[n].dtype for n in node.sources]
    width = run_length(length)
    if outer * inner != 1 or not 2 * width <= length < 1 << 32:
        return [node]
    if not merges_well(dtypes, node.num_keys, length):
        return [node]

    def columns() -> tuple[int, ...]:
        shape = (length + _BEHIND,)
        return tuple(new_buffer(shape, t) for t in columns_of(dtypes[0], len(dtypes) == 1))

    def step(kind: str, sources: tuple[int, ...], outs: tuple[int, ...], width: int) -> SortStep:
        return SortStep(kind, sources, outs, len(dtypes), length, width, node.origin)

    current, other = columns(), columns()
    steps: list[Node] = [step("runs", node.sources[:1], current, width)]
    while width < length:
        steps.append(step("merge", current, other, width))
        current, other = other, current
        width *= 2
    steps.append(step("results", (*node.sources, *current), node.outs, width))
    return steps
