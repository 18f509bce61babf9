"""The complete elliptic integrals, by the arithmetic-geometric mean (DLMF 19.8(i)).

All in terms of ``p = 1 - m``, the complementary parameter, which tells parameters next to 1 apart.
Two more functions, smooth where ``p`` is 1, carry the derivatives (DLMF 19.4.1, 19.4.2):
``D = (K - E) / m`` and ``B = (E - p K) / m``.
"""

from __future__ import annotations

import math
from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import special_function, with_partials
from fnad.transforms.blocks import compiled_elementwise

_MEANS = 15  # enough for the least denormal number, whose logarithm they halve
_NEAR = 0.5  # parameters up to here are near 0
_NEAR_MEANS = 4


@special_function
@compiled_elementwise
def ellipk(m: Any) -> Any:
    """The complete elliptic integral of the first kind, elementwise.

    The integral of ``(1 - m sin(t)**2)**(-1/2)`` from 0 to pi/2: infinite where ``m`` is 1, NaN
    above.

    Examples
    --------
    >>> import numpy as np
    >>> ellipk(np.array([-1.0, 0.0, 0.5]))
    array([1.31102878, 1.57079633, 1.85407468])
    """
    return _k(1 - m)


@special_function
@compiled_elementwise
def ellipkm1(p: Any) -> Any:
    """``ellipk(1 - p)``, accurate also where ``p`` is small, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> ellipkm1(np.array([1.0, 1e-20]))
    array([ 1.57079633, 24.41214529])
    """
    return _k(p)


@special_function
@compiled_elementwise
def ellipe(m: Any) -> Any:
    """The complete elliptic integral of the second kind, elementwise.

    The integral of ``(1 - m sin(t)**2)**(1/2)`` from 0 to pi/2: 1 where ``m`` is 1, NaN above.

    Examples
    --------
    >>> import numpy as np
    >>> ellipe(np.array([-1.0, 0.0, 1.0]))
    array([1.91009889, 1.57079633, 1.        ])
    """
    return _e(1 - m)


def _k_value(p: Any) -> Any:
    usual = (p > 0) & (p < math.inf)
    larger, smaller = fnp.ones_like(p), fnp.sqrt(fnp.where(usual, p, 1))
    for _ in range(_MEANS):
        larger, smaller = 0.5 * (larger + smaller), fnp.sqrt(larger) * fnp.sqrt(smaller)
    value = fnp.where(p == 0, math.inf, 0.5 * math.pi / larger)
    value = fnp.where(p == math.inf, 0, value)
    return fnp.where((p < 0) | fnp.isnan(p), math.nan, value)


def _near_one(p: Any) -> tuple[Any, Any]:
    """K and (K - E) / (m K) where m = 1 - p is at most 1/2 in size; DLMF 19.8.6, over m.

    The differences of the means are made of their squares, so that nothing cancels.
    """
    root = fnp.sqrt(p)
    larger, smaller = 0.5 * (1 + root), fnp.sqrt(root)
    over_m = 0.5 / (1 + root)
    difference = over_m * (1 - p)  # half that of the means before
    over_m = over_m * difference  # its square over m
    total: Any = 0.5
    weight = 1.0
    for _ in range(_NEAR_MEANS):
        total = total + weight * over_m
        larger, smaller = 0.5 * (larger + smaller), fnp.sqrt(larger * smaller)
        ratio = difference / (4 * larger)
        over_m, difference = over_m * ratio * ratio, difference * ratio
        weight *= 2
    return 0.5 * math.pi / larger, total


def _e_value(p: Any) -> Any:
    usual = (p > 0) & (p < math.inf)
    q = fnp.where(usual, p, 1)
    # Negative m by DLMF 19.7.2; then m = 1 - c in (1/2, 1) by Legendre's relation, DLMF 19.7.1, of
    # which all terms are positive, and m in [0, 1/2] directly.
    turned = q > 1
    c = fnp.where(turned, 1 / fnp.where(turned, q, 1), q)
    near = c >= 1 - _NEAR
    k, share = _near_one(fnp.where(near, c, 1 - c))
    legendre = 0.5 * math.pi / k + _k_value(c) * (c * share)
    value = fnp.where(near, k * (1 - (1 - c) * share), legendre)
    value = value * fnp.sqrt(fnp.where(turned, q, 1))
    value = fnp.where(p == 0, 1, fnp.where(p == math.inf, math.inf, value))
    return fnp.where((p < 0) | fnp.isnan(p), math.nan, value)


def _d(p: Any) -> Any:
    near, q = _split(p)
    k, share = _near_one(fnp.where(near, p, 1))
    far = (_k(q) - _e(q)) / (1 - q)
    return fnp.where(p == math.inf, 0, fnp.where(near, k * share, far))


def _b(p: Any) -> Any:
    near, q = _split(p)
    k, share = _near_one(fnp.where(near, p, 1))
    far = (_e(q) - q * _k(fnp.where(q == 0, 1, q))) / (1 - q)
    return fnp.where(p == math.inf, 0, fnp.where(near, k * (1 - share), far))


def _split(p: Any) -> tuple[Any, Any]:
    """Whether p is near 1, and what is not, nor infinite."""
    near = fnp.abs(p - 1) <= _NEAR
    return near, fnp.where(near | (p == math.inf), 2, p)


_k: Any = with_partials(lambda p: -0.5 * _b(p) / p)(_k_value)
_e: Any = with_partials(lambda p: 0.5 * _d(p))(_e_value)
