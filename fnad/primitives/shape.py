"""Primitives that arrange elements: broadcast_in_dim, reshape, transpose, rev, iota."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from operator import index as as_int
from typing import Any

import numpy as np

from fnad.core.primitive import Parts, Primitive, install_zeros, remember
from fnad.core.sizes import Size, as_size, repeats_into, same_shape, surely_equal
from fnad.core.types import ShapedArray, aval_of, kind_of
from fnad.primitives.dependencies import moves
from fnad.primitives.logic import convert_element_type
from fnad.primitives.sizes import size_of
from fnad.primitives.strong_lanes import Live, any_of
from fnad.primitives.strong_moves import moves_elements, reshaped_axes
from fnad.primitives.strong_zeros import StrongZeros, settled

# -- helpers -------------------------------------------------------------------------------

_INT = frozenset({int, Size})


def int_tuple(values: int | Sequence[int]) -> tuple[int, ...]:
    """Normalise one integer or a sequence of them to a tuple of Python ints."""
    if type(values) is tuple and _INT.issuperset(map(type, values)):
        return values
    if isinstance(values, (int, float)) or getattr(values, "ndim", None) == 0:  # traced ones, too
        return (as_size(values),)
    return tuple(map(as_size, values))


def canonicalize_axis(axis: int, ndim: int) -> int:
    """Turn an axis that may count from the end into one from 0 to ``ndim - 1``.

    Raises
    ------
    numpy.exceptions.AxisError
        If there is no such axis.
    """
    axis = as_int(axis)
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis % ndim


def check_axes(name: str, what: str, axes: tuple[int, ...], ndim: int) -> None:
    """Check that ``axes`` are distinct and name axes of an operand of rank ``ndim``."""
    if len(set(axes)) != len(axes) or any(not 0 <= a < ndim for a in axes):
        raise ValueError(
            f"{name}: {what} must be distinct axes from 0 to {ndim - 1} of an operand of rank"
            f" {ndim}, got {axes}"
        )


def check_lengths(name: str, shape: tuple[int, ...]) -> None:
    """Check that no axis of a shape has a negative length."""
    if any(type(n) is int and n < 0 for n in shape):
        raise ValueError(f"{name}: axes cannot have negative lengths, got shape {shape}")


def leading_axis_full(x: Any, batched: bool, size: int) -> Any:
    """Give an operand of a batch rule the batch axis if it lacks it."""
    if batched:
        return x
    shape = aval_of(x).shape
    return broadcast_in_dim(x, (size, *shape), tuple(range(1, len(shape) + 1)))


# -- broadcast_in_dim ----------------------------------------------------------------------

broadcast_in_dim_p = Primitive(
    "broadcast_in_dim",
    "Repeat ``x`` into ``shape``; axis i of ``x`` becomes axis ``broadcast_dimensions[i]`` of the"
    " result and has its length, or length 1. Any dtype.",
)


@broadcast_in_dim_p.type_rule
@remember
def _(x, *, shape, broadcast_dimensions):
    dims = broadcast_dimensions
    check_lengths("broadcast_in_dim", shape)
    check_axes("broadcast_in_dim", "broadcast_dimensions", dims, len(shape))
    if len(dims) != x.ndim or any(not repeats_into(n, shape[d]) for n, d in zip(x.shape, dims)):
        raise ValueError(
            f"broadcast_in_dim: an operand of shape {x.shape} does not fit into shape {shape}"
            f" with broadcast_dimensions {dims}: there must be one entry for each operand axis,"
            " and its length must be 1 or that of the target axis"
        )
    return ShapedArray(shape, x.dtype)


@broadcast_in_dim_p.evaluate
def _(x, *, shape, broadcast_dimensions):
    x = np.asarray(x)
    aligned = [1] * len(shape)
    for n, d in zip(x.shape, broadcast_dimensions):
        aligned[d] = n
    order = np.argsort(broadcast_dimensions) if x.ndim else ()
    return np.broadcast_to(x.transpose(order).reshape(aligned), shape).copy()


broadcast_in_dim_p.linear()


@broadcast_in_dim_p.transpose
def _(ct, x, *, shape, broadcast_dimensions):
    from fnad.primitives.reductions import reduce_sum  # reductions imports this module

    repeated, order = _undoing(x.aval.shape, shape, broadcast_dimensions)
    return [reshape(transpose(reduce_sum(ct, repeated), order), x.aval.shape)]


moves(broadcast_in_dim_p)


@broadcast_in_dim_p.strong_transpose
def _(ct, x, **params):
    cts = broadcast_in_dim_p.rule("transpose")(settled(ct), x, **params)
    if type(ct) is not StrongZeros:
        return cts

    def make():
        mask = ct.live.mask()
        if not aval_of(mask).shape:
            return mask
        repeated, order = _undoing(x.aval.shape, **params)
        return reshape(transpose(any_of(mask, repeated), order), x.aval.shape)

    return [StrongZeros(cts[0], Live(make))]


@lru_cache(maxsize=1024)
def _undoing(
    small: tuple[int, ...], shape: tuple[int, ...], broadcast_dimensions: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes to sum over, and the order of the others, to get from ``shape`` to ``small``."""
    repeated = tuple(
        d
        for d in range(len(shape))
        if d not in broadcast_dimensions
        or not surely_equal(small[broadcast_dimensions.index(d)], shape[d])
    )
    kept = [d for d in broadcast_dimensions if d not in repeated]
    return repeated, tuple(sorted(kept).index(d) for d in kept)


