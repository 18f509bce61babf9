"""Simulations: loops whose steps depend on each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workload import Program, Vocabulary, Workload

_STEPS, _DT = 10_000, 1e-4
_GRID, _HEAT_STEPS = 256, 100


def _lorenz(v: Vocabulary) -> Callable[..., Any]:
    def step(state: Any, _: Any) -> Any:
        x, y, z = state
        dx = 10.0 * (y - x)
        dy = x * (28.0 - z) - y
        dz = x * y - (8.0 / 3.0) * z
        return (x + _DT * dx, y + _DT * dy, z + _DT * dz), None

    return lambda state: v.lax.scan(step, state, None, length=_STEPS)[0]


def _start() -> tuple[np.float32, np.float32, np.float32]:
    return np.float32(1.0), np.float32(2.0), np.float32(20.0)


def _forward(v: Vocabulary) -> Program:
    return Program(_lorenz(v), (_start(),))


def _gradient(v: Vocabulary) -> Program:
    run = _lorenz(v)
    return Program(v.top.grad(lambda state: sum(run(state))), (_start(),))


def _temperatures() -> np.ndarray:
    return np.random.default_rng(0).random((_GRID, _GRID), np.float32)


def _heat(v: Vocabulary) -> Program:
    roll = v.numpy.roll

    def step(_: Any, u: Any) -> Any:
        around = roll(u, 1, 0) + roll(u, -1, 0) + roll(u, 1, 1) + roll(u, -1, 1)
        return u + 0.1 * (around - 4.0 * u)

    return Program(lambda u: v.lax.fori_loop(0, _HEAT_STEPS, step, u), (_temperatures(),))


def _torch_heat(compiler: Callable[..., Any]) -> Program:
    import torch

    def step(u: Any) -> Any:
        around = u.roll(1, 0) + u.roll(-1, 0) + u.roll(1, 1) + u.roll(-1, 1)
        return u + 0.1 * (around - 4.0 * u)

    step = compiler(step)

    def run(u: Any) -> Any:
        for _ in range(_HEAT_STEPS):
            u = step(u)
        return u

    return Program(run, (torch.as_tensor(_temperatures()),))


_DRIFT = "roundings of ten thousand steps add up"
# A step of Lorenz's system is a dozen scalar operations, for which PyTorch has nothing but
# Python's loop.
WORKLOADS = [
    Workload("Lorenz 10k steps", _forward, None, 1e-3, _DRIFT),
    Workload("Lorenz 10k steps gradient", _gradient, None, 1e-3, _DRIFT),
    Workload("heat 256x256, 100 steps", _heat, _torch_heat, 1e-5, "roundings of a hundred steps"),
]
