"""The DETEST problems: initial value problems that are not stiff, all from 0 to 20.

T. E. Hull, W. H. Enright, B. M. Fellen, A. E. Sedgwick, Comparing numerical methods for ordinary
differential equations, SIAM J. Numer. Anal. 9 (1972). Functions of NumPy, which fnad traces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any
END = 20.0


@dataclass(frozen=True)
class Problem:
    """``dy/dt = slope(t, y)`` from ``start`` at time 0."""

    name: str
    slope: Callable[[Array, Array], Array]
    start: Sequence[float]


def _logistic(t: Array, y: Array) -> Array:
    return y / 4 * (1 - y / 20)


def _predators(t: Array, y: Array) -> Array:
    return np.stack([2 * (y[0] - y[0] * y[1]), -(y[1] - y[0] * y[1])])


def _linear_reaction(t: Array, y: Array) -> Array:
    return np.stack([-y[0] + y[1], y[0] - 2 * y[1] + y[2], y[1] - y[2]])


def _reaction(t: Array, y: Array) -> Array:
    return np.stack([-y[0], y[0] - y[1] ** 2, y[1] ** 2])


def _torus(t: Array, y: Array) -> Array:
    r = np.sqrt(y[0] ** 2 + y[1] ** 2)
    return np.stack([-y[1] - y[0] * y[2] / r, y[0] - y[1] * y[2] / r, y[0] / r])


def _rigid_body(t: Array, y: Array) -> Array:
    return np.stack([y[1] * y[2], -y[0] * y[2], -0.51 * y[0] * y[1]])


def _decay(rates: Array) -> Callable[[Array, Array], Array]:
    """A chain in which each of the first nine substances becomes the next one."""

    def slope(t: Array, y: Array) -> Array:
        flow = rates * y[:-1]
        return np.concatenate([-flow, np.zeros(1)]) + np.concatenate([np.zeros(1), flow])

    return slope


def _diffusion(t: Array, y: Array) -> Array:
    zero = np.zeros(1)
    return np.concatenate([zero, y[:-1]]) - 2 * y + np.concatenate([y[1:], zero])


def _unit(n: int) -> Array:
    return np.eye(n)[0]


_GRAVITY, _SUN = 2.95912208286, 1.00000597682
_MASSES = np.array(
    [0.000954786104043, 0.000285583733151, 0.0000437273164546, 0.0000517759138449,
     0.00000277777777778]
)  # fmt: skip
_PLANETS = (
    3.42947415189, 3.35386959711, 1.35494901715, 6.64145542550, 5.97156957878, 2.18231499728,
    11.2630437207, 14.6952576794, 6.27960525067, -30.1552268759, 1.65699966404, 1.43785752721,
    -21.1238353380, 28.4465098142, 15.3882659679,
    -0.557160570446, 0.505696783289, 0.230578543901, -0.415570776342, 0.365682722812,
    0.169143213293, -0.325325669158, 0.189706021964, 0.0877265322780, -0.0240476254170,
    -0.287659532608, -0.117219543175, -0.176860753121, -0.216393453025, -0.0148647893090,
)  # fmt: skip


def _five_bodies(t: Array, y: Array) -> Array:
    """Outer planets around the sun, which is the origin."""
    x = y[:15].reshape(5, 3)
    r3 = np.sum(x**2, 1, keepdims=True) ** 1.5
    apart = x[None] - x[:, None]  # from body j to body k
    d3 = (np.sum(apart**2, 2) + np.eye(5)) ** 1.5
    pull = np.sum(_MASSES[:, None] * apart / d3[:, :, None], 1)
    indirect = _MASSES[:, None] * x / r3
    others = pull - (np.sum(indirect, 0) - indirect)
    acceleration = _GRAVITY * (others - (_SUN + _MASSES[:, None]) * x / r3)
    return np.concatenate([y[15:], acceleration.reshape(15)])


def _orbit(t: Array, y: Array) -> Array:
    r3 = (y[0] ** 2 + y[1] ** 2) ** 1.5
    return np.stack([y[2], y[3], -y[0] / r3, -y[1] / r3])


def _at_perihelion(e: float) -> Sequence[float]:
    return (1 - e, 0.0, 0.0, ((1 + e) / (1 - e)) ** 0.5)


def _bessel(t: Array, y: Array) -> Array:
    return np.stack([y[1], -(y[1] / (t + 1) + (1 - 0.25 / (t + 1) ** 2) * y[0])])


def _van_der_pol(t: Array, y: Array) -> Array:
    return np.stack([y[1], (1 - y[0] ** 2) * y[1] - y[0]])


def _duffing(t: Array, y: Array) -> Array:
    return np.stack([y[1], y[0] ** 3 / 6 - y[0] + 2 * np.sin(2.78535 * t)])


def _falling_body(t: Array, y: Array) -> Array:
    return np.stack([y[1], 0.032 - 0.4 * y[1] ** 2])


def _pursuit(t: Array, y: Array) -> Array:
    return np.stack([y[1], np.sqrt(1 + y[1] ** 2) / (25 - t)])


PROBLEMS = (
    Problem("A1", lambda t, y: -y, (1,)),
    Problem("A2", lambda t, y: -(y**3) / 2, (1,)),
    Problem("A3", lambda t, y: y * np.cos(t), (1,)),
    Problem("A4", _logistic, (1,)),
    Problem("A5", lambda t, y: (y - t) / (y + t), (4,)),
    Problem("B1", _predators, (1, 3)),
    Problem("B2", _linear_reaction, (2, 0, 1)),
    Problem("B3", _reaction, (1, 0, 0)),
    Problem("B4", _torus, (3, 0, 0)),
    Problem("B5", _rigid_body, (0, 1, 1)),
    Problem("C1", _decay(np.ones(9)), _unit(10)),
    Problem("C2", _decay(np.arange(1, 10)), _unit(10)),
    Problem("C3", _diffusion, _unit(10)),
    Problem("C4", _diffusion, _unit(51)),
    Problem("C5", _five_bodies, _PLANETS),
    Problem("D1", _orbit, _at_perihelion(0.1)),
    Problem("D2", _orbit, _at_perihelion(0.3)),
    Problem("D3", _orbit, _at_perihelion(0.5)),
    Problem("D4", _orbit, _at_perihelion(0.7)),
    Problem("D5", _orbit, _at_perihelion(0.9)),
    Problem("E1", _bessel, (0.6713967071418030, 0.09540051444747446)),
    Problem("E2", _van_der_pol, (2, 0)),
    Problem("E3", _duffing, (0, 0)),
    Problem("E4", _falling_body, (30, 0)),
    Problem("E5", _pursuit, (0, 0)),
)
