"""``masked_conv_general_dilated``: convolutions to which only some lanes of an array contribute.

The transpose of a convolution behind a select needs it (`fnad.primitives.strong_products`). Which
elements of its operands meet no live lane, the windows say.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from fnad.core.types import aval_of
from fnad.primitives.convolution import batched_convolution, conv_general_dilated_p
from fnad.primitives.logic import bitwise_not, convert_element_type, ne
from fnad.primitives.reductions import reduce_or
from fnad.primitives.shape import broadcast_in_dim, reshape
from fnad.primitives.strong_lanes import Lanes, Live, in_result, taken_lanes
from fnad.primitives.strong_products import Bilinear, Labels

Shapes = Sequence[tuple[int, ...]]


def _labels(
    ndims: Sequence[int], *, dimension_numbers: Any, feature_group_count: int, **_: Any
) -> Labels:
    """Examples, and features if they fall into no groups, run together; windows do not."""
    taken = "features" if feature_group_count == 1 else "features of a group"
    names = (("examples", "features"), ("made", taken), ("examples", "made"))
    slots: list[list[Any]] = []
    for slot, (spec, leading) in enumerate(zip(dimension_numbers, names, strict=True)):
        name_of = dict(zip(spec, leading))
        slots.append([name_of.get(i, (slot, i)) for i in range(len(spec))])
    in_lhs, in_rhs, in_out = slots
    return in_lhs, in_rhs, in_out


def _reached(live: Live, at: int, wrt: int, shapes: Shapes, **params: Any) -> Live | None:
    """Of lhs and the result, what shares a window, or a group of features, with a live lane."""
    spec = params["dimension_numbers"][at]
    axes = live.along_axes(len(spec))
    if 1 in (at, wrt):
        return None
    if not any(i in spec[2:] for i in axes):
        in_groups = params["feature_group_count"] > 1 and spec[1] in axes
        return _in_groups(live, at, wrt, shapes, params) if in_groups else None
    features = params["dimension_numbers"][wrt][1]
    groups = params["feature_group_count"] if spec[1] in axes else 1
    axes = tuple(i for i in range(len(spec)) if i != features or groups > 1)
    met = partial(_met_by_windows, live, at, wrt, shapes, groups, params)
    return Live.along(lambda: (met(), True, axes), axes, shapes[wrt])


def _in_groups(live: Live, at: int, wrt: int, shapes: Shapes, params: dict[str, Any]) -> Live:
    """The features of a slot that are in one group with live features of another one."""
    own, other = params["dimension_numbers"][at], params["dimension_numbers"][wrt]
    groups, features = params["feature_group_count"], shapes[wrt][other[1]]

    def lanes() -> Lanes:
        mask, axes = taken_lanes(live, shapes[at])
        k = axes.index(own[1])
        return _for_features(_of_groups(mask, k, groups), k, features), True, axes

    shape = _with_length(shapes[at], own[1], features)
    places: list[int | None] = [None] * len(own)
    places[own[0]], places[own[1]] = other[0], other[1]
    return in_result(Live.along(lanes, live.along_axes(len(own)), shape), places, shapes[wrt])


def _of_groups(mask: Any, axis: int, groups: int) -> Any:
    """Whether a mask holds for any feature of each group."""
    before, features, behind = _around(mask, axis)
    apart = reshape(mask, (*before, groups, features // groups, *behind))
    return reduce_or(apart, (axis + 1,))


def _for_features(mask: Any, axis: int, features: int) -> Any:
    """A mask of groups, for each of their features."""
    before, groups, behind = _around(mask, axis)
    kept = [i for i in range(len(before) + len(behind) + 2) if i != axis + 1]
    spread = broadcast_in_dim(mask, (*before, groups, features // groups, *behind), kept)
    return reshape(spread, (*before, features, *behind))


def _around(mask: Any, axis: int) -> tuple[Any, int, Any]:
    shape = aval_of(mask).shape
    return shape[:axis], shape[axis], shape[axis + 1 :]


def _met_by_windows(
    live: Live, at: int, wrt: int, shapes: Shapes, groups: int, params: dict[str, Any]
) -> Any:
    """For each example and position of a slot, whether a live lane is in or of its window.

    With several ``groups``, for each feature; with one, for all together, without their axis.
    """
    specs, dtype = params["dimension_numbers"], np.dtype(np.float32)
    mask, taken, axes = live.lanes(len(specs[at]))
    lanes = broadcast_in_dim(mask if taken else bitwise_not(mask), shapes[at], axes)
    window = _with_length(_with_length(shapes[1], specs[1][0], groups), specs[1][1], 1)
    pair = (
        convert_element_type(_of_groups(lanes, specs[at][1], groups), dtype),
        broadcast_in_dim(dtype.type(1), window, ()),
    )
    met = masked_conv.compute(
        wrt,
        *(pair if at == 0 else pair[::-1]),
        _with_length(shapes[wrt], specs[wrt][1], groups),
        **{**params, "feature_group_count": groups},
    )
    found, features = ne(met, dtype.type(0)), specs[wrt][1]
    if groups > 1:
        return _for_features(found, features, shapes[wrt][features])
    return reshape(found, tuple(n for i, n in enumerate(shapes[wrt]) if i != features))


def _with_length(shape: tuple[int, ...], axis: int, length: int) -> tuple[int, ...]:
    return (*shape[:axis], length, *shape[axis + 1 :])


masked_conv = Bilinear(conv_general_dilated_p, _labels, batched_convolution, reached=_reached)
masked_conv_general_dilated_p = masked_conv.masked
