"""Bessel functions of the first kind of all integer orders up to one."""

from __future__ import annotations

import math
from functools import cache
from operator import index
from typing import Any

import fnad.numpy as fnp
from fnad.primitives.control_flow import fori_loop
from fnad.scipy.operands import polynomial, special_function, with_partials
from fnad.transforms.blocks import compiled_elementwise

_SMALL = 0.5  # up to here the power series
_LEAST_EDGE = 25.0  # from here on Hankel's expansion is exact to the last bits for orders 0 and 1


def bessel_jn(z: Any, *, v: int, n_iter: int = 50) -> Any:
    """The Bessel functions ``J_0``, ..., ``J_v`` of the first kind, elementwise in ``z``.

    Parameters
    ----------
    z : array
        Real; booleans and integers become float64.
    v : int
        The greatest order, from 0 on.
    n_iter : int
        The order to start the recursion from, at least; by itself it starts from one that is high
        enough for every ``z``.

    Returns
    -------
    array
        ``(v + 1, *z.shape)``.

    Notes
    -----
    For ``abs(z)`` above 25 and ``v`` by recursion upwards from Hankel's expansions, elsewhere by
    Miller's downwards (DLMF 10.74(iv)).

    Examples
    --------
    >>> import numpy as np
    >>> bessel_jn(np.array([0.0, 1.0]), v=1)
    array([[1.        , 0.76519769],
           [0.        , 0.44005059]])
    """
    try:
        order, least = index(v), index(n_iter)
    except TypeError:
        raise TypeError(
            f"bessel_jn: v and n_iter must be Python ints, got {v!r}, {n_iter!r}"
        ) from None
    if order < 0:
        raise ValueError(f"bessel_jn: v must not be negative, got {v}")

    def bessel_jn(z: Any) -> Any:
        return _compiled_orders(order, least)(z)

    return special_function(bessel_jn)(z)


@cache
def _compiled_orders(order: int, least: int) -> Any:
    return compiled_elementwise(_orders(order, least))


def _orders(order: int, least: int) -> Any:
    def slope(z: Any) -> Any:
        values = _orders(order + 1, least)(z)
        below = fnp.concatenate([-values[1:2], values[:-2]])
        return 0.5 * (below - values[1:])

    return with_partials(slope)(lambda z: _values(z, order, least))


def _values(z: Any, order: int, least: int) -> Any:
    size = fnp.abs(z)
    edge = max(_LEAST_EDGE, float(order))
    small, far = size < _SMALL, size > edge
    low = _power_series(fnp.where(small, z, 0), order)
    middle = _downwards(fnp.where(small | ~(size <= edge), 1, z), order, edge, least)
    high = _upwards(fnp.where(far & (size < math.inf), size, edge), order)
    found = []
    for k, (a, b, c) in enumerate(zip(low, middle, high)):
        c = fnp.where(size == math.inf, 0, fnp.where(z < 0, -c, c) if k % 2 else c)
        value = fnp.where(small, a, fnp.where(far, c, b))
        found.append(fnp.where(fnp.isnan(z), math.nan, value))
    return fnp.stack(found)


def _power_series(z: Any, order: int) -> list[Any]:
    """DLMF 10.2.2, for abs(z) < 1/2."""
    half = z / 2
    power, values = fnp.ones_like(z), []
    for n in range(order + 1):
        terms = [1.0]
        for k in range(1, 8):
            terms.append(-terms[-1] / (k * (n + k)))
        values.append(power * polynomial(half * half, terms))
        power = power * (half / (n + 1))
    return values


def _downwards(z: Any, order: int, edge: float, least: int) -> list[Any]:
    """Miller's recursion, normalised by J_0 + 2 J_2 + 2 J_4 + ... = 1."""
    # J_n(x) is below 1e-17 J_x(x) from n = x + 12 x**(1/3) on.
    first = max(least, order, int(edge + 14 * edge ** (1 / 3) + 10))
    first += first % 2
    shrink = 2.0**-60 if z.dtype.itemsize == 4 else 2.0**-600
    limit = shrink**-0.5

    def step(k: Any, value: Any, above: Any) -> tuple[Any, Any, Any]:
        """J_(k-1) from J_k and J_(k+1), both made smaller where they are too large."""
        large = fnp.abs(value) > limit
        factor = fnp.where(large, value.dtype.type(shrink), 1)
        return (2 * k / z * value - above) * factor, value * factor, factor

    def body(i: Any, carry: Any) -> Any:
        value, above, total = carry
        k = first - i
        below, value, factor = step(k.astype(z.dtype), value, above)
        even = (k - 1) % 2 == 0
        return below, value, total * factor + fnp.where(even, 2 * below, 0)

    start = (fnp.full_like(z, 1e-10), fnp.zeros_like(z), fnp.full_like(z, 2e-10))
    value, above, total = fori_loop(0, first - order, body, start)
    found = [(value, fnp.ones_like(z))]  # with the product of the factors that came since
    for k in range(order, 0, -1):
        value, above, factor = step(float(k), value, above)
        total = total * factor + (2 * value if (k - 1) % 2 == 0 else 0)
        found = [(x, scale * factor) for x, scale in found] + [(value, fnp.ones_like(z))]
    total = total - value  # J_0 counts once
    return [x / total * scale for x, scale in found[::-1]]


def _hankel(x: Any, order: int) -> Any:
    """DLMF 10.17.3, for order 0 or 1 and x >= 25."""
    terms, product = [1.0], 1.0
    for k in range(1, 20):
        product *= (4 * order * order - (2 * k - 1) ** 2) / (8 * k)
        terms.append(product)
    square = 1 / (x * x)
    p = polynomial(square, [(-1) ** k * terms[2 * k] for k in range(10)])
    q = polynomial(square, [(-1) ** k * terms[2 * k + 1] for k in range(10)]) / x
    sine, cosine = fnp.sin(x), fnp.cos(x)
    # The phase x - pi/4 - order pi/2 by addition theorems: taking it off x would round.
    first, second = (
        (cosine + sine, sine - cosine) if order == 0 else (sine - cosine, -cosine - sine)
    )
    return (p * first - q * second) / fnp.sqrt(math.pi * x)


def _upwards(x: Any, order: int) -> list[Any]:
    values = [_hankel(x, 0), _hankel(x, 1)]
    for k in range(1, order):
        values.append(2 * k / x * values[k] - values[k - 1])
    return values[: order + 1]
