"""The complete elliptic integrals against mpmath: values, edges, derivatives of three orders."""

import mpmath
import numpy as np
import pytest
import scipy.special

import fnad
from fnad.scipy import special
from fnad.testing import check_grads

RNG = np.random.default_rng(0)
PARAMETERS = np.concatenate(
    [RNG.uniform(-1, 1, 30), -(10 ** RNG.uniform(-8, 20, 15)), 1 - 10 ** RNG.uniform(-15, 0, 15)]
)
COMPLEMENTS = np.concatenate([10 ** RNG.uniform(-320, 300, 30), RNG.uniform(0, 3, 15), [5e-324]])
CASES = pytest.mark.parametrize(
    ("name", "points", "exact"),
    [
        ("ellipk", PARAMETERS, mpmath.ellipk),
        ("ellipe", PARAMETERS, mpmath.ellipe),
        ("ellipkm1", COMPLEMENTS, lambda p: mpmath.ellipk(1 - p)),
    ],
    ids=["ellipk", "ellipe", "ellipkm1"],
)


def reference(exact, points):
    with mpmath.workdps(360):
        return np.array([float(exact(mpmath.mpf(float(x)))) for x in points])


@CASES
def test_values_are_mpmaths(name, points, exact):
    function = getattr(special, name)
    wanted = reference(exact, points)
    for f in (function, fnad.jit(function), fnad.vmap(function)):
        np.testing.assert_allclose(f(points), wanted, rtol=1e-15)
    single = points[(np.abs(points) < 1e30) & (np.abs(points) > 1e-30)].astype(np.float32)
    single = single[single != 1]
    ours = function(single)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, reference(exact, single), rtol=5e-7)


@CASES
def test_edges_are_scipys(name, points, exact):
    function = getattr(special, name)
    edges = np.array([0.0, -0.0, 1.0, 2.0, -1.0, np.inf, -np.inf, np.nan])
    wanted = getattr(scipy.special, name)(edges)
    for f in (function, fnad.jit(function)):
        np.testing.assert_allclose(f(edges), wanted, rtol=1e-15)
    assert function(0).dtype == np.float64
    assert function(np.zeros(2, np.float16)).dtype == np.float16
    assert function(np.zeros((0, 2), np.float32)).shape == (0, 2)
    with pytest.raises(TypeError, match=rf"{name} is a function of real numbers.*complex128"):
        function(1j)


@pytest.mark.parametrize(("name", "exact"), [("ellipk", mpmath.ellipk), ("ellipe", mpmath.ellipe)])
def test_three_derivatives_are_mpmaths(name, exact):
    points = np.array([-1e6, -3, -0.6, -0.4, -1e-9, 0, 1e-12, 0.2, 0.49, 0.51, 0.9, 1 - 1e-10])
    slope = getattr(special, name)
    for order in (1, 2, 3):
        slope = fnad.grad(slope)
        with mpmath.workdps(80):
            step = mpmath.mpf(10) ** -22
            wanted = [
                float(mpmath.diff(exact, mpmath.mpf(float(x)), order, h=step)) for x in points
            ]
        np.testing.assert_allclose(fnad.vmap(slope)(points), wanted, rtol=3e-14)


def test_derivatives_of_ellipkm1_and_at_ends():
    check_grads(fnad.jit(special.ellipkm1), (np.array([0.2, 0.7, 1.0, 1.7, 40.0]),), order=2)
    np.testing.assert_allclose(fnad.grad(special.ellipkm1)(1e-300), -0.5e300, rtol=1e-15)
    np.testing.assert_allclose(fnad.grad(fnad.grad(special.ellipkm1))(1e-100), 0.5e200, rtol=1e-14)
    assert fnad.grad(special.ellipk)(1.0) == np.inf
    assert fnad.grad(special.ellipe)(1.0) == -np.inf
    for function in (special.ellipk, special.ellipe):
        assert fnad.grad(function)(-np.inf) == 0
        assert np.isnan(fnad.grad(function)(2.0))
        assert fnad.grad(function)(np.float32(0.9)).dtype == np.float32
