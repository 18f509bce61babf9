"""Distributions far out, where probabilities underflow, and of large shapes, where logarithms
cancel."""

import mpmath
import numpy as np
import pytest
import scipy.stats

import fnad
from fnad.scipy import stats
from fnad.testing import check_grads
from tests.tiers import tiered

NAN, INF = np.nan, np.inf
F32 = np.float32


def both_ways(function, *args):
    with np.errstate(all="ignore"):
        return [function(*args), fnad.jit(function)(*args)]


@pytest.mark.parametrize(
    ("name", "function", "x", "shapes"),
    [
        ("gamma", "logcdf", (1e-20, 1e-9), (3.5,)),  # the series
        ("gamma", "logcdf", (0.25, 2.0, 12.0), (75.0,)),  # and the uniform expansion
        ("gamma", "logsf", (95.0, 400.0), (0.5,)),  # the continued fraction
        ("gamma", "logsf", (300.0, 700.0), (75.0,)),
        ("chi2", "logcdf", (1e-20, 1e-9), (7.0,)),
        ("chi2", "logsf", (300.0, 1000.0), (4.0,)),
        ("beta", "logcdf", (1e-6, 1e-3), (40.0, 80.0)),
        ("beta", "logcdf", (0.25, 0.5), (500.0, 0.5)),
        ("beta", "logsf", (0.875, 0.99), (40.0, 80.0)),
        ("gumbel_l", "logcdf", (-600.0, -100.0), ()),
        ("gumbel_r", "logsf", (100.0, 600.0), ()),
    ],
)
def test_logarithms_of_float32_probabilities_that_underflow(name, function, x, shapes):
    x = np.array(x, F32)
    wanted = getattr(getattr(scipy.stats, name), function)(x.astype(float), *shapes)
    assert np.all(wanted < np.log(1e-30))
    for got in both_ways(getattr(getattr(stats, name), function), x, *map(F32, shapes)):
        assert got.dtype == F32
        np.testing.assert_allclose(got, wanted, rtol=2e-6)


def test_logarithms_of_float64_probabilities_that_underflow():
    with mpmath.workdps(30):
        below = float(mpmath.log(mpmath.gammainc(3.5, 0, mpmath.mpf(1e-200), regularized=True)))
        above = float(mpmath.log(mpmath.gammainc(75, 2000, regularized=True)))
        near = float(
            mpmath.log(mpmath.betainc(400, 0.5, 0, mpmath.mpf("0.0625"), regularized=True))
        )
    for got in both_ways(stats.gamma.logcdf, 1e-200, 3.5):
        np.testing.assert_allclose(got, below, rtol=1e-14)
    for got in both_ways(stats.gamma.logsf, 2000.0, 75.0):
        np.testing.assert_allclose(got, above, rtol=1e-14)
    for got in both_ways(stats.beta.logcdf, 0.0625, 400.0, 0.5):
        np.testing.assert_allclose(got, near, rtol=1e-14)


@tiered(
    "function,args",
    [
        (stats.gamma.logcdf, (np.array([0.01, 0.5, 40.0]), np.array([200.5, 700.0, 900.0]))),
        (stats.gamma.logsf, (np.array([900.0, 2000.0, 2.0]), np.array([2.5, 900.0, 3.0]))),
        (
            stats.beta.logcdf,
            (np.array([0.01, 0.1]), np.array([190.0, 500.0]), np.array([9.0, 0.5])),
        ),
        (stats.beta.logsf, (np.array([0.99, 0.3]), np.array([9.0, 2.0]), np.array([300.0, 1.5]))),
        (stats.gumbel_l.logcdf, (np.array([-800.0, -1.0, 0.0, 1.0]),)),
        (stats.truncnorm.logsf, (np.array([5.1, -1.0]), np.array([5.0, -2]), np.array([5.3, 9.0]))),
    ],
    lambda row: len(row[1]) != 2,
)
def test_slopes_of_logarithms_of_tails(function, args):
    # The slopes in small points are large, those in shapes are small.
    check_grads(function, args, order=1, rtol=1e-4)


def test_densities_of_large_shapes_lose_no_bits():
    cases = [
        (stats.poisson.logpmf, scipy.stats.poisson.pmf, [98500.0, 100300.0], (100000.0,)),
        (stats.gamma.logpdf, scipy.stats.gamma.pdf, [97000.0, 100100.0], (100000.0,)),
        (stats.binom.logpmf, scipy.stats.binom.pmf, [49248.0, 50100.0], (100000.0, 0.5)),
        (stats.nbinom.logpmf, scipy.stats.nbinom.pmf, [49248.0, 50100.0], (50000.0, 0.5)),
        (stats.beta.logpdf, scipy.stats.beta.pdf, [0.4995, 0.5], (100000.0, 100000.0)),
    ]
    for function, density, x, shapes in cases:
        wanted = np.log(density(np.array(x, F32).astype(float), *shapes))
        for got in both_ways(function, np.array(x, F32), *map(F32, shapes)):
            np.testing.assert_allclose(got, wanted, rtol=3e-6)


