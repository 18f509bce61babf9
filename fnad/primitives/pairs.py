"""Few indices into many elements: all pairs are compared, in place of a pass over the elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.types import aval_of
from fnad.primitives.arithmetic import clamp
from fnad.primitives.logic import bitwise_and, eq, select
from fnad.primitives.shape import broadcast_in_dim, full, full_like, iota, reshape


def are_few(shape: Sequence[int], indices: Sequence[Any]) -> bool:
    """Whether all pairs of indices are far fewer than the elements that they choose from.

    In a loop that updates few elements a step, a pass over all of them would be all the time.
    """
    return 4 * aval_of(indices[0]).size ** 2 <= math.prod(shape[: len(indices)])


def _pairs(x: Any) -> tuple[Any, Any]:
    """``x[:, None]`` and ``x[None]`` in one shape: all pairs of elements along axis 0."""
    shape = aval_of(x).shape
    rest = tuple(range(2, len(shape) + 1))
    whole = (shape[0], *shape)
    return broadcast_in_dim(x, whole, (0, *rest)), broadcast_in_dim(x, whole, (1, *rest))


def pairs_of_numbers(compare: Any, indices: Sequence[Any]) -> Any:
    """Compare the numbers of all pairs of indices."""
    return compare(*_pairs(iota(np.int64, aval_of(indices[0]).size)))


def equal_pairs(shape: Sequence[int], indices: Sequence[Any], mode: str) -> Any:
    """Which pairs of indices, (count, count), mean the same element."""
    count = aval_of(indices[0]).size
    equal: Any = full((count, count), True, np.bool_)
    for index, size in zip(indices, shape):
        flat = reshape(index, (count,))
        if mode != "fill":
            dtype = aval_of(flat).dtype
            flat = clamp(dtype.type(0), flat, dtype.type(min(size - 1, np.iinfo(dtype).max)))
        equal = bitwise_and(equal, eq(*_pairs(flat)))
    return equal


def over_pairs(values: Any, pairs: Any, reduce: Any, neutral: int) -> Any:
    """For each of the leading entries of ``values``, reduce those that it is paired with."""
    shape, count = aval_of(values).shape, aval_of(pairs).shape[0]
    others = _pairs(reshape(values, (count, aval_of(values).size // max(count, 1))))[1]
    kept = select(
        broadcast_in_dim(pairs, aval_of(others).shape, (0, 1)), others, full_like(others, neutral)
    )
    return reshape(reduce(kept, (1,)), shape)
