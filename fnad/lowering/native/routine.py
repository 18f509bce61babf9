"""Machine code as native calls see it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.lowering.llvm.work import nanoseconds
from fnad.lowering.plan import Branch, Buffer, For, Node, Plan, Release, Reserve, While

# Freeing the interpreter and taking it back costs some 30 ns, more if another thread wants it.
_LONG = 3_000.0


@dataclass(frozen=True, slots=True)
class Routine:
    """Machine code and what it needs, as `fnad.lowering.executable` describes them.

    ``inputs`` and ``outputs`` are the types of the program's arguments and results; ``bound``
    are arrays for the first of its inputs, ``constants`` those behind the last one. ``updates``
    says for each result which input it updates in place, or -1.
    """

    keeper: Any
    address: int
    shared_bytes: int
    thread_bytes: int
    is_long: bool
    inputs: Sequence[tuple[tuple[int, ...], np.dtype[Any]]]
    outputs: Sequence[tuple[tuple[int, ...], np.dtype[Any]]]
    bound: Sequence[np.ndarray[Any, Any]]
    constants: Sequence[np.ndarray[Any, Any]]
    updates: Sequence[int]


def runs_long(plan: Plan) -> bool:
    """Whether other threads should have the interpreter while this plan runs."""
    return _time(plan.body, {b.number: b for b in plan.buffers}) > _LONG


def _time(body: Iterable[Node], buffers: Mapping[int, Buffer]) -> float:
    return sum((_time_of(node, buffers) for node in body), 0.0)


def _time_of(node: Node, buffers: Mapping[int, Buffer]) -> float:
    match node:
        case For(count=None):
            return node.extent * _time(node.body, buffers)
        case For() | While() | Reserve() | Release():
            return math.inf
        case Branch():
            return max(_time(body, buffers) for body in node.branches)
    return nanoseconds(node, buffers)