@broadcast_in_dim_p.batch
def _(args, batched, axis, *, shape, broadcast_dimensions):
    dims = (0, *(d + 1 for d in broadcast_dimensions))
    return broadcast_in_dim(args[0], (axis.size, *shape), dims), True


@broadcast_in_dim_p.simplify
def _(eqn, definition):
    x, shape = eqn.invars[0], eqn.params["shape"]
    if same_shape(x.aval.shape, shape):
        return x
    inner = definition(x)
    if inner is None or inner.primitive is not broadcast_in_dim_p:
        return None
    outer_dimensions = eqn.params["broadcast_dimensions"]
    dimensions = tuple(outer_dimensions[d] for d in inner.params["broadcast_dimensions"])
    return eqn.replace(
        invars=inner.invars, params={"shape": shape, "broadcast_dimensions": dimensions}
    )


broadcast_in_dim_p.acts_on_parts()


@broadcast_in_dim_p.lower
def _(p, x, *, shape, broadcast_dimensions):
    def element(index):
        zero = p.b.constant(0, np.int64)
        return x.at(
            tuple(zero if n == 1 else index[d] for n, d in zip(x.shape, broadcast_dimensions))
        )

    return p.compute(shape, x.dtype, element)


def broadcast_in_dim(
    operand: Any, shape: Sequence[int], broadcast_dimensions: Sequence[int]
) -> Any:
    """Repeat an array into ``shape``, axis i becoming axis ``broadcast_dimensions[i]``.

    Examples
    --------
    >>> import numpy as np
    >>> broadcast_in_dim(np.array([1, 2]), (2, 3), (0,))
    array([[1, 1, 1],
           [2, 2, 2]])
    """
    shape, dims = int_tuple(shape), int_tuple(broadcast_dimensions)
    own = getattr(operand, "shape", None)
    if own is not None and same_shape(own, shape) and dims == tuple(range(len(shape))):
        return operand
    return broadcast_in_dim_p.bind(operand, shape=shape, broadcast_dimensions=dims)


def broadcast(operand: Any, sizes: Sequence[int]) -> Any:
    """Repeat an array along new leading axes of the given sizes."""
    sizes, shape = int_tuple(sizes), aval_of(operand).shape
    dims = range(len(sizes), len(sizes) + len(shape))
    return broadcast_in_dim(operand, (*sizes, *shape), tuple(dims))


def expand_dims(array: Any, dimensions: Sequence[int]) -> Any:
    """Insert axes of length 1 so that they are the axes ``dimensions`` of the result."""
    shape = aval_of(array).shape
    ndim = len(shape) + len(int_tuple(dimensions))
    new = {canonicalize_axis(d, ndim) for d in int_tuple(dimensions)}
    old = iter(shape)
    return reshape(array, tuple(1 if i in new else next(old) for i in range(ndim)))