def test_slopes_of_densities_of_large_shapes():
    x = np.array([30.0, 45.0])
    check_grads(stats.gamma.pdf, (x, np.array([20.0, 40.0]), 0.5, 1.25), order=1)
    check_grads(stats.gamma.logpdf, (x, np.array([20.0, 40.0]), 0.5, 1.25), order=1)
    check_grads(stats.beta.pdf, (x / 100, np.array([20.0, 40.0]), np.array([30.0, 50.0])), order=1)
    check_grads(
        stats.beta.logpdf, (x / 100, np.array([20.0, 40.0]), np.array([30.0, 50.0])), order=1
    )
    check_grads(lambda mu: stats.poisson.logpmf(x, mu), (np.array([40.0, 60.0]),), order=1)
    check_grads(lambda p: stats.binom.logpmf(x, 70.0, p), (np.array([0.5, 0.75]),), order=1)
    check_grads(lambda n, p: stats.nbinom.logpmf(x, n, p), (np.array([20.5, 60.0]), 0.5), order=1)


def test_small_values_of_large_shapes():
    # 1 + (x - a) / a rounds to 0 here.
    for got in both_ways(stats.gamma.cdf, 1e-20, 13.0):
        np.testing.assert_allclose(got, 1e-260 / np.prod(np.arange(1.0, 14.0)), rtol=1e-13)
    for got in both_ways(stats.gamma.cdf, 0.001, 50.0):
        np.testing.assert_allclose(got, scipy.stats.gamma.cdf(0.001, 50.0), rtol=1e-12)


def test_squares_that_overflow():
    x = np.array([-1e30, 1e25], F32)
    for name, shapes in (("cauchy", ()), ("t", (2.5,))):
        wanted = getattr(scipy.stats, name).logpdf(x.astype(float), *shapes)
        for got in both_ways(getattr(stats, name).logpdf, x, *map(F32, shapes)):
            np.testing.assert_allclose(got, wanted, rtol=1e-6)
    slope = fnad.grad(stats.cauchy.logpdf)(F32(1e25))
    np.testing.assert_allclose(slope, -2e-25, rtol=1e-6)


def test_t_of_infinitely_many_degrees_of_freedom_is_normal():
    x = np.array([-1.5, 0.0, 40.0])
    for got in both_ways(stats.t.logpdf, x, INF, 1.0, 2.0):
        np.testing.assert_allclose(got, scipy.stats.norm.logpdf(x, 1.0, 2.0), rtol=1e-14)
    assert fnad.grad(stats.t.logpdf)(1.5, INF) == -1.5


def test_wrapcauchy_next_to_a_point():
    x = np.array([0.0, 1e-3, 6.28], F32)
    wanted = scipy.stats.wrapcauchy.pdf(x.astype(float), float(F32(0.99)))
    for got in both_ways(stats.wrapcauchy.pdf, x, F32(0.99)):
        np.testing.assert_allclose(got, wanted, rtol=1e-5)  # 1 - c has lost two digits


def normal_probability(low, high):
    root = mpmath.sqrt(2)
    low, high = (low, high) if low > 0 else (-high, -low)
    return (mpmath.erfc(low / root) - mpmath.erfc(high / root)) / 2


@pytest.mark.parametrize(
    ("x", "a", "b"),
    [(10.0000001, 10.0, 12.0), (-29.0000001, -30.0, -29.0), (1e-9, 0.0, 3.0), (2.5, 2.0, INF)],
)
def test_truncnorm_next_to_its_ends(x, a, b):
    with mpmath.workdps(50):
        whole = normal_probability(*map(mpmath.mpf, (a, b)))
        below = float(normal_probability(mpmath.mpf(a), mpmath.mpf(x)) / whole)
        above = float(normal_probability(mpmath.mpf(x), mpmath.mpf(b)) / whole)
    for function, wanted in (
        (stats.truncnorm.cdf, below),
        (stats.truncnorm.sf, above),
        (stats.truncnorm.logcdf, np.log(below) if below < 0.5 else np.log1p(-above)),
        (stats.truncnorm.logsf, np.log(above) if above < 0.5 else np.log1p(-below)),
    ):
        for got in both_ways(function, x, a, b):
            np.testing.assert_allclose(got, wanted, rtol=3e-13)  # x*x/2 is up to 450


def test_truncnorm_far_out():
    for got in both_ways(stats.truncnorm.cdf, 1e300, 2.0, INF):
        assert got == 1.0
    for got in both_ways(stats.truncnorm.logsf, 1e300, -INF, INF):
        assert got == -INF


@pytest.mark.parametrize("function", ["logpdf", "logcdf", "logsf"])
@pytest.mark.parametrize(("a", "b"), [(-INF, 2.0), (-1.5, INF), (-INF, INF)])
def test_tangents_of_truncnorm_of_infinite_ends(function, a, b):
    f = getattr(stats.truncnorm, function)
    for argument in range(3):
        primals, tangents = (0.5, a, b), [float(i == argument) for i in range(3)]
        forward = fnad.jvp(f, primals, tuple(tangents))[1]
        np.testing.assert_allclose(forward, fnad.grad(f, argument)(*primals), rtol=1e-13)
        finite = np.clip(primals, -38.0, 38.0)  # the same probabilities
        np.testing.assert_allclose(
            forward, fnad.grad(f, argument)(*finite), rtol=1e-13, atol=1e-300
        )


def test_truncnorm_of_ends_in_no_order_is_nan():
    for name in ("logpdf", "pdf", "logcdf", "cdf", "logsf", "sf"):
        for a, b in ((2.0, 1.0), (-1.0, -3.0), (NAN, 1.0), (-1.0, NAN)):
            for x in (-4.0, 1.0, 1.5, 4.0):
                assert np.isnan(getattr(stats.truncnorm, name)(x, a, b))


def test_quantiles_of_bernoulli_at_one():
    for p in (0.0, 0.25, 1.0):
        for got in both_ways(stats.bernoulli.ppf, 1.0, p):
            assert got == scipy.stats.bernoulli.ppf(1.0, p)
