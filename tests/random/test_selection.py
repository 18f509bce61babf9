"""permutation, choice, categorical and gumbel with all their options, against JAX."""

import numpy as np
import pytest
from scipy import stats

import fnad
from fnad import random

KEY = random.PRNGKey(42)
P = np.array([0.1, 0.2, 0.3, 0.15, 0.25], np.float32)
LOGITS = np.log(P)
HIGHEST = [0.3992578089237213, -0.129975825548172, 0.04309510067105293]
ROWS = np.arange(30, dtype=np.float32).reshape(6, 5)

CASES = {
    "choice": lambda r, key: r.choice(key, ROWS, (7,)),
    "choice_p": lambda r, key: r.choice(key, 5, (50,), p=P),
    "choice_p_axis": lambda r, key: r.choice(key, ROWS, (3, 2), p=P, axis=1),
    "choice_once": lambda r, key: r.choice(key, ROWS, (2, 2), replace=False),
    "choice_once_p": lambda r, key: r.choice(key, 5, (4,), replace=False, p=P),
    "choice_high": lambda r, key: r.choice(key, 5, (4,), replace=False, p=P, mode="high"),
    "permutation_axis": lambda r, key: r.permutation(key, ROWS, 1),
    "permutation_independent": lambda r, key: r.permutation(key, ROWS, 0, True),
    "categorical_axis": lambda r, key: r.categorical(key, ROWS / 10, 0),
    "categorical_once": lambda r, key: r.categorical(
        key, np.stack([LOGITS, LOGITS[::-1]]), shape=(3, 2), replace=False
    ),
    "categorical_high": lambda r, key: r.categorical(key, LOGITS, shape=(30,), mode="high"),
    "categorical_highest": lambda r, key: r.categorical(key, LOGITS, shape=(30,), mode="highest"),
    "bernoulli_high": lambda r, key: r.bernoulli(key, np.float32(0.3), (30,), mode="high"),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_same_values_as_jax(name, seed):
    jax = pytest.importorskip("jax")
    want = np.asarray(CASES[name](jax.random, jax.random.PRNGKey(seed)))
    got = CASES[name](random, random.PRNGKey(seed))
    np.testing.assert_array_equal(got, want)
    compiled = fnad.jit(lambda key: CASES[name](random, key))(random.PRNGKey(seed))
    np.testing.assert_array_equal(compiled, want)


@pytest.mark.parametrize("mode", ["low", "high", "highest"])
def test_modes_of_gumbel(mode):
    jax = pytest.importorskip("jax")
    want = np.asarray(jax.random.gumbel(jax.random.PRNGKey(42), (5000,), np.float32, mode=mode))
    got = random.gumbel(KEY, (5000,), np.float32, mode)
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-6)
    assert stats.kstest(got, stats.gumbel_r.cdf).pvalue > 1e-3
    compiled = fnad.jit(lambda key: random.gumbel(key, (5000,), np.float32, mode))(KEY)
    np.testing.assert_allclose(compiled, got, rtol=2e-6, atol=2e-6)


def test_highest_gumbel_recorded():
    """Made with JAX 0.10.2: ``jax.random.gumbel(PRNGKey(42), (3,), mode="highest")``."""
    np.testing.assert_allclose(random.gumbel(KEY, (3,), mode="highest"), HIGHEST, rtol=2e-6)
    with pytest.raises(ValueError, match="mode must be 'low', 'high' or 'highest', got 'low '"):
        random.gumbel(KEY, (3,), mode="low ")
