"""Arrays that the rows of the table are made of."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fnad.core.types import BFLOAT16
from fnad.testing import Sample

DTYPES = (
    *map(np.dtype, ("bool", "int8", "int16", "int32", "int64")),
    *map(np.dtype, ("uint8", "uint16", "uint32", "uint64", "float16")),
    BFLOAT16,
    *map(np.dtype, ("float32", "float64", "complex64", "complex128")),
)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers, the same for the same shape and seed."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def uniform(low: float, high: float, *shape: int, seed: int = 0) -> np.ndarray:
    """Numbers between ``low`` and ``high``."""
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape)


def distinct(*shape: int) -> np.ndarray:
    """Numbers whose distances are large against steps of finite differences."""
    size = int(np.prod(shape))
    return (np.random.default_rng(size).permutation(size).reshape(shape) - size / 3) / 4


def normal_complex(*shape: int, seed: int = 0) -> np.ndarray:
    """Complex normal numbers."""
    return normal(*shape, seed=seed) + 1j * normal(*shape, seed=seed + 1)


# Where formulas break: zeros of both signs, infinities, NaN, large, tiny and subnormal numbers.
EDGES = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, 6e4, -6e4, 1e-7, 3e-310])

INTS = np.array([0, 1, -1, 7, -8, 100, -127])
UINTS = np.array([0, 1, 2, 7, 100, 255], np.uint8)
BOOLS = np.array([True, False, True])


def as_operand(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a reference that computes in another precision the dtype of its operands."""
    return lambda *args: np.asarray(function(*args)).astype(args[0].dtype)


def unary(
    reference: Callable[..., Any], x: np.ndarray, *, edges: bool = True, **options: Any
) -> list[Sample]:
    """Rows of an elementwise function: an array, a scalar, no elements, and edge cases."""
    rows = [
        Sample((x,), reference=reference, **options),
        Sample((x.ravel()[0],), reference=reference, **options),
        Sample((x[:0],), reference=reference, **options),
    ]
    if edges:
        rows.append(Sample((EDGES,), reference=reference, **{**options, "order": 0}))
    return rows


def binary(
    reference: Callable[..., Any], x: np.ndarray, y: np.ndarray, **options: Any
) -> list[Sample]:
    """Rows of an elementwise function of two operands: arrays, and a scalar on either side."""
    return [
        Sample((x, y), reference=reference, **options),
        Sample((x.ravel()[0], y), reference=reference, **options),
        Sample((x, y.ravel()[0]), reference=reference, **options),
        Sample((x.ravel()[0], y.ravel()[0]), reference=reference, **options),
    ]


def edge_pairs(reference: Callable[..., Any], **options: Any) -> Sample:
    """A row with every pair of edge cases."""
    x, y = (a.ravel() for a in np.meshgrid(EDGES, EDGES))
    return Sample((x, y), reference=reference, order=0, **options)


def integers(reference: Callable[..., Any], *dtypes: Any) -> list[Sample]:
    """Rows of a function of two integer operands, in several dtypes."""
    x, y = (a.ravel() for a in np.meshgrid(INTS, INTS))
    return [
        Sample((x.astype(d), y.astype(d)), reference=reference)
        for d in dtypes or (np.int64, np.int32, np.int8, np.uint8, np.uint64)
    ]
