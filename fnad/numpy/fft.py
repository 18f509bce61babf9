"""Discrete Fourier transforms, under the names of `numpy.fft`.

Numbers of single precision are transformed in it, those of 16 bits as well; integers are double.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.sizes import Size, as_size
from fnad.core.types import kind_of
from fnad.numpy.creation import asarray
from fnad.numpy.devices import placed
from fnad.numpy.manipulation import roll
from fnad.numpy.operands import Array, convert, python_scalar
from fnad.numpy.ranges import arange
from fnad.primitives.complex_numbers import complex_dtype, conj, real_dtype
from fnad.primitives.fft.transform import fft_p
from fnad.primitives.shape import canonicalize_axis
from fnad.primitives.slicing import pad, slice_in_dim

_SWAPPED = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def _norm(norm: str | None) -> str:
    found = "backward" if norm is None else norm
    if found not in _SWAPPED:
        raise ValueError(f'invalid norm {norm!r}: it should be "backward", "ortho" or "forward"')
    return found


def _resized(x: Array, axis: int, n: int) -> Array:
    """The first n elements along an axis, zeros behind those that there are."""
    size = x.shape[axis]
    if n < size:
        return slice_in_dim(x, 0, n, axis=axis)
    widths = [(0, 0, n - size if a == axis else 0) for a in range(x.ndim)]
    return x if n == size else pad(x, x.dtype.type(0), [(a, c, b) for a, b, c in widths])


def _operand(name: str, x: Any, real: bool) -> Array:
    """An array in a dtype of which there are transforms."""
    x = asarray(x)
    kind = kind_of(x.dtype)
    if real and kind == "c":
        raise TypeError(
            f"{name} is of real numbers, but got an array of dtype {x.dtype}: take its real part"
            " first, or the transform of complex numbers"
        )
    wide = np.dtype(np.float64) if kind in "biu" else x.dtype
    wide = np.dtype(np.float32) if wide.itemsize == 2 else wide
    return convert(x, wide if real or kind == "c" else complex_dtype(wide))


def _transform(
    kind: str, x: Any, lengths: Sequence[int | None], axes: Sequence[int], norm: str | None
) -> Array:
    """A transform over axes, of which a length of None is the one that there is."""
    norm = _norm(norm)
    name = f"fft.{kind.lower()}"
    x = asarray(x)
    given, x = x.dtype, _operand(name, x, kind == "RFFT")
    if not x.ndim:
        raise ValueError(f"{name}: the operand must have an axis to transform, it is a scalar")
    where = [canonicalize_axis(axis, x.ndim) for axis in axes]
    sizes = []
    for place, (axis, n) in enumerate(zip(where, lengths, strict=True)):
        found = x.shape[axis] if n is None else as_size(n)
        halved = kind == "IRFFT" and place == len(where) - 1
        if halved and n is None:
            found = 2 * (found - 1)
        if found < 1:
            raise ValueError(f"{name}: invalid number of data points ({found}) along axis {axis}")
        sizes.append(found)
        x = _resized(x, axis, found // 2 + 1 if halved else found)
    out = fft_p.bind(x, fft_type=kind, fft_lengths=tuple(sizes), axes=tuple(where))
    out = _scaled(out, norm, math.prod(sizes), kind in ("IFFT", "IRFFT"))
    if kind == "IRFFT" and given == np.float16 and len(sizes) == 1:
        return convert(out, given)  # as NumPy does, where no other axis made complex64 of it
    return out


def _scaled(x: Array, norm: str, count: int, inverse: bool) -> Array:
    """A transform in another norm than "backward", in which it was computed."""
    if norm == "backward":
        return x
    power = (0.5 if norm == "ortho" else 1.0) * (1 if inverse else -1)
    if type(count) is Size:
        return x * convert(asarray(count, dtype=np.float64) ** power, real_dtype(x.dtype))
    return x * python_scalar(float(count) ** power, x.dtype)


def fft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The discrete Fourier transform along an axis, ``sum(a[j] * exp(-2 pi i j k / n))``.

    Parameters
    ----------
    a : array_like
        Real or complex.
    n : int, optional
        The length of the transform: ``a`` is cropped to it, or padded with zeros.
    axis : int
        The axis to transform.
    norm : {"backward", "ortho", "forward"}
        Which direction is divided by n; by its root in both, for "ortho".

    Returns
    -------
    array
        complex64 for float32 and complex64 (and 16 bits), complex128 for all else.

    Raises
    ------
    ValueError
        If there are no data points, the norm is unknown, or ``a`` is a scalar.

    Examples
    --------
    >>> fft(np.array([1.0, 2.0, 3.0, 4.0]))
    array([10.+0.j, -2.+2.j, -2.+0.j, -2.-2.j])
    """
    return _transform("FFT", a, (n,), (axis,), norm)


