"""Discrete cosine transforms, under the names of `scipy.fft`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from operator import index as as_int
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core.types import is_half, kind_of
from fnad.numpy.operands import Array, convert
from fnad.primitives.complex_numbers import complex as complex_of
from fnad.primitives.complex_numbers import imag, real
from fnad.primitives.fft.butterflies import roots_of_unity
from fnad.primitives.shape import canonicalize_axis

_INVERSE = {1: 1, 2: 3, 3: 2, 4: 4}
_SWAPPED = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def dct(
    x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None
) -> Array:
    """The discrete cosine transform along an axis.

    Of type 2, ``2 * sum(x[j] * cos(pi k (2j + 1) / 2n))``; the others are SciPy's.

    Parameters
    ----------
    x : array_like
        Real or complex.
    type : {1, 2, 3, 4}
        Which transform.
    n : int, optional
        The length of the transform: ``x`` is cropped to it, or padded with zeros.
    axis : int
        The axis to transform.
    norm : {"backward", "ortho", "forward"}
        Which direction is divided by 2n (2n - 2 for type 1); "ortho" makes the transform
        orthogonal.

    Returns
    -------
    array
        float32 for float32 and 16 bits, float64 for integers; complex for complex numbers.

    Raises
    ------
    ValueError
        If the type or the norm is unknown, or the length too small.

    Examples
    --------
    >>> dct(np.array([1.0, 2.0, 3.0, 4.0])).round(3)
    array([20.   , -6.309,  0.   , -0.448])
    """
    norm = "backward" if norm is None else norm
    if type not in _INVERSE:
        raise ValueError(f"dct: there are types 1, 2, 3 and 4, got {type!r}")
    if norm not in _SWAPPED:
        raise ValueError(f'dct: norm must be "backward", "ortho" or "forward", got {norm!r}')
    x = fnp.asarray(x)
    if kind_of(x.dtype) == "c":
        return complex_of(*[dct(part, type, n, axis, norm) for part in (real(x), imag(x))])
    if kind_of(x.dtype) != "f":
        x = convert(x, np.dtype(np.float64))
    elif is_half(x.dtype):
        x = convert(x, np.dtype(np.float32))
    axis = canonicalize_axis(axis, x.ndim)
    x = _resized(fnp.moveaxis(x, axis, -1), x.shape[axis] if n is None else as_int(n))
    n, least = x.shape[-1], 2 if type == 1 else 1
    if n < least:
        raise ValueError(f"dct of type {type} needs at least {least} points, got {n} along {axis=}")
    period = 2 * (n - 1 if type == 1 else n)
    if norm == "ortho":
        # The elements that stand alone among pairs: of operands, and of results.
        before, after = {1: ([0, -1], [0, -1]), 2: ([], [0]), 3: ([0], []), 4: ([], [])}[type]
        x = x * _weights(n, before, math.sqrt(2), x.dtype)
        scale = _weights(n, after, math.sqrt(0.5), x.dtype) * x.dtype.type(period**-0.5)
        out = _TYPES[type](x) * scale
    else:
        out = _TYPES[type](x)
        out = out * x.dtype.type(1 / period) if norm == "forward" else out
    return fnp.moveaxis(out, -1, axis)


def _resized(x: Array, n: int) -> Array:
    if n <= x.shape[-1]:
        return x[..., : max(n, 0)]
    return fnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, n - x.shape[-1])])


def _weights(n: int, places: list[int], weight: float, dtype: Any) -> np.ndarray:
    weights = np.ones(n, dtype)
    weights[places] = weight
    return weights


def _rotations(count: int, n: int, dtype: Any) -> np.ndarray:
    """``exp(-pi i k / 2n)`` for all k < count, for numbers of a real dtype."""
    return roots_of_unity(np.arange(count), 4 * n).astype(np.result_type(dtype, np.complex64))


def _type_1(x: Array) -> Array:
    # The spectrum of an even signal.
    even = fnp.concatenate([x, x[..., -2:0:-1]], -1)
    return real(fnp.fft.rfft(even))


def _type_2(x: Array) -> Array:
    # Makhoul (1980), "A fast cosine transform in one and two dimensions".
    n = x.shape[-1]
    mixed = fnp.concatenate([x[..., ::2], x[..., 1::2][..., ::-1]], -1)
    z = 2 * fnp.fft.rfft(mixed) * _rotations(n // 2 + 1, n, x.dtype)
    behind = -imag(z[..., 1 : (n + 1) // 2])
    return fnp.concatenate([real(z), behind[..., ::-1]], -1)


def _type_3(x: Array) -> Array:
    n, half = x.shape[-1], x.shape[-1] // 2
    back = fnp.concatenate([fnp.zeros_like(x[..., :1]), x[..., ::-1]], -1)[..., : half + 1]
    z = complex_of(x[..., : half + 1], -back) * _rotations(half + 1, n, x.dtype).conj()
    mixed = fnp.fft.irfft(z, n, norm="forward")
    odd = mixed[..., n - half :][..., ::-1]
    pairs = fnp.stack([mixed[..., :half], odd], -1)
    paired = fnp.reshape(pairs, (*x.shape[:-1], 2 * half))
    return fnp.concatenate([paired, mixed[..., half : n - half]], -1)


def _type_4(x: Array) -> Array:
    # (2j + 1)(2k + 1) = 4jk + 2j + (2k + 1)
    n = x.shape[-1]
    before = _rotations(n, n, x.dtype)
    after = 2 * roots_of_unity(2 * np.arange(n) + 1, 8 * n).astype(before.dtype)
    return real(fnp.fft.fft(x * before, 2 * n)[..., :n] * after)


_TYPES: dict[int, Callable[[Array], Array]] = {1: _type_1, 2: _type_2, 3: _type_3, 4: _type_4}


def idct(
    x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None
) -> Array:
    """The inverse of `dct`, whose parameters it has.

    Examples
    --------
    >>> idct(dct(np.array([1.0, 2.0, 4.0]))).round(3)
    array([1., 2., 4.])
    """
    norm = "backward" if norm is None else norm
    return dct(x, _INVERSE.get(type, type), n, axis, _SWAPPED.get(norm, norm))


def _over_axes(
    transform: Callable[..., Array],
    x: Any,
    s: Any,
    axes: Any,
    options: dict[str, Any],
) -> Array:
    x = fnp.asarray(x)
    lengths = None if s is None else (s,) if np.ndim(s) == 0 else tuple(s)
    if axes is None:
        axes = range(x.ndim) if lengths is None else range(x.ndim - len(lengths), x.ndim)
    axes = [canonicalize_axis(a, x.ndim) for a in ((axes,) if np.ndim(axes) == 0 else axes)]
    if len(set(axes)) < len(axes):
        raise ValueError(f"{transform.__name__}n: repeated axes {axes}")
    sizes = [None] * len(axes) if lengths is None else lengths
    if len(sizes) != len(axes):
        raise ValueError(f"{transform.__name__}n: {len(sizes)} lengths {s=} for the {axes=}")
    one = functools.partial(transform, **options)
    for axis, n in zip(axes, sizes):
        x = one(x, n=x.shape[axis] if n in (None, -1) else n, axis=axis)
    return x


def dctn(
    x: Any,
    type: int = 2,
    s: int | Sequence[int] | None = None,
    axes: int | Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:
    """`dct` over several axes.

    Parameters
    ----------
    x : array_like
        Real or complex.
    type : {1, 2, 3, 4}
        Which transform.
    s : int or sequence of int, optional
        The length along each axis.
    axes : int or sequence of int, optional
        The axes; the last ones for which there are lengths, or all.
    norm : {"backward", "ortho", "forward"}
        As in `dct`.

    Examples
    --------
    >>> dctn(np.ones((2, 2)))
    array([[16.,  0.],
           [ 0.,  0.]])
    """
    return _over_axes(dct, x, s, axes, {"type": type, "norm": norm})


def idctn(
    x: Any,
    type: int = 2,
    s: int | Sequence[int] | None = None,
    axes: int | Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:
    """The inverse of `dctn`, whose parameters it has.

    Examples
    --------
    >>> idctn(np.array([[16.0, 0.0], [0.0, 0.0]]))
    array([[1., 1.],
           [1., 1.]])
    """
    return _over_axes(idct, x, s, axes, {"type": type, "norm": norm})


__all__ = ["dct", "dctn", "idct", "idctn"]
