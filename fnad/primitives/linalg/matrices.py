"""What the primitives of linear algebra have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from fnad.core.primitive import Linear, Primitive, remember
from fnad.core.rewrites import BatchAxis
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.complex_numbers import conj, real
from fnad.primitives.contraction import batch_matmul
from fnad.primitives.dependencies import moves
from fnad.primitives.logic import bitwise_and, eq, ge, le, select
from fnad.primitives.reductions import reduce_sum
from fnad.primitives.shape import (
    broadcast_in_dim,
    broadcasted_iota,
    expand_dims,
    full_like,
    transpose,
)
from fnad.primitives.sizes import index_of
from fnad.primitives.strong_zeros import StrongZeros, settled

_LETTERS = {
    np.dtype(np.float32): "s",
    np.dtype(np.float64): "d",
    np.dtype(np.complex64): "c",
    np.dtype(np.complex128): "z",
}


def check_matrices(name: str, x: ShapedArray, *, square: bool = False) -> None:
    """Refuse what is no stack of matrices that LAPACK takes."""
    if x.ndim < 2:
        raise ValueError(f"{name}: needs an array of at least two axes, got shape {x.shape}")
    if x.dtype not in _LETTERS:
        raise TypeError(
            f"{name}: takes float32, float64, complex64 or complex128, got {x.dtype}. Convert the"
            " array first."
        )
    if square and x.shape[-1] != x.shape[-2]:
        raise ValueError(f"{name}: the last two axes must be of one length, got shape {x.shape}")


def routine(name: str, dtype: Any) -> str:
    """The name of a function of LAPACK or BLAS for a dtype: ``dpotrf`` for ``potrf``."""
    return _LETTERS[np.dtype(dtype)] + name


def each(function: Callable[..., Sequence[Any]], *stacks: Any) -> list[np.ndarray]:
    """The results of a function of matrices for every entry of stacks, stacked.

    None of the stacks is empty.
    """
    stacks = tuple(map(np.asarray, stacks))
    batch = stacks[0].shape[:-2]
    entries = [function(*(x[at] for x in stacks)) for at in np.ndindex(*batch)]
    results = [np.stack(parts) for parts in zip(*entries)]
    return [np.ascontiguousarray(r.reshape(*batch, *r.shape[1:])) for r in results]


def are_many(x: np.ndarray[Any, Any]) -> bool:
    """Whether columns of all matrices of a stack in turn take NumPy less time than `each`."""
    return x.size > 2 * max(x.shape[-2:]) ** 3


def nan_like(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """NaN of the shape and dtype of ``x``; of complex numbers, in both parts."""
    nan = complex(np.nan, np.nan) if x.dtype.kind == "c" else np.nan
    return np.full_like(x, nan)


def is_empty(*shape: int) -> bool:
    """Whether an array of this shape has no elements."""
    return 0 in shape


def zeros(p: Any, shape: Sequence[int], dtype: Any) -> Any:
    """A tensor of zeros in the plan's language."""
    return p.compute(shape, dtype, lambda index: p.b.constant(0, np.dtype(dtype)))


def identity(p: Any, shape: Sequence[int], dtype: Any) -> Any:
    """A tensor of identity matrices, perhaps with rows or columns left out."""
    b = p.b

    def element(index: Any) -> Any:
        one, zero = b.constant(1, dtype), b.constant(0, dtype)
        return b.where(b.equal(index[-2], index[-1]), one, zero)

    return p.compute(shape, dtype, element)


def swapped(p: Any, x: Any) -> Any:
    """The transposes of a tensor's matrices: row-major for what LAPACK leaves column-major."""
    *batch, m, n = x.shape
    return p.compute(
        (*batch, n, m), x.dtype, lambda index: x.at((*index[:-2], index[-1], index[-2]))
    )


def nan_where_failed(p: Any, x: Any, info: Any, axes: int = 2) -> Any:
    """A tensor with NaN in the matrices (vectors, for one of ``axes``) that LAPACK gave up."""
    b = p.b

    def element(index: Any) -> Any:
        good = b.equal(info.at(index[:-axes]), b.constant(0, info.dtype))
        return b.where(good, x.at(index), b.constant(np.nan, x.dtype))

    return p.compute(x.shape, x.dtype, element)


# -- for the rules of differentiation ----------------------------------------------------------


def refuse_completed(name: str, shape: tuple[int, int]) -> NoReturn:
    """Say that orthonormal columns beyond those that a matrix determines have no derivative."""
    raise ValueError(
        f"{name}: with full_matrices=True, the result for a matrix of shape {shape} is completed by"
        " orthonormal columns that the matrix does not determine, so that it has no derivative."
        " Use full_matrices=False."
    )


def matrix_transpose(x: Any) -> Any:
    """Swap the last two axes."""
    ndim = aval_of(x).ndim
    return transpose(x, (*range(ndim - 2), ndim - 1, ndim - 2))


def conjugate(x: Any) -> Any:
    """The complex conjugate; of real numbers, themselves."""
    return conj(x) if is_complex(x) else x


