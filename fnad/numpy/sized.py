"""Functions whose results have as many elements as values decide, or ``size`` says.

Outside of tracing, without ``size``, they are NumPy's. With ``size`` the shape of the result is
known, so that they can be traced: what is too much is cut off, what lacks is filled up.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fnad.core.errors import ConcretizationTypeError
from fnad.core.sizes import as_size
from fnad.core.source import user_line
from fnad.core.tracer import Tracer
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray
from fnad.numpy.indexing import take
from fnad.numpy.joining import stack
from fnad.numpy.manipulation import ravel, reshape
from fnad.numpy.operands import Array, as_operand, convert, refuse_out
from fnad.numpy.reductions import cumsum
from fnad.numpy.updates import at
from fnad.primitives import shape as lax

_INT64 = np.dtype(np.int64)


def known_for(name: str, *xs: Array) -> list[Any]:
    """The arrays as NumPy's, for a function whose result's shape depends on their values.

    Raises
    ------
    ConcretizationTypeError
        If one is traced.
    """
    if any(isinstance(x, Tracer) for x in xs):
        raise ConcretizationTypeError(
            f"fnp.{name} of a traced array: the shape of the result would depend on values that"
            f" are known only when the program runs.\n  at: {user_line()}\n  ways out: say how"
            f" long the result shall be, fnp.{name}(..., size=n), or choose with"
            " fnp.where(condition, x, y) in place of selecting."
        )
    return list(xs)


def length_of(name: str, size: Any) -> int:
    """``size`` as a number that fits an axis."""
    length = as_size(size)
    if length < 0:
        raise ValueError(f"{name}: size must not be negative, got {length}")
    return length


def first_true(mask: Array, size: int, beyond: int | None = None) -> Array:
    """The indices of the first ``size`` true elements of a vector; ``beyond`` fills up.

    ``beyond`` is the length of the mask unless given: an index out of bounds.
    """
    count = mask.shape[0]
    filler = count if beyond is None else beyond
    # The k-th true element is written to place k; the others are written out of bounds.
    places = ufuncs.subtract(cumsum(convert(mask, _INT64)), 1)
    places = ufuncs.parts.select(mask, places, convert(as_operand(size), _INT64))
    out = lax.full((size,), filler, _INT64)
    return at(out)[places].set(lax.iota(_INT64, count), mode="drop") if count and size else out


def truth(x: Array) -> Array:
    """Whether elements are nonzero."""
    # By the operator, so that a known array stays known while something is traced.
    return x if x.dtype == np.bool_ else x != 0


def nonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> tuple[Array, ...]:
    """The indices of the elements that are nonzero, one array an axis.

    Parameters
    ----------
    a : array_like
        Rank 1 or more.
    size : int, optional
        How many indices to return; needed for traced arrays.
    fill_value : int, or tuple of int, optional
        Stands for elements that there are not, 0 by default; a tuple has one for each axis.

    Examples
    --------
    >>> nonzero(np.array([0, 3, 0, 4]))
    (array([1, 3]),)
    >>> nonzero(np.array([0, 3, 0, 4]), size=3, fill_value=-1)
    (array([ 1,  3, -1]),)
    """
    x = asarray(a)
    if x.ndim == 0:
        raise ValueError("nonzero: a scalar has no indices; use fnp.atleast_1d")
    if size is None:
        return np.nonzero(*known_for("nonzero", x))
    size = length_of("nonzero", size)
    fills = fill_value if isinstance(fill_value, tuple) else (fill_value,) * x.ndim
    if len(fills) != x.ndim:
        raise ValueError(f"nonzero: {len(fills)} fill values for an array of rank {x.ndim}")
    flat = first_true(truth(ravel(x)), size)
    missing = ufuncs.equal(flat, x.size)
    outs = []
    for axis, (length, fill) in enumerate(zip(x.shape, fills)):
        stride = math.prod(x.shape[axis + 1 :])
        index = ufuncs.remainder(ufuncs.floor_divide(flat, max(stride, 1)), max(length, 1))
        filler = convert(as_operand(0 if fill is None else fill), _INT64)
        outs.append(ufuncs.parts.select(missing, filler, index))
    return tuple(outs)


def flatnonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The indices of the nonzero elements of the flattened array; see `nonzero`.

    Examples
    --------
    >>> flatnonzero(np.array([[0, 3], [0, 4]]))
    array([1, 3])
    """
    return nonzero(ravel(a), size=size, fill_value=fill_value)[0]


def argwhere(a: Any, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The indices of the nonzero elements, one row each; see `nonzero`.

    Examples
    --------
    >>> argwhere(np.array([[0, 3], [0, 4]]))
    array([[0, 1],
           [1, 1]])
    """
    x = asarray(a)
    if x.ndim == 0:
        rows = flatnonzero(reshape(x, (1,)), size=size, fill_value=fill_value)
        return reshape(rows, (rows.size, 1))[:, :0]
    return stack(nonzero(x, size=size, fill_value=fill_value), 1)


def compress(
    condition: Any,
    a: Any,
    axis: int | None = None,
    *,
    size: int | None = None,
    fill_value: Any = 0,
    out: None = None,
) -> Array:
    """The slices of an array (of the flattened one by default) for which a condition holds.

    Parameters
    ----------
    condition : array_like
        Shape ``(N,)``, no longer than the axis.
    a : array_like
        Any shape.
    axis : int, optional
        Which axis.
    size : int, optional
        How many slices to return; needed for traced conditions.
    fill_value : scalar
        Stands for slices that there are not.
    out : None
        Stands where NumPy has an array to write to.

    Examples
    --------
    >>> compress([False, True, True], np.array([1, 2, 3]))
    array([2, 3])
    >>> compress([False, True, True], np.array([1, 2, 3]), size=3, fill_value=9)
    array([2, 3, 9])
    """
    refuse_out("compress", out)
    return _compress("compress", condition, a, axis, size, fill_value)


def _compress(
    name: str, condition: Any, a: Any, axis: int | None, size: int | None, fill_value: Any
) -> Array:
    mask, x = truth(asarray(condition)), asarray(a)
    if mask.ndim != 1:
        raise ValueError(f"{name}: the condition must have one axis, got shape {mask.shape}")
    if axis is None:
        x, axis = ravel(x), 0
    axis = lax.canonicalize_axis(axis, x.ndim)
    if mask.shape[0] > x.shape[axis]:
        raise ValueError(
            f"{name}: a condition of length {mask.shape[0]} for an axis of {x.shape[axis]}"
        )
    if size is None:
        (known,) = known_for(name, mask)
        return take(x, np.flatnonzero(known), axis)
    index = first_true(mask, length_of(name, size), x.shape[axis])
    return take(x, index, axis, mode="fill", fill_value=fill_value)


def extract(condition: Any, arr: Any, *, size: int | None = None, fill_value: Any = 0) -> Array:
    """The elements of an array for which a condition of its size holds; see `compress`.

    Examples
    --------
    >>> x = np.array([[1, 2], [3, 4]])
    >>> extract(x % 2 == 0, x)
    array([2, 4])
    """
    return _compress("extract", ravel(condition), ravel(arr), None, size, fill_value)
