"""The gamma function and its kin: factorials, beta functions, polygamma and zeta functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.primitives import special as primitives
from fnad.scipy.operands import (
    complex_log,
    floating,
    holomorphic,
    polynomial,
    special_function,
    with_partials,
)
from fnad.scipy.special.complex_gamma import digamma_of_complex, gamma_of_complex
from fnad.scipy.special.gamma_coefficients import STIRLING
from fnad.transforms.blocks import compiled_elementwise

# (gamma(2 + t) - 1) / t for |t| <= 1/2 to 17 digits, lowest power first: a Chebyshev fit.
_GAMMA = (
    0.42278433509846713,
    0.4118403304264397,
    0.08157691924708628,
    0.0742490107535139,
    -0.0002669820687465048,
    0.011154045718131736,
    -0.002852645821062589,
    0.0021039333406510114,
    -0.0009195738417827377,
    0.0004903884523009933,
    -0.00024094138093676038,
    0.00012167377908799694,
    -6.079352487679263e-05,
    3.0453873825869107e-05,
    -1.5230257414126883e-05,
    7.619440417064507e-06,
    -3.83415775529414e-06,
    1.9175155193864375e-06,
    -8.897039850770277e-07,
    4.4489925563318547e-07,
    -3.390056123785759e-07,
    1.6950899772494006e-07,
)
# B_2k / (2k)!, of the Euler-Maclaurin formula.
BERNOULLI = (
    0.08333333333333333,
    -0.001388888888888889,
    3.306878306878307e-05,
    -8.267195767195768e-07,
    2.08767569878681e-08,
    -5.284190138687493e-10,
    1.3382536530684679e-11,
    -3.3896802963225827e-13,
    8.586062056277845e-15,
    -2.174868698558062e-16,
    5.5090028283602295e-18,
    -1.3954464685812522e-19,
)


@special_function
def gammaln(x: Any) -> Any:
    """The logarithm of ``|gamma(x)|``, elementwise.

    Examples
    --------
    >>> gammaln(np.array([1.0, 4.0]))
    array([0.        , 1.79175947])
    """
    return primitives.lgamma(x)


@holomorphic
def digamma(x: Any) -> Any:
    """The derivative of `gammaln`, elementwise, of real or complex numbers.

    Examples
    --------
    >>> digamma(np.array([1.0, 2.0]))
    array([-0.57721566,  0.42278434])
    """
    return digamma_of_complex(x) if fnp.iscomplexobj(x) else primitives.digamma(x)


def polygamma(n: int, x: Any) -> Any:
    """The derivative of `digamma` of the fixed order ``n``, elementwise in ``x``.

    Examples
    --------
    >>> polygamma(1, np.array([1.0, 2.0]))
    array([1.64493407, 0.64493407])
    """
    try:
        order = n.__index__()
    except (AttributeError, TypeError):
        order = -1
    if order < 0:
        raise ValueError(f"polygamma: the order must be a nonnegative Python int, got {n!r}")

    def polygamma_of_order(x: Any) -> Any:
        return primitives.polygamma(order, x)

    return special_function(polygamma_of_order)(x)


@special_function
def gammasgn(x: Any) -> Any:
    """The sign of ``gamma(x)``, elementwise: NaN at the negative integers.

    Examples
    --------
    >>> gammasgn(np.array([-1.5, -0.5, 2.0]))
    array([ 1., -1.,  1.])
    """
    floor = fnp.floor(x)
    sign = fnp.where(floor % 2 == 0, x.dtype.type(1), -1)
    at_zero = fnp.copysign(fnp.ones_like(x), x)
    return fnp.where(
        x > 0, 1, fnp.where(x == 0, at_zero, fnp.where((x == floor) | fnp.isnan(x), np.nan, sign))
    )


@holomorphic
@compiled_elementwise
def gamma(x: Any) -> Any:
    """The gamma function, elementwise: NaN at the negative integers, infinite at 0.

    Of complex numbers it is the exponential of `loggamma`, whose modulus counts the roundings that
    it is off by; NaN at 0, too.

    Examples
    --------
    >>> gamma(np.array([0.5, 5.0]))
    array([ 1.77245385, 24.        ])
    """
    return gamma_of_complex(x) if fnp.iscomplexobj(x) else _gamma(x)


def _right_gamma(x: Any) -> Any:
    """gamma(x) for x >= 1/2."""
    large = x > 22
    # gamma(x) = (x-1) (x-2) ... y gamma(y), y in [3/2, 5/2]: exact at integers.
    near = fnp.where(large, 2, x)
    product = fnp.ones_like(x)
    for _ in range(20):
        reduce = near > 2.5
        near = fnp.where(reduce, near - 1, near)
        product = fnp.where(reduce, product * near, product)
    below = near < 1.5
    product = fnp.where(below, 1 / near, product)
    near = fnp.where(below, near + 1, near) - 2
    small = product * (1 + near * polynomial(near, _GAMMA))
    # Stirling's formula; the power by halves, as it overflows before gamma does.
    overflows = x > (36 if x.dtype.itemsize == 4 else 172)
    far = fnp.where(large & ~overflows, x, 22)
    half = far ** ((far - 0.5) / 2)
    stirling = half * fnp.exp(-far) * half * fnp.exp(stirling_correction(far))
    stirling = fnp.where(overflows, np.inf, math.sqrt(2 * math.pi) * stirling)
    return fnp.where(large, stirling, small)


def _gamma_value(x: Any) -> Any:
    reflected = x < 0.5
    right = _right_gamma(fnp.where(reflected, 1 - x, x))
    # sin(pi x) from the distance to the nearest integer, which is exact.
    nearest = fnp.rint(x)
    sine = fnp.sin((x - nearest) * math.pi) * fnp.where(nearest % 2 == 0, x.dtype.type(1), -1)
    left = math.pi / (fnp.where(reflected, sine, 1) * right)
    # As 1/gamma(x) = x + ..., and the product above rounds it away or underflows.
    left = fnp.where(fnp.abs(x) < 1e-20, 1 / fnp.where(reflected, x, 1), left)
    pole = (x < 0) & (x == nearest)
    return fnp.where(pole, np.nan, fnp.where(reflected, left, right))


_gamma: Any = with_partials(lambda x: _gamma(x) * primitives.digamma(x))(_gamma_value)


def stirling_correction(x: Any) -> Any:
    """``gammaln(x) - ((x - 1/2) log(x) - x + log(2 pi)/2)`` for x >= 10."""
    inverse = 1 / x
    return inverse * polynomial(inverse * inverse, STIRLING)


def factorial(n: Any, exact: bool = False) -> Any:
    """``n! = gamma(n + 1)``, elementwise, 0 for negative ``n``.

    Parameters
    ----------
    n : array
        Of any dtype; the result is floating.
    exact : bool
        Only False: exact factorials are Python's integers, which arrays cannot hold.

    Examples
    --------
    >>> factorial(np.array([0, 5]))
    array([  1., 120.])
    """
    if exact:
        raise ValueError(
            "factorial: exact=True gives Python integers of any length, which no traced array"
            " holds; use math.factorial for them, or exact=False"
        )
    (n,) = floating("factorial", n)
    return fnp.where(n < 0, 0, gamma(fnp.where(n < 0, 0, n) + 1))


@special_function
@compiled_elementwise
def betaln(a: Any, b: Any) -> Any:
    """The logarithm of ``|beta(a, b)|``, elementwise.

    Examples
    --------
    >>> betaln(np.array([1.0, 1e10]), np.array([1.0, 2.0]))
    array([  0.        , -46.05170186])
    """
    return _betaln(a, b)


def _sine(x: Any) -> Any:
    """``sin(pi x)``, 0 at integers, from the distance to the nearest one, which is exact."""
    nearest = fnp.rint(x)
    return _parity(nearest) * fnp.sin((x - nearest) * math.pi)


def _parity(n: Any) -> Any:
    """``(-1)**n`` of integers."""
    return 1 - 2 * (n - 2 * fnp.floor(n / 2))


def _is_pole(x: Any) -> Any:
    return (x <= 0) & (x == fnp.floor(x))


def _reflected_beta(a: Any, b: Any) -> tuple[Any, Any, Any]:
    """``p``, ``q``, ``factor`` with ``beta(a, b) = factor * beta(p, q)`` and ``p <= q``.

    Where one operand is negative and their sum below 1, ``p`` and ``q`` are positive; where both
    are large and of opposite signs, ``p`` is small.
    """
    small, large = fnp.minimum(a, b), fnp.maximum(a, b)
    total = small + large
    nearer = (total + small < 1) & (total != fnp.floor(total))
    turned = (small <= 0) & (small > -np.inf) & (large > 0) & ((total < 1) | nearer)
    low, high = fnp.where(turned, small, -0.5), fnp.where(turned, large, 1)
    # beta(low, high) = beta(1 - low - high, high) sin(pi (low + high)) / sin(pi low), and where
    # `high` is an integer, the limit at integers `low` is also the value.
    pole = _is_pole(low)
    quotient = _sine(low + high) / fnp.where(pole, 1, _sine(low))
    quotient = fnp.where(high == fnp.floor(high), _parity(high), fnp.where(pole, np.inf, quotient))
    other = fnp.where(turned, 1 - low - high, small)
    return fnp.minimum(other, large), fnp.maximum(other, large), fnp.where(turned, quotient, 1)


def _betaln_value(a: Any, b: Any) -> Any:
    small, large, factor = _reflected_beta(a, b)
    plain = primitives.lgamma(small) + primitives.lgamma(large) - primitives.lgamma(small + large)
    plain = fnp.where(_is_pole(small) | _is_pole(large), np.inf, plain)
    # With Stirling's formula for the larger, or both, nothing large is left that would cancel.
    one = (large >= 10) & (small + large >= 10) & (large < np.inf)
    both = one & (small >= 10)
    p = fnp.where(one, small, 1)
    q = fnp.where(one, large, 10)
    log_sum = fnp.log1p(p / q)
    rest = stirling_correction(q) - stirling_correction(p + q) - (p + q - 0.5) * log_sum
    one_large = primitives.lgamma(p) - p * fnp.log(q) + p + rest
    w = fnp.where(both, p, 10)
    two_large = (
        (w - 0.5) * fnp.log(w / q)
        + stirling_correction(w)
        + rest
        + 0.5 * (math.log(2 * math.pi) - fnp.log(q))
    )
    value = fnp.where(both, two_large, fnp.where(one, one_large, plain))
    limit = -small * np.inf  # NaN at 0, where it is no limit
    return fnp.where(large == np.inf, limit, value) + fnp.log(fnp.abs(factor))


_betaln = with_partials(
    lambda a, b: primitives.digamma(a) - primitives.digamma(a + b),
    lambda a, b: primitives.digamma(b) - primitives.digamma(a + b),
)(_betaln_value)


@special_function
@compiled_elementwise
def beta(a: Any, b: Any) -> Any:
    """``gamma(a) gamma(b) / gamma(a + b)``, elementwise.

    Examples
    --------
    >>> beta(np.array([1.0, 2.0]), np.array([1.0, 3.0]))
    array([1.        , 0.08333333])
    """
    return _beta(a, b)


def _beta_value(a: Any, b: Any) -> Any:
    p, q, factor = _reflected_beta(a, b)
    small = (fnp.abs(p) < 12) & (fnp.abs(q) < 12) & ~_is_pole(p) & ~_is_pole(q)
    x, y = fnp.where(small, p, 1), fnp.where(small, q, 1)
    # 1 / gamma is 0 at poles, where it has no sign.
    total = fnp.where(_is_pole(p + q), 1, p + q)
    over = fnp.where(_is_pole(x + y), 0, 1 / gamma(fnp.where(small, total, 1)))
    size = gammasgn(p) * gammasgn(q) * gammasgn(total) * fnp.exp(_betaln(p, q))
    value = fnp.where(small, gamma(x) * gamma(y) * over, size)
    return fnp.where((factor == np.inf) | _is_pole(p) | _is_pole(q), np.inf, factor * value)


_beta: Any = with_partials(
    lambda a, b: _beta(a, b) * (primitives.digamma(a) - primitives.digamma(a + b)),
    lambda a, b: _beta(a, b) * (primitives.digamma(b) - primitives.digamma(a + b)),
)(_beta_value)


@special_function
@compiled_elementwise
def poch(z: Any, m: Any) -> Any:
    """Pochhammer's symbol ``gamma(z + m) / gamma(z)``, elementwise.

    At poles of both it is the limit along ``z``, at those of the numerator alone infinite.

    Examples
    --------
    >>> poch(np.array([1.0, 2.0]), np.array([2.0, 3.0])).round(12)
    array([ 2., 24.])
    """
    return _poch(z, m)


def _poch_value(z: Any, m: Any) -> Any:
    end = z + m
    # gamma(end) / gamma(z) = gamma(1 - z) / gamma(1 - end) * sin(pi z) / sin(pi end).
    left = (z <= 0) & (end <= 0)
    whole = m == fnp.floor(m)
    pole = _is_pole(end)
    quotient = _sine(z) / _sine(fnp.where(left & ~pole, end, 0.5))
    quotient = fnp.where(whole, _parity(m), fnp.where(pole, np.inf, quotient))
    low, high = fnp.minimum(z, end), fnp.maximum(z, end)
    low, high = fnp.where(left, 1 - high, low), fnp.where(left, 1 - low, high)
    # The ratio of gamma at `high` and `low`, which lie `width` apart, or its inverse.
    width = fnp.abs(m)
    apart = fnp.where((width > 0) & (low > 0), width, 1)
    right = primitives.lgamma(apart) - _betaln(fnp.where(low > 0, low, 1), apart)
    size = fnp.where(low > 0, right, primitives.lgamma(high) - primitives.lgamma(low))
    value = fnp.exp(fnp.where(m > 0, size, -size))
    sign = fnp.where(_is_pole(z), 1, gammasgn(z)) * fnp.where(pole, 1, gammasgn(end))
    value = fnp.where(left & (quotient == np.inf), np.inf, fnp.where(left, quotient, sign) * value)
    return fnp.where((m == 0) & ~fnp.isnan(z), 1, value)


_poch: Any = with_partials(
    lambda z, m: _poch(z, m) * (primitives.digamma(z + m) - primitives.digamma(z)),
    lambda z, m: _poch(z, m) * primitives.digamma(z + m),
)(_poch_value)


def multigammaln(a: Any, d: int) -> Any:
    """The logarithm of the multivariate gamma function of dimension ``d``, elementwise in ``a``.

    Examples
    --------
    >>> multigammaln(np.array([2.0]), 1)
    array([0.])
    """
    if d < 1:
        raise ValueError(f"multigammaln: the dimension must be at least 1, got {d}")
    (a,) = floating("multigammaln", a)
    total = d * (d - 1) / 4 * math.log(math.pi)
    for j in range(d):
        total = gammaln(a - j / 2) + total
    return total


@special_function
@compiled_elementwise
def hurwitz(x: Any, q: Any) -> Any:
    """Hurwitz' zeta function."""
    return _zeta(x, q)


