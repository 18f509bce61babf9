"""The pair of Dormand and Prince: one step of order 5, its error, and a curve of order 4 inside.

J. R. Dormand, P. J. Prince, A family of embedded Runge-Kutta formulae, J. Comp. Appl. Math. 6
(1980); L. F. Shampine, Some practical Runge-Kutta formulas, Math. Comp. 46 (1986), in the form of
E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I (HNW), II.5 and II.6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import fnad.numpy as fnp

Array = Any
Field = Callable[[Array, Array], Array]  # of time and state
Norm = Callable[[Array], Array]

_STAGES: Sequence[tuple[float, Sequence[float]]] = (
    (1 / 5, (1 / 5,)),
    (3 / 10, (3 / 40, 9 / 40)),
    (4 / 5, (44 / 45, -56 / 15, 32 / 9)),
    (8 / 9, (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729)),
    (1.0, (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656)),
    (1.0, (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
_DENSE = (
    -12715105075 / 11282082432,
    0.0,
    87487479700 / 32700410799,
    -10690763975 / 1880347072,
    701980252875 / 199316789632,
    -1453857185 / 822651844,
    69997945 / 29380423,
)
EVALUATIONS = len(_STAGES)
CURVE_TERMS = 5


class Step(NamedTuple):
    """The state behind a step, its derivative there, the error, and the curve inside: five
    vectors as rows (HNW, (6.13))."""

    y: Array
    slope: Array
    error: Array
    curve: Array


def _weighted(weights: Sequence[float], slopes: Sequence[Array]) -> Array:
    terms = [w * k for w, k in zip(weights, slopes) if w]
    return sum(terms[1:], start=terms[0])


def step(f: Field, t: Array, y: Array, slope: Array, h: Array) -> Step:
    """One step from ``(t, y)``, where the derivative is ``slope``."""
    length = h.astype(fnp.real(y).dtype)
    slopes, end = [slope], y
    for fraction, weights in _STAGES:
        end = y + length * _weighted(weights, slopes)
        slopes.append(f(t + fraction * h, end))
    change = end - y
    first = length * slope - change
    last = change - length * slopes[-1] - first
    curve = fnp.stack([y, change, first, last, length * _weighted(_DENSE, slopes)])
    return Step(end, slopes[-1], length * _weighted(_ERROR, slopes), curve)


def on_curve(curve: Array, part: Array) -> Array:
    """The state at a part, between 0 and 1, of a step; ``curve`` has its rows before the last axis,
    and ``part`` broadcasts against the others."""
    rows = [curve[..., i, :] for i in range(CURVE_TERMS)]
    x = part.astype(fnp.real(curve).dtype)
    inner = rows[3] + (1 - x) * rows[4]
    return rows[0] + x * (rows[1] + (1 - x) * (rows[2] + x * inner))


def constant_curve(y: Array) -> Array:
    """The curve that stays at ``y``."""
    return fnp.concatenate([y[None], fnp.zeros((CURVE_TERMS - 1, y.size), y.dtype)])


def first_step(
    f: Field, t: Array, y: Array, slope: Array, tolerance: tuple[Array, Array], norm: Norm
) -> Array:
    """A length to begin with, by one more evaluation (HNW, II.4)."""
    rtol, atol = tolerance
    scale = atol + rtol * fnp.abs(y)
    size, speed = norm(y / scale), norm(slope / scale)
    small = (size < 1e-5) | (speed < 1e-5)
    trial = fnp.where(small, 1e-6, 0.01 * size / fnp.where(small, 1.0, speed))
    ahead = f(t + trial.astype(t.dtype), y + trial * slope)
    bend = norm((ahead - slope) / scale) / trial
    most = fnp.maximum(speed, bend)
    flat = most <= 1e-15
    power = (0.01 / fnp.where(flat, 1.0, most)) ** 0.2
    length = fnp.where(flat, fnp.maximum(1e-6, trial * 1e-3), power)
    return fnp.minimum(100 * trial, length).astype(t.dtype)
