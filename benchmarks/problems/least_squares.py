"""The problems of Moré, Garbow and Hillstrom: sums of squares to be minimised.

J. J. Moré, B. S. Garbow, K. E. Hillstrom, Testing unconstrained optimization software, ACM
Transactions on Mathematical Software 7 (1981). The numbers are those of the paper; of problem 11
the residual is the corrected one. Functions of NumPy, which fnad traces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any


@dataclass(frozen=True)
class Problem:
    """A sum of squared residuals.

    Attributes
    ----------
    number : int
        Its number in the paper.
    name : str
        Its name.
    residuals : callable
        From (n,) to (m,).
    start : (n,) sequence of float
        Where the search begins.
    minima : sequence of float
        Values at the minima, global and local, that are known; some are at infinity.
    """

    number: int
    name: str
    residuals: Callable[[Array], Array]
    start: Any
    minima: Sequence[float]

    def value(self, x: Array) -> Array:
        """The sum of squares."""
        return np.sum(np.square(self.residuals(x)))

    def solved(self, value: float) -> bool:
        """Whether a value is that of a minimum, to 1e-6 or four digits."""
        return any(value <= best + 1e-6 + 1e-4 * best and value > best - 1e-6 - 1e-4 * best
                   for best in self.minima)  # fmt: skip


def _freudenstein_roth(x: Array) -> Array:
    a, b = x
    return np.stack([-13 + a + ((5 - b) * b - 2) * b, -29 + a + ((b + 1) * b - 14) * b])


def _rosenbrock(x: Array) -> Array:
    odd, even = x[::2], x[1::2]
    return np.concatenate([10 * (even - odd**2), 1 - odd])


def _powell_badly_scaled(x: Array) -> Array:
    return np.stack([1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001])


def _brown_badly_scaled(x: Array) -> Array:
    return np.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


def _beale(x: Array) -> Array:
    return np.stack([y - x[0] * (1 - x[1] ** i) for i, y in ((1, 1.5), (2, 2.25), (3, 2.625))])


def _jennrich_sampson(x: Array) -> Array:
    i = np.arange(1.0, 11)
    return 2 + 2 * i - (np.exp(i * x[0]) + np.exp(i * x[1]))


def _helical_valley(x: Array) -> Array:
    turns = np.arctan(x[1] / x[0]) / (2 * math.pi) + np.where(x[0] < 0, 0.5, 0.0)
    return np.stack([10 * (x[2] - 10 * turns), 10 * (np.hypot(x[0], x[1]) - 1), x[2]])


_BARD = np.array([
    0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39,
])  # fmt: skip


def _bard(x: Array) -> Array:
    u = np.arange(1.0, 16)
    v = 16 - u
    return _BARD - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


_GAUSSIAN = np.array([0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989])


def _gaussian(x: Array) -> Array:
    t = (8 - np.arange(1.0, 16)) / 2
    y = np.concatenate([_GAUSSIAN, _GAUSSIAN[-2::-1]])
    return x[0] * np.exp(-x[1] * (t - x[2]) ** 2 / 2) - y


_MEYER = np.array([
    34780.0, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820,
    3307, 2872,
])  # fmt: skip


def _meyer(x: Array) -> Array:
    return x[0] * np.exp(x[1] / (45 + 5 * np.arange(1.0, 17) + x[2])) - _MEYER


def _gulf(x: Array) -> Array:
    t = np.arange(1.0, 100) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    return np.exp(-(np.abs(y - x[1]) ** x[2]) / x[0]) - t


def _box(x: Array) -> Array:
    t = 0.1 * np.arange(1.0, 11)
    return np.exp(-t * x[0]) - np.exp(-t * x[1]) - x[2] * (np.exp(-t) - np.exp(-10 * t))


def _powell_singular(x: Array) -> Array:
    a, b, c, d = x[::4], x[1::4], x[2::4], x[3::4]
    parts = [a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2]
    return np.concatenate(parts)


def _wood(x: Array) -> Array:
    a, b, c, d = x
    first = [10 * (b - a**2), 1 - a, 90**0.5 * (d - c**2), 1 - c]
    return np.stack([*first, 10**0.5 * (b + d - 2), (b - d) / 10**0.5])


_KOWALIK = np.array([
    0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246,
])  # fmt: skip
_KOWALIK_AT = np.array([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])


def _kowalik_osborne(x: Array) -> Array:
    u = _KOWALIK_AT
    return _KOWALIK - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def _brown_dennis(x: Array) -> Array:
    t = np.arange(1.0, 21) / 5
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


_OSBORNE_1 = np.array([
    0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685,
    0.658, 0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448,
    0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406,
])  # fmt: skip


def _osborne_1(x: Array) -> Array:
    t = 10 * np.arange(33.0)
    return _OSBORNE_1 - (x[0] + x[1] * np.exp(-t * x[3]) + x[2] * np.exp(-t * x[4]))


def _biggs(x: Array) -> Array:
    t = 0.1 * np.arange(1.0, 14)
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    return x[2] * np.exp(-t * x[0]) - x[3] * np.exp(-t * x[1]) + x[5] * np.exp(-t * x[4]) - y


_OSBORNE_2 = np.array([
    1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608,
    0.655, 0.616, 0.606, 0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661,
    0.612, 0.558, 0.533, 0.495, 0.500, 0.423, 0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428,
    0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668, 0.645, 0.632, 0.591, 0.559,
    0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098, 0.054,
])  # fmt: skip


def _osborne_2(x: Array) -> Array:
    t = np.arange(65.0) / 10
    bells = [x[i] * np.exp(-((t - x[i + 7]) ** 2) * x[i + 4]) for i in (1, 2, 3)]
    return _OSBORNE_2 - (x[0] * np.exp(-t * x[4]) + bells[0] + bells[1] + bells[2])


def _watson(x: Array) -> Array:
    n = len(x)
    t = np.arange(1.0, 30)[:, None] / 29
    j = np.arange(n)
    slope = (j[1:] * t ** j[:-1]) @ x[1:]
    first = slope - (t**j @ x) ** 2 - 1
    return np.concatenate([first, np.stack([x[0], x[1] - x[0] ** 2 - 1])])


def _penalty_1(x: Array) -> Array:
    return np.concatenate([1e-5**0.5 * (x - 1), np.sum(x**2)[None] - 0.25])


def _penalty_2(x: Array) -> Array:
    n = len(x)
    i = np.arange(2.0, n + 1)
    e, y = np.exp(x / 10), np.exp(i / 10) + np.exp((i - 1) / 10)
    pairs, single = e[1:] + e[:-1] - y, e[1:] - math.exp(-0.1)
    last = np.sum(np.arange(n, 0, -1) * x**2)[None] - 1
    return np.concatenate([x[:1] - 0.2, 1e-5**0.5 * pairs, 1e-5**0.5 * single, last])


def _variably_dimensioned(x: Array) -> Array:
    total = np.sum(np.arange(1, len(x) + 1) * (x - 1))[None]
    return np.concatenate([x - 1, total, total**2])


def _trigonometric(x: Array) -> Array:
    n = len(x)
    c = np.cos(x)
    return n - np.sum(c) + np.arange(1, n + 1) * (1 - c) - np.sin(x)


def _brown_almost_linear(x: Array) -> Array:
    n = len(x)
    return np.concatenate([x[:-1] + np.sum(x) - (n + 1), np.prod(x)[None] - 1])


def _padded(x: Array) -> Array:
    zero = np.zeros(1)
    return np.concatenate([zero, x, zero])


def _boundary_value(x: Array) -> Array:
    n = len(x)
    h, y = 1 / (n + 1), _padded(x)
    t = h * np.arange(1, n + 1)
    return 2 * x - y[:-2] - y[2:] + h**2 * (x + t + 1) ** 3 / 2


def _integral_equation(x: Array) -> Array:
    n = len(x)
    h = 1 / (n + 1)
    t = h * np.arange(1, n + 1)
    kernel = np.minimum.outer(t, t) * (1 - np.maximum.outer(t, t))
    return x + h / 2 * kernel @ (x + t + 1) ** 3


def _broyden_tridiagonal(x: Array) -> Array:
    y = _padded(x)
    return (3 - 2 * x) * x - y[:-2] - 2 * y[2:] + 1


def _broyden_banded(x: Array) -> Array:
    i = np.arange(len(x))
    apart = i[:, None] - i
    near = ((apart <= 5) & (apart >= -1) & (apart != 0)).astype(float)
    return x * (2 + 5 * x**2) + 1 - near @ (x * (1 + x))


def _linear_full_rank(x: Array) -> Array:
    m, total = 20, np.sum(x)
    return np.concatenate([x - 2 / m * total - 1, (-2 / m * total - 1) * np.ones(m - len(x))])


def _linear_rank_1(x: Array) -> Array:
    return np.arange(1, 21) * np.sum(np.arange(1, len(x) + 1) * x) - 1


def _linear_rank_1_with_zeros(x: Array) -> Array:
    rows = np.concatenate([np.arange(19), [0]])
    return rows * np.sum(np.arange(2, len(x)) * x[1:-1]) - 1


def _chebyquad(x: Array) -> Array:
    n = len(x)
    u = 2 * x - 1
    polynomials = [np.ones(n), u]
    for _ in range(n - 1):
        polynomials.append(2 * u * polynomials[-1] - polynomials[-2])
    i = np.arange(2, n + 1, 2)
    integrals = np.zeros(n)
    integrals[1::2] = -1.0 / (i**2 - 1)
    return np.mean(np.stack(polynomials[1:]), 1) - integrals


def _steps(n: int) -> Array:
    return np.arange(1, n + 1) / (n + 1)


PROBLEMS = (
    Problem(1, "Rosenbrock", _rosenbrock, (-1.2, 1), (0,)),
    Problem(2, "Freudenstein and Roth", _freudenstein_roth, (0.5, -2), (0, 48.98425)),
    Problem(3, "Powell badly scaled", _powell_badly_scaled, (0, 1), (0,)),
    Problem(4, "Brown badly scaled", _brown_badly_scaled, (1, 1), (0,)),
    Problem(5, "Beale", _beale, (1, 1), (0,)),
    Problem(6, "Jennrich and Sampson", _jennrich_sampson, (0.3, 0.4), (124.362,)),
    Problem(7, "Helical valley", _helical_valley, (-1, 0, 0), (0,)),
    Problem(8, "Bard", _bard, (1, 1, 1), (8.21487e-3, 17.4286)),
    Problem(9, "Gaussian", _gaussian, (0.4, 1, 0), (1.12793e-8,)),
    Problem(10, "Meyer", _meyer, (0.02, 4000, 250), (87.9458,)),
    Problem(11, "Gulf research", _gulf, (5, 2.5, 0.15), (0,)),
    Problem(12, "Box three-dimensional", _box, (0, 10, 20), (0,)),
    Problem(13, "Powell singular", _powell_singular, (3, -1, 0, 1), (0,)),
    Problem(14, "Wood", _wood, (-3, -1, -3, -1), (0,)),
    Problem(
        15, "Kowalik and Osborne", _kowalik_osborne, (0.25, 0.39, 0.415, 0.39),
        (3.07505e-4, 1.02734e-3),
    ),
    Problem(16, "Brown and Dennis", _brown_dennis, (25, 5, -5, -1), (85822.2,)),
    Problem(17, "Osborne 1", _osborne_1, (0.5, 1.5, -1, 0.01, 0.02), (5.46489e-5,)),
    Problem(18, "Biggs EXP6", _biggs, (1, 2, 1, 1, 1, 1), (0, 5.65565e-3)),
    Problem(
        19, "Osborne 2", _osborne_2, (1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5),
        (4.01377e-2,),
    ),
    Problem(20, "Watson 6", _watson, np.zeros(6), (2.28767e-3,)),
    Problem(20, "Watson 9", _watson, np.zeros(9), (1.39976e-6,)),
    Problem(20, "Watson 12", _watson, np.zeros(12), (4.72238e-10,)),
    Problem(21, "Extended Rosenbrock 20", _rosenbrock, (-1.2, 1) * 10, (0,)),
    Problem(22, "Extended Powell 20", _powell_singular, (3, -1, 0, 1) * 5, (0,)),
    Problem(23, "Penalty I 4", _penalty_1, np.arange(1, 5), (2.24997e-5,)),
    Problem(23, "Penalty I 10", _penalty_1, np.arange(1, 11), (7.08765e-5,)),
    Problem(24, "Penalty II 4", _penalty_2, np.full(4, 0.5), (9.37629e-6,)),
    Problem(24, "Penalty II 10", _penalty_2, np.full(10, 0.5), (2.93660e-4,)),
    Problem(25, "Variably dimensioned 10", _variably_dimensioned, 1 - np.arange(1, 11) / 10, (0,)),
    Problem(26, "Trigonometric 10", _trigonometric, np.full(10, 0.1), (0, 2.79506e-5)),
    Problem(27, "Brown almost linear 10", _brown_almost_linear, np.full(10, 0.5), (0, 1)),
    Problem(28, "Boundary value 10", _boundary_value, _steps(10) * (_steps(10) - 1), (0,)),
    Problem(29, "Integral equation 10", _integral_equation, _steps(10) * (_steps(10) - 1), (0,)),
    Problem(30, "Broyden tridiagonal 10", _broyden_tridiagonal, np.full(10, -1), (0,)),
    Problem(31, "Broyden banded 10", _broyden_banded, np.full(10, -1), (0,)),
    Problem(32, "Linear, full rank", _linear_full_rank, np.ones(10), (10,)),
    Problem(33, "Linear, rank 1", _linear_rank_1, np.ones(10), (20 * 19 / 2 / 41,)),
    Problem(
        34, "Linear, rank 1, zeros", _linear_rank_1_with_zeros, np.ones(10),
        ((400 + 60 - 6) / 2 / 37,),
    ),
    Problem(35, "Chebyquad 8", _chebyquad, _steps(8), (3.51687e-3,)),
    Problem(35, "Chebyquad 10", _chebyquad, _steps(10), (6.50395e-3, 4.77271e-3)),
)  # fmt: skip
