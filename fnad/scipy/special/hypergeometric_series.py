"""What Kummer's and Gauss' hypergeometric functions have in common: series, steps, recursions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fnad.numpy as fnp
from fnad.primitives.control_flow import cond, fori_loop, while_loop
from fnad.primitives.logic import stop_gradient
from fnad.scipy.operands import with_partials

MOST_TERMS = 10000
_MOST_STEPS = 20000
_MOST_CANCELLED = 1e4  # of a series that is preferred to other ways
MOST_GROWN = 1e6  # errors of a recursion or a series, in roundings, that are still taken
# Where a series ends and steps begin: in the middle between cancellation in the series, and other
# solutions that outgrow this one.
BEFORE_A_WAVE = 0.75
# The integral of sqrt(1 - u) / u from there to 1: the other solution grows by exp of that times the
# parameter below the line.
GROWTH_BEFORE_A_WAVE = 2 * (math.atanh(0.5) - 0.5)


def ends(a: Any) -> Any:
    """Whether a sum over ``(a)_k`` is finite."""
    return (a <= 0) & (a == fnp.floor(a))


def at_least_1(x: Any) -> Any:
    return fnp.maximum(fnp.abs(x), 1)


def no_slope(x: Any, where: Any) -> Any:
    """0, with a derivative that is NaN where it says so."""
    return fnp.where(where, _zero(x), 0)


@with_partials(lambda x: fnp.full_like(x, math.nan))
def _zero(x: Any) -> Any:
    return fnp.zeros_like(x)


def summed(
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
        return fnp.any(unfinished(k, size, total)) & (k < MOST_TERMS)

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


def continued(
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


class Form(NamedTuple):
    """A series for a function: parameters above the line, the one below, argument, and a factor."""

    above: tuple[Any, ...]
    below: Any
    x: Any
    factor: Any
    valid: Any
    last: Any  # the index where it ends, or infinity


def series(form: Form) -> tuple[Any, Any]:
    """Its value, and by how much its terms are larger; NaN where the form is not valid."""
    x = fnp.where(form.valid, form.x, 0)

    def ratio(k: Any) -> Any:
        value = x / ((form.below + k) * (k + 1))
        for a in form.above:
            value = value * (a + k)
        return value

    def bound(k: Any) -> Any:
        value = fnp.abs(x / ((form.below + k) * (k + 1)))
        for a in form.above:
            value = value * at_least_1(a + k)
        return value

    total, _, sizes = summed(fnp.ones_like(x), ratio, bound, form.last, form.below)
    return total * form.factor, fnp.where(form.valid, sizes / fnp.abs(total), math.nan)


def below_0(
    function: Callable[[Any], Any],
    b: Any,
    lower: Callable[[Any], tuple[Any, Any, Any]],
    found: Callable[[Any], list[tuple[Any, Any]]],
    more: Any = False,
    but: Any = False,
) -> Any:
    """``function(b)``, where ``b`` is negative by a series or by recursion, what loses least.

    ``found(where)`` has values by series, and by how much their terms are larger, NaN for those
    that do not count. They are tried where ``more`` says so, too, and nothing is changed where
    ``but`` does.
    ``lower(b)`` has the factors of the values at ``b`` and ``b + 1`` in that at ``b - 1``, and the
    size of what the first is a sum of: both functions are minimal solutions of this recursion for
    large ``b``, so that it is stable downwards, but not for all negative ones. A bound of the
    roundings is computed along with it: where they count and there is no good series, the value is
    NaN.
    """
    low = (b < 0) & ~ends(b) & ~but
    steps = fnp.where(low, -fnp.floor(b), 0)
    top = b + steps

    def body(i: Any, carry: Any) -> Any:
        here, above, lost, lost_above = carry
        k = i.astype(b.dtype)
        active = k < steps
        p, q, size = lower(fnp.where(active, top - k, 2))
        below = p * here + q * above
        roundings = (fnp.abs(size) + fnp.abs(p)) * fnp.abs(here) + fnp.abs(q * above)
        bound = fnp.abs(p) * lost + fnp.abs(q) * lost_above + stop_gradient(roundings)
        return (
            fnp.where(active, below, here),
            fnp.where(active, here, above),
            fnp.where(active, bound, lost),
            fnp.where(active, lost, lost_above),
        )

    def recursion(here: Any) -> Any:
        count = fnp.max(steps, initial=0).astype(np.int64)
        above = function(top + 1)
        start = here, above, fnp.abs(here), fnp.abs(above)
        value, _, lost, _ = fori_loop(0, count, body, start)
        least = fnp.where(low, lost / fnp.abs(value), _MOST_CANCELLED)
        for other, cancelled in found(low | more):
            better = cancelled < least
            value, least = fnp.where(better, other, value), fnp.where(better, cancelled, least)
        return fnp.where(low & ~(least <= MOST_GROWN), math.nan, value)

    return cond(fnp.any(low | more), recursion, lambda here: here, function(top))
