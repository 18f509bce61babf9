"""Initialisers: the variance they promise, and JAX's numbers for the same key."""

import numpy as np
import pytest

from fnad import random
from fnad.nn import initializers

KEY = random.key(3)
SHAPE = (3, 3, 20, 30)

MADE = {
    "uniform": (0.5,),
    "normal": (0.5,),
    "truncated_normal": (0.5,),
    "glorot_uniform": (),
    "glorot_normal": (),
    "lecun_uniform": (),
    "lecun_normal": (),
    "he_uniform": (),
    "he_normal": (),
    "constant": (0.5,),
    "orthogonal": (0.5,),
}
STDDEVS = {
    "uniform": 0.5 / np.sqrt(12),
    "normal": 0.5,
    "glorot_uniform": np.sqrt(2 / (180 + 270)),
    "glorot_normal": np.sqrt(2 / (180 + 270)),
    "lecun_uniform": np.sqrt(1 / 180),
    "lecun_normal": np.sqrt(1 / 180),
    "he_uniform": np.sqrt(2 / 180),
    "he_normal": np.sqrt(2 / 180),
}


@pytest.mark.parametrize("name", STDDEVS)
def test_standard_deviation(name):
    draw = getattr(initializers, name)(*MADE[name])(KEY, SHAPE)
    assert draw.shape == SHAPE
    assert draw.dtype == np.float32
    assert draw.std() == pytest.approx(STDDEVS[name], rel=0.03)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", MADE)
def test_dtype(name, dtype):
    assert getattr(initializers, name)(*MADE[name])(KEY, (4, 5), dtype).dtype == dtype
    made = getattr(initializers, name)(*MADE[name], dtype=dtype)
    assert made(KEY, (4, 5)).dtype == dtype


@pytest.mark.parametrize("name", MADE)
def test_jax_agrees(name):
    jax = pytest.importorskip("jax")
    expected = getattr(jax.nn.initializers, name)(*MADE[name])(jax.random.key(3), SHAPE, np.float32)
    found = getattr(initializers, name)(*MADE[name])(KEY, SHAPE)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (2, 3, 4), (3, 2, 2, 5), (4, 4)])
@pytest.mark.parametrize("column_axis", [-1, 0, 1])
def test_orthogonal_is_jax_s_and_orthogonal(shape, column_axis):
    jax = pytest.importorskip("jax")
    found = initializers.orthogonal(2.0, column_axis, np.float32)(KEY, shape)
    want = jax.nn.initializers.orthogonal(2.0, column_axis)(jax.random.key(3), shape)
    np.testing.assert_allclose(found, want, atol=2e-6)
    matrix = np.moveaxis(found, column_axis, 0).reshape(shape[column_axis], -1).astype(np.float64)
    gram = matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 2, 4), (3, 4, 2, 2), (1, 2, 3, 4, 5)])
def test_delta_orthogonal_is_jax_s(shape):
    jax = pytest.importorskip("jax")
    found = initializers.delta_orthogonal(1.5)(KEY, shape)
    want = jax.nn.initializers.delta_orthogonal(1.5)(jax.random.key(3), shape)
    np.testing.assert_allclose(found, want, atol=2e-6)


def test_zeros_ones_and_truncation():
    np.testing.assert_array_equal(initializers.zeros(KEY, (2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(initializers.ones(KEY, (2, 3)), np.ones((2, 3)))
    draw = initializers.truncated_normal(1.0, lower=-1.0, upper=0.5)(KEY, (10_000,))
    assert draw.min() >= -1
    assert draw.max() <= 0.5


def test_errors():
    with pytest.raises(ValueError, match="mode must be fan_in"):
        initializers.variance_scaling(1.0, "fan", "normal")
    with pytest.raises(ValueError, match="distribution must be"):
        initializers.variance_scaling(1.0, "fan_in", "cauchy")
    with pytest.raises(ValueError, match="at least two axes"):
        initializers.he_normal()(KEY, (3,))
    with pytest.raises(ValueError, match="at least two axes"):
        initializers.orthogonal()(KEY, (3,))
    with pytest.raises(ValueError, match="fewer of these than inputs"):
        initializers.delta_orthogonal()(KEY, (3, 5, 4))
