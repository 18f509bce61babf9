"""Colourings of sparse matrices: how few products with vectors tell all their entries.

Columns of one colour share no row, so that the sum of them holds each of their entries by itself
(A. R. Curtis, M. J. D. Powell, J. K. Reid, On the estimation of sparse Jacobian matrices, 1974).
Of a symmetric matrix half the entries are enough, and fewer colours do: those of a star colouring
(T. F. Coleman, J. J. Moré, Estimation of sparse Hessian matrices and graph coloring problems,
1984). Both are found greedily, in several orders of the columns (A. H. Gebremedhin, F. Manne,
A. Pothen, What color is your Jacobian?, SIAM Review 47, 2005). Stencils on grids are coloured
periodically, which takes the fewest colours possible (D. Goldfarb, Ph. L. Toint, Optimal
estimation of Jacobian and Hessian matrices that arise in finite difference calculations,
Mathematics of Computation 43, 1984).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

Colors = np.ndarray[Any, np.dtype[np.int64]]

# Pairs of columns that meet in a row, up to which the order that looks at all of them is tried.
_MOST_PAIRS = 3_000_000
# What is taken for a stencil on a grid, and at how many entries colourings of it are checked.
_LONGEST_STENCIL = 30
_MOST_SHAPES = 16
_MOST_CHECKED = 20_000_000


def _as_colors(values: Sequence[int]) -> Colors:
    return np.asarray(values, np.int64).reshape(-1)


def num_colors(colors: Colors) -> int:
    """How many colours there are: they are numbered from 0."""
    return int(colors.max()) + 1 if colors.size else 0


def color_columns(pattern: Any) -> Colors:
    """Colour the columns of a sparse matrix so that those of one colour share no row.

    Parameters
    ----------
    pattern : scipy.sparse.csr_array
        Of shape (rows, columns); its values are not looked at.

    Returns
    -------
    ndarray of int64, (columns,)

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> band = sp.diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(7, 7)).tocsr()
    >>> color_columns(band)
    array([0, 1, 2, 0, 1, 2, 0])
    """
    if not pattern.shape[1]:
        return _as_colors([])
    lengths = np.diff(pattern.indptr)
    fewest = int(lengths.max(initial=1))
    columns = pattern.tocsc()
    entries, ends = columns.indices.tolist(), columns.indptr.tolist()
    best = _greedy(entries, ends, range(pattern.shape[1]), pattern.shape[0])
    if num_colors(best) > fewest:  # a row of so many entries allows no fewer
        periodic = _color_periodically(pattern, fewest, num_colors(best))
        best = best if periodic is None else periodic
    for order in _orders(pattern, columns, lengths):
        if num_colors(best) <= fewest:
            break
        best = min(best, _greedy(entries, ends, order, pattern.shape[0]), key=num_colors)
    return best


def _orders(pattern: Any, columns: Any, lengths: Any) -> Iterator[Sequence[int]]:
    """More orders worth trying: those that meet most others first, smallest last."""
    ends = np.concatenate([[0], np.cumsum(lengths[columns.indices] - 1)])
    yield np.argsort(-np.diff(ends[columns.indptr]), kind="stable").tolist()
    if int((lengths.astype(np.int64) ** 2).sum()) <= _MOST_PAIRS:
        yield _smallest_last(pattern, columns)


def _greedy(entries: list[int], ends: list[int], order: Sequence[int], num_rows: int) -> Colors:
    """Give each column the first colour that no row of its has; rows hold theirs as bits."""
    taken = [0] * num_rows
    colors = [0] * (len(ends) - 1)
    for column in order:
        rows = entries[ends[column] : ends[column + 1]]
        mask = 0
        for row in rows:
            mask |= taken[row]
        bit = ~mask & (mask + 1)
        colors[column] = bit.bit_length() - 1
        for row in rows:
            taken[row] |= bit
    return _as_colors(colors)


def _color_periodically(pattern: Any, fewest: int, below: int) -> Colors | None:
    """Colours ``(x + a y + b z) mod k`` of the places x, y, z of columns on a grid, or None.

    Lengths of the grid's axes are guessed from the distances between the entries of its longest
    rows; whether the colouring is one is checked on all of them. k is at least ``fewest``, and
    less than ``below``.
    """
    distances = _distances(pattern)
    if distances is None:
        return None
    apart = set(distances.tolist())
    # A stencil mostly reaches to both sides: then twice an axis's stride is a distance, too.
    strides = sorted(apart - {1}, key=lambda s: (2 * s not in apart, s))
    pairs = ((s, t) for s in strides for t in strides if t > s and t % s == 0)
    grids: list[tuple[int, ...]] = [(), *((s,) for s in strides), *pairs]
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    checked = 0
    for k in range(fewest, below):
        for grid in grids:
            places = _places(distances, grid, centered=True)
            for factors in product(range(1, k), repeat=len(grid)):
                if not (_mixed(places, factors) % k).all():
                    continue
                of_column = _places(np.arange(pattern.shape[1]), grid, centered=False)
                colors = _mixed(of_column, factors) % k
                met = rows * k + colors[pattern.indices]
                if np.bincount(met).max() <= 1:
                    return colors
                checked += pattern.nnz
                if checked > _MOST_CHECKED:
                    return None
    return None


def _distances(pattern: Any) -> np.ndarray[Any, Any] | None:
    """How far apart entries stand in the longest rows; None if these are few, or unlike."""
    lengths = np.diff(pattern.indptr)
    longest = int(lengths.max())
    starts = pattern.indptr[:-1][lengths == longest]
    if longest > _LONGEST_STENCIL or 4 * len(starts) < len(lengths):
        return None
    entries = np.sort(pattern.indices[starts[:, None] + np.arange(longest)], 1).astype(np.int64)
    shapes = np.unique(entries - entries[:, :1], axis=0)
    if len(shapes) > _MOST_SHAPES:
        return None
    distances = np.unique(shapes[:, :, None] - shapes[:, None, :])
    return distances[distances > 0]


def _places(
    numbers: np.ndarray[Any, Any], grid: tuple[int, ...], centered: bool
) -> list[np.ndarray[Any, Any]]:
    """The coordinates of numbers on a grid of these strides; of distances, around 0."""
    places, rest = [], numbers
    for above in reversed(grid):
        shift = above // 2 if centered else 0
        places.append((rest + shift) // above)
        rest = (rest + shift) % above - shift
    return [rest, *places[::-1]]


def _mixed(places: Sequence[Any], factors: Sequence[int]) -> Any:
    return places[0] + sum(f * p for f, p in zip(factors, places[1:], strict=True))


def _smallest_last(pattern: Any, columns: Any) -> list[int]:
    """The order from whose end columns are taken that meet fewest of those that remain.

    D. W. Matula, G. Marble, J. D. Isaacson, Graph coloring algorithms, 1972, on the graph of
    columns that share a row.
    """
    ones = np.ones(pattern.nnz, np.int32)
    graph = type(pattern)((ones, pattern.indices, pattern.indptr), pattern.shape)
    graph = (graph.T @ graph).tocsr()
    near, ends = graph.indices.tolist(), graph.indptr.tolist()
    degrees = np.diff(graph.indptr).tolist()
    buckets: list[list[int]] = [[] for _ in range(max(degrees, default=0) + 1)]
    for column, degree in enumerate(degrees):
        buckets[degree].append(column)
    order: list[int] = []
    removed = [False] * len(degrees)
    lowest = 0
    while len(order) < len(degrees):
        while not buckets[lowest]:
            lowest += 1
        column = buckets[lowest].pop()
        if removed[column] or degrees[column] != lowest:
            continue
        removed[column] = True
        order.append(column)
        for other in near[ends[column] : ends[column + 1]]:
            if not removed[other]:
                degrees[other] -= 1
                buckets[degrees[other]].append(other)
        lowest = max(lowest - 1, 0)
    return order[::-1]


def color_symmetric(pattern: Any) -> Colors:
    """Colour a symmetric sparse matrix so that one of each two mirrored entries stands alone.

    No path of four columns has two colours: a star colouring (Coleman and Moré 1984).

    Parameters
    ----------
    pattern : scipy.sparse.csr_array
        Of shape (n, n), symmetric; its values are not looked at.

    Returns
    -------
    ndarray of int64, (n,)

    Examples
    --------
    An arrow takes two colours, whatever its size; unsymmetric columns would take n.

    >>> import numpy as np, scipy.sparse as sp
    >>> arrow = np.eye(5)
    >>> arrow[0] = arrow[:, 0] = 1.0
    >>> color_symmetric(sp.csr_array(arrow))
    array([0, 1, 1, 1, 1])
    """
    near, ends = pattern.indices.tolist(), pattern.indptr.tolist()
    size = pattern.shape[0]
    # The columns with most neighbours first; among equals, in their order.
    natural = _star(near, ends, range(size))
    if num_colors(natural) <= 2:
        return natural
    degrees = np.diff(pattern.indptr)
    largest = _star(near, ends, np.argsort(-degrees, kind="stable").tolist())
    # Columns of one colour that share no row make a star colouring, too: the best on grids.
    return min(natural, largest, color_columns(pattern), key=num_colors)


def _star(near: list[int], ends: list[int], order: Sequence[int]) -> Colors:
    """Colour greedily; a bit stands for a colour, 0 for none yet.

    ``once`` and ``twice`` hold the colours that at least one and two neighbours of a column have.
    A column takes no colour of its neighbours; none of a neighbour's neighbours if the one between
    has no colour yet; and none that would close a path of two colours, the third of whose columns
    has another neighbour like the second.
    """
    size = len(ends) - 1
    bits, once, twice = [0] * size, [0] * size, [0] * size
    for column in order:
        neighbors = near[ends[column] : ends[column + 1]]
        mask = once[column]
        for between in neighbors:
            bit = bits[between]
            if between == column:
                continue
            if not bit:
                mask |= once[between]
                continue
            for third in near[ends[between] : ends[between + 1]]:
                if twice[third] & bit:
                    mask |= bits[third]
        bit = ~mask & (mask + 1)
        bits[column] = bit
        for other in neighbors:
            if other != column:
                twice[other] |= once[other] & bit
                once[other] |= bit
    return _as_colors([bit.bit_length() - 1 for bit in bits])
