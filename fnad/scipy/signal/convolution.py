"""Convolution and correlation of arrays of any rank, directly or by Fourier transforms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core.types import kind_of
from fnad.numpy.operands import Array, convert, normalize_axes
from fnad.primitives.convolution import conv_general_dilated
from fnad.primitives.fft.factors import fast_length
from fnad.primitives.reversal import rev

_BOUNDARIES = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}
# A transform takes about so many operations a point for each doubling of the length.
_TRANSFORM = 20


def _operands(name: str, in1: Any, in2: Any, ndim: int | None = None) -> tuple[Array, Array]:
    x, y = fnp.asarray(in1), fnp.asarray(in2)
    if x.ndim != y.ndim or ndim not in (None, x.ndim):
        wanted = "of equal rank" if ndim is None else f"both of rank {ndim}"
        raise ValueError(f"{name}: inputs must be {wanted}, got shapes {x.shape} and {y.shape}")
    if not x.size or not y.size:
        raise ValueError(f"{name}: inputs must not be empty, got shapes {x.shape} and {y.shape}")
    dtype = fnp.result_type(x, y)
    return convert(x, dtype), convert(y, dtype)


def _ordered(
    name: str, x: Array, y: Array, mode: str, axes: Sequence[int]
) -> tuple[Array, Array, bool]:
    """Operands, and whether they were swapped: to "valid", the first must be the larger one."""
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"{name}: mode must be 'full', 'same' or 'valid', got {mode!r}")
    if mode != "valid" or all(x.shape[a] >= y.shape[a] for a in axes):
        return x, y, False
    if all(x.shape[a] <= y.shape[a] for a in axes):
        return y, x, True
    raise ValueError(
        f"{name}: for mode 'valid', one input must be at least as large as the other along every"
        f" axis, got shapes {x.shape} and {y.shape}"
    )


def _kept(n: int, m: int, mode: str) -> tuple[int, int]:
    """Which of the ``n + m - 1`` results of a convolution a mode keeps: the first, and how many."""
    if mode == "full":
        return 0, n + m - 1
    return ((m - 1) // 2, n) if mode == "same" else (m - 1, n - m + 1)


def _direct(x: Array, y: Array, mode: str) -> Array:
    """Sums of products; booleans are counted and are True where there are any."""
    if x.dtype.kind == "b":
        counts = _direct(convert(x, np.dtype(int)), convert(y, np.dtype(int)), mode)
        return convert(counts, np.dtype(bool))
    if not x.ndim:
        return x * y
    padding = []
    for n, m in zip(x.shape, y.shape):
        first, count = _kept(n, m, mode)
        padding.append((m - 1 - first, first + count - n))
    image = fnp.expand_dims(x, (0, 1))
    kernel = fnp.expand_dims(rev(y, tuple(range(y.ndim))), (0, 1))
    return conv_general_dilated(image, kernel, (1,) * x.ndim, padding)[0, 0]


def _transformed(x: Array, y: Array, mode: str, axes: Sequence[int]) -> Array:
    """The product of spectra of lengths for which transforms are fast."""
    lengths = [x.shape[a] + y.shape[a] - 1 for a in axes]
    fast = [fast_length(n) for n in lengths]
    kept = [_kept(x.shape[a], y.shape[a], mode) for a in axes]
    if kind_of(x.dtype) == "c":
        spectrum = fnp.fft.fftn(x, fast, axes) * fnp.fft.fftn(y, fast, axes)
        out = fnp.fft.ifftn(spectrum, fast, axes)
    else:
        spectrum = fnp.fft.rfftn(x, fast, axes) * fnp.fft.rfftn(y, fast, axes)
        out = fnp.fft.irfftn(spectrum, fast, axes)
    where = [slice(None)] * out.ndim
    for axis, (first, count) in zip(axes, kept):
        where[axis] = slice(first, first + count)
    return out[tuple(where)]


def fftconvolve(
    in1: Any, in2: Any, mode: str = "full", axes: int | Sequence[int] | None = None
) -> Array:
    """The convolution of two arrays, by Fourier transforms.

    Parameters
    ----------
    in1, in2 : array_like
        Arrays of equal rank; along axes that are not convolved, their shapes are broadcast.
    mode : {"full", "same", "valid"}
        All results, those in the middle, as many as there are in ``in1``, or those where the
        arrays overlap completely.
    axes : int or sequence of int, optional
        The axes to convolve, by default all.

    Returns
    -------
    array
        In the dtype of the operands; float64 for integers.

    Raises
    ------
    ValueError
        If the ranks differ, an array is empty, or neither covers the other for "valid".

    Examples
    --------
    >>> fftconvolve(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.5])).round(6) + 0.0
    array([0. , 1. , 2.5, 4. , 1.5])
    """
    x, y = _operands("fftconvolve", in1, in2)
    if not x.ndim:
        return x * y
    if kind_of(x.dtype) in "biu":
        x, y = convert(x, np.dtype(np.float64)), convert(y, np.dtype(np.float64))
    where = normalize_axes(axes, x.ndim)
    if not where:
        return x * y
    x, y, _ = _ordered("fftconvolve", x, y, mode, where)
    return convert(_transformed(x, y, mode, where), x.dtype)


def _chosen(x: Array, y: Array) -> str:
    """The way that takes fewer operations; integers are summed exactly."""
    if kind_of(x.dtype) not in "fc":
        return "direct"
    full = math.prod(n + m - 1 for n, m in zip(x.shape, y.shape))
    by_transforms = 3 * _TRANSFORM * full * max(math.log2(full), 1)
    return "fft" if 2 * full * min(x.size, y.size) > by_transforms else "direct"


def convolve(
    in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None
) -> Array:
    """The convolution of two arrays of equal rank.

    Parameters
    ----------
    in1, in2 : array_like
        The arrays, neither empty.
    mode : {"full", "same", "valid"}
        All results, those in the middle, as many as there are in ``in1``, or those where the
        arrays overlap completely.
    method : {"auto", "direct", "fft"}
        Sums of products, Fourier transforms, or what takes fewer operations. Integers are summed
        up exactly; by transforms, the sums are rounded to integers.
    precision : object
        For the sake of JAX's signature; products are in the precision of the operands.

    Raises
    ------
    ValueError
        As `fftconvolve`.

    Examples
    --------
    >>> convolve(np.array([1, 2, 3]), np.array([0, 1, 0.5]), "same")
    array([1. , 2.5, 4. ])
    """
    del precision
    x, y = _operands("convolve", in1, in2)
    x, y, _ = _ordered("convolve", x, y, mode, range(x.ndim))
    return _convolved("convolve", x, y, mode, method)


def _convolved(name: str, x: Array, y: Array, mode: str, method: str) -> Array:
    if method not in ("auto", "direct", "fft"):
        raise ValueError(f"{name}: method must be 'auto', 'direct' or 'fft', got {method!r}")
    way = _chosen(x, y) if method == "auto" else method
    if way == "direct" or not x.ndim:
        return _direct(x, y, mode)
    if kind_of(x.dtype) in "fc":
        return convert(_transformed(x, y, mode, range(x.ndim)), x.dtype)
    wide = [convert(z, np.dtype(np.float64)) for z in (x, y)]
    return convert(fnp.round(_transformed(wide[0], wide[1], mode, range(x.ndim))), x.dtype)


def _mirrored(y: Array) -> Array:
    """What to convolve with in order to correlate."""
    return fnp.conj(rev(y, tuple(range(y.ndim))))


def correlate(
    in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None
) -> Array:
    """The correlation of two arrays of equal rank: ``in1`` with ``conj(in2)`` moved along it.

    Parameters are those of `convolve`.

    Examples
    --------
    >>> correlate(np.array([1, 2, 3]), np.array([0, 1, 0.5]))
    array([0.5, 2. , 3.5, 3. , 0. ])
    """
    del precision
    x, y = _operands("correlate", in1, in2)
    x, y, _ = _ordered("correlate", x, _mirrored(y), mode, range(x.ndim))
    return _convolved("correlate", x, y, mode, method)


def _two_dimensional(
    name: str, x: Array, y: Array, mode: str, boundary: str, fillvalue: Any
) -> Array:
    """A convolution; in "same" correlations, the middle of an even window is the later one."""
    if boundary not in _BOUNDARIES:
        known = ", ".join(map(repr, _BOUNDARIES))
        raise ValueError(f"{name}: boundary must be one of {known}, got {boundary!r}")
    correlated = name == "correlate2d"
    x, y, swapped = _ordered(name, x, y, mode, (0, 1))
    if swapped and correlated:
        x, y = fnp.conj(x), fnp.conj(y)  # as SciPy, which conjugates what is moved
    if mode != "valid":
        widths = []
        for n, m in zip(x.shape, y.shape):
            first, count = _kept(n, m, mode)
            first = m // 2 if correlated and mode == "same" else first
            widths.append((m - 1 - first, first + count - n))
        options = {"constant_values": fillvalue} if boundary == "fill" else {}
        x = fnp.pad(x, widths, _BOUNDARIES[boundary], **options)
    return _direct(x, y, "valid")


def convolve2d(
    in1: Any,
    in2: Any,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: Any = 0,
    precision: Any = None,
) -> Array:
    """The convolution of two matrices.

    Parameters
    ----------
    in1, in2 : array_like
        The matrices, neither empty.
    mode : {"full", "same", "valid"}
        As in `convolve`.
    boundary : {"fill", "wrap", "symm"}
        What is outside of ``in1``: ``fillvalue``, ``in1`` again, or its mirror image.
    fillvalue : scalar
        What ``in1`` is surrounded with.
    precision : object
        For the sake of JAX's signature.

    Examples
    --------
    >>> convolve2d(np.eye(2), np.ones((2, 2)), "same", "wrap")
    array([[2., 2.],
           [2., 2.]])
    """
    del precision
    x, y = _operands("convolve2d", in1, in2, 2)
    return _two_dimensional("convolve2d", x, y, mode, boundary, fillvalue)


def correlate2d(
    in1: Any,
    in2: Any,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: Any = 0,
    precision: Any = None,
) -> Array:
    """The correlation of two matrices, with the conjugate of ``in2``.

    Parameters are those of `convolve2d`.

    Examples
    --------
    >>> correlate2d(np.array([[1, 2], [3, 4]]), np.array([[1, 0]]))
    array([[0, 1, 2],
           [0, 3, 4]])
    """
    del precision
    x, y = _operands("correlate2d", in1, in2, 2)
    return _two_dimensional("correlate2d", x, _mirrored(y), mode, boundary, fillvalue)
