"""Exchanges between the lanes of a ``vmap`` that has named its axis.

All are made of `all_gather`, which batching over its axis turns into the batched array itself, and
of the lane's own number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.types import aval_of
from fnad.primitives.collectives import axis_index, axis_size, lane_value_p, stacked
from fnad.primitives.indexing import gather_p
from fnad.primitives.lane_reductions import groups_of, psum, together
from fnad.primitives.logic import ge, select
from fnad.primitives.shape import full_like, moveaxis, reshape


def _merged(x: Any, axis: int) -> Any:
    """Two neighbouring axes as one."""
    shape = aval_of(x).shape
    return reshape(x, (*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :]))


def _axis_of(name: str, axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"{name}: axis {axis} is out of range for an array with {rank} axes")
    return axis % rank


def _divided(name: str, x: Any, axis: int, size: int, tiled: bool) -> Any:
    """``x`` with an axis of one part a lane in place of ``axis``; behind it, tiles' own axis."""
    shape = aval_of(x).shape
    if shape[axis] != size if not tiled else shape[axis] % size:
        raise ValueError(
            f"{name}: axis {axis} of an array of shape {shape} must "
            + ("be divisible by" if tiled else "be as long as")
            + f" the named axis, {size} (tiled={tiled})"
        )
    if not tiled:
        return x
    return reshape(x, (*shape[:axis], size, shape[axis] // size, *shape[axis + 1 :]))


def all_gather(
    x: Any,
    axis_name: Any,
    *,
    axis_index_groups: Sequence[Sequence[int]] | None = None,
    axis: int = 0,
    tiled: bool = False,
) -> Any:
    """The values of all lanes of the enclosing ``vmap`` that is named ``axis_name``.

    Parameters
    ----------
    x : pytree of arrays
        One value a lane.
    axis_name : hashable or tuple of hashable
        Names given to enclosing ``vmap(..., axis_name=...)``.
    axis_index_groups : sequence of sequences of int, optional
        The lanes by number, each in one group of one size: they exchange within their group.
    axis : int
        The axis of the result along which the values lie.
    tiled : bool
        Whether they are concatenated along an axis that they have, in place of a new one.

    Returns
    -------
    pytree of arrays
        The same in every lane, or in every lane of a group.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.vmap(lambda x: all_gather(x, "i")[::-1], axis_name="i")(np.array([1, 2]))
    array([[2, 1],
           [2, 1]])
    """
    groups = groups_of("all_gather", axis_index_groups, axis_name)
    if groups is not None:
        groups.equal_size("all_gather")

    def one(leaf: Any) -> Any:
        rank = aval_of(leaf).ndim + (not tiled)
        place = _axis_of("all_gather", axis, rank)
        out = moveaxis(together(leaf, axis_name, groups), 0, place)
        return _merged(out, place) if tiled else out

    return tree.map(one, x)


def ppermute(x: Any, axis_name: Any, perm: Sequence[tuple[int, int]]) -> Any:
    """Send values from lane to lane of the enclosing ``vmap`` that is named ``axis_name``.

    Parameters
    ----------
    x : pytree of arrays
    axis_name : hashable or tuple of hashable
    perm : sequence of (source, destination)
        Lanes by number, each at most once a source and at most once a destination.

    Returns
    -------
    pytree of arrays
        What the lane is sent; zeros where nothing is.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> send = lambda x: ppermute(x, "i", [(0, 1), (1, 2)])
    >>> fnad.vmap(send, axis_name="i")(np.array([5.0, 6.0, 7.0]))
    array([0., 5., 6.])
    """
    size = axis_size(axis_name)
    pairs = [(int(source), int(destination)) for source, destination in perm]
    sources = np.full(size, -1)
    for lanes in zip(*pairs):
        if len(set(lanes)) != len(lanes) or any(not 0 <= lane < size for lane in lanes):
            raise ValueError(
                f"ppermute: sources and destinations must be different lanes of {size}, got {perm}"
            )
    for source, destination in pairs:
        sources[destination] = source
    source = gather_p.bind(sources, axis_index(axis_name), mode="clip")

    def one(leaf: Any) -> Any:
        out = lane_value_p.bind(stacked(leaf, axis_name), source)
        return select(ge(source, np.int64(0)), out, full_like(out, 0))

    return tree.map(one, x)


def pshuffle(x: Any, axis_name: Any, perm: Sequence[int]) -> Any:
    """Lane i gets the value of lane ``perm[i]`` (see `ppermute`).

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.vmap(lambda x: pshuffle(x, "i", [2, 0, 1]), axis_name="i")(np.array([5, 6, 7]))
    array([7, 5, 6])
    """
    if sorted(perm) != list(range(axis_size(axis_name))):
        raise ValueError(
            f"pshuffle: perm must be a permutation of the {axis_size(axis_name)} lanes, got {perm}"
        )
    return ppermute(x, axis_name, list(zip(perm, range(len(perm)))))


def pbroadcast(x: Any, axis_name: Any, source: int) -> Any:
    """Every lane gets the value of lane ``source``.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.vmap(lambda x: pbroadcast(x, "i", 1), axis_name="i")(np.array([5, 6, 7]))
    array([6, 6, 6])
    """
    size = axis_size(axis_name)
    if not 0 <= source < size:
        raise ValueError(f"pbroadcast: source must be one of {size} lanes, got {source}")
    return tree.map(lambda leaf: lane_value_p.bind(stacked(leaf, axis_name), np.int64(source)), x)


def all_to_all(
    x: Any,
    axis_name: Any,
    split_axis: int,
    concat_axis: int,
    *,
    axis_index_groups: Sequence[Sequence[int]] | None = None,
    tiled: bool = False,
) -> Any:
    """Part i of each lane's value goes to lane i, which puts the parts together.

    Parameters
    ----------
    x : pytree of arrays
    axis_name : hashable or tuple of hashable
    split_axis : int
        The axis that is divided into a part a lane. Without ``tiled`` it is as long as there are
        lanes, and it is dropped.
    concat_axis : int
        The axis of the result along which the parts lie: a new one, unless ``tiled``.
    axis_index_groups : sequence of sequences of int, optional
        The lanes by number, each in one group of one size: they exchange within their group.
    tiled : bool
        Whether axes are divided and concatenated, so that none is dropped or made.

    Returns
    -------
    pytree of arrays

    Examples
    --------
    >>> import numpy as np, fnad
    >>> x = np.array([[1, 2], [3, 4]])
    >>> fnad.vmap(lambda row: all_to_all(row, "i", 0, 0), axis_name="i")(x)
    array([[1, 3],
           [2, 4]])
    """
    groups = groups_of("all_to_all", axis_index_groups, axis_name)
    size = axis_size(axis_name) if groups is None else groups.equal_size("all_to_all")
    place = axis_index(axis_name) if groups is None else groups.place_of_lane(axis_name)

    def one(leaf: Any) -> Any:
        rank = aval_of(leaf).ndim
        split = _axis_of("all_to_all", split_axis, rank)
        concat = _axis_of("all_to_all", concat_axis, rank)
        parts = together(_divided("all_to_all", leaf, split, size, tiled), axis_name, groups)
        mine = lane_value_p.bind(moveaxis(parts, split + 1, 0), place)
        out = moveaxis(mine, 0, concat)
        return _merged(out, concat) if tiled else out

    return tree.map(one, x)


def pswapaxes(
    x: Any,
    axis_name: Any,
    axis: int,
    *,
    axis_index_groups: Sequence[Sequence[int]] | None = None,
) -> Any:
    """Exchange the named axis with an axis of the values, which must be as long.

    With ``axis_index_groups``, each group of lanes does so by itself (see `all_to_all`).

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.vmap(lambda row: pswapaxes(row, "i", 0), axis_name="i")(np.eye(2, k=1))
    array([[0., 0.],
           [1., 0.]])
    """
    return all_to_all(x, axis_name, axis, axis, axis_index_groups=axis_index_groups)


def psum_scatter(
    x: Any,
    axis_name: Any,
    *,
    scatter_dimension: int = 0,
    axis_index_groups: Sequence[Sequence[int]] | None = None,
    tiled: bool = False,
) -> Any:
    """Part i of the sum over all lanes, in lane i.

    Parameters
    ----------
    x : pytree of arrays
    axis_name : hashable or tuple of hashable
    scatter_dimension : int
        The axis that is divided into a part a lane. Without ``tiled`` it is as long as there are
        lanes, and it is dropped.
    axis_index_groups : sequence of sequences of int, optional
        The lanes by number, each in one group of one size: they exchange within their group.
    tiled : bool
        Whether the axis stays, with what each lane gets of it.

    Returns
    -------
    pytree of arrays

    Examples
    --------
    >>> import numpy as np, fnad
    >>> x = np.array([[1, 2], [3, 4]])
    >>> fnad.vmap(lambda row: psum_scatter(row, "i"), axis_name="i")(x)
    array([4, 6])
    """
    groups = groups_of("psum_scatter", axis_index_groups, axis_name)
    size = axis_size(axis_name) if groups is None else groups.equal_size("psum_scatter")
    place = axis_index(axis_name) if groups is None else groups.place_of_lane(axis_name)

    def one(leaf: Any) -> Any:
        axis = _axis_of("psum_scatter", scatter_dimension, aval_of(leaf).ndim)
        parts = moveaxis(_divided("psum_scatter", leaf, axis, size, tiled), axis, 0)
        total = psum(parts, axis_name, axis_index_groups=axis_index_groups)
        return lane_value_p.bind(total, place)

    return tree.map(one, x)
