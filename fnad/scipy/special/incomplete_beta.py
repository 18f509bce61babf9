"""The regularised incomplete beta function."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.primitives.control_flow import fori_loop
from fnad.scipy.operands import special_function, with_partials
from fnad.scipy.special.saddle_points import powers_over_beta

_MOST_TERMS = 20000


@special_function
def betainc(a: Any, b: Any, x: Any) -> Any:
    """The regularised incomplete beta function, elementwise.

    The integral of ``t**(a-1) (1-t)**(b-1)`` from 0 to ``x``, over ``beta(a, b)``;
    differentiable in all arguments. Where ``a`` or ``b`` is 0 or infinite it is its limit, a step.

    Examples
    --------
    >>> betainc(np.array([1.0, 50.0]), np.array([2.0, 50.0]), np.array([0.5, 0.5])).round(12)
    array([0.75, 0.5 ])
    """
    return _betainc(a, b, x)


@special_function
def betaincc(a: Any, b: Any, x: Any) -> Any:
    """``1 - betainc(a, b, x)``, accurate where that is small, elementwise.

    Examples
    --------
    >>> betaincc(1.0, np.array([2.0, 500.0]), 0.5)
    array([2.50000000e-001, 3.05493636e-151])
    """
    return _betaincc(a, b, x)


@special_function
def log_betainc(a: Any, b: Any, x: Any) -> Any:
    """The logarithm of `betainc`, elementwise, also where that underflows."""
    return _log_betainc(a, b, x)


@special_function
def log_betaincc(a: Any, b: Any, x: Any) -> Any:
    """The logarithm of `betaincc`, elementwise, also where that underflows."""
    return _log_betaincc(a, b, x)


def _powers_over_beta(a: Any, b: Any, x: Any) -> Any:
    """``x**a (1-x)**b / beta(a, b)`` for x in (0, 1)."""
    exponent, factor = powers_over_beta(a, b, x)
    return factor * fnp.exp(exponent)


def _fraction(a: Any, b: Any, x: Any) -> Any:
    """The continued fraction of DLMF 8.17.22, from behind, for x below about the mean."""
    # Its terms settle after some sqrt(max(a, b)) of them.
    size = fnp.sqrt(fnp.max(fnp.maximum(a, b), initial=1.0))
    terms = fnp.minimum(40 + 5 * size, _MOST_TERMS).astype(np.int64)

    def body(i: Any, tail: Any) -> Any:
        m = (terms - i).astype(x.dtype)
        end = a + 2 * m
        tail = 1 - (a + m) / end * ((a + b + m) / (end + 1)) * x / tail
        return 1 + m / (end - 1) * ((b - m) / end) * x / tail

    tail = fori_loop(0, terms, body, fnp.ones_like(x))
    return 1 - (a + b) / (a + 1) * x / tail


def _tail(a: Any, b: Any, x: Any, upper: bool, log: bool = False) -> Any:
    regular = (a > 0) & (b > 0) & (x > 0) & (x < 1) & (a < np.inf) & (b < np.inf)
    p, q, y = fnp.where(regular, a, 1), fnp.where(regular, b, 1), fnp.where(regular, x, 0.5)
    exponent, factor = powers_over_beta(p, q, y)
    swap = y > (p + 1) / (p + q + 2)
    first, second = fnp.where(swap, q, p), fnp.where(swap, p, q)
    factor = factor / (first * _fraction(first, second, fnp.where(swap, 1 - y, y)))
    part = fnp.minimum(factor * fnp.exp(exponent), 1)
    if log:
        part, rest = fnp.minimum(exponent + fnp.log(factor), 0), fnp.log1p(-part)
    else:
        rest = 1 - part
    value = fnp.where(~swap if upper else swap, rest, part)
    at_0, at_1 = (a == 0) | (b == np.inf), (b == 0) | (a == np.inf)
    none, everything = (-np.inf, 0) if log else (0, 1)
    below, above = map(x.dtype.type, (everything, none) if upper else (none, everything))
    value = fnp.where(regular, value, fnp.where(at_0, above, below))
    value = fnp.where(x == 0, below, fnp.where(x == 1, above, value))
    known = (a >= 0) & (b >= 0) & (x >= 0) & (x <= 1) & ~(at_0 & at_1)
    return fnp.where(known, value, np.nan)


def _density(a: Any, b: Any, x: Any) -> Any:
    inside = (x > 0) & (x < 1) & (a > 0) & (b > 0)
    p, q, y = fnp.where(inside, a, 1), fnp.where(inside, b, 1), fnp.where(inside, x, 0.5)
    shape, other = fnp.where(x == 0, a, b), fnp.where(x == 0, b, a)
    at_end = fnp.where(shape == 1, other, fnp.where(shape < 1, x.dtype.type(np.inf), 0))
    return fnp.where(inside, _powers_over_beta(p, q, y) / y / (1 - y), at_end)


_betainc = with_partials(None, None, _density)(lambda a, b, x: _tail(a, b, x, upper=False))
_betaincc = with_partials(None, None, lambda a, b, x: -_density(a, b, x))(
    lambda a, b, x: _tail(a, b, x, upper=True)
)


def _log_slope(a: Any, b: Any, x: Any, log_part: Any) -> Any:
    """The density over a part, in x."""
    inside = (x > 0) & (x < 1) & (a > 0) & (b > 0)
    p, q, y = fnp.where(inside, a, 1), fnp.where(inside, b, 1), fnp.where(inside, x, 0.5)
    exponent, factor = powers_over_beta(p, q, y)
    slope = factor * fnp.exp(exponent - fnp.where(inside, log_part, 0)) / y / (1 - y)
    return fnp.where(inside, slope, _density(a, b, x) / fnp.exp(log_part))


_log_betainc: Any = with_partials(
    None, None, lambda a, b, x: _log_slope(a, b, x, _log_betainc(a, b, x))
)(lambda a, b, x: _tail(a, b, x, upper=False, log=True))
_log_betaincc: Any = with_partials(
    None, None, lambda a, b, x: -_log_slope(a, b, x, _log_betaincc(a, b, x))
)(lambda a, b, x: _tail(a, b, x, upper=True, log=True))
