"""The transpose of a convolution behind a select: which of its results are zero for sure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fnad.core.primitive import Linear
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.logic import bitwise_not, convert_element_type, ne
from fnad.primitives.reductions import reduce_or
from fnad.primitives.shape import broadcast_in_dim, reshape
from fnad.primitives.strong_lanes import Live
from fnad.primitives.strong_products import strong_product
from fnad.primitives.strong_zeros import StrongZeros

Transpose = Callable[..., Sequence[Any]]


def strong_transposed_conv(
    transpose: Transpose, ct: StrongZeros, lhs: Any, rhs: Any, **params: Any
) -> list[Any]:
    """Cotangents of lhs and rhs, one of which is `Linear`; ``transpose`` is the ordinary rule."""
    lhs_spec, rhs_spec, out_spec = params["dimension_numbers"]
    # Examples lie in lhs and in its cotangent, features in the filters and theirs.
    in_lhs: list[int | None] = [None] * len(out_spec)
    in_rhs = list(in_lhs)
    in_lhs[out_spec[0]], in_rhs[out_spec[1]] = lhs_spec[0], rhs_spec[0]
    if isinstance(rhs, Linear):
        wrt_rhs = lambda c, x: transpose(c, x, rhs, **params)[1]  # noqa: E731
        return [None, strong_product(wrt_rhs, ct, lhs, in_rhs, in_lhs)]
    wrt_lhs = lambda c, y: transpose(c, lhs, y, **params)[0]  # noqa: E731
    found = strong_product(wrt_lhs, ct, rhs, in_lhs, in_rhs)
    if type(found) is StrongZeros and any(i in out_spec[2:] for i in _axes(ct)):
        is_zero, axes = (
            found.choose is None,
            tuple(i for i in range(len(out_spec)) if i != lhs_spec[1]),
        )
        lanes = partial(_met_by_windows, transpose, ct, lhs.aval, rhs, params)
        live = Live.along(lambda: (lanes(), True, axes), axes, lhs.aval.shape)
        found = StrongZeros(found.ct, live, None if is_zero else live.choose)
    return [found, None]


def _axes(ct: StrongZeros) -> tuple[int, ...]:
    return ct.live.along_axes(len(ct.aval.shape))


def _met_by_windows(
    transpose: Transpose, ct: StrongZeros, lhs: ShapedArray, rhs: Any, params: dict[str, Any]
) -> Any:
    """For each example and position of lhs, whether it is in the window of a live lane.

    It is as if of one feature: that lanes of other groups tell nothing of it is not seen.
    """
    lhs_spec, rhs_spec, out_spec = params["dimension_numbers"]
    mask, taken, axes = ct.live.lanes(len(out_spec))
    live = broadcast_in_dim(mask if taken else bitwise_not(mask), ct.aval.shape, axes)
    dtype = np.dtype(np.float32)
    one_feature = _with_length(ct.aval.shape, out_spec[1], 1)
    cts = convert_element_type(reshape(reduce_or(live, (out_spec[1],)), one_feature), dtype)
    of_lhs = Linear(ShapedArray(_with_length(lhs.shape, lhs_spec[1], 1), dtype))
    window = _with_length(_with_length(aval_of(rhs).shape, rhs_spec[0], 1), rhs_spec[1], 1)
    ones = broadcast_in_dim(dtype.type(1), window, ())
    met = transpose(cts, of_lhs, ones, **{**params, "feature_group_count": 1})[0]
    kept = tuple(n for i, n in enumerate(lhs.shape) if i != lhs_spec[1])
    return ne(reshape(met, kept), dtype.type(0))


def _with_length(shape: tuple[int, ...], axis: int, length: int) -> tuple[int, ...]:
    return (*shape[:axis], length, *shape[axis + 1 :])
