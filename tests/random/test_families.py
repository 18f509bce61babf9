"""Distributions with parameters: JAX's numbers, SciPy's distributions, derivatives, transforms."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

import fnad
from fnad import random

KEY = random.PRNGKey(42)
SHAPES = np.exp(np.linspace(-2, 6, 40)).astype(np.float32)
RATES = np.linspace(0, 30, 40).astype(np.float32)
F = np.float32

CASES = {
    "cauchy": lambda r, key: r.cauchy(key, (40,), F),
    "logistic": lambda r, key: r.logistic(key, (40,), F),
    "lognormal": lambda r, key: r.lognormal(key, F(0.5), (40,), F),
    "pareto": lambda r, key: r.pareto(key, SHAPES, (40,), F),
    "rayleigh": lambda r, key: r.rayleigh(key, SHAPES, (40,), F),
    "weibull_min": lambda r, key: r.weibull_min(key, F(3), F(2.5), (40,), F),
    "maxwell": lambda r, key: r.maxwell(key, (40,), F),
    "double_sided_maxwell": lambda r, key: r.double_sided_maxwell(key, F(3), F(2), (40,), F),
    "triangular": lambda r, key: r.triangular(key, F(3), F(3.5), F(5), (40,), F),
    "wald": lambda r, key: r.wald(key, F(3), (40,), F),
    "gamma": lambda r, key: r.gamma(key, SHAPES, None, F),
    "loggamma": lambda r, key: r.loggamma(key, SHAPES, (2, 40), F),
    "beta": lambda r, key: r.beta(key, SHAPES, SHAPES[::-1], None, F),
    "dirichlet": lambda r, key: r.dirichlet(key, SHAPES[::10], (10,), F),
    "chisquare": lambda r, key: r.chisquare(key, SHAPES, None, F),
    "f": lambda r, key: r.f(key, SHAPES, F(3), (40,), F),
    "t": lambda r, key: r.t(key, SHAPES, None, F),
    "generalized_normal": lambda r, key: r.generalized_normal(key, 1.7, (40,), F),
    "ball": lambda r, key: r.ball(key, 4, 1.7, (10,), F),
    "rademacher": lambda r, key: r.rademacher(key, (40,), np.int32),
    "geometric": lambda r, key: r.geometric(key, F(0.07), (40,), np.int32),
    "poisson": lambda r, key: r.poisson(key, RATES, None, np.int32),
    "poisson_few": lambda r, key: r.poisson(key, F(3), (40,), np.int32),
    "binomial": lambda r, key: r.binomial(key, np.arange(40, dtype=F) * 5, F(0.1), None, F),
    "binomial_likely": lambda r, key: r.binomial(key, F(50), F(0.7), (40,), F),
    "multinomial": lambda r, key: r.multinomial(
        key, np.arange(10, dtype=F) * 20, np.array([0.2, 0.3, 0.1, 0.4], F), shape=(10, 4), dtype=F
    ),
}
# Made with JAX 0.10.2 by np.asarray(CASES[name](jax.random, jax.random.PRNGKey(42))), flattened,
# the first 3 and the last 3 elements of each.
GOLDEN = json.loads((Path(__file__).parent / "golden_families.json").read_text())


def ends(x):
    flat = np.asarray(x).reshape(-1)
    return np.concatenate([flat[:3], flat[-3:]])


def assert_agree(got, want):
    """Integers and counts exactly; the others but for the rounding of elementary functions."""
    got, want = np.asarray(got), np.asarray(want)
    exact = (want == np.round(want)).all()
    if exact:
        np.testing.assert_array_equal(got, want)
    else:
        np.testing.assert_allclose(got, want, rtol=3e-5, atol=3e-6)


@pytest.mark.parametrize("name", CASES)
def test_recorded_values_of_jax(name):
    assert_agree(ends(CASES[name](random, KEY)), GOLDEN[name])


@pytest.mark.parametrize("name", CASES)
def test_same_values_as_jax(name):
    jax = pytest.importorskip("jax")
    for seed in (0, 7):
        want = np.asarray(CASES[name](jax.random, jax.random.PRNGKey(seed)))
        got = CASES[name](random, random.PRNGKey(seed))
        assert got.dtype == want.dtype
        assert got.shape == want.shape
        assert_agree(got, want)


@pytest.mark.parametrize("name", CASES)
def test_jit_and_vmap_over_keys(name):
    sample = lambda key: CASES[name](random, key)
    assert_agree(fnad.jit(sample)(KEY), sample(KEY))
    keys = random.split(KEY, 3)
    batch = fnad.vmap(sample)(keys)
    for i in range(3):
        assert_agree(batch[i], sample(keys[i]))


CONTINUOUS = {
    "cauchy": ((), stats.cauchy()),
    "logistic": ((), stats.logistic()),
    "maxwell": ((), stats.maxwell()),
    "lognormal": ((0.5,), stats.lognorm(0.5)),
    "pareto": ((3.0,), stats.pareto(3.0)),
    "rayleigh": ((2.0,), stats.rayleigh(scale=2.0)),
    "weibull_min": ((2.0, 1.5), stats.weibull_min(1.5, scale=2.0)),
    "triangular": ((-1.0, 0.5, 3.0), stats.triang(1.5 / 4, loc=-1, scale=4)),
    "wald": ((0.7,), stats.invgauss(0.7, scale=1.0)),
    "gamma": ((2.5,), stats.gamma(2.5)),
    "gamma_small": ((0.3,), stats.gamma(0.3)),
    "gamma_large": ((500.0,), stats.gamma(500.0)),
    "loggamma": ((0.3,), stats.loggamma(0.3)),
    "beta": ((0.5, 2.0), stats.beta(0.5, 2.0)),
    "chisquare": ((3.0,), stats.chi2(3.0)),
    "f": ((4.0, 7.0), stats.f(4.0, 7.0)),
    "t": ((3.0,), stats.t(3.0)),
    "generalized_normal": ((1.5,), stats.gennorm(1.5)),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_distribution(name):
    params, law = CONTINUOUS[name]
    sampler = getattr(random, name.split("_s")[0].split("_l")[0])
    draws = sampler(random.PRNGKey(zlib.crc32(name.encode())), *params, shape=(4000,), dtype=float)
    assert draws.dtype == np.float64
    assert stats.kstest(draws, law.cdf).pvalue > 1e-3


def test_distributions_at_extreme_parameters():
    """Where intermediate numbers are too small for their dtype, or cancel."""
    shape = (4000,)
    draws = random.wald(KEY, np.array([[1e3], [1e6]]), (2, *shape), np.float32).astype(float)
    assert (draws > 0).all()
    for mean, row in zip((1e3, 1e6), draws, strict=True):
        assert stats.kstest(row, stats.invgauss(mean, scale=1).cdf).pvalue > 1e-3
    draws = random.generalized_normal(KEY, 50.0, shape).astype(float)
    assert stats.kstest(draws, stats.gennorm(50).cdf).pvalue > 1e-3
    draws = random.t(KEY, 0.1, shape).astype(float)
    assert np.isfinite(draws).mean() > 0.999
    assert stats.kstest(draws, stats.t(0.1).cdf).pvalue > 1e-3
    draws = random.f(KEY, 0.05, 0.05, shape)
    assert not np.isnan(draws).any()
    tiny, large = np.finfo(np.float32).smallest_normal, np.finfo(np.float32).max
    law = stats.f(0.05, 0.05)
    assert abs((draws < tiny).mean() - law.cdf(tiny)) < 0.02
    assert abs((draws > large).mean() - law.sf(large)) < 0.02
    draws = random.poisson(KEY, 1e6, (50_000,)).astype(float)
    assert abs(draws.mean() - 1e6) < 4 * 1e3 / np.sqrt(draws.size)
    assert abs(draws.std() - 1e3) < 4 * 1e3 / np.sqrt(2 * draws.size)


def test_distribution_of_double_sided_maxwell():
    draws = random.double_sided_maxwell(KEY, 1.0, 2.0, (4000,), np.float64)
    signed = lambda x: 0.5 + 0.5 * np.sign(x) * stats.maxwell.cdf(np.abs(x))
    assert stats.kstest((draws - 1) / 2, signed).pvalue > 1e-3


DISCRETE = {
    "geometric": ((0.2,), stats.geom(0.2)),
    "poisson_few": ((4.0,), stats.poisson(4.0)),
    "poisson_many": ((25.0,), stats.poisson(25.0)),
    "binomial_few": ((30, 0.1), stats.binom(30, 0.1)),
    "binomial_many": ((60, 0.3), stats.binom(60, 0.3)),
    "binomial_likely": ((60, 0.8), stats.binom(60, 0.8)),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_distribution_of_counts(name):
    params, law = DISCRETE[name]
    sampler = getattr(random, name.split("_")[0])
    draws = sampler(random.PRNGKey(zlib.crc32(name.encode())), *params, shape=(8000,))
    edges = np.unique(law.ppf(np.linspace(0.02, 0.98, 15)))
    expected = np.diff([0, *law.cdf(edges), 1]) * draws.size
    observed = np.bincount(np.searchsorted(edges, draws), minlength=len(edges) + 1)
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_multinomial_counts_and_moments():
    p = np.array([0.5, 0.0, 0.2, 0.3], np.float32)
    draws = random.multinomial(KEY, 30, p, shape=(2000, 4))
    assert (draws.sum(-1) == 30).all()
    assert (draws[:, 1] == 0).all()
    np.testing.assert_allclose(draws.mean(0), 30 * p, atol=0.25)
    np.testing.assert_allclose(draws.var(0), 30 * p * (1 - p), rtol=0.1)


@pytest.mark.parametrize("p", [1.0, 2.0, 4.0])
def test_ball_is_uniform(p):
    points = random.ball(KEY, 3, p, (4000,), np.float64)
    # The p-norm of a uniform point in d dimensions, to the power of d, is uniform.
    norms = (np.abs(points) ** p).sum(-1) ** (1 / p)
    assert stats.kstest(norms**3, stats.uniform.cdf).pvalue > 1e-3
    np.testing.assert_allclose(points.mean(0), 0, atol=0.05)


def test_dirichlet_moments():
    alpha = np.array([0.5, 2.0, 3.5])
    draws = random.dirichlet(KEY, alpha, (4000,), np.float64)
    law = stats.dirichlet(alpha)
    np.testing.assert_allclose(draws.sum(-1), 1, rtol=1e-14)
    np.testing.assert_allclose(draws.mean(0), law.mean(), atol=0.02)
    np.testing.assert_allclose(draws.var(0), law.var(), rtol=0.1)


def test_rademacher():
    draws = random.rademacher(KEY, (4000,))
    assert set(np.unique(draws)) == {-1, 1}
    assert abs(draws.mean()) < 0.06
    assert random.rademacher(KEY, (2,), np.float64).dtype == np.float64


ONE_PARAMETER = ["lognormal", "pareto", "rayleigh", "wald", "gamma", "loggamma", "chisquare", "t"]


@pytest.mark.parametrize("name", ONE_PARAMETER)
def test_shapes_dtypes_and_broadcasting(name):
    sampler = getattr(random, name)
    column = np.array([[0.5], [2.0]])
    assert sampler(KEY, column, (2, 3)).shape == (2, 3)
    assert sampler(KEY, column).shape == (2, 1)
    assert sampler(KEY, 2.0).shape == ()
    assert sampler(KEY, 2.0).dtype == np.float32
    assert sampler(KEY, column, (0, 2, 3)).shape == (0, 2, 3)
    assert sampler(KEY, np.ones((0,))).shape == (0,)
    for dtype in (np.float16, fnad.numpy.bfloat16, np.float64):
        assert sampler(KEY, 2.0, (2,), dtype).dtype == dtype
    with pytest.raises(ValueError, match=f"{name}: a parameter of shape"):
        sampler(KEY, column, (3, 3))


@pytest.mark.parametrize("name", ONE_PARAMETER)
def test_vmap_and_jit_over_parameters(name):
    sample = lambda key, a: getattr(random, name)(key, a, (4,), np.float64)
    keys, a = random.split(KEY, 3), np.array([0.7, 1.5, 9.0])
    batch = fnad.jit(fnad.vmap(sample))(keys, a)
    for i in range(3):
        np.testing.assert_allclose(batch[i], sample(keys[i], a[i]), rtol=1e-13)


def test_lognormal_of_complex_numbers():
    draws = random.lognormal(KEY, 0.5, (4,), np.complex128)
    want = np.exp(0.5 * random.normal(KEY, (4,), np.complex128))
    np.testing.assert_allclose(draws, want, rtol=1e-14)
    jax = pytest.importorskip("jax")
    want = jax.random.lognormal(jax.random.PRNGKey(42), F(0.5), (40,), np.complex64)
    draws = random.lognormal(KEY, F(0.5), (40,), np.complex64)
    np.testing.assert_allclose(draws, np.asarray(want), rtol=1e-5)


def test_counts_of_odd_parameters():
    got = random.binomial(KEY, np.array([-1.0, np.nan, np.inf, 5.0, 5.0, 5.0]), 0.4)
    np.testing.assert_array_equal(got[:3], [np.nan, np.nan, np.inf])
    got = random.binomial(KEY, 5, np.array([0.0, 1.0, -0.1, 1.1, np.nan]))
    np.testing.assert_array_equal(got, [0, 5, np.nan, np.nan, np.nan])
    got = random.poisson(KEY, np.array([0.0, np.nan, -2.0]))
    np.testing.assert_array_equal(got, [0, -1, -1])
    for dtype in (np.int32, np.int8):
        assert random.poisson(KEY, np.inf, (), dtype) == np.iinfo(dtype).max
    assert random.poisson(KEY, 3.0, (4,), np.int8).dtype == np.int8
    assert random.poisson(KEY, np.ones((0, 2))).shape == (0, 2)
    assert random.geometric(KEY, 1.0, (3,)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("a", [0.01, 0.1, 0.6, 1.0, 1.5, 4.0, 30.0, 1e3, 1e5])
def test_derivative_of_gamma_is_that_of_the_quantile(a):
    sample = lambda a: random.gamma(KEY, a, (30,), np.float64)
    x, slope = fnad.jvp(sample, (np.float64(a),), (np.float64(1),))
    h = 1e-4 * a
    lower = x < a  # the tail that is not close to 1
    p = special.gammainc(a, x)
    q = special.gammaincc(a, x)
    quantile = lambda a: np.where(lower, special.gammaincinv(a, p), special.gammainccinv(a, q))
    want = (8 * (quantile(a + h) - quantile(a - h)) - quantile(a + 2 * h) + quantile(a - 2 * h)) / (
        12 * h
    )
    tested = (x > 1e-200) & (np.minimum(p, q) > 1e-12)
    assert tested.sum() > 5
    np.testing.assert_allclose(slope[tested], want[tested], rtol=3e-6)
    if a >= 1:  # below, the logarithm gets its power of another uniform number
        log_x, log_slope = fnad.jvp(
            lambda a: random.loggamma(KEY, a, (30,), np.float64), (np.float64(a),), (1.0,)
        )
        np.testing.assert_allclose(np.exp(log_x), x, rtol=1e-11)
        np.testing.assert_allclose(log_slope, slope / x, rtol=1e-11)


def test_derivative_of_loggamma_where_gamma_underflows():
    """There F(x; a) = x**a / gamma(a + 1), and so its quantile is known."""
    a = 1e-3
    log_x, slope = fnad.jvp(
        lambda a: random.loggamma(KEY, a, (50,), np.float64), (np.float64(a),), (1.0,)
    )
    small = log_x < -40
    assert small.sum() > 30
    want = (special.digamma(a + 1) - log_x) / a
    np.testing.assert_allclose(slope[small], want[small], rtol=1e-10)


GRADIENTS = {
    "gamma": (np.array([0.4, 1.0, 3.0, 50.0]),),
    "beta": (np.array([0.4, 2.0]), np.array([3.0, 1.5])),
    "dirichlet": (np.array([0.4, 2.0, 5.0]),),
    "chisquare": (np.array([1.4, 9.0]),),
    "f": (np.array([2.0, 9.0]), np.array([3.0, 11.0])),
    "t": (np.array([1.4, 9.0]),),
    "pareto": (np.array([1.4, 9.0]),),
    "rayleigh": (np.array([1.4, 9.0]),),
    "wald": (np.array([1.4, 9.0]),),
    "lognormal": (np.array([1.4, 0.2]),),
    "weibull_min": (np.array([1.4, 9.0]), np.array([0.7, 2.0])),
    "triangular": (np.array([0.0, -1.0]), np.array([0.5, 1.0]), np.array([2.0, 2.5])),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_match_jax(name):
    jax = pytest.importorskip("jax")
    params = GRADIENTS[name]
    kwargs = {"shape": (2,)} if name == "weibull_min" else {}

    def loss(r, key, params, dtype):
        draws = getattr(r, name)(key, *params, **kwargs, dtype=dtype)
        return (draws * np.arange(1, draws.shape[-1] + 1)).sum()

    got = fnad.grad(lambda p: loss(random, KEY, p, np.float64))(params)
    with jax.enable_x64(True):
        key = jax.random.PRNGKey(42)
        want = jax.grad(lambda p: loss(jax.random, key, p, np.float64))(params)
        want = [np.asarray(w) for w in want]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-7)
    compiled = fnad.jit(fnad.grad(lambda p: loss(random, KEY, p, np.float64)))(params)
    for g, c in zip(got, compiled, strict=True):
        np.testing.assert_allclose(c, g, rtol=1e-10)


def test_second_derivative_of_gamma():
    draw = lambda a: random.gamma(KEY, a, (), np.float64)
    p = special.gammainc(2.0, draw(2.0))
    h = 1e-3
    below, at, above = special.gammaincinv(np.array([2 - h, 2, 2 + h]), p)
    want = (above - 2 * at + below) / h**2
    np.testing.assert_allclose(fnad.grad(fnad.grad(draw))(2.0), want, rtol=1e-5)


def test_keys_and_their_words():
    keys = random.split(KEY, 3)
    np.testing.assert_array_equal(random.wrap_key_data(random.key_data(keys)), keys)
    np.testing.assert_array_equal(random.clone(KEY), KEY)
    assert random.key_impl(keys) == "threefry2x32"


SHAPED = {
    "normal": lambda shape: random.normal(KEY, shape),
    "exponential": lambda shape: random.exponential(KEY, shape),
    "laplace": lambda shape: random.laplace(KEY, shape),
    "logistic": lambda shape: random.logistic(KEY, shape),
    "gumbel": lambda shape: random.gumbel(KEY, shape),
    "cauchy": lambda shape: random.cauchy(KEY, shape),
    "maxwell": lambda shape: random.maxwell(KEY, shape),
    "uniform": lambda shape: random.uniform(KEY, shape),
    "bits": lambda shape: random.bits(KEY, shape),
    "randint": lambda shape: random.randint(KEY, shape, 0, 3),
    "bernoulli": lambda shape: random.bernoulli(KEY, 0.5, shape),
    "rademacher": lambda shape: random.rademacher(KEY, shape),
    "truncated_normal": lambda shape: random.truncated_normal(KEY, -1, 1, shape),
    "gamma": lambda shape: random.gamma(KEY, 2.0, shape),
    "poisson": lambda shape: random.poisson(KEY, 2.0, shape),
    "dirichlet": lambda shape: random.dirichlet(KEY, np.ones(2), shape),
    "multinomial": lambda shape: random.multinomial(KEY, 3, np.ones(1), shape=shape),
    "ball": lambda shape: random.ball(KEY, 2, 2, shape),
    "choice": lambda shape: random.choice(KEY, 3, shape),
    "categorical": lambda shape: random.categorical(KEY, np.ones(2), shape=shape),
    "multivariate_normal": lambda shape: random.multivariate_normal(
        KEY, np.zeros(2), np.eye(2), shape
    ),
    "orthogonal": lambda shape: random.orthogonal(KEY, 2, shape),
    "split": lambda shape: random.split(KEY, shape),
}


@pytest.mark.parametrize("name", SHAPED)
def test_shapes_that_are_none_are_named(name):
    for shape in (2.5, (2.5,), "a", ((2,),)):
        with pytest.raises(TypeError, match=f"^{name}: (shape|num) must be an integer"):
            SHAPED[name](shape)
    for shape in (-1, (2, -3)):
        with pytest.raises(ValueError, match=f"^{name}: (shape|num) must not be negative"):
            SHAPED[name](shape)
    with pytest.raises(fnad.errors.TracerIntegerConversionError):
        fnad.jit(SHAPED[name])(3)


def test_derivatives_of_numbers_that_underflow_are_zero():
    for dtype, a in ((np.float32, 1e-30), (np.float64, 1e-300), (np.float64, 0.0)):
        for run in (lambda f: f, fnad.jit):
            draw = lambda a, d=dtype: fnad.numpy.sum(random.gamma(KEY, a, (3,), d))
            assert run(fnad.grad(draw))(dtype(a)) == 0


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: random.key_data(np.zeros(2)), TypeError, "Make one with fnad.random.key"),
        (lambda: random.wrap_key_data(KEY, impl="rbg"), ValueError, "'threefry2x32', got 'rbg'"),
        (lambda: random.key(0, impl="rbg"), ValueError, "'threefry2x32', got 'rbg'"),
        (lambda: random.poisson(KEY, 2.0, dtype=float), TypeError, "integer dtype"),
        (lambda: random.rademacher(KEY, (), np.uint8), TypeError, "negative numbers"),
        (lambda: random.gamma(KEY, 2.0, dtype=int), TypeError, "gamma: the dtype must be"),
        (lambda: random.dirichlet(KEY, 1.0), ValueError, "axis of outcomes"),
        (lambda: random.multinomial(KEY, 3, 1.0), ValueError, "axis of outcomes"),
        (lambda: random.ball(KEY, 2, np.ones(3), (3,)), ValueError, "p must be a number"),
        (lambda: random.beta(KEY, np.ones(2), np.ones(3)), ValueError, "do not broadcast"),
        (lambda: random.gamma(KEY, 1j), TypeError, "gamma: parameters must be real"),
        (lambda: random.uniform(KEY, (), float, 0, 1j), TypeError, "uniform: parameters must be"),
        (lambda: random.truncated_normal(KEY, [0, 1], [1, 2, 3]), ValueError, "do not broadcast"),
        (lambda: random.categorical(KEY, np.array([1, 2])), TypeError, "categorical: the dtype"),
        (lambda: random.categorical(KEY, np.ones((2, 0))), ValueError, "nothing to draw from"),
        (lambda: random.choice(KEY, 2.5), TypeError, "choice: a must be an integer, got 2.5"),
        (lambda: random.ball(KEY, -2), ValueError, "ball: d must not be negative, got -2"),
        (lambda: random.orthogonal(KEY, 2, m=1.5), TypeError, "orthogonal: m must be an integer"),
    ],
)
def test_errors_say_what_to_do(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
