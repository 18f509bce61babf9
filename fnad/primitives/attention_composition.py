"""Attention as it is without a kernel: a composition of products and a softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.types import computing_dtype
from fnad.primitives.contraction import dot_general
from fnad.primitives.logic import bitwise_and, convert_element_type, select, stop_gradient
from fnad.primitives.reductions import reduce_max, reduce_or, reduce_sum
from fnad.primitives.shape import broadcast_in_dim, broadcasted_iota, reshape, transpose
from fnad.primitives.transcendental import exp, log


def attention_of_products(
    query: Any,
    key: Any,
    value: Any,
    *operands: Any,
    extras: tuple[str, ...],
    scale: float,
    window: tuple[int | None, int | None],
) -> list[Any]:
    """The results of `fnad.primitives.attention.attention_p`."""
    given = dict(zip(extras, operands, strict=True))
    key, value = (_for_each_head(x, query.shape[2]) for x in (key, value))
    wide = computing_dtype(query.dtype)
    logits = dot_general(query, key, (((3,), (3,)), ((0, 2), (0, 2))))
    logits = convert_element_type(logits, wide) * wide.type(scale)
    full = logits.shape
    if "bias" in given:
        logits = logits + _spread(convert_element_type(given["bias"], wide), full)
    keep = _kept(full, window, given.get("mask"), given.get("key_lengths"))
    if keep is not None:
        # Not -inf, of which a row without any key would make NaN.
        least = wide.type(-0.7 * float(np.finfo(wide).max))
        logits = select(keep, logits, broadcast_in_dim(least, full, ()))
    largest = stop_gradient(reduce_max(logits, (3,)))
    terms = exp(logits - broadcast_in_dim(largest, full, (0, 1, 2)))
    sums = reduce_sum(terms, (3,))
    weights = convert_element_type(terms / broadcast_in_dim(sums, full, (0, 1, 2)), value.dtype)
    outs = transpose(dot_general(weights, value, (((3,), (1,)), ((0, 1), (0, 2)))), (0, 2, 1, 3))
    lse = largest + log(sums)
    if keep is not None:
        nothing = broadcast_in_dim(wide.type(-np.inf), full[:3], ())
        lse = select(reduce_or(keep, (3,)), lse, nothing)
    return [outs, lse]


def _for_each_head(x: Any, heads: int) -> Any:
    """Keys or values of shared heads, repeated for the heads that share them."""
    batch, keys, shared, features = x.shape
    if shared == heads:
        return x
    each = broadcast_in_dim(x, (batch, keys, shared, heads // shared, features), (0, 1, 2, 4))
    return reshape(each, (batch, keys, heads, features))


def _spread(x: Any, full: tuple[int, ...]) -> Any:
    """An array in which axes of length 1 are repeated."""
    own = tuple(i for i, n in enumerate(x.shape) if n == full[i])
    return broadcast_in_dim(reshape(x, tuple(full[i] for i in own)), full, own)


def _kept(
    full: tuple[int, ...], window: tuple[int | None, int | None], mask: Any, lengths: Any
) -> Any:
    """Which keys (last axis) each position (the one before) attends to; None for all."""
    positions, keys = (broadcasted_iota(np.int32, full[2:], i) for i in range(2))
    before, behind = window
    inside = []
    if behind is not None:
        inside.append(keys <= (positions + np.int32(behind) if behind else positions))
    if before is not None:
        inside.append(keys >= positions - np.int32(before))
    kept = [_spread(reshape(x, (1, 1, *full[2:])), full) for x in inside]
    if mask is not None:
        kept.append(_spread(mask, full))
    if lengths is not None:
        last = broadcast_in_dim(lengths, full, (0,))
        kept.append(broadcasted_iota(lengths.dtype, full, 3) < last)
    result = None
    for condition in kept:
        result = condition if result is None else bitwise_and(result, condition)
    return result
