"""Signals: convolution, trends and spectra, under the names of `scipy.signal`."""

from fnad.scipy.signal.convolution import (
    convolve,
    convolve2d,
    correlate,
    correlate2d,
    fftconvolve,
)
from fnad.scipy.signal.detrending import detrend
from fnad.scipy.signal.spectra import csd, istft, stft, welch

__all__ = [
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "csd",
    "detrend",
    "fftconvolve",
    "istft",
    "stft",
    "welch",
]
