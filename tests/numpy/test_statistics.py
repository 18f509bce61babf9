"""Covariances, weighted means and the array API's running sums against NumPy and JAX."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads
from tests.numpy.helpers import assert_same

RANDOM = np.random.default_rng(0)
F = RANDOM.normal(size=(3, 8))
Y = RANDOM.normal(size=8)
N = RANDOM.integers(1, 4, 8)
W = RANDOM.uniform(0.5, 2, 8)


@pytest.mark.parametrize(
    "options",
    [
        {}, {"y": Y}, {"bias": True}, {"ddof": 2}, {"fweights": N}, {"aweights": W},
        {"fweights": N, "aweights": W, "y": F}, {"aweights": W, "ddof": 0},
        {"dtype": np.float32},
    ],
    ids=lambda o: "-".join(o) or "plain",
)  # fmt: skip
def test_cov(options):
    expected = np.cov(F, **options)
    assert_same(fnp.cov(F, **options), expected)
    assert_same(fnad.jit(lambda x: fnp.cov(x, **options))(F), expected)


@pytest.mark.parametrize("name", ["cov", "corrcoef"])
@pytest.mark.parametrize("x", [F.astype(np.float32), N, F[:1], F[:, :2]], ids=lambda x: x.shape)
def test_shapes_and_dtypes(name, x):
    expected = getattr(np, name)(x)
    actual = getattr(fnp, name)(x)
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    by_columns = getattr(fnp, name)(x.T, rowvar=False)
    np.testing.assert_allclose(by_columns, getattr(np, name)(x.T, rowvar=False), rtol=1e-12)


def test_derivatives_and_batches_of_covariances():
    check_grads(fnp.cov, (F,), order=2)
    check_grads(lambda x, w: fnp.cov(x, aweights=w), (F, W), order=1)
    check_grads(lambda x: fnp.corrcoef(x)[0, 1:], (F,), order=1)
    stack = np.stack([F, F**2])
    batched = fnad.jit(fnad.vmap(fnp.corrcoef))(stack)
    np.testing.assert_allclose(batched, [np.corrcoef(x) for x in stack], rtol=1e-12)


def test_what_has_no_covariance():
    with pytest.raises(ValueError, match="two axes, got shape"):
        fnp.cov(F[None])
    with pytest.raises(TypeError, match="fweights count observations"):
        fnp.cov(F, fweights=W)
    with pytest.raises(ValueError, match="for 8 observations"):
        fnp.cov(F, aweights=W[:3])


@pytest.mark.parametrize("weights", [None, W, N], ids=["none", "float", "int"])
def test_average_and_its_weight(weights):
    expected = np.average(F, 1, weights, returned=True)
    for a, b in zip(fnp.average(F, 1, weights, returned=True), expected, strict=True):
        assert_same(a, b)


@pytest.mark.parametrize("include_initial", [False, True])
@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
def test_running_sums_of_the_array_api(name, include_initial):
    for x, axis in [(N, None), (F, 0), (F, -1), (N.astype(np.uint8), 0), (F[:0], 0)]:
        expected = getattr(np, name)(x, axis=axis, include_initial=include_initial)
        assert_same(getattr(fnp, name)(x, axis=axis, include_initial=include_initial), expected)
    with pytest.raises(ValueError, match="needs axis="):
        getattr(fnp, name)(F)


def test_array_equiv():
    assert fnp.array_equiv(np.ones((2, 3)), 1)
    assert not fnp.array_equiv(np.ones((2, 3)), np.ones(2))
    assert not fnad.jit(fnp.array_equiv)(F, Y)


@pytest.mark.parametrize("name", ["var", "std", "nanvar", "nanstd"])
def test_a_mean_that_is_known(name):
    for axis in (0, 1, None):
        center = np.mean(F, axis, keepdims=True)
        expected = getattr(np, name)(F, axis, mean=center, ddof=1)
        spread = lambda x, c, axis=axis: getattr(fnp, name)(x, axis, mean=c, ddof=1)
        assert_same(spread(F, center), expected)
        assert_same(fnad.jit(spread, static_argnames="axis")(F, center), expected)
    other = np.full((3, 1), 2.0)
    assert_same(getattr(fnp, name)(F, 1, mean=other), getattr(np, name)(F, 1, mean=other))


def test_one_observation_of_many_variables():
    # NumPy before 2.2 took it for one variable.
    assert_same(fnp.cov(F[:1], rowvar=False, bias=True), np.zeros((F.shape[1], F.shape[1])))
