"""Images of other sizes: against JAX, with derivatives, and at the edges."""

import numpy as np
import pytest

import fnad
from fnad import image
from fnad.testing import check_grads
from tests.samples.values import normal

METHODS = ["nearest", "linear", "bicubic", "lanczos3", "lanczos5"]
SHAPES = [
    ((7, 5), (7, 5)),
    ((7, 5), (14, 10)),
    ((7, 5), (3, 8)),
    ((2, 9, 6, 3), (2, 4, 13, 3)),
    ((1, 1), (3, 4)),
    ((5,), (1,)),
    ((4, 3), (0, 3)),
]


def jax_image():
    jax = pytest.importorskip("jax")
    return jax.image


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize(("shape", "new"), SHAPES)
@pytest.mark.parametrize("method", METHODS)
def test_resize_is_jax_s(method, shape, new, antialias):
    x = normal(*shape).astype(np.float32)
    want = jax_image().resize(x, new, method, antialias)
    found = image.resize(x, new, method, antialias)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, want, rtol=2e-5, atol=2e-5)
    compiled = fnad.jit(lambda x: image.resize(x, new, method, antialias))(x)
    np.testing.assert_allclose(compiled, found, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("method", METHODS[1:])
@pytest.mark.parametrize(
    ("scale", "translation"), [([2.0, 0.5], [1.0, -1.0]), ([0.3, 1.7], [0.25, 2.5])]
)
def test_scale_and_translate_is_jax_s(method, scale, translation):
    x = normal(2, 6, 9).astype(np.float32)
    scale, translation = np.float32(scale), np.float32(translation)
    arguments = x, (2, 8, 7), (1, 2), scale, translation, method
    want = jax_image().scale_and_translate(*arguments)
    np.testing.assert_allclose(image.scale_and_translate(*arguments), want, rtol=1e-4, atol=5e-5)


def test_linear_against_numpy_interp():
    x = normal(9)
    places = np.clip((np.arange(20) + 0.5) * 9 / 20 - 0.5, 0, 8)
    np.testing.assert_allclose(
        image.resize(x, (20,), "linear"), np.interp(places, np.arange(9), x), rtol=1e-12
    )


def test_halving_with_antialiasing_averages_a_constant_and_a_slope():
    ramp = np.arange(40.0)
    halved = image.resize(ramp, (20,), "lanczos3")
    np.testing.assert_allclose(halved[5:-5], np.arange(20)[5:-5] * 2 + 0.5, rtol=1e-12)


def test_places_in_wide_images_keep_their_digits():
    x = np.zeros(4_000, np.float32)
    x[3_901] = 1
    found = image.resize(x, (1_320,), "linear", antialias=False)
    place = (1_287 + 0.5) * 4_000 / 1_320 - 0.5
    assert found[1_287] == pytest.approx(1 - abs(place - 3_901), abs=1e-6)


@pytest.mark.parametrize("method", METHODS[1:])
def test_derivatives(method):
    x = normal(5, 6)
    check_grads(lambda x: image.resize(x, (8, 4), method), (x,), order=2)
    moved = lambda s, t: image.scale_and_translate(x, (7, 6), (0, 1), s, t, method)
    check_grads(moved, (np.array([1.37, 0.71]), np.array([0.13, 0.29])), order=1, modes=["rev"])


def test_maps_and_dtypes():
    x = normal(3, 6, 4)
    mapped = fnad.vmap(lambda x: image.resize(x, (3, 8), "cubic"))(x)
    np.testing.assert_allclose(mapped, image.resize(x, (3, 3, 8), "cubic"), rtol=1e-12)
    assert image.resize(np.uint8([[1, 2]]), (2, 4), "nearest").dtype == np.uint8
    assert image.resize(np.int64([[1, 2]]), (2, 4), "linear").dtype == np.float64
    assert image.resize(np.float16([[1, 2]]), (2, 4), "linear").dtype == np.float16
    z = normal(4, 3) + 1j * normal(4, 3)
    both = image.resize(z, (7, 3), "cubic")
    np.testing.assert_allclose(both.imag, image.resize(z.imag, (7, 3), "cubic"), rtol=1e-12)


def test_errors():
    x = normal(4, 3)
    with pytest.raises(ValueError, match="a size for each axis"):
        image.resize(x, (4,), "linear")
    with pytest.raises(ValueError, match="must be one of nearest"):
        image.resize(x, (4, 4), "quintic")
    with pytest.raises(ValueError, match="must keep its size 3"):
        image.scale_and_translate(x, (4, 4), (0,), np.ones(1), np.ones(1), "linear")
    with pytest.raises(ValueError, match="scale must have the shape"):
        image.scale_and_translate(x, (4, 3), (0,), np.ones(2), np.ones(1), "linear")
    with pytest.raises(ValueError, match="no method nearest"):
        image.scale_and_translate(x, (4, 3), (0,), np.ones(1), np.ones(1), "nearest")
