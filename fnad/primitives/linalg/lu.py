"""The LU factorisation with exchanges of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.primitive import Primitive, Zero, instantiate
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.linalg.matrices import (
    are_many,
    check_matrices,
    each,
    identity_like,
    is_empty,
    lower_part,
    matmul,
    routine,
    swapped,
    upper_part,
    with_unit_pivot,
    zeros,
)
from fnad.primitives.linalg.permutations import permute_rows
from fnad.primitives.linalg.routines import (
    Given,
    Made,
    call_complex,
    from_columns,
    in_columns,
    routine_p,
)
from fnad.primitives.linalg.triangular import triangular_solve
from fnad.primitives.logic import convert_element_type, ge, select
from fnad.primitives.shape import broadcasted_iota, full, full_like, reshape
from fnad.primitives.sizes import index_of
from fnad.primitives.slicing import pad, slice_in_dim

_INT32 = np.dtype(np.int32)

lu_p = Primitive(
    "lu",
    "``A[permutation] = L U`` for each matrix ``(..., m, n)``: L, whose diagonal of ones is not"
    " stored, below the diagonal of the first result and U in the rest of it; the pivots, row"
    " ``pivots[i]`` having been exchanged with row i, in order; and the permutation that they make."
    " Both are int32. A singular matrix has a zero on the diagonal of U. Floats and complex numbers"
    " of single and double precision.",
    multiple_results=True,
)


@lu_p.type_rule
def _(a):
    check_matrices("lu", a)
    *batch, m, n = a.shape
    pivots = ShapedArray((*batch, min(m, n)), _INT32)
    return [a.strong(), pivots, ShapedArray((*batch, m), _INT32)]


@lu_p.evaluate
def _(a):
    from scipy.linalg import lapack

    *batch, m, n = a.shape
    if is_empty(*a.shape):
        rows = np.broadcast_to(np.arange(m, dtype=np.int32), (*batch, m))
        return [np.zeros(a.shape, a.dtype), np.zeros((*batch, min(m, n)), np.int32), rows.copy()]
    if are_many(a):
        return _factored_together(a)
    getrf = getattr(lapack, routine("getrf", a.dtype))
    rows = np.arange(m, dtype=np.float64)[:, None]

    def factor(matrix: np.ndarray) -> list[Any]:
        factors, pivots, _ = getrf(matrix)
        return [factors, pivots, lapack.dlaswp(rows, pivots)[:, 0].astype(np.int32)]

    return each(factor, a)


def _factored_together(a: np.ndarray[Any, Any]) -> list[Any]:
    """The same of all matrices at once: Golub and Van Loan, "Matrix Computations", 3.4.1."""
    *batch, m, n = a.shape
    x = a.reshape(-1, m, n).copy()
    stack = np.arange(len(x))
    rows = np.tile(np.arange(m, dtype=np.int32), (len(x), 1))
    pivots = np.empty((len(x), min(m, n)), np.int32)
    for k in range(min(m, n)):
        column = x[:, k:, k]
        at = k + (np.abs(column.real) + np.abs(column.imag)).argmax(-1)  # as LAPACK has it
        pivots[:, k] = at
        for exchanged in (x, rows):
            exchanged[stack, k], exchanged[stack, at] = exchanged[stack, at], exchanged[stack, k]
        lower, pivot = x[:, k + 1 :, k], x[:, k, k, None]
        np.divide(lower, pivot, out=lower, where=pivot != 0)
        x[:, k + 1 :, k + 1 :] -= lower[..., None] * x[:, k, None, k + 1 :]
    return [x.reshape(a.shape), pivots.reshape(*batch, -1), rows.reshape(*batch, m)]


@lu_p.jvp
def _(primals, tangents):
    # L⁻¹ P A' U⁻¹ = L⁻¹ L' + U' U⁻¹, whose terms are strictly lower and upper triangular: Seeger
    # et al. (2017), arXiv:1710.08717. L and U are completed to squares by the identity. The upper
    # one times U is what the lower one leaves of L⁻¹ P A'. So the last pivot, which may be zero in
    # singular matrices, is not divided by, unless there are rows below it.
    factors, pivots, permutation = lu_p.bind(*primals)
    rest = [Zero(aval_of(x)) for x in (pivots, permutation)]
    if isinstance(tangents[0], Zero):
        return [factors, pivots, permutation], [Zero(aval_of(factors)), *rest]
    m, n = aval_of(factors).shape[-2:]
    k = min(m, n)
    left = _extended(slice_in_dim(lower_part(factors, -1), 0, k, 1, -1), m - k, axis=-1)
    right = _extended(slice_in_dim(upper_part(factors), 0, k, 1, -2), n - k, axis=-2)
    right = right + _ones_behind(right, k)
    t = permute_rows(instantiate(tangents[0]), permutation)
    inner = triangular_solve(left, t, left_side=True, lower=True, unit_diagonal=True)
    divisors = right if m > n else with_unit_pivot(right, k - 1)
    lower = lower_part(triangular_solve(divisors, inner), -1)
    upper = upper_part(inner - matmul(lower, right))
    return [factors, pivots, permutation], [lower + matmul(left, lower) + upper, *rest]


def _extended(x: Any, extra: int, axis: int) -> Any:
    """Rows or columns of zeros behind the others."""
    config = [(0, 0, 0)] * aval_of(x).ndim
    config[axis] = (0, extra, 0)
    return pad(x, aval_of(x).dtype.type(0), config)


def _ones_behind(x: Any, k: int) -> Any:
    """The identity of the shape of ``x`` without its first ``k`` rows."""
    rows = broadcasted_iota(np.int64, aval_of(x).shape, aval_of(x).ndim - 2)
    return select(ge(rows, index_of(k)), identity_like(x), full_like(x, 0))


@lu_p.batch
def _(args, batched, axis):
    return lu_p.bind(*args), [True, True, True]


@lu_p.lower
def _(p, a):
    b = p.b
    *batch, m, n = a.shape
    k = min(m, n)
    if is_empty(*a.shape):
        rows = p.compute((*batch, m), _INT32, lambda index: b.convert(index[-1], _INT32))
        return [zeros(p, a.shape, a.dtype), zeros(p, (*batch, k), _INT32), rows]
    pivots, in_rows = p.stored((*batch, k), _INT32), p.in_blocks(a.shape, a.dtype)
    factors = p.copied(a if in_rows else swapped(p, a))
    if in_rows:
        p.call(routine("lu", a.dtype), (m, n), (), (factors, pivots), m * n * k)
    else:
        info = p.stored(batch, _INT32)
        arguments = (m, n, factors, m, pivots, info)
        p.call(routine("getrf", a.dtype), arguments, (), (factors, pivots, info), m * n * k)
    # The exchanges of rows, done to the rows' numbers: exact in double precision.
    column = (*batch, m, 1)
    rows = p.copied(p.compute(column, np.float64, lambda i: b.convert(i[-2], np.float64)))
    p.call("dlaswp", (1, rows, m, 1, k, pivots, 1), (pivots,), (rows,), k)
    one, order = b.constant(1, _INT32), p.reshape(rows, (*batch, m))
    return [
        factors if in_rows else swapped(p, factors),
        p.compute(pivots.shape, _INT32, lambda index: b.subtract(pivots.at(index), one)),
        p.compute((*batch, m), _INT32, lambda index: b.convert(order.at(index), _INT32)),
    ]


@lu_p.parts
def _(a):
    *batch, m, n = shape = aval_of(a.re).shape
    k = min(m, n)
    stack, rows = tuple(batch), broadcasted_iota(np.float64, (*batch, m, 1), len(batch))
    if is_empty(*shape):
        order = reshape(convert_element_type(rows, _INT32), (*batch, m))
        return [a, full((*batch, k), 0, _INT32), order]
    factors, pivots, _ = call_complex(
        "getrf",
        (in_columns(a),),
        (m, n, Made(0), m, Made(1), Made(2)),
        [0, ((*stack, k), _INT32), (stack, _INT32)],
        m * n * k,
    )
    # The exchanges of rows, done to the rows' numbers: exact in double precision.
    (order,) = routine_p.bind(
        rows,
        pivots,
        name="dlaswp",
        arguments=(1, Made(0), m, 1, k, Given(1), 1),
        results=(0,),
        operations=k,
    )
    order = reshape(convert_element_type(order, _INT32), (*batch, m))
    return [from_columns(factors), pivots - _INT32.type(1), order]


def lu(x: Any) -> tuple[Any, Any, Any]:
    """The LU factorisation with exchanges of rows, ``x[permutation] = L U``.

    Parameters
    ----------
    x : array
        ``(..., m, n)``, floats or complex numbers of single or double precision.

    Returns
    -------
    factors : array
        As ``x``: L below the diagonal (its own diagonal is ones), U in the rest.
    pivots : array of int32
        ``(..., min(m, n))``: row ``pivots[i]`` was exchanged with row i, in order.
    permutation : array of int32
        ``(..., m)``.

    Examples
    --------
    >>> factors, pivots, permutation = lu(np.array([[1.0, 5.0], [2.0, 4.0]]))
    >>> factors
    array([[2. , 4. ],
           [0.5, 3. ]])
    >>> pivots, permutation
    (array([1, 1], dtype=int32), array([1, 0], dtype=int32))
    """
    factors, pivots, permutation = lu_p.bind(x)
    return factors, pivots, permutation


def lu_solve(factors: Any, permutation: Any, b: Any) -> Any:
    """Solve ``A x = b`` by the factors and the permutation of `lu`.

    ``A`` is ``(..., n, n)``, ``b`` is ``(..., n, m)`` with equal leading axes.
    """
    x = permute_rows(b, permutation)
    x = triangular_solve(factors, x, left_side=True, lower=True, unit_diagonal=True)
    return triangular_solve(factors, x, left_side=True)
