"""Products of matrices and tensors: all of them become ``dot_general``."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.dtypes import canonical_dtype, result_type
from fnad.core.types import kind_of
from fnad.numpy import ufuncs
from fnad.numpy.complex_numbers import conjugate
from fnad.numpy.creation import asarray, zeros_like
from fnad.numpy.joining import concatenate
from fnad.numpy.manipulation import expand_dims, moveaxis, ravel, reshape
from fnad.numpy.operands import (
    Array,
    broadcast_shapes,
    convert,
    distinct_axes,
    expand,
    refuse_out,
)
from fnad.primitives.contraction import dot_general_p
from fnad.primitives.precision import check_precision

Axes = tuple[int, ...]


_INT64 = np.dtype(np.int64)


def contract(
    a: Array,
    b: Array,
    summed: tuple[Axes, Axes],
    batch: tuple[Axes, Axes],
    preferred: Any = None,
) -> Array:
    """``dot_general`` on any dtypes; of booleans, NumPy's products are whether any is true.

    ``preferred`` is the dtype to compute in and to return, if it is not the operands'.
    """
    dtype = a.dtype if a.dtype is b.dtype else result_type(a, b)
    wanted = dtype if preferred is None else canonical_dtype(preferred)
    if kind_of(wanted) != kind_of(dtype):
        dtype = result_type(dtype, wanted)
        return convert(contract(convert(a, dtype), convert(b, dtype), summed, batch), wanted)
    if dtype.kind == "b":
        counts = contract(convert(a, _INT64), convert(b, _INT64), summed, batch)
        return ufuncs.not_equal(counts, 0)
    return dot_general_p.bind(
        convert(a, dtype),
        convert(b, dtype),
        dimension_numbers=(summed, batch),
        preferred_element_type=None if wanted == dtype else wanted,
    )


def _mismatch(name: str, a: Array, b: Array) -> ValueError:
    return ValueError(
        f"{name}: shapes {a.shape} and {b.shape} do not agree along the axes that are summed over"
    )


def dot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """Sum of products over the last axis of ``a`` and the second last (or only) axis of ``b``.

    ``precision`` is taken for compatibility with JAX: products are always computed in full.
    ``preferred_element_type`` is the dtype to compute in and to return.

    Examples
    --------
    >>> dot(np.array([1, 2]), np.array([3, 4]))
    np.int64(11)
    """
    check_precision("dot", precision)
    x, y = asarray(a), asarray(b)
    if x.ndim == 0 or y.ndim == 0:
        return _product_of_scalar(x, y, preferred_element_type)
    axis = max(y.ndim - 2, 0)
    if x.shape[-1] != y.shape[axis]:
        raise _mismatch("dot", x, y)
    return contract(x, y, ((x.ndim - 1,), (axis,)), ((), ()), preferred_element_type)


def _product_of_scalar(x: Array, y: Array, preferred: Any) -> Array:
    if preferred is None:
        return ufuncs.multiply(x, y)
    wanted = canonical_dtype(preferred)
    dtype = result_type(x, y, wanted)
    return convert(ufuncs.multiply(convert(x, dtype), convert(y, dtype)), wanted)


def vdot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """Sum of products of all elements, both operands flattened, the first one conjugated.

    Examples
    --------
    >>> vdot(np.ones((2, 2)), np.ones((2, 2)))
    np.float64(4.0)
    """
    check_precision("vdot", precision)
    x = ravel(a)
    return dot(_conjugated(x), ravel(b), preferred_element_type=preferred_element_type)


def _conjugated(x: Array) -> Array:
    return conjugate(x) if x.dtype.kind == "c" else x


def inner(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """Sum of products over the last axis of both operands.

    Examples
    --------
    >>> inner(np.array([1, 2]), np.array([[3, 4], [5, 6]]))
    array([11, 17])
    """
    check_precision("inner", precision)
    x, y = asarray(a), asarray(b)
    if x.ndim == 0 or y.ndim == 0:
        return _product_of_scalar(x, y, preferred_element_type)
    if x.shape[-1] != y.shape[-1]:
        raise _mismatch("inner", x, y)
    return contract(x, y, ((x.ndim - 1,), (y.ndim - 1,)), ((), ()), preferred_element_type)


def outer(a: Any, b: Any, out: None = None) -> Array:
    """All products of an element of ``a`` and one of ``b``.

    Examples
    --------
    >>> outer(np.array([1, 2]), np.array([3, 4]))
    array([[3, 4],
           [6, 8]])
    """
    refuse_out("outer", out)
    return ufuncs.multiply(expand_dims(ravel(a), 1), expand_dims(ravel(b), 0))


def matmul(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """Matrix product ``a @ b`` over the last two axes; the other axes broadcast.

    Parameters
    ----------
    a : array_like
        Shape ``(..., m, k)``, or ``(k,)``.
    b : array_like
        Shape ``(..., k, n)``, or ``(k,)``.
    precision : optional
        Taken for compatibility with JAX; products are always computed in full precision.
    preferred_element_type : dtype, optional
        The dtype to compute in and to return; by default the common dtype of the operands.

    Returns
    -------
    array
        Shape ``(..., m, n)``; an operand of rank 1 contributes no axis.

    Examples
    --------
    >>> matmul(np.array([[1, 2], [3, 4]]), np.array([1, 1]))
    array([3, 7])
    """
    check_precision("matmul", precision)
    x, y = asarray(a), asarray(b)
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError("matmul: operands must have at least one axis; use * for scalars")
    row, column = x.ndim == 1, y.ndim == 1
    if x.shape[-1] != y.shape[0 if column else -2]:
        raise _mismatch("matmul", x, y)
    if y.ndim <= 2:
        return contract(x, y, ((x.ndim - 1,), (0,)), ((), ()), preferred_element_type)
    if row:
        return contract(x, y, ((0,), (y.ndim - 2,)), ((), ()), preferred_element_type)
    if x.ndim == 2:
        out = contract(x, y, ((1,), (y.ndim - 2,)), ((), ()), preferred_element_type)
        return moveaxis(out, 0, -2)
    batch = broadcast_shapes([x.shape[:-2], y.shape[:-2]], "matmul")
    x = expand(x, batch + x.shape[-2:])
    y = expand(y, batch + y.shape[-2:])
    axes = tuple(range(len(batch)))
    return contract(x, y, ((len(batch) + 1,), (len(batch),)), (axes, axes), preferred_element_type)


def vecdot(
    x1: Any,
    x2: Any,
    /,
    *,
    axis: int = -1,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Array:
    """Sum of products of vectors along an axis, those of ``x1`` conjugated; all others broadcast.

    Examples
    --------
    >>> vecdot(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    array([3., 7.])
    """
    check_precision("vecdot", precision)
    a, b = (moveaxis(asarray(x), axis, -1) for x in (x1, x2))
    if a.shape[-1] != b.shape[-1]:
        raise _mismatch("vecdot", a, b)
    product = matmul(
        expand_dims(_conjugated(a), -2),
        expand_dims(b, -1),
        preferred_element_type=preferred_element_type,
    )
    return reshape(product, product.shape[:-2])


def matvec(x1: Any, x2: Any, /) -> Array:
    """Products of matrices ``(..., m, n)`` and vectors ``(..., n)``; leading axes broadcast.

    Examples
    --------
    >>> matvec(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    array([3., 7.])
    """
    a, b = asarray(x1), asarray(x2)
    if a.ndim < 2 or b.ndim < 1 or a.shape[-1] != b.shape[-1]:
        raise _mismatch("matvec", a, b)
    product = matmul(a, expand_dims(b, -1))
    return reshape(product, product.shape[:-1])


def vecmat(x1: Any, x2: Any, /) -> Array:
    """Products of conjugated vectors ``(..., n)`` and matrices ``(..., n, m)``.

    Examples
    --------
    >>> vecmat(np.array([1.0, 1.0]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([4., 6.])
    """
    a, b = asarray(x1), asarray(x2)
    if a.ndim < 1 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise _mismatch("vecmat", a, b)
    product = matmul(expand_dims(_conjugated(a), -2), b)
    return reshape(product, (*product.shape[:-2], product.shape[-1]))


def multi_dot(arrays: Sequence[Any], *, precision: Any = None) -> Array:
    """The product of several matrices, in the order that takes the fewest multiplications.

    Parameters
    ----------
    arrays : sequence of array_like
        Two or more matrices; the first and the last may be vectors.
    precision : optional
        Taken for compatibility with JAX.

    Examples
    --------
    >>> multi_dot([np.array([1.0, 2.0]), np.eye(2), np.array([3.0, 4.0])])
    np.float64(11.0)
    """
    check_precision("multi_dot", precision)
    xs = [asarray(x) for x in arrays]
    if len(xs) < 2:
        raise ValueError(f"multi_dot: needs at least two arrays, got {len(xs)}")
    ends = (1, 2)
    if any(x.ndim != 2 for x in xs[1:-1]) or xs[0].ndim not in ends or xs[-1].ndim not in ends:
        raise ValueError(
            "multi_dot: needs matrices, or vectors at the ends, got shapes"
            f" {', '.join(str(x.shape) for x in xs)}"
        )
    rows = xs[0].shape[0] if xs[0].ndim == 2 else 1
    sizes = [rows, *(x.shape[0] for x in xs[1:]), xs[-1].shape[1] if xs[-1].ndim == 2 else 1]
    return _product(xs, _cheapest_cuts(sizes), 0, len(xs) - 1)


def _cheapest_cuts(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """For matrices i to j, of ``sizes[k]`` rows each, the last of the left factor.

    Cormen et al., "Introduction to Algorithms", 15.2.
    """
    count = len(sizes) - 1
    costs = {(i, i): 0 for i in range(count)}
    cuts = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            costs[i, j], cuts[i, j] = min(
                (costs[i, k] + costs[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )
    return cuts


def _product(xs: Sequence[Array], cuts: dict[tuple[int, int], int], i: int, j: int) -> Array:
    if i == j:
        return xs[i]
    cut = cuts[i, j]
    return matmul(_product(xs, cuts, i, cut), _product(xs, cuts, cut + 1, j))


def tensordot(
    a: Any, b: Any, axes: Any = 2, *, precision: Any = None, preferred_element_type: Any = None
) -> Array:
    """Sum of products over pairs of axes.

    Examples
    --------
    >>> tensordot(np.ones((2, 3)), np.ones((3, 4)), axes=1).shape
    (2, 4)
    """
    check_precision("tensordot", precision)
    x, y = asarray(a), asarray(b)
    if np.ndim(axes) == 0 and not isinstance(axes, (tuple, list)):
        count = operator.index(axes)
        if count > min(x.ndim, y.ndim):
            raise ValueError(
                f"tensordot: {count} axes to sum over, of arrays of shapes {x.shape} and {y.shape}"
            )
        left, right = tuple(range(x.ndim - count, x.ndim)), tuple(range(count))
    else:
        left, right = distinct_axes(axes[0], x.ndim), distinct_axes(axes[1], y.ndim)
    lengths = [tuple(z.shape[i] for i in ax) for z, ax in ((x, left), (y, right))]
    if lengths[0] != lengths[1]:
        raise ValueError(f"shape-mismatch for sum: lengths {lengths[0]} and {lengths[1]}")
    return contract(x, y, (left, right), ((), ()), preferred_element_type)


def kron(a: Any, b: Any) -> Array:
    """Kronecker product: each element of ``a`` times the whole of ``b``.

    Examples
    --------
    >>> kron(np.array([1, 10]), np.array([1, 2]))
    array([ 1,  2, 10, 20])
    """
    x, y = asarray(a), asarray(b)
    ndim = max(x.ndim, y.ndim)
    left = (1,) * (ndim - x.ndim) + x.shape
    right = (1,) * (ndim - y.ndim) + y.shape
    x = reshape(x, tuple(n for m in left for n in (m, 1)))
    y = reshape(y, tuple(n for m in right for n in (1, m)))
    return reshape(ufuncs.multiply(x, y), tuple(m * n for m, n in zip(left, right)))


def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Array:
    """Vector product of vectors of length 3, or of length 2, whose third component is 0.

    Parameters
    ----------
    a, b : array_like
        Their other axes broadcast.
    axisa, axisb : int
        The axes of the components.
    axisc : int
        Where the components are in the result; two vectors of length 2 give just the third one.
    axis : int, optional
        All three of them.

    Examples
    --------
    >>> cross(np.array([1, 0, 0]), np.array([0, 1, 0]))
    array([0, 0, 1])
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = moveaxis(asarray(a), axisa, -1), moveaxis(asarray(b), axisb, -1)
    lengths = x.shape[-1], y.shape[-1]
    if not {2, 3}.issuperset(lengths):
        raise ValueError(
            f"cross: vectors must have length 2 or 3 along their axes, got {lengths[0]} and"
            f" {lengths[1]}"
        )
    x, y = (concatenate([v, zeros_like(v[..., :1])], -1) if v.shape[-1] == 2 else v for v in (x, y))
    x = concatenate([x, x], -1)
    y = concatenate([y, y], -1)
    parts = [
        ufuncs.subtract(
            ufuncs.multiply(_component(x, i + 1), _component(y, i + 2)),
            ufuncs.multiply(_component(x, i + 2), _component(y, i + 1)),
        )
        for i in range(3)
    ]
    if lengths == (2, 2):
        return parts[2]
    out = concatenate([expand_dims(p, -1) for p in parts], -1)
    return moveaxis(out, -1, axisc)


def _component(x: Array, index: int) -> Array:
    from fnad.primitives.slicing import index_in_dim

    return index_in_dim(x, index, x.ndim - 1, keepdims=False)
