"""Bessel functions of orders 0 and 1 against mpmath: values, edges, derivatives, transforms."""

import mpmath
import numpy as np
import pytest
import scipy.special

import fnad
from fnad.scipy import special
from fnad.testing import check_grads

RNG = np.random.default_rng(0)
POINTS = np.concatenate([10 ** RNG.uniform(-8, 4, 15), RNG.uniform(0, 40, 25), [2.0, 5.0, 1e-310]])
EXACT = {
    "j0": lambda x: mpmath.besselj(0, x),
    "j1": lambda x: mpmath.besselj(1, x),
    "y0": lambda x: mpmath.bessely(0, x),
    "y1": lambda x: mpmath.bessely(1, x),
    "k0": lambda x: mpmath.besselk(0, x),
    "k1": lambda x: mpmath.besselk(1, x),
    "k0e": lambda x: mpmath.exp(x) * mpmath.besselk(0, x),
    "k1e": lambda x: mpmath.exp(x) * mpmath.besselk(1, x),
}
NAMES = pytest.mark.parametrize("name", EXACT)


def reference(name, points):
    with mpmath.workdps(30):
        return np.array([float(EXACT[name](mpmath.mpf(float(x)))) for x in points])


@NAMES
def test_values_are_mpmaths(name):
    function, exact = getattr(special, name), reference(name, POINTS)
    size = np.abs(exact)
    if name[0] in "jy":  # next to their zeros relative to their amplitude
        size = np.maximum(size, 0.8 / np.sqrt(np.maximum(POINTS, 1)))
    with np.errstate(all="ignore"):
        for f in (function, fnad.jit(function), fnad.vmap(function)):
            finite = np.isfinite(exact)
            np.testing.assert_array_equal(f(POINTS)[~finite], exact[~finite])
            # exp(-x) of large x is what is not normal.
            error = np.abs(f(POINTS) - exact)[finite]
            assert (error <= 1.5e-15 * size[finite] + 1e-307).all()
        single = POINTS[:30].astype(np.float32)
        exact = reference(name, single)
        if name[0] in "jy":
            error = np.abs(function(single) - exact) / np.maximum(size[:30], np.abs(exact))
        else:
            error = (np.abs(function(single) - exact) - 1e-37) / np.abs(exact + 1e-37)
        assert function(single).dtype == np.float32
        assert error.max() < 8e-7


@pytest.mark.parametrize(("name", "zero"), [("j0", 2.404825557695773), ("j1", 3.8317059702075125)])
def test_first_zeros_keep_all_digits(name, zero):
    points = zero + np.array([-1e-3, -1e-9, 0, 1e-12, 1e-5])
    ours = fnad.jit(getattr(special, name))(points)
    np.testing.assert_allclose(ours, reference(name, points), rtol=2e-15)


@NAMES
def test_edges_are_scipys(name):
    points = np.array([0.0, -0.0, -1.0, np.nan, -np.inf, np.inf])
    function = getattr(special, name)
    with np.errstate(all="ignore"):
        wanted = getattr(scipy.special, name)(points)
        if name[0] in "jy":  # SciPy's are NaN at infinity
            wanted[-2:] = [np.nan if name[0] == "y" else 0, 0]
        for f in (function, fnad.jit(function)):
            np.testing.assert_allclose(f(points), wanted, rtol=1e-15)
    assert function(1).dtype == np.float64
    assert function(np.ones(2, np.float16)).dtype == np.float16
    assert function(np.zeros((0, 2), np.float32)).shape == (0, 2)
    with pytest.raises(TypeError, match=rf"{name} is a function of real numbers.*complex128"):
        function(1j)


@NAMES
def test_derivatives(name):
    function = getattr(special, name)
    check_grads(fnad.jit(function), (np.array([0.3, 1.9, 2.2, 4.9, 5.1, 30.0]),), order=2)
    slope = fnad.vmap(fnad.grad(function))(np.float32([0.7, 3.0, 9.0]))
    assert slope.dtype == np.float32
    exact = fnad.vmap(fnad.grad(function))(np.float64([0.7, 3.0, 9.0]))
    np.testing.assert_allclose(slope, exact, rtol=1e-5)


