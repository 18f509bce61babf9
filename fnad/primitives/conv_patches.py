"""What the windows of a convolution see, laid out for products of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.types import aval_of
from fnad.primitives.batch_axes import split_axis
from fnad.primitives.shape import transpose
from fnad.primitives.slicing import pad
from fnad.primitives.windows import windows

# Up to so many features of a window are too short a run for vectors.
_FEW_FEATURES = 4
# Patches of so many elements stay in the last cache.
_LARGE = 1 << 21


def positions_last(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], params: dict[str, Any], times: int = 1
) -> bool:
    """Whether patches have the positions innermost, and each example has a product of its own.

    They do where windows hold only few features: the elements of a window are then far too short
    a run for vectors, those of neighbouring windows are not. They also do where lhs has positions
    innermost itself, unless there are so few (fewer than ``times`` the features) that what has
    the size of the filters is read or written for longer than it takes to bring features together,
    or so many that the patches of an example leave the caches.
    """
    lhs_spec, rhs_spec, _ = params["dimension_numbers"]
    made, taken = (rhs_shape[i] for i in rhs_spec[:2])
    if params["feature_group_count"] > 1 or taken <= _FEW_FEATURES:
        return params["feature_group_count"] == 1
    positions = math.prod(lhs_shape[i] for i in lhs_spec[2:]) // math.prod(params["window_strides"])
    size = positions * taken * math.prod(rhs_shape[i] for i in rhs_spec[2:])
    if lhs_spec[-1] != max(lhs_spec) or type(size + made) is not int:
        return False
    return positions >= times * max(taken, made) and size <= _LARGE


def window_axes(rhs_spec: Sequence[int]) -> tuple[int, ...]:
    """The axes of the filters that are summed over, in the order that they have in memory."""
    return tuple(sorted(rhs_spec[1:]))


def patches(lhs: Any, rhs_shape: Sequence[int], params: dict[str, Any], apart: bool) -> Any:
    """What each window of lhs sees, of shape ((group,) batch, positions, axes of the window).

    The axes of the window (features and spatial) stand in the order of the filters' memory;
    before the positions, if those are last (``apart``).
    """
    lhs_spec, rhs_spec, _ = params["dimension_numbers"]
    groups, num = params["feature_group_count"], len(rhs_spec) - 2
    config = [(0, 0, 0)] * (num + 2)
    for axis, (low, high), gap in zip(lhs_spec[2:], params["padding"], params["lhs_dilation"]):
        config[axis] = (low, high, gap - 1)
    lhs = pad(lhs, np.zeros((), aval_of(lhs).dtype)[()], config)
    grouped = groups > 1
    if grouped:
        lhs = split_axis(lhs, lhs_spec[1], groups)
    lhs = transpose(lhs, (*range(grouped), *(i + grouped for i in lhs_spec)))
    window = [rhs_shape[i] for i in rhs_spec[2:]]
    views = windows(lhs, window, params["window_strides"], params["rhs_dilation"])
    # views: (group,) batch, feature, positions, window
    place = {axis: grouped + (1 if i == 0 else 1 + num + i) for i, axis in enumerate(rhs_spec[1:])}
    positions = range(grouped + 2, grouped + 2 + num)
    inside = tuple(place[i] for i in window_axes(rhs_spec))
    if apart:
        return transpose(views, (0, *inside, *positions))
    return transpose(views, (*range(grouped + 1), *positions, *inside))
