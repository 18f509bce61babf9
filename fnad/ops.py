"""Reductions of segments: of elements that carry the same number (as ``jax.ops``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnad import numpy as fnp
from fnad.core.types import highest, lowest

__all__ = ["segment_max", "segment_min", "segment_prod", "segment_sum"]


def segment_sum(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: str | None = None,
) -> Any:
    """The sums of the elements of segments.

    Parameters
    ----------
    data : array
        ``(n, ...)``.
    segment_ids : array of int
        ``(n,)``: to which segment each element belongs. Those of numbers that there are not, also
        negative ones, belong to none.
    num_segments : int, optional
        How many segments; by default the largest number and 1, which must be known then.
    indices_are_sorted, unique_indices, bucket_size
        For the sake of JAX's signature; they change nothing.
    mode : {"fill", "drop", "clip", "promise_in_bounds"}, optional
        ``"clip"`` takes numbers of segments that there are not for that of the nearest; what else
        it says changes nothing.

    Returns
    -------
    array
        ``(num_segments, ...)``; 0 for segments without elements.

    Examples
    --------
    >>> segment_sum(np.array([1.0, 2.0, 4.0]), np.array([0, 2, 0]), 3)
    array([5., 0., 2.])
    """
    del indices_are_sorted, unique_indices, bucket_size
    return _reduced("segment_sum", data, segment_ids, num_segments, mode, "add", lambda dtype: 0)


def segment_prod(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: str | None = None,
) -> Any:
    """The products of the elements of segments, 1 for those without; see `segment_sum`.

    Examples
    --------
    >>> segment_prod(np.array([3.0, 2.0, 4.0]), np.array([0, 2, 0]), 3)
    array([12.,  1.,  2.])
    """
    del indices_are_sorted, unique_indices, bucket_size
    return _reduced(
        "segment_prod", data, segment_ids, num_segments, mode, "multiply", lambda dtype: 1
    )


def segment_max(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: str | None = None,
) -> Any:
    """The largest elements of segments, the least number for those without; see `segment_sum`.

    Examples
    --------
    >>> segment_max(np.array([3.0, 2.0, 4.0]), np.array([0, 2, 0]), 3)
    array([  4., -inf,   2.])
    """
    del indices_are_sorted, unique_indices, bucket_size
    return _reduced("segment_max", data, segment_ids, num_segments, mode, "max", lowest)


def segment_min(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: str | None = None,
) -> Any:
    """The smallest elements of segments, the largest number for those without; see `segment_sum`.

    Examples
    --------
    >>> segment_min(np.array([3.0, 2.0, 4.0]), np.array([0, 2, 0]), 3)
    array([ 3., inf,  2.])
    """
    del indices_are_sorted, unique_indices, bucket_size
    return _reduced("segment_min", data, segment_ids, num_segments, mode, "min", highest)


def _reduced(
    name: str,
    data: Any,
    segment_ids: Any,
    num_segments: int | None,
    mode: str | None,
    update: str,
    neutral: Callable[[np.dtype[Any]], Any],
) -> Any:
    x, numbers = fnp.asarray(data), fnp.asarray(segment_ids)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or x.shape[:1] != numbers.shape:
        raise ValueError(
            f"{name}: segment_ids are integers, one for each element along the first axis of data;"
            f" got {numbers.dtype}{list(numbers.shape)} for data of shape {x.shape}"
        )
    if mode not in (None, "fill", "drop", "clip", "promise_in_bounds"):
        raise ValueError(
            f"{name}: mode must be 'fill', 'drop', 'clip' or 'promise_in_bounds', got {mode!r}"
        )
    numbers = numbers.astype(np.int64)
    count = int(fnp.max(numbers, initial=-1)) + 1 if num_segments is None else int(num_segments)
    if count < 0:
        raise ValueError(f"{name}: there cannot be {count} segments")
    if not count:
        return fnp.zeros((0, *x.shape[1:]), x.dtype)
    if mode == "clip":
        numbers = fnp.clip(numbers, 0, count - 1)
    else:
        numbers = fnp.where(numbers < 0, count, numbers)  # which no segment has
    start = fnp.full((count, *x.shape[1:]), neutral(x.dtype), x.dtype)
    return getattr(fnp.at(start)[numbers], update)(x, mode="fill")
