"""Loops that Python unrolls while a program is traced: a test of compilers, not of programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workload import Program, Vocabulary, Workload

_BATCH, _WIDTH = 8, 16


def _network() -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    params = {
        "kernel": rng.standard_normal((_WIDTH, _WIDTH), np.float32) / np.float32(_WIDTH**0.5),
        "bias": np.zeros(_WIDTH, np.float32),
    }
    return params, rng.standard_normal((_BATCH, _WIDTH), np.float32)


def unrolled(steps: int) -> Workload:
    """The gradient of a small recurrent network over that many steps."""

    def gradient(v: Vocabulary) -> Program:
        def loss(params: Any, h: Any) -> Any:
            for _ in range(steps):
                h = v.numpy.tanh(h @ params["kernel"] + params["bias"])
            return (h * h).sum()

        return Program(v.top.grad(loss), _network())

    def torch_gradient(compiler: Callable[..., Any]) -> Program:
        import torch

        params, start = _network()
        kernel, bias = (torch.as_tensor(params[k]).requires_grad_() for k in ("kernel", "bias"))

        def loss(h: Any) -> Any:
            for _ in range(steps):
                h = torch.tanh(h @ kernel + bias)
            return (h * h).sum()

        loss = compiler(loss)
        h = torch.as_tensor(start)
        return Program(lambda: torch.autograd.grad(loss(h), (bias, kernel)))

    name = f"{steps} unrolled steps gradient"
    return Workload(name, gradient, torch_gradient, 1e-4, "roundings of the steps")
