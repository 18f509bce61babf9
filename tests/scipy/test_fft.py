"""`fnad.scipy.fft` against `scipy.fft`."""

import numpy as np
import pytest
import scipy.fft

import fnad
import fnad.scipy.fft as fft
from fnad.testing import check_grads
from tests.samples.values import normal, normal_complex


def assert_close(actual, expected):
    assert actual.dtype == expected.dtype
    scale = np.abs(expected).max(initial=1.0)
    tolerance = 1e-6 if expected.real.itemsize == 4 else 1e-13
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("name", ["dct", "idct"])
@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
@pytest.mark.parametrize("type", [1, 2, 3, 4])
def test_one_axis(name, type, norm):
    x = normal(3, 6)
    ours, theirs = getattr(fft, name), getattr(scipy.fft, name)
    for options in [{}, {"axis": 0}, {"n": 9}, {"n": 2}, {"n": 3}]:
        options = {"type": type, "norm": norm, **options}
        assert_close(ours(x, **options), theirs(x, **options))
    if type > 1:
        assert_close(ours(x, type, 1, norm=norm), theirs(x, type, 1, norm=norm))


@pytest.mark.parametrize("name", ["dctn", "idctn"])
def test_several_axes(name):
    x = normal(3, 4, 5)
    ours, theirs = getattr(fft, name), getattr(scipy.fft, name)
    for options in [
        {},
        {"norm": "ortho", "axes": (0, 2)},
        {"s": (2, 7)},
        {"type": 3, "s": 4, "axes": 1},
        {"type": 1, "s": (3, -1), "axes": (2, 0)},
    ]:
        assert_close(ours(x, **options), theirs(x, **options))


@pytest.mark.parametrize("dtype", ["int32", "bool", "float32", "complex64", "complex128"])
def test_dtypes(dtype):
    x = (3 * normal_complex(6)).astype(dtype) if "c" in dtype else (3 * normal(6)).astype(dtype)
    assert_close(fft.dct(x), scipy.fft.dct(x))
    assert fft.dct(normal(4).astype(np.float16)).dtype == np.float32


@pytest.mark.parametrize("type", [1, 2, 3, 4])
def test_transformed(type):
    x = normal(3, 5)

    def f(x):
        return fft.dct(x, type, norm="ortho")

    assert_close(fnad.jit(f)(x), f(x))
    assert_close(fnad.jit(fnad.vmap(f))(x), scipy.fft.dct(x, type, norm="ortho"))
    check_grads(lambda x: (f(x) ** 3).sum(), (x,), order=2)


def test_bad_arguments_are_refused():
    x = normal(4)
    with pytest.raises(ValueError, match="there are types 1, 2, 3 and 4, got 5"):
        fft.dct(x, 5)
    with pytest.raises(ValueError, match=r"norm must be .* got 'unit'"):
        fft.idct(x, norm="unit")
    with pytest.raises(ValueError, match="dct of type 1 needs at least 2 points, got 1"):
        fft.dct(x, 1, 1)
    with pytest.raises(ValueError, match="dct of type 2 needs at least 1 points, got 0"):
        fft.dct(x[:0])
    with pytest.raises(ValueError, match="repeated axes"):
        fft.dctn(x, axes=(0, -1))
    with pytest.raises(ValueError, match="2 lengths"):
        fft.dctn(x, s=(3, 4), axes=(0,))
