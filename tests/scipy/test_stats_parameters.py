"""Distributions of parameters in, at the edge of and out of their domains, against SciPy."""

import itertools

import ml_dtypes
import numpy as np
import pytest
import scipy.stats

import fnad
import fnad.numpy as fnp
from fnad.scipy import stats

pytestmark = pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")

NAN, INF = np.nan, np.inf
SHAPES = [-1.0, 0.0, 0.5, 2.5, 12.0, NAN]
FRACTIONS = [-0.5, 0.0, 0.3, 1.0, 1.5, NAN]
TRIALS = [-1.0, 0.0, 1.0, 2.5, 7.0, NAN]
ENDS = [-INF, -2.0, 0.0, 1.0, INF, NAN]
DOMAINS = {
    "norm": (), "uniform": (), "expon": (), "laplace": (), "logistic": (), "cauchy": (),
    "gumbel_l": (), "gumbel_r": (), "gamma": (SHAPES,), "chi2": (SHAPES,), "t": (SHAPES,),
    "beta": (SHAPES, SHAPES), "pareto": (SHAPES,), "gennorm": (SHAPES,), "vonmises": (SHAPES,),
    "wrapcauchy": (FRACTIONS,), "truncnorm": (ENDS, ENDS),
    "bernoulli": (FRACTIONS,), "binom": (TRIALS, FRACTIONS), "poisson": (SHAPES,),
    "geom": (FRACTIONS,), "nbinom": (TRIALS, FRACTIONS), "betabinom": (TRIALS, SHAPES, SHAPES),
}  # fmt: skip
FUNCTIONS = ["pdf", "logpdf", "pmf", "logpmf", "cdf", "logcdf", "sf", "logsf", "ppf", "isf"]
POINTS = np.array([-INF, -2.0, -0.5, 0.0, 0.3, 1.0, 2.0, 2.5, 3.0, 7.0, 50.0, INF, NAN])
QUANTILES = np.array([-1.0, 0.0, 1e-9, 0.3, 0.5, 0.999, 1.0, 1.5, INF, NAN])
SCALES = [2.0, 0.0, -1.0, INF, NAN]
CASES = [(n, f) for n in DOMAINS for f in FUNCTIONS if hasattr(getattr(stats, n), f)]


def grid(name, function):
    """Points along the last axis, and columns of parameters."""
    points = QUANTILES if function in ("ppf", "isf") else POINTS
    locs = [0.0, 1.0, INF, -INF, NAN]
    if name in ("gamma", "chi2") and function in ("pdf", "logpdf"):
        # SciPy has NaN at infinity, as the docstrings say.
        points, locs = points[points != INF], [0.0, 1.0, INF, NAN]
    if hasattr(getattr(stats, name), "pmf"):
        tails = [(loc,) for loc in locs]
    else:
        tails = [(loc, 1.0) for loc in locs] + [(0.0, scale) for scale in SCALES]
    rows = [shapes + tail for tail in tails for shapes in itertools.product(*DOMAINS[name])]
    return [points, *np.array(rows).T[..., None]]


@pytest.mark.parametrize(("name", "function"), CASES)
def test_values_on_a_grid_are_scipys(name, function):
    arguments = grid(name, function)
    ours = getattr(getattr(stats, name), function)
    with np.errstate(all="ignore"):
        expected = getattr(getattr(scipy.stats, name), function)(*arguments)
        assert np.isnan(expected).any() and np.isfinite(expected).any()
        np.testing.assert_allclose(ours(*arguments), expected, rtol=1e-9, atol=1e-300)
        singles = [a.astype(np.float32) for a in arguments]
        near = {"rtol": 2e-4, "atol": 1e-37}  # that of the points counts, too
        np.testing.assert_allclose(ours(*singles), expected.astype(np.float32), **near)
        if function in ("logpdf", "logpmf", "cdf"):  # compiling all would take minutes
            for xs, limits in ((arguments, {"rtol": 1e-9, "atol": 1e-300}), (singles, near)):
                got = fnad.jit(ours)(*xs)
                np.testing.assert_allclose(got, expected.astype(got.dtype), **limits)


