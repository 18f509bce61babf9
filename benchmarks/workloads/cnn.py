"""A convolutional network on small images, of 28x28 pixels if nothing else is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.training import STEP_REASON, STEP_TOLERANCE, adam_step, load, torch_adam_step
from benchmarks.workload import Program, Vocabulary, Workload

_BATCH = 64
_ROUNDING = "sums of products in another order"


@dataclass(frozen=True)
class Sizes:
    """Pixels of an edge, a multiple of 4, channels behind each convolution, hidden units."""

    pixels: int = 28
    channels: tuple[int, int] = (32, 64)
    hidden: int = 128


_SIZES = Sizes()


def parameters(sizes: Sizes = _SIZES) -> dict[str, dict[str, np.ndarray]]:
    """Kernels (height, width, in, out) of the convolutions, (in, out) of the dense layers."""
    rng = np.random.default_rng(1)

    def layer(*shape: int) -> dict[str, np.ndarray]:
        scale = np.float32((2 / np.prod(shape[:-1])) ** 0.5)
        return {
            "kernel": rng.standard_normal(shape, np.float32) * scale,
            "bias": np.zeros(shape[-1], np.float32),
        }

    first, second = sizes.channels
    return {
        "conv1": layer(3, 3, 1, first),
        "conv2": layer(3, 3, first, second),
        "dense1": layer((sizes.pixels // 4) ** 2 * second, sizes.hidden),
        "dense2": layer(sizes.hidden, 10),
    }


def _images(batch: int = _BATCH, sizes: Sizes = _SIZES) -> np.ndarray:
    shape = (batch, sizes.pixels, sizes.pixels, 1)
    return np.random.default_rng(2).random(shape, np.float32)


def _labels(batch: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 10, batch, np.int32)


def features(v: Vocabulary) -> Callable[..., Any]:
    """Two convolutions, each followed by pooling: (batch, features)."""

    def conv(layer: Any, x: Any) -> Any:
        y = v.lax.conv_general_dilated(
            x, layer["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return v.nn.relu(y + layer["bias"])

    def pool(x: Any) -> Any:
        window = (1, 2, 2, 1)
        return v.lax.reduce_window(x, -v.numpy.inf, v.lax.max, window, window, "VALID")

    def of_images(params: Any, x: Any) -> Any:
        x = pool(conv(params["conv1"], x))
        x = pool(conv(params["conv2"], x))
        return x.reshape(len(x), -1)

    return of_images


def head(v: Vocabulary) -> Callable[..., Any]:
    """Two dense layers, with a function of the hidden values between them: (batch, 10)."""

    def logits(params: Any, x: Any, between: Callable[[Any], Any] = lambda x: x) -> Any:
        x = v.nn.relu(x @ params["dense1"]["kernel"] + params["dense1"]["bias"])
        return between(x) @ params["dense2"]["kernel"] + params["dense2"]["bias"]

    return logits


def forward(v: Vocabulary) -> Callable[..., Any]:
    """Logits (batch, 10) of images (batch, 28, 28, 1)."""
    of_images, dense = features(v), head(v)
    return lambda params, images: dense(params, of_images(params, images))


def _forward(v: Vocabulary) -> Program:
    return Program(forward(v), (parameters(), _images()))


def step(batch: int, v: Vocabulary, sizes: Sizes = _SIZES) -> Program:
    """A step of Adam."""
    logits = forward(v)

    def loss(params: Any, images: Any, labels: Any) -> Any:
        return v.cross_entropy(logits(params, images), labels).mean()

    return adam_step(v, loss, parameters(sizes), _images(batch, sizes), _labels(batch))


def _module(sizes: Sizes = _SIZES) -> Any:
    from torch import nn

    first, second = sizes.channels
    edge = sizes.pixels // 4
    module = nn.Sequential(
        nn.Conv2d(1, first, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(edge * edge * second, sizes.hidden),
        nn.ReLU(),
        nn.Linear(sizes.hidden, 10),
    )
    params = parameters(sizes)
    # PyTorch's images and kernels have their channels first, also when they are flattened.
    flattened = params["dense1"]["kernel"].reshape(edge, edge, second, -1).transpose(2, 0, 1, 3)
    kernels = [
        params["conv1"]["kernel"].transpose(3, 2, 0, 1),
        params["conv2"]["kernel"].transpose(3, 2, 0, 1),
        flattened.reshape(-1, sizes.hidden).T,
        params["dense2"]["kernel"].T,
    ]
    biases = [layer["bias"] for layer in params.values()]
    return load(module, [a for pair in zip(kernels, biases) for a in pair])


def _torch_images(batch: int = _BATCH, sizes: Sizes = _SIZES) -> Any:
    import torch

    return torch.as_tensor(np.ascontiguousarray(_images(batch, sizes).transpose(0, 3, 1, 2)))


def _torch_forward(compiler: Callable[..., Any]) -> Program:
    import torch

    module = compiler(_module())

    def logits(images: Any) -> Any:
        with torch.no_grad():
            return module(images)

    return Program(logits, (_torch_images(),))


def torch_step(batch: int, compiler: Callable[..., Any], sizes: Sizes = _SIZES) -> Program:
    """The same in PyTorch."""
    import torch

    module = _module(sizes)
    cross_entropy = torch.nn.functional.cross_entropy
    loss = compiler(lambda x, labels: cross_entropy(module(x), labels))
    labels = torch.as_tensor(_labels(batch)).long()
    return torch_adam_step(module, loss, _torch_images(batch, sizes), labels)


WORKLOADS = [
    Workload("CNN forward", _forward, _torch_forward, 1e-4, _ROUNDING),
    Workload(
        "CNN step", partial(step, _BATCH), partial(torch_step, _BATCH), STEP_TOLERANCE, STEP_REASON
    ),
]
