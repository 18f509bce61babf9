"""A thousand elementwise operations in a row, on few elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workload import LeftOutError, Program, Vocabulary, Workload

_ROUNDS = 250  # of four operations each


def _argument() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(100, np.float32)


def chain(sin: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A thousand operations, one after the other."""

    def apply(x: Any) -> Any:
        for _ in range(_ROUNDS):
            x = (x + 0.01 * sin(x)) * 0.999
        return x

    return apply


def _run(v: Vocabulary) -> Program:
    return Program(chain(v.numpy.sin), (_argument(),))


def _gradient(v: Vocabulary) -> Program:
    apply = chain(v.numpy.sin)
    return Program(v.top.grad(lambda x: apply(x).sum()), (_argument(),))


def _eager_only(compiler: Callable[..., Any]) -> None:
    import torch

    if compiler is torch.compile:
        raise LeftOutError("Inductor needs more than ten minutes")


def _torch_run(compiler: Callable[..., Any]) -> Program:
    import torch

    _eager_only(compiler)
    return Program(chain(torch.sin), (torch.as_tensor(_argument()),))


def _torch_gradient(compiler: Callable[..., Any]) -> Program:
    import torch

    _eager_only(compiler)
    x = torch.as_tensor(_argument()).requires_grad_()
    apply = chain(torch.sin)
    return Program(lambda: torch.autograd.grad(apply(x).sum(), x))


_REASON = "roundings of a thousand operations"
WORKLOADS = [
    Workload("chain of 1000 ops", _run, _torch_run, 1e-4, _REASON),
    Workload("chain of 1000 ops gradient", _gradient, _torch_gradient, 1e-4, _REASON),
]
