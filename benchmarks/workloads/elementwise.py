"""Functions of each element."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.workload import Program, Vocabulary, Workload

_LARGE = 10_000_000
_SMALL = 1_000_000


def _normal(size: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(size, np.float32)


def _gelu(v: Vocabulary) -> Program:
    return Program(v.nn.gelu, (_normal(_LARGE),))


def _torch_gelu(compiler: Callable[..., Any]) -> Program:
    import torch

    gelu = compiler(partial(torch.nn.functional.gelu, approximate="tanh"))
    return Program(gelu, (torch.as_tensor(_normal(_LARGE)),))


def _gelu_gradient(v: Vocabulary) -> Program:
    return Program(v.top.grad(lambda x: v.nn.gelu(x).sum()), (_normal(_LARGE),))


def _torch_gelu_gradient(compiler: Callable[..., Any]) -> Program:
    import torch

    x = torch.as_tensor(_normal(_LARGE)).requires_grad_()
    total = compiler(lambda x: torch.nn.functional.gelu(x, approximate="tanh").sum())
    return Program(lambda: torch.autograd.grad(total(x), x))


def _arguments(name: str) -> np.ndarray:
    x = 10 * _normal(_SMALL)
    return np.abs(x) + np.float32(1e-3) if name == "log" else x


def _unary(name: str, v: Vocabulary) -> Program:
    return Program(getattr(v.numpy, name), (_arguments(name),))


def _torch_unary(name: str, compiler: Callable[..., Any]) -> Program:
    import torch

    function = getattr(torch, name)
    return Program(compiler(lambda x: function(x)), (torch.as_tensor(_arguments(name)),))


WORKLOADS = [
    Workload("gelu 10M", _gelu, _torch_gelu, 1e-6, "a few roundings of float32"),
    Workload(
        "gelu 10M gradient",
        _gelu_gradient,
        _torch_gelu_gradient,
        1e-5,
        "JAX's tanh is off by several units in the last place, and 1 - tanh**2 cancels",
    ),
    *(
        Workload(
            f"{name} 1M",
            partial(_unary, name),
            partial(_torch_unary, name),
            1e-6,
            "implementations differ by some units in the last place",
        )
        for name in ("exp", "sin", "log")
    ),
]
