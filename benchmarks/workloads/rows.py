"""Reductions, scans and sorts along rows; rows looked up in tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workload import Program, Vocabulary, Workload

_ROUNDING = "sums of a row in another order"
_EXACT = "comparisons and copies are exact"


def _square() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1024, 1024), np.float32)


def _softmax(v: Vocabulary) -> Program:
    return Program(lambda x: v.nn.softmax(x, axis=-1), (_square(),))


def _torch_softmax(compiler: Callable[..., Any]) -> Program:
    import torch

    return Program(compiler(lambda x: torch.softmax(x, -1)), (torch.as_tensor(_square()),))


def _layer_norm_data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x, cotangent = rng.standard_normal((2, 4096, 768), np.float32)
    scale, bias = rng.standard_normal((2, 768), np.float32)
    return x, scale, bias, cotangent


def normalise(v: Vocabulary) -> Callable[..., Any]:
    """Layer norm as its users write it."""

    def layer_norm(x: Any, scale: Any, bias: Any) -> Any:
        mean = x.mean(axis=-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
        return (x - mean) * v.lax.rsqrt(variance + 1e-5) * scale + bias

    return layer_norm


def _layer_norm(v: Vocabulary) -> Program:
    return Program(normalise(v), _layer_norm_data()[:3])


def _torch_layer_norm(compiler: Callable[..., Any]) -> Program:
    import torch

    layer_norm = torch.nn.functional.layer_norm
    function = compiler(lambda x, scale, bias: layer_norm(x, (768,), scale, bias))
    return Program(function, tuple(map(torch.as_tensor, _layer_norm_data()[:3])))


def _layer_norm_gradient(v: Vocabulary) -> Program:
    layer_norm = normalise(v)

    def loss(x: Any, scale: Any, bias: Any, cotangent: Any) -> Any:
        return (layer_norm(x, scale, bias) * cotangent).sum()

    return Program(v.top.grad(loss, argnums=(0, 1, 2)), _layer_norm_data())


def _torch_layer_norm_gradient(compiler: Callable[..., Any]) -> Program:
    import torch

    *primals, cotangent = map(torch.as_tensor, _layer_norm_data())
    leaves = [x.requires_grad_() for x in primals]
    layer_norm = torch.nn.functional.layer_norm
    function = compiler(lambda x, scale, bias: layer_norm(x, (768,), scale, bias))
    return Program(lambda: torch.autograd.grad(function(*leaves), leaves, cotangent))


def _cumsum(v: Vocabulary) -> Program:
    return Program(lambda x: v.numpy.cumsum(x, axis=1), (_square(),))


def _torch_cumsum(compiler: Callable[..., Any]) -> Program:
    import torch

    return Program(compiler(lambda x: torch.cumsum(x, 1)), (torch.as_tensor(_square()),))


def _argmax(v: Vocabulary) -> Program:
    return Program(lambda x: v.numpy.argmax(x, axis=1), (_square(),))


def _torch_argmax(compiler: Callable[..., Any]) -> Program:
    import torch

    return Program(compiler(lambda x: torch.argmax(x, 1)), (torch.as_tensor(_square()),))


def _sort(v: Vocabulary) -> Program:
    return Program(v.numpy.sort, (_square().ravel()[:1_000_000],))


def _torch_sort(compiler: Callable[..., Any]) -> Program:
    import torch

    x = torch.as_tensor(_square().ravel()[:1_000_000])
    return Program(compiler(lambda x: torch.sort(x).values), (x,))


def _embedding_data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((50_000, 128), np.float32)
    indices = rng.integers(0, 50_000, 8192, np.int32)
    return table, indices, rng.standard_normal((8192, 128), np.float32)


def _embedding(v: Vocabulary) -> Program:
    return Program(lambda table, indices: table[indices], _embedding_data()[:2])


def _torch_embedding(compiler: Callable[..., Any]) -> Program:
    import torch

    table, indices, _ = map(torch.as_tensor, _embedding_data())
    embedding = torch.nn.functional.embedding
    return Program(compiler(lambda i, t: embedding(i, t)), (indices, table))


def _embedding_gradient(v: Vocabulary) -> Program:
    def loss(table: Any, indices: Any, cotangent: Any) -> Any:
        return (table[indices] * cotangent).sum()

    return Program(v.top.grad(loss), _embedding_data())


def _torch_embedding_gradient(compiler: Callable[..., Any]) -> Program:
    import torch

    table, indices, cotangent = map(torch.as_tensor, _embedding_data())
    table.requires_grad_()
    embedding = torch.nn.functional.embedding
    function = compiler(lambda i, t: embedding(i, t))
    return Program(lambda: torch.autograd.grad(function(indices, table), table, cotangent))


WORKLOADS = [
    Workload("softmax 1024x1024", _softmax, _torch_softmax, 1e-5, _ROUNDING),
    Workload("layer norm 4096x768", _layer_norm, _torch_layer_norm, 1e-5, _ROUNDING),
    Workload(
        "layer norm 4096x768 gradient",
        _layer_norm_gradient,
        _torch_layer_norm_gradient,
        1e-4,
        "sums of 4096 rows in another order",
    ),
    Workload("cumsum 1024x1024", _cumsum, _torch_cumsum, 1e-5, _ROUNDING),
    Workload("argmax 1024x1024", _argmax, _torch_argmax, 0.0, _EXACT),
    Workload("sort 1M", _sort, _torch_sort, 0.0, _EXACT),
    Workload("embedding gather", _embedding, _torch_embedding, 0.0, _EXACT),
    Workload(
        "embedding gradient",
        _embedding_gradient,
        _torch_embedding_gradient,
        1e-6,
        "the order in which rows that meet are added",
    ),
]
