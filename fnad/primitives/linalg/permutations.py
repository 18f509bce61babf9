"""Rows of matrices in another order."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.primitive import Primitive, remember
from fnad.core.types import ShapedArray, aval_of, kind_of
from fnad.primitives.dependencies import moves
from fnad.primitives.indexing import scatter_p, take_along_axis
from fnad.primitives.logic import convert_element_type
from fnad.primitives.shape import (
    broadcast_in_dim,
    broadcasted_iota,
    full_like,
    leading_axis_full,
)
from fnad.primitives.strong_moves import all_but, moves_elements

permute_rows_p = Primitive(
    "permute_rows",
    "``x[permutation]`` for each matrix ``(..., m, n)`` and permutation ``(..., m)`` of 0 to m - 1;"
    " with ``inverse`` the matrix of which ``x`` is that. Any dtype.",
)


@permute_rows_p.type_rule
@remember
def _(x: ShapedArray, permutation: ShapedArray, *, inverse: bool) -> ShapedArray:
    if x.ndim < 2 or permutation.shape != x.shape[:-1] or kind_of(permutation.dtype) not in "iu":
        raise TypeError(
            "permute_rows: needs matrices (..., m, n) and permutations (..., m) of integers, got"
            f" {x} and {permutation}"
        )
    return x.strong()


@permute_rows_p.evaluate
def _(x: Any, permutation: Any, *, inverse: bool) -> Any:
    rows = np.argsort(permutation, -1) if inverse else np.asarray(permutation)
    return np.take_along_axis(np.asarray(x), rows[..., None], -2)


permute_rows_p.linear(0)
permute_rows_p.acts_on_parts()
moves(permute_rows_p)
# Columns stay what they are, and so do matrices.
moves_elements(
    permute_rows_p,
    0,
    kept=lambda x, permutation, inverse: [all_but(x.aval.ndim, (x.aval.ndim - 2,))],
)


@permute_rows_p.transpose
def _(ct: Any, x: Any, permutation: Any, *, inverse: bool) -> list[Any]:
    return [permute_rows_p.bind(ct, permutation, inverse=not inverse), None]


@permute_rows_p.batch
def _(args: Any, batched: Any, axis: Any, *, inverse: bool) -> tuple[Any, bool]:
    x, permutation = (leading_axis_full(a, b, axis.size) for a, b in zip(args, batched))
    return permute_rows_p.bind(x, permutation, inverse=inverse), True


@permute_rows_p.lower_as
def _(x: Any, permutation: Any, *, inverse: bool) -> Any:
    shape = aval_of(x).shape
    axis = len(shape) - 2
    rows = convert_element_type(permutation, np.int64)
    rows = broadcast_in_dim(rows, shape, tuple(range(axis + 1)))
    if not inverse:
        return take_along_axis(x, rows, axis)
    grid = [rows if d == axis else broadcasted_iota(np.int64, shape, d) for d in range(len(shape))]
    zeros = full_like(x, 0)
    return scatter_p.bind(zeros, x, *grid, kind="set", mode="promise_in_bounds")


def permute_rows(x: Any, permutation: Any) -> Any:
    """``x[permutation]`` for each matrix ``(..., m, n)`` and permutation ``(..., m)``.

    Examples
    --------
    >>> permute_rows(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 0]))
    array([[3., 4.],
           [1., 2.]])
    """
    return permute_rows_p.bind(x, permutation, inverse=False)
