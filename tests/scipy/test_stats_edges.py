"""Slopes at the edges of the support of distributions: their limits from within."""

import numpy as np
import pytest
import scipy.stats

import fnad
from fnad.scipy import stats
from fnad.testing import check_grads
from tests.tiers import tiered

INF = np.inf
# Distribution, edge, shapes, slope of the density.
DENSITIES = [
    ("gamma", 0.0, (1.0,), -1.0), ("gamma", 0.0, (2.0,), 1.0), ("gamma", 0.0, (3.0,), 0.0),
    ("gamma", 0.0, (1.5,), INF), ("gamma", 0.0, (0.5,), -INF),
    ("chi2", 0.0, (2.0,), -0.25), ("chi2", 0.0, (4.0,), 0.25), ("chi2", 0.0, (3.0,), INF),
    ("beta", 0.0, (1.0, 1.0), 0.0), ("beta", 1.0, (1.0, 1.0), 0.0),
    ("beta", 0.0, (2.0, 1.0), 2.0), ("beta", 0.0, (2.0, 2.0), 6.0), ("beta", 1.0, (2.0, 2.0), -6.0),
    ("beta", 0.0, (1.0, 3.0), -6.0), ("beta", 1.0, (1.0, 3.0), 0.0), ("beta", 0.0, (3.0, 1.0), 0.0),
    ("beta", 0.0, (1.5, 2.5), INF), ("beta", 1.0, (2.5, 1.5), -INF),
    ("beta", 0.0, (0.5, 1.0), -INF),
]  # fmt: skip


@pytest.mark.parametrize(("name", "edge", "shapes", "wanted"), DENSITIES)
def test_slopes_of_densities(name, edge, shapes, wanted):
    pdf = getattr(stats, name).pdf
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(fnad.grad(pdf)(edge, *shapes), wanted, rtol=1e-14)
    np.testing.assert_allclose(fnad.jit(fnad.grad(pdf))(edge, *shapes), wanted, rtol=1e-14)
    assert fnad.grad(pdf)(edge - 1 + 3 * (edge > 0), *shapes) == 0.0  # outside


@pytest.mark.parametrize(
    ("name", "edge", "shapes", "density"),
    [
        ("gamma", 0.0, (1.0,), 1.0),
        ("chi2", 0.0, (2.0,), 0.5),
        ("beta", 0.0, (1.0, 3.0), 3.0),
        ("beta", 1.0, (2.0, 1.0), 2.0),
        ("expon", 0.0, (), 1.0),
        ("pareto", 1.0, (2.0,), 2.0),
        ("uniform", 1.0, (), 1.0),
    ],
)
def test_slopes_of_distribution_functions_are_densities(name, edge, shapes, density):
    there = getattr(stats, name)
    for function, sign in ((there.cdf, 1), (getattr(there, "sf", None), -1)):
        if function is not None:
            for run in (fnad.grad(function), fnad.jit(fnad.grad(function))):
                np.testing.assert_allclose(run(edge, *shapes), sign * density, rtol=1e-13)


@pytest.mark.slow
def test_slopes_in_shapes():
    with np.errstate(all="ignore"):
        assert fnad.grad(stats.gamma.pdf, 1)(0.0, 2.0) == 0.0
        assert fnad.grad(stats.gamma.pdf, 1)(0.0, 1.0) == -INF
        slope = fnad.grad(stats.beta.pdf, 2)(0.0, 1.0, 3.0)
        np.testing.assert_allclose(slope, 1.0, rtol=1e-14)  # the density at 0 is b
    check_grads(stats.gamma.pdf, (np.array([0.5, 2.0]), np.array([0.7, 3.0]), 0.1, 2.0))
    check_grads(stats.beta.pdf, (np.array([0.2, 0.7]), np.array([0.7, 3.0]), 1.5, 0.1, 1.2))
    check_grads(stats.chi2.pdf, (np.array([0.5, 2.0]), 3.0))


def test_second_derivatives_at_an_edge():
    curvature = fnad.grad(fnad.grad(stats.gamma.pdf))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose([curvature(0.0, a) for a in (1.0, 2.0, 3.0)], [1.0, -2.0, 1.0])


