"""The transpose of attention behind a select that leaves out positions of the query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core.primitive import Zero
from fnad.core.tracer import Tracer
from fnad.core.types import aval_of
from fnad.primitives.strong_zeros import StrongZeros, in_result, settled, summed_lanes


def strong_transposed_attention(
    transpose: Callable[..., Sequence[Any]], cts: Sequence[Any], *operands: Any, **params: Any
) -> list[Any]:
    """Cotangents of the operands of ``attention_tangent``; ``transpose`` is the ordinary rule.

    Keys and values sum over the positions of the query. One of which no feature is taken is zero
    there, with its results: weights of 1 times a cotangent of 0. Single features that were left
    out have ordinary zeros.
    """
    ct, ct_sums = cts
    query, *others, outs, sums = operands[:-3]
    given = [settled(ct), settled(ct_sums)]
    if type(ct) is not StrongZeros or not isinstance(ct_sums, Zero):
        return list(transpose(given, *operands, **params))
    left_out = summed_lanes(ct, query, (0, 1, 2, None), is_zero=True)
    if type(left_out) is not StrongZeros:
        return list(transpose(given, *operands, **params))
    positions = left_out.live
    if isinstance(query, Tracer) or not np.isfinite(query).all() or not np.isfinite(outs).all():
        # Axes of queries are (batch, position, head, feature), of sums (batch, head, position).
        of_sums = in_result(positions, (0, 2, 1, None), aval_of(sums).shape)
        query, outs = positions.choose(query), positions.choose(outs)
        sums = of_sums.choose(sums)
    found = list(transpose(given, query, *others, outs, sums, *operands[-3:], **params))
    if found[-3] is not None:
        found[-3] = StrongZeros(found[-3], positions)
    return found