def ifft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `fft`, whose parameters it has.

    Examples
    --------
    >>> ifft(np.array([10, -2 + 2j, -2, -2 - 2j]))
    array([1.+0.j, 2.+0.j, 3.+0.j, 4.+0.j])
    """
    return _transform("IFFT", a, (n,), (axis,), norm)


def rfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """`fft` of real numbers: the first n // 2 + 1 elements, of which the others are conjugates.

    Examples
    --------
    >>> rfft(np.array([1.0, 2.0, 3.0, 4.0]))
    array([10.+0.j, -2.+2.j, -2.+0.j])
    """
    return _transform("RFFT", a, (n,), (axis,), norm)


def irfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `rfft`: n real numbers, twice as many as steps in ``a`` if n is not given.

    Examples
    --------
    >>> irfft(np.array([10, -2 + 2j, -2]))
    array([1., 2., 3., 4.])
    """
    return _transform("IRFFT", a, (n,), (axis,), norm)


def hfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """`fft` of a signal with conjugate symmetry, of which ``a`` is the first half: real numbers.

    Examples
    --------
    >>> hfft(np.array([1, 2 + 1j, 3]))
    array([ 8.,  0.,  0., -4.])
    """
    a = asarray(a)
    return irfft(conj(a) if kind_of(a.dtype) == "c" else a, n, axis, _SWAPPED[_norm(norm)])


