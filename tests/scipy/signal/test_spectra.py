"""Trends and spectra against SciPy's."""

import numpy as np
import pytest
import scipy.signal

import fnad
import fnad.scipy.signal as signal
from fnad.testing import check_grads
from tests.samples.values import normal, normal_complex

X, Y = normal(3, 50, 2), normal(3, 44, 2, seed=1)
SIGNALS = {
    "real": X,
    "complex": normal_complex(3, 50, 2),
    "single": X.astype(np.float32),
    "integers": (9 * X).astype(int),
}


def assert_close(actual, expected):
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    tolerance = 2e-5 if expected.real.itemsize == 4 else 1e-12
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", SIGNALS)
@pytest.mark.parametrize(
    "options",
    [{}, {"axis": 0}, {"bp": [7, 30]}, {"bp": 5}, {"bp": [1]}, {"type": "constant", "axis": 2}],
    ids=str,
)
def test_detrend(kind, options):
    options = {"axis": 1, **options}
    if options["axis"] == 0:
        options["bp"] = 2
    x = SIGNALS[kind]
    assert_close(signal.detrend(x, **options), scipy.signal.detrend(x, **options))


STFT = [
    {},
    {"nperseg": 8},
    {"nperseg": 9, "noverlap": 3},
    {"nperseg": 8, "nfft": 13},
    {"nperseg": 8, "boundary": None},
    {"nperseg": 8, "boundary": "even"},
    {"nperseg": 8, "boundary": "odd", "padded": False},
    {"nperseg": 9, "boundary": "constant", "fs": 4.0},
    {"nperseg": 8, "detrend": "linear"},
    {"nperseg": 8, "return_onesided": False},
    {"nperseg": 8, "window": ("kaiser", 3.0)},
    {"window": np.arange(1.0, 9), "nperseg": None},
    {"nperseg": 8, "scaling": "psd", "fs": 3.0},
]


@pytest.mark.filterwarnings("ignore:nperseg", "ignore:Input data is complex")
@pytest.mark.parametrize("kind", SIGNALS)
@pytest.mark.parametrize("options", STFT, ids=str)
def test_stft(kind, options):
    x = SIGNALS[kind]
    ours, theirs = (f(x, axis=1, **options) for f in (signal.stft, scipy.signal.stft))
    for found, expected in zip(ours, theirs, strict=True):
        assert_close(found, expected)


@pytest.mark.filterwarnings("ignore:nperseg", "ignore:Input data is complex")
@pytest.mark.parametrize("kind", ["real", "complex", "integers"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nperseg": 8},
        {"nperseg": 9, "noverlap": 3},
        {"nperseg": 8, "nfft": 13},
        {"nperseg": 8, "scaling": "spectrum"},
        {"nperseg": 8, "average": "median"},
        {"nperseg": 8, "return_onesided": False, "fs": 2.0},
        {"nperseg": 8, "detrend": False},
    ],
    ids=str,
)
def test_welch_and_csd(kind, options):
    x = SIGNALS[kind]
    for found, expected in zip(
        (*signal.welch(x, axis=1, **options), *signal.csd(x, Y, axis=1, **options)),
        (*scipy.signal.welch(x, axis=1, **options), *scipy.signal.csd(x, Y, axis=1, **options)),
        strict=True,
    ):
        assert_close(found, expected)


@pytest.mark.filterwarnings("ignore:NOLA")
@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize(
    "options",
    [
        {"nperseg": 8},
        {"nperseg": 9},
        {"nperseg": 8, "nfft": 13},
        {"nperseg": 8, "nfft": 12, "noverlap": 6},
        {"nperseg": 8, "scaling": "psd", "fs": 3.0},
        {"nperseg": 8, "window": ("kaiser", 3.0)},
    ],
    ids=str,
)
def test_istft(kind, options):
    onesided = kind == "real"
    x = SIGNALS[kind]
    z = scipy.signal.stft(x, axis=1, return_onesided=onesided, **options)[2]
    for boundary in (True, False):
        given = {"input_onesided": onesided, "boundary": boundary, "freq_axis": 1, **options}
        times, found = signal.istft(z, **given)
        # SciPy gives as many times as the first axis is long.
        assert_close(found, scipy.signal.istft(z, **given)[1])
        assert_close(times, np.arange(found.shape[-1]) / options.get("fs", 1.0))
        moved = {**given, "time_axis": 0, "freq_axis": 2}
        expected = scipy.signal.istft(np.moveaxis(z, -1, 0), **moved)[1]
        assert_close(signal.istft(np.moveaxis(z, -1, 0), **moved)[1], expected)


def test_there_and_back():
    x = SIGNALS["single"]
    z = signal.stft(x, nperseg=10, axis=1)[2]
    assert_close(signal.istft(z, nperseg=10, freq_axis=1)[1][..., :50], np.moveaxis(x, 1, -1))


def test_transformed():
    x = normal(2, 40)

    def power(x):
        return signal.welch(x, nperseg=8)[1]

    def there_and_back(x):
        return signal.istft(signal.stft(x, nperseg=8)[2] * 2, nperseg=8)[1]

    for f in (power, there_and_back, signal.detrend):
        rows = np.stack([f(row) for row in x])
        np.testing.assert_allclose(fnad.vmap(f)(x), rows, atol=1e-13)
        np.testing.assert_allclose(fnad.jit(f)(x), rows, atol=1e-13)
        check_grads(lambda x: (f(x) ** 2).sum(), (x[0],), order=1)  # noqa: B023
    frequencies = fnad.jit(lambda fs: signal.stft(x, fs, nperseg=8)[0])(2.0)
    np.testing.assert_allclose(frequencies, np.arange(5) / 4)


def test_bad_arguments_are_refused():
    x = normal(30)
    with pytest.raises(ValueError, match="noverlap must be less than nperseg = 8, got 8"):
        signal.stft(x, nperseg=8, noverlap=8)
    with pytest.raises(ValueError, match="the signal has no samples"):
        signal.welch(x[:0])
    with pytest.raises(ValueError, match="nfft must be at least nperseg = 8, got 4"):
        signal.welch(x, nperseg=8, nfft=4)
    with pytest.raises(ValueError, match="boundary must be None or one of 'even'"):
        signal.stft(x, nperseg=8, boundary="wrap")
    with pytest.raises(ValueError, match="no longer than the signal, which has 30 samples"):
        signal.csd(x, x, window=np.ones(31))
    with pytest.raises(ValueError, match="scaling must be 'density' or 'spectrum', got 'psd'"):
        signal.welch(x, scaling="psd")
    with pytest.raises(ValueError, match="average must be 'mean' or 'median'"):
        signal.welch(x, average="mode")
    with pytest.raises(ValueError, match="breakpoints must lie between 0 and 30"):
        signal.detrend(x, bp=31)
    with pytest.raises(ValueError, match="type must be 'linear' or 'constant'"):
        signal.detrend(x, type="cubic")
    with pytest.raises(
        ValueError, match="time_axis and freq_axis must be two axes, got 1 for both"
    ):
        signal.istft(np.ones((5, 6)), freq_axis=1)
