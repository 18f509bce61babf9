"""Causal attention in bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from benchmarks.workload import Program, Vocabulary, Workload


class Sizes(NamedTuple):
    """Queries, keys and values are (batch, time, heads, width)."""

    batch: int
    time: int
    heads: int
    width: int


def _data(sizes: Sizes) -> list[np.ndarray]:
    """Queries, keys, values, and a cotangent."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(sizes, np.float32) for _ in range(4)]


def _program(sizes: Sizes, gradient: bool, v: Vocabulary) -> Program:
    data = tuple(x.astype(ml_dtypes.bfloat16) for x in _data(sizes))
    attend = partial(v.nn.dot_product_attention, is_causal=True)
    if not gradient:
        return Program(attend, data[:3])

    def total(q: Any, k: Any, value: Any, cotangent: Any) -> Any:
        return (v.numpy.astype(attend(q, k, value), np.float32) * cotangent).sum()

    return Program(v.top.grad(total, argnums=(0, 1, 2)), data)


def _torch(sizes: Sizes, gradient: bool, compiler: Callable[..., Any]) -> Program:
    import torch

    # Heads stand before times in PyTorch's function; both layouts lie as the other frameworks' do.
    q, k, value, cotangent = (torch.as_tensor(x).bfloat16() for x in _data(sizes))

    def attend(q: Any, k: Any, value: Any) -> Any:
        q, k, value = (x.transpose(1, 2) for x in (q, k, value))
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, value, is_causal=True)
        return mixed.transpose(1, 2)

    function = compiler(attend)
    if not gradient:
        return Program(function, (q, k, value))
    leaves = [x.requires_grad_() for x in (q, k, value)]
    return Program(lambda: torch.autograd.grad(function(*leaves), leaves, cotangent))


def attention(sizes: Sizes, gradient: bool) -> Workload:
    """Attention, or the gradient by queries, keys and values."""
    return Workload(
        f"attention T={sizes.time} bfloat16" + " gradient" * gradient,
        partial(_program, sizes, gradient),
        partial(_torch, sizes, gradient),
        4e-2,
        "scores and weights are rounded to bfloat16 in other places",
    )
