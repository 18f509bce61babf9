"""Products of square matrices."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.workload import Program, Vocabulary, Workload


def _factors(size: int) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.random.default_rng(0).standard_normal((2, size, size), np.float32)
    return a, b


def _product(size: int, v: Vocabulary) -> Program:
    return Program(lambda a, b: a @ b, _factors(size))


def _torch_product(size: int, compiler: Callable[..., Any]) -> Program:
    import torch

    return Program(compiler(lambda a, b: a @ b), tuple(map(torch.as_tensor, _factors(size))))


WORKLOADS = [
    Workload(
        f"matmul {size}",
        partial(_product, size),
        partial(_torch_product, size),
        1e-5,
        "sums of products in another order",
    )
    for size in (256, 1024, 2048)
]
