"""Making arrays: constants, grids, diagonals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from fnad.core.dtypes import canonical_dtype
from fnad.core.foreign import is_foreign_array, read_foreign
from fnad.core.tracer import Tracer
from fnad.core.types import is_device_array
from fnad.numpy import ufuncs
from fnad.numpy.devices import CARD, CPU, placed
from fnad.numpy.operands import Array, as_operand, convert, dtype_of, expand, own, shape_of, strong
from fnad.primitives import shape as lax
from fnad.primitives import slicing

Shape = int | Sequence[int]


def _shape(shape: Shape) -> tuple[int, ...]:
    return lax.int_tuple(shape)


Order = Literal["K", "A", "C", "F"] | None


def asarray(
    a: Any,
    dtype: Any = None,
    order: Order = None,
    *,
    device: Any = None,
    copy: bool | None = None,
) -> Array:
    """Return ``a`` as an array (or a traced array, as it is), of ``dtype`` if one is given.

    Parameters
    ----------
    a : array_like
        An array, a number, or a nested list of them (their shapes agree); also an array of
        another library (a tensor of PyTorch, a column of pandas or pyarrow), whose memory is
        shared where its layout allows it.
    dtype : dtype, optional
        That of ``a`` by default.
    order : {"K", "A", "C", "F"}, optional
        How NumPy's arrays lie in memory; traced arrays have no order.
    device : optional
        "cpu", or "cuda" for an array of CuPy; by default it stays where it is.
    copy : bool, optional
        Whether memory of its own is wanted; by default it shares that of ``a`` where it can. Traced
        arrays cannot be changed, and stand for themselves.

    Raises
    ------
    TypeError
        If ``a`` is nothing that can be read as an array.
    ValueError
        If ``copy`` is False, and what was asked for takes a copy.

    Examples
    --------
    >>> asarray([1, 2], float)
    array([1., 2.])
    """
    if order is not None:
        _check_order("asarray", order)
    x = as_operand(a)
    if isinstance(x, Tracer):
        if dtype is None:
            return strong(x) if x.aval.weak_type else x
        return convert(x, canonical_dtype(dtype))
    if is_device_array(x):
        moved = placed(x if dtype is None else convert(x, canonical_dtype(dtype)), device)
        if copy is False and moved is not x:
            raise ValueError("asarray: copy=False, but another dtype or device takes a copy")
        return moved.copy() if copy and moved is x else moved
    x = _within(dtype, a, x)
    if copy is False and x is not a:
        if not is_foreign_array(a):
            raise ValueError("asarray: copy=False, but lists and other byte orders take a copy")
        x = as_operand(read_foreign(a, copy=False))
    if isinstance(x, np.generic) and copy is False:
        copy = None  # scalars never change, so that nobody can tell a copy
    if device is None:
        return np.asarray(x, dtype, order, copy=copy)
    if copy is False and device != CPU:
        raise ValueError(f"asarray: copy=False, but a move to {device!r} takes a copy")
    return placed(np.asarray(x, dtype, order, copy=copy), device)


def _within(dtype: Any, given: Any, x: Any) -> Any:
    """``x``, made of a list whose numbers must fit into an integer ``dtype``, as in NumPy."""
    if dtype is None or not isinstance(given, (list, tuple)):
        return x
    return np.asarray(given, dtype) if np.dtype(dtype).kind in "iu" else x


def _check_order(name: str, order: Order) -> None:
    if order not in (None, "K", "A", "C", "F"):
        raise ValueError(f"{name}: order must be 'K', 'A', 'C' or 'F', got {order!r}")


def array(
    object: Any, dtype: Any = None, copy: bool = True, ndmin: int = 0, *, order: Order = "K"
) -> Array:
    """Make a new array of numbers or a nested list of them; see `asarray`.

    Examples
    --------
    >>> array([1, 2], ndmin=2)
    array([[1, 2]])
    """
    _check_order("array", order)
    x = as_operand(object)
    if is_device_array(x):
        x = x.copy() if copy else x
    elif not isinstance(x, Tracer):
        return np.array(_within(dtype, object, x), dtype, copy=copy, order=order, ndmin=ndmin)
    x = asarray(x, dtype)
    return lax.reshape(x, (1,) * (ndmin - x.ndim) + x.shape) if ndmin > x.ndim else x


def full(shape: Shape, fill_value: Any, dtype: Any = None, *, device: Any = None) -> Array:
    """An array of one value; its dtype is that of the value unless given.

    Examples
    --------
    >>> full((2,), 7.0)
    array([7., 7.])
    """
    value = as_operand(fill_value)
    value = strong(value) if dtype is None else convert(value, canonical_dtype(dtype))
    shape = _shape(shape)
    if shape_of(value) == ():
        return placed(lax.full(shape, value, value.dtype), device)
    return placed(own(expand(value, shape), value), device)


def zeros(shape: Shape, dtype: Any = float, *, device: Any = None) -> Array:
    """An array of zeros.

    Examples
    --------
    >>> zeros(2)
    array([0., 0.])
    """
    return placed(lax.full(_shape(shape), 0, canonical_dtype(dtype or float)), device)


def ones(shape: Shape, dtype: Any = float, *, device: Any = None) -> Array:
    """An array of ones.

    Examples
    --------
    >>> ones(2, int)
    array([1, 1])
    """
    return placed(lax.full(_shape(shape), 1, canonical_dtype(dtype or float)), device)


def empty(shape: Shape, dtype: Any = float, *, device: Any = None) -> Array:
    """An array whose contents do not matter: zeros, since programs are deterministic.

    Examples
    --------
    >>> empty((2, 0)).shape
    (2, 0)
    """
    return zeros(shape, dtype, device=device)


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, shape: Any = None, *, device: Any = None
) -> Array:
    """An array of one value, of the shape and dtype of ``a`` unless given.

    Examples
    --------
    >>> full_like(np.array([1, 2]), 2.5)
    array([2, 2])
    """
    x = as_operand(a)
    value = as_operand(fill_value)
    dtype = dtype_of(x) if dtype is None else dtype
    if not isinstance(value, Tracer) and np.ndim(value) == 0:
        value = np.asarray(value).astype(canonical_dtype(dtype))[()]
    made = full(shape_of(x) if shape is None else shape, value, dtype)
    return placed(made, CARD if device is None and is_device_array(x) else device)


def zeros_like(a: Any, dtype: Any = None, shape: Any = None, *, device: Any = None) -> Array:
    """Zeros of the shape and dtype of ``a`` unless given.

    Examples
    --------
    >>> zeros_like(np.array([1, 2]))
    array([0, 0])
    """
    return full_like(a, 0, dtype, shape, device=device)


def ones_like(a: Any, dtype: Any = None, shape: Any = None, *, device: Any = None) -> Array:
    """Ones of the shape and dtype of ``a`` unless given.

    Examples
    --------
    >>> ones_like(np.array([1.5, 2]))
    array([1., 1.])
    """
    return full_like(a, 1, dtype, shape, device=device)


empty_like = zeros_like


def eye(
    N: int,  # noqa: N803
    M: int | None = None,  # noqa: N803
    k: int = 0,
    dtype: Any = float,
    *,
    device: Any = None,
) -> Array:
    """Ones on the k-th diagonal, zeros elsewhere.

    Examples
    --------
    >>> eye(2)
    array([[1., 0.],
           [0., 1.]])
    """
    shape = (N, N if M is None else M)
    if isinstance(k, int):  # diagonals further out are empty, however far
        k = max(-N, min(k, shape[1]))
    rows = lax.broadcasted_iota(np.int64, shape, 0)
    columns = lax.broadcasted_iota(np.int64, shape, 1)
    made = convert(ufuncs.equal(ufuncs.add(rows, k), columns), canonical_dtype(dtype or float))
    return placed(made, device)


def identity(n: int, dtype: Any = float) -> Array:
    """The identity matrix.

    Examples
    --------
    >>> identity(1)
    array([[1.]])
    """
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = float) -> Array:  # noqa: N803
    """Ones at and below the k-th diagonal, zeros elsewhere.

    Examples
    --------
    >>> tri(2)
    array([[1., 0.],
           [1., 1.]])
    """
    shape = (N, N if M is None else M)
    return convert(_lower_triangle(shape, k), canonical_dtype(dtype or float))


def _lower_triangle(shape: tuple[int, ...], k: int) -> Array:
    if isinstance(k, int):
        k = max(-shape[-2], min(k, shape[-1]))
    rows = lax.broadcasted_iota(np.int64, shape, len(shape) - 2)
    columns = lax.broadcasted_iota(np.int64, shape, len(shape) - 1)
    return ufuncs.less_equal(columns, ufuncs.add(rows, k))


def _matrix(m: Any, name: str) -> Array:
    x = asarray(m)
    if x.ndim == 1:
        return lax.broadcast_in_dim(x, (x.shape[0], x.shape[0]), (1,))
    if x.ndim == 0:
        raise ValueError(f"{name}: a scalar has no triangle; pass an array of rank 1 or more")
    return x


def tril(m: Any, k: int = 0) -> Array:
    """The matrix (or stack of matrices) with zeros above the k-th diagonal.

    Examples
    --------
    >>> tril(np.ones((2, 2)))
    array([[1., 0.],
           [1., 1.]])
    """
    x = _matrix(m, "tril")
    return ufuncs.parts.select(_lower_triangle(x.shape, k), x, x.dtype.type(0))


def triu(m: Any, k: int = 0) -> Array:
    """The matrix (or stack of matrices) with zeros below the k-th diagonal.

    Examples
    --------
    >>> triu(np.ones((2, 2)))
    array([[1., 1.],
           [0., 1.]])
    """
    x = _matrix(m, "triu")
    return ufuncs.parts.select(_lower_triangle(x.shape, k - 1), x.dtype.type(0), x)


def meshgrid(*xi: Any, indexing: str = "xy", sparse: bool = False) -> tuple[Array, ...]:
    """Coordinate arrays of the grid spanned by vectors.

    Examples
    --------
    >>> meshgrid(np.array([1, 2]), np.array([3]))
    (array([[1, 2]]), array([[3, 3]]))
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    xs = [asarray(x) for x in xi]
    xs = [lax.reshape(x, (x.size,)) for x in xs]
    axes = list(range(len(xs)))
    if indexing == "xy" and len(xs) > 1:
        axes[:2] = [1, 0]
    lengths = [0] * len(xs)
    for axis, x in zip(axes, xs):
        lengths[axis] = x.shape[0]
    outs = []
    for axis, x in zip(axes, xs):
        shape = [1] * len(xs)
        shape[axis] = x.shape[0]
        target = shape if sparse else lengths
        outs.append(own(lax.broadcast_in_dim(x, tuple(target), (axis,)), x))
    return tuple(outs)


def indices(dimensions: Sequence[int], dtype: Any = int, sparse: bool = False) -> Any:
    """The indices of a grid, stacked along a new first axis, or (``sparse``) as an open grid.

    Examples
    --------
    >>> indices((2, 1))
    array([[[0],
            [1]],
    <BLANKLINE>
           [[0],
            [0]]])
    """
    shape = _shape(dimensions)
    if sparse:
        return meshgrid(
            *[lax.iota(canonical_dtype(dtype), n) for n in shape], indexing="ij", sparse=True
        )
    grids = [
        lax.broadcasted_iota(canonical_dtype(dtype), (1, *shape), axis + 1)
        for axis in range(len(shape))
    ]
    return slicing.concatenate(grids, 0) if grids else zeros(0, dtype)


def copy(a: Any, order: Order = "K") -> Array:
    """A copy: traced arrays are immutable and stand for themselves, without an ``order``.

    Examples
    --------
    >>> copy(np.array([1, 2]))
    array([1, 2])
    """
    x = as_operand(a)
    _check_order("copy", order)
    return x if isinstance(x, Tracer) else array(x, order=order)
