"""What functions of `fnad.scipy.linalg` do to their arguments."""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core.dtypes import result_type
from fnad.numpy.operands import Array, broadcast_shapes, convert, expand
from fnad.numpy.solving import as_floats, as_matrices


def of_one_dtype(name: str, *xs: Any) -> list[Array]:
    """Arrays in the dtype that they promote to, which LAPACK takes."""
    arrays = [as_floats(name, fnp.asarray(x)) for x in xs]
    dtype = result_type(*arrays)
    return [convert(x, dtype) for x in arrays]


def as_int(name: str, what: str, value: Any) -> int:
    """An argument that must be an integer."""
    try:
        return index(value)
    except TypeError as error:
        raise TypeError(f"{name}: {what} must be an integer, got {value!r}") from error


def as_complex(name: str, a: Any) -> Array:
    """A stack of square matrices of complex numbers."""
    a = as_matrices(name, a, square=True)
    return convert(a, np.result_type(a.dtype, np.complex64))


def adjoint(a: Array) -> Array:
    """The conjugate transposes of matrices."""
    return fnp.matrix_transpose(fnp.conjugate(a) if a.dtype.kind == "c" else a)


def solved(name: str, a: Any, b: Any, function: Callable[[Array, Array], Array]) -> Array:
    """``function(a, b)`` for stacks of matrices and right-hand sides that broadcast.

    ``a`` is ``(..., n, n)``; ``b`` is ``(n,)``, as the result then is, or ``(..., n, k)``.
    """
    a, b = of_one_dtype(name, a, b)
    a = as_matrices(name, a, square=True)
    if b.ndim == 0 or b.shape[max(b.ndim - 2, 0)] != a.shape[-1]:
        raise ValueError(
            f"{name}: b of shape {b.shape} must have {a.shape[-1]} rows, as a matrix of shape"
            f" {a.shape} has"
        )
    is_vector = b.ndim == 1
    b = b[:, None] if is_vector else b
    batch = broadcast_shapes((a.shape[:-2], b.shape[:-2]), name)
    x = function(*(expand(y, (*batch, *y.shape[-2:])) for y in (a, b)))
    return x[..., 0] if is_vector else x
