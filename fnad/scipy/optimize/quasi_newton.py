"""Minimisation by quasi-Newton steps: what BFGS and L-BFGS have in common, and their memories.

J. Nocedal, S. J. Wright, Numerical Optimization, 2006, chapters 6 and 7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import fnad.numpy as fnp
from fnad.primitives.control_flow import fori_loop, while_loop
from fnad.scipy.optimize.line_search import ValueAndGrad, line_search

Array = Any

CONVERGED, OUT_OF_STEPS, NO_DECREASE, NOT_FINITE = range(4)
RUNNING = -1
_TINY_CURVATURE = 1e-20  # of inverse Hessians that are taken in, in units of the problem


class Memory(Protocol):
    """An approximation of the inverse of the Hessian; both are functions of arrays alone."""

    def empty(self, x: Array) -> Any: ...

    def multiply(self, memory: Any, vector: Array) -> Array: ...

    def update(self, memory: Any, step: Array, change: Array, fresh: Array) -> Any: ...


class Dense:
    """BFGS: the matrix itself (Nocedal and Wright, (6.17)).

    Before the first update it is scaled by the root of (6.20), the reciprocal of the curvature
    along the first step, which as a rule is among the largest ones. The problems of Moré, Garbow
    and Hillstrom take fewest evaluations so, half-way to leaving the identity as it is.
    """

    def empty(self, x: Array) -> Array:
        return fnp.eye(x.size, dtype=x.dtype)

    def multiply(self, memory: Array, vector: Array) -> Array:
        return fnp.matmul(memory, vector)

    def update(self, memory: Array, step: Array, change: Array, fresh: Array) -> Array:
        product = fnp.dot(step, change)
        scale = fnp.sqrt(product / fnp.dot(change, change))
        memory = fnp.where(fresh, scale, fnp.ones_like(scale)) * memory
        image = fnp.matmul(memory, change)
        grown = (1.0 + fnp.dot(change, image) / product) / product
        crossed = fnp.outer(step, image) / product
        return memory - crossed - crossed.T + grown * fnp.outer(step, step)


class Pairs(NamedTuple):
    """The last steps and changes of the gradient, the newest last; ``weights`` are
    ``1 / (step @ change)``, zero where there is no pair yet."""

    steps: Array
    changes: Array
    weights: Array
    scale: Array


class Limited:
    """L-BFGS: the last ``size`` pairs (Nocedal and Wright, algorithm 7.4, scaled by (7.20))."""

    def __init__(self, size: int) -> None:
        self.size = size

    def empty(self, x: Array) -> Pairs:
        rows = fnp.zeros((self.size, x.size), x.dtype)
        return Pairs(rows, rows, fnp.zeros(self.size, x.dtype), fnp.ones((), x.dtype))

    def multiply(self, memory: Pairs, vector: Array) -> Array:
        def backward(k: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
            rest, factors = state
            i = self.size - 1 - k
            factor = memory.weights[i] * fnp.dot(memory.steps[i], rest)
            return rest - factor * memory.changes[i], fnp.where(index == i, factor, factors)

        def forward(i: Array, result: Array) -> Array:
            factor = memory.weights[i] * fnp.dot(memory.changes[i], result)
            return result + (factors[i] - factor) * memory.steps[i]

        index = fnp.arange(self.size)
        rest, factors = fori_loop(0, self.size, backward, (vector, fnp.zeros_like(memory.weights)))
        return fori_loop(0, self.size, forward, memory.scale * rest)

    def update(self, memory: Pairs, step: Array, change: Array, fresh: Array) -> Pairs:
        def push(rows: Array, row: Array) -> Array:
            return fnp.concatenate([rows[1:], row[None]])

        product = fnp.dot(step, change)
        return Pairs(
            push(memory.steps, step),
            push(memory.changes, change),
            push(memory.weights, 1.0 / product),
            product / fnp.dot(change, change),
        )


class Settings(NamedTuple):
    """When to stop, and how lines are searched; ``norm`` of the gradient is what is small."""

    gtol: Array
    ftol: Array
    norm: Callable[[Array], Array]
    maxiter: int
    maxfun: int
    maxls: int
    decrease: float
    curvature: float


class Progress(NamedTuple):
    """The state of a minimisation."""

    x: Array
    value: Array
    grad: Array
    memory: Any
    fresh: Array  # nothing is known of the curvature
    status: Array
    iterations: Array
    evaluations: Array


def quasi_newton(
    value_and_grad: ValueAndGrad, x: Array, memory: Memory, settings: Settings
) -> Progress:
    """Minimise a function of a vector, from ``x`` on.

    Where a line search does not find any decrease the memory is given up for a step downhill; if
    that fails too, the search ends. Pairs without positive curvature are left out.
    """
    value, grad = value_and_grad(x)

    def status_of(f: Array, g: Array, otherwise: Array) -> Array:
        small = fnp.where(settings.norm(g) <= settings.gtol, CONVERGED, otherwise)
        return fnp.where(fnp.isfinite(f) & fnp.all(fnp.isfinite(g)), small, NOT_FINITE)

    def goes_on(p: Progress) -> Array:
        return p.status == RUNNING

    def step(p: Progress) -> Progress:
        direction = -memory.multiply(p.memory, p.grad)
        slope = fnp.dot(direction, p.grad)
        fresh = p.fresh | ~(slope < 0) | ~fnp.isfinite(slope)
        direction = fnp.where(fresh, -p.grad, direction)
        length = fnp.sqrt(fnp.dot(direction, direction))
        first = fnp.where(fresh, fnp.minimum(1.0, 1.0 / length), fnp.ones_like(length))
        found = line_search(
            value_and_grad,
            p.x,
            direction,
            p.value,
            p.grad,
            first,
            settings.decrease,
            settings.curvature,
            settings.maxls,
        )
        moved = found.step * direction
        x = fnp.where(found.improved, p.x + moved, p.x)
        value = fnp.where(found.improved, found.value, p.value)
        grad = fnp.where(found.improved, found.grad, p.grad)
        change = grad - p.grad
        curved = fnp.dot(moved, change) > _TINY_CURVATURE * fnp.dot(change, change)
        useful = found.improved & curved

        start = memory.empty(x)
        base = _choose(fresh, start, p.memory)
        updated = memory.update(base, moved, change, fresh)
        kept = _choose(found.improved, base, start)
        evaluations, iterations = p.evaluations + found.evaluations, p.iterations + 1
        counts = iterations, evaluations
        status = status_of_step(settings, p.value, value, found.improved, fresh, counts)
        return Progress(
            x,
            value,
            grad,
            _choose(useful, updated, kept),
            ~useful & (fresh | ~found.improved),
            status_of(value, grad, status),
            iterations,
            evaluations,
        )

    start = status_of(value, grad, fnp.asarray(RUNNING if settings.maxiter > 0 else OUT_OF_STEPS))
    yes = fnp.asarray(True)
    one, none = fnp.asarray(1), fnp.asarray(0)
    return while_loop(
        goes_on, step, Progress(x, value, grad, memory.empty(x), yes, start, none, one)
    )


def status_of_step(
    settings: Settings,
    before: Array,
    value: Array,
    found: Array,
    fresh: Array,
    counts: tuple[Array, Array],
) -> Array:
    """Whether to go on after a step from the value ``before`` to another, as far as those say.

    ``found`` is whether a lower one was, ``fresh`` whether the direction was the gradient's, and
    ``counts`` are iterations and evaluations so far.
    """
    iterations, evaluations = counts
    scale = fnp.maximum(fnp.maximum(fnp.abs(before), fnp.abs(value)), 1.0)
    flat = found & (before - value <= settings.ftol * scale)
    spent = (iterations >= settings.maxiter) | (evaluations >= settings.maxfun)
    status = fnp.where(spent, OUT_OF_STEPS, RUNNING)
    status = fnp.where(~found & fresh, NO_DECREASE, status)
    return fnp.where(flat & (settings.ftol > 0), CONVERGED, status)


def _choose(condition: Array, a: Any, b: Any) -> Any:
    if isinstance(a, Pairs):
        return Pairs(*(fnp.where(condition, x, y) for x, y in zip(a, b)))
    return fnp.where(condition, a, b)