def adjoint(x: Any) -> Any:
    """The conjugate transposes of matrices."""
    return matrix_transpose(conjugate(x))


def real_part(x: Any) -> Any:
    """The real part; of real numbers, themselves."""
    return real(x) if is_complex(x) else x


def is_complex(x: Any) -> bool:
    """Whether an array has a complex dtype."""
    return bool(aval_of(x).dtype.kind == "c")


def matmul(*xs: Any) -> Any:
    """Products of matrices, from the left."""
    product = xs[0]
    for x in xs[1:]:
        product = batch_matmul(product, x)
    return product


triangle_p = Primitive(
    "triangle",
    "The elements of matrices ``(..., m, n)`` on and above diagonal ``k`` if ``upper``, else on and"
    " below it, zero elsewhere. In gradients the zeros are ordinary, those of a select in front"
    " stay strong: other elements of one matrix are no more infinite than these.",
)


@triangle_p.type_rule
@remember
def _(x: ShapedArray, *, k: int, upper: bool) -> ShapedArray:
    if x.ndim < 2:
        raise ValueError(f"triangle: needs an array of at least two axes, got shape {x.shape}")
    return x.strong()


@triangle_p.evaluate
def _(x: Any, *, k: int, upper: bool) -> Any:
    return (np.triu if upper else np.tril)(x, k)


@triangle_p.lower_as
def _(x: Any, *, k: int, upper: bool) -> Any:
    shape = aval_of(x).shape
    rows = broadcasted_iota(np.int64, shape, len(shape) - 2)
    columns = broadcasted_iota(np.int64, shape, len(shape) - 1)
    return select((le if upper else ge)(rows + k, columns), x, full_like(x, 0))


@triangle_p.transpose
def _(ct: Any, x: Linear, *, k: int, upper: bool) -> list[Any]:
    return [triangle_p.bind(ct, k=k, upper=upper)]


@triangle_p.strong_transpose
def _(ct: Any, x: Linear, *, k: int, upper: bool) -> list[Any]:
    found = triangle_p.bind(settled(ct), k=k, upper=upper)
    return [StrongZeros(found, ct.live) if type(ct) is StrongZeros else found]


@triangle_p.batch
def _(
    args: Sequence[Any], batched: Sequence[bool], axis: BatchAxis, *, k: int, upper: bool
) -> tuple[Any, bool]:
    return triangle_p.bind(*args, k=k, upper=upper), True


triangle_p.linear()
moves(triangle_p)


def lower_part(x: Any, k: int = 0) -> Any:
    """The elements on and below diagonal ``k``, zero elsewhere."""
    return triangle_p.bind(x, k=k, upper=False)


def upper_part(x: Any, k: int = 0) -> Any:
    """The elements on and above diagonal ``k``, zero elsewhere."""
    return triangle_p.bind(x, k=k, upper=True)


def hermitian_of_lower(x: Any) -> Any:
    """The symmetric (Hermitian) matrices with these lower triangles; the diagonal becomes real."""
    below = lower_part(x, -1)
    if not is_complex(x):
        return lower_part(x) + matrix_transpose(below)
    diagonal = upper_part(lower_part(x))
    return (diagonal + conj(diagonal)) * 0.5 + below + adjoint(below)


def with_unit_pivot(x: Any, k: int) -> Any:
    """Matrices in which element ``(k, k)`` is one."""
    shape = aval_of(x).shape
    i, j = (broadcasted_iota(np.int64, shape, axis) for axis in (len(shape) - 2, len(shape) - 1))
    return select(bitwise_and(eq(i, index_of(k)), eq(j, index_of(k))), full_like(x, 1), x)


def identity_like(x: Any) -> Any:
    """Identity matrices of the shape and dtype of ``x``."""
    ones = full_like(x, 1)
    return upper_part(lower_part(ones))


def scale_columns(x: Any, factors: Any) -> Any:
    """Multiply column j of each matrix by ``factors[..., j]``."""
    return x * _spread(expand_dims(factors, (aval_of(x).ndim - 2,)), x)


def scale_rows(x: Any, factors: Any) -> Any:
    """Multiply row i of each matrix by ``factors[..., i]``."""
    return x * _spread(expand_dims(factors, (aval_of(x).ndim - 1,)), x)


def _spread(x: Any, like: Any) -> Any:
    shape = aval_of(like).shape
    return broadcast_in_dim(x, shape, tuple(range(len(shape))))


def diagonal_of(x: Any) -> Any:
    """The diagonals of square matrices."""
    return reduce_sum(upper_part(lower_part(x)), (aval_of(x).ndim - 1,))


def gaps(w: Any) -> Any:
    """``1 / (w[..., j] - w[..., i])`` at row i and column j, zero on the diagonal."""
    *batch, n = aval_of(w).shape
    ones = full_like(w, 1, shape=(*batch, n, n))
    difference = scale_columns(ones, w) - scale_rows(ones, w)
    unit = identity_like(ones)
    return 1.0 / (difference + unit) - unit
