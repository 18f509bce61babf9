"""Colourings of sparse matrices: how few products with vectors tell all their entries.

Columns of one colour share no row, so that the sum of them holds each of their entries by itself
(A. R. Curtis, M. J. D. Powell, J. K. Reid, On the estimation of sparse Jacobian matrices, 1974).
Of a symmetric matrix half the entries are enough, and fewer colours do: those of a star colouring
(T. F. Coleman, J. J. Moré, Estimation of sparse Hessian matrices and graph coloring problems,
1984). Both are found greedily, in several orders of the columns (A. H. Gebremedhin, F. Manne,
A. Pothen, What color is your Jacobian?, SIAM Review 47, 2005).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Colors = np.ndarray[Any, np.dtype[np.int64]]

# Pairs of columns that meet in a row, up to which the order that looks at all of them is tried.
_MOST_PAIRS = 3_000_000


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
    best: Colors | None = None
    for order in _orders(pattern, columns, lengths):
        colors = _greedy(entries, ends, order, pattern.shape[0])
        if best is None or num_colors(colors) < num_colors(best):
            best = colors
        if num_colors(best) <= fewest:  # a row of so many entries allows no fewer
            break
    assert best is not None
    return best


def _orders(pattern: Any, columns: Any, lengths: Any) -> Iterator[Sequence[int]]:
    """Orders worth trying: as they come, those that meet most others first, smallest last."""
    yield range(pattern.shape[1])
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
    return min(natural, largest, key=num_colors)


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
