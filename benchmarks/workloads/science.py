"""Bodies that attract each other, and second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workload import Program, Vocabulary, Workload

_BODIES, _SOFTENING, _WIDTH = 1000, 1e-2, 64


def _system() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions and velocities (bodies, 3), masses (bodies,)."""
    rng = np.random.default_rng(0)
    positions, velocities = rng.standard_normal((2, _BODIES, 3), np.float32)
    return positions, velocities, rng.random(_BODIES, np.float32)


def _n_body(v: Vocabulary) -> Program:
    """One step of semi-implicit Euler, all pairs."""

    def step(positions: Any, velocities: Any, masses: Any) -> Any:
        offsets = positions[None, :, :] - positions[:, None, :]
        squares = (offsets**2).sum(axis=-1) + _SOFTENING
        weights = masses * squares**-1.5
        velocities = velocities + 1e-3 * (offsets * weights[..., None]).sum(axis=1)
        return positions + 1e-3 * velocities, velocities

    return Program(step, _system())


def _torch_n_body(compiler: Callable[..., Any]) -> Program:
    import torch

    def step(positions: Any, velocities: Any, masses: Any) -> Any:
        offsets = positions[None, :, :] - positions[:, None, :]
        squares = (offsets**2).sum(-1) + _SOFTENING
        weights = masses * squares**-1.5
        velocities = velocities + 1e-3 * (offsets * weights[..., None]).sum(1)
        return positions + 1e-3 * velocities, velocities

    return Program(compiler(step), tuple(map(torch.as_tensor, _system())))


def _network() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    w1, w2 = rng.standard_normal((2, _WIDTH, _WIDTH), np.float32) / np.float32(_WIDTH**0.5)
    return rng.standard_normal(_WIDTH, np.float32), w1, w2


def _hessian(v: Vocabulary) -> Program:
    def network(x: Any, w1: Any, w2: Any) -> Any:
        return v.numpy.tanh(v.numpy.tanh(x @ w1) @ w2).sum()

    return Program(v.top.hessian(network), _network())


def _torch_hessian(compiler: Callable[..., Any]) -> Program:
    import torch

    def network(x: Any, w1: Any, w2: Any) -> Any:
        return torch.tanh(torch.tanh(x @ w1) @ w2).sum()

    return Program(compiler(torch.func.hessian(network)), tuple(map(torch.as_tensor, _network())))


WORKLOADS = [
    Workload("n-body 1000", _n_body, _torch_n_body, 1e-4, "sums of a thousand forces"),
    Workload("Hessian 64-64-64", _hessian, _torch_hessian, 1e-5, "sums in another order"),
]