# Distribution, shapes with the scale, exponent p and factor c of the density c x**p next to 0.
LEADING_POWERS = [
    ("gamma", (0.5, 2.0), -0.5, 1 / np.sqrt(2 * np.pi)),
    ("gamma", (1.0, 2.0), 0.0, 0.5),
    ("gamma", (1.5, 2.0), 0.5, 2**-0.5 / np.sqrt(np.pi)),
    ("gamma", (2.0, 2.0), 1.0, 0.25),
    ("chi2", (1.0, 1.0), -0.5, 1 / np.sqrt(2 * np.pi)),
    ("beta", (0.5, 2.0, 2.0), -0.5, 0.75 / 2**0.5),
    ("beta", (1.0, 2.0, 2.0), 0.0, 1.0),
    ("beta", (0.5, 0.5, 2.0), -0.5, 1 / np.pi / 2**0.5),
]


@tiered(
    "name,shapes,power,factor", LEADING_POWERS, lambda row: row[1][0] == 0.5 and row[0] != "chi2"
)
def test_slopes_in_the_scale_at_an_edge(name, shapes, power, factor):
    """Next to 0 the cdf is a power of x / scale, so its slope in the scale is -x pdf / scale: 0."""
    *shapes, scale = shapes
    there = getattr(stats, name)
    # The slope in the scale of a density c x**p, with c like scale**-(p + 1).
    mixed = -factor / scale if power == 0 else -INF if power < 0 else 0.0
    for function, sign in ((there.cdf, 1), (there.sf, -1)):

        def f(x, scale, function=function):
            return function(x, *shapes, scale=scale)

        with np.errstate(all="ignore"):
            in_scale = fnad.grad(f, 1)
            assert in_scale(0.0, scale) == fnad.grad(in_scale, 1)(0.0, scale) == 0
            values = [fnad.grad(in_scale)(0.0, scale), fnad.grad(fnad.grad(f), 1)(0.0, scale)]
        np.testing.assert_allclose(values, sign * mixed, rtol=1e-13)
    with np.errstate(all="ignore"):
        slope = fnad.grad(lambda s: there.pdf(0.0, *shapes, scale=s))(scale)
    np.testing.assert_allclose(slope, mixed, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_compiled_slopes_in_the_scale_at_an_edge(dtype):
    x, scales = np.array([0.0, 1.0], dtype), np.array([2.0, 2.0], dtype)
    for function, shapes in ((stats.gamma.cdf, (0.5,)), (stats.beta.sf, (0.5, 2.0))):
        slope = fnad.grad(lambda x, s: function(x, *shapes, scale=s), 1)  # noqa: B023
        compiled = fnad.jit(fnad.vmap(slope))(x, scales)
        assert compiled[0] == 0
        np.testing.assert_allclose(compiled[1], slope(x[1], scales[1]), rtol=1e-5)


def test_curvatures_of_distribution_functions_at_an_edge():
    for a, wanted in ((0.5, -INF), (1.0, -1.0), (1.5, INF), (2.0, 1.0), (3.0, 0.0)):
        with np.errstate(all="ignore"):
            assert fnad.grad(fnad.grad(stats.gamma.cdf))(0.0, a) == wanted
            np.testing.assert_allclose(fnad.grad(fnad.grad(stats.gamma.sf))(0.0, a), -wanted)
    for edge, a, b, wanted in ((0.0, 2.0, 2.0, 6.0), (1.0, 2.0, 2.0, -6.0), (0.0, 0.5, 0.5, -INF)):
        with np.errstate(all="ignore"):
            value = fnad.grad(fnad.grad(stats.beta.cdf))(edge, a, b)
        np.testing.assert_allclose(value, wanted, rtol=1e-13)


def test_tangents_outside_of_the_support_are_zero():
    for there, shapes in ((stats.beta, (0.5, 0.5)), (stats.gamma, (0.5,)), (stats.chi2, (1.0,))):
        for function, below in ((there.cdf, 0.0), (there.sf, 1.0)):
            assert fnad.jvp(lambda x: function(x, *shapes), (-1.0,), (1.0,)) == (below, 0.0)  # noqa: B023
    assert fnad.jvp(lambda x: stats.beta.cdf(x, 0.5, 0.5), (2.0,), (1.0,)) == (1.0, 0.0)


def test_logarithms_of_probabilities_next_to_an_edge():
    x = np.array([1e-300, 1e-10, 0.3])
    for f in (stats.beta.logcdf, fnad.jit(stats.beta.logcdf)):
        wanted = scipy.stats.beta.cdf(x, 1e-3, 0.5)
        np.testing.assert_allclose(f(x, 1e-3, 0.5), np.log(wanted), rtol=1e-12)


def test_uniform_from_nan_on_is_nan():
    assert np.isnan(stats.uniform.logpdf(0.5, np.nan))
    assert np.isnan(stats.uniform.pdf(0.5, np.nan, 2.0))
