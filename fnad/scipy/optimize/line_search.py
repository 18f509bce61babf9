"""The line search of Moré and Thuente, as one loop with one evaluation a turn.

J. J. Moré, D. J. Thuente, Line search algorithms with guaranteed sufficient decrease, ACM
Transactions on Mathematical Software 20 (1994). Two things are added. A trial where the function
is not finite is a bound that the step stays below. And a step is accepted where rounding hides the
decrease, if the slope alone tells that it is good (W. W. Hager, H. Zhang, A new conjugate gradient
method with guaranteed descent and an efficient line search, SIAM J. Optim. 16 (2005), (4.1)).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import fnad.numpy as fnp
from fnad.primitives.control_flow import while_loop

Array = Any
ValueAndGrad = Callable[[Array], tuple[Array, Array]]

_MAX_STEP = 1e10
_REDUCTION = 0.66  # of the interval in two turns, else it is halved
_RETREAT = 0.1  # from where the function is not finite


class Point(NamedTuple):
    """A step with the function's value and its slope along the line."""

    step: Array
    value: Array
    slope: Array


class LineSearch(NamedTuple):
    """What a search found: the step, value and gradient there, evaluations made, and whether
    the value went down (``improved``) far enough to build on the curvature (``wolfe``)."""

    step: Array
    value: Array
    grad: Array
    evaluations: Array
    improved: Array
    wolfe: Array


class _State(NamedTuple):
    best: Point
    best_grad: Array
    other: Point
    trial: Array
    bracketed: Array
    modified: Array  # the first stage of the paper, which looks at the function psi
    width: Array
    last_width: Array
    evaluations: Array
    wolfe: Array
    stuck: Array


def _cubic(a: Point, b: Point) -> tuple[Array, Array, Array]:
    """Parts of the minimiser of the cubic through two points: (theta, gamma, their scale)."""
    theta = 3.0 * (a.value - b.value) / (b.step - a.step) + a.slope + b.slope
    scale = fnp.maximum(fnp.abs(theta), fnp.maximum(fnp.abs(a.slope), fnp.abs(b.slope)))
    root = (theta / scale) ** 2 - (a.slope / scale) * (b.slope / scale)
    return theta, scale * fnp.sqrt(fnp.maximum(root, 0.0)), root


def _next_trial(best: Point, other: Point, t: Point, bracketed: Array, bounds: Any) -> Array:
    """The trial after ``t``, by the four cases of section 4."""
    toward = t.step - best.step
    theta, root, inside = _cubic(best, t)
    gamma = fnp.where(toward < 0, -root, root)
    # The minimiser of the cubic, seen from the best point and from the trial.
    from_best = (gamma - best.slope + theta) / (2.0 * gamma - best.slope + t.slope)
    cubic_1 = best.step + from_best * toward
    chord = (best.value - t.value) / toward + best.slope
    quadratic = best.step + 0.5 * (best.slope / chord) * toward
    secant = t.step + t.slope / (t.slope - best.slope) * -toward

    higher = fnp.where(
        fnp.abs(cubic_1 - best.step) < fnp.abs(quadratic - best.step),
        cubic_1,
        0.5 * (cubic_1 + quadratic),
    )
    opposite = fnp.where(fnp.abs(cubic_1 - t.step) > fnp.abs(secant - t.step), cubic_1, secant)
    # The slope shrinks: the cubic counts only if it has a minimum beyond the trial.
    backward = (-gamma - t.slope + theta) / (best.slope - t.slope - 2.0 * gamma)
    lowest, highest = bounds
    far = fnp.where(toward > 0, highest, lowest)
    cubic_3 = fnp.where((backward < 0) & (inside > 0), t.step - backward * toward, far)
    cubic_is_near = fnp.abs(cubic_3 - t.step) < fnp.abs(secant - t.step)
    inner = fnp.where(cubic_is_near, cubic_3, secant)
    limit = t.step + _REDUCTION * (other.step - t.step)
    inner = fnp.where(toward > 0, fnp.minimum(limit, inner), fnp.maximum(limit, inner))
    outer = fnp.clip(fnp.where(cubic_is_near, secant, cubic_3), lowest, highest)
    shrinking = fnp.where(bracketed, inner, outer)
    # The slope grows: towards the other end.
    theta_4, root_4, _ = _cubic(t, other)
    gamma_4 = fnp.where(t.step > other.step, -root_4, root_4)
    ratio = (gamma_4 - t.slope + theta_4) / (2.0 * gamma_4 - t.slope + other.slope)
    growing = fnp.where(bracketed, t.step + ratio * (other.step - t.step), far)

    turned = t.slope * fnp.sign(best.slope) < 0
    flatter = fnp.abs(t.slope) < fnp.abs(best.slope)
    low = fnp.where(turned, opposite, fnp.where(flatter, shrinking, growing))
    return fnp.where(t.value > best.value, higher, low)


