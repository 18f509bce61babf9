"""The incomplete gamma functions.

Three methods, each where it is accurate to double precision: Temme's uniform expansion around
``x = a`` for large ``a``, the power series below it, Legendre's continued fraction above it, and
for small ``a`` and ``x`` another series for the upper function. See Gil, Segura and Temme,
"Efficient and accurate algorithms for the computation and inversion of the incomplete gamma
function ratios" (SIAM J. Sci. Comput. 34, 2012).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.primitives import special as primitives
from fnad.primitives.control_flow import fori_loop
from fnad.scipy.operands import log_of_part, polynomial, special_function, with_partials
from fnad.scipy.special.edge_powers import gamma_kernel
from fnad.scipy.special.error_functions import erfcx
from fnad.scipy.special.gamma_coefficients import LOG_GAMMA
from fnad.scipy.special.saddle_points import excess_over_log1p, power_over_gamma
from fnad.transforms.autodiff import jvp
from fnad.transforms.blocks import compiled_elementwise

# eta / (lambda - 1) in powers of eta, where eta**2 / 2 = lambda - 1 - log(lambda).
_TEMME = (
    1.0,
    -0.3333333333333333,
    0.08333333333333333,
    -0.014814814814814815,
    0.0011574074074074073,
    0.0003527336860670194,
    -0.0001787551440329218,
    3.919263178522438e-05,
    -2.185448510679992e-06,
    -1.85406221071516e-06,
    8.296711340953087e-07,
    -1.7665952736826078e-07,
    6.707853543401498e-09,
    1.0261809784240309e-08,
    -4.382036018453353e-09,
    9.14769958223679e-10,
    -2.5514193994946248e-11,
    -5.830772132550426e-11,
    2.4361948020667415e-11,
    -5.0276692801141755e-12,
    1.1004392031956135e-13,
    3.371763262400985e-13,
    -1.392388722418162e-13,
    2.8534893807047445e-14,
    -5.139111834242572e-16,
    -1.9752288294349442e-15,
    8.099521156704561e-16,
)
_LARGE = 12.0  # from here on Temme's expansion is used, where x/a is in (0.3, 2.35)
_SERIES_TERMS, _FRACTION_TERMS = 50, 80


@special_function
@compiled_elementwise
def gammainc(a: Any, x: Any) -> Any:
    """The regularised lower incomplete gamma function, elementwise.

    The integral of ``t**(a-1) exp(-t)`` from 0 to ``x``, over ``gamma(a)``; differentiable in
    both arguments.

    Examples
    --------
    >>> gammainc(np.array([1.0, 1000.0]), np.array([1.0, 1000.0]))
    array([0.63212056, 0.50420524])
    """
    return lower_of_quotient(a, x, x.dtype.type(1))


@special_function
@compiled_elementwise
def gammaincc(a: Any, x: Any) -> Any:
    """The regularised upper incomplete gamma function ``1 - gammainc(a, x)``, elementwise.

    Accurate where it is small; differentiable in both arguments.

    Examples
    --------
    >>> gammaincc(np.array([1.0, 2.0]), np.array([1.0, 100.0]))
    array([3.67879441e-01, 3.75727674e-42])
    """
    return upper_of_quotient(a, x, x.dtype.type(1))


def _power_over_gamma(a: Any, x: Any) -> Any:
    """``x**a exp(-x) / gamma(a + 1)`` for positive a and x."""
    exponent, divisor = power_over_gamma(a, x)
    return fnp.exp(exponent) / divisor


def _temme(a: Any, x: Any) -> tuple[Any, Any]:
    """``eta`` times ``sqrt(a / 2)`` and what is added to the error function, over its square's
    exponential, in Temme's expansion for a >= 12 and x/a in (0.3, 2.35)."""
    mu = (x - a) / a
    eta = mu * fnp.sqrt(excess_over_log1p(mu))
    # The recursion of section 2.5 of Gil, Segura and Temme, downwards.
    terms = list(_TEMME[-2:])
    for m in range(len(_TEMME) - 2, 0, -1):
        terms.insert(0, _TEMME[m] + (m + 1) * terms[1] / a)
    series = polynomial(eta, terms[:-1]) / (1 + terms[1] / a)
    return eta * fnp.sqrt(a / 2), series / fnp.sqrt(2 * math.pi * a)


