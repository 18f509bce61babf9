"""Products of the groups of rows of a matrix with a matrix for each group."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.types import aval_of, kind_of
from fnad.primitives.contraction import dot_general
from fnad.primitives.cumulative import cumsum
from fnad.primitives.indexing import gather_p
from fnad.primitives.logic import bitwise_and, convert_element_type, ge, lt, select
from fnad.primitives.precision import check_precision
from fnad.primitives.shape import broadcast_in_dim, broadcasted_iota, full_like
from fnad.primitives.slicing import index_in_dim

_INT64 = np.dtype(np.int64)


def ragged_dot(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
) -> Any:
    """Multiply each group of rows of a matrix by the group's own matrix.

    Parameters
    ----------
    lhs : array of shape (m, k)
        The first ``group_sizes[0]`` rows are the first group, and so on.
    rhs : array of shape (g, k, n)
        A matrix for each group, or for those from ``group_offset`` on.
    group_sizes : integer array of shape (g,)
        How many rows each group has; with ``group_offset`` there may be more groups than ``rhs``
        has matrices.
    precision : Precision, optional
        Products are computed in full, whichever is named.
    preferred_element_type : dtype, optional
        Of the result and of the sums.
    group_offset : integer array of shape (1,), optional
        The group that the first matrix of ``rhs`` is for.

    Returns
    -------
    array of shape (m, n)
        Rows in no group, or in one without a matrix, are 0. The work is that of g products of all
        of ``lhs``.

    Raises
    ------
    TypeError
        If shapes or dtypes do not fit.

    Examples
    --------
    >>> rhs = np.array([[[1.0]], [[10.0]]])
    >>> ragged_dot(np.array([[1.0], [2.0], [3.0]]), rhs, np.array([1, 2])).ravel()
    array([ 1., 20., 30.])
    """
    check_precision("ragged_dot", precision)
    a, b, sizes = aval_of(lhs), aval_of(rhs), aval_of(group_sizes)
    groups = b.shape[0] if b.ndim == 3 else -1
    fits = a.ndim == 2 and b.ndim == 3 and sizes.ndim == 1 and a.shape[1] == b.shape[1]
    enough = sizes.shape == (groups,) if group_offset is None else sizes.ndim == 1
    if not (fits and enough) or kind_of(sizes.dtype) not in "iu":
        raise TypeError(
            "ragged_dot: takes arrays of shapes (m, k), (g, k, n) and integers of shape (g,), got"
            f" {a}, {b} and {sizes}"
        )
    # Where each group with a matrix begins and ends.
    ends = cumsum(convert_element_type(group_sizes, _INT64), 0)
    begins = ends - convert_element_type(group_sizes, _INT64)
    if group_offset is not None:
        offset = convert_element_type(group_offset, _INT64)
        if aval_of(offset).shape != (1,):
            raise TypeError(
                f"ragged_dot: group_offset must have shape (1,), got {aval_of(group_offset)}"
            )
        first = broadcast_in_dim(index_in_dim(offset, 0, keepdims=False), (groups,), ())
        chosen = first + broadcasted_iota(_INT64, (groups,), 0)
        ends, begins = (gather_p.bind(x, chosen, mode="clip") for x in (ends, begins))
    shape = (groups, *a.shape)
    rows = broadcasted_iota(_INT64, shape, 1)
    begins, ends = (broadcast_in_dim(x, shape, (0,)) for x in (begins, ends))
    of_group = bitwise_and(ge(rows, begins), lt(rows, ends))
    spread = broadcast_in_dim(lhs, shape, (1, 2))
    spread = select(of_group, spread, full_like(spread, 0))
    numbers: Any = (([0, 2], [0, 1]), ([], []))
    return dot_general(spread, rhs, numbers, preferred_element_type=preferred_element_type)