def _choose(condition: Array, a: Point, b: Point) -> Point:
    return Point(*(fnp.where(condition, x, y) for x, y in zip(a, b)))


def line_search(
    value_and_grad: ValueAndGrad,
    x: Array,
    direction: Array,
    value: Array,
    grad: Array,
    first: Array,
    decrease: float,
    curvature: float,
    max_evaluations: int,
) -> LineSearch:
    """A step along a direction of descent that satisfies the strong Wolfe conditions.

    Parameters
    ----------
    value_and_grad : callable
        The function and its gradient.
    x, direction : (n,) arrays
        Where to search.
    value, grad : scalar, (n,) array
        The function at ``x``.
    first : scalar
        The first trial.
    decrease, curvature : float
        The constants of the conditions, ``0 < decrease < curvature < 1``.
    max_evaluations : int
        A bound of the number of trials.

    Returns
    -------
    LineSearch
        The best point that was met if the conditions could not be satisfied.
    """
    slope = fnp.dot(direction, grad)
    rounding = 4.0 * fnp.finfo(x.dtype).eps
    longest = min(_MAX_STEP, float(fnp.finfo(x.dtype).max) / 4)
    zero = fnp.zeros_like(value)
    start = Point(zero, value, slope)
    no, yes = fnp.asarray(False), fnp.asarray(True)

    def goes_on(s: _State) -> Array:
        return ~s.wolfe & ~s.stuck & (s.evaluations < max_evaluations)

    def turn(s: _State) -> _State:
        f, g = value_and_grad(x + s.trial * direction)
        t = Point(s.trial, f, fnp.dot(direction, g))
        finite = fnp.isfinite(f) & fnp.isfinite(t.slope)
        target = value + decrease * slope * t.step
        steep = fnp.abs(t.slope) <= -curvature * slope
        hidden = (fnp.abs(f - value) <= rounding * fnp.abs(value)) & (
            t.slope <= (2.0 * decrease - 1.0) * slope
        )
        wolfe = finite & steep & ((f <= target) | hidden)

        modified = s.modified & ~((f <= target) & (t.slope >= 0))
        # Stage 1 with a trial that is lower but not low enough: the steps are those of psi.
        shift = fnp.where(modified & (f <= s.best.value) & (f > target), decrease * slope, zero)

        def shifted(p: Point) -> Point:
            return Point(p.step, p.value - shift * p.step, p.slope - shift)

        best, other, at = shifted(s.best), shifted(s.other), shifted(t)
        span = t.step - s.best.step
        near = fnp.minimum(s.best.step, s.other.step)
        away = fnp.maximum(s.best.step, s.other.step)
        bounds = (
            fnp.where(s.bracketed, near, t.step + 1.1 * span),
            fnp.where(s.bracketed, away, fnp.minimum(t.step + 4.0 * span, longest)),
        )
        found = _next_trial(best, other, at, s.bracketed, bounds)

        higher, turned = at.value > best.value, at.slope * fnp.sign(best.slope) < 0
        bracketed = s.bracketed | ~finite | higher | turned
        kept = ~finite | higher
        new_other = _choose(kept, t, _choose(turned, s.best, s.other))
        new_best = _choose(kept, s.best, t)
        width = fnp.where(bracketed, fnp.abs(new_other.step - new_best.step), s.width)
        middle = 0.5 * (new_best.step + new_other.step)
        slow = width >= _REDUCTION * s.last_width
        found = fnp.where(s.bracketed & slow, middle, found)
        retreat = s.best.step + _RETREAT * span
        found = fnp.where(finite, fnp.where(fnp.isfinite(found), found, middle), retreat)
        found = fnp.minimum(found, longest)
        stuck = (found == new_best.step) | (found == new_other.step) & bracketed
        stuck = stuck | (bracketed & (width <= rounding * new_best.step))
        return _State(
            _choose(wolfe, t, new_best),
            fnp.where(wolfe | ~kept, g, s.best_grad),
            new_other,
            found,
            bracketed,
            modified,
            width,
            s.width,
            s.evaluations + 1,
            wolfe,
            stuck,
        )

    big = fnp.full_like(value, 2.0 * longest)
    init = _State(
        start, grad, start, first, no, yes, big, 2.0 * big, fnp.asarray(0), no, ~(slope < 0)
    )
    last = while_loop(goes_on, turn, init)
    step, found, _ = last.best
    improved = last.wolfe | (found < value)
    return LineSearch(step, found, last.best_grad, last.evaluations, improved, last.wolfe)
