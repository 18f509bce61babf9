"""Discrete Fourier transforms of complex and of real numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from fnad.core.primitive import Primitive, remember
from fnad.core.sizes import Size
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.complex_numbers import complex as complex_of
from fnad.primitives.complex_numbers import complex_dtype, imag, real, real_dtype
from fnad.primitives.dependencies import mixed
from fnad.primitives.fft.decomposition import complex_to_complex, complex_to_real, real_to_complex
from fnad.primitives.fft.library import transform
from fnad.primitives.logic import select
from fnad.primitives.shape import broadcasted_iota, full_like, int_tuple
from fnad.primitives.slicing import pad
from fnad.primitives.strong_zeros import StrongZeros, settled, summed_lanes

Shape = tuple[int, ...]


class FftType(IntEnum):
    """The kinds of Fourier transforms: forward and inverse, of complex and of real numbers."""

    FFT = 0
    IFFT = 1
    RFFT = 2
    IRFFT = 3


fft_p = Primitive(
    "fft",
    "The Fourier transform over distinct axes, of lengths fft_lengths: X[k] = sum(x[j] * exp(-2"
    " pi i j k / n)) an axis (FFT, complex to complex); its inverse with a factor of 1 / n an axis"
    " (IFFT); of real numbers, without the second half of the last one of the axes, which is"
    " conjugated (RFFT, to n // 2 + 1 numbers), and the inverse of that (IRFFT). Complex numbers"
    " may be complex64, complex128, real ones float32, float64.",
)


def _with_lengths(shape: Sequence[int], axes: Sequence[int], lengths: Sequence[int]) -> Shape:
    found = list(shape)
    for axis, n in zip(axes, lengths, strict=True):
        found[axis] = n
    return tuple(found)


@fft_p.type_rule
@remember
def _(x, *, fft_type, fft_lengths, axes):
    taken = "f" if fft_type == "RFFT" else "c"
    if x.dtype.kind != taken or x.dtype == np.float16:
        kinds = {"f": "real numbers, float32 or float64", "c": "complex numbers"}
        raise TypeError(f"fft: {fft_type} is of {kinds[taken]}, but its operand is {x}")
    if not fft_lengths or len(fft_lengths) != len(axes):
        raise ValueError(f"fft: {len(fft_lengths)} fft_lengths for {len(axes)} axes")
    if min(fft_lengths) < 1:
        raise ValueError(f"fft: the lengths of a transform must be positive, got {fft_lengths}")
    half = (*fft_lengths[:-1], fft_lengths[-1] // 2 + 1)
    needed = half if fft_type == "IRFFT" else fft_lengths
    if x.shape != _with_lengths(x.shape, axes, needed):
        raise ValueError(
            f"fft: {fft_type} with fft_lengths {fft_lengths} is of arrays that have {needed}"
            f" elements along the axes {axes}, but the operand's shape is {x.shape}"
        )
    if fft_type == "RFFT":
        return ShapedArray(_with_lengths(x.shape, axes, half), complex_dtype(x.dtype))
    if fft_type == "IRFFT":
        return ShapedArray(_with_lengths(x.shape, axes, fft_lengths), real_dtype(x.dtype))
    return x.strong()


@fft_p.dependencies
def _(x, *, axes, **params):
    (out,) = fft_p.out_avals([x.aval], {"axes": axes, **params})
    return mixed(x, out.shape, axes)


@fft_p.evaluate
def _(x, *, fft_type, fft_lengths, axes):
    function = {
        "FFT": np.fft.fftn,
        "IFFT": np.fft.ifftn,
        "RFFT": np.fft.rfftn,
        "IRFFT": np.fft.irfftn,
    }
    return function[fft_type](x, fft_lengths, axes)


fft_p.linear()


@fft_p.transpose
def _(ct, x, *, fft_type, fft_lengths, axes):
    # Matrices of roots are symmetric; cotangents of complex numbers are not conjugated (as JAX's).
    if fft_type in ("FFT", "IFFT"):
        return [fft_p.bind(ct, fft_type=fft_type, fft_lengths=fft_lengths, axes=axes)]
    aval, axis, n = aval_of(ct), axes[-1], fft_lengths[-1]
    if fft_type == "RFFT":
        # The transform of real numbers is half of that of complex ones without imaginary part.
        missing = [(0, 0, 0)] * aval.ndim
        missing[axis] = (0, n - aval.shape[axis], 0)
        whole = pad(ct, aval.dtype.type(0), missing)
        return [real(fft_p.bind(whole, fft_type="FFT", fft_lengths=fft_lengths, axes=axes))]
    # Its inverse reads each number for itself and for its conjugate, but for those without one.
    out = fft_p.bind(ct, fft_type="RFFT", fft_lengths=fft_lengths, axes=axes)
    k = broadcasted_iota(np.int64, aval_of(out).shape, axis)
    one = full_like(k, 1, aval.dtype)
    weights = select((k == 0) | (2 * k == n), one, 2 * one) / math.prod(fft_lengths)
    return [complex_of(real(out) * weights, -imag(out) * weights)]


@fft_p.strong_transpose
def _(ct, x, *, axes, **params):
    found = fft_p.rule("transpose")(settled(ct), x, axes=axes, **params)
    if type(ct) is not StrongZeros:
        return found
    kept = [None if i in axes else i for i in range(ct.aval.ndim)]
    return [summed_lanes(ct, found[0], kept, is_zero=True)]


@fft_p.batch
def _(args, batched, axis, *, axes, **params):
    return fft_p.bind(*args, axes=tuple(a + 1 for a in axes), **params), True


@fft_p.parts
def _(x, *, fft_type, fft_lengths, axes):
    if not any(type(n) is Size for n in fft_lengths):
        return _of_fixed_lengths(x, fft_type, axes, fft_lengths)
    # Only the last axis is of real numbers.
    kinds = [{"RFFT": "FFT", "IRFFT": "IFFT"}.get(fft_type, fft_type)] * len(axes)
    kinds[-1] = fft_type
    order = range(len(axes)) if fft_type == "IRFFT" else reversed(range(len(axes)))
    for i in order:
        kind, axis, n = kinds[i], axes[i], fft_lengths[i]
        known = type(n) is not Size
        x = _of_fixed_lengths(x, kind, (axis,), (n,)) if known else transform(x, kind, axis, n)
    return x


def _of_fixed_lengths(x: Any, fft_type: str, axes: Sequence[int], lengths: Sequence[int]) -> Any:
    if fft_type == "RFFT":
        return real_to_complex(x, axes, lengths)
    if fft_type == "IRFFT":
        return complex_to_real(x, axes, lengths)
    return complex_to_complex(x, axes, lengths, inverse=fft_type == "IFFT")


def fft(x: Any, fft_type: FftType | str, fft_lengths: Sequence[int]) -> Any:
    """The discrete Fourier transform over the last axes.

    Parameters
    ----------
    x : array
        complex64 or complex128; for ``RFFT``, float32 or float64.
    fft_type : FftType or str
        ``FFT``, ``IFFT``, ``RFFT`` or ``IRFFT``.
    fft_lengths : sequence of int
        The lengths of the last axes, as many as are transformed: of the operand, or, for
        ``IRFFT``, of the result.

    Returns
    -------
    array
        Complex, but real for ``IRFFT``.

    Examples
    --------
    >>> fft(np.array([1.0, 2.0, 3.0, 4.0]), "RFFT", (4,))
    array([10.+0.j, -2.+2.j, -2.+0.j])
    """
    name = fft_type.upper() if isinstance(fft_type, str) else FftType(fft_type).name
    if name not in FftType.__members__:
        known = ", ".join(FftType.__members__)
        raise ValueError(f"fft: no transform is called {fft_type!r}, there are {known}")
    lengths, ndim = int_tuple(fft_lengths), aval_of(x).ndim
    if len(lengths) > ndim:
        raise ValueError(f"fft: {len(lengths)} fft_lengths for an operand of rank {ndim}")
    axes = tuple(range(ndim - len(lengths), ndim))
    return fft_p.bind(x, fft_type=name, fft_lengths=lengths, axes=axes)
