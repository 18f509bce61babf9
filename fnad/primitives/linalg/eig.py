"""Eigenvalues and eigenvectors of general square matrices."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from fnad.core.primitive import Parts, Primitive, Zero
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.complex_numbers import complex, imag, real
from fnad.primitives.complex_parts import parts_of_interleaved
from fnad.primitives.linalg.lu import lu, lu_solve
from fnad.primitives.linalg.matrices import (
    check_matrices,
    conjugate,
    diagonal_of,
    each,
    gaps,
    is_complex,
    is_empty,
    matmul,
    matrix_transpose,
    nan_like,
    routine,
    scale_columns,
)
from fnad.primitives.linalg.routines import (
    Made,
    Scratch,
    call_complex,
    from_columns,
    in_columns,
    nan_where_it_failed,
    routine_p,
)
from fnad.primitives.logic import (
    bitwise_and,
    convert_element_type,
    eq,
    gt,
    is_finite,
    lt,
    select,
)
from fnad.primitives.reductions import argmax, reduce_and, reduce_min, reduce_sum
from fnad.primitives.shape import (
    broadcast_in_dim,
    broadcasted_iota,
    expand_dims,
    full,
    full_like,
    reshape,
)
from fnad.primitives.slicing import concatenate, slice_in_dim

eig_p = Primitive(
    "eig",
    "Eigenvalues w ``(..., n)`` of matrices, and with ``vectors`` eigenvectors V ``(..., n, n)`` as"
    " columns, ``A V = V diag(w)``: of length 1, their largest component real and positive. Both"
    " are complex, of A's precision, which is single or double.",
    multiple_results=True,
)


_DEPENDENT = 16.0  # times epsilon: pivots of eigenvectors, of length 1, that say nothing


def _complex_of(dtype: Any) -> np.dtype[Any]:
    return np.result_type(dtype, np.complex64)


@eig_p.type_rule
def _(a, *, vectors):
    check_matrices("eig", a, square=True)
    whole = _complex_of(a.dtype)
    values = ShapedArray(a.shape[:-1], whole)
    return [values, ShapedArray(a.shape, whole)] if vectors else [values]


# LAPACK 3.12 writes outside of its memory if a matrix has a NaN: geev goes on though gebal, which
# refuses it, has not said which rows there are to work on. It never sees one, therefore.


@eig_p.evaluate
def _(a, *, vectors):
    from scipy.linalg import lapack

    whole = _complex_of(a.dtype)
    if is_empty(*a.shape):
        return [np.zeros(a.shape[:-1], whole), np.zeros(a.shape, whole)][: 1 + vectors]
    geev = getattr(lapack, routine("geev", a.dtype))

    def decompose(matrix: np.ndarray) -> list[Any]:
        if not np.isfinite(matrix).all():
            nans = nan_like(matrix.astype(whole))
            return [nans[0], nans][: 1 + vectors]
        *w, _, v, info = geev(matrix, compute_vl=0, compute_vr=int(vectors))
        if is_complex(a):
            out = [w[0], v]
        else:
            re, im = _unpacked(v, w[1])
            out = [(w[0] + 1j * w[1]).astype(whole), (re + 1j * im).astype(whole)]
        return [x if info == 0 else nan_like(x) for x in out[: 1 + vectors]]

    return each(decompose, a)


def _unpacked(v: Any, w_im: Any) -> tuple[Any, Any]:
    """The parts of eigenvectors of real matrices, from the columns in which LAPACK returns them.

    Of a conjugate pair of eigenvalues, that with the positive imaginary part first, the two columns
    hold the real and the imaginary part of the first eigenvector.
    """
    ndim = aval_of(v).ndim
    sign = broadcast_in_dim(w_im, aval_of(v).shape, (*range(ndim - 2), ndim - 1))
    n, zero = aval_of(v).shape[-1], full_like(v, 0)
    first = slice_in_dim(v, 0, 1, 1, ndim - 1)
    last = slice_in_dim(v, n - 1, n, 1, ndim - 1)
    before = concatenate([first, slice_in_dim(v, 0, n - 1, 1, ndim - 1)], ndim - 1)
    behind = concatenate([slice_in_dim(v, 1, n, 1, ndim - 1), last], ndim - 1)
    second = lt(sign, zero)
    re = select(second, before, v)
    im = select(second, -v, select(gt(sign, zero), behind, zero))
    # LAPACK's signs depend on how many steps it took; they are made those of complex matrices.
    largest = _picked(_largest(re * re + im * im), re)
    ones = full_like(largest, 1)
    turn = select(lt(largest, full_like(largest, 0)), -ones, ones)
    return scale_columns(re, turn), scale_columns(im, turn)


@eig_p.jvp
def _(primals, tangents, *, vectors):
    # With P = V⁻¹ A' V, w' = diag P and V' = V (F * P + D), F[i, j] = 1 / (w[j] - w[i]): Giles
    # (2008), 3.1. The diagonal D keeps the length of columns, and their largest component real.
    (a,), (t,) = primals, tangents
    if isinstance(t, Zero) or is_empty(*aval_of(a).shape):
        outs = eig_p.bind(a, vectors=vectors)
        return outs, [Zero(aval_of(x)) for x in outs]
    w, v = eig_p.bind(a, vectors=True)
    factors, _, permutation = lu(v)
    factors = _nan_if_defective(factors)
    inner = lu_solve(factors, permutation, matmul(convert_element_type(t, aval_of(v).dtype), v))
    if not vectors:
        return [w], [diagonal_of(inner)]
    turned = matmul(v, gaps(w) * inner)
    rows = aval_of(v).ndim - 2
    along = real(reduce_sum(conjugate(v) * turned, (rows,)))
    largest = _largest(real(v) * real(v) + imag(v) * imag(v))
    own, moved = _picked(largest, v), _picked(largest, turned)
    drift = imag(moved) / real(own)
    return [w, v], [diagonal_of(inner), turned - scale_columns(v, complex(along, drift))]


def _nan_if_defective(factors: Any) -> Any:
    """The factors L and U of eigenvectors, NaN where these depend on each other.

    Derivatives of single eigenvalues are then as large as the inverse of a rounding error, and
    their sums, which may have limits, would be numbers of which no digit is right.
    """
    pivots = diagonal_of(factors)
    size = real(pivots) * real(pivots) + imag(pivots) * imag(pivots)
    smallest = reduce_min(size, (aval_of(size).ndim - 1,))
    bound = (_DEPENDENT * float(np.finfo(aval_of(size).dtype).eps)) ** 2
    shape = aval_of(factors).shape
    fails = lt(smallest, full_like(smallest, bound))
    fails = broadcast_in_dim(fails, shape, tuple(range(len(shape) - 2)))
    return select(fails, full_like(factors, np.nan), factors)


def _largest(size: Any) -> Any:
    """Where the largest number of each column is, the first of equal ones."""
    shape = aval_of(size).shape
    rows = len(shape) - 2
    row = expand_dims(argmax(size, rows, np.int64), (rows,))
    index = broadcasted_iota(np.int64, shape, rows)
    return eq(index, broadcast_in_dim(row, shape, tuple(range(rows + 2))))


def _picked(where: Any, x: Any) -> Any:
    """The one number of each column that is marked."""
    return reduce_sum(select(where, x, full_like(x, 0)), (aval_of(x).ndim - 2,))


@eig_p.batch
def _(args, batched, axis, *, vectors):
    return eig_p.bind(*args, vectors=vectors), [True] * (1 + vectors)


@eig_p.parts
def _(a, *, vectors):
    shape = aval_of(a.re if isinstance(a, Parts) else a).shape
    *batch, n, _ = shape
    part = aval_of(a.re if isinstance(a, Parts) else a).dtype
    if is_empty(*shape):
        values, columns = full((*batch, n), 0, part), full(shape, 0, part)
        return [Parts(values, values), Parts(columns, columns)][: 1 + vectors]
    a, finite = _finite(a)
    of = _of_complex if isinstance(a, Parts) else _of_real
    values, columns, info = of(a, tuple(batch), n, part, vectors)
    info = select(finite, info, full_like(info, 1))
    made = [values, columns] if vectors else [values]
    return [Parts(nan_where_it_failed(x.re, info), nan_where_it_failed(x.im, info)) for x in made]


def _finite(a: Any) -> tuple[Any, Any]:
    """Matrices with zeros in place of those that hold a NaN or an infinity, and which are kept."""
    parts = [a.re, a.im] if isinstance(a, Parts) else [a]
    shape = aval_of(parts[0]).shape
    batch = tuple(range(len(shape) - 2))
    finite = reduce(bitwise_and, [reduce_and(is_finite(x), (-2, -1)) for x in parts])
    whole = broadcast_in_dim(finite, shape, batch)
    kept = [select(whole, x, full_like(x, 0)) for x in parts]
    return Parts(*kept) if isinstance(a, Parts) else kept[0], finite


def _of_complex(a: Parts, batch: Any, n: int, part: Any, vectors: bool) -> tuple[Any, Any, Any]:
    columns = ((*batch, n, 2 * n) if vectors else (*batch, 1, 2), part)
    work = (Scratch(4 * n, part), 2 * n, Scratch(2 * n, part))
    _, values, found, info = call_complex(
        "geev",
        (in_columns(a),),
        (
            *("N", "V" if vectors else "N", n, Made(0), n, Made(1)),
            *(Scratch(2, part), 1, Made(2), n if vectors else 1, *work, Made(3)),
        ),
        [0, ((*batch, 2 * n), part), columns, (batch, np.dtype(np.int32))],
        25 * n**3,
    )
    pairs = parts_of_interleaved(reshape(values, (*batch, n, 2)))
    return pairs, from_columns(found) if vectors else None, info


def _of_real(a: Any, batch: Any, n: int, part: Any, vectors: bool) -> tuple[Any, Any, Any]:
    columns = ((*batch, n, n) if vectors else (*batch, 1, 1), part)
    work = (Scratch(4 * n, part), 4 * n)
    _, re, im, found, info = routine_p.bind(
        matrix_transpose(a),
        name=routine("geev", part),
        arguments=(
            *("N", "V" if vectors else "N", n, Made(0), n, Made(1), Made(2)),
            *(Scratch(1, part), 1, Made(3), n if vectors else 1, *work, Made(4)),
        ),
        results=(0, ((*batch, n), part), ((*batch, n), part), columns, (batch, np.dtype(np.int32))),
        operations=25 * n**3,
    )
    pairs = Parts(*_unpacked(matrix_transpose(found), im)) if vectors else None
    return Parts(re, im), pairs, info


def eig(x: Any, *, compute_right_eigenvectors: bool = True) -> tuple[Any, ...]:
    """Eigenvalues and eigenvectors of general square matrices.

    The derivatives are those for distinct eigenvalues (Boeddeker et al. 2017, arXiv:1701.00392);
    where two are equal, those of eigenvectors and second ones of eigenvalues are not finite (see
    ``fnad.scipy.linalg.funm``). The eigenvalues of a defective
    matrix, of fewer than n eigenvectors, have none: where the eigenvectors found depend on each
    other to rounding, the derivatives are NaN; where rounding has set them apart, they are large.

    Parameters
    ----------
    x : array
        ``(..., n, n)``, floats or complex numbers of single or double precision.
    compute_right_eigenvectors : bool
        Whether to return them.

    Returns
    -------
    values : array
        ``(..., n)``, complex, in no particular order.
    vectors : array
        ``(..., n, n)``, complex: columns of length 1 whose largest component is real and positive.

    Examples
    --------
    >>> eig(np.array([[0.0, 1.0], [-1.0, 0.0]]), compute_right_eigenvectors=False)
    (array([0.+1.j, 0.-1.j]),)
    """
    return tuple(eig_p.bind(x, vectors=bool(compute_right_eigenvectors)))
