"""Fourier transforms along an axis whose length is known at the call only: NumPy's pocketfft.

Passes and factors are those of a length. What any length may come to is left to the library.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fnad.core.primitive import Parts
from fnad.core.types import aval_of
from fnad.primitives.complex_parts import interleaved, parts_of_interleaved
from fnad.primitives.linalg.routines import Given, Made, routine_p
from fnad.primitives.shape import reshape, transpose


def transform(x: Any, fft_type: str, axis: int, n: int) -> Any:
    """The transform ``fft_type`` of length n along one axis, of parts or of real numbers."""
    if isinstance(x, Parts):
        row = interleaved(Parts(_last(x.re, axis), _last(x.im, axis)))
        shape = aval_of(row).shape[:-1]
    else:
        row = _last(x, axis)
        shape = aval_of(row).shape
    m = {"RFFT": n // 2 + 1, "IRFFT": n}.get(fft_type, shape[-1])
    batch, width = math.prod(shape[:-1]), 1 if fft_type == "IRFFT" else 2
    dtype = aval_of(row).dtype
    (out,) = routine_p.bind(
        reshape(row, (batch, 1, shape[-1] * (2 if isinstance(x, Parts) else 1))),
        name=f"fourier.{fft_type.lower()}.{dtype.name}",
        arguments=(Given(0), shape[-1], n, Made(0), m),
        results=(((batch, 1, m * width), np.dtype(dtype)),),
        operations=10 * n,  # more than that by the logarithm, which no polynomial is
    )
    if fft_type == "IRFFT":
        return _back(reshape(out, (*shape[:-1], m)), axis)
    parts = parts_of_interleaved(reshape(out, (*shape[:-1], m, 2)))
    return Parts(_back(parts.re, axis), _back(parts.im, axis))


def _last(x: Any, axis: int) -> Any:
    ndim = aval_of(x).ndim
    return transpose(x, (*range(axis), *range(axis + 1, ndim), axis))


def _back(x: Any, axis: int) -> Any:
    """The inverse of `_last`."""
    last = aval_of(x).ndim - 1
    return transpose(x, (*range(axis), last, *range(axis, last)))
