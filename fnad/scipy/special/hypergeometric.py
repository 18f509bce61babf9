"""Kummer's and Gauss' hypergeometric functions of real numbers.

Transformations of the argument (DLMF 13.2.39, 15.8.1) lead to [0, inf) and [0, 1), and to terms of
one sign where they can. There the power series is summed as far as nothing cancels; what lies
beyond is reached by Taylor series of the differential equation in small steps, which has no
exceptions at integer differences of parameters, where connection formulas have theirs. See J. W.
Pearson, S. Olver and M. A. Porter, "Numerical methods for the computation of the confluent and
Gauss hypergeometric functions" (Numer. Algorithms 74, 2017), for what others do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fnad.numpy as fnp
from fnad.primitives import special as primitives
from fnad.primitives.control_flow import cond, fori_loop, while_loop
from fnad.primitives.logic import stop_gradient
from fnad.scipy.operands import special_function, with_partials
from fnad.scipy.special.gamma_functions import gammasgn

_MOST_TERMS, _MOST_STEPS = 10000, 20000
_ASYMPTOTIC_TERMS = 50
# The end of hyp2f1's power series where its terms are of one sign, and where c is large, too.
_POSITIVE_END, _LARGE_POSITIVE_END = 0.75, 0.995
_LARGEST_EXPONENT = 600.0
_MOST_CANCELLED = 1e4  # of a series that is preferred to a recursion
_MOST_GROWN = 1e6  # errors of a recursion, in roundings, that are still taken


@special_function
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
def hyp2f1(a: Any, b: Any, c: Any, x: Any) -> Any:
    """Gauss' hypergeometric function F(a, b; c; x), elementwise.

    The sum of ``(a)_k (b)_k / (c)_k x**k / k!``, and its continuation to all ``x < 1``. At 1, and
    where ``c`` is 0 or a negative integer, it may be infinite. Above 1 it is NaN, unless ``a`` or
    ``b`` is 0 or a negative integer. Differentiable in all arguments; NaN above 1 in ``a``, ``b``
    and ``c``, and at 1. NaN also where no method here is accurate: for some large parameters, and
    next to 1 for some negative ``c``.

    Examples
    --------
    >>> hyp2f1(1.0, 1.0, 2.0, np.array([-1.0, 0.5]))
    array([0.69314718, 1.38629436])
    """
    return _hyp2f1(a, b, c, x)


def _ends(a: Any) -> Any:
    """Whether a sum over ``(a)_k`` is finite."""
    return (a <= 0) & (a == fnp.floor(a))


def _at_least_1(x: Any) -> Any:
    return fnp.maximum(fnp.abs(x), 1)


def _no_slope(x: Any, where: Any) -> Any:
    """0, with a derivative that is NaN where it says so."""
    return fnp.where(where, _zero(x), 0)


@with_partials(lambda x: fnp.full_like(x, math.nan))
def _zero(x: Any) -> Any:
    return fnp.zeros_like(x)


def _sum(
    first: Any,
    ratio: Callable[[Any], Any],
    bound: Callable[[Any], Any],
    last: Any,
    denominator: Any,
) -> tuple[Any, Any, Any]:
    """The sum of terms with a given ratio to the one before, of ``k`` times them, and their sizes.

    It goes on until ``bound``, of the ratio, says that no more counts: a term may be 0 that has a
    derivative. NaN where that takes too many terms. ``last`` is the index where it ends for sure,
    or infinity, ``denominator`` the parameter whose sum with the index must have left 0 behind.
    """
    eps = 2.0**-27 if first.dtype.itemsize == 4 else 2.0**-58

    def unfinished(k: Any, size: Any, total: Any) -> Any:
        return ((size > eps * fnp.abs(total)) | (k < -denominator)) & (k <= last)

    def go_on(carry: Any) -> Any:
        k, _, size, total, _, _ = carry
        return fnp.any(unfinished(k, size, total)) & (k < _MOST_TERMS)

    def add(carry: Any) -> Any:
        k, term, size, total, moment, sizes = carry
        size = fnp.where(k < last, size * bound(k), 0)
        term = fnp.where(k < last, term * ratio(k), 0)
        total, moment = total + term, moment + (k + 1) * term
        return k + 1, term, size, total, moment, sizes + fnp.abs(term)

    magnitude = fnp.abs(first)
    start = (first.dtype.type(0), first, magnitude, first, fnp.zeros_like(first), magnitude)
    k, _, size, total, moment, sizes = while_loop(go_on, add, start)
    total = fnp.where(unfinished(k, size, total), math.nan, total)
    return total, moment, sizes


def _continued(
    at: Any,
    to: Any,
    value: Any,
    slope: Any,
    step: Callable[[Any], Any],
    recursion: Callable[[Any, Any], Callable[[Any], tuple[Any, Any]]],
) -> Any:
    """The solution of a differential equation at ``to`` from its value and slope at ``at``.

    NaN where that takes too many steps. Positions are pairs ``(x, 1 - x)``, so that nothing is lost
    next to 1. ``recursion(at, t)`` says
    how terms of the Taylor series, the powers of the step ``t`` included, follow from each other:
    ``term[n + 2] = p term[n + 1] + q term[n]``, with ``(p, q)`` a function of n.
    """
    terms = 20 if value.dtype.itemsize == 4 else 38

    def rest(x: Any, y: Any) -> Any:
        return fnp.where(x < 0.5, to[0] - x, y - to[1])

    def go_on(carry: Any) -> Any:
        count, x, y, _, _ = carry
        return fnp.any(rest(x, y) > 0) & (count < _MOST_STEPS)

    def advance(carry: Any) -> Any:
        count, x, y, value, slope = carry
        left = rest(x, y)
        t = stop_gradient(step((x, y)))
        last = t >= left
        t = fnp.where(left > 0, fnp.where(last, left, t), 0)
        follow = recursion((x, y), t)

        def body(i: Any, carry: Any) -> Any:
            n = i.astype(value.dtype)
            here, there, total, moment = carry
            p, q = follow(n)
            following = p * there + q * here
            return there, following, total + following, moment + (n + 2) * following

        first, second = value, slope * t
        _, _, total, moment = fori_loop(0, terms, body, (first, second, first + second, second))
        moved = t > 0
        slope = fnp.where(moved, moment / fnp.where(moved, t, 1), slope)
        x, y = fnp.where(last, to[0], x + t), fnp.where(last, to[1], y - t)
        return count + 1, x, y, fnp.where(moved, total, value), slope

    _, x, y, value, _ = while_loop(go_on, advance, (0, *at, value, slope))
    return fnp.where(rest(x, y) > 0, math.nan, value)


class _Form(NamedTuple):
    """A series for a function: parameters above the line, the one below, argument, and a factor."""

    above: tuple[Any, ...]
    below: Any
    x: Any
    factor: Any
    valid: Any
    last: Any  # the index where it ends, or infinity


def _series(form: _Form) -> tuple[Any, Any]:
    """Its value, and by how much its terms are larger."""
    x = fnp.where(form.valid, form.x, 0)

    def ratio(k: Any) -> Any:
        value = x / ((form.below + k) * (k + 1))
        for a in form.above:
            value = value * (a + k)
        return value

    def bound(k: Any) -> Any:
        value = fnp.abs(x / ((form.below + k) * (k + 1)))
        for a in form.above:
            value = value * _at_least_1(a + k)
        return value

    total, _, sizes = _sum(fnp.ones_like(x), ratio, bound, form.last, form.below)
    return total * form.factor, sizes / fnp.abs(total)


def _below_0(
    function: Callable[[Any], Any],
    b: Any,
    lower: Callable[[Any, Any, Any], Any],
    forms: Callable[[Any], list[_Form]],
    growth: Any,
    more: Any = False,
) -> Any:
    """``function(b)``, where ``b`` is negative by a series that does not cancel, or by recursion.

    The series are tried where ``more`` says so, too. ``lower(b, here, above)`` is what follows at
    ``b - 1`` from there and ``b + 1``: both functions are minimal solutions of this recursion for
    large ``b``, so that it is stable downwards. Before that errors may grow as ``growth`` with each
    step: where they would count and there is no good series, the value is NaN.
    """
    low = (b < 0) & ~_ends(b)
    steps = fnp.where(low, -fnp.floor(b), 0)
    top = b + steps

    def body(i: Any, carry: Any) -> Any:
        here, above = carry
        k = i.astype(b.dtype)
        active = k < steps
        below = lower(fnp.where(active, top - k, 2), here, above)
        return fnp.where(active, below, here), fnp.where(active, here, above)

    def recursion(here: Any) -> Any:
        count = fnp.max(steps, initial=0).astype(np.int64)
        value = fori_loop(0, count, body, (here, function(top + 1)))[0]
        value = fnp.where(low & (growth**steps > _MOST_GROWN), math.nan, value)
        least = fnp.full_like(b, _MOST_CANCELLED)
        for form in forms(low | more):
            found, cancelled = _series(form)
            better = form.valid & (cancelled < least)
            value, least = fnp.where(better, found, value), fnp.where(better, cancelled, least)
        return value

    return cond(fnp.any(low | more), recursion, lambda here: here, function(top))


def _hyp1f1_value(a: Any, b: Any, x: Any) -> Any:
    infinite = _ends(b) & ~(_ends(a) & (a >= b))
    known = ~(infinite | fnp.isnan(a + b + x) | (fnp.abs(x) == math.inf))
    a, b, x = fnp.where(known, a, 1), fnp.where(known, b, 1), fnp.where(known, x, 0)

    def lower(b: Any, here: Any, above: Any) -> Any:
        return ((b - 1 + x) * here - x * ((b - a) / b) * above) / (b - 1)  # DLMF 13.3.2

    def forms(low: Any) -> list[_Form]:
        near = low & (fnp.abs(x) < _LARGEST_EXPONENT)
        one = fnp.ones_like(x)
        endless = fnp.full_like(x, math.inf)
        return [
            _Form((a,), b, x, one, near, endless),
            _Form((b - a,), b, -x, fnp.exp(x), near, endless),
        ]

    growth = fnp.maximum(1, fnp.abs(x) / (1 + fnp.abs(b)))
    value = _below_0(lambda b: _hyp1f1_regular(a, b, x), b, lower, forms, growth)
    return fnp.where(known, value, fnp.where(infinite, x.dtype.type(math.inf), math.nan))


def _hyp1f1_regular(a: Any, b: Any, x: Any) -> Any:
    finite = _ends(a)
    turned = (x < 0) & ~finite
    p, z = fnp.where(turned, b - a, a), fnp.where(turned, -x, x)
    size = fnp.abs(z)
    finite = _ends(p)
    asymptotic = ~finite & (z > 50) & (z > 5 * _at_least_1(b - p) * _at_least_1(1 - p))
    # With p < 0 it oscillates at most up to here, and then nothing cancels any more.
    monotone = z > 2 * fnp.abs(b) - 4 * p
    beyond = finite & ((z < 0) | monotone)
    direct = beyond | ((p >= 0) & (b > 0)) | ((p < 0) & monotone)
    start = stop_gradient(0.5 * fnp.maximum(fnp.abs(b), 0.1) / _at_least_1(p))
    direct = direct | (z <= start)
    start = fnp.where(asymptotic, 0, fnp.where(direct, z, start))
    taken_off = fnp.where(turned & direct, fnp.minimum(size, _LARGEST_EXPONENT), 0)
    value, moment, _ = _sum(
        fnp.exp(-taken_off),
        lambda k: (p + k) / ((b + k) * (k + 1)) * start,
        lambda k: fnp.abs(_at_least_1(p + k) / ((b + k) * (k + 1)) * start),
        fnp.where(beyond | (_ends(b) & finite), -p, math.inf),
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

    far = _continued((at, -at), (end, -end), value, moment / at, step, recursion)
    value = fnp.where(reached, value, far)
    value = value * fnp.exp(fnp.where(turned, taken_off - size, 0))
    value = fnp.where(asymptotic, _hyp1f1_asymptotic(p, b, z, turned, asymptotic), value)
    return value + _no_slope(a, beyond & (z > 0)) + _no_slope(b, beyond & (z > 0))


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
    polynomial = _ends(a) | _ends(b)
    degree = -fnp.maximum(fnp.where(_ends(a), a, -math.inf), fnp.where(_ends(b), b, -math.inf))
    infinite = _ends(c) & ~(polynomial & (-degree >= c))
    at_one = (x == 1) & ~polynomial
    nan = fnp.isnan(a + b + c + x) | ((x > 1) & ~polynomial) | (fnp.abs(x) == math.inf)
    known = ~(infinite | at_one | nan)
    gauss = _hyp2f1_at_one(a, b, c, at_one & ~infinite & ~nan)
    beyond = known & (x >= 1)
    outer = cond(
        fnp.any(beyond), _hyp2f1_polynomial, lambda *xs: fnp.zeros_like(x), a, b, c, x, beyond
    )
    known = known & ~beyond
    a, b, c, x = [fnp.where(known, v, i) for v, i in ((a, 1), (b, 1), (c, 1), (x, 0))]

    def lower(c: Any, here: Any, above: Any) -> Any:  # DLMF 15.5.18
        middle = (c - 1 - (2 * c - a - b - 1) * x) * here
        return (middle + (c - a) * ((c - b) / c) * x * above) / ((c - 1) * (1 - x))

    def forms(low: Any) -> list[_Form]:
        found = []
        rest = 1 - x
        for above, z, power in (
            ((a, b), x, 0),
            ((c - a, c - b), x, c - a - b),
            ((a, c - b), -x / rest, -a),
            ((c - a, b), -x / rest, -b),
        ):
            end = [fnp.where(_ends(v), -v, math.inf) for v in above]
            last = fnp.where(fnp.abs(z) < 0.99, math.inf, fnp.minimum(end[0], end[1]))
            valid = low & ((fnp.abs(z) < 0.99) | (last < math.inf))
            # Where a sum is cut off, its slopes in the parameters are not those of the function.
            cut = valid & (last < math.inf)
            factor = rest**power + _no_slope(a, cut) + _no_slope(b, cut) + _no_slope(c, cut)
            found.append(_Form(above, c, z, factor, valid, last))
        return found

    # Next to 1, or its image, sums that end may be small against what rounding leaves of others.
    growth = fnp.maximum(1, x / (1 - x))
    ending = ~_ends(c) & (_ends(c - a) | _ends(c - b) | polynomial) & ((x < -9) | (x > 0.9))
    value = _below_0(lambda c: _hyp2f1_regular(a, b, c, x), c, lower, forms, growth, ending)
    value = fnp.where(infinite, x.dtype.type(math.inf), fnp.where(beyond, outer, value))
    return fnp.where(nan, math.nan, fnp.where(at_one & ~infinite, gauss, value))


def _hyp2f1_polynomial(a: Any, b: Any, c: Any, x: Any, where: Any) -> Any:
    """A polynomial from 1 on, by recursion in its degree (DLMF 15.5.11).

    There, outside of what zeros of orthogonal polynomials are in, it is the solution that grows
    most, while the power series cancels. NaN where a running bound of the roundings is too large.
    """
    swap = _ends(b) & ~(_ends(a) & (a >= b))
    n, b = fnp.where(swap, -b, -a), fnp.where(swap, a, b)
    possible = where & (n <= _MOST_TERMS)
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
    held = possible & (lost <= _MOST_GROWN * fnp.abs(value)) | (value == 0) & possible
    value = fnp.where(held, value, math.nan)
    return value + _no_slope(a, where) + _no_slope(b, where) + _no_slope(c, where)


def _hyp2f1_at_one(a: Any, b: Any, c: Any, where: Any) -> Any:
    """DLMF 15.4.20."""
    excess = c - a - b
    regular = where & (excess > 0)
    zero = _ends(c - a) | _ends(c - b)
    ones = [fnp.where(regular & ~zero, v, 1) for v in (c, excess, c - a, c - b)]
    logs = [primitives.lgamma(v) for v in ones]
    sign = gammasgn(ones[0]) * gammasgn(ones[2]) * gammasgn(ones[3])
    value = sign * fnp.exp(logs[0] + logs[1] - logs[2] - logs[3])
    value = fnp.where(zero, 0, value) + _no_slope(a, where) + _no_slope(b, where)
    return fnp.where(regular, value, math.inf)


def _hyp2f1_regular(a: Any, b: Any, c: Any, x: Any) -> Any:
    negative = x < 0
    # (1 - x)**-a F(a, c - b; c; x / (x - 1)), or with a and b exchanged: terms of one sign, if so.
    exchange = negative & ~((a >= 0) & (c - b >= 0)) & (b >= 0) & (c - a >= 0)
    a, b = fnp.where(exchange, b, a), fnp.where(exchange, a, b)
    # (1 - x)**(c - a - b) F(c - a, c - b; c; x), where that makes them so.
    euler = ~negative & ((a < 0) | (b < 0)) & (c - a >= 0) & (c - b >= 0)
    euler = euler & ~(_ends(a) | _ends(b))
    p, q = fnp.where(euler, c - a, a), fnp.where(euler | negative, c - b, b)
    rest = 1 - x
    power = fnp.where(euler, c - a - b, fnp.where(negative, -a, 0))
    factor = rest**power
    z = fnp.where(negative, -x / fnp.where(negative, rest, 1), x)
    left = fnp.where(negative, 1 / fnp.where(negative, rest, 1), rest)

    positive = (p >= 0) & (q >= 0) & (c > 0)
    near = fnp.minimum(0.5 * fnp.maximum(fnp.abs(c), 0.1) / _at_least_1(p * q), 0.5)
    large = (c > 50) & (c >= p + q)  # so that its terms become smaller from the beginning
    end = fnp.where(large, x.dtype.type(_LARGE_POSITIVE_END), _POSITIVE_END)
    start = stop_gradient(fnp.where(positive, end, near))
    reached = _ends(c) | (z <= start)
    start = fnp.where(reached, z, start)
    last = fnp.maximum(fnp.where(_ends(p), p, -math.inf), fnp.where(_ends(q), q, -math.inf))
    value, moment, _ = _sum(
        fnp.ones_like(x),
        lambda k: (p + k) * ((q + k) / ((c + k) * (k + 1))) * start,
        lambda k: fnp.abs(_at_least_1(p + k) * (_at_least_1(q + k) / ((c + k) * (k + 1))) * start),
        fnp.where(_ends(c), -last, math.inf),
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

    far = _continued((at, 1 - at), end, value, moment / at, step, recursion)
    return factor * fnp.where(reached, value, far)


_hyp2f1: Any = with_partials(
    None,
    None,
    None,
    lambda a, b, c, x: a * b / c * _hyp2f1(a + 1, b + 1, c + 1, x),
)(_hyp2f1_value)
