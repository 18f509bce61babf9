"""Spectra of stretches of signals: short-time Fourier transforms and Welch's estimates."""

from __future__ import annotations

from collections.abc import Callable
from operator import index as as_int
from typing import Any, NamedTuple

import numpy as np

import fnad.numpy as fnp
from fnad.core.types import computing_dtype, kind_of
from fnad.numpy.operands import Array, convert, to_inexact
from fnad.primitives.complex_numbers import complex as complex_of
from fnad.primitives.shape import canonicalize_axis
from fnad.primitives.windows import fold, windows
from fnad.scipy.signal.detrending import detrend as without_trend

_BOUNDARIES = {"even": "reflect", "odd": "reflect", "constant": "edge", "zeros": "constant"}


class _Segments(NamedTuple):
    """How signals are cut into stretches, and what these are multiplied with."""

    window: Array
    length: int
    overlap: int
    points: int

    @property
    def step(self) -> int:
        return self.length - self.overlap


def _segments(
    name: str, window: Any, nperseg: Any, noverlap: Any, nfft: Any, available: int | None
) -> _Segments:
    if isinstance(window, (str, tuple)):
        from scipy.signal import get_window

        length = 256 if nperseg is None else as_int(nperseg)
        if length < 1:
            raise ValueError(f"{name}: nperseg must be positive, got {nperseg}")
        if available == 0:
            raise ValueError(f"{name}: the signal has no samples")
        length = length if available is None else min(length, available)
        values = get_window(window, length)
    else:
        values = fnp.asarray(window)
        if values.ndim != 1 or (available is not None and values.size > available):
            raise ValueError(
                f"{name}: the window must have one axis and be no longer than the signal, which"
                f" has {available} samples, got shape {values.shape}"
            )
        length = values.size
        if nperseg is not None and as_int(nperseg) != length:
            raise ValueError(f"{name}: {nperseg=} is not the length of the window, {length}")
    overlap = length // 2 if noverlap is None else as_int(noverlap)
    points = length if nfft is None else as_int(nfft)
    if points < length:
        raise ValueError(f"{name}: nfft must be at least nperseg = {length}, got {nfft}")
    if not 0 <= overlap < length:
        raise ValueError(f"{name}: noverlap must be less than nperseg = {length}, got {noverlap}")
    return _Segments(values, length, overlap, points)


def _signal(x: Any, axis: int) -> Array:
    """A signal along the last axis, in a dtype of which there are transforms."""
    x = to_inexact(fnp.asarray(x))
    return fnp.moveaxis(convert(x, computing_dtype(x.dtype)), axis, -1)


def _extended(name: str, x: Array, boundary: str | None, count: int) -> Array:
    """A signal with ``count`` more samples at either end."""
    if boundary is None:
        return x
    if boundary not in _BOUNDARIES:
        known = ", ".join(map(repr, _BOUNDARIES))
        raise ValueError(f"{name}: boundary must be None or one of {known}, got {boundary!r}")
    if boundary in ("even", "odd") and count >= x.shape[-1]:
        raise ValueError(
            f"{name}: {x.shape[-1]} samples cannot be extended by {count} mirrored ones; shorten"
            " nperseg"
        )
    widths = [(0, 0)] * (x.ndim - 1) + [(count, count)]
    out = fnp.pad(x, widths, _BOUNDARIES[boundary])
    if boundary != "odd" or not count:
        return out
    before = 2 * x[..., :1] - out[..., :count]
    behind = 2 * x[..., -1:] - out[..., -count:]
    return fnp.concatenate([before, x, behind], -1)


def _padded(x: Array, s: _Segments) -> Array:
    """A signal with zeros behind it, so that the last stretch ends where it does."""
    missing = (-(x.shape[-1] - s.length) % s.step) % s.length
    return fnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)])


