"""Zeros of piecewise polynomials, `interp1d` and `InterpolatedUnivariateSpline` against SciPy."""

import numpy as np
import pytest
import scipy.interpolate

import fnad
from fnad.scipy import interpolate
from fnad.testing import check_grads

RNG = np.random.default_rng(0)
X = np.cumsum(RNG.uniform(0.3, 1.5, 9))
Y = RNG.normal(size=(9, 2))


def both(name, *args, **options):
    return [getattr(m, name)(*args, **options) for m in (interpolate, scipy.interpolate)]


@pytest.mark.parametrize("extrapolate", [True, False])
@pytest.mark.parametrize("degree", range(5))
def test_zeros_are_scipys(degree, extrapolate):
    for trial in range(2):
        c = RNG.normal(size=(degree + 1, 5))
        if trial == 1 and degree:
            c[0, 2:] = 0  # lower degrees
        ours, theirs = both("PPoly", c, X[:6], extrapolate)
        for jumps in (True, False):
            wanted = np.unique(theirs.roots(jumps))
            np.testing.assert_allclose(ours.roots(jumps), wanted, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(ours.solve(0.3), np.unique(theirs.solve(0.3)), rtol=1e-9)


def test_zeros_at_nodes_touching_and_of_nothing():
    square = interpolate.PPoly(np.array([[1.0, 1.0], [-2.0, 0.0], [1.0, 0.0]]), np.array([0, 2, 3]))
    np.testing.assert_allclose(square.roots(), [1.0, 2.0])
    zero = interpolate.PPoly(np.array([[1.0, 0.0], [-0.5, 0.0]]), np.array([0.0, 1.0, 3.0]))
    np.testing.assert_array_equal(zero.roots(), [0.5, 1.0, np.nan])
    far = interpolate.PPoly(np.array([[1e-12], [1.0], [-1.0]]), np.array([0.0, 0.5]))
    np.testing.assert_allclose(far.roots(), [-1e12 - 1, 1 - 1e-12], rtol=1e-14)


def test_zeros_under_jit_have_a_size():
    spline, wanted = both("CubicSpline", X, Y)
    each = wanted.solve(0.1, extrapolate=False)
    found = fnad.jit(lambda y: interpolate.CubicSpline(X, y).solve(0.1, True, False, size=9))(Y)
    for ours, row, theirs in zip(spline.solve(0.1, True, False), found, each):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
        np.testing.assert_allclose(row[: theirs.size], theirs, rtol=1e-12)
        assert np.isnan(row[theirs.size :]).all()
    batched = fnad.vmap(lambda y: interpolate.CubicSpline(X, y).roots(size=3, fill_value=-1))(Y.T)
    assert batched.shape == (2, 3)
    with pytest.raises(ValueError, match="pass size="):
        fnad.jit(lambda y: interpolate.CubicSpline(X, y).roots())(Y)
    with pytest.raises(TypeError, match="must be real"):
        interpolate.PPoly(np.ones((2, 8)) * 1j, X).roots()


def test_gradients_of_zeros():
    def zeros(x, y):
        return interpolate.CubicSpline(x, y).roots(size=3)

    check_grads(zeros, (X, Y[:, 0]), order=1)


def test_pieces_of_splines_are_scipys():
    tck, wanted = both("splrep", X, Y[:, 0])
    ours = interpolate.PPoly.from_spline(tck)
    theirs = scipy.interpolate.PPoly.from_spline(wanted)
    np.testing.assert_allclose(ours(X + 0.1), theirs(X + 0.1), rtol=1e-11)
    found = interpolate.sproot(tck)
    np.testing.assert_allclose(found, scipy.interpolate.sproot(wanted, mest=30), rtol=1e-11)


KINDS = ["linear", "nearest", "nearest-up", "previous", "next", "zero", "slinear", "quadratic",
         "cubic", 4]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_interp1d_is_scipys(kind):
    shuffled = RNG.permutation(9)
    y = RNG.normal(size=(2, 9, 3))
    x = np.concatenate([X, 0.5 * (X[1:] + X[:-1]), RNG.uniform(X[0], X[-1], 11)]).reshape(4, 7)
    for options in (
        {},
        {"fill_value": "extrapolate"},
        {"fill_value": (-1.0, 2.0), "bounds_error": False},
    ):
        args = X[shuffled], y[:, shuffled], kind, 1
        ours, theirs = both("interp1d", *args, **options)
        points = x if not options else x * 1.5 - 2
        np.testing.assert_allclose(ours(points), theirs(points), rtol=1e-9, atol=1e-9)
        found = fnad.jit(lambda f, points: f(points))(ours, points)
        np.testing.assert_allclose(found, theirs(points), rtol=1e-9, atol=1e-9)


def test_interp1d_outside():
    f = interpolate.interp1d(X, Y[:, 0])
    with pytest.raises(ValueError, match="below the nodes"):
        f(X[0] - 1)
    assert np.isnan(fnad.jit(f)(X[0] - 1))
    assert interpolate.interp1d(X, Y[:, 0], bounds_error=False, fill_value=7.0)(X[0] - 1) == 7
    with pytest.raises(ValueError, match="cannot be kept"):
        fnad.jit(interpolate.interp1d(X, Y[:, 0], bounds_error=True))(X)
    with pytest.raises(ValueError, match="kind must be"):
        interpolate.interp1d(X, Y[:, 0], "linar")


def test_splines_through_points_are_scipys():
    for k, ext in ((3, 0), (4, 1), (1, 3)):
        ours, theirs = both("InterpolatedUnivariateSpline", X, Y[:, 0], k=k, ext=ext)
        points = np.linspace(X[0] - 0.5, X[-1] + 0.5, 30)
        np.testing.assert_allclose(ours(points), theirs(points), rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(fnad.jit(lambda f, x: f(x, 1))(ours, X), theirs(X, 1), 1e-8)
        np.testing.assert_allclose(ours.integral(1, 4), theirs.integral(1, 4), rtol=1e-9)
        np.testing.assert_allclose(ours.derivatives(X[3]), theirs.derivatives(X[3]), rtol=1e-8)
        np.testing.assert_allclose(ours.get_coeffs(), theirs.get_coeffs(), rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(ours.get_knots(), theirs.get_knots(), rtol=1e-14)
        found, wanted = ours.antiderivative(), theirs.antiderivative()
        np.testing.assert_allclose(found(X[1:-1]), wanted(X[1:-1]), rtol=1e-9)
        if k == 3:
            np.testing.assert_allclose(ours.roots(), theirs.roots(), rtol=1e-10)


def test_interpn_is_scipys():
    grid = X, np.arange(2.0)
    points = np.stack([np.linspace(X[0], X[-1], 7), np.linspace(0, 1, 7)], axis=1)
    for method in ("linear", "nearest"):
        found, wanted = both("interpn", grid, Y, points, method)
        np.testing.assert_allclose(found, wanted, rtol=1e-13)
