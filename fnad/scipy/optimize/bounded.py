"""Minimisation between bounds, by quasi-Newton steps that are projected onto them.

D. P. Bertsekas, Projected Newton methods for optimization problems with simple constraints, SIAM J.
Control Optim. 20 (1982): variables that a bound holds back take part as a step downhill, all others
as one of the quasi-Newton method, whose pairs are seen in these alone. The search along the
projected line is backtracking.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fnad.numpy as fnp
from fnad.core.tracer import Tracer
from fnad.primitives.control_flow import while_loop
from fnad.scipy.optimize.line_search import ValueAndGrad
from fnad.scipy.optimize.quasi_newton import (
    CONVERGED,
    NOT_FINITE,
    OUT_OF_STEPS,
    RUNNING,
    Limited,
    Pairs,
    Progress,
    Settings,
    status_of_step,
)
from fnad.scipy.vectors import Vectors

Array = Any
_CURVED = 1e-14  # of the product of a pair's lengths, below which it is left out


class Bounds(NamedTuple):
    """Bounds of `minimize`: of the structure of ``x0``, or one number for all.

    Attributes
    ----------
    lb, ub : pytree of arrays or scalar
        The least and the greatest values; infinite for none.
    """

    lb: Any = -np.inf
    ub: Any = np.inf


def vectors_of(bounds: Any, vectors: Vectors) -> tuple[Array, Array]:
    """Both bounds as vectors, of `Bounds`, SciPy's own, or pairs where None means infinite."""
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        lower, upper = bounds.lb, bounds.ub
    else:
        pairs = list(bounds) if np.iterable(bounds) else []
        if len(pairs) != vectors.size or any(
            not np.iterable(p) or len(list(p)) != 2 for p in pairs
        ):
            raise ValueError(
                f"minimize: bounds must be Bounds(lb, ub) or a pair for each of {vectors.size}"
                f" variables, got {bounds!r}"
            )
        lower = fnp.stack([fnp.asarray(-np.inf if a is None else a) for a, _ in pairs])
        upper = fnp.stack([fnp.asarray(np.inf if b is None else b) for _, b in pairs])
        return _in_order(fnp.asarray(lower, vectors.dtype), fnp.asarray(upper, vectors.dtype))

    def vector(value: Any, what: str) -> Array:
        if not isinstance(value, (dict, list, tuple)) and np.size(value) == 1:
            one = fnp.reshape(fnp.asarray(value, vectors.dtype), ())
            return fnp.full(vectors.size, one, vectors.dtype)
        return vectors.ravel(value, what)

    return _in_order(
        vector(lower, "minimize: the lower bound"), vector(upper, "minimize: the upper bound")
    )


def _in_order(lower: Array, upper: Array) -> tuple[Array, Array]:
    """Bounds between which there is something; those that are traced become NaN if not."""
    crossed = lower > upper
    some = fnp.any(crossed)
    if isinstance(some, Tracer):
        return fnp.where(crossed, fnp.nan, lower).astype(lower.dtype), upper
    if some:
        place = int(fnp.argmax(crossed))
        raise ValueError(
            f"minimize: the lower bound {lower[place]} of variable {place} lies above its upper"
            f" bound {upper[place]}"
        )
    return lower, upper


class _Trial(NamedTuple):
    step: Array
    x: Array
    value: Array
    grad: Array
    evaluations: Array
    found: Array


