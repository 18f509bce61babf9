"""Exponential integrals."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.primitives import special as primitives
from fnad.primitives.control_flow import fori_loop
from fnad.scipy.operands import holomorphic, polynomial, special_function, with_partials
from fnad.scipy.special.complex_integrals import exp1_of_complex, expi_of_complex
from fnad.transforms.blocks import compiled_elementwise

_FRACTION_TERMS, _SERIES_TERMS, _GROWING_TERMS = 120, 20, 160
_ASYMPTOTIC = 40.0  # from here on the divergent series of expi is exact to the last bit


@holomorphic
@compiled_elementwise
def exp1(x: Any) -> Any:
    """The exponential integral E1, of ``exp(-t) / t`` from ``x`` to infinity, elementwise.

    Of complex numbers its continuation, with a branch cut along the negative ones, where the sign
    of the imaginary part's zero says on which side they are.

    Examples
    --------
    >>> exp1(np.array([0.0, 1.0]))
    array([       inf, 0.21938393])
    """
    if fnp.iscomplexobj(x):
        return exp1_of_complex(x)
    return _expn(fnp.ones_like(x), x)


@special_function
@compiled_elementwise
def expn(n: Any, x: Any) -> Any:
    """The generalised exponential integral, of ``exp(-x t) / t**n`` from 1 to infinity.

    Elementwise, for integers ``n >= 0`` (of any dtype) and ``x >= 0``, NaN for others; ``n`` is
    not differentiated.

    Examples
    --------
    >>> expn(np.array([0, 1, 2]), 1.0)
    array([0.36787944, 0.21938393, 0.14849551])
    """
    return _expn(n, x)


def _expn_series(n: Any, x: Any) -> Any:
    """DLMF 8.19.8 for integers n >= 1 and x <= 1."""
    log_term = primitives.digamma(n) - fnp.log(x)
    power = fnp.ones_like(x)  # (-x)**m / m!
    total = fnp.zeros_like(x)
    for m in range(_SERIES_TERMS):
        distance = m + 1 - n
        special = distance == 0
        total = total + power * fnp.where(special, log_term, -1 / fnp.where(special, 1, distance))
        power = power * (-x / (m + 1))
    return total


def _expn_fraction(n: Any, x: Any) -> Any:
    """DLMF 8.19.17, contracted, for x >= 1."""

    def body(i: Any, tail: Any) -> Any:
        k = (_FRACTION_TERMS - i).astype(x.dtype)
        return x + n + 2 * (k - 1) - k * (n + k - 1) / tail

    tail = fori_loop(0, _FRACTION_TERMS, body, x + n + 2 * _FRACTION_TERMS)
    return fnp.exp(-x) / tail


def _expn_value(n: Any, x: Any) -> Any:
    outside = ~((n >= 0) & (n == fnp.floor(n)) & (x >= 0) & (n < np.inf))
    k = fnp.where(outside | (n == 0), 1, n)
    near = x <= 1
    inner = fnp.where(near & (x > 0), x, 0.5)
    outer = fnp.where(near | ~(x < np.inf), 2, x)
    value = fnp.where(near, _expn_series(k, inner), _expn_fraction(k, outer))
    at_zero = fnp.where(k > 1, 1 / fnp.where(k > 1, k - 1, 1), np.inf)
    value = fnp.where(x == 0, at_zero, value)
    value = fnp.where(n == 0, fnp.exp(-x) / x, value)
    return fnp.where(outside, np.nan, fnp.where(x == np.inf, 0, value))


def _expn_slope(n: Any, x: Any) -> Any:
    first = -fnp.exp(-x) / x * (1 + 1 / x)
    return fnp.where(n == 0, first, -_expn(fnp.where(n == 0, 1, n) - 1, x))


_expn = with_partials(lambda n, x: fnp.zeros_like(x), _expn_slope)(_expn_value)


@holomorphic
@compiled_elementwise
def expi(x: Any) -> Any:
    """The exponential integral Ei, of ``exp(t) / t`` from -infinity to ``x``, elementwise.

    Of complex numbers its continuation, with a branch cut along the negative ones, where it is
    real.

    Examples
    --------
    >>> expi(np.array([-1.0, 1.0]))
    array([-0.21938393,  1.89511782])
    """
    return expi_of_complex(x) if fnp.iscomplexobj(x) else _expi(x)


def _expi_value(x: Any) -> Any:
    negative = x < 0
    left = -exp1(fnp.where(negative, -x, 1))
    near = fnp.where((x > 0) & (x <= _ASYMPTOTIC), x, 1)

    def body(i: Any, carry: Any) -> Any:
        power, total = carry  # near**k / k!, and the sum of those over k
        k = (i + 1).astype(near.dtype)
        power = power * (near / k)
        return power, total + power / k

    start = (fnp.ones_like(near), fnp.zeros_like(near))
    series = fori_loop(0, _GROWING_TERMS, body, start)[1] + fnp.log(near) + np.euler_gamma
    far = fnp.where(x > _ASYMPTOTIC, x, _ASYMPTOTIC)
    factorials = [1.0]
    for k in range(1, 36):
        factorials.append(factorials[-1] * (k / _ASYMPTOTIC))
    # exp by halves, as it overflows before the quotient does.
    half = fnp.exp(far / 2)
    asymptotic = half * (polynomial(_ASYMPTOTIC / far, factorials) / far) * half
    right = fnp.where(x > _ASYMPTOTIC, fnp.where(x == np.inf, np.inf, asymptotic), series)
    value = fnp.where(negative, left, fnp.where(x == 0, -np.inf, right))
    return fnp.where(fnp.isnan(x), np.nan, value)


_expi = with_partials(lambda x: fnp.exp(x) / x)(_expi_value)
