"""Owen's T function."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.primitives import special as primitives
from fnad.scipy.operands import special_function, with_partials
from fnad.transforms.blocks import compiled_elementwise

_POINTS = 30
_TAIL = 9.0  # exp(-t**2/2) is below 3e-18 from here on


@special_function
@compiled_elementwise
def owens_t(h: Any, a: Any) -> Any:
    """Owen's T function, elementwise.

    The probability that ``X > h`` and ``0 < Y < a X`` for independent unit normal ``X`` and ``Y``:
    the integral of ``exp(-h**2 (1 + t**2) / 2) / (1 + t**2)`` from 0 to ``a``, over 2 pi.

    Examples
    --------
    >>> owens_t(np.array([0.0, 1.0]), np.array([1.0, 0.5]))
    array([0.125     , 0.04306469])
    """
    return _owens_t(h, a)


@cache
def _nodes() -> list[tuple[float, float]]:
    """Gauss and Legendre's nodes and weights on [0, 1]; found when first asked for."""
    points, weights = np.polynomial.legendre.leggauss(_POINTS)
    return [(float(p + 1) / 2, float(w) / 2) for p, w in zip(points, weights)]


def _upper(x: Any) -> Any:
    return 0.5 * primitives.erfc(x * math.sqrt(0.5))


def _in_h(h: Any, a: Any) -> Any:
    part = primitives.erf(_times(a, h) * math.sqrt(0.5))
    return -0.5 / math.sqrt(2 * math.pi) * fnp.exp(-0.5 * h * h) * part


def _in_a(h: Any, a: Any) -> Any:
    square = 1 + a * a
    return fnp.exp(-0.5 * h * h * square) / (2 * math.pi * square)


def _times(a: Any, h: Any) -> Any:
    """The product, 0 also of 0 and infinity."""
    a = fnp.where((h == 0) & (fnp.abs(a) == math.inf), 0, a)
    return a * fnp.where((a == 0) & (fnp.abs(h) == math.inf), 0, h)


@with_partials(_in_h, _in_a)
def _owens_t(h: Any, a: Any) -> Any:
    # Even in h and odd in a; T(h, a) + T(a h, 1/a) is elementary (Owen 1956, equation 2.4).
    h, size = fnp.abs(h), fnp.abs(a)
    turned = size > 1
    safe = fnp.where(turned, size, 1)
    product = _times(size, h)
    first = fnp.where(turned, product, h)
    slope = fnp.where(turned, 1 / safe, size)
    first = fnp.where(first < math.inf, first, 1e4)  # where it is 0, too
    end = fnp.minimum(slope, _TAIL / fnp.where(first > 0, first, 1))
    end = fnp.where(first > 0, end, slope)
    total: Any = 0.0
    for node, weight in _nodes():
        square = (end * node) ** 2
        total = total + weight * fnp.exp(-0.5 * first * first * square) / (1 + square)
    direct = end * total * fnp.exp(-0.5 * first * first) / (2 * math.pi)
    one, other = _upper(h), _upper(product)
    value = fnp.where(turned, 0.5 * (one + other) - one * other - direct, direct)
    return fnp.where(fnp.isnan(h) | fnp.isnan(a), math.nan, fnp.copysign(value, a))
