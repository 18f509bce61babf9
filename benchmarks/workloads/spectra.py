"""Fourier transforms of one axis and two, of few signals and many."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.workload import Program, Vocabulary, Workload

_ROUNDING = "roundings of sums in another order"


def _signals(*shape: int) -> np.ndarray:
    parts = np.random.default_rng(0).standard_normal((2, *shape), np.float32)
    return parts[0] + np.complex64(1j) * parts[1]


def _transform(name: str, shape: tuple[int, ...], v: Vocabulary) -> Program:
    return Program(getattr(v.numpy.fft, name), (_signals(*shape),))


def _torch_transform(name: str, shape: tuple[int, ...], compiler: Callable[..., Any]) -> Program:
    import torch

    return Program(compiler(getattr(torch.fft, name)), (torch.as_tensor(_signals(*shape)),))


def _workload(title: str, name: str, *shape: int) -> Workload:
    programs = partial(_transform, name, shape), partial(_torch_transform, name, shape)
    return Workload(title, *programs, 1e-5, _ROUNDING)


WORKLOADS = [
    _workload("FFT 1024", "fft", 1024),
    _workload("FFT 65536", "fft", 65536),
    _workload("FFT 10007", "fft", 10007),
    _workload("FFT 1000 x 256", "fft", 1000, 256),
    _workload("FFT 512 x 512", "fft2", 512, 512),
]
