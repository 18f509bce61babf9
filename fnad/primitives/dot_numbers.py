"""Which axes of products are which: arithmetic with ``dimension_numbers``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from fnad.primitives.shape import invert_permutation

Axes = tuple[int, ...]
Numbers = tuple[tuple[Axes, Axes], tuple[Axes, Axes]]


def free_axes(ndim: int, contracting: Axes, batch: Axes) -> Axes:
    return tuple(i for i in range(ndim) if i not in contracting and i not in batch)


def sizes_of(shape: Sequence[int], axes: Axes) -> tuple[int, ...]:
    return tuple(shape[i] for i in axes)


@lru_cache(maxsize=1024)
def wrt_lhs(numbers: Numbers, a_ndim: int, b_ndim: int) -> tuple[Numbers, Axes]:
    """The product of cotangent and rhs, and the order in which its axes are those of the lhs."""
    (a_contract, b_contract), (a_batch, b_batch) = numbers
    a_free = free_axes(a_ndim, a_contract, a_batch)
    b_free = free_axes(b_ndim, b_contract, b_batch)
    ct_batch = tuple(range(len(a_batch)))
    ct_b = tuple(range(len(a_batch) + len(a_free), len(a_batch) + len(a_free) + len(b_free)))
    # The result ends with the contracted axes in the order that they have in b.
    paired = tuple(a_contract[i] for i in np.argsort(b_contract, kind="stable"))
    order = invert_permutation(a_batch + a_free + paired)
    return ((ct_b, b_free), (ct_batch, b_batch)), order


@lru_cache(maxsize=1024)
def wrt_rhs(numbers: Numbers, a_ndim: int, b_ndim: int) -> tuple[Numbers, Axes]:
    """The product of lhs and cotangent, and the order in which its axes are those of the rhs."""
    (a_contract, b_contract), (a_batch, b_batch) = numbers
    a_free = free_axes(a_ndim, a_contract, a_batch)
    b_free = free_axes(b_ndim, b_contract, b_batch)
    ct_batch = tuple(range(len(a_batch)))
    ct_a = tuple(range(len(a_batch), len(a_batch) + len(a_free)))
    paired = tuple(b_contract[i] for i in np.argsort(a_contract, kind="stable"))
    order = invert_permutation(b_batch + paired + b_free)
    return ((a_free, ct_a), (a_batch, ct_batch)), order


def batched_numbers(
    numbers: Numbers, batched: Sequence[bool], a_ndim: int, b_ndim: int
) -> tuple[Numbers, int]:
    """Numbers of a product of operands that have an axis of lanes, and where it is in the result.

    The axis of a single operand is its first free axis: one large product, not many.
    """
    (a_contract, b_contract), (a_batch, b_batch) = numbers
    shift = lambda axes, has_axis: tuple(i + has_axis for i in axes)  # noqa: E731
    contract = (shift(a_contract, batched[0]), shift(b_contract, batched[1]))
    batch = (shift(a_batch, batched[0]), shift(b_batch, batched[1]))
    if all(batched):
        return (contract, ((0, *batch[0]), (0, *batch[1]))), 0
    a_free = free_axes(a_ndim, contract[0], batch[0])
    return (contract, batch), len(a_batch) + (0 if batched[0] else len(a_free))
