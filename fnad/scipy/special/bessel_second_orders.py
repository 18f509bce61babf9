"""Bessel functions of the second kind of integer orders, modified ones included.

By recursion upwards from the orders 0 and 1 (DLMF 10.6.1, 10.29.1), which is stable for them, as
they grow (DLMF 10.74(iv)); in as many steps as the greatest order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.primitives.control_flow import while_loop
from fnad.scipy.operands import special_function, with_partials
from fnad.scipy.special.bessel_first_second import y0, y1
from fnad.scipy.special.bessel_modified_second import k0e, k1e
from fnad.transforms.blocks import compiled_elementwise

# In 4 and 8 bytes: what is large, and the part of a pending power of e that then is multiplied in.
_LARGE = {4: (1e10, 20.0), 8: (1e100, 100.0)}


@special_function
@compiled_elementwise
def yn(n: Any, x: Any) -> Any:
    """The Bessel function of the second kind of integer order ``n``, elementwise.

    For integers ``n`` of any dtype, NaN for other numbers; ``n`` is not differentiated. It takes
    time proportional to the greatest ``abs(n)``.

    Examples
    --------
    >>> import numpy as np
    >>> yn(np.array([0, 1, 5]), 2.0)
    array([ 0.51037567, -0.10703243, -9.93598913])
    """
    return _yn(n, x)


@special_function
@compiled_elementwise
def kn(n: Any, x: Any) -> Any:
    """The modified Bessel function of the second kind of integer order ``n``, elementwise.

    For integers ``n`` of any dtype, NaN for other numbers; ``n`` is not differentiated. It takes
    time proportional to the greatest ``abs(n)``.

    Examples
    --------
    >>> import numpy as np
    >>> kn(np.array([0, 1, 5]), 2.0)
    array([0.11389387, 0.13986588, 9.4310491 ])
    """
    return _kn(n, x)


def _orders(n: Any) -> tuple[Any, Any]:
    """Whether a number is an order, and its absolute value if so."""
    order = (n == fnp.floor(n)) & (fnp.abs(n) < math.inf)
    return order, fnp.where(order, fnp.abs(n), 0)


def _upwards(
    n: Any, x: Any, first: Any, second: Any, pending: Any, step: Callable[[Any, Any, Any], Any]
) -> Any:
    """What ``step(2 k / x, of k, of k - 1)`` makes of the orders 0 and 1, up to ``n``.

    Times ``exp(-pending)``, of which parts are multiplied in as the numbers become large.
    """
    large, part = _LARGE[x.dtype.itemsize]
    factor = math.exp(-part)

    # Once infinite, infinite: not less something infinite.
    def going(i: Any, value: Any) -> Any:
        return (i.astype(x.dtype) < n) & (fnp.abs(value) < math.inf)

    def turn(carry: Any) -> Any:
        i, value, below, pending = carry
        goes = going(i, value)
        shrinks = goes & (fnp.abs(value) > large) & (pending > 0)
        value = fnp.where(shrinks, value * factor, value)
        below = fnp.where(shrinks, below * factor, below)
        above = step(2 * i.astype(x.dtype) / fnp.where(goes, x, 1), value, below)
        pending = fnp.where(shrinks, pending - part, pending)
        return i + 1, fnp.where(goes, above, value), fnp.where(goes, value, below), pending

    start = (np.int64(1), second, first, pending)
    _, value, _, left = while_loop(lambda carry: fnp.any(going(*carry[:2])), turn, start)
    return fnp.exp(-fnp.where(n == 0, pending, left)) * fnp.where(n == 0, first, value)


def _yn_value(n: Any, x: Any) -> Any:
    order, size = _orders(n)
    value = _upwards(
        size, x, y0(x), y1(x), fnp.zeros_like(x), lambda ratio, value, below: ratio * value - below
    )
    value = fnp.where((n < 0) & (size % 2 == 1), -value, value)
    return fnp.where(order, value, math.nan)


def _yn_slope(n: Any, x: Any) -> Any:
    slope = 0.5 * (_yn(n - 1, x) - _yn(n + 1, x))
    return fnp.where(x == 0, -_yn(n, x), slope)


def _kn_value(n: Any, x: Any) -> Any:
    order, size = _orders(n)
    _, part = _LARGE[x.dtype.itemsize]
    power = fnp.where((x > 0) & (x < math.inf), x, 0)
    pending = fnp.floor(power / part) * part
    scale = fnp.exp(pending - power)
    value = _upwards(
        size,
        x,
        scale * k0e(x),
        scale * k1e(x),
        pending,
        lambda ratio, value, below: ratio * value + below,
    )
    return fnp.where(order, value, math.nan)


_yn: Any = with_partials(lambda n, x: fnp.zeros_like(x), _yn_slope)(_yn_value)
_kn: Any = with_partials(
    lambda n, x: fnp.zeros_like(x), lambda n, x: -0.5 * (_kn(n - 1, x) + _kn(n + 1, x))
)(_kn_value)