def _detrended(detrend: Any) -> Callable[[Array], Array]:
    if not detrend:
        return lambda x: x
    return detrend if callable(detrend) else lambda x: without_trend(x, type=detrend)


def _spectra(x: Array, s: _Segments, window: Array, detrend: Any, onesided: bool) -> Array:
    """The transforms of all stretches, ``(..., stretches, frequencies)``."""
    stretches = _detrended(detrend)(windows(x, (s.length,), (s.step,)))
    stretches = stretches * window
    return (fnp.fft.rfft if onesided else fnp.fft.fft)(stretches, s.points)


def _axes_of_results(s: _Segments, n: int, fs: Array, onesided: bool) -> tuple[Array, Array]:
    """The frequencies, and the times in the middle of stretches."""
    frequencies = (fnp.fft.rfftfreq if onesided else fnp.fft.fftfreq)(s.points)
    first = s.length / 2
    return frequencies * fs, np.arange(first, n - first + 1, s.step) / fs


def _scale(scaling: str, window: Array, fs: Array) -> Array:
    """What squared moduli are multiplied with."""
    fs = convert(fs, window.dtype)
    if scaling == "density":
        return 1 / (fs * fnp.sum(window * window))
    if scaling == "spectrum":
        return 1 / fnp.sum(window) ** 2
    raise ValueError(f"scaling must be 'density' or 'spectrum', got {scaling!r}")


