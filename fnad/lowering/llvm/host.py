"""What the machine that runs the code can do: the width of its vectors, fused operations."""

from __future__ import annotations

import functools
import platform

import llvmlite.binding as llvm

from fnad.lowering.llvm.writer import DType


@functools.cache
def _features() -> frozenset[str]:
    return frozenset(name for name, there in llvm.get_host_cpu_features().items() if there)


@functools.cache
def vector_bits() -> int:
    """How many bits the widest vector registers have."""
    features = _features()
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= features:
        return 512
    return 256 if "avx2" in features else 128


@functools.cache
def has_fma() -> bool:
    """Whether ``x * y + z`` with one rounding is an instruction."""
    return "fma" in _features() or platform.machine().lower() in ("aarch64", "arm64")


@functools.cache
def has_masks() -> bool:
    """Whether masked vectors cost no more than whole ones."""
    return vector_bits() == 512


def lanes_of(dtype: DType) -> int:
    """How many elements a vector register holds."""
    return vector_bits() // (8 * dtype.itemsize)
