"""Linear equations with triangular matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.primitive import Linear, Parts, Primitive, Zero
from fnad.core.types import aval_of
from fnad.primitives.complex_parts import interleaved
from fnad.primitives.cumulative import cumsum
from fnad.primitives.dependencies import mixed, union
from fnad.primitives.linalg.matrices import (
    are_many,
    check_matrices,
    conjugate,
    each,
    identity_like,
    is_empty,
    lower_part,
    matmul,
    matrix_transpose,
    routine,
    upper_part,
    zeros,
)
from fnad.primitives.linalg.routines import Given, Made, call_complex, from_memory, memory
from fnad.primitives.logic import bitwise_and, convert_element_type, gt, select
from fnad.primitives.shape import (
    broadcast_in_dim,
    expand_dims,
    full,
    leading_axis_full,
    squeeze,
)
from fnad.primitives.strong_lanes import Live, any_of, joined, mask_along, taken_lanes
from fnad.primitives.strong_zeros import StrongZeros, settled, summed_lanes

triangular_solve_p = Primitive(
    "triangular_solve",
    "The X with ``op(A) X = B``, or ``X op(A) = B`` unless ``left_side``, for triangular matrices A"
    " ``(..., n, n)`` and matrices B with equal leading axes. op transposes if ``transpose_a``. Of"
    " A only the lower (upper) triangle is read, and with ``unit_diagonal`` no diagonal either."
    " Division by zeros on the diagonal gives infinities and NaN. Floats and complex numbers of"
    " single and double precision; op does not conjugate.",
)


@triangular_solve_p.type_rule
def _(a, b, *, left_side, lower, transpose_a, unit_diagonal):
    check_matrices("triangular_solve", a, square=True)
    check_matrices("triangular_solve", b)
    shared = b.shape[-2] if left_side else b.shape[-1]
    if a.dtype != b.dtype or a.shape[:-2] != b.shape[:-2] or a.shape[-1] != shared:
        raise TypeError(
            f"triangular_solve: {a} and {b} do not go together: they need one dtype, equal leading"
            f" axes, and as many {'rows' if left_side else 'columns'} of b as a has"
        )
    return b.strong()


@triangular_solve_p.evaluate
def _(a, b, *, left_side, lower, transpose_a, unit_diagonal):
    from scipy.linalg import blas

    if is_empty(*b.shape):
        return np.zeros(b.shape, b.dtype)
    if are_many(a):
        # X op(A) = B is op(A)ᵀ Xᵀ = Bᵀ.
        upright = left_side != transpose_a
        x = _solved_together(
            a if upright else a.swapaxes(-1, -2),
            b if left_side else b.swapaxes(-1, -2),
            lower == upright,
            unit_diagonal,
        )
        return x if left_side else np.ascontiguousarray(x.swapaxes(-1, -2))
    trsm = getattr(blas, routine("trsm", b.dtype))

    def solve(matrix: np.ndarray, right: np.ndarray) -> list[Any]:
        # For the transposes, which are column-major where these are row-major: sides change.
        options = (int(left_side), int(not lower), int(transpose_a), int(unit_diagonal))
        return [trsm(1.0, matrix.T, right.T, *options).T]

    return each(solve, a, b)[0]


def _solved_together(
    a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], lower: bool, unit_diagonal: bool
) -> np.ndarray[Any, Any]:
    """``A X = B`` for all matrices at once, an unknown at a time."""
    x, n = b.copy(), a.shape[-1]
    for i in range(n) if lower else reversed(range(n)):
        known = slice(0, i) if lower else slice(i + 1, n)
        x[..., i, None, :] -= a[..., i, None, known] @ x[..., known, :]
        if not unit_diagonal:
            x[..., i, :] /= a[..., i, i, None]
    return x


@triangular_solve_p.dependencies
def _(a, b, *, left_side, **params):
    along = b.aval.ndim - (2 if left_side else 1)
    whole = (b.aval.ndim - 2, b.aval.ndim - 1)
    return union([mixed(b, b.aval.shape, (along,)), mixed(a, b.aval.shape, whole)])


@triangular_solve_p.jvp
def _(primals, tangents, **params):
    # op(A) X' = B' - op(A') X: Giles (2008), 2.2.2; A' counts where A is read.
    (a, b), (ta, tb) = primals, tangents
    x = triangular_solve_p.bind(a, b, **params)
    change = None if isinstance(tb, Zero) else tb
    if not isinstance(ta, Zero):
        part = lower_part if params["lower"] else upper_part
        offset = 0 if not params["unit_diagonal"] else -1 if params["lower"] else 1
        ta = part(ta, offset)
        ta = matrix_transpose(ta) if params["transpose_a"] else ta
        product = matmul(ta, x) if params["left_side"] else matmul(x, ta)
        change = -product if change is None else change - product
    if change is None:
        return x, Zero(aval_of(x).strong())
    return x, triangular_solve_p.bind(a, change, **params)


@triangular_solve_p.transpose
def _(ct, a, b, *, transpose_a, **params):
    assert isinstance(b, Linear)
    return [None, triangular_solve_p.bind(a, ct, transpose_a=not transpose_a, **params)]


@triangular_solve_p.strong_transpose
def _(ct, a, b, **params):
    transpose = triangular_solve_p.rule("transpose")
    if type(ct) is not StrongZeros:
        return transpose(ct, a, b, **params)
    ndim, shape = b.aval.ndim, b.aval.shape
    along = ndim - (2 if params["left_side"] else 1)
    # A singular matrix makes NaN of zeros, also in systems that were left out.
    apart = [None if i == along else i for i in range(ndim)]
    if along not in ct.live.along_axes(ndim):
        return [None, summed_lanes(ct, transpose(settled(ct), a, b, **params)[1], apart)]
    rows, axes = _met(ct.live, along, shape, params), (*range(ndim - 2), along)
    found = transpose(settled(ct), _without(a, rows), b, **params)[1]
    live = Live.along(lambda: (rows, True, axes), axes, shape)
    if type(of_systems := summed_lanes(ct, found, apart)) is StrongZeros:
        live = joined(bitwise_and, live, of_systems.live, shape)
    return [None, StrongZeros(found, live, live.choose)]


def _met(live: Live, along: int, shape: tuple[int, ...], params: dict[str, Any]) -> Any:
    """Which unknowns of each matrix are behind a live one, or are one themselves."""
    mask, axes = taken_lanes(live, shape)
    across = tuple(place for place, i in enumerate(axes) if i >= len(shape) - 2 and i != along)
    mask = any_of(mask, across) if across else mask
    kept = tuple(i for i in axes if i < len(shape) - 2 or i == along)
    wanted = (*range(len(shape) - 2), along)
    rows = convert_element_type(mask_along(mask, kept, wanted, shape), np.int32)
    is_lower = params["lower"] ^ params["transpose_a"] ^ (not params["left_side"])
    return gt(cumsum(rows, len(wanted) - 1, reverse=bool(is_lower)), 0)


def _without(a: Any, rows: Any) -> Any:
    """Matrices in which unknowns but for ``rows`` have the identity's rows and columns."""
    shape = aval_of(a).shape
    *batch, i, j = range(len(shape))
    both = [broadcast_in_dim(rows, shape, (*batch, k)) for k in (i, j)]
    return select(bitwise_and(*both), a, identity_like(a))