def _uniform(a: Any, x: Any) -> tuple[Any, Any]:
    """Both functions by Temme's expansion."""
    scaled, rest = _temme(a, x)
    rest = fnp.exp(-scaled * scaled) * rest
    return 0.5 * primitives.erfc(-scaled) - rest, 0.5 * primitives.erfc(scaled) + rest


def _series(a: Any, x: Any) -> Any:
    """The sum of ``x**n / ((a + 1) ... (a + n))``, for x below a + 1."""

    def body(i: Any, total: Any) -> Any:
        return 1 + total * (x / (a + (_SERIES_TERMS - i).astype(x.dtype)))

    return fori_loop(0, _SERIES_TERMS, body, fnp.ones_like(x))


def _fraction(a: Any, x: Any) -> Any:
    """Legendre's continued fraction (DLMF 8.9.2, contracted), for x above a + 1 and 3/2."""

    def body(i: Any, tail: Any) -> Any:
        k = (_FRACTION_TERMS - i).astype(x.dtype)
        return x - a + (2 * k - 1) - k * (k - a) / tail

    return fori_loop(0, _FRACTION_TERMS, body, x - a + (2 * _FRACTION_TERMS + 1))


def _small_upper(a: Any, x: Any) -> Any:
    """The upper function for a < 1 and x < 3/2, where 1 less the lower one would cancel."""
    total = fnp.zeros_like(x)
    for n in range(22, 0, -1):
        total = (1 / (a + n) + total) * (-x / n)
    near = fnp.where(a < 0.3, a, 0)
    # log gamma(1 + a) from gamma(1 + a) = gamma(2 + a) / (1 + a): accurate for small a.
    log_gamma = near * (1 - np.euler_gamma) - fnp.log1p(near)
    log_gamma = log_gamma + near * near * polynomial(near, LOG_GAMMA)
    log_gamma = fnp.where(a < 0.3, log_gamma, primitives.lgamma(1 + a))
    exponent = a * fnp.log(x) - log_gamma
    return -fnp.expm1(exponent) - fnp.exp(exponent) * a * total


def _methods(a: Any, x: Any) -> tuple[Any, Any, Any]:
    """Where the expansion, the series and the fraction are used."""
    uniform = (a >= _LARGE) & (x > 0.3 * a) & (x < 2.35 * a)
    series = ~uniform & (x < fnp.maximum(a + 1, 1.5))
    return uniform, series, ~uniform & ~series


def _both(a: Any, x: Any) -> tuple[Any, Any]:
    regular = (a > 0) & (x > 0) & (a < np.inf) & (x < np.inf)
    a, x = fnp.where(regular, a, 1), fnp.where(regular, x, 1)
    uniform, series, fraction = _methods(a, x)
    b = fnp.where(uniform, a, _LARGE)
    lower, upper = _uniform(b, fnp.where(uniform, x, b))
    # The factor is finite wherever it is used; elsewhere its operands are those of a = x = 1.
    c, y = fnp.where(uniform, 1, a), fnp.where(uniform, 1, x)
    factor = _power_over_gamma(c, y)
    low = fnp.minimum(factor * _series(fnp.where(series, c, 1), fnp.where(series, y, 1)), 1)
    high = factor * c / _fraction(fnp.where(fraction, c, 1), fnp.where(fraction, y, 9))
    small = series & (a < 1) & (x < 1.5)
    small_high = _small_upper(fnp.where(small, a, 0.5), fnp.where(small, x, 1))
    lower = fnp.where(uniform, lower, fnp.where(series, low, 1 - high))
    upper = fnp.where(
        uniform, upper, fnp.where(small, small_high, fnp.where(series, 1 - low, high))
    )
    return lower, upper


