"""Asking for shape and dtype; changing the dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core import dtypes
from fnad.core.tracer import Tracer
from fnad.numpy.creation import asarray
from fnad.numpy.operands import Array, as_operand, convert, shape_of


def astype(x: Any, dtype: Any, /, *, copy: bool = True) -> Array:
    """The array converted to another dtype.

    Examples
    --------
    >>> astype(np.array([1, 2]), np.float32)
    array([1., 2.], dtype=float32)
    """
    x = asarray(x)
    if isinstance(x, Tracer):
        return convert(x, dtypes.canonical_dtype(dtype))
    return x.astype(dtype)[()]


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


def size(a: Any, axis: int | None = None) -> int:
    """The number of elements of an array, or its length along an axis.

    Examples
    --------
    >>> size(np.ones((2, 3))), size(np.ones((2, 3)), 1)
    (6, 3)
    """
    sizes = shape(a)
    return int(np.prod(sizes)) if axis is None else sizes[axis]


def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    """The dtype to which arrays, scalars and dtypes promote together.

    Examples
    --------
    >>> result_type(np.float32, 1.0)
    dtype('float32')
    """
    return dtypes.result_type(*arrays_and_dtypes)
