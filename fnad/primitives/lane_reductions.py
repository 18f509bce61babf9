"""Reductions over the lanes of a ``vmap`` that has named its axis, or over groups of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.primitive import Primitive
from fnad.core.types import aval_of, kind_of
from fnad.primitives.arithmetic import div
from fnad.primitives.collectives import (
    axis_index,
    axis_names,
    axis_size,
    lane_value_p,
    pmax_p,
    pmin_p,
    psum_p,
    stacked,
)
from fnad.primitives.indexing import gather_p
from fnad.primitives.logic import convert_element_type
from fnad.primitives.reductions import reduce_max, reduce_min, reduce_sum
from fnad.primitives.shape import reshape
from fnad.primitives.slicing import concatenate

# Over the lanes of a group, which lie along the leading axis.
_WITHIN_GROUPS = {psum_p: reduce_sum, pmax_p: reduce_max, pmin_p: reduce_min}


@dataclass(frozen=True, slots=True)
class LaneGroups:
    """The lanes of an axis, in groups.

    ``members`` holds the lanes of each group by number; ``group`` and ``place`` say of each lane
    to which group it belongs and where in it.
    """

    members: tuple[tuple[int, ...], ...]
    group: np.ndarray[Any, Any]
    place: np.ndarray[Any, Any]

    @property
    def sizes(self) -> np.ndarray[Any, Any]:
        """The number of lanes of each group."""
        return np.array([len(lanes) for lanes in self.members])

    def equal_size(self, name: str) -> int:
        """The number of lanes of every group; raises ValueError where they differ."""
        sizes = {len(lanes) for lanes in self.members}
        if len(sizes) > 1:
            raise ValueError(
                f"{name}: groups must be of one size, for results have one shape, got"
                f" axis_index_groups={[list(lanes) for lanes in self.members]}"
            )
        return sizes.pop()

    def of_lane(self, values: Any, axis_name: Any) -> Any:
        """What belongs to the lane's group, of values of all groups along a leading axis."""
        group = gather_p.bind(self.group, axis_index(axis_name), mode="clip")
        return lane_value_p.bind(values, group)

    def place_of_lane(self, axis_name: Any) -> Any:
        """Where the lane is in its group."""
        return gather_p.bind(self.place, axis_index(axis_name), mode="clip")


def groups_of(name: str, axis_index_groups: Any, axis_name: Any) -> LaneGroups | None:
    """The groups that a user gave, or None for all lanes together."""
    size = axis_size(axis_name)
    if axis_index_groups is None:
        return None
    members = tuple(tuple(int(lane) for lane in lanes) for lanes in axis_index_groups)
    if sorted(lane for lanes in members for lane in lanes) != list(range(size)) or () in members:
        raise ValueError(
            f"{name}: axis_index_groups must hold each of the {size} lanes of {axis_name!r} once,"
            f" in groups that are not empty, got {axis_index_groups}"
        )
    group, place = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for i, lanes in enumerate(members):
        group[list(lanes)] = i
        place[list(lanes)] = range(len(lanes))
    return LaneGroups(members, group, place)


def together(x: Any, axis_name: Any, groups: LaneGroups | None) -> Any:
    """The values of the lanes of the lane's own group along a leading axis."""
    values = stacked(x, axis_name)
    if groups is None:
        return values
    return groups.of_lane(gather_p.bind(values, np.array(groups.members), mode="clip"), axis_name)


def _reduced(primitive: Primitive, x: Any, axis_name: Any, groups: LaneGroups | None) -> Any:
    if groups is None:
        return primitive.bind(x, axes=axis_names(axis_name))
    values, reduce = stacked(x, axis_name), _WITHIN_GROUPS[primitive]
    parts = [
        gather_p.bind(values, np.array(lanes, np.int64), mode="clip") for lanes in groups.members
    ]
    shape = aval_of(x).shape
    totals = concatenate([reshape(reduce(part, (0,)), (1, *shape)) for part in parts], 0)
    return groups.of_lane(totals, axis_name)


def psum(
    x: Any, axis_name: Any, *, axis_index_groups: Sequence[Sequence[int]] | None = None
) -> Any:
    """Sum over the lanes of the enclosing ``vmap`` that is named ``axis_name``.

    Parameters
    ----------
    x : pytree of arrays
        One value a lane.
    axis_name : hashable or tuple of hashable
        Names given to enclosing ``vmap(..., axis_name=...)``.
    axis_index_groups : sequence of sequences of int, optional
        The lanes by number, each in one group: sums are over the lane's own group. By default all
        lanes are one.

    Returns
    -------
    pytree of arrays
        The total, the same in every lane. A Python number gives that number times the size.

    Raises
    ------
    NameError
        If no enclosing ``vmap`` has the name.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> from fnad import lax
    >>> fnad.vmap(lambda x: x / lax.psum(x, "i"), axis_name="i")(np.array([1.0, 3.0]))
    array([0.25, 0.75])
    >>> pairs = lambda x: lax.psum(x, "i", axis_index_groups=[[0, 1], [2, 3]])
    >>> fnad.vmap(pairs, axis_name="i")(np.array([1, 2, 3, 4]))
    array([3, 3, 7, 7])
    """
    groups = groups_of("psum", axis_index_groups, axis_name)
    if type(x) in (int, float):
        return x * _group_size(axis_name, groups)

    def total(leaf: Any) -> Any:
        if aval_of(leaf).dtype.kind == "b":  # counted in int64, as numpy.sum does
            leaf = convert_element_type(leaf, np.int64)
        return _reduced(psum_p, leaf, axis_name, groups)

    return tree.map(total, x)


def _group_size(axis_name: Any, groups: LaneGroups | None) -> Any:
    """How many lanes go together: an integer where it is the same for all."""
    if groups is None:
        return axis_size(axis_name)
    sizes = groups.sizes
    return int(sizes[0]) if np.all(sizes == sizes[0]) else groups.of_lane(sizes, axis_name)


def pmean(
    x: Any, axis_name: Any, *, axis_index_groups: Sequence[Sequence[int]] | None = None
) -> Any:
    """Mean over the lanes of the enclosing ``vmap`` named ``axis_name`` (see `psum`)."""
    groups = groups_of("pmean", axis_index_groups, axis_name)
    size = _group_size(axis_name, groups)

    def mean(leaf: Any) -> Any:
        dtype = aval_of(leaf).dtype
        leaf = leaf if kind_of(dtype) in "fc" else convert_element_type(leaf, np.float64)
        total = _reduced(psum_p, leaf, axis_name, groups)
        return div(total, convert_element_type(size, aval_of(total).dtype))

    return tree.map(mean, x)


def pmax(
    x: Any, axis_name: Any, *, axis_index_groups: Sequence[Sequence[int]] | None = None
) -> Any:
    """Maximum over the lanes of the enclosing ``vmap`` named ``axis_name`` (see `psum`)."""
    return _mapped("pmax", pmax_p, x, axis_name, axis_index_groups)


def pmin(
    x: Any, axis_name: Any, *, axis_index_groups: Sequence[Sequence[int]] | None = None
) -> Any:
    """Minimum over the lanes of the enclosing ``vmap`` named ``axis_name`` (see `psum`)."""
    return _mapped("pmin", pmin_p, x, axis_name, axis_index_groups)


def _mapped(name: str, primitive: Primitive, x: Any, axis_name: Any, given: Any) -> Any:
    groups = groups_of(name, given, axis_name)
    return tree.map(lambda leaf: _reduced(primitive, leaf, axis_name, groups), x)
