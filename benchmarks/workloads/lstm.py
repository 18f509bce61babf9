"""A recurrent network: 64 steps of a batch of 32, 64 features to 128."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.training import STEP_REASON, STEP_TOLERANCE, adam_step, load, torch_adam_step
from benchmarks.workload import Program, Vocabulary, Workload

_TIME, _BATCH, _FEATURES, _HIDDEN = 64, 32, 64, 128


def _parameters() -> dict[str, np.ndarray]:
    """The gates i, f, g, o lie side by side."""
    rng = np.random.default_rng(1)

    def uniform(*shape: int) -> np.ndarray:
        return ((2 * rng.random(shape, np.float32) - 1) / _HIDDEN**0.5).astype(np.float32)

    return {
        "input": uniform(_FEATURES, 4 * _HIDDEN),
        "hidden": uniform(_HIDDEN, 4 * _HIDDEN),
        "bias": uniform(4 * _HIDDEN),
    }


def _sequences() -> tuple[np.ndarray, np.ndarray]:
    """Inputs (time, batch, features) and targets (time, batch, hidden)."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((_TIME, _BATCH, _FEATURES), np.float32)
    return x, rng.standard_normal((_TIME, _BATCH, _HIDDEN), np.float32)


def _outputs(v: Vocabulary) -> Callable[..., Any]:
    def cell(params: Any, carry: Any, x: Any) -> Any:
        h, c = carry
        gates = x @ params["input"] + h @ params["hidden"] + params["bias"]
        i, f, g, o = v.numpy.split(gates, 4, axis=-1)
        c = v.nn.sigmoid(f) * c + v.nn.sigmoid(i) * v.numpy.tanh(g)
        h = v.nn.sigmoid(o) * v.numpy.tanh(c)
        return (h, c), h

    def outputs(params: Any, xs: Any) -> Any:
        zeros = v.numpy.zeros((_BATCH, _HIDDEN), np.float32)
        return v.lax.scan(lambda carry, x: cell(params, carry, x), (zeros, zeros), xs)[1]

    return outputs


def _forward(v: Vocabulary) -> Program:
    return Program(_outputs(v), (_parameters(), _sequences()[0]))


def _step(v: Vocabulary) -> Program:
    outputs = _outputs(v)

    def loss(params: Any, xs: Any, targets: Any) -> Any:
        return ((outputs(params, xs) - targets) ** 2).mean()

    return adam_step(v, loss, _parameters(), *_sequences())


def _module() -> Any:
    from torch import nn

    params = _parameters()
    module = nn.LSTM(_FEATURES, _HIDDEN)
    # PyTorch's second bias is redundant: zero, and not trained.
    module.bias_hh_l0.requires_grad_(False)
    second = np.zeros(4 * _HIDDEN, np.float32)
    return load(module, [params["input"].T, params["hidden"].T, params["bias"], second])


def _torch_forward(compiler: Callable[..., Any]) -> Program:
    import torch

    module = compiler(_module())

    def outputs(xs: Any) -> Any:
        with torch.no_grad():
            return module(xs)[0]

    return Program(outputs, (torch.from_numpy(_sequences()[0]),))


def _torch_step(compiler: Callable[..., Any]) -> Program:
    import torch

    module = _module()
    loss = compiler(lambda xs, targets: ((module(xs)[0] - targets) ** 2).mean())
    return torch_adam_step(module, loss, *map(torch.from_numpy, _sequences()))


WORKLOADS = [
    Workload("LSTM forward", _forward, _torch_forward, 1e-5, "sums of products in another order"),
    Workload("LSTM step", _step, _torch_step, STEP_TOLERANCE, STEP_REASON),
]