_DIRECT = 12  # terms that are added up before the Euler-Maclaurin formula


def _zeta_value(x: Any, q: Any) -> Any:
    regular = (x > 1) & (q > 0) & (q < np.inf)
    s, start = fnp.where(regular, x, 2), fnp.where(regular, q, 1)
    total = start**-s
    for k in range(1, _DIRECT):
        total = total + (start + k) ** -s
    end = start + _DIRECT
    power = end**-s
    total = total + power * end / (s - 1) + power / 2
    term = power * s / end  # s (s+1) ... (s+2j-2) end**-(s+2j-1)
    for j, coefficient in enumerate(BERNOULLI, start=1):
        total = total + coefficient * term
        term = term * ((s + 2 * j - 1) / end) * ((s + 2 * j) / end)
    pole = (x == 1) | ((x > 1) & (q <= 0) & (q == fnp.floor(q)))
    nan = fnp.isnan(x) | fnp.isnan(q)
    return fnp.where(
        regular,
        fnp.where(x == np.inf, start**-x, total),
        fnp.where((x > 1) & (q == np.inf), 0, fnp.where(pole & ~nan, x.dtype.type(np.inf), np.nan)),
    )


_zeta: Any = with_partials(None, lambda x, q: -x * _zeta(x + 1, q))(_zeta_value)