def _at_edges(a: Any, x: Any, value: Any, at_zero: float) -> Any:
    at_end = 1 - at_zero
    known = fnp.where((a == 0) | (x == np.inf), x.dtype.type(at_end), at_zero)
    known = fnp.where((a == 0) & (x == 0) | (a == np.inf) & (x == np.inf), np.nan, known)
    edge = (a == 0) | (x == 0) | (a == np.inf) | (x == np.inf)
    outside = ~((a >= 0) & (x >= 0))  # NaN is outside
    return fnp.where(outside, np.nan, fnp.where(edge, known, value))


def _density(a: Any, x: Any, scale: Any) -> Any:
    """The derivative of the lower function of ``x / scale`` in x."""
    return _power(a, a - 1, x, scale, lambda b, y: _power_over_gamma(b, y) * (b / y))


def _scale_slope(a: Any, x: Any, scale: Any) -> Any:
    """The derivative of the lower function of ``x / scale`` in the scale."""
    return -_power(a, a, x, scale, lambda b, y: b * _power_over_gamma(b, y))


def _power(a: Any, p: Any, x: Any, scale: Any, formula: Callable[..., Any]) -> Any:
    """``z**p exp(-z) / gamma(a) / scale``, by the formula without the scale for positive a and z.

    ``z`` is ``x / scale``.
    """
    z = x / scale
    inside, edge = (z > 0) & (z < np.inf) & (a > 0), (z == 0) & (a > 0)
    value = formula(fnp.where(inside, a, 1), fnp.where(inside, z, 1)) / scale
    p, y, log_norm = [fnp.where(edge, v, 0) for v in (p, x, primitives.lgamma(a))]
    at_zero = gamma_kernel(1)(p, y, fnp.where(edge, scale, 1), log_norm)
    return fnp.where(inside, value, fnp.where(edge, at_zero, 0))


