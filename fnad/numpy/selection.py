"""Choosing, clipping, rounding, comparing: elementwise functions that are no ufuncs."""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from ml_dtypes import finfo

from fnad.core.dtypes import result_type
from fnad.core.sizes import common_shape
from fnad.core.types import kind_of
from fnad.numpy import ufuncs
from fnad.numpy.complex_numbers import imag, real
from fnad.numpy.elementwise_parts import select as choose
from fnad.numpy.operands import (
    Array,
    as_operand,
    broadcast_operands,
    convert,
    dtype_of,
    own,
    refuse_out,
    shape_of,
    strong,
    to_inexact,
)
from fnad.numpy.reductions import all as all_of
from fnad.numpy.sized import nonzero
from fnad.primitives.complex_numbers import complex as make_complex


def where(
    condition: Any,
    x: Any = None,
    y: Any = None,
    /,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """``x`` where the condition holds, else ``y``, with broadcasting and promotion.

    With the condition alone it is `nonzero`, which takes ``size`` and ``fill_value``.

    What is not chosen has no influence on derivatives, whatever computing it gave: there is no
    need to keep its operands away from where it is infinite or undefined. That holds through sums,
    indices, calls, loops and branches; behind products of matrices it holds for rows that are left
    out as a whole (``where(valid, loss_of_rows, 0)``). Zeros are ordinary numbers within the sums
    of such products (``x.T @ ct`` is NaN if a row of ``x`` that is left out has an infinity), in
    convolutions, and in rules of `custom_vjp`.

    Raises
    ------
    TypeError
        With the condition alone and no ``size``, if it is traced: the shape of the result would
        be unknown.

    Examples
    --------
    >>> where(np.array([True, False]), 1.0, 2)
    array([1., 2.])
    """
    if x is None and y is None:
        return nonzero(condition, size=size, fill_value=fill_value)
    if size is not None or fill_value is not None:
        raise ValueError("where: size and fill_value are for where(condition), without x and y")
    if x is None or y is None:
        raise ValueError("either both or neither of x and y should be given")
    condition, x, y = as_operand(condition), as_operand(x), as_operand(y)
    dtype = result_type(x, y)
    if dtype_of(condition) != np.bool_:
        condition = ufuncs.not_equal(condition, 0)
    operands = [convert(condition, np.dtype(np.bool_)), convert(x, dtype), convert(y, dtype)]
    return choose(*broadcast_operands(operands, "where"))


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Array:
    """The choice that belongs to the first condition that holds.

    Examples
    --------
    >>> x = np.arange(4)
    >>> select([x < 1, x < 3], [x, 10 * x], -1)
    array([ 0, 10, 20, -1])
    """
    if len(condlist) != len(choicelist) or not condlist:
        raise ValueError("list of cases must be as long as list of conditions, and not empty")
    dtype = result_type(*[as_operand(c) for c in (*choicelist, default)])
    out = convert(as_operand(default), dtype)
    for condition, choice in zip(condlist[::-1], choicelist[::-1]):
        out = where(condition, convert(as_operand(choice), dtype), out)
    return out


def clip(
    a: Any, /, min: Any = None, max: Any = None, *, a_min: Any = None, a_max: Any = None
) -> Array:
    """Values limited to an interval; None leaves a side open.

    ``a_min`` and ``a_max`` are NumPy's older names of the bounds.

    Examples
    --------
    >>> clip(np.array([-1, 5]), 0, 3)
    array([0, 3])
    """
    out = strong(as_operand(a))
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    low, high = _within_range(low, out, -1), _within_range(high, out, 1)
    if low is not None:
        out = ufuncs.maximum(out, low)
    if high is not None:
        out = ufuncs.minimum(out, high)
    return own(out, a)


def _within_range(bound: Any, x: Array, side: int) -> Any:
    """None for a Python int bound beyond the dtype on its own side: it limits nothing."""
    dtype = dtype_of(x)
    if type(bound) is not int or dtype.kind not in "iu":
        return bound
    info = np.iinfo(dtype)
    open_side = bound > info.max if side > 0 else bound < info.min
    return None if open_side else bound


def isposinf(x: Any, /, out: None = None) -> Array:
    """Whether x is positive infinity.

    Examples
    --------
    >>> isposinf(np.array([np.inf, -np.inf, 1.0]))
    array([ True, False, False])
    """
    refuse_out("isposinf", out)
    return _is_infinity("isposinf", x, np.inf)


def isneginf(x: Any, /, out: None = None) -> Array:
    """Whether x is negative infinity.

    Examples
    --------
    >>> isneginf(np.array([np.inf, -np.inf, 1.0]))
    array([False,  True, False])
    """
    refuse_out("isneginf", out)
    return _is_infinity("isneginf", x, -np.inf)


def _is_infinity(name: str, x: Any, which: float) -> Array:
    x = strong(as_operand(x))
    kind = kind_of(x.dtype)
    if kind == "c":
        raise TypeError(f"{name}: complex numbers have no sign, got {x.dtype}")
    return ufuncs.equal(x, which) if kind == "f" else ufuncs.not_equal(x, x)


def round(a: Any, decimals: int = 0, out: None = None) -> Array:
    """Rounded to a number of decimals, ties to even.

    Examples
    --------
    >>> round(np.array([0.5, 1.25]), 1)
    array([0.5, 1.2])
    """
    refuse_out("round", out)
    decimals = operator.index(decimals)
    x = strong(as_operand(a))
    if x.dtype.kind == "c" and decimals:
        return make_complex(round(real(x), decimals), round(imag(x), decimals))
    if x.dtype.kind in "biu":
        if x.dtype.kind == "b":
            return convert(x, np.dtype(np.float16))
        if decimals >= 0:
            return own(x, a)
        scale = convert(10**-decimals, x.dtype)
        return convert(ufuncs.multiply(ufuncs.rint(ufuncs.true_divide(x, scale)), scale), x.dtype)
    if decimals == 0:
        return ufuncs.rint(x)
    scale = x.dtype.type(10.0 ** builtins.abs(decimals))
    if decimals > 0:
        return ufuncs.true_divide(ufuncs.rint(ufuncs.multiply(x, scale)), scale)
    return ufuncs.multiply(ufuncs.rint(ufuncs.true_divide(x, scale)), scale)


around = round


def fix(x: Any) -> Array:
    """Rounded towards zero.

    Examples
    --------
    >>> fix(np.array([-1.5, 1.5]))
    array([-1.,  1.])
    """
    return ufuncs.trunc(x)


def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Array:
    """Values with NaN and infinities replaced (by 0 and the largest numbers by default).

    Examples
    --------
    >>> nan_to_num(np.array([np.nan, 1.0]))
    array([0., 1.])
    """
    a = strong(as_operand(x))
    if a.dtype.kind == "c":
        parts = [nan_to_num(part, copy, nan, posinf, neginf) for part in (real(a), imag(a))]
        return make_complex(*parts)
    if kind_of(a.dtype) != "f":
        return own(a, x) if copy else a
    info = finfo(a.dtype)
    high = info.max if posinf is None else posinf
    low = info.min if neginf is None else neginf
    out = where(ufuncs.isnan(a), convert(nan, a.dtype), a)
    out = where(ufuncs.equal(a, np.inf), convert(high, a.dtype), out)
    return where(ufuncs.equal(a, -np.inf), convert(low, a.dtype), out)


def sinc(x: Any) -> Array:
    """sin(pi x) / (pi x), and 1 at 0.

    Examples
    --------
    >>> sinc(np.array([0.0, 0.5]))
    array([1.        , 0.63661977])
    """
    a = ufuncs.multiply(to_inexact(as_operand(x)), math.pi)
    # Near 0 Taylor's series: there the quotient's derivatives are differences of like numbers.
    small = ufuncs.less(ufuncs.absolute(a), 0.5)
    safe = where(small, 1.0, a)
    square = ufuncs.square(where(small, a, 0.0))
    series: Any = 1.0
    for term in (16, 14, 12, 10, 8, 6, 4, 2):
        factor = ufuncs.true_divide(square, term * (term + 1))
        series = ufuncs.subtract(1, ufuncs.multiply(factor, series))
    return where(small, series, ufuncs.true_divide(ufuncs.sin(safe), safe))


def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Array:
    """Whether ``|a - b| <= atol + rtol * |b|`` elementwise.

    Examples
    --------
    >>> isclose(np.array([1.0, 2.0]), 1.0)
    array([ True, False])
    """
    x, y = as_operand(a), as_operand(b)
    if dtype_of(y).kind in "biu":
        y = convert(y, result_type(y, 1.0))
    near = ufuncs.less_equal(
        ufuncs.absolute(ufuncs.subtract(convert(x, result_type(x, y)), y)),
        ufuncs.add(atol, ufuncs.multiply(rtol, ufuncs.absolute(y))),
    )
    close = ufuncs.logical_or(ufuncs.logical_and(near, ufuncs.isfinite(y)), ufuncs.equal(x, y))
    if equal_nan:
        close = ufuncs.logical_or(close, ufuncs.logical_and(ufuncs.isnan(x), ufuncs.isnan(y)))
    return close


def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Whether all elements are close; see `isclose`.

    Examples
    --------
    >>> bool(allclose(np.array([1.0]), 1.0))
    True
    """
    return all_of(isclose(a, b, rtol, atol, equal_nan))


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """Whether two arrays have the same shape and elements.

    Examples
    --------
    >>> bool(array_equal(np.array([1, 2]), np.array([1, 2])))
    True
    """
    x, y = as_operand(a1), as_operand(a2)
    if shape_of(x) != shape_of(y):
        return np.bool_(False)
    same = ufuncs.equal(x, y)
    if equal_nan:
        same = ufuncs.logical_or(same, ufuncs.logical_and(ufuncs.isnan(x), ufuncs.isnan(y)))
    return all_of(same)


def array_equiv(a1: Any, a2: Any) -> Any:
    """Whether two arrays can be broadcast together and have the same elements then.

    Examples
    --------
    >>> bool(array_equiv(np.array([1, 1]), 1))
    True
    """
    x, y = as_operand(a1), as_operand(a2)
    try:
        common_shape(shape_of(x), shape_of(y))
    except ValueError:
        return np.bool_(False)
    return all_of(ufuncs.equal(x, y))
