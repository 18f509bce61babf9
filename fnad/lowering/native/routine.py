"""Machine code as native calls see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


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