def _slope_in_a(function: Callable[..., Any], sign: int) -> Callable[..., Any]:
    """Of a function of ``(a, x, scale)``, with the others' slopes in ``a`` as its own."""

    def of_slope(slope: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *xs: sign * _in_a(slope)(*xs)

    return with_partials(None, of_slope(_density), of_slope(_scale_slope))(_in_a(function))


def _in_a(function: Callable[..., Any]) -> Callable[..., Any]:
    def slope(a: Any, x: Any, scale: Any) -> Any:
        return jvp(lambda a: function(a, x, scale), (a,), (fnp.ones_like(a),))[1]

    return slope


def _lower_value(a: Any, x: Any, scale: Any) -> Any:
    z = x / scale
    return _at_edges(a, z, _both(a, z)[0], 0.0)


def _upper_value(a: Any, x: Any, scale: Any) -> Any:
    z = x / scale
    return _at_edges(a, z, _both(a, z)[1], 1.0)


lower_of_quotient = with_partials(_slope_in_a(_lower_value, 1), _density, _scale_slope)(
    _lower_value
)
upper_of_quotient = with_partials(
    _slope_in_a(_upper_value, -1),
    lambda a, x, scale: -_density(a, x, scale),
    lambda a, x, scale: -_scale_slope(a, x, scale),
)(_upper_value)


def _log_far(a: Any, x: Any) -> Any:
    """The logarithm of the smaller function, by the same methods, for positive a and x."""
    uniform, series, fraction = _methods(a, x)
    b = fnp.where(uniform, a, _LARGE)
    scaled, rest = _temme(b, fnp.where(uniform, x, b))
    near = fnp.log(0.5 * erfcx(fnp.abs(scaled)) + fnp.sign(scaled) * rest) - scaled * scaled
    c, y = fnp.where(uniform, 1, a), fnp.where(uniform, 1, x)
    exponent, divisor = power_over_gamma(c, y)
    low = _series(fnp.where(series, c, 1), fnp.where(series, y, 1))
    high = c / _fraction(fnp.where(fraction, c, 1), fnp.where(fraction, y, 9))
    return fnp.where(uniform, near, exponent + fnp.log(fnp.where(series, low, high) / divisor))


def _log(a: Any, x: Any, part: Any, rest: Any, upper: bool) -> Any:
    tiny = float(np.finfo(x.dtype).tiny) ** 0.5
    far = (part < tiny) & (a > 0) & (x > 0) & (a < np.inf) & (x < np.inf)
    # The methods know the side by where x is, not by which function is wanted.
    far = far & ((x > a) if upper else (x < a))
    value = _log_far(fnp.where(far, a, 1), fnp.where(far, x, 1))
    return fnp.where(far, value, log_of_part(fnp.where(far, tiny, part), rest))


def _log_slopes(
    log_part: Callable[..., Any], sign: int
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The slopes in ``x`` and in the scale: those of the part, over it."""

    def ratio(a: Any, x: Any, scale: Any, power: Any, at_edge: Any) -> Any:
        z, log = x / scale, log_part(a, x, scale)
        inside = (z > 0) & (z < np.inf) & (a > 0)
        b, y = fnp.where(inside, a, 1), fnp.where(inside, z, 1)
        exponent, divisor = power_over_gamma(b, y)
        slope = fnp.exp(exponent - fnp.where(inside, log, 0)) * (b / y**power / divisor)
        return fnp.where(inside, slope / scale, at_edge(a, x, scale) / fnp.exp(log))

    def in_x(a: Any, x: Any, scale: Any) -> Any:
        return sign * ratio(a, x, scale, 1, _density)

    def in_scale(a: Any, x: Any, scale: Any) -> Any:
        return -sign * ratio(a, x, scale, 0, lambda *xs: -_scale_slope(*xs))

    return in_x, in_scale


def _log_lower_value(a: Any, x: Any, scale: Any) -> Any:
    z = x / scale
    return _log(
        a,
        z,
        lower_of_quotient(a, z, z.dtype.type(1)),
        upper_of_quotient(a, z, z.dtype.type(1)),
        upper=False,
    )


def _log_upper_value(a: Any, x: Any, scale: Any) -> Any:
    z = x / scale
    return _log(
        a,
        z,
        upper_of_quotient(a, z, z.dtype.type(1)),
        lower_of_quotient(a, z, z.dtype.type(1)),
        upper=True,
    )


log_lower_of_quotient: Any = with_partials(
    None, *_log_slopes(lambda *xs: log_lower_of_quotient(*xs), 1)
)(_log_lower_value)
log_upper_of_quotient: Any = with_partials(
    None, *_log_slopes(lambda *xs: log_upper_of_quotient(*xs), -1)
)(_log_upper_value)


@special_function
@compiled_elementwise
def igamma_grad_a(a: Any, x: Any) -> Any:
    """The derivative of `gammainc` in ``a``, elementwise; accurate in both tails.

    Examples
    --------
    >>> igamma_grad_a(np.array([1.0]), np.array([1.0]))
    array([-0.43172971])
    """
    return jvp(lambda a: lower_of_quotient(a, x, x.dtype.type(1)), (a,), (fnp.ones_like(a),))[1]


@special_function
@compiled_elementwise
def random_gamma_grad(a: Any, x: Any) -> Any:
    """The derivative in ``a`` of a gamma-distributed number at a fixed value of its cdf.

    That is ``-igamma_grad_a(a, x)`` over the density at ``x``; NaN where both are too small for
    their dtype. Numbers of `fnad.random.gamma` have this derivative by themselves.

    Examples
    --------
    >>> random_gamma_grad(np.array([1.0]), np.array([1.0]))
    array([1.17356303])
    """
    return -igamma_grad_a(a, x) / _density(a, x, x.dtype.type(1))