def bounded_quasi_newton(
    value_and_grad: ValueAndGrad,
    x: Array,
    bounds: tuple[Array, Array],
    memory: Limited,
    settings: Settings,
) -> Progress:
    """Minimise a function of a vector between bounds; ``grad`` of the result is not projected."""
    lower, upper = bounds

    def project(x: Array) -> Array:
        return fnp.minimum(fnp.maximum(x, lower), upper)

    def size(x: Array, grad: Array) -> Array:
        """The norm of the projected gradient."""
        return settings.norm(x - project(x - grad))

    def status_of(x: Array, f: Array, g: Array, otherwise: Array) -> Array:
        small = fnp.where(size(x, g) <= settings.gtol, CONVERGED, otherwise)
        return fnp.where(fnp.isfinite(f) & fnp.all(fnp.isfinite(g)), small, NOT_FINITE)

    def search(p: Progress, direction: Array, first: Array) -> _Trial:
        def goes_on(t: _Trial) -> Array:
            return ~t.found & (t.evaluations < settings.maxls)

        def shorten(t: _Trial) -> _Trial:
            x = project(p.x + t.step * direction)
            value, grad = value_and_grad(x)
            slope = fnp.dot(p.grad, x - p.x)
            found = (value <= p.value + settings.decrease * slope) & (slope < 0)
            found = found & fnp.all(fnp.isfinite(grad))
            # The minimum of the parabola through what is known, kept away from both ends.
            bend = value - p.value - slope
            factor = fnp.where(bend > 0, -0.5 * slope / fnp.where(bend > 0, bend, 1), 0.1)
            factor = fnp.clip(fnp.where(fnp.isfinite(factor), factor, 0.1), 0.1, 0.5)
            step = fnp.where(found, t.step, factor * t.step)
            return _Trial(step, x, value, grad, t.evaluations + 1, found)

        none = fnp.asarray(False)
        start = _Trial(first, p.x, p.value, p.grad, fnp.asarray(0), none)
        return while_loop(goes_on, shorten, start)

    def step(p: Progress) -> Progress:
        held = ((p.x <= lower) & (p.grad > 0)) | ((p.x >= upper) & (p.grad < 0))
        free = fnp.where(held, 0, p.grad)
        inner = -memory.multiply(_seen(p.memory, ~held), free)
        direction = fnp.where(held, -p.grad, inner)
        slope = fnp.dot(fnp.where(held, 0, direction), free)
        fresh = p.fresh | ~(slope < 0) | ~fnp.isfinite(slope)
        direction = fnp.where(fresh, -p.grad, direction)
        length = fnp.sqrt(fnp.dot(direction, direction))
        first = fnp.where(fresh, fnp.minimum(1.0, 1.0 / length), fnp.ones_like(length))
        t = search(p, direction, first)
        x = fnp.where(t.found, t.x, p.x)
        value = fnp.where(t.found, t.value, p.value)
        grad = fnp.where(t.found, t.grad, p.grad)
        moved, change = x - p.x, grad - p.grad
        scale = fnp.sqrt(fnp.dot(moved, moved) * fnp.dot(change, change))
        useful = t.found & (fnp.dot(moved, change) > _CURVED * scale)
        updated = memory.update(p.memory, moved, change, fresh)
        start = memory.empty(x)
        kept = [
            fnp.where(useful, new, fnp.where(t.found, old, none))
            for new, old, none in zip(updated, p.memory, start)
        ]
        evaluations, iterations = p.evaluations + t.evaluations, p.iterations + 1
        counts = iterations, evaluations
        status = status_of_step(settings, p.value, value, t.found, fresh, counts)
        return Progress(
            x,
            value,
            grad,
            Pairs(*kept),
            ~useful & (fresh | ~t.found),
            status_of(x, value, grad, status),
            iterations,
            evaluations,
        )

    x = project(x)
    value, grad = value_and_grad(x)
    begin = fnp.asarray(RUNNING if settings.maxiter > 0 else OUT_OF_STEPS)
    start = status_of(x, value, grad, begin)
    yes, one, none = fnp.asarray(True), fnp.asarray(1), fnp.asarray(0)
    running: Callable[[Progress], Array] = lambda p: p.status == RUNNING  # noqa: E731
    return while_loop(
        running, step, Progress(x, value, grad, memory.empty(x), yes, start, none, one)
    )


def _seen(memory: Pairs, free: Array) -> Pairs:
    """The pairs in the free variables alone, those without curvature in them left out."""
    steps = fnp.where(free, memory.steps, 0)
    changes = fnp.where(free, memory.changes, 0)
    products = fnp.sum(steps * changes, axis=1)
    sizes = fnp.sqrt(fnp.sum(steps * steps, axis=1) * fnp.sum(changes * changes, axis=1))
    used = (memory.weights != 0) & (products > _CURVED * sizes) & (sizes > 0)
    weights = fnp.where(used, 1 / fnp.where(used, products, 1), 0)
    last = fnp.sum(changes[-1] * changes[-1])
    scale = fnp.where(used[-1], products[-1] / fnp.where(last > 0, last, 1), memory.scale)
    return Pairs(steps, changes, weights, scale)
