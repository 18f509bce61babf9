"""Krylov methods on vectors: each returns the solution and 0, or the number of iterations in vain.

Y. Saad, Iterative Methods for Sparse Linear Systems, 2003.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import fnad.numpy as fnp
from fnad.primitives.control_flow import fori_loop, while_loop

Array = Any
Map = Callable[[Array], Array]


class Limits(NamedTuple):
    """Stop at a residual of norm ``max(tol * norm(b), atol)``, or after ``maxiter`` iterations."""

    tol: Array
    atol: Array
    maxiter: Array

    def reached(self, b: Array) -> Array:
        size = fnp.real(b).dtype
        return fnp.maximum(fnp.asarray(self.tol, size) * norm(b), fnp.asarray(self.atol, size))


def norm(x: Array) -> Array:
    return fnp.sqrt(fnp.real(fnp.vdot(x, x)))


def _outcome(residual: Array, goal: Array, iterations: Array) -> Array:
    return fnp.where(residual <= goal, 0, fnp.maximum(iterations, 1))


class _ConjugateGradients(NamedTuple):
    x: Array
    residual: Array
    direction: Array
    product: Array  # of the residual and the preconditioned one
    iterations: Array


def conjugate_gradients(
    matvec: Map, b: Array, x0: Array, precondition: Map, limits: Limits
) -> tuple[Array, Array]:
    """For Hermitian positive definite maps (Saad, algorithm 9.1)."""
    goal = limits.reached(b)

    def goes_on(s: _ConjugateGradients) -> Array:
        return (norm(s.residual) > goal) & (s.iterations < limits.maxiter)

    def step(s: _ConjugateGradients) -> _ConjugateGradients:
        image = matvec(s.direction)
        length = s.product / fnp.real(fnp.vdot(s.direction, image))
        residual = s.residual - length * image
        scaled = precondition(residual)
        product = fnp.real(fnp.vdot(residual, scaled))
        return _ConjugateGradients(
            s.x + length * s.direction,
            residual,
            scaled + product / s.product * s.direction,
            product,
            s.iterations + 1,
        )

    residual = b - matvec(x0)
    scaled = precondition(residual)
    product = fnp.real(fnp.vdot(residual, scaled))
    start = _ConjugateGradients(x0, residual, scaled, product, fnp.asarray(0))
    last = while_loop(goes_on, step, start)
    return last.x, _outcome(norm(last.residual), goal, last.iterations)


class _BiCGStab(NamedTuple):
    x: Array
    residual: Array
    direction: Array
    product: Array  # of the residual and the first one
    iterations: Array


def stabilized_bi_conjugate_gradients(
    matvec: Map, b: Array, x0: Array, precondition: Map, limits: Limits
) -> tuple[Array, Array]:
    """For any maps (H. A. van der Vorst, SIAM J. Sci. Stat. Comput. 13, 1992)."""
    goal = limits.reached(b)
    first = b - matvec(x0)

    def goes_on(s: _BiCGStab) -> Array:
        return (norm(s.residual) > goal) & (s.iterations < limits.maxiter)

    def step(s: _BiCGStab) -> _BiCGStab:
        ahead = precondition(s.direction)
        image = matvec(ahead)
        length = s.product / fnp.vdot(first, image)
        half = s.residual - length * image
        aside = precondition(half)
        second = matvec(aside)
        # Half a step may be all that there was to do; then there is nothing to stabilize.
        weight = fnp.vdot(second, half) / fnp.vdot(second, second)
        weight = fnp.where(norm(half) > 0, weight, fnp.zeros_like(weight))
        residual = half - weight * second
        product = fnp.vdot(first, residual)
        factor = product / s.product * (length / weight)
        direction = residual + factor * (s.direction - weight * image)
        x = s.x + length * ahead + weight * aside
        return _BiCGStab(x, residual, direction, product, s.iterations + 1)

    start = _BiCGStab(x0, first, first, fnp.vdot(first, first), fnp.asarray(0))
    last = while_loop(goes_on, step, start)
    return last.x, _outcome(norm(b - matvec(last.x)), 2.0 * goal, last.iterations)


class _Arnoldi(NamedTuple):
    """``basis`` has a vector a row; ``triangle`` a column of R a row, rotated by the Givens
    rotations ``cosines`` and ``sines``; ``rhs`` is the rotated right-hand side."""

    basis: Array
    triangle: Array
    cosines: Array
    sines: Array
    rhs: Array
    step: Array


def generalized_minimal_residual(
    matvec: Map, b: Array, x0: Array, precondition: Map, limits: Limits, restart: int
) -> tuple[Array, Array]:
    """For any maps, preconditioned from the right (Saad, algorithm 9.5), so that the residual is
    that of the system itself. ``limits.maxiter`` counts cycles of ``restart`` steps."""
    goal = limits.reached(b)
    count = max(1, min(restart, b.size))
    places = fnp.arange(count)
    real = fnp.real(b).dtype

    def cycle(x: Array, residual: Array) -> Array:
        length = norm(residual)
        first = fnp.zeros((count + 1, b.size), b.dtype).at[0].set(residual / length)
        start = _Arnoldi(
            first,
            fnp.zeros((count, count), b.dtype),
            fnp.ones(count, real),
            fnp.zeros(count, b.dtype),
            fnp.zeros(count + 1, b.dtype).at[0].set(length.astype(b.dtype)),
            fnp.asarray(0),
        )

        def goes_on(s: _Arnoldi) -> Array:
            return (s.step < count) & (fnp.abs(s.rhs[s.step]) > goal)

        def expand(s: _Arnoldi) -> _Arnoldi:
            k = s.step
            image = matvec(precondition(s.basis[k]))
            # Gram and Schmidt, twice: orthogonal to the last bit (Giraud et al. 2005).
            column = fnp.matmul(fnp.conj(s.basis), image)
            image = image - fnp.matmul(column, s.basis)
            more = fnp.matmul(fnp.conj(s.basis), image)
            image = image - fnp.matmul(more, s.basis)
            below = norm(image)
            column = (column + more)[:count]

            def rotate(i: Array, column: Array) -> Array:
                upper, lower = column[i], column[fnp.minimum(i + 1, count - 1)]
                turned = s.cosines[i] * upper + fnp.conj(s.sines[i]) * lower
                rest = s.cosines[i] * lower - s.sines[i] * upper
                new = fnp.where(places == i, turned, fnp.where(places == i + 1, rest, column))
                return fnp.where(i < k, new, column)

            column = fori_loop(0, count, rotate, column)
            corner = column[k]
            size = fnp.hypot(fnp.abs(corner), below)
            phase = fnp.where(corner == 0, 1.0, corner / fnp.abs(corner)).astype(b.dtype)
            cosine = fnp.where(size > 0, fnp.abs(corner) / size, 1.0).astype(real)
            sine = fnp.where(size > 0, below / size, 0.0).astype(real) / phase
            # Rows (c, conj(s)) and (-s, c): they turn (corner, below) into (phase * size, 0).
            column = fnp.where(places == k, phase * size, fnp.where(places < k, column, 0.0))
            top = s.rhs[k]
            return _Arnoldi(
                s.basis.at[k + 1].set(fnp.where(below > 0, image / below, 0.0)),
                s.triangle.at[k].set(column),
                s.cosines.at[k].set(cosine),
                s.sines.at[k].set(sine),
                s.rhs.at[k].set(cosine * top).at[k + 1].set(-sine * top),
                k + 1,
            )

        last = while_loop(goes_on, expand, start)

        def back(j: Array, y: Array) -> Array:
            i = count - 1 - j
            known = last.rhs[i] - fnp.dot(last.triangle[:, i], y)
            diagonal = last.triangle[i, i]
            used = (i < last.step) & (diagonal != 0)
            value = fnp.where(used, known / fnp.where(used, diagonal, 1.0), 0.0)
            return fnp.where(places == i, value, y)

        y = fori_loop(0, count, back, fnp.zeros(count, b.dtype))
        return x + precondition(fnp.matmul(y, last.basis[:count]))

    def goes_on(state: tuple[Array, Array, Array]) -> Array:
        _, residual, cycles = state
        return (norm(residual) > goal) & (cycles < limits.maxiter)

    def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        x, residual, cycles = state
        x = cycle(x, residual)
        return x, b - matvec(x), cycles + 1

    x, residual, cycles = while_loop(goes_on, step, (x0, b - matvec(x0), fnp.asarray(0)))
    return x, _outcome(norm(residual), goal, cycles)
