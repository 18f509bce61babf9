"""Operands of the vocabulary: what counts as an array, promotion, broadcasting.

Everything in `fnad.numpy` passes its arguments through here before it binds a primitive, so
that primitives only ever see equal dtypes and equal shapes (or scalars).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.dtypes import promote, promotion_operand
from fnad.core.foreign import is_foreign_array, read_foreign
from fnad.core.sizes import Size, common_shape, repeats_into, same_shape
from fnad.core.tracer import Tracer
from fnad.core.types import (
    BFLOAT16,
    aval_of,
    computing_dtype,
    is_device_array,
    kind_of,
    native,
)
from fnad.primitives.logic import convert_element_type
from fnad.primitives.shape import broadcast_in_dim, canonicalize_axis
from fnad.primitives.sizes import size_of
from fnad.primitives.slicing import concatenate

Array = Any
DType = np.dtype[Any]

PYTHON_SCALARS = (bool, int, float, complex)


def refuse_out(name: str, out: Any) -> None:
    """Raise for an array to write to, which JAX's signatures have and refuse as well."""
    if out is not None:
        raise TypeError(
            f"{name}: out= would change an array in place, which functions of fnad do not do;"
            f" bind the result to a name, x = fnp.{name}(...)"
        )


def contains_tracer(value: Any) -> bool:
    """Whether a nested list or tuple holds a traced array."""
    if isinstance(value, (list, tuple)):
        return any(contains_tracer(v) for v in value)
    return isinstance(value, Tracer)


def as_operand(value: Any) -> Array:
    """Return an array, a scalar or a tracer as it is, and make an array of a nested list.

    Arrays of other libraries are read where they lie.

    Raises
    ------
    TypeError
        If ``value`` is nothing that can be read as an array.
    ValueError
        If it is a list whose elements differ in shape.
    """
    kind = type(value)
    if kind is Tracer or kind in PYTHON_SCALARS or isinstance(value, np.generic):
        return value
    if isinstance(value, np.ndarray):
        return native(value)
    if isinstance(value, (list, tuple)):
        return _stacked(value) if contains_tracer(value) else np.asarray(value)
    if is_foreign_array(value):
        return as_operand(read_foreign(value))
    if kind is Size:
        return size_of(value)
    aval_of(value)
    return value


def _stacked(values: Sequence[Any]) -> Array:
    """Join the elements of a nested list that holds traced arrays, as `numpy.array` would."""
    xs = [as_operand(v) for v in values]
    shapes = {shape_of(x) for x in xs}
    if len(shapes) > 1:
        raise ValueError(
            "the elements of a list must have one shape to make an array, got"
            f" {', '.join(map(str, sorted(shapes)))}; fnp.concatenate joins along an existing axis"
        )
    # Python's numbers count as NumPy's here, not as weak ones, in `numpy.array` as well.
    dtype = promote(tuple([dtype_of(x) for x in xs]))
    rows = [expand(convert(x, dtype), (1, *shape_of(x))) for x in xs]
    return concatenate(rows, 0)


def shape_of(x: Array) -> tuple[int, ...]:
    """The shape of an operand."""
    return () if type(x) in PYTHON_SCALARS else x.shape


def is_weak(x: Array) -> bool:
    """Whether an operand takes the dtype of the arrays it meets (Python scalars do)."""
    kind = type(x)
    if kind is Tracer:
        return bool(x.aval.weak_type)
    return kind is int or kind is float or kind is complex


def dtype_of(x: Array) -> DType:
    """The dtype of an operand when it stands alone: Python's int is int64, float is float64."""
    return x.aval.dtype if type(x) is Tracer else aval_of(x).dtype


def promotion_key(x: Array) -> Any:
    """How an operand takes part in promotion: a dtype, or int, float, complex if it is weak."""
    aval = x.aval if type(x) is Tracer else aval_of(x)
    return promotion_operand(aval) if aval.weak_type else aval.dtype


@functools.lru_cache(maxsize=8192)
def resolve_dtypes(ufunc: np.ufunc, *keys: Any) -> tuple[DType, ...]:
    """The dtypes (operands, then results) of the loop NumPy chooses for these operands."""
    if all(key is int for key in keys):  # comparisons of Python ints resolve to objects
        keys = (np.dtype(np.int64),) * len(keys)
    if BFLOAT16 in keys:
        return _resolve_with_bfloat16(ufunc, keys)
    return ufunc.resolve_dtypes((*keys, *(None,) * ufunc.nout))


def _resolve_with_bfloat16(ufunc: np.ufunc, keys: tuple[Any, ...]) -> tuple[DType, ...]:
    """What NumPy chooses for float32, if bfloat16 is what the operands promote to."""
    # The exponents of ldexp are integers, with which nothing is promoted.
    promoted = keys[:1] if ufunc is np.ldexp else keys
    common = promote(promoted)
    known = computing_dtype(common)
    operands = [known] * len(promoted) + list(keys[len(promoted) :])
    dtypes = ufunc.resolve_dtypes((*operands, *[None] * ufunc.nout))
    return tuple([common if dtype == known else dtype for dtype in dtypes])


