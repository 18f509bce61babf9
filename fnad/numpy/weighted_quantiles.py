"""Quantiles of elements with weights: where the sum of the weights up to an element reaches q."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.tracer import Tracer
from fnad.core.types import kind_of
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray
from fnad.numpy.elementwise_parts import select
from fnad.numpy.indexing import take_along_axis
from fnad.numpy.manipulation import reshape
from fnad.numpy.operands import Array, convert, expand
from fnad.numpy.reductions import any, cumsum
from fnad.numpy.sorting import argsort, searchsorted
from fnad.primitives.shape import transpose
from fnad.primitives.slicing import slice_in_dim
from fnad.transforms.vmap import vmap


def weights_like(name: str, weights: Any, x: Array, axes: tuple[int, ...], method: str) -> Array:
    """The weights in the shape of the array; they may have the axes alone that they are for.

    Raises
    ------
    ValueError
        If their shape is another one, one is negative, or the method is not "inverted_cdf", the
        only one whose meaning with weights is agreed on.
    """
    w = asarray(weights)
    if method != "inverted_cdf":
        raise ValueError(f"{name}: weights go with method='inverted_cdf' only, got {method!r}")
    if kind_of(w.dtype) not in "biuf":
        raise TypeError(f"{name}: weights must be real, got {w.dtype}")
    if not isinstance(w, Tracer) and np.any(w < 0):
        raise ValueError(f"{name}: weights must not be negative")
    w = convert(w, np.dtype(np.float64))
    own = tuple(x.shape[i] for i in axes)
    if w.shape != x.shape:
        if w.shape != own:
            raise ValueError(
                f"{name}: weights of shape {w.shape} fit neither the array, of shape {x.shape}, nor"
                f" the axes {axes}, of lengths {own}"
            )
        order = sorted(range(len(axes)), key=axes.__getitem__)
        shape = tuple(n if i in axes else 1 for i, n in enumerate(x.shape))
        w = expand(reshape(transpose(w, tuple(order)), shape), x.shape)
    return w


def look_up(x: Array, weights: Array, q: Array, omit: bool) -> Array:
    """The quantiles along the last axis, which has elements, as a new last axis."""
    count = x.shape[-1]
    missing = ufuncs.isnan(x)
    order = argsort(x, -1)
    ordered = take_along_axis(x, order, -1)
    if omit:
        weights = select(missing, weights.dtype.type(0), weights)
    sums = cumsum(take_along_axis(weights, order, -1), -1)
    parts = ufuncs.true_divide(sums, expand(slice_in_dim(sums, count - 1, count, 1, -1), x.shape))
    # Elements before the first one with a weight are no quantiles, not even of q = 0.
    parts = select(ufuncs.equal(parts, 0), parts.dtype.type(-1), parts)
    rows = reshape(parts, (-1, count))
    index = vmap(lambda row: searchsorted(row, convert(q, row.dtype)))(rows)
    index = ufuncs.minimum(reshape(index, (*x.shape[:-1], q.shape[0])), count - 1)
    out = take_along_axis(ordered, index, -1)
    if kind_of(x.dtype) == "f" and not omit:
        spoilt = expand(any(missing, -1, keepdims=True), out.shape)
        out = select(spoilt, out.dtype.type(np.nan), out)
    return out