@triangular_solve_p.batch
def _(args, batched, axis, **params):
    a, b = (leading_axis_full(x, full, axis.size) for x, full in zip(args, batched))
    return triangular_solve_p.bind(a, b, **params), True


def _letters(
    left_side: bool, lower: bool, transpose_a: bool, unit_diagonal: bool
) -> tuple[str, ...]:
    # For the transposes, which are column-major where these are row-major: sides change.
    return (
        "R" if left_side else "L",
        "U" if lower else "L",
        "T" if transpose_a else "N",
        "U" if unit_diagonal else "N",
    )


@triangular_solve_p.lower
def _(p, a, b, **options):
    if is_empty(*b.shape):
        return zeros(p, b.shape, b.dtype)
    rows, columns = b.shape[-2:]
    n = a.shape[-1]
    x = p.copied(b)
    arguments = (*_letters(**options), columns, rows, 1.0, a, n, x, columns)
    p.call(routine("trsm", b.dtype), arguments, (a,), (x,), rows * columns * n)
    return x


@triangular_solve_p.parts
def _(a, b, **options):
    shape, n = aval_of(b.re).shape, aval_of(a.re).shape[-1]
    if is_empty(*shape):
        return b
    *batch, rows, columns = shape
    one = interleaved(Parts(*(full((*batch, 1), k, aval_of(b.re).dtype) for k in (1, 0))))
    arguments = (*_letters(**options), columns, rows, Given(2), Given(1), n, Made(0), columns)
    operands = (memory(b), memory(a), one)
    return from_memory(call_complex("trsm", operands, arguments, [0], rows * columns * n)[0])


def triangular_solve(
    a: Any,
    b: Any,
    *,
    left_side: bool = False,
    lower: bool = False,
    transpose_a: bool = False,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Any:
    """Solve ``op(a) x = b`` or ``x op(a) = b`` for triangular matrices ``a``.

    Parameters
    ----------
    a : array
        ``(..., n, n)``, floats or complex numbers of single or double precision.
    b : array
        ``(..., n, m)`` if ``left_side``, else ``(..., m, n)``; or without the axis of length m.
    left_side : bool
        Whether ``a`` stands to the left of ``x``.
    lower : bool
        Which triangle of ``a`` is read; the other one counts as zero.
    transpose_a, conjugate_a : bool
        What op does.
    unit_diagonal : bool
        Whether the diagonal counts as ones.

    Returns
    -------
    array
        As ``b``.

    Examples
    --------
    >>> a = np.array([[2.0, 0.0], [1.0, 4.0]])
    >>> triangular_solve(a, np.array([[2.0], [9.0]]), left_side=True, lower=True)
    array([[1.],
           [2.]])
    """
    a = conjugate(a) if conjugate_a else a
    ndim = aval_of(a).ndim
    is_vector = aval_of(b).ndim == ndim - 1
    axis = ndim - 1 if left_side else ndim - 2
    x = triangular_solve_p.bind(
        a,
        expand_dims(b, (axis,)) if is_vector else b,
        left_side=bool(left_side),
        lower=bool(lower),
        transpose_a=bool(transpose_a),
        unit_diagonal=bool(unit_diagonal),
    )
    return squeeze(x, (axis,)) if is_vector else x
