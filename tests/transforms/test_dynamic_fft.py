"""``jit(f, dynamic=...)`` of Fourier transforms along axes of any length, and of what finds places
in an axis of any length."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import scipy.linalg

import fnad
import fnad.numpy as fnp
import fnad.scipy.linalg as linalg
from fnad.testing import check_grads

# Powers of two, other products, primes, one behind a large product.
LENGTHS = (5, 2, 3, 4, 12, 31, 64, 97, 100, 1009, 4096)
rng = np.random.default_rng(0)


def array(*shape, dtype="f8"):
    return rng.standard_normal(shape).astype(dtype)


def numbers(*shape, dtype="f8"):
    real, imag = array(*shape, dtype=dtype), array(*shape, dtype=dtype)
    return real + 1j * imag


TRANSFORMS = {
    "fft of rows": ("fft", {}, "_ n", lambda n, d: numbers(3, n, dtype=d)),
    "fft of columns": ("fft", {"axis": 0}, "n _", lambda n, d: numbers(n, 3, dtype=d)),
    "ifft": ("ifft", {}, "n", lambda n, d: numbers(n, dtype=d)),
    "ortho": ("fft", {"norm": "ortho"}, "n", lambda n, d: numbers(n, dtype=d)),
    "rfft in the middle": ("rfft", {"axis": 1}, "_ n m", lambda n, d: array(2, n, 3, dtype=d)),
    "irfft": ("irfft", {}, "n", lambda n, d: numbers(n, dtype=d)),
    "fft2": ("fft2", {}, "m n", lambda n, d: numbers(n + 1, n, dtype=d)),
    "rfft2": ("rfft2", {}, "n m", lambda n, d: array(n, n + 1, dtype=d)),
    "one axis of a fixed length": ("rfft2", {}, "n _", lambda n, d: array(n, 6, dtype=d)),
    "the last of a fixed length": ("irfft2", {}, "n _", lambda n, d: numbers(n, 4, dtype=d)),
}


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("case", TRANSFORMS)
def test_transforms_of_any_length(case, dtype):
    name, options, dynamic, make = TRANSFORMS[case]
    compiled = fnad.jit(lambda x: getattr(fnp.fft, name)(x, **options), dynamic=dynamic)
    for n in LENGTHS[:-3] if case in ("fft2", "rfft2") else LENGTHS:
        x = make(n, dtype)
        expected = getattr(scipy.fft, name)(x, **options)  # in single precision, too
        found = compiled(x)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        tolerance = (2e-6 if dtype == "f4" else 4e-15) * abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance, err_msg=f"n={n}")
    # Transforms of a fixed length are made of other passes where there are few of them.
    assert compiled.num_programs <= (2 if "fixed length" in case else 1)


def test_lengths_in_terms_of_names():
    compiled = fnad.jit(lambda x: fnp.fft.irfft(x, n=2 * x.shape[0] - 1), dynamic="n")
    padded = fnad.jit(lambda x: fnp.fft.rfft(x, n=2 * x.shape[0]), dynamic="n")
    frequencies = fnad.jit(lambda x: fnp.fft.fftshift(fnp.fft.fftfreq(x.size, 0.5)), dynamic="n")
    for n in (4, 2, 7, 33):
        x = numbers(n)
        np.testing.assert_allclose(compiled(x), np.fft.irfft(x, n=2 * n - 1), atol=1e-14)
        np.testing.assert_allclose(padded(x.real), np.fft.rfft(x.real, n=2 * n), atol=1e-13)
        np.testing.assert_allclose(frequencies(x), np.fft.fftshift(np.fft.fftfreq(n, 0.5)))
    assert compiled.num_programs == padded.num_programs == frequencies.num_programs == 1


def test_transforms_of_nothing_are_errors():
    compiled = fnad.jit(fnp.fft.fft, dynamic="n")
    compiled(numbers(3))
    with pytest.raises(ValueError, match="invalid number of data points"):
        compiled(numbers(0))


def powers(x):
    return fnp.sum(fnp.abs(fnp.fft.rfft(x)) ** 3) + fnp.sum(fnp.fft.irfft(x * (1 + 2j)) ** 2)


@pytest.mark.parametrize("n", [2, 3, 8, 13])
def test_derivatives(n):
    check_grads(fnad.jit(powers, dynamic="n"), (array(n),), rtol=1e-5)


def test_transforms_of_gradients_and_batches():
    gradient = fnad.jit(fnad.grad(powers), dynamic="n")
    mapped = fnad.jit(fnad.vmap(fnp.fft.fft), dynamic="b n")
    for n in (4, 5, 16, 37):
        x = array(n)
        step = 1e-6 * np.eye(n)
        expected = [(powers(x + e) - powers(x - e)) / 2e-6 for e in step]
        np.testing.assert_allclose(gradient(x), expected, rtol=1e-6)
        rows = numbers(n + 2, n)
        np.testing.assert_allclose(mapped(rows), np.fft.fft(rows), atol=1e-13)
    assert gradient.num_programs == mapped.num_programs == 1


# -- places in an axis --------------------------------------------------------------------

PLACES = {
    "toeplitz": (linalg.toeplitz, scipy.linalg.toeplitz),
    "hankel": (linalg.hankel, scipy.linalg.hankel),
    "circulant": (linalg.circulant, scipy.linalg.circulant),
    "edge": (lambda x: fnp.pad(x, (2, 1), "edge"), lambda x: np.pad(x, (2, 1), "edge")),
    "wrap": (lambda x: fnp.pad(x, (5, 1), "wrap"), lambda x: np.pad(x, (5, 1), "wrap")),
    "reflect": (lambda x: fnp.pad(x, (5, 2), "reflect"), lambda x: np.pad(x, (5, 2), "reflect")),
    "odd reflection": (
        lambda x: fnp.pad(x, (5, 2), "reflect", reflect_type="odd"),
        lambda x: np.pad(x, (5, 2), "reflect", reflect_type="odd"),
    ),
    "symmetric": (lambda x: fnp.pad(x, 4, "symmetric"), lambda x: np.pad(x, 4, "symmetric")),
    "array_split": (lambda x: fnp.array_split(x, 5), lambda x: np.array_split(x, 5)),
    "nonzero": (
        lambda x: fnp.nonzero(x > 0, size=x.size, fill_value=-1)[0],
        lambda x: np.pad(np.flatnonzero(x > 0), (0, (x <= 0).sum()), constant_values=-1),
    ),
}


@pytest.mark.parametrize("name", PLACES)
def test_places_in_an_axis(name):
    function, reference = PLACES[name]
    compiled = fnad.jit(function, dynamic="n")
    for n in (6, 2, 3, 4, 5, 8, 19, 64):
        x = array(n)
        found, expected = fnad.tree.leaves(compiled(x)), reference(x)
        expected = expected if isinstance(expected, list) else [expected]
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-14, atol=1e-14, err_msg=f"n={n}")
    assert compiled.num_programs == 1


def test_images_of_any_size():
    compiled = fnad.jit(lambda x: fnad.image.resize(x, (4, 5), "linear"), dynamic="n m")
    for n in (3, 2, 9, 20):
        x = array(n, n + 1)
        np.testing.assert_allclose(
            compiled(x), fnad.image.resize(x, (4, 5), "linear"), rtol=1e-12, atol=1e-13
        )
    ramp = np.broadcast_to(np.arange(12.0) + 0.5, (8, 12))  # whose averages are known
    np.testing.assert_allclose(
        fnad.jit(lambda x: fnad.image.resize(x, (4, 24), "linear"), dynamic="n m")(ramp)[:, 1:-1],
        np.broadcast_to(np.arange(1, 23) / 2 + 0.25, (4, 22)),
        rtol=1e-12,
    )
    assert compiled.num_programs == 1