@holomorphic
def spence(x: Any) -> Any:
    """Spence's function, the integral of ``log(t) / (1 - t)`` from 1 to ``x``, elementwise.

    Of complex numbers its continuation, with a branch cut along the negative ones.

    Examples
    --------
    >>> spence(np.array([0.0, 1.0, 2.0]))
    array([ 1.64493407, -0.        , -0.82246703])
    """
    return _spence_of_complex(x) if fnp.iscomplexobj(x) else _spence(x)


def _spence_value(x: Any) -> Any:
    # To [1/2, 2] by the relations of DLMF 25.12.4 (for large x) and 25.12.6, where the series of
    # Debye's function in u = -log(x) has terms below 0.0122**k.
    high = x > 2
    y = fnp.where(high, 1 / fnp.where(high, x, 1), x)
    low = (y < 0.5) & (y > 0)
    safe = fnp.where(low, y, 0.5)
    u = -fnp.log(fnp.where(low, 1 - safe, fnp.where(y >= 0.5, y, 1)))
    square = u * u
    value = u * (1 - u / 4 + square * _debye(square))
    zeta2 = math.pi**2 / 6
    value = fnp.where(low, zeta2 - fnp.log(safe) * fnp.log1p(-safe) - value, value)
    value = fnp.where(high, -0.5 * fnp.log(fnp.where(high, x, 1)) ** 2 - value, value)
    value = fnp.where(x == 0, zeta2, fnp.where(x == np.inf, -np.inf, value))
    return fnp.where(x >= 0, value, np.nan)


