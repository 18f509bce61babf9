"""Recurrent networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks.training import STEP_REASON, STEP_TOLERANCE, adam_step, load, torch_adam_step
from benchmarks.workload import Program, Vocabulary, Workload


class Sizes(NamedTuple):
    """A layer from ``features`` to ``hidden``, and its batch of sequences."""

    time: int
    batch: int
    features: int
    hidden: int


_SMALL = Sizes(64, 32, 64, 128)


def _parameters(sizes: Sizes) -> dict[str, np.ndarray]:
    """The gates i, f, g, o lie side by side."""
    rng = np.random.default_rng(1)

    def uniform(*shape: int) -> np.ndarray:
        return ((2 * rng.random(shape, np.float32) - 1) / sizes.hidden**0.5).astype(np.float32)

    return {
        "input": uniform(sizes.features, 4 * sizes.hidden),
        "hidden": uniform(sizes.hidden, 4 * sizes.hidden),
        "bias": uniform(4 * sizes.hidden),
    }


def _sequences(sizes: Sizes) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (time, batch, features) and targets (time, batch, hidden)."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((sizes.time, sizes.batch, sizes.features), np.float32)
    return x, rng.standard_normal((sizes.time, sizes.batch, sizes.hidden), np.float32)


def _outputs(sizes: Sizes, v: Vocabulary) -> Callable[..., Any]:
    def cell(params: Any, carry: Any, x: Any) -> Any:
        h, c = carry
        gates = x @ params["input"] + h @ params["hidden"] + params["bias"]
        i, f, g, o = v.numpy.split(gates, 4, axis=-1)
        c = v.nn.sigmoid(f) * c + v.nn.sigmoid(i) * v.numpy.tanh(g)
        h = v.nn.sigmoid(o) * v.numpy.tanh(c)
        return (h, c), h

    def outputs(params: Any, xs: Any) -> Any:
        zeros = v.numpy.zeros((sizes.batch, sizes.hidden), np.float32)
        return v.lax.scan(lambda carry, x: cell(params, carry, x), (zeros, zeros), xs)[1]

    return outputs


def _forward(sizes: Sizes, v: Vocabulary) -> Program:
    return Program(_outputs(sizes, v), (_parameters(sizes), _sequences(sizes)[0]))


def step(sizes: Sizes, v: Vocabulary) -> Program:
    """A step of Adam."""
    outputs = _outputs(sizes, v)

    def loss(params: Any, xs: Any, targets: Any) -> Any:
        return ((outputs(params, xs) - targets) ** 2).mean()

    return adam_step(v, loss, _parameters(sizes), *_sequences(sizes))


def _module(sizes: Sizes) -> Any:
    from torch import nn

    params = _parameters(sizes)
    module = nn.LSTM(sizes.features, sizes.hidden)
    # PyTorch's second bias is redundant: zero, and not trained.
    module.bias_hh_l0.requires_grad_(False)
    second = np.zeros(4 * sizes.hidden, np.float32)
    return load(module, [params["input"].T, params["hidden"].T, params["bias"], second])


def _torch_forward(sizes: Sizes, compiler: Callable[..., Any]) -> Program:
    import torch

    module = compiler(_module(sizes))

    def outputs(xs: Any) -> Any:
        with torch.no_grad():
            return module(xs)[0]

    return Program(outputs, (torch.as_tensor(_sequences(sizes)[0]),))


def torch_step(sizes: Sizes, compiler: Callable[..., Any]) -> Program:
    """The same in PyTorch."""
    import torch

    module = _module(sizes)
    loss = compiler(lambda xs, targets: ((module(xs)[0] - targets) ** 2).mean())
    return torch_adam_step(module, loss, *map(torch.as_tensor, _sequences(sizes)))


WORKLOADS = [
    Workload(
        "LSTM forward",
        partial(_forward, _SMALL),
        partial(_torch_forward, _SMALL),
        1e-5,
        "sums of products in another order",
    ),
    Workload(
        "LSTM step",
        partial(step, _SMALL),
        partial(torch_step, _SMALL),
        STEP_TOLERANCE,
        STEP_REASON,
    ),
]
