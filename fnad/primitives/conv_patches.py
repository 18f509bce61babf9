"""What the windows of a convolution see, laid out for products of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.types import aval_of
from fnad.primitives.batch_axes import split_axis
from fnad.primitives.contraction import dot_general
from fnad.primitives.shape import broadcast_in_dim, moveaxis, reshape, transpose
from fnad.primitives.slicing import pad
from fnad.primitives.windows import windows

# Up to so many features of a window are too short a run for vectors.
_FEW_FEATURES = 4
# Products of so many columns are as fast as wider ones.
_COLUMNS = 192


def positions_last(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], params: dict[str, Any], times: float = 0.5
) -> bool:
    """Whether patches have the positions innermost, and each example has a product of its own.

    They do where windows hold only few features: the elements of a window are then far too short
    a run for vectors, those of neighbouring windows are not. They also do where lhs has positions
    innermost itself, unless there are so few (fewer than ``times`` the features) that what has
    the size of the filters is read or written for longer than it takes to bring features together.
    """
    lhs_spec, rhs_spec, _ = params["dimension_numbers"]
    groups = params["feature_group_count"]
    made, taken = rhs_shape[rhs_spec[0]] // groups, rhs_shape[rhs_spec[1]]
    if groups == 1 and taken <= _FEW_FEATURES:
        return len(lhs_spec) > 2  # there are positions
    positions = math.prod(lhs_shape[i] for i in lhs_spec[2:]) // math.prod(params["window_strides"])
    if len(lhs_spec) == 2 or lhs_spec[-1] != max(lhs_spec) or type(positions + made) is not int:
        return False
    return positions >= times * max(taken, made)


def window_axes(rhs_spec: Sequence[int]) -> tuple[int, ...]:
    """The axes of the filters that are summed over, in the order that they have in memory."""
    return tuple(sorted(rhs_spec[1:]))


def patches(lhs: Any, rhs_shape: Sequence[int], params: dict[str, Any], apart: bool) -> Any:
    """What each window of lhs sees, of shape ((group,) batch, positions, axes of the window).

    The axes of the window (features and spatial) stand in the order of the filters' memory. If
    examples are ``apart``, the shape is (batch, (group,) axes of the window, positions).
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
        return transpose(views, (*reversed(range(grouped + 1)), *inside, *positions))
    return transpose(views, (*range(grouped + 1), *positions, *inside))


def products_of_rows(
    read: Any, rhs: Any, counts: Sequence[int], dimension_numbers: Sequence[Sequence[int]]
) -> Any:
    """(batch, features, positions) from patches and filters, which may have an axis of groups.

    ``counts`` are the lengths of the positions. There is a product for each example, group and
    block of rows, whose patches are still near when they are read, by rows and where they lie:
    filters come first. Where features are innermost before and behind, they are in the product,
    too, and all rows are one block; as where patches are what lies in memory already.
    """
    lhs_spec, rhs_spec, _ = dimension_numbers
    shape, filters, num = aval_of(read).shape, aval_of(rhs).shape, len(counts)
    before, grouped = len(shape) - 2 * num - 1, len(filters) - num - 2
    window = [i + grouped for i in window_axes(rhs_spec)]
    pointwise = all(filters[i + grouped] == 1 for i in rhs_spec[2:])
    features_last = lhs_spec[-1] != max(lhs_spec)
    blocks = 1 if features_last or pointwise else _blocks(counts)
    read = reshape(read, (*shape[:-num], blocks, counts[0] // blocks, *counts[1:]))
    read = moveaxis(read, -num - 1, before)
    spread = (*range(1, before), *range(before + 1, len(filters) + 2))
    rhs = broadcast_in_dim(rhs, (*shape[:before], blocks, *filters[before - 1 :]), spread)
    in_rhs, in_read = [i + 2 for i in window], range(before + 1, before + num + 2)
    batch = range(before + 1)
    if features_last:
        out = moveaxis(dot_general(read, rhs, ((in_read, in_rhs), (batch, batch))), -1, before + 1)
    else:
        out = dot_general(rhs, read, ((in_rhs, in_read), (batch, batch)))
    out = moveaxis(out, before, before + 1)
    return reshape(out, (shape[0], math.prod(aval_of(out).shape[1 : before + 1]), *counts))


def _blocks(counts: Sequence[int]) -> int:
    """Into how many blocks rows of positions fall, the most whose products are wide enough."""
    if len(counts) == 1 or any(type(n) is not int for n in counts):
        return 1
    number, length = counts[0], math.prod(counts[1:])
    enough = (r for r in range(1, number) if number % r == 0 and r * length >= _COLUMNS)
    return number // next(enough, number) if number else 1