def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `hfft`.

    Examples
    --------
    >>> ihfft(np.array([8.0, 0.0, 0.0, -4.0]))
    array([1.-0.j, 2.+1.j, 3.-0.j])
    """
    return conj(rfft(a, n, axis, _SWAPPED[_norm(norm)]))


# -- several axes ----------------------------------------------------------------------------------


def _over_axes(
    kind: str, a: Any, s: Sequence[int] | None, axes: Sequence[int] | None, norm: str | None
) -> Array:
    name = f"fft.{kind.lower()}n"
    a = asarray(a)
    if s is not None and len(s) > a.ndim and axes is None:
        raise ValueError(f"{name}: {len(s)} lengths s={s} for an array of shape {a.shape}")
    if axes is None:
        axes = range(a.ndim) if s is None else range(a.ndim - len(s), a.ndim)
    lengths: list[int | None] = [None] * len(axes) if s is None else list(s)
    if len(lengths) != len(axes):
        raise ValueError(f"{name}: {len(lengths)} lengths s={s} for the axes {tuple(axes)}")
    where = [canonicalize_axis(axis, a.ndim) for axis in axes]
    # Of an axis, -1 is the length that it has.
    sizes = [None if n == -1 else n for n in lengths]
    if kind == "IRFFT" and lengths and lengths[-1] == -1:
        sizes[-1] = a.shape[where[-1]]
    if not where:
        if kind in ("FFT", "IFFT"):
            return _operand(name, a, False)
        raise ValueError(f"{name}: at least one axis must be transformed")
    if len(set(where)) == len(where):
        return _transform(kind, a, sizes, where, norm)
    once = {"RFFT": "FFT", "IRFFT": "IFFT"}
    if kind == "IRFFT":  # repeated ones are transformed repeatedly, from the last to the first
        for n, axis in zip(sizes[:-1], where[:-1]):
            a = _transform("IFFT", a, (n,), (axis,), norm)
        return _transform(kind, a, sizes[-1:], where[-1:], norm)
    sizes = [a.shape[axis] if n is None else n for n, axis in zip(sizes, where)]
    for n, axis in list(zip(sizes, where))[::-1]:
        a = _transform(kind, a, (n,), (axis,), norm)
        kind = once.get(kind, kind)
    return a


def fftn(
    a: Any,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:
    """The discrete Fourier transform over several axes.

    Parameters
    ----------
    a : array_like
        Real or complex.
    s : sequence of int, optional
        The length along each axis, as ``n`` of `fft`; -1 for the one that there is.
    axes : sequence of int, optional
        The axes; the last ones for which there are lengths, or all.
    norm : {"backward", "ortho", "forward"}
        As in `fft`.

    Examples
    --------
    >>> fftn(np.eye(2))
    array([[2.+0.j, 0.+0.j],
           [0.+0.j, 2.+0.j]])
    """
    return _over_axes("FFT", a, s, axes, norm)


def ifftn(
    a: Any,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:
    """The inverse of `fftn`, whose parameters it has.

    Examples
    --------
    >>> ifftn(2 * np.eye(2))
    array([[1.+0.j, 0.+0.j],
           [0.+0.j, 1.+0.j]])
    """
    return _over_axes("IFFT", a, s, axes, norm)


def rfftn(
    a: Any,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:
    """`fftn` of real numbers: half of the last one of the axes, whose other half is conjugated.

    Examples
    --------
    >>> rfftn(np.ones((2, 2)))
    array([[4.+0.j, 0.+0.j],
           [0.+0.j, 0.+0.j]])
    """
    return _over_axes("RFFT", a, s, axes, norm)


def irfftn(
    a: Any,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:
    """The inverse of `rfftn`; along the last axis there are ``s[-1]`` numbers, as in `irfft`.

    Examples
    --------
    >>> irfftn(np.array([[4, 0], [0, 0]]))
    array([[1., 1.],
           [1., 1.]])
    """
    return _over_axes("IRFFT", a, s, axes, norm)


def fft2(
    a: Any, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None
) -> Array:
    """`fftn` over two axes, the last ones by default.

    Examples
    --------
    >>> fft2(np.ones((1, 2, 2)))
    array([[[4.+0.j, 0.+0.j],
            [0.+0.j, 0.+0.j]]])
    """
    return _over_axes("FFT", a, s, axes, norm)


def ifft2(
    a: Any, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None
) -> Array:
    """`ifftn` over two axes, the last ones by default.

    Examples
    --------
    >>> ifft2(np.array([[[4, 0], [0, 0]]]))
    array([[[1.+0.j, 1.+0.j],
            [1.+0.j, 1.+0.j]]])
    """
    return _over_axes("IFFT", a, s, axes, norm)


def rfft2(
    a: Any, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None
) -> Array:
    """`rfftn` over two axes, the last ones by default.

    Examples
    --------
    >>> rfft2(np.ones((2, 2)))
    array([[4.+0.j, 0.+0.j],
           [0.+0.j, 0.+0.j]])
    """
    return _over_axes("RFFT", a, s, axes, norm)


def irfft2(
    a: Any, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None
) -> Array:
    """`irfftn` over two axes, the last ones by default.

    Examples
    --------
    >>> irfft2(np.array([[4, 0], [0, 0]]))
    array([[1., 1.],
           [1., 1.]])
    """
    return _over_axes("IRFFT", a, s, axes, norm)


# -- frequencies -----------------------------------------------------------------------------------


def _frequencies(places: Any, n: int, d: Any, dtype: Any, device: Any) -> Array:
    places = convert(places, np.dtype(np.float64 if dtype is None else dtype))
    return placed(places / (n * asarray(d, dtype=places.dtype)), device)


def fftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Array:
    """The frequencies to which the elements of `fft` belong, in cycles per unit of ``d``.

    Parameters
    ----------
    n : int
        The length of the transform.
    d : scalar
        The distance of samples.
    dtype : dtype, optional
        float64 by default.
    device : None, "cpu", "cuda" or a device of CuPy
        Where the result lies.

    Examples
    --------
    >>> fftfreq(4, 0.5)
    array([ 0. ,  0.5, -1. , -0.5])
    """
    n = _positive("fftfreq", n)
    return _frequencies((arange(n) + n // 2) % n - n // 2, n, d, dtype, device)


def rfftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Array:
    """The frequencies to which the elements of `rfft` belong.

    Examples
    --------
    >>> rfftfreq(4, 0.5)
    array([0. , 0.5, 1. ])
    """
    n = _positive("rfftfreq", n)
    return _frequencies(arange(n // 2 + 1), n, d, dtype, device)


def _positive(name: str, n: int) -> int:
    n = as_size(n)
    if n < 1:
        raise ValueError(f"fft.{name}: n must be a positive integer, got {n}")
    return n


def fftshift(x: Any, axes: int | Sequence[int] | None = None) -> Array:
    """Bring frequency zero to the middle of some axes, or of all.

    Examples
    --------
    >>> fftshift(fftfreq(5))
    array([-0.4, -0.2,  0. ,  0.2,  0.4])
    """
    x = asarray(x)
    where = _shifted(axes, x.ndim)
    return roll(x, tuple(x.shape[axis] // 2 for axis in where), where)


def ifftshift(x: Any, axes: int | Sequence[int] | None = None) -> Array:
    """The inverse of `fftshift`.

    Examples
    --------
    >>> ifftshift(np.array([-0.4, -0.2, 0.0, 0.2, 0.4]))
    array([ 0. ,  0.2,  0.4, -0.4, -0.2])
    """
    x = asarray(x)
    where = _shifted(axes, x.ndim)
    return roll(x, tuple(-(x.shape[axis] // 2) for axis in where), where)


def _shifted(axes: Any, ndim: int) -> tuple[int, ...]:
    """The axes to shift, each as often as it is named."""
    if axes is None:
        return tuple(range(ndim))
    named = axes if isinstance(axes, (tuple, list)) else (axes,)
    return tuple(canonicalize_axis(axis, ndim) for axis in named)


__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]
