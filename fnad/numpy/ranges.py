"""Ranges of numbers, evenly spaced or on a logarithmic scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.dtypes import canonical_dtype, result_type
from fnad.core.sizes import Size, common_shape, range_length
from fnad.core.tracer import Tracer
from fnad.core.types import BFLOAT16
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray
from fnad.numpy.devices import placed
from fnad.numpy.operands import Array, as_operand, convert, dtype_of, expand, shape_of
from fnad.primitives import shape as lax
from fnad.primitives import slicing


def _concrete(what: str, *values: Any) -> None:
    for value in values:
        if isinstance(value, Tracer):
            raise TypeError(
                f"{what}: the bounds fix the length of the result, so they must be numbers, not"
                " traced arrays; use fnp.linspace (a static count) or scale a static range"
            )


def arange(
    start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, *, device: Any = None
) -> Array:
    """Evenly spaced numbers from ``start`` up to, not including, ``stop``; as `numpy.arange`.

    Examples
    --------
    >>> arange(3), arange(1, 2, 0.5)
    (array([0, 1, 2]), array([1. , 1.5]))
    """
    start, stop, step = (
        _known(v) for v in ((0, start, step) if stop is None else (start, stop, step))
    )
    _concrete("arange", start, stop, step)
    if any(type(v) is Size for v in (start, stop, step)):
        return _range_of_sizes(start, stop, step, dtype, device)
    result: np.ndarray = np.arange(start, stop, step, dtype=dtype)
    if result.dtype.kind in "iu" and start == 0 and step == 1:
        return placed(lax.iota(result.dtype, result.size), device)
    return placed(result, device)


def _range_of_sizes(start: int, stop: int, step: int, dtype: Any, device: Any) -> Array:
    """`arange` of integers some of which are known when the program is called."""
    index = lax.iota(np.dtype(np.int64), range_length(start, stop, step))
    numbers = ufuncs.add(ufuncs.multiply(index, step), start)
    return placed(numbers if dtype is None else convert(numbers, np.dtype(dtype)), device)


def _known(value: Any) -> Any:
    """The value of a traced scalar where it is known, and everything else as it is."""
    return value.__index__() if isinstance(value, Tracer) and value.dtype.kind in "iu" else value


def positions(start: int, stop: int) -> Array:
    """Integers from ``start`` to ``stop``: known whatever is traced, unless one is a size."""
    sized = type(start) is Size or type(stop) is Size
    return arange(start, stop) if sized else np.arange(start, stop)


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """``num`` evenly spaced numbers from ``start`` to ``stop``, which may be traced arrays.

    Examples
    --------
    >>> linspace(0, 1, 3)
    array([0. , 0.5, 1. ])
    """
    start, stop = as_operand(start), as_operand(stop)
    if _is_for_numpy(start, stop, num):
        plain: Any = np.linspace  # its overloads cannot take a bool that is not literal
        out, step = plain(start, stop, num, endpoint, True, dtype, axis)
        return (placed(out, device), step) if retstep else placed(out, device)
    computed = result_type(start, stop, 1.0)
    divisions = num - 1 if endpoint else num
    start, stop = convert(start, computed), convert(stop, computed)
    delta = ufuncs.subtract(stop, start)
    step = ufuncs.true_divide(delta, divisions) if divisions > 0 else np.float64(np.nan)
    index = lax.iota(computed, num)
    index = lax.reshape(index, (num, *(1,) * len(shape_of(delta))))
    out = ufuncs.add(ufuncs.multiply(index, step if divisions > 0 else delta), start)
    if endpoint and num > 1:
        # The last number is exactly stop, whatever rounding does.
        last = lax.broadcast_in_dim(stop, (1, *shape_of(delta)), _trailing(stop, delta))
        out = slicing.concatenate([slicing.slice_in_dim(out, 0, num - 1), last], 0)
    out = lax.moveaxis(out, 0, lax.canonicalize_axis(axis, out.ndim))
    if dtype is not None:
        made = canonical_dtype(dtype)
        out = convert(ufuncs.floor(out) if made.kind in "iu" else out, made)
    out = placed(out, device)
    return (out, step) if retstep else out


def _is_for_numpy(start: Array, stop: Array, num: Any) -> bool:
    """Whether all is known, of dtypes that NumPy can promote."""
    traced = any(isinstance(x, (Tracer, Size)) for x in (start, stop, num))
    return not traced and BFLOAT16 not in (dtype_of(start), dtype_of(stop))


def _trailing(x: Array, full_shaped: Array) -> tuple[int, ...]:
    ndim, own = len(shape_of(full_shaped)), len(shape_of(x))
    return tuple(range(1 + ndim - own, 1 + ndim))


def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Array:
    """Numbers spaced evenly on a logarithmic scale, ``base ** linspace(start, stop, num)``.

    Examples
    --------
    >>> logspace(0, 2, 3)
    array([  1.,  10., 100.])
    """
    base = as_operand(base)
    if shape_of(base):
        start, stop, base = (asarray(v) for v in (start, stop, base))
        wide = common_shape(start.shape, stop.shape, base.shape)
        start, stop, base = expand(start, wide), expand(stop, wide), lax.expand_dims(base, (0,))
    out = ufuncs.power(base, linspace(start, stop, num, endpoint))
    out = lax.moveaxis(out, 0, lax.canonicalize_axis(axis, out.ndim))
    return out if dtype is None else convert(out, canonical_dtype(dtype))


def geomspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Array:
    """``num`` numbers from ``start`` to ``stop``, each the same multiple of the one before.

    Both may be negative, or complex (then the numbers lie on a spiral); neither may be 0.

    Examples
    --------
    >>> geomspace(1, 100, 3)
    array([  1.,  10., 100.])
    """
    start, stop = as_operand(start), as_operand(stop)
    if _is_for_numpy(start, stop, num):
        plain: Any = np.geomspace  # its overloads cannot take a bool that is not literal
        return plain(start, stop, num, endpoint, dtype, axis)
    computed = result_type(start, stop, np.float64)
    first, last = convert(start, computed), convert(stop, computed)
    turn = ufuncs.sign(first)
    low, high = (ufuncs.log10(ufuncs.divide(v, turn)) for v in (first, last))
    inner = ufuncs.multiply(logspace(low, high, num, endpoint), turn)
    out = inner
    if num > 0:
        # The first and the last number are exactly those given, whatever rounding does.
        index = lax.broadcasted_iota(np.int64, inner.shape, 0)
        out = ufuncs.parts.select(ufuncs.equal(index, 0), expand(first, inner.shape), out)
        if endpoint and num > 1:
            at_end = ufuncs.equal(index, num - 1)
            out = ufuncs.parts.select(at_end, expand(last, inner.shape), out)
    out = lax.moveaxis(out, 0, lax.canonicalize_axis(axis, out.ndim))
    return out if dtype is None else convert(out, canonical_dtype(dtype))
