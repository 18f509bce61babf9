"""Truncated normal numbers: SciPy's distribution, also far out; derivatives, transforms."""

import numpy as np
import pytest
from scipy import stats

import fnad
from fnad import random

KEY = random.PRNGKey(3)
INTERVALS = [
    (-1.0, 2.0),
    (2.0, np.inf),
    (4.0, 5.0),
    (5.0, np.inf),
    (8.0, 8.3),
    (-np.inf, -9.0),
    (-31.0, -30.0),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("lower", "upper"), INTERVALS)
def test_distribution(lower, upper, dtype):
    draws = random.truncated_normal(KEY, lower, upper, (4000,), dtype)
    assert draws.dtype == dtype
    assert ((lower < draws) & (draws < upper)).all()
    law = stats.truncnorm(lower, upper)
    assert stats.kstest(draws.astype(float), law.cdf).pvalue > 1e-3
    sample = lambda key, lower, upper: random.truncated_normal(key, lower, upper, (4000,), dtype)
    compiled = fnad.jit(sample)(KEY, dtype(lower), dtype(upper))
    # At 2, the distribution function is 1 but for 2 %: rounding differs.
    np.testing.assert_allclose(compiled, draws, rtol=1e-3 if dtype == np.float32 else 1e-9)


@pytest.mark.parametrize("dtype", [np.float16, fnad.numpy.bfloat16])
def test_tails_of_short_numbers(dtype):
    draws = random.truncated_normal(KEY, 3.0, np.inf, (4000,), dtype).astype(float)
    np.testing.assert_allclose(draws.mean(), stats.truncnorm(3, np.inf).mean(), rtol=0.01)


def test_very_far_bounds():
    draws = random.truncated_normal(KEY, 1e4, np.inf, (2000,), np.float64)
    assert stats.kstest((draws - 1e4) * 1e4, stats.expon.cdf).pvalue > 1e-3
    draws = random.truncated_normal(KEY, 1e4, 1e4 + 1e-6, (2000,), np.float64)
    assert stats.kstest((draws - 1e4) * 1e6, stats.uniform.cdf).pvalue > 1e-2


def test_no_number_is_where_rounding_puts_the_upper_bound():
    """Of a million numbers above 3, JAX returns some that are the largest float32."""
    draws = random.truncated_normal(KEY, 3.0, np.inf, (200_000,))
    assert draws.max() < 7


@pytest.mark.parametrize(("lower", "upper"), [(-1.0, 2.0), (8.0, 9.0), (-9.5, -9.0)])
def test_derivatives(lower, upper):
    sample = lambda lower, upper: random.truncated_normal(KEY, lower, upper, (5,), np.float64)
    got = fnad.jacrev(sample, (0, 1))(lower, upper)
    compiled = fnad.jit(fnad.jacfwd(sample, (0, 1)))(lower, upper)
    h = 1e-5
    want = (
        (sample(lower + h, upper) - sample(lower - h, upper)) / (2 * h),
        (sample(lower, upper + h) - sample(lower, upper - h)) / (2 * h),
    )
    for g, c, w in zip(got, compiled, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(c, g, rtol=1e-10, atol=1e-12)


def test_derivatives_in_an_endless_tail():
    slope = fnad.grad(lambda a: random.truncated_normal(KEY, a, np.inf, (), np.float64))(9.0)
    h = 1e-5
    sample = lambda a: random.truncated_normal(KEY, a, np.inf, (), np.float64)
    np.testing.assert_allclose(slope, (sample(9 + h) - sample(9 - h)) / (2 * h), rtol=1e-6)


def test_lanes_are_what_single_calls_give():
    keys = random.split(KEY, 4)
    lower = np.array([-1.0, 5.0, 9.0, -np.inf], np.float32)
    upper = np.array([1.0, np.inf, 10.0, -6.0], np.float32)
    sample = lambda key, lower, upper: random.truncated_normal(key, lower, upper, (3,))
    batch = fnad.vmap(sample)(keys, lower, upper)
    for i in range(4):
        np.testing.assert_allclose(batch[i], sample(keys[i], lower[i], upper[i]), rtol=1e-6)
    mixed = random.truncated_normal(KEY, lower, upper)
    assert ((lower < mixed) & (mixed < upper)).all()