def stft(
    x: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = 256,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = False,
    return_onesided: bool = True,
    boundary: str | None = "zeros",
    padded: bool = True,
    axis: int = -1,
    scaling: str = "spectrum",
) -> tuple[Array, Array, Array]:
    """The short-time Fourier transform: spectra of overlapping stretches of a signal.

    Parameters
    ----------
    x : array_like
        Real or complex signals.
    fs : scalar
        Samples per unit of time.
    window : str, tuple or array_like
        What a stretch is multiplied with: a name that `scipy.signal.get_window` knows, or numbers.
    nperseg : int
        The length of a stretch; that of the signal, if this is shorter.
    noverlap : int, optional
        How many samples neighbours share, by default half of them.
    nfft : int, optional
        The length of the transforms, if stretches are to be padded with zeros.
    detrend : {False, "linear", "constant"} or callable
        What is subtracted from each stretch.
    return_onesided : bool
        Whether to leave out the frequencies below zero of real signals.
    boundary : {"zeros", "even", "odd", "constant", None}
        How half of a stretch is put before the signal, and behind it.
    padded : bool
        Whether zeros are put behind it, so that all of it is in a stretch.
    axis : int
        The axis along which the signals lie.
    scaling : {"spectrum", "psd"}
        Whether squared moduli are a spectrum or its density.

    Returns
    -------
    frequencies, times : array
    spectra : array
        Complex, with frequencies along ``axis`` and times along an axis behind all others.

    Raises
    ------
    ValueError
        If lengths do not go together, or an option is unknown.

    Examples
    --------
    >>> f, t, z = stft(np.ones(8), nperseg=4)
    >>> z.shape, abs(z[0])
    ((3, 5), array([0.75, 1.  , 1.  , 1.  , 0.25]))
    """
    x, n_axes = _signal(x, axis), np.ndim(x)
    axis = canonicalize_axis(axis, n_axes)
    s = _segments("stft", window, nperseg, noverlap, nfft, x.shape[-1])
    kind = {"spectrum": "spectrum", "psd": "density"}.get(scaling)
    if kind is None:
        raise ValueError(f"stft: scaling must be 'spectrum' or 'psd', got {scaling!r}")
    dtype = x.real.dtype
    values, fs = fnp.asarray(s.window, dtype), fnp.asarray(fs, np.float64)
    x = _extended("stft", x, boundary, s.length // 2)
    x = _padded(x, s) if padded else x
    onesided = return_onesided and kind_of(x.dtype) != "c"
    out = _spectra(x, s, values, detrend, onesided) * fnp.sqrt(_scale(kind, values, fs))
    frequencies, times = _axes_of_results(s, x.shape[-1], fs, onesided)
    if boundary is not None:
        times = times - s.length / 2 / fs
    return frequencies, times, fnp.moveaxis(out, -1, axis)


def istft(
    Zxx: Any,  # noqa: N803
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    input_onesided: bool = True,
    boundary: bool = True,
    time_axis: int = -1,
    freq_axis: int = -2,
    scaling: str = "spectrum",
) -> tuple[Array, Array]:
    """The inverse of `stft`: the signal whose spectra come closest, by overlapping and adding.

    Parameters
    ----------
    Zxx : array_like
        Spectra, ``(..., frequencies, times)`` unless the axes say otherwise.
    fs, window, nperseg, noverlap, nfft, scaling
        As they were given to `stft`; an odd nfft must be.
    input_onesided : bool
        Whether there are no frequencies below zero.
    boundary : bool
        Whether the signal was extended; what was added is removed.
    time_axis, freq_axis : int
        Where times and frequencies lie.

    Returns
    -------
    times : array
    signal : array
        Real if ``input_onesided``.

    Raises
    ------
    ValueError
        If lengths do not go together, or an option is unknown.

    References
    ----------
    Griffin and Lim (1984), "Signal estimation from modified short-time Fourier transform".

    Examples
    --------
    >>> x = np.arange(8.0)
    >>> t, y = istft(stft(x, nperseg=4)[2])
    >>> y.round(6)
    array([0., 1., 2., 3., 4., 5., 6., 7.])
    """
    z = fnp.asarray(Zxx)
    time, frequency = (canonicalize_axis(a, z.ndim) for a in (time_axis, freq_axis))
    if time == frequency:
        raise ValueError(f"istft: time_axis and freq_axis must be two axes, got {time} for both")
    z = fnp.moveaxis(z, (time, frequency), (-2, -1))
    default = 2 * (z.shape[-1] - 1) if input_onesided else z.shape[-1]
    length = default if nperseg is None else as_int(nperseg)
    if nfft is None:  # of an odd length, only the length of the stretches tells
        points = length if input_onesided and length == default + 1 else default
    else:
        points = as_int(nfft)
    named = isinstance(window, (str, tuple))
    s = _segments("istft", window, length if named else nperseg, noverlap, points, None)
    wide = np.result_type(computing_dtype(z.real.dtype), np.float32)
    dtype = wide if kind_of(z.dtype) in "fc" else np.dtype(np.float64)
    values, fs = fnp.asarray(s.window, dtype), fnp.asarray(fs, np.float64)
    if scaling not in ("spectrum", "psd"):
        raise ValueError(f"istft: scaling must be 'spectrum' or 'psd', got {scaling!r}")
    kind = "spectrum" if scaling == "spectrum" else "density"
    scale = fnp.sqrt(_scale(kind, values, fs))
    stretches = (fnp.fft.irfft if input_onesided else fnp.fft.ifft)(z, points)[..., : s.length]
    stretches = stretches * (values / scale)
    count = z.shape[-2]
    n = s.length + (count - 1) * s.step
    out = fold(stretches, (n,), (s.step,), (1,))
    weights = fold(fnp.broadcast_to(values * values, (count, s.length)), (n,), (s.step,), (1,))
    half = s.length // 2
    kept = slice(half, n - half) if boundary else slice(0, n)
    out, weights = out[..., kept], weights[kept]
    out = out / fnp.where(weights > 1e-10, weights, 1)
    times = np.arange(out.shape[-1]) / fs
    # The axes that are left stand in the order in which they stood, times in their place.
    return times, fnp.moveaxis(out, -1, time - (frequency < time))


def csd(
    x: Any,
    y: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Array, Array]:
    """The cross spectral density of two signals, by Welch's method.

    Parameters
    ----------
    x, y : array_like
        The signals; the shorter one is continued by zeros. None for ``y`` means ``x``.
    fs, window, nperseg, noverlap, nfft, detrend, return_onesided, axis
        As in `stft`, ``nperseg`` being 256 by default.
    scaling : {"density", "spectrum"}
        Whether the result is per unit of frequency.
    average : {"mean", "median"}
        How stretches are averaged; a median is divided by its bias.

    Returns
    -------
    frequencies : array
    density : array
        Complex, with frequencies along ``axis``; real for one signal.

    Raises
    ------
    ValueError
        If lengths do not go together, or an option is unknown.

    References
    ----------
    Welch (1967), "The use of fast Fourier transform for the estimation of power spectra".

    Examples
    --------
    >>> f, density = csd(np.array([1.0, -1.0] * 4), np.array([2.0, -2.0] * 4), nperseg=4)
    >>> density.round(3) + 0
    array([0.   +0.j, 2.667+0.j, 5.333+0.j])
    """
    same = y is None or y is x
    axis = canonicalize_axis(axis, np.ndim(x))
    x, y = _common(_signal(x, axis), None if same else _signal(y, axis))
    s = _segments("csd", window, nperseg, noverlap, nfft, x.shape[-1])
    if average not in ("mean", "median"):
        raise ValueError(f"csd: average must be 'mean' or 'median', got {average!r}")
    dtype = x.real.dtype
    values, fs = fnp.asarray(s.window, dtype), fnp.asarray(fs, np.float64)
    onesided = return_onesided and kind_of(x.dtype) != "c"
    z = _spectra(x, s, values, detrend, onesided)
    if same:
        out = fnp.real(z) ** 2 + fnp.imag(z) ** 2
    else:
        out = fnp.conj(z) * _spectra(y, s, values, detrend, onesided)
    out = out * _scale(scaling, values, fs)
    if onesided:  # what is below zero is as much again
        twice = np.full(s.points // 2 + 1, 2.0, dtype)
        twice[[0] if s.points % 2 else [0, -1]] = 1.0
        out = out * twice
    out = out[..., 0, :] if out.shape[-2] == 1 else _averaged(out, average)
    frequencies, _ = _axes_of_results(s, x.shape[-1], fs, onesided)
    return frequencies, fnp.moveaxis(out, -1, axis)


def _common(x: Array, y: Array | None) -> tuple[Array, Array]:
    """Two signals in one dtype, of one shape but for broadcasting."""
    if y is None:
        return x, x
    dtype, n = fnp.result_type(x, y), max(x.shape[-1], y.shape[-1])
    x, y = (
        fnp.pad(convert(z, dtype), [(0, 0)] * (z.ndim - 1) + [(0, n - z.shape[-1])]) for z in (x, y)
    )
    return x, y


def _averaged(spectra: Array, average: str) -> Array:
    if average == "mean":
        return fnp.mean(spectra, -2)
    count = spectra.shape[-2]
    even = 2 * np.arange(1.0, (count - 1) // 2 + 1)
    bias = float(1 + np.sum(1 / (even + 1) - 1 / even))  # of squares of normal numbers
    if kind_of(spectra.dtype) != "c":
        return fnp.median(spectra, -2) / bias
    medians = [fnp.median(part, -2) / bias for part in (fnp.real(spectra), fnp.imag(spectra))]
    return complex_of(*medians)


def welch(
    x: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Array, Array]:
    """The power spectral density of a signal, by Welch's method: `csd` of it with itself.

    Examples
    --------
    >>> f, density = welch(np.array([1.0, -1.0] * 4), nperseg=4)
    >>> f, density.round(3)
    (array([0.  , 0.25, 0.5 ]), array([0.   , 1.333, 2.667]))
    """
    return csd(
        x,
        None,
        fs,
        window,
        nperseg,
        noverlap,
        nfft,
        detrend,
        return_onesided,
        scaling,
        axis,
        average,
    )
