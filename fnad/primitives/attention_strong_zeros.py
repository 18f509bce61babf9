"""Attention behind a select, pulled back: which lanes of its result contribute to cotangents.

The composition follows them as other equations do. Kernels get operands in which nothing is left
that must not contribute (`contributing`): only a key that is not finite, and that no position
attends to but such as are left out, still shows in what they make.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core.primitive import Zero
from fnad.core.sizes import Size
from fnad.core.types import aval_of, computing_dtype
from fnad.primitives.shape import reshape
from fnad.primitives.strong_lanes import Lanes, Live, taken_lanes
from fnad.primitives.strong_zeros import StrongZeros, settled, summed_lanes


def strong_transposed_attention(
    transpose: Callable[..., list[Any]], cts: Sequence[Any], *operands: Any, **params: Any
) -> list[Any]:
    """Cotangents of the operands of ``attention_tangent``.

    ``transpose(cts, *operands, live=None, **params)`` computes them.
    """
    ct, ct_sums = cts
    given = [settled(ct), settled(ct_sums)]
    if type(ct) is not StrongZeros or not isinstance(ct_sums, Zero):
        return transpose(given, *operands, **params)
    found = transpose(given, *operands, live=_live_lanes(ct), **params)
    by_group = StrongZeros(given[0], _grouped(ct, operands[1].shape[2]))
    lanes = (
        (ct, (0, 1, 2, None)),
        (by_group, (0, None, 2, None, None)),
        (by_group, (0, None, 2, None, 3)),
    )
    followed = [
        None if x is None else summed_lanes(source, x, axes, is_zero=True)
        for x, (source, axes) in zip(found[-3:], lanes, strict=True)
    ]
    return [*found[:-3], *followed]


def _live_lanes(ct: StrongZeros) -> Any:
    """The mask of a cotangent, of length 1 along axes along which it is the same."""
    shape = ct.aval.shape
    mask, axes = taken_lanes(ct.live, shape)
    return reshape(mask, tuple([n if i in axes else 1 for i, n in enumerate(shape)]))


def mask_along_own(live: Any) -> tuple[Any, tuple[int, ...]]:
    """A mask without its axes of length 1, and which axes it then has."""
    axes = tuple([i for i, n in enumerate(aval_of(live).shape) if type(n) is Size or n != 1])
    return reshape(live, tuple([aval_of(live).shape[i] for i in axes])), axes


def _grouped(ct: StrongZeros, shared: int) -> Live:
    """The lanes of ``ct`` with an axis for the heads of keys, and one for those that share them."""
    shape = ct.aval.shape
    split = *shape[:2], shared, shape[2] // shared, shape[3]
    places = ((0,), (1,), (2, 3), (4,))

    def lanes() -> Lanes:
        mask, axes = taken_lanes(ct.live, shape)
        own = in_split(axes)
        return reshape(mask, tuple([split[i] for i in own])), True, own

    def in_split(axes: Sequence[int]) -> tuple[int, ...]:
        return tuple([place for i in axes for place in places[i]])

    return Live.along(lanes, in_split(ct.live.along_axes(4)), split)


def contributing(p: Any, live: Any, own: Sequence[Any], outs: Any, lse: Any) -> tuple[Any, ...]:
    """Query, key, value and the results of attention, for kernels that are given ``live``.

    Queries, keys and results that are left out are zero, and logarithms infinite, so that weights
    are zero. Values that are not finite show in results that are taken: these zeros do not hide
    them.
    """
    b, (query, key, value) = p.b, own
    wide = computing_dtype(query.dtype)
    batch, queries, heads, features = live.shape
    shared, group = key.shape[2], query.shape[2] // key.shape[2]

    def at(mask: Any, *index: Any) -> Any:
        return mask.at(
            tuple(b.constant(0, np.int64) if n == 1 else i for i, n in zip(index, mask.shape))
        )

    def any_of(shape: Any, extents: Any, element: Any) -> Any:
        return p.materialize(p.reduce(shape, np.dtype(np.bool_), extents, "or", element))

    def where(mask: Any, x: Any, other: float = 0.0) -> Any:
        return p.compute(
            x.shape, x.dtype, lambda i: b.where(mask(i), x.at(i), b.constant(other, x.dtype))
        )

    positions = any_of((batch, queries, heads), (features,), lambda i, r: live.at((*i, r[0])))
    per_key = heads if heads == 1 else shared
    each = b.constant(group, np.int64)
    keys = any_of(
        (batch, per_key),
        (queries, heads // per_key),
        lambda i, r: positions.at(
            (i[0], r[0], b.add(b.multiply(i[1], each), r[1]) if heads > 1 else i[1])
        ),
    )

    def is_finite(i: Any) -> Any:
        x, bound = b.convert(value.at(i), wide), b.constant(np.inf, wide)
        return b.bitwise_and(b.less(x, bound), b.less(b.negative(x), bound))

    return (
        where(lambda i: at(positions, *i[:3]), query),
        where(lambda i: at(keys, i[0], i[2]), key),
        where(is_finite, value),
        where(lambda i: at(live, *i), outs),
        where(lambda i: at(positions, i[0], i[2], i[1]), lse, np.inf),
    )
