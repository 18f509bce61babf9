"""`fnad.scipy.interpolate` against SciPy's."""

import numpy as np
import pytest
import scipy.interpolate

import fnad
import fnad.numpy as fnp
from fnad.scipy.interpolate import BSpline, PPoly, RegularGridInterpolator
from fnad.testing import check_grads
from tests.samples.values import normal, normal_complex, uniform

GRID = np.array([0.0, 1.0, 1.5, 4.0]), np.array([-1.0, 0.5, 2.0])
VALUES = normal(4, 3)
POINTS = np.stack([uniform(-1, 5, 2, 20), uniform(-2, 3, 2, 20, seed=1)], -1)


@pytest.mark.parametrize("method", ["linear", "nearest"])
@pytest.mark.parametrize("fill_value", [np.nan, 7.0, None])
@pytest.mark.parametrize(
    "values",
    [VALUES, normal(4, 3, 2), VALUES.astype(np.float32), normal_complex(4, 3), VALUES > 0],
    ids=["double", "vectors", "single", "complex", "bool"],
)
def test_as_scipys(values, fill_value, method):
    given = {"method": method, "bounds_error": False, "fill_value": fill_value}
    ours = RegularGridInterpolator(GRID, values, **given)
    theirs = scipy.interpolate.RegularGridInterpolator(
        GRID, values.astype(ours.values.dtype), **given
    )
    for points in (
        POINTS,
        (POINTS[0, :, 0], 0.25),
        [1.25, 0.0],
        np.array([[0.0, 2.0], [np.nan, 0]]),
    ):
        found, expected = ours(points), theirs(points)
        assert found.shape == expected.shape
        assert found.dtype == ours.values.dtype
        np.testing.assert_allclose(
            found, expected, rtol=1e-5 if found.real.itemsize == 4 else 1e-13
        )
    np.testing.assert_array_equal(ours(POINTS, "nearest"), ours(POINTS, method="nearest"))


def test_descending_lines_and_single_ones():
    points = POINTS[0]
    down = RegularGridInterpolator((GRID[0][::-1], GRID[1]), VALUES[::-1])
    np.testing.assert_array_equal(down(points), RegularGridInterpolator(GRID, VALUES)(points))
    single = RegularGridInterpolator((GRID[0], np.array([1.0])), VALUES[:, :1])
    expected = np.interp([0.5, 3.0], GRID[0], VALUES[:, 0])
    np.testing.assert_allclose(single(([0.5, 3.0], [1.0, 1.0])), expected)
    assert np.isnan(single((0.5, 1.1)))


def test_one_axis():
    f = RegularGridInterpolator((GRID[0],), VALUES)
    x = np.array([0.0, 0.5, 4.0])
    theirs = scipy.interpolate.RegularGridInterpolator((GRID[0],), VALUES)
    np.testing.assert_allclose(f(x), theirs(x))
    np.testing.assert_allclose(f((x,)), theirs((x,)))


def test_points_outside_are_an_error_if_asked_for():
    f = RegularGridInterpolator(GRID, VALUES, bounds_error=True)
    inside = np.array([1.0, 1.0])
    assert f(inside).shape == (1,)
    with pytest.raises(ValueError, match="a point lies outside of the grid along axis 1"):
        f([1.0, 3.0])
    with pytest.raises(ValueError, match="bounds_error cannot be kept under tracing"):
        fnad.jit(f)(inside)


def test_transformed():
    points = POINTS[0, :6]

    def f(values, points, first):
        return RegularGridInterpolator((first, GRID[1]), values, fill_value=None)(points)

    expected = f(VALUES, points, GRID[0])
    np.testing.assert_allclose(fnad.jit(f)(VALUES, points, GRID[0]), expected, rtol=1e-12)
    by_point = fnad.vmap(lambda p: f(VALUES, p, GRID[0])[0])
    np.testing.assert_allclose(by_point(points), expected, rtol=1e-12)
    check_grads(lambda v, p, g: (f(v, p, g) ** 2).sum(), (VALUES, points, GRID[0]), order=1)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="method must be one of"):
        RegularGridInterpolator(GRID, VALUES, "cubic")
    with pytest.raises(ValueError, match="method must be one of"):
        RegularGridInterpolator(GRID, VALUES)(POINTS, "cubic")
    with pytest.raises(ValueError, match=r"2 arrays of points for values of shape \(4,\)"):
        RegularGridInterpolator(GRID, VALUES[:, 0])
    with pytest.raises(ValueError, match=r"points of shape \(3,\) along axis 0 of values"):
        RegularGridInterpolator(GRID[::-1], VALUES)
    with pytest.raises(ValueError, match="along axis 0 must be strictly ascending or descending"):
        RegularGridInterpolator((np.array([0.0, 1.0, 1.0, 2.0]), GRID[1]), VALUES)
    with pytest.raises(ValueError, match="fill_value 1j does not go into values of dtype float64"):
        RegularGridInterpolator(GRID, VALUES, fill_value=1j)
    with pytest.raises(ValueError, match="have 3 coordinates, but the grid"):
        RegularGridInterpolator(GRID, VALUES)(np.zeros((4, 3)))


def test_what_is_not_extrapolated_has_no_derivatives():
    nodes = np.array([0.0, 1, 2, 4])
    for spline in (
        PPoly(np.array([[1.0, 2, 3], [0, 1, 3]]), nodes, extrapolate=False),
        PPoly(np.ones((1, 3)), nodes, extrapolate=False),
        BSpline(np.arange(8.0), np.ones(4), 3, extrapolate=False),
    ):
        for derivative in (fnad.grad, fnad.jacfwd):
            slope = fnad.jit(derivative(lambda x, s=spline: s(x)))
            assert np.isnan(slope(9.0)) and np.isnan(slope(-1.0)) and np.isfinite(slope(3.5))
        chosen = lambda x, s=spline: fnp.where(x < 4, s(x), 0)
        assert fnad.grad(chosen)(9.0) == 0
