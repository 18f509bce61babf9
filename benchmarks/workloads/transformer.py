"""A small language model: 4 layers of width 128, 4 heads, 8 sequences of 128 characters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.training import STEP_REASON, STEP_TOLERANCE, adam_step, load, torch_adam_step
from benchmarks.workload import Program, Vocabulary, Workload

_LAYERS, _WIDTH, _HEADS, _TIME, _BATCH, _VOCABULARY = 4, 128, 4, 128, 8, 65


def _parameters() -> dict[str, Any]:
    rng = np.random.default_rng(1)

    def normal(*shape: int) -> np.ndarray:
        return np.float32(0.05) * rng.standard_normal(shape, np.float32)

    def dense(m: int, n: int) -> dict[str, np.ndarray]:
        return {"kernel": normal(m, n), "bias": normal(n)}

    def norm() -> dict[str, np.ndarray]:
        return {"scale": np.ones(_WIDTH, np.float32), "bias": np.zeros(_WIDTH, np.float32)}

    return {
        "tokens": normal(_VOCABULARY, _WIDTH),
        "positions": normal(_TIME, _WIDTH),
        "layers": [
            {
                "norm1": norm(),
                "qkv": dense(_WIDTH, 3 * _WIDTH),
                "out": dense(_WIDTH, _WIDTH),
                "norm2": norm(),
                "up": dense(_WIDTH, 4 * _WIDTH),
                "down": dense(4 * _WIDTH, _WIDTH),
            }
            for _ in range(_LAYERS)
        ],
        "norm": norm(),
        "head": dense(_WIDTH, _VOCABULARY),
    }


def _texts() -> tuple[np.ndarray, np.ndarray]:
    """Characters, and those that follow them."""
    text = np.random.default_rng(2).integers(0, _VOCABULARY, (_BATCH, _TIME + 1), np.int32)
    return np.ascontiguousarray(text[:, :-1]), np.ascontiguousarray(text[:, 1:])


def _logits(v: Vocabulary) -> Callable[..., Any]:
    np_ = v.numpy

    def dense(layer: Any, x: Any) -> Any:
        return x @ layer["kernel"] + layer["bias"]

    def norm(layer: Any, x: Any) -> Any:
        x = x - x.mean(axis=-1, keepdims=True)
        variance = (x * x).mean(axis=-1, keepdims=True)
        return x * v.lax.rsqrt(variance + 1e-5) * layer["scale"] + layer["bias"]

    def attention(layer: Any, x: Any) -> Any:
        batch, time, width = x.shape
        qkv = dense(layer["qkv"], x).reshape(batch, time, 3, _HEADS, width // _HEADS)
        q, k, value = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
        scores = np_.einsum("bqhd,bkhd->bhqk", q, k) / (width // _HEADS) ** 0.5
        mask = np_.tril(np_.ones((time, time), bool))
        weights = v.nn.softmax(np_.where(mask, scores, -np_.inf), axis=-1)
        mixed = np_.einsum("bhqk,bkhd->bqhd", weights, value)
        return dense(layer["out"], mixed.reshape(batch, time, width))

    def logits(params: Any, tokens: Any) -> Any:
        x = params["tokens"][tokens] + params["positions"]
        for layer in params["layers"]:
            x = x + attention(layer, norm(layer["norm1"], x))
            hidden = v.nn.gelu(dense(layer["up"], norm(layer["norm2"], x)))
            x = x + dense(layer["down"], hidden)
        return dense(params["head"], norm(params["norm"], x))

    return logits


def _forward(v: Vocabulary) -> Program:
    return Program(_logits(v), (_parameters(), _texts()[0]))


def _step(v: Vocabulary) -> Program:
    logits = _logits(v)

    def loss(params: Any, tokens: Any, following: Any) -> Any:
        return v.cross_entropy(logits(params, tokens), following).mean()

    return adam_step(v, loss, _parameters(), *_texts())


def _module() -> Any:
    import torch
    from torch import nn
    from torch.nn import functional

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1 = nn.LayerNorm(_WIDTH)
            self.qkv = nn.Linear(_WIDTH, 3 * _WIDTH)
            self.out = nn.Linear(_WIDTH, _WIDTH)
            self.norm2 = nn.LayerNorm(_WIDTH)
            self.up = nn.Linear(_WIDTH, 4 * _WIDTH)
            self.down = nn.Linear(4 * _WIDTH, _WIDTH)

        def attention(self, x: Any) -> Any:
            batch, time, width = x.shape
            qkv = self.qkv(x).reshape(batch, time, 3, _HEADS, width // _HEADS)
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
            self.tokens = nn.Embedding(_VOCABULARY, _WIDTH)
            self.positions = nn.Embedding(_TIME, _WIDTH)
            self.layers = nn.Sequential(*(Layer() for _ in range(_LAYERS)))
            self.norm = nn.LayerNorm(_WIDTH)
            self.head = nn.Linear(_WIDTH, _VOCABULARY)

        def forward(self, tokens: Any) -> Any:
            x = self.tokens(tokens) + self.positions(torch.arange(_TIME))
            return self.head(self.norm(self.layers(x)))

    return load(Model(), _torch_arrays(_parameters()))


def _torch_arrays(params: Any) -> list[np.ndarray]:
    """The parameters in the order and layout of the module."""

    def of(layer: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [layer["kernel"].T if "kernel" in layer else layer["scale"], layer["bias"]]

    parts = [of(part) for layer in params["layers"] for part in layer.values()]
    parts += [of(params["norm"]), of(params["head"])]
    return [params["tokens"], params["positions"], *(a for part in parts for a in part)]


def _torch_texts() -> tuple[Any, Any]:
    import torch

    tokens, following = (torch.from_numpy(t).long() for t in _texts())
    return tokens, following


def _torch_forward(compiler: Callable[..., Any]) -> Program:
    import torch

    module = compiler(_module())

    def logits(tokens: Any) -> Any:
        with torch.no_grad():
            return module(tokens)

    return Program(logits, _torch_texts()[:1])


def _torch_step(compiler: Callable[..., Any]) -> Program:
    import torch

    module = _module()

    def loss(tokens: Any, following: Any) -> Any:
        return torch.nn.functional.cross_entropy(module(tokens).transpose(1, 2), following)

    return torch_adam_step(module, compiler(loss), *_torch_texts())


WORKLOADS = [
    Workload(
        "transformer forward",
        _forward,
        _torch_forward,
        1e-4,
        "sums of products in another order, through four layers",
    ),
    Workload("transformer step", _step, _torch_step, STEP_TOLERANCE, STEP_REASON),
]