@pytest.mark.parametrize("name", DOMAINS)
def test_lanes_without_a_distribution_leave_the_others_derivatives_alone(name):
    ours = getattr(stats, name)
    log_density = getattr(ours, "logpdf", getattr(ours, "logpmf", None))
    x, *shapes = grid(name, "logpdf")
    x, *shapes = (np.array(v) for v in np.broadcast_arrays(x, *shapes))
    with np.errstate(all="ignore"):
        inside = np.isfinite(log_density(x, *shapes))

    def total(x, shapes, start):
        return fnp.sum(fnp.where(inside, log_density(x, *shapes[:-1], shapes[-1] + start), 0.0))

    gradient = fnad.jit(fnad.grad(total, argnums=(0, 1, 2)))
    by_x, by_shapes, by_start = gradient(x, tuple(shapes), 0.0)
    for slope in (by_x, *by_shapes):
        assert not slope[~inside].any()
    # What the lanes share gets no NaN: the sum is that over the lanes inside.
    np.testing.assert_allclose(by_start, np.sum(by_shapes[-1][inside]), rtol=1e-9, atol=1e-9)
    # At points with a kink, or at the edge of the parameters, slopes may be infinite, not NaN.
    assert not any(np.isnan(slope[inside]).any() for slope in (by_x, *by_shapes))


@pytest.mark.parametrize(
    ("function", "p", "slope", "curvature"),
    [  # polynomials in p
        (lambda p: stats.bernoulli.pmf(1, p), 0.0, 1, 0),
        (lambda p: stats.bernoulli.pmf(0, p), 1.0, -1, 0),
        (lambda p: stats.binom.pmf(0, 3, p), 0.0, -3, 6),
        (lambda p: stats.binom.pmf(1, 3, p), 0.0, 3, -12),
        (lambda p: stats.binom.pmf(2, 3, p), 1.0, -3, -12),
        (lambda p: stats.binom.pmf(1, 3, p), 1.0, 0, 6),
        (lambda p: stats.geom.pmf(2, p), 1.0, -1, -2),
        (lambda p: stats.nbinom.pmf(1, 2, p), 1.0, -2, -8),
        (lambda p: stats.poisson.pmf(0, p), 0.0, -1, 1),
        (lambda p: stats.poisson.pmf(1, p), 0.0, 1, -2),
    ],
)
def test_slopes_of_probabilities_at_edges_of_the_parameters(function, p, slope, curvature):
    for run in (lambda f: f, fnad.jit):
        np.testing.assert_allclose(run(fnad.grad(function))(p), slope, rtol=1e-14)
        np.testing.assert_allclose(run(fnad.grad(fnad.grad(function)))(p), curvature, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize(("name", "function"), CASES)
def test_sixteen_bits_are_rounded_once(name, function, dtype):
    ours = getattr(getattr(stats, name), function)
    x = np.array([0.1, 0.4, 0.9] if function in ("ppf", "isf") else [0.0, 1.0, 40.0], dtype)
    shapes = {"binom": (7, 0.3), "betabinom": (7, 2, 3), "nbinom": (7, 0.3), "truncnorm": (-1, 2)}
    given = shapes.get(name, (0.4, 0.7)[: len(DOMAINS[name])])
    given = [dtype(v) for v in given]
    with np.errstate(all="ignore"):
        wide = ours(*(np.float32(v) for v in (x, *given)))
        got = ours(x, *given)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, wide.astype(dtype))


def test_whole_numbers_count_as_float64():
    assert stats.norm.logpdf(1).dtype == np.float64
    assert stats.binom.pmf(np.int8(1), np.int32(3), np.float32(0.5)).dtype == np.float64
    assert stats.gamma.pdf(np.float32(1), 2.0).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: stats.gamma.logpdf(1.0), TypeError, "gamma.logpdf: missing .* 'a'"),
        (lambda: stats.norm.cdf(1.0, shape=2), TypeError, "norm.cdf: .* 'shape'"),
        (lambda: stats.norm.cdf(1j), TypeError, "norm.cdf is a function of real numbers"),
        (
            lambda: stats.beta.pdf(np.ones(2), np.ones(3), 1),
            ValueError,
            r"beta.pdf.*\(2,\).*\(3,\)",
        ),
    ],
)
def test_errors_name_the_function(call, error, message):
    with pytest.raises(error, match=message):
        call()
