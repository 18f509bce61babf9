"""The price of a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workload import Program, Vocabulary, Workload


def _increment(v: Vocabulary) -> Program:
    return Program(lambda x: x + 1, (np.float32(2.0),))


def _torch_increment(compiler: Callable[..., Any]) -> Program:
    import torch

    return Program(compiler(lambda x: x + 1), (torch.tensor(2.0),))


WORKLOADS = [Workload("call x + 1", _increment, _torch_increment, 0.0, "one exact addition")]
