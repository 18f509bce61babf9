"""Multi-layer perceptrons."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.training import STEP_REASON, STEP_TOLERANCE, adam_step, load, torch_adam_step
from benchmarks.workload import Program, Vocabulary, Workload

Params = list[dict[str, np.ndarray]]
_LARGE = (784, 512, 512, 10)
_SMALL = (64, 32, 10)
_PER_EXAMPLE = (784, 128, 10)


def parameters(sizes: tuple[int, ...]) -> Params:
    """Weights of He's initialisation, and biases of zero."""
    rng = np.random.default_rng(1)
    return [
        {
            "kernel": rng.standard_normal((m, n), np.float32) * np.float32((2 / m) ** 0.5),
            "bias": np.zeros(n, np.float32),
        }
        for m, n in pairwise(sizes)
    ]


def batch_of(sizes: tuple[int, ...], batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and integer labels."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((batch, sizes[0]), np.float32)
    return x, rng.integers(0, sizes[-1], batch, np.int32)


def mlp_loss(v: Vocabulary) -> Callable[..., Any]:
    """Mean cross entropy of a perceptron with relu between its layers."""

    def loss(params: Any, x: Any, labels: Any) -> Any:
        *hidden, last = params
        for layer in hidden:
            x = v.nn.relu(x @ layer["kernel"] + layer["bias"])
        return v.cross_entropy(x @ last["kernel"] + last["bias"], labels).mean()

    return loss


def step(sizes: tuple[int, ...], batch: int, v: Vocabulary) -> Program:
    """A step of Adam."""
    return adam_step(v, mlp_loss(v), parameters(sizes), *batch_of(sizes, batch))


def _module(sizes: tuple[int, ...]) -> Any:
    from torch import nn

    layers: list[Any] = []
    for m, n in pairwise(sizes):
        layers += [nn.Linear(m, n), nn.ReLU()]
    arrays = [a for layer in parameters(sizes) for a in (layer["kernel"].T, layer["bias"])]
    return load(nn.Sequential(*layers[:-1]), arrays)


def _torch_batch(sizes: tuple[int, ...], batch: int) -> tuple[Any, Any]:
    import torch

    x, labels = map(torch.as_tensor, batch_of(sizes, batch))
    return x, labels.long()


def torch_step(sizes: tuple[int, ...], batch: int, compiler: Callable[..., Any]) -> Program:
    """The same in PyTorch."""
    import torch

    module = _module(sizes)
    cross_entropy = torch.nn.functional.cross_entropy
    loss = compiler(lambda x, labels: cross_entropy(module(x), labels))
    return torch_adam_step(module, loss, *_torch_batch(sizes, batch))


def _per_example(v: Vocabulary) -> Program:
    loss = mlp_loss(v)

    def gradient(params: Any, x: Any, label: Any) -> Any:
        return v.top.grad(loss)(params, x[None], label[None])

    function = v.top.vmap(gradient, in_axes=(None, 0, 0))
    return Program(function, (parameters(_PER_EXAMPLE), *batch_of(_PER_EXAMPLE, 128)))


def _torch_per_example(compiler: Callable[..., Any]) -> Program:
    import torch
    from torch import func

    def loss(params: Any, x: Any, label: Any) -> Any:
        *hidden, last = params
        for layer in hidden:
            x = torch.relu(x @ layer["kernel"] + layer["bias"])
        return torch.nn.functional.cross_entropy(x @ last["kernel"] + last["bias"], label)

    params = [
        {name: torch.as_tensor(a) for name, a in sorted(layer.items())}
        for layer in parameters(_PER_EXAMPLE)
    ]
    function = compiler(func.vmap(func.grad(loss), in_dims=(None, 0, 0)))
    return Program(function, (params, *_torch_batch(_PER_EXAMPLE, 128)))


WORKLOADS = [
    Workload(
        "MLP 784-512-512-10 step",
        partial(step, _LARGE, 128),
        partial(torch_step, _LARGE, 128),
        STEP_TOLERANCE,
        STEP_REASON,
    ),
    Workload(
        "MLP 64-32-10 step",
        partial(step, _SMALL, 32),
        partial(torch_step, _SMALL, 32),
        STEP_TOLERANCE,
        STEP_REASON,
    ),
    Workload(
        "MLP per-example gradients",
        _per_example,
        _torch_per_example,
        1e-5,
        "sums of products in another order",
    ),
]
