"""Eight truth values in a byte, and back."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray
from fnad.numpy.manipulation import moveaxis, ravel, reshape
from fnad.numpy.operands import Array
from fnad.numpy.reductions import sum
from fnad.numpy.sized import truth
from fnad.primitives import slicing
from fnad.primitives.shape import broadcast_in_dim, canonicalize_axis

_UINT8 = np.dtype(np.uint8)


def _places(name: str, bitorder: str) -> np.ndarray:
    """How far the bits of a byte stand from its lowest, in the order of the elements."""
    if bitorder not in ("big", "little"):
        raise ValueError(f"{name}: bitorder must be 'big' or 'little', got {bitorder!r}")
    places = np.arange(8, dtype=np.uint8)
    return places[::-1].copy() if bitorder == "big" else places


def _last(x: Array, axis: int | None) -> tuple[Array, int]:
    """The array with the axis (of the flattened array by default) last, and where it was."""
    if axis is None:
        x, axis = ravel(x), 0
    axis = canonicalize_axis(axis, x.ndim)
    return moveaxis(x, axis, -1), axis


def packbits(a: Any, axis: int | None = None, bitorder: str = "big") -> Array:
    """Whether elements are nonzero, eight in a byte; zeros fill the last one.

    Parameters
    ----------
    a : array_like
        Booleans or integers.
    axis : int, optional
        Which axis; that of the flattened array by default.
    bitorder : {"big", "little"}
        Whether the first element becomes the highest or the lowest bit.

    Examples
    --------
    >>> packbits(np.array([1, 0, 1, 0, 0, 0, 0, 1, 1]))
    array([161, 128], dtype=uint8)
    """
    x = asarray(a)
    if x.dtype.kind not in "biu":
        raise TypeError(f"packbits: takes booleans or integers, got {x.dtype}")
    places = _places("packbits", bitorder)
    x, axis = _last(truth(x), axis)
    length = x.shape[-1]
    bytes_ = -(-length // 8)
    x = slicing.pad(x, np.False_, [(0, 0, 0)] * (x.ndim - 1) + [(0, 8 * bytes_ - length, 0)])
    bits = reshape(x, (*x.shape[:-1], bytes_, 8))
    values = ufuncs.multiply(bits, (1 << places).astype(np.uint8))
    return moveaxis(sum(values, -1, np.uint8), -1, axis)


def unpackbits(
    a: Any, axis: int | None = None, count: int | None = None, bitorder: str = "big"
) -> Array:
    """The bits of bytes, as zeros and ones.

    Parameters
    ----------
    a : array_like of uint8
        Any shape.
    axis : int, optional
        Which axis; that of the flattened array by default.
    count : int, optional
        How many bits of the axis to give, zeros beyond its end; a negative number leaves out that
        many at the end.
    bitorder : {"big", "little"}
        Whether the highest or the lowest bit comes first.

    Examples
    --------
    >>> unpackbits(np.array([161], np.uint8))
    array([1, 0, 1, 0, 0, 0, 0, 1], dtype=uint8)
    """
    x = asarray(a)
    if x.dtype != _UINT8:
        raise TypeError(f"unpackbits: takes uint8, got {x.dtype}")
    places = _places("unpackbits", bitorder)
    x, axis = _last(x, axis)
    wide = broadcast_in_dim(x, (*x.shape, 8), tuple(range(x.ndim)))
    bits = ufuncs.bitwise_and(ufuncs.right_shift(wide, places), np.uint8(1))
    bits = reshape(bits, (*x.shape[:-1], 8 * x.shape[-1]))
    length = bits.shape[-1]
    if count is not None:
        wanted = operator.index(count) + (length if count < 0 else 0)
        if wanted < 0:
            raise ValueError(f"unpackbits: count {count} leaves out more than {length} bits")
        config = [(0, 0, 0)] * (bits.ndim - 1) + [(0, wanted - length, 0)]
        bits = slicing.pad(bits, np.uint8(0), config)
    return moveaxis(bits, -1, axis)
