"""Asking for shape and dtype; changing the dtype."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fnad.core import dtypes
from fnad.core.tracer import Tracer
from fnad.core.types import BFLOAT16
from fnad.numpy.creation import asarray
from fnad.numpy.devices import placed
from fnad.numpy.operands import Array, as_operand, convert, normalize_axes, shape_of


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    """The array converted to another dtype.

    With ``copy=False``, an array that has the dtype already is returned as it is.

    Examples
    --------
    >>> astype(np.array([1, 2]), np.float32)
    array([1., 2.], dtype=float32)
    """
    x = asarray(x)
    if isinstance(x, Tracer):
        return placed(convert(x, dtypes.canonical_dtype(dtype)), device)
    return placed(x.astype(dtype, copy=copy)[()], device)


def shape(a: Any) -> tuple[int, ...]:
    """The shape of an array.

    Examples
    --------
    >>> shape(np.ones((2, 3)))
    (2, 3)
    """
    return shape_of(as_operand(a))


def ndim(a: Any) -> int:
    """The number of axes of an array.

    Examples
    --------
    >>> ndim(np.ones((2, 3)))
    2
    """
    return len(shape(a))


def isscalar(element: Any) -> bool:
    """Whether something is a number, or a traced array of rank 0, which stands for one.

    Examples
    --------
    >>> isscalar(1.5), isscalar(np.float32(1)), isscalar(np.ones(2))
    (True, True, False)
    """
    return element.ndim == 0 if isinstance(element, Tracer) else bool(np.isscalar(element))


def size(a: Any, axis: int | tuple[int, ...] | None = None) -> int:
    """The number of elements of an array, or along some of its axes.

    Examples
    --------
    >>> size(np.ones((2, 3))), size(np.ones((2, 3)), 1)
    (6, 3)
    """
    sizes = shape(a)
    return math.prod(sizes[i] for i in normalize_axes(axis, len(sizes)))


def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    """The dtype to which arrays, scalars and dtypes promote together.

    Examples
    --------
    >>> result_type(np.float32, 1.0)
    dtype('float32')
    """
    return dtypes.result_type(*arrays_and_dtypes)


def promote_types(type1: Any, type2: Any) -> np.dtype[Any]:
    """The dtype to which two dtypes promote.

    Examples
    --------
    >>> promote_types(np.int32, np.float32), promote_types("bfloat16", np.float16)
    (dtype('float64'), dtype('float32'))
    """
    return dtypes.result_type(np.dtype(type1), np.dtype(type2))


def issubdtype(arg1: Any, arg2: Any) -> bool:
    """Whether a dtype is, or belongs to, another; bfloat16 is a floating one.

    Examples
    --------
    >>> issubdtype(np.float32, np.floating), issubdtype("bfloat16", np.floating)
    (True, True)
    """
    if isinstance(arg2, type) and issubclass(np.floating, arg2):
        return bool(np.issubdtype(arg1, arg2)) or arg1 in (BFLOAT16, "bfloat16")
    return bool(np.issubdtype(arg1, arg2))
