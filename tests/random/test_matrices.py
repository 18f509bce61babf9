"""Multivariate normal vectors and orthogonal matrices."""

import numpy as np
import pytest
from scipy import stats

import fnad
from fnad import random

KEY = random.PRNGKey(42)
MEAN = np.array([1.0, -2.0, 0.5])
COV = np.array([[2.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 0.5]])
# Made with JAX 0.10.2, in float32, by the calls of test_recorded_values_of_jax.
NORMAL = [
    [0.9599712491035461, -1.5890027284622192, 0.8311526775360107],
    [1.2171467542648315, -2.0471725463867188, 0.5564861297607422],
]
ORTHOGONAL = [[-0.09528422355651855, 0.9954500794410706], [0.9954500794410706, 0.09528429061174393]]
METHODS = ["cholesky", "eigh", "svd"]


def test_recorded_values_of_jax():
    got = random.multivariate_normal(KEY, MEAN.astype(np.float32), COV.astype(np.float32), (2,))
    np.testing.assert_allclose(got, NORMAL, rtol=1e-5)
    np.testing.assert_allclose(random.orthogonal(KEY, 2), ORTHOGONAL, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_multivariate_normal_matches_jax(dtype):
    jax = pytest.importorskip("jax")
    mean, cov = MEAN.astype(dtype), COV.astype(dtype)
    with jax.enable_x64(dtype == np.float64):
        key = jax.random.PRNGKey(42)
        want = np.asarray(jax.random.multivariate_normal(key, mean, cov, (50,)))
    got = random.multivariate_normal(KEY, mean, cov, (50,))
    assert got.dtype == dtype
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_moments_of_multivariate_normal(method):
    draws = random.multivariate_normal(KEY, MEAN, COV, (20000,), method=method)
    assert draws.dtype == np.float64
    np.testing.assert_allclose(draws.mean(0), MEAN, atol=0.03)
    np.testing.assert_allclose(np.cov(draws.T), COV, atol=0.04)


@pytest.mark.parametrize("method", ["eigh", "svd"])
def test_singular_covariance(method):
    draws = random.multivariate_normal(KEY, np.zeros(2), np.ones((2, 2)), (100,), method=method)
    np.testing.assert_allclose(draws[:, 0], draws[:, 1], atol=1e-7)


def test_shapes_of_multivariate_normal():
    means = np.zeros((4, 1, 3))
    covs = np.broadcast_to(COV, (2, 3, 3))
    assert random.multivariate_normal(KEY, means, covs).shape == (4, 2, 3)
    assert random.multivariate_normal(KEY, means, covs, (5, 4, 2)).shape == (5, 4, 2, 3)
    assert random.multivariate_normal(KEY, means, covs, dtype=np.float32).dtype == np.float32


def test_transforms_of_multivariate_normal():
    sample = lambda key, mean: random.multivariate_normal(key, mean, COV)
    keys, means = random.split(KEY, 3), np.arange(9.0).reshape(3, 3)
    batch = fnad.jit(fnad.vmap(sample))(keys, means)
    for i in range(3):
        np.testing.assert_allclose(batch[i], sample(keys[i], means[i]), rtol=1e-12)
    loss = lambda scale: random.multivariate_normal(KEY, MEAN, scale * COV).sum()
    np.testing.assert_allclose(
        fnad.grad(loss)(1.5), (loss(1.5 + 1e-5) - loss(1.5 - 1e-5)) / 2e-5, rtol=1e-7
    )


@pytest.mark.parametrize(("n", "m"), [(3, None), (4, 2), (2, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_orthogonal(n, m, dtype):
    q = random.orthogonal(KEY, n, (6,), dtype, m)
    assert q.shape == (6, n, m or n)
    assert q.dtype == dtype
    short = q if n >= (m or n) else np.swapaxes(q, -1, -2)
    eye = np.broadcast_to(np.eye(short.shape[-1]), (6, *2 * short.shape[-1:]))
    product = np.swapaxes(short, -1, -2).conj() @ short
    np.testing.assert_allclose(product, eye, atol=10 * np.finfo(dtype).eps)
    compiled = fnad.jit(lambda key: random.orthogonal(key, n, (6,), dtype, m))(KEY)
    np.testing.assert_allclose(compiled, q, atol=20 * np.finfo(dtype).eps)
    if dtype != np.float64:
        jax = pytest.importorskip("jax")
        want = jax.random.orthogonal(jax.random.PRNGKey(42), n, (6,), dtype, m)
        np.testing.assert_allclose(q, np.asarray(want), atol=2e-5)


def test_unitary_matrices_have_uniform_phases():
    q = random.orthogonal(KEY, 2, (1000,), np.complex128)
    assert stats.kstest(np.angle(np.linalg.det(q)), stats.uniform(-np.pi, 2 * np.pi).cdf)[1] > 1e-3
    assert stats.kstest(np.abs(q[:, 0, 1]) ** 2, stats.uniform.cdf)[1] > 1e-3


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: random.multivariate_normal(KEY, MEAN, COV[:2, :2]), ValueError, r"\(..., n, n\)"),
        (lambda: random.multivariate_normal(KEY, 1.0, COV), ValueError, r"\(..., n, n\)"),
        (lambda: random.multivariate_normal(KEY, MEAN, COV, method="qr"), ValueError, "got 'qr'"),
        (
            lambda: random.multivariate_normal(KEY, np.zeros((2, 3)), COV, (3,)),
            ValueError,
            r"do not broadcast to \(3,\)",
        ),
        (lambda: random.orthogonal(KEY, 2, dtype=np.float16), TypeError, "float32, float64"),
    ],
)
def test_errors_say_what_to_do(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
