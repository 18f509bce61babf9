"""Kummer's and Gauss' hypergeometric functions of real numbers.

Transformations of the argument (DLMF 13.2.39, 15.8.1) lead to [0, inf) and [0, 1), and to terms of
one sign where they can. There the power series is summed as far as nothing cancels; what lies
beyond is reached by Taylor series of the differential equation in small steps, which has no
exceptions at integer differences of parameters, where connection formulas have theirs. With a
negative parameter below the line, they start where the function begins to oscillate, for before
that another solution outgrows it; where it does not oscillate, recursions in that parameter lead to
positive ones, with a bound of what they lose. See J. W.
Pearson, S. Olver and M. A. Porter, "Numerical methods for the computation of the confluent and
Gauss hypergeometric functions" (Numer. Algorithms 74, 2017), for what others do.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

import fnad.numpy as fnp
from fnad.primitives import special as primitives
from fnad.primitives.control_flow import cond, fori_loop
from fnad.primitives.logic import stop_gradient
from fnad.scipy.operands import special_function, with_partials
from fnad.scipy.special.gamma_functions import gammasgn
from fnad.scipy.special.hypergeometric_series import (
    BEFORE_A_WAVE,
    GROWTH_BEFORE_A_WAVE,
    MOST_GROWN,
    MOST_TERMS,
    Form,
    at_least_1,
    below_0,
    continued,
    ends,
    no_slope,
    series,
    summed,
)
from fnad.transforms.blocks import compiled_elementwise

_ASYMPTOTIC_TERMS = 50
# The end of hyp2f1's power series where its terms are of one sign, and where c is large, too.
_POSITIVE_END, _LARGE_POSITIVE_END = 0.75, 0.995
_LARGEST_EXPONENT = 600.0


@special_function
@compiled_elementwise
def hyp1f1(a: Any, b: Any, x: Any) -> Any:
    """Kummer's confluent hypergeometric function M(a, b, x), elementwise.

    The sum of ``(a)_k / (b)_k x**k / k!``; infinite where ``b`` is 0 or a negative integer, unless
    the sum ends before. Differentiable in all arguments; in ``a`` and ``b`` not where ``a`` is 0 or
    a negative integer and ``x > 2 abs(b) - 4 a``: NaN. NaN also where no method here is accurate:
    for some large numbers, as a rule together with a negative ``b``.

    Examples
    --------
    >>> hyp1f1(1.0, np.array([1.0, 2.0]), 1.0)
    array([2.71828183, 1.71828183])
    """
    return _hyp1f1(a, b, x)


@special_function
@compiled_elementwise
def hyp2f1(a: Any, b: Any, c: Any, x: Any) -> Any:
    """Gauss' hypergeometric function F(a, b; c; x), elementwise.

    The sum of ``(a)_k (b)_k / (c)_k x**k / k!``, and its continuation to all ``x < 1``. At 1, and
    where ``c`` is 0 or a negative integer, it may be infinite. Above 1 it is NaN, unless ``a`` or
    ``b`` is 0 or a negative integer. Differentiable in all arguments; NaN above 1 in ``a``, ``b``
    and ``c``, and at 1. NaN also where no method here is accurate: for some large parameters, and
    next to 1 for some negative ``c`` where ``c - a - b`` is next to an integer.

    Examples
    --------
    >>> hyp2f1(1.0, 1.0, 2.0, np.array([-1.0, 0.5]))
    array([0.69314718, 1.38629436])
    """
    return _hyp2f1(a, b, c, x)


def _hyp1f1_value(a: Any, b: Any, x: Any) -> Any:
    infinite = ends(b) & ~(ends(a) & (a >= b))
    known = ~(infinite | fnp.isnan(a + b + x) | (fnp.abs(x) == math.inf))
    a, b, x = fnp.where(known, a, 1), fnp.where(known, b, 1), fnp.where(known, x, 0)

    def lower(b: Any) -> tuple[Any, Any, Any]:  # DLMF 13.3.2
        size = fnp.abs(b - 1) + fnp.abs(x)
        return (b - 1 + x) / (b - 1), -x * ((b - a) / b) / (b - 1), size / fnp.abs(b - 1)

    def found(low: Any) -> list[tuple[Any, Any]]:
        near = low & (fnp.abs(x) < _LARGEST_EXPONENT)
        one = fnp.ones_like(x)
        endless = fnp.full_like(x, math.inf)
        return [
            series(Form((a,), b, x, one, near, endless)),
            series(Form((b - a,), b, -x, fnp.exp(x), near, endless)),
        ]

    turned = (x < 0) & ~ends(a)
    p, z = fnp.where(turned, b - a, a), fnp.abs(x)
    oscillates = ~((x < 0) & ends(a)) & (z > _first_wave(p, b))
    value = below_0(lambda b: _hyp1f1_regular(a, b, x), b, lower, found, but=oscillates)
    return fnp.where(known, value, fnp.where(infinite, x.dtype.type(math.inf), math.nan))


def _first_wave(a: Any, b: Any) -> Any:
    """Where M(a, b, x), with a < b < 0, begins to oscillate: a turning point of its equation.

    Before that, the other solution grows like ``x**(1 - b)``, and errors with it; behind it
    neither outgrows the other. Infinite for other parameters.
    """
    waves = (a < b) & (b < 0) & ~ends(b)
    a, b = fnp.where(waves, -a, 1), fnp.where(waves, -b, 0.5)
    # The smaller root of (b + x)**2 = 4 a x.
    middle = 2 * a - b
    root = b * b / (middle + fnp.sqrt((middle - b) * (middle + b)))
    return stop_gradient(fnp.where(waves, root, math.inf))


def _hyp1f1_regular(a: Any, b: Any, x: Any) -> Any:
    finite = ends(a)
    turned = (x < 0) & ~finite
    p, z = fnp.where(turned, b - a, a), fnp.where(turned, -x, x)
    size = fnp.abs(z)
    finite = ends(p)
    asymptotic = ~finite & (z > 50) & (z > 5 * at_least_1(b - p) * at_least_1(1 - p))
    # With p < 0 it oscillates at most up to here, and then nothing cancels any more.
    monotone = z > 2 * fnp.abs(b) - 4 * p
    beyond = finite & ((z < 0) | monotone)
    direct = beyond | ((p >= 0) & (b > 0)) | ((p < 0) & monotone)
    start = stop_gradient(0.5 * fnp.maximum(fnp.abs(b), 0.1) / at_least_1(p))
    wave = _first_wave(p, b)
    start = fnp.where(wave < z, BEFORE_A_WAVE * wave, start)
    # A sum that ends before b does is no solution that steps follow; from 0 on, nothing cancels.
    direct = direct | (z <= start) | ends(b)
    start = fnp.where(asymptotic, 0, fnp.where(direct, z, start))
    taken_off = fnp.where(turned & direct, fnp.minimum(size, _LARGEST_EXPONENT), 0)
    value, moment, sizes = summed(
        fnp.exp(-taken_off),
        lambda k: (p + k) / ((b + k) * (k + 1)) * start,
        lambda k: fnp.abs(at_least_1(p + k) / ((b + k) * (k + 1)) * start),
        fnp.where(beyond | (ends(b) & finite), -p, math.inf),
        b,
    )
    reached = asymptotic | direct
    at = fnp.where(reached, 1, start)
    end = fnp.where(reached, 1, z)

    def step(position: Any) -> Any:
        x, _ = position
        wave = fnp.sqrt(fnp.abs(p) / x) + fnp.abs(b - x) / x
        return 2 / (wave + 6 / x)

    def recursion(position: Any, t: Any) -> Any:
        x, _ = position

        def follow(n: Any) -> tuple[Any, Any]:
            down = t / (x * (n + 2))
            return -(n + b - x) * down, (n + p) / (n + 1) * t * down

        return follow

    far = continued((at, -at), (end, -end), value, moment / at, step, recursion)
    # The other solution grows by this factor from the start to the first wave.
    grown = sizes * fnp.exp(-GROWTH_BEFORE_A_WAVE * b)
    far = fnp.where((wave < z) & (grown > MOST_GROWN * fnp.abs(value)), math.nan, far)
    value = fnp.where(reached, value, far)
    value = value * fnp.exp(fnp.where(turned, taken_off - size, 0))
    value = fnp.where(asymptotic, _hyp1f1_asymptotic(p, b, z, turned, asymptotic), value)
    cut = (beyond | ends(b)) & (z > 0)
    return value + no_slope(a, cut) + no_slope(b, cut)


def _hyp1f1_asymptotic(a: Any, b: Any, x: Any, scaled: Any, where: Any) -> Any:
    """DLMF 13.7.1, for large x; times exp(-x), if it is to be scaled."""
    a, b, x = fnp.where(where, a, 1), fnp.where(where, b, 1), fnp.where(where, x, 100)

    def body(i: Any, carry: Any) -> Any:
        k = i.astype(x.dtype)
        term, total = carry
        ratio = (b - a + k) * (1 - a + k) / ((k + 1) * x)
        term = fnp.where(fnp.abs(ratio) < 1, term * ratio, 0)
        return term, total + term

    one = fnp.ones_like(x)
    _, total = fori_loop(0, _ASYMPTOTIC_TERMS, body, (one, one))
    logs = primitives.lgamma(b) - primitives.lgamma(a) + (a - b) * fnp.log(x)
    half = fnp.exp(0.5 * fnp.where(scaled, 0, x))
    return gammasgn(a) * gammasgn(b) * half * (total * fnp.exp(logs)) * half


_hyp1f1: Any = with_partials(None, None, lambda a, b, x: a / b * _hyp1f1(a + 1, b + 1, x))(
    _hyp1f1_value
)


def _hyp2f1_value(a: Any, b: Any, c: Any, x: Any) -> Any:
    polynomial = ends(a) | ends(b)
    degree = -fnp.maximum(fnp.where(ends(a), a, -math.inf), fnp.where(ends(b), b, -math.inf))
    infinite = ends(c) & ~(polynomial & (-degree >= c))
    at_one = (x == 1) & ~polynomial
    nan = fnp.isnan(a + b + c + x) | ((x > 1) & ~polynomial) | (fnp.abs(x) == math.inf)
    known = ~(infinite | at_one | nan)
    gauss = _hyp2f1_at_one(a, b, c, at_one & ~infinite & ~nan)
    # Transformed from below 0, a sum that ends before c does is another one.
    beyond = known & ((x >= 1) | (ends(c) & (x < 0)))
    outer = cond(
        fnp.any(beyond), _hyp2f1_polynomial, lambda *xs: fnp.zeros_like(x), a, b, c, x, beyond
    )
    known = known & ~beyond
    a, b, c, x = [fnp.where(known, v, i) for v, i in ((a, 1), (b, 1), (c, 1), (x, 0))]

    def lower(c: Any) -> tuple[Any, Any, Any]:  # DLMF 15.5.18
        down, shift = (c - 1) * (1 - x), (2 * c - a - b - 1) * x
        size = fnp.abs(c - 1) + (2 * fnp.abs(c) + fnp.abs(a) + fnp.abs(b) + 1) * fnp.abs(x)
        above = (c - a) * ((c - b) / c) * x / down
        return (c - 1 - shift) / down, above, size / fnp.abs(down)

    def found(low: Any) -> list[tuple[Any, Any]]:
        values = [_connected(_gauss(a, b, c, x), c, low)]
        rest = 1 - x
        for above, z, power in (
            ((a, b), x, 0),
            ((c - a, c - b), x, c - a - b),
            ((a, c - b), -x / rest, -a),
            ((c - a, b), -x / rest, -b),
        ):
            end = [fnp.where(ends(v), -v, math.inf) for v in above]
            last = fnp.where(fnp.abs(z) < 0.99, math.inf, fnp.minimum(end[0], end[1]))
            valid = low & ((fnp.abs(z) < 0.99) | (last < math.inf))
            # Where a sum is cut off, its slopes in the parameters are not those of the function.
            cut = valid & (last < math.inf)
            factor = rest**power + no_slope(a, cut) + no_slope(b, cut) + no_slope(c, cut)
            values.append(series(Form(above, c, z, factor, valid, last)))
        return values

    # Next to 1, or its image, sums that end may be small against what rounding leaves of others;
    # polynomials are where steps follow another solution, too.
    edge = (x < -9) | (x > 0.9)
    ending = ~ends(c) & (polynomial | (ends(c - a) | ends(c - b)) & edge)
    form = _gauss(a, b, c, x)
    oscillates = form.z > _first_gauss_wave(form.p, form.q, c)
    value = below_0(lambda c: _hyp2f1_regular(a, b, c, x), c, lower, found, ending, oscillates)
    value = fnp.where(infinite, x.dtype.type(math.inf), fnp.where(beyond, outer, value))
    return fnp.where(nan, math.nan, fnp.where(at_one & ~infinite, gauss, value))


def _hyp2f1_polynomial(a: Any, b: Any, c: Any, x: Any, where: Any) -> Any:
    """A polynomial outside of [0, 1), by recursion in its degree (DLMF 15.5.11).

    There, outside of what zeros of orthogonal polynomials are in, it is the solution that grows
    most, while the power series cancels. NaN where a running bound of the roundings is too large.
    """
    swap = ends(b) & ~(ends(a) & (a >= b))
    n, b = fnp.where(swap, -b, -a), fnp.where(swap, a, b)
    possible = where & (n <= MOST_TERMS)
    n, b, c, more = [fnp.where(possible, v, i) for v, i in ((n, 0), (b, 1), (c, 1), (x - 1, 0))]

    def body(i: Any, carry: Any) -> Any:
        before, here, lost_before, lost = carry
        k = i.astype(c.dtype)
        active = k < n
        down = fnp.where(active, c + k, 1)
        p, q = ((k + (c - b)) - (b + k) * more) / down, k * more / down
        first, second = p * here, q * before
        # The coefficient of the first is a difference, too.
        size = (fnp.abs(k + (c - b)) + fnp.abs((b + k) * more)) / fnp.abs(down)
        roundings = size * fnp.abs(here) + fnp.abs(second)
        bound = fnp.abs(p) * lost + fnp.abs(q) * lost_before + roundings
        return (
            fnp.where(active, here, before),
            fnp.where(active, first + second, here),
            fnp.where(active, lost, lost_before),
            fnp.where(active, bound, lost),
        )

    zero, one = fnp.zeros_like(c), fnp.ones_like(c)
    count = fnp.max(n, initial=0).astype(np.int64)
    _, value, _, lost = fori_loop(0, count, body, (zero, one, zero, zero))
    held = possible & (lost <= MOST_GROWN * fnp.abs(value)) | (value == 0) & possible
    value = fnp.where(held, value, math.nan)
    return value + no_slope(a, where) + no_slope(b, where) + no_slope(c, where)


def _hyp2f1_at_one(a: Any, b: Any, c: Any, where: Any) -> Any:
    """DLMF 15.4.20."""
    excess = c - a - b
    regular = where & (excess > 0)
    zero = ends(c - a) | ends(c - b)
    ones = [fnp.where(regular & ~zero, v, 1) for v in (c, excess, c - a, c - b)]
    logs = [primitives.lgamma(v) for v in ones]
    sign = gammasgn(ones[0]) * gammasgn(ones[2]) * gammasgn(ones[3])
    value = sign * fnp.exp(logs[0] + logs[1] - logs[2] - logs[3])
    value = fnp.where(zero, 0, value) + no_slope(a, where) + no_slope(b, where)
    return fnp.where(regular, value, math.inf)


class _Gauss(NamedTuple):
    """What is computed for F(a, b; c; x): F(p, q; c; z) with z in [0, 1), times a factor."""

    p: Any
    q: Any
    z: Any
    left: Any  # 1 - z
    factor: Any


def _gauss(a: Any, b: Any, c: Any, x: Any) -> _Gauss:
    negative = x < 0
    # (1 - x)**-a F(a, c - b; c; x / (x - 1)), or with a and b exchanged: terms of one sign, if so.
    exchange = negative & ~((a >= 0) & (c - b >= 0)) & (b >= 0) & (c - a >= 0)
    a, b = fnp.where(exchange, b, a), fnp.where(exchange, a, b)
    # (1 - x)**(c - a - b) F(c - a, c - b; c; x), where that makes them so.
    euler = ~negative & ((a < 0) | (b < 0)) & (c - a >= 0) & (c - b >= 0)
    euler = euler & ~(ends(a) | ends(b))
    p, q = fnp.where(euler, c - a, a), fnp.where(euler | negative, c - b, b)
    rest = 1 - x
    power = fnp.where(euler, c - a - b, fnp.where(negative, -a, 0))
    factor = rest**power
    z = fnp.where(negative, -x / fnp.where(negative, rest, 1), x)
    left = fnp.where(negative, 1 / fnp.where(negative, rest, 1), rest)
    return _Gauss(p, q, z, left, factor)


def _connected(form: _Gauss, c: Any, where: Any) -> tuple[Any, Any]:
    """The function by series in 1 - z (DLMF 15.8.4), next to 1, and what they lose."""
    p, q, _, left, factor = form
    d = c - p - q
    # The two series have poles in integers d, and nothing to derive at poles of the gammas.
    valid = where & (left < 0.5) & (d != fnp.floor(d)) & ~(ends(p) | ends(q))
    valid = valid & ~(ends(c) | ends(c - p) | ends(c - q))
    p, q, c = [fnp.where(valid, v, i) for v, i in ((p, 0.25), (q, 0.25), (c, 1))]
    d, left = fnp.where(valid, d, 0.5), fnp.where(valid, left, 0.25)
    value: Any = 0
    lost: Any = 0
    for above, excess, gammas in (
        ((p, q), d, (c - p, c - q)),
        ((c - p, c - q), -d, (p, q)),
    ):
        logs = [primitives.lgamma(v) for v in (c, excess, *gammas)]
        signs = [gammasgn(v) for v in (c, excess, *gammas)]
        exponent = logs[0] + logs[1] - logs[2] - logs[3]
        power = fnp.where(excess == d, 0, d)
        scale = signs[0] * signs[1] * signs[2] * signs[3] * factor * fnp.exp(exponent)
        endless = fnp.full_like(left, math.inf)
        term, sizes = series(Form(above, 1 - excess, left, scale * left**power, valid, endless))
        size = 1 + sum((fnp.abs(v) for v in logs), start=fnp.abs(power * fnp.log(left)))
        value, lost = value + term, lost + fnp.abs(term) * sizes * size
    return value, fnp.where(valid, stop_gradient(lost / fnp.abs(value)), math.nan)


def _first_gauss_wave(p: Any, q: Any, c: Any) -> Any:
    """Where F(p, q; c; z) with c < 0 begins to oscillate, as `_first_wave`."""
    # The smaller root of (c - (p + q + 1) z)**2 = -4 p q z (1 - z).
    slope, size = p + q + 1, -p * q
    middle, whole = c * slope + 2 * size, slope * slope + 4 * size
    square = middle * middle - c * c * whole
    waves = (c < 0) & ~ends(c) & (size > 0) & (middle > 0) & (square > 0)
    middle, square = fnp.where(waves, middle, 1), fnp.where(waves, square, 1)
    return stop_gradient(fnp.where(waves, c * c / (middle + fnp.sqrt(square)), math.inf))


def _hyp2f1_regular(a: Any, b: Any, c: Any, x: Any) -> Any:
    p, q, z, left, factor = _gauss(a, b, c, x)
    positive = (p >= 0) & (q >= 0) & (c > 0)
    near = fnp.minimum(0.5 * fnp.maximum(fnp.abs(c), 0.1) / at_least_1(p * q), 0.5)
    large = (c > 50) & (c >= p + q)  # so that its terms become smaller from the beginning
    end = fnp.where(large, x.dtype.type(_LARGE_POSITIVE_END), _POSITIVE_END)
    start = stop_gradient(fnp.where(positive, end, near))
    wave = _first_gauss_wave(p, q, c)
    start = fnp.where(wave < z, BEFORE_A_WAVE * wave, start)
    reached = ends(c) | (z <= start)
    start = fnp.where(reached, z, start)
    last = fnp.maximum(fnp.where(ends(p), p, -math.inf), fnp.where(ends(q), q, -math.inf))
    value, moment, sizes = summed(
        fnp.ones_like(x),
        lambda k: (p + k) * ((q + k) / ((c + k) * (k + 1))) * start,
        lambda k: fnp.abs(at_least_1(p + k) * (at_least_1(q + k) / ((c + k) * (k + 1))) * start),
        fnp.where(ends(c), -last, math.inf),
        c,
    )
    at = fnp.where(reached, 0.5, start)
    end = fnp.where(reached, 0.5, z), fnp.where(reached, 0.5, left)

    def step(position: Any) -> Any:
        x, y = position
        wave = fnp.sqrt(fnp.abs(p * q) / (x * y)) + fnp.abs(c - (p + q + 1) * x) / (x * y)
        return 2 / (wave + 6 / fnp.minimum(x, y))

    def recursion(position: Any, t: Any) -> Any:
        x, y = position
        shift = c - (p + q + 1) * x

        def follow(n: Any) -> tuple[Any, Any]:
            down = t / (x * y * (n + 2))
            return -((y - x) * n + shift) * down, (n + p) * ((n + q) / (n + 1)) * t * down

        return follow

    far = continued((at, 1 - at), end, value, moment / at, step, recursion)
    grown = sizes * fnp.exp(-GROWTH_BEFORE_A_WAVE * c)
    far = fnp.where((wave < z) & (grown > MOST_GROWN * fnp.abs(value)), math.nan, far)
    return factor * fnp.where(reached, value, far)


_hyp2f1: Any = with_partials(
    None,
    None,
    None,
    lambda a, b, c, x: a * b / c * _hyp2f1(a + 1, b + 1, c + 1, x),
)(_hyp2f1_value)