def full(shape: int | Sequence[int], fill_value: Any, dtype: Any = None) -> Any:
    """An array of ``shape`` with one value everywhere.

    Examples
    --------
    >>> full((2,), 7.0)
    array([7., 7.])
    """
    if type(fill_value) is Size:
        fill_value = size_of(fill_value)
    dtype = aval_of(fill_value).dtype if dtype is None else np.dtype(dtype)
    if not hasattr(fill_value, "aval"):
        fill_value = np.asarray(fill_value).astype(dtype)[()]
    elif fill_value.dtype != dtype:
        fill_value = convert_element_type(fill_value, dtype)
    if aval_of(fill_value).shape != ():
        raise TypeError(f"full: fill_value must be a scalar, got shape {aval_of(fill_value).shape}")
    return broadcast_in_dim(fill_value, int_tuple(shape), ())


def full_like(x: Any, fill_value: Any, dtype: Any = None, shape: Any = None) -> Any:
    """An array with one value everywhere, of the shape and dtype of ``x`` unless given."""
    aval = aval_of(x)
    return full(
        aval.shape if shape is None else shape, fill_value, aval.dtype if dtype is None else dtype
    )


def zeros_like_aval(aval: ShapedArray) -> Any:
    """Zeros of a given type; how symbolic zeros become arrays."""
    return full(aval.shape, 0, aval.dtype)


install_zeros(zeros_like_aval)

# -- reshape -------------------------------------------------------------------------------

reshape_p = Primitive(
    "reshape", "The same elements in row-major order under the shape ``new_sizes``. Any dtype."
)


@reshape_p.type_rule
@remember
def _(x, *, new_sizes):
    if any(n < 0 for n in new_sizes) or math.prod(new_sizes) != x.size:
        raise TypeError(
            f"reshape: an array of shape {x.shape} has {x.size} elements, which do not fill the"
            f" shape {new_sizes}"
        )
    return ShapedArray(new_sizes, x.dtype)


@reshape_p.evaluate
def _(x, *, new_sizes):
    return np.reshape(x, new_sizes)


reshape_p.linear()
moves_elements(reshape_p, kept=lambda x, new_sizes: [reshaped_axes(new_sizes, x.aval.shape)])
moves(reshape_p)


@reshape_p.transpose
def _(ct, x, *, new_sizes):
    return [reshape(ct, x.aval.shape)]


@reshape_p.batch
def _(args, batched, axis, *, new_sizes):
    return reshape(args[0], (axis.size, *new_sizes)), True


@reshape_p.simplify
def _(eqn, definition):
    x = eqn.invars[0]
    new_sizes = eqn.params["new_sizes"]
    if same_shape(x.aval.shape, new_sizes):
        return x
    inner = definition(x)
    if inner is None or inner.primitive is not reshape_p:
        return None
    return eqn.replace(invars=inner.invars)


reshape_p.acts_on_parts()


@reshape_p.lower
def _(p, x, *, new_sizes):
    return p.reshape(x, new_sizes)


def reshape(operand: Any, new_sizes: Sequence[int], dimensions: Sequence[int] | None = None) -> Any:
    """Reinterpret an array in row-major order, after permuting its axes to ``dimensions``."""
    if dimensions is not None:
        operand = transpose(operand, dimensions)
    new_sizes, shape = int_tuple(new_sizes), getattr(operand, "shape", None)
    if shape is not None and same_shape(shape, new_sizes):
        return operand
    return reshape_p.bind(operand, new_sizes=new_sizes)


def squeeze(array: Any, dimensions: Sequence[int]) -> Any:
    """Drop the axes ``dimensions``, which must have length 1."""
    shape = aval_of(array).shape
    drop = {canonicalize_axis(d, len(shape)) for d in int_tuple(dimensions)}
    if any(shape[d] != 1 for d in drop):
        raise ValueError(
            f"squeeze: axes {tuple(sorted(drop))} of shape {shape} do not all have length 1"
        )
    return reshape(array, tuple(n for i, n in enumerate(shape) if i not in drop))


def collapse(operand: Any, start_dimension: int, stop_dimension: int | None = None) -> Any:
    """Join the axes from ``start_dimension`` up to (not including) ``stop_dimension``."""
    shape = aval_of(operand).shape
    lo, hi, _ = slice(start_dimension, stop_dimension).indices(len(shape))
    if hi < lo:
        raise ValueError(f"collapse: no axes from {start_dimension} to {stop_dimension}")
    return reshape(operand, (*shape[:lo], math.prod(shape[lo:hi]), *shape[hi:]))


# -- transpose -----------------------------------------------------------------------------