def python_scalar(value: Any, dtype: DType) -> np.generic:
    """A Python scalar in a dtype; as in NumPy, an int that does not fit is an OverflowError."""
    # What every floating dtype holds needs no guard against NumPy's warnings.
    try:
        if type(value) is not complex and (value == 0 or 1e-4 < abs(value) < 1e4):
            return dtype.type(value)
        with np.errstate(all="ignore"):
            return dtype.type(value)
    except OverflowError:
        raise OverflowError(
            f"Python integer {value} out of bounds for {dtype}, the dtype of the array that it goes"
            " with: make it a float, or convert the array to a wider dtype"
        ) from None


def convert(x: Array, dtype: DType) -> Array:
    """Convert an operand to a dtype; the result is never weak."""
    kind = type(x)
    if kind is Tracer:
        aval = x.aval
        if (aval.dtype is dtype or aval.dtype == dtype) and not aval.weak_type:
            return x
        return convert_element_type(x, dtype)
    if kind in PYTHON_SCALARS:
        return python_scalar(x, dtype)
    if x.dtype is dtype or x.dtype == dtype:
        return x
    if x.ndim == 0 and not is_device_array(x):
        with np.errstate(all="ignore"):
            return np.asarray(x).astype(dtype)[()]
    return convert_element_type(x, dtype)


def strong(x: Array) -> Array:
    """Give an operand its own dtype for good: Python scalars become NumPy scalars."""
    return convert(x, dtype_of(x))


def to_inexact(x: Array) -> Array:
    """Convert integers and booleans to float64, as NumPy's ``mean`` and ``linalg`` do."""
    dtype = dtype_of(x)
    return convert(x, dtype if kind_of(dtype) in "fc" else np.dtype(np.float64))


def constant_like(x: Array, value: Any) -> Any:
    """A scalar of the dtype of ``x``, weak if ``x`` is."""
    if is_weak(x):
        return type(promotion_key(x)(0))(value)
    return python_scalar(value, dtype_of(x))


def own(result: Array, *sources: Any) -> Array:
    """The result, copied if it is an array that has memory of a source.

    The caller may write into what a function returns, unless NumPy's function returns a view, too.
    What is traced nobody can change.
    """
    if type(result) is np.ndarray:
        arrays = [s for s in sources if isinstance(s, np.ndarray)]
        return result.copy() if any(np.may_share_memory(result, s) for s in arrays) else result
    if is_device_array(result) and any(result is s for s in sources):
        return result.copy()
    return result


def expand(x: Array, shape: tuple[int, ...]) -> Array:
    """Broadcast an operand to ``shape`` by NumPy's rules."""
    own = shape_of(x)
    if same_shape(own, shape):
        return x
    return broadcast_in_dim(x, shape, _dimensions(own, shape))


@functools.lru_cache(maxsize=1024)
def _dimensions(own: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of ``shape`` that the axes of an operand of shape ``own`` become."""
    lead = len(shape) - len(own)
    if lead < 0 or any(not repeats_into(m, n) for m, n in zip(own, shape[lead:])):
        raise ValueError(f"cannot broadcast an array of shape {own} to shape {shape}")
    return tuple(range(lead, len(shape)))


_common_shape = functools.lru_cache(maxsize=1024)(common_shape)


def broadcast_shapes(shapes: Sequence[tuple[int, ...]], name: str) -> tuple[int, ...]:
    """The common shape of operands, or an error that names the function and the shapes."""
    first = shapes[0]
    if len(set(shapes)) == 1:
        return first
    try:
        return _common_shape(*shapes)
    except ValueError:
        raise ValueError(
            f"{name}: operands of shapes {', '.join(map(str, shapes))} cannot be broadcast"
            " together (axes are aligned from the last; each pair must be equal or contain a 1)"
        ) from None


def broadcast_operands(xs: Sequence[Array], name: str) -> list[Array]:
    """Broadcast operands to their common shape; scalars stay scalars."""
    shapes = [x.aval.shape if type(x) is Tracer else shape_of(x) for x in xs]
    distinct = set(shapes)
    if len(distinct) == 1 or (len(distinct) == 2 and () in distinct):
        return list(xs)
    shape = broadcast_shapes(shapes, name)
    return [x if s == () else expand(x, shape) for x, s in zip(xs, shapes)]


def normalize_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """All axes for None, else the `distinct_axes`."""
    return tuple(range(ndim)) if axis is None else distinct_axes(axis, ndim)


def distinct_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """The non-negative axes of an int or a tuple, without repetition."""
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    result = tuple(canonicalize_axis(a, ndim) for a in axes)
    if len(set(result)) != len(result):
        raise ValueError(f"repeated axis in {axis}")
    return result
