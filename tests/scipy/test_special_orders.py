"""Functions with orders, the complex gamma function, and binomial coefficients, against mpmath."""

import math

import mpmath
import numpy as np
import pytest
import scipy.special

import fnad
import fnad.numpy as fnp
from fnad.scipy import special
from fnad.testing import check_grads

RNG = np.random.default_rng(0)
ORDER = pytest.mark.parametrize("order", [1, pytest.param(2, marks=pytest.mark.slow)])
POINTS = np.concatenate([[0.0], 10 ** RNG.uniform(-6, 4, 15), RNG.uniform(-60, 60, 25)])


@pytest.mark.parametrize("v", [0, 1, 7, 40])
def test_bessel_functions_are_mpmaths(v):
    def ours(z):
        return special.bessel_jn(z, v=v)

    with mpmath.workdps(30):
        exact = [[float(mpmath.besselj(k, float(z))) for z in POINTS] for k in range(v + 1)]
    for f in (ours, fnad.jit(ours)):
        # Next to their zeros relative to what they are of, which has the size of sqrt(1/z).
        np.testing.assert_allclose(f(POINTS), exact, rtol=2e-14, atol=2e-15)
    small = np.abs(POINTS) < v
    np.testing.assert_allclose(ours(POINTS)[v, small], np.array(exact)[v, small], rtol=2e-14)
    single = ours(POINTS.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, ours(POINTS.astype(np.float32) * 1.0), atol=3e-6)
    batched = fnad.vmap(ours)(POINTS)
    np.testing.assert_allclose(batched, ours(POINTS).T, rtol=1e-13, atol=1e-16)


@ORDER
def test_bessel_functions_at_edges(order):
    values = special.bessel_jn(np.array([np.inf, -np.inf, np.nan, 0.0]), v=2)
    np.testing.assert_array_equal(values[:, :2], 0)
    assert np.isnan(values[:, 2]).all()
    np.testing.assert_array_equal(values[:, 3], [1, 0, 0])
    more = special.bessel_jn(np.float64(3.0), v=1, n_iter=200)
    np.testing.assert_allclose(more, special.bessel_jn(np.float64(3.0), v=1), rtol=1e-15)
    assert special.bessel_jn(np.zeros((0, 3)), v=4).shape == (5, 0, 3)
    assert special.bessel_jn(1, v=0).dtype == np.float64
    z = np.array([0.0, 0.3, -2.0, 8.0, 30.0])
    check_grads(fnad.jit(lambda z: special.bessel_jn(z, v=3)), (z,), order=order)
    with pytest.raises(ValueError, match="v must not be negative, got -1"):
        special.bessel_jn(1.0, v=-1)
    with pytest.raises(TypeError, match=r"Python ints, got 1\.5"):
        special.bessel_jn(1.0, v=1.5)


DEGREES = RNG.integers(0, 40, 40)
ORDERS = np.array([RNG.integers(-n, n + 1) for n in DEGREES])
THETA, PHI = RNG.uniform(0, np.pi, 40), RNG.uniform(0, 2 * np.pi, 40)


def test_spherical_harmonics_are_scipys():
    wanted = scipy.special.sph_harm_y(DEGREES, ORDERS, THETA, PHI)
    for f in (special.sph_harm_y, fnad.jit(special.sph_harm_y), fnad.vmap(special.sph_harm_y)):
        np.testing.assert_allclose(f(DEGREES, ORDERS, THETA, PHI), wanted, rtol=1e-11, atol=1e-13)
    single = special.sph_harm_y(DEGREES, ORDERS, THETA.astype(np.float32), PHI.astype(np.float32))
    assert single.dtype == np.complex64
    np.testing.assert_allclose(single, wanted, atol=1e-4)


def test_spherical_harmonics_of_all_kinds_of_orders():
    assert special.sph_harm_y(1, 2, 0.3, 0.4) == 0
    assert special.sph_harm_y(5, 1, 0.3, 0.4, n_max=3) == special.sph_harm_y(3, 1, 0.3, 0.4)
    assert special.sph_harm_y(np.arange(3)[:, None], 0, np.zeros(4), 0.1).shape == (3, 4)
    assert special.sph_harm_y(np.zeros(0, int), 0, 0.0, 0.1).shape == (0,)
    wanted = scipy.special.sph_harm_y(200, 200, 0.3, 0.4)
    np.testing.assert_allclose(special.sph_harm_y(200, 200, 0.3, 0.4), wanted, rtol=1e-12)
    with pytest.raises(TypeError, match="n must be integers, got dtype float64"):
        special.sph_harm_y(1.0, 0, 0.3, 0.4)
    with pytest.raises(ValueError, match="diff_n=1"):
        special.sph_harm_y(1, 0, 0.3, 0.4, diff_n=1)


@ORDER
def test_derivatives_of_spherical_harmonics_hold_at_poles(order):
    n, m = np.arange(6), np.array([0, 1, -2, 3, 0, -5])
    theta, phi = np.array([0.0, 0.0, 0.3, 1.0, np.pi, 2.0]), np.linspace(0.1, 3, 6)
    ours = fnad.jit(lambda t, p: fnp.real((2 - 1j) * special.sph_harm_y(n, m, t, p)))
    check_grads(ours, (theta, phi), order=order)