transpose_p = Primitive(
    "transpose",
    "Permute axes: axis i of the result is axis ``permutation[i]`` of ``x``. Any dtype.",
)


@transpose_p.type_rule
@remember
def _(x, *, permutation):
    if sorted(permutation) != list(range(x.ndim)):
        raise TypeError(
            f"transpose: permutation {permutation} is not a permutation of the axes of an operand"
            f" of shape {x.shape}"
        )
    return ShapedArray(tuple(x.shape[i] for i in permutation), x.dtype)


@transpose_p.evaluate
def _(x, *, permutation):
    return np.transpose(x, permutation)


transpose_p.linear()
moves_elements(transpose_p, kept=lambda x, permutation: [permutation])
moves(transpose_p)


@transpose_p.transpose
def _(ct, x, *, permutation):
    return [transpose(ct, invert_permutation(permutation))]


@transpose_p.batch
def _(args, batched, axis, *, permutation):
    return transpose(args[0], (0, *(i + 1 for i in permutation))), True


@transpose_p.simplify
def _(eqn, definition):
    x, permutation = eqn.invars[0], eqn.params["permutation"]
    if permutation == tuple(range(len(permutation))):
        return x
    inner = definition(x)
    if inner is None or inner.primitive is not transpose_p:
        return None
    both = tuple(inner.params["permutation"][i] for i in permutation)
    return eqn.replace(invars=inner.invars, params={"permutation": both})


transpose_p.acts_on_parts()


@transpose_p.lower
def _(p, x, *, permutation):
    inverse = invert_permutation(permutation)
    shape = tuple(x.shape[i] for i in permutation)
    return p.compute(shape, x.dtype, lambda index: x.at(tuple(index[i] for i in inverse)))


def invert_permutation(permutation: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes ``permutation``."""
    inverse = [0] * len(permutation)
    for i, p in enumerate(permutation):
        inverse[p] = i
    return tuple(inverse)


def transpose(operand: Any, permutation: Sequence[int]) -> Any:
    """Permute axes: axis i of the result is axis ``permutation[i]`` of the operand."""
    permutation = int_tuple(permutation)
    if permutation == tuple(range(aval_of(operand).ndim)) and hasattr(operand, "shape"):
        return operand
    return transpose_p.bind(operand, permutation=permutation)


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """Move axes to new places, the others keeping their order."""
    ndim = aval_of(x).ndim
    src = [canonicalize_axis(a, ndim) for a in int_tuple(source)]
    dst = [canonicalize_axis(a, ndim) for a in int_tuple(destination)]
    order = [a for a in range(ndim) if a not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return transpose(x, order)


# -- iota ----------------------------------------------------------------------------------

iota_p = Primitive(
    "iota", "Each element is its own index along ``dimension``, as ``dtype`` (not bool)."
)


@iota_p.type_rule
@remember
def _(*, dtype, shape, dimension):
    if kind_of(dtype) not in "iufc":
        raise TypeError(f"iota: dtype must be numeric, got {dtype}")
    if not 0 <= dimension < len(shape):
        raise ValueError(f"iota: no axis {dimension} in shape {shape}")
    check_lengths("iota", shape)
    return ShapedArray(shape, dtype)


@iota_p.evaluate
def _(*, dtype, shape, dimension):
    line = np.arange(shape[dimension]).astype(dtype)
    aligned = [-1 if d == dimension else 1 for d in range(len(shape))]
    return np.broadcast_to(line.reshape(aligned), shape).copy()


@iota_p.parts
def _(*, dtype, shape, dimension):
    real = np.dtype(f"f{dtype.itemsize // 2}")
    return Parts(iota_p.bind(dtype=real, shape=shape, dimension=dimension), real.type(0))


@iota_p.lower
def _(p, *, dtype, shape, dimension):
    return p.compute(shape, dtype, lambda index: p.b.convert(index[dimension], dtype))


def iota(dtype: Any, size: int) -> Any:
    """``0, 1, ..., size - 1``."""
    return broadcasted_iota(dtype, (size,), 0)


def broadcasted_iota(dtype: Any, shape: Sequence[int], dimension: int) -> Any:
    """An array whose elements are their own index along ``dimension``."""
    shape = int_tuple(shape)
    dimension = canonicalize_axis(dimension, len(shape))
    return iota_p.bind(dtype=np.dtype(dtype), shape=shape, dimension=dimension)
