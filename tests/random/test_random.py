"""fnad.random against JAX: stored values, and JAX itself where it is installed."""

import numpy as np
import pytest

import fnad
from fnad import random

KEY = random.PRNGKey(42)

# Made with JAX 0.10.2 and JAX_ENABLE_X64=1 by np.asarray(jax.random.<name>(
# jax.random.PRNGKey(42), ...)).tolist() with the arguments in CASES.
GOLDEN = {
    "split": [[1832780943, 270669613], [64467757, 2916123636], [2465931498, 255383827]],
    "fold_in": [2547012911, 1371500959],
    "bits8": [162, 217, 249, 215],
    "bits16": [5026, 12505, 63993, 49623],
    "bits32": [[2098992034, 2919706841], [2646866425, 2409546199]],
    "bits64": [7871734211187709741, 276886910877598708],
    "uniform": [
        [0.48870956897735596, 0.6797971725463867, 0.6162714958190918],
        [0.5610160827636719, 0.4506446123123169, 0.58586585521698],
    ],
    "uniform16": [0.076171875, 0.1904296875, 0.9755859375],
    "uniform64": [0.4267275666499091, 0.015010069515314584, 0.5741444178995352],
    "normal": [
        -0.02830461598932743,
        0.4671318531036377,
        0.2957029640674591,
        0.15354591608047485,
        -0.12403281778097153,
    ],
    "normal64": [-0.18471174528191162, -2.169824560397754, 0.18693555179382582],
    "randint": [94, 49, 76, -1, 84, 19],
    "randint8": [196, 18, 183, 193, 141, 107],
    "bernoulli": [False, False, False, False, False, False, True, False],
    "permutation": [7, 4, 2, 5, 3, 6, 8, 9, 0, 1],
    "permutation_rows": [[6, 7, 8], [9, 10, 11], [0, 1, 2], [3, 4, 5]],
    "permutation_independent": [[2, 0, 1], [4, 5, 3], [7, 6, 8], [10, 11, 9]],
    "choice": [7, 4, 2, 5],
    "categorical": [3, 4, 2, 4, 3, 4],
    "truncated_normal": [
        0.14770005643367767,
        0.5684449076652527,
        0.42102551460266113,
        0.29997000098228455,
    ],
}

CASES = {
    "split": lambda r, key: r.split(key, 3),
    "fold_in": lambda r, key: r.fold_in(key, 7),
    "bits8": lambda r, key: r.bits(key, (4,), np.uint8),
    "bits16": lambda r, key: r.bits(key, (4,), np.uint16),
    "bits32": lambda r, key: r.bits(key, (2, 2), np.uint32),
    "bits64": lambda r, key: r.bits(key, (2,), np.uint64),
    "uniform": lambda r, key: r.uniform(key, (2, 3), np.float32),
    "uniform16": lambda r, key: r.uniform(key, (3,), np.float16),
    "uniform64": lambda r, key: r.uniform(key, (3,), np.float64),
    "normal": lambda r, key: r.normal(key, (5,), np.float32),
    "normal64": lambda r, key: r.normal(key, (3,), np.float64),
    "randint": lambda r, key: r.randint(key, (6,), -5, 100, np.int32),
    "randint8": lambda r, key: r.randint(key, (6,), 0, 256, np.uint8),
    "bernoulli": lambda r, key: r.bernoulli(key, np.float32(0.3), (8,)),
    "permutation": lambda r, key: r.permutation(key, 10),
    "permutation_rows": lambda r, key: r.permutation(key, np.arange(12).reshape(4, 3)),
    "permutation_independent": lambda r, key: r.permutation(
        key, np.arange(12).reshape(4, 3), axis=1, independent=True
    ),
    "choice": lambda r, key: r.choice(key, 10, (4,), replace=False),
    "categorical": lambda r, key: r.categorical(
        key, np.log(np.arange(1, 6, dtype=np.float32)), shape=(6,)
    ),
    "truncated_normal": lambda r, key: r.truncated_normal(
        key, np.float32(-1), np.float32(2), (4,), np.float32
    ),
}
# The only functions that are rounded differently are log, log1p and erf.
INEXACT = ("normal", "normal64", "truncated_normal")


def assert_agree(name, got, want):
    got, want = np.asarray(got), np.asarray(want)
    if name in INEXACT:
        rtol = 1e-12 if got.dtype == np.float64 else 1e-6
        np.testing.assert_allclose(got, want, rtol=rtol)
    else:
        np.testing.assert_array_equal(got, want.astype(got.dtype))


@pytest.mark.parametrize("name", CASES)
def test_same_values_as_jax(name):
    assert_agree(name, CASES[name](random, KEY), GOLDEN[name])


@pytest.mark.parametrize("name", CASES)
def test_jit_and_vmap_over_keys(name):
    sample = lambda key: CASES[name](random, key)
    assert_agree(name, fnad.jit(sample)(KEY), GOLDEN[name])
    keys = random.split(KEY, 3)
    batch = fnad.vmap(sample)(keys)
    for i in range(3):
        assert_agree(name, batch[i], sample(keys[i]))


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1, np.int32(-1), np.uint32(7)])
def test_keys_match_jax(seed):
    jax = pytest.importorskip("jax")
    want = np.asarray(jax.random.PRNGKey(seed))
    np.testing.assert_array_equal(random.PRNGKey(seed), want)
    np.testing.assert_array_equal(random.key(seed), want)
    np.testing.assert_array_equal(random.split(want, (2, 3)), jax.random.split(want, (2, 3)))
    np.testing.assert_array_equal(random.fold_in(want, 9), jax.random.fold_in(want, 9))