PLANE = np.concatenate(
    [
        10 ** RNG.uniform(-6, 3, 60) * np.exp(1j * RNG.uniform(-np.pi, np.pi, 60)),
        1 + 10 ** RNG.uniform(-9, 0, 20) * np.exp(1j * RNG.uniform(0, 6, 20)),
        2 + 10 ** RNG.uniform(-9, 0, 20) * np.exp(1j * RNG.uniform(0, 6, 20)),
        -RNG.uniform(0, 20, 10) + 0j,
    ]
)


def test_complex_loggamma_is_mpmaths():
    exact = [complex(mpmath.loggamma(mpmath.mpc(z))) for z in PLANE]
    for f in (special.loggamma, fnad.jit(special.loggamma), fnad.vmap(special.loggamma)):
        np.testing.assert_allclose(f(PLANE), exact, rtol=5e-14)
    below = special.loggamma(np.array([complex(-1.5, -0.0)]))
    np.testing.assert_allclose(below, scipy.special.loggamma(complex(-1.5, -0.0)), rtol=1e-14)
    away = PLANE[:60].astype(np.complex64)
    single = special.loggamma(away)
    assert single.dtype == np.complex64
    exact = [complex(mpmath.loggamma(mpmath.mpc(complex(z)))) for z in away]
    np.testing.assert_allclose(single, exact, rtol=2e-4)


@ORDER
def test_derivatives_of_complex_loggamma_are_mpmaths(order):
    def slope(f):
        return lambda z: fnad.jvp(f, (z,), (np.ones_like(z),))[1]

    z = PLANE[::3]
    first = slope(special.loggamma)
    exact = [complex(mpmath.digamma(mpmath.mpc(v))) for v in z]
    np.testing.assert_allclose(first(z), exact, rtol=2e-14)
    z = np.array([0.3 + 2j, -1.3 - 2j, 5 + 20j, 1.1 + 0j])
    exact = [complex(mpmath.polygamma(1, mpmath.mpc(v))) for v in z]
    np.testing.assert_allclose(slope(first)(z), exact, rtol=1e-12)
    check_grads(lambda z: fnp.real(special.loggamma(z)), (z,), order=order)


@ORDER
def test_real_loggamma_is_scipys(order):
    x = np.array([-1.5, 0.0, 1.0, 3.5, np.inf, -np.inf, np.nan])
    np.testing.assert_allclose(special.loggamma(x), scipy.special.loggamma(x), rtol=1e-14)
    assert special.loggamma(x.astype(np.float32)).dtype == np.float32
    check_grads(special.loggamma, (np.array([0.4, 2.0, 9.0]),), order=order)


def test_combinations_are_exact_integers():
    n = np.concatenate([RNG.integers(0, 55, 60), RNG.integers(0, 1000, 20)])
    k = np.floor(n * RNG.uniform(0, 1, 80)).astype(int)
    exact = np.array([float(math.comb(int(a), int(b))) for a, b in zip(n, k)])
    for f in (special.comb, fnad.jit(special.comb), fnad.vmap(special.comb)):
        found = f(n, k)
        np.testing.assert_allclose(found, exact, rtol=3e-13)
        np.testing.assert_array_equal(found[exact < 2**47], exact[exact < 2**47])
    n, k = np.array([0, 0, 3, 3, -1, 2]), np.array([0, 1, 2, -1, 0, 3])
    np.testing.assert_array_equal(special.comb(n, k), scipy.special.comb(n, k))
    n, k = n[:4], k[:4]
    wanted = scipy.special.comb(n, k, repetition=True)
    np.testing.assert_array_equal(special.comb(n, k, repetition=True), wanted)
    with pytest.raises(ValueError, match=r"math\.comb"):
        special.comb(3, 2, exact=True)


@ORDER
def test_binomial_coefficients_of_real_numbers(order):
    n = RNG.uniform(-20, 30, 60)
    k = np.concatenate([RNG.uniform(-20, 30, 40), np.floor(RNG.uniform(0, 30, 20))])
    exact = [float(mpmath.binomial(mpmath.mpf(a), mpmath.mpf(b))) for a, b in zip(n, k)]
    for f in (special.binom, fnad.jit(special.binom)):
        np.testing.assert_allclose(f(n, k), exact, rtol=3e-11)
    n, k = np.array([-3.0, 3, 3, 2.5, np.nan]), np.array([2.0, -1, 5, -1, 1])
    np.testing.assert_array_equal(special.binom(n, k), [np.nan, 0, 0, 0, np.nan])
    assert special.binom(np.float32(5), np.float32(2)).dtype == np.float32
    n, k = np.array([5.0, 7.3, 30.0, 100.0]), np.array([2.0, 3.1, 30.0, 55.0])
    check_grads(fnad.jit(special.binom), (n, k), order=order)