def _debye(square: Any) -> Any:
    return polynomial(square, [c / (2 * k + 1) for k, c in enumerate(BERNOULLI[:10], start=1)])


def _complex_spence(z: Any) -> Any:
    """The dilogarithm of ``1 - z``, by inversion and reflection (DLMF 25.12.4, 25.12.6).

    They lead into the unit disk, left of 1/2, where the logarithm is below 1.05.
    """
    x = 1 - z
    large = fnp.abs(x) > 1
    safe = fnp.where(large, x, 1)
    x, rest = fnp.where(large, 1 / safe, x), fnp.where(large, -z / safe, z)
    right = fnp.real(x) > 0.5
    inner = fnp.where(right, x, rest)
    u = -complex_log(inner)
    square = u * u
    terms = [c / (2 * k + 1) for k, c in enumerate(BERNOULLI, start=1)]
    value = u * (1 - u / 4 + square * polynomial(square, terms))
    product = complex_log(fnp.where(right, x, 1)) * complex_log(
        fnp.where(right & (rest != 0), rest, 1)
    )
    zeta2 = math.pi**2 / 6
    value = fnp.where(right, zeta2 - product - value, value)
    logs = complex_log(fnp.where(large, z - 1, 1))
    return fnp.where(large, -zeta2 - 0.5 * logs * logs - value, value)


def _spence_slope(x: Any) -> Any:
    near = fnp.abs(x - 1) < 1e-3
    t = x - 1
    log = complex_log if fnp.iscomplexobj(x) else fnp.log
    quotient = log(fnp.where(near, 2, x)) / fnp.where(near, 1, -t)
    return fnp.where(near, polynomial(t, [(-1) ** (k + 1) / (k + 1) for k in range(7)]), quotient)


_spence = with_partials(_spence_slope)(_spence_value)
_spence_of_complex = with_partials(_spence_slope)(_complex_spence)
