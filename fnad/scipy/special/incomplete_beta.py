"""The regularised incomplete beta function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.primitives.control_flow import fori_loop
from fnad.scipy.operands import special_function, with_partials
from fnad.scipy.special.edge_powers import beta_kernel
from fnad.scipy.special.gamma_functions import betaln
from fnad.scipy.special.saddle_points import powers_over_beta
from fnad.transforms.blocks import compiled_elementwise

_MOST_TERMS = 20000


@special_function
@compiled_elementwise
def betainc(a: Any, b: Any, x: Any) -> Any:
    """The regularised incomplete beta function, elementwise.

    The integral of ``t**(a-1) (1-t)**(b-1)`` from 0 to ``x``, over ``beta(a, b)``;
    differentiable in all arguments. Where ``a`` or ``b`` is 0 or infinite it is its limit, a step.

    Examples
    --------
    >>> betainc(np.array([1.0, 50.0]), np.array([2.0, 50.0]), np.array([0.5, 0.5])).round(12)
    array([0.75, 0.5 ])
    """
    return betainc_of_quotient(a, b, x, x.dtype.type(1))


@special_function
@compiled_elementwise
def betaincc(a: Any, b: Any, x: Any) -> Any:
    """``1 - betainc(a, b, x)``, accurate where that is small, elementwise.

    Examples
    --------
    >>> betaincc(1.0, np.array([2.0, 500.0]), 0.5)
    array([2.50000000e-001, 3.05493636e-151])
    """
    return betaincc_of_quotient(a, b, x, x.dtype.type(1))


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


def _at(formula: Callable[..., Any], edge_powers: Callable[..., Any]) -> Callable[..., Any]:
    """A power of ``z = x / scale`` and one of ``1 - z`` over ``beta(a, b)`` and the scale.

    ``formula(a, b, z)`` has it without the scale, for z in (0, 1); ``edge_powers(a, b)`` are the
    powers.
    """

    def power(a: Any, b: Any, x: Any, scale: Any) -> Any:
        z = x / scale
        inside = (z > 0) & (z < 1) & (a > 0) & (b > 0)
        edge = ((z == 0) | (z == 1)) & (a > 0) & (b > 0)
        p, q, y = fnp.where(inside, a, 1), fnp.where(inside, b, 1), fnp.where(inside, z, 0.5)
        value = formula(p, q, y) / scale
        first, second, log_norm = [
            fnp.where(edge, v, 0) for v in (*edge_powers(a, b), betaln(a, b))
        ]
        y, unit = fnp.where(edge, x, 0), fnp.where(edge, scale, 1)
        at_edge = beta_kernel(1)(first, second, y, unit, log_norm)
        return fnp.where(inside, value, fnp.where(edge, at_edge, 0))

    return power


# The slope of `betainc` of a quotient in its first part, and, but for the sign, in the scale.
_density = _at(
    lambda a, b, z: _powers_over_beta(a, b, z) / z / (1 - z), lambda a, b: (a - 1, b - 1)
)
_scale_slope = _at(lambda a, b, z: _powers_over_beta(a, b, z) / (1 - z), lambda a, b: (a, b - 1))


def _value(a: Any, b: Any, x: Any, scale: Any, **kind: bool) -> Any:
    return _tail(a, b, x / scale, **kind)


betainc_of_quotient = with_partials(None, None, _density, lambda *xs: -_scale_slope(*xs))(
    partial(_value, upper=False)
)
betaincc_of_quotient = with_partials(None, None, lambda *xs: -_density(*xs), _scale_slope)(
    partial(_value, upper=True)
)


def _log_slopes(
    log_part: Callable[..., Any], sign: int
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The slopes in ``x`` and in the scale: those of the part, over it."""

    def ratio(power: int, at_edge: Callable[..., Any], *xs: Any) -> Any:
        a, b, x, scale = xs
        z, log = x / scale, log_part(*xs)
        inside = (z > 0) & (z < 1) & (a > 0) & (b > 0)
        p, q, y = fnp.where(inside, a, 1), fnp.where(inside, b, 1), fnp.where(inside, z, 0.5)
        exponent, factor = powers_over_beta(p, q, y)
        slope = factor * fnp.exp(exponent - fnp.where(inside, log, 0)) / y**power / (1 - y)
        return fnp.where(inside, slope / scale, at_edge(*xs) / fnp.exp(log))

    def in_x(*xs: Any) -> Any:
        return sign * ratio(1, _density, *xs)

    def in_scale(*xs: Any) -> Any:
        return -sign * ratio(0, _scale_slope, *xs)

    return in_x, in_scale


log_betainc_of_quotient: Any = with_partials(
    None, None, *_log_slopes(lambda *xs: log_betainc_of_quotient(*xs), 1)
)(partial(_value, upper=False, log=True))
log_betaincc_of_quotient: Any = with_partials(
    None, None, *_log_slopes(lambda *xs: log_betaincc_of_quotient(*xs), -1)
)(partial(_value, upper=True, log=True))