DISTRIBUTIONS = {
    "uniform": 0.0,
    "normal": 1e-6,
    "exponential": 1e-6,
    "laplace": 1e-6,
    "logistic": 1e-6,
    "gumbel": 1e-6,
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_distributions_match_jax(name, dtype):
    jax = pytest.importorskip("jax")
    got = getattr(random, name)(KEY, (500,), dtype)
    want = np.asarray(getattr(jax.random, name)(jax.random.PRNGKey(42), (500,), dtype))
    assert got.dtype == want.dtype
    # Near 0 a difference of logarithms loses relative accuracy: hence the absolute bound.
    tolerance = 4e-3 if dtype == np.float16 else DISTRIBUTIONS[name]
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize(("low", "high"), [(3, 100), (5, 2), (-1000, 1000), (0, 1)])
def test_randint_matches_jax(dtype, low, high):
    jax = pytest.importorskip("jax")
    want = np.asarray(jax.random.randint(jax.random.PRNGKey(42), (300,), low, high, dtype))
    np.testing.assert_array_equal(random.randint(KEY, (300,), low, high, dtype), want)


def test_default_dtypes():
    assert random.uniform(KEY).dtype == np.float32
    assert random.normal(KEY, (2,)).dtype == np.float32
    assert random.randint(KEY, (2,), 0, 5).dtype == np.int32
    assert random.bits(KEY).dtype == np.uint32
    assert random.bernoulli(KEY).dtype == np.bool_
    assert random.permutation(KEY, 4).dtype == np.int64


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint32])
def test_randint_over_the_full_range(dtype):
    info = np.iinfo(dtype)
    draws = random.randint(KEY, (2000,), info.min, info.max + 1, dtype)
    assert draws.dtype == dtype
    assert draws.min() < info.min + (int(info.max) - int(info.min)) // 50
    assert draws.max() > info.max - (int(info.max) - int(info.min)) // 50


def test_randint_up_to_the_largest_number_of_64_bits():
    draws = random.randint(KEY, (2000,), 0, 2**64, np.uint64)
    assert 0.45 < (draws >= 2**63).mean() < 0.55
    assert (random.randint(KEY, (5,), 2**70, 2**71, np.int32) == 2**31 - 1).all()
    np.testing.assert_array_equal(
        random.randint(KEY, (5,), -(2**70), 2**70, np.int16),
        random.randint(KEY, (5,), -(2**15), 2**15, np.int16),
    )


def test_moments():
    draws = random.normal(KEY, (20000,), np.float64)
    assert abs(draws.mean()) < 0.03
    assert abs(draws.std() - 1) < 0.02
    inside = random.truncated_normal(KEY, -0.5, 0.25, (5000,))
    assert inside.min() > -0.5
    assert inside.max() < 0.25


def test_gradient_through_a_sample():
    def scaled(scale):
        return (scale * random.normal(KEY, (3,), np.float64)).sum()

    want = random.normal(KEY, (3,), np.float64).sum()
    np.testing.assert_allclose(fnad.grad(scaled)(2.0), want)


def test_choice():
    rows = np.arange(12.0).reshape(4, 3)
    assert random.choice(KEY, rows, (5, 2)).shape == (5, 2, 3)
    assert random.choice(KEY, rows, (2,), replace=False, axis=1).shape == (4, 2)
    weights = np.array([0.0, 1.0, 0.0, 0.0])
    assert (random.choice(KEY, 4, (7,), p=weights) == 1).all()
    assert random.choice(KEY, 4, (1,), replace=False, p=weights)[0] == 1
    assert random.choice(KEY, 5).shape == ()


def test_categorical_without_replacement():
    drawn = random.categorical(KEY, np.zeros((2, 5)), shape=(5, 2), replace=False)
    np.testing.assert_array_equal(np.sort(drawn, axis=0), np.arange(5)[:, None].repeat(2, 1))


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: random.uniform(random.split(KEY, 3)), TypeError, "vmap"),
        (lambda: random.uniform(0), TypeError, "Make one with fnad.random.key"),
        (lambda: random.normal((3,)), TypeError, r"got \(3,\) of type tuple. Make one"),
        (lambda: random.PRNGKey(1.5), TypeError, "must be an integer scalar"),
        (
            lambda: random.uniform(KEY, (2,), np.int32),
            TypeError,
            "must be bfloat16, float16, float32",
        ),
        (lambda: random.randint(KEY, (2,), 0, 5, np.float32), TypeError, "integer dtype"),
        (lambda: random.randint(KEY, (2,), 0.0, 5), TypeError, "bounds must be integers"),
        (lambda: random.bits(KEY, (2,), np.int32), TypeError, "unsigned integer"),
        (lambda: random.uniform(KEY, (2,), minval=np.zeros(3)), ValueError, "broadcast"),
        (lambda: random.choice(KEY, 2, (3,), replace=False), ValueError, "cannot draw 3 of 2"),
        (lambda: random.permutation(KEY, 2.5), TypeError, "an array or an integer"),
    ],
)
def test_errors_say_what_to_do(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1, 2**70])
def test_seeds_of_more_than_64_bits_are_refused(seed):
    with pytest.raises(ValueError, match="the seed must have at most 64 bits"):
        random.key(seed)
