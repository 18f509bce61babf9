"""Language models: transformers that predict the token that follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.training import STEP_REASON, STEP_TOLERANCE, adam_step, load, torch_adam_step
from benchmarks.workload import Program, Vocabulary, Workload


@dataclass(frozen=True, slots=True)
class Sizes:
    """A model, and its batch of ``batch`` sequences of ``time`` tokens.

    Parameters are float32; with ``dtype`` "bfloat16" the loss rounds them and computes with that,
    and only the cross entropy is float32 again. ``attention`` says whether it is the framework's
    function, or written out.
    """

    layers: int
    width: int
    heads: int
    time: int
    batch: int
    vocabulary: int
    dtype: str = "float32"
    attention: bool = False


_SMALL = Sizes(layers=4, width=128, heads=4, time=128, batch=8, vocabulary=65)


def _parameters(sizes: Sizes) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    width = sizes.width

    def normal(*shape: int) -> np.ndarray:
        return np.float32(0.05) * rng.standard_normal(shape, np.float32)

    def dense(m: int, n: int) -> dict[str, np.ndarray]:
        return {"kernel": normal(m, n), "bias": normal(n)}

    def norm() -> dict[str, np.ndarray]:
        return {"scale": np.ones(width, np.float32), "bias": np.zeros(width, np.float32)}

    return {
        "tokens": normal(sizes.vocabulary, width),
        "positions": normal(sizes.time, width),
        "layers": [
            {
                "norm1": norm(),
                "qkv": dense(width, 3 * width),
                "out": dense(width, width),
                "norm2": norm(),
                "up": dense(width, 4 * width),
                "down": dense(4 * width, width),
            }
            for _ in range(sizes.layers)
        ],
        "norm": norm(),
        "head": dense(width, sizes.vocabulary),
    }


def _texts(sizes: Sizes) -> tuple[np.ndarray, np.ndarray]:
    """Characters, and those that follow them."""
    shape = sizes.batch, sizes.time + 1
    text = np.random.default_rng(2).integers(0, sizes.vocabulary, shape, np.int32)
    return np.ascontiguousarray(text[:, :-1]), np.ascontiguousarray(text[:, 1:])


def _logits(sizes: Sizes, v: Vocabulary) -> Callable[..., Any]:
    np_ = v.numpy

    def dense(layer: Any, x: Any) -> Any:
        return x @ layer["kernel"] + layer["bias"]

    def norm(layer: Any, x: Any) -> Any:
        x = x - x.mean(axis=-1, keepdims=True)
        variance = (x * x).mean(axis=-1, keepdims=True)
        return x * v.lax.rsqrt(variance + 1e-5) * layer["scale"] + layer["bias"]

    def attention(layer: Any, x: Any) -> Any:
        batch, time, width = x.shape
        qkv = dense(layer["qkv"], x).reshape(batch, time, 3, sizes.heads, width // sizes.heads)
        q, k, value = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
        if sizes.attention:
            mixed = v.nn.dot_product_attention(q, k, value, is_causal=True)
            return dense(layer["out"], mixed.reshape(batch, time, width))
        scores = np_.einsum("bqhd,bkhd->bhqk", q, k) / (width // sizes.heads) ** 0.5
        mask = np_.tril(np_.ones((time, time), bool))
        weights = v.nn.softmax(np_.where(mask, scores, -np_.inf), axis=-1)
        mixed = np_.einsum("bhqk,bkhd->bqhd", weights, value)
        return dense(layer["out"], mixed.reshape(batch, time, width))

    def logits(params: Any, tokens: Any) -> Any:
        if sizes.dtype != "float32":
            params = v.top.tree.map(lambda p: np_.astype(p, sizes.dtype), params)
        x = params["tokens"][tokens] + params["positions"]
        for layer in params["layers"]:
            x = x + attention(layer, norm(layer["norm1"], x))
            hidden = v.nn.gelu(dense(layer["up"], norm(layer["norm2"], x)))
            x = x + dense(layer["down"], hidden)
        return np_.astype(dense(params["head"], norm(params["norm"], x)), np.float32)

    return logits


def _forward(sizes: Sizes, v: Vocabulary) -> Program:
    return Program(_logits(sizes, v), (_parameters(sizes), _texts(sizes)[0]))


def step(sizes: Sizes, v: Vocabulary) -> Program:
    """A step of Adam."""
    logits = _logits(sizes, v)

    def loss(params: Any, tokens: Any, following: Any) -> Any:
        return v.cross_entropy(logits(params, tokens), following).mean()

    return adam_step(v, loss, _parameters(sizes), *_texts(sizes))


def _module(sizes: Sizes) -> Any:
    import torch
    from torch import nn
    from torch.nn import functional

    width = sizes.width

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1 = nn.LayerNorm(width)
            self.qkv = nn.Linear(width, 3 * width)
            self.out = nn.Linear(width, width)
            self.norm2 = nn.LayerNorm(width)
            self.up = nn.Linear(width, 4 * width)
            self.down = nn.Linear(4 * width, width)

        def attention(self, x: Any) -> Any:
            batch, time, _ = x.shape
            qkv = self.qkv(x).reshape(batch, time, 3, sizes.heads, width // sizes.heads)
            q, k, value = qkv.permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(q, k, value, is_causal=True)
            return self.out(mixed.transpose(1, 2).reshape(batch, time, width))

        def forward(self, x: Any) -> Any:
            x = x + self.attention(self.norm1(x))
            hidden = functional.gelu(self.up(self.norm2(x)), approximate="tanh")
            return x + self.down(hidden)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(sizes.vocabulary, width)
            self.positions = nn.Embedding(sizes.time, width)
            self.layers = nn.Sequential(*(Layer() for _ in range(sizes.layers)))
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, sizes.vocabulary)

        def forward(self, tokens: Any) -> Any:
            x = self.tokens(tokens) + self.positions(torch.arange(sizes.time, device=tokens.device))
            return self.head(self.norm(self.layers(x)))

    return load(Model(), _torch_arrays(_parameters(sizes)))


def _torch_arrays(params: Any) -> list[np.ndarray]:
    """The parameters in the order and layout of the module."""

    def of(layer: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [layer["kernel"].T if "kernel" in layer else layer["scale"], layer["bias"]]

    parts = [of(part) for layer in params["layers"] for part in layer.values()]
    parts += [of(params["norm"]), of(params["head"])]
    return [params["tokens"], params["positions"], *(a for part in parts for a in part)]


def _torch_texts(sizes: Sizes) -> tuple[Any, Any]:
    import torch

    tokens, following = (torch.as_tensor(t).long() for t in _texts(sizes))
    return tokens, following


def _torch_forward(sizes: Sizes, compiler: Callable[..., Any]) -> Program:
    import torch

    module = compiler(_module(sizes))

    def logits(tokens: Any) -> Any:
        with torch.no_grad():
            return module(tokens)

    return Program(logits, _torch_texts(sizes)[:1])


def torch_step(sizes: Sizes, compiler: Callable[..., Any]) -> Program:
    """The same in PyTorch."""
    import torch
    from torch.func import functional_call

    module = _module(sizes)
    dtype = getattr(torch, sizes.dtype)

    def logits(tokens: Any) -> Any:
        if dtype == torch.float32:
            return module(tokens)
        rounded = {name: p.to(dtype) for name, p in module.named_parameters()}
        return functional_call(module, rounded, (tokens,)).float()

    def loss(tokens: Any, following: Any) -> Any:
        return torch.nn.functional.cross_entropy(logits(tokens).transpose(1, 2), following)

    return torch_adam_step(module, compiler(loss), *_torch_texts(sizes))


WORKLOADS = [
    Workload(
        "transformer forward",
        partial(_forward, _SMALL),
        partial(_torch_forward, _SMALL),
        1e-4,
        "sums of products in another order, through four layers",
    ),
    Workload(
        "transformer step",
        partial(step, _SMALL),
        partial(torch_step, _SMALL),
        STEP_TOLERANCE,
        STEP_REASON,
    ),
]