def test_derivatives_at_ends():
    grad = fnad.grad
    assert grad(special.j0)(0.0) == 0
    assert grad(special.j1)(0.0) == pytest.approx(0.5, rel=1e-15)
    assert grad(grad(special.j0))(0.0) == pytest.approx(-0.5, rel=1e-15)
    assert grad(grad(grad(special.j1)))(0.0) == pytest.approx(-3 / 8, rel=1e-13)
    for name in ("j0", "j1", "y0", "y1", "k0", "k1", "k0e", "k1e"):
        assert grad(getattr(special, name))(np.inf) == 0
    for name in ("y0", "y1", "k0", "k1", "k0e", "k1e"):
        assert grad(getattr(special, name))(0.0) == (np.inf if name[0] == "y" else -np.inf)
    assert np.isnan(grad(special.y0)(-1.0))


ORDERS = RNG.integers(-60, 60, 60)
ARGUMENTS = np.concatenate([10 ** RNG.uniform(-3, 3, 30), RNG.uniform(0, 60, 30)])
OF_ORDERS = pytest.mark.parametrize(
    ("name", "exact"), [("yn", mpmath.bessely), ("kn", mpmath.besselk)], ids=["yn", "kn"]
)


@OF_ORDERS
def test_integer_orders_are_mpmaths(name, exact):
    function = getattr(special, name)
    pairs = [(int(n), mpmath.mpf(float(x))) for n, x in zip(ORDERS, ARGUMENTS)]
    wanted = np.array([float(exact(n, x)) for n, x in pairs])
    size = np.abs(wanted)
    if name == "yn":  # the amplitude
        size = np.array([float(abs(mpmath.hankel1(n, x))) for n, x in pairs])
    known = np.isfinite(wanted)
    with np.errstate(all="ignore"):
        for f in (function, fnad.jit(function), fnad.vmap(function)):
            ours = f(ORDERS, ARGUMENTS)
            np.testing.assert_array_equal(ours[~known], wanted[~known])
            error = np.abs(ours - wanted)[known]
            assert (error <= 5e-15 * size[known] + 1e-307).all()
        single = function(ORDERS.astype(np.float32), ARGUMENTS.astype(np.float32))
        assert single.dtype == np.float32
        full = function(ORDERS, ARGUMENTS.astype(np.float32).astype(float))
    kept = (np.abs(full) < 1e38) & (np.abs(full) > 1e-36)
    assert (np.abs(single - full)[kept] <= 3e-6 * np.maximum(size, np.abs(full))[kept]).all()


def test_kn_of_large_orders_stays_in_range():
    # mpmath's, which takes seconds for them.
    exact = [2.3374540813400607e297, 7.131663138213897e-07, 1.298180251466701e-233]
    ours = special.kn(np.array([900, 1500, 1000]), np.array([300.0, 1000.0, 1000.0]))
    np.testing.assert_allclose(ours, exact, rtol=5e-14)


@OF_ORDERS
def test_integer_orders_at_edges(name, exact):
    function, theirs = getattr(special, name), getattr(scipy.special, name)
    orders = np.array([0, 1, 2, 3, -1, -2])
    for x in (0.0, -1.0, np.nan):
        np.testing.assert_array_equal(function(orders, x), theirs(orders, x))
    np.testing.assert_array_equal(function(orders, np.inf), 0)
    assert np.isnan(function(np.array([1.5, np.nan, np.inf]), 2.0)).all()
    assert function(300, 1e-5) == theirs(300, 1e-5)
    assert function(np.zeros((0, 2)), 1.0).shape == (0, 2)
    with pytest.raises(TypeError, match=rf"{name} is a function of real numbers.*complex128"):
        function(1, 1j)
    orders, points = np.array([0.0, 2, -3, 7]), np.array([0.5, 3.0, 8.0, 2.0])
    check_grads(fnad.jit(lambda x: function(orders, x)), (points,), order=2)
    slope = fnad.grad(function, 1)
    assert slope(3.0, 0.0) == (np.inf if name == "yn" else -np.inf)
    assert slope(3.0, np.inf) == 0
    assert fnad.grad(function, 0)(3.0, 2.0) == 0
