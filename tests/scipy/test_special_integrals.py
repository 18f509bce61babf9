"""Integrals of Dawson, Fresnel, Faddeeva and Owen, of sines and cosines, against mpmath."""

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
INF, NAN = np.inf, np.nan
WIDE = np.concatenate([10 ** RNG.uniform(-8, 8, 25), RNG.uniform(0, 12, 35)])
SIGNED = WIDE * RNG.choice([-1, 1], 60)


def exact_wofz(z):
    z = mpmath.mpc(complex(z))
    with mpmath.workdps(60 + int(abs(z) ** 2)):
        return complex(mpmath.exp(-z * z) * mpmath.erfc(-1j * z))


def exact_dawsn(x):
    """The series of exp(-x**2) times that of the integral, or the asymptotic one."""
    x = mpmath.mpf(float(x))
    with mpmath.workdps(150):
        if abs(x) < 15:
            return mpmath.exp(-x * x) * mpmath.erfi(x) * mpmath.sqrt(mpmath.pi) / 2
        terms = [mpmath.fac2(2 * k - 1) / (2 * x * x) ** k for k in range(20)]
        return sum(terms) / (2 * x)


INTEGRALS = [
    (lambda x: special.fresnel(x)[0], mpmath.fresnels, SIGNED, 2e-15, 3e-6),
    (lambda x: special.fresnel(x)[1], mpmath.fresnelc, SIGNED, 3e-15, 3e-6),
    (lambda x: special.sici(x)[0], mpmath.si, SIGNED, 1e-15, 1e-6),
    (special.dawsn, exact_dawsn, SIGNED, 1e-14, 3e-6),
]


@pytest.mark.parametrize(("ours", "exact", "x", "tolerance", "single"), INTEGRALS)
def test_integrals_are_mpmaths(ours, exact, x, tolerance, single):
    with mpmath.workdps(50):
        for dtype, limit in ((np.float64, tolerance), (np.float32, single)):
            points = x.astype(dtype)
            wanted = np.array([float(exact(float(v))) for v in points])
            for f in (ours, fnad.jit(ours), fnad.vmap(ours)):
                found = f(points)
                assert found.dtype == dtype
                np.testing.assert_allclose(found, wanted, rtol=limit)
    assert ours(np.float16(1)).dtype == np.float16
    assert ours(1).dtype == np.float64
    assert ours(np.zeros((0, 2), np.float32)).shape == (0, 2)


def test_cosine_integral_is_mpmaths():
    with mpmath.workdps(50):
        wanted = np.array([float(mpmath.ci(float(v))) for v in WIDE])
    for f in (special.sici, fnad.jit(special.sici)):
        # Relative to what the terms are of: the function has zeros.
        np.testing.assert_allclose(f(WIDE)[1], wanted, rtol=1e-15, atol=4e-15)
        np.testing.assert_array_equal(f(-WIDE)[1], f(WIDE)[1])


def test_edges_of_integrals_are_scipys():
    x = np.array([0.0, -0.0, INF, -INF, NAN])
    for name in ("fresnel", "sici"):
        wanted = getattr(scipy.special, name)(x)
        np.testing.assert_array_equal(getattr(special, name)(x), wanted)
    np.testing.assert_array_equal(special.dawsn(x), scipy.special.dawsn(x))
    np.testing.assert_array_equal(special.fresnel(np.array([1e300]))[0], 0.5)


@ORDER
def test_derivatives_of_integrals(order):
    x = np.array([0.0, 0.3, 1.7, -4.5, 9.0])
    check_grads(fnad.jit(lambda x: sum(special.fresnel(x))), (x,), order=order)
    check_grads(lambda x: special.sici(x)[0], (x,), order=order)
    check_grads(lambda x: special.sici(x)[1], (np.abs(x[1:]),), order=order)
    check_grads(fnad.jit(special.dawsn), (x,), order=order)
    x = np.array([7.0, 7.6, 14.0, 1e5])
    exact = [float(1 - 2 * mpmath.mpf(v) * exact_dawsn(v)) for v in x[:3]] + [-5.00000000075e-11]
    np.testing.assert_allclose(fnad.vmap(fnad.grad(special.dawsn))(x), exact, rtol=2e-12)


SIZES = 10 ** RNG.uniform(-6, 1.3, 50)
PLANE = np.concatenate(
    [
        SIZES * np.exp(1j * RNG.uniform(-np.pi, np.pi, 50)),
        RNG.uniform(-9, 9, 30) + 1j * 10 ** RNG.uniform(-12, 0.8, 30),
    ]
)
PLANE = PLANE[PLANE.imag > -15]


def test_faddeeva_function_is_mpmaths():
    wanted = np.array([exact_wofz(z) for z in PLANE])
    upper = PLANE.imag > 0
    for f in (special.wofz, fnad.jit(special.wofz)):
        found = f(PLANE)
        np.testing.assert_allclose(found, wanted, rtol=3e-14)
        # Above, real and imaginary parts are accurate each on its own.
        np.testing.assert_allclose(found.real[upper], wanted.real[upper], rtol=4e-15)
        np.testing.assert_allclose(found.imag[upper], wanted.imag[upper], rtol=1e-14)
    single = special.wofz(PLANE[upper].astype(np.complex64))
    assert single.dtype == np.complex64
    np.testing.assert_allclose(single, wanted[upper], rtol=3e-6)
    np.testing.assert_allclose(fnad.vmap(special.wofz)(PLANE), special.wofz(PLANE), rtol=1e-14)


def test_faddeeva_function_of_real_and_extreme_numbers():
    for x, dtype in ((0.5, np.complex128), (np.float32(0.5), np.complex64), (1, np.complex128)):
        assert special.wofz(x).dtype == dtype
        np.testing.assert_allclose(special.wofz(x), scipy.special.wofz(x), rtol=1e-6)
    z = np.array([1e200 + 1e200j, 1e5j, complex(INF, 1), -1e200 + 1j, -26j])
    np.testing.assert_allclose(special.wofz(z), scipy.special.wofz(z), rtol=1e-13)
    assert np.isnan(special.wofz(complex(NAN, 1)))


def test_complex_dawson_integral():
    def exact(z):
        z = mpmath.mpc(complex(z))
        with mpmath.workdps(60 + int(abs(z) ** 2)):
            return complex(mpmath.exp(-z * z) * mpmath.erfi(z) * mpmath.sqrt(mpmath.pi) / 2)

    z = PLANE[np.abs(PLANE) < 15]
    np.testing.assert_allclose(special.dawsn(z), [exact(v) for v in z], rtol=3e-14)
    np.testing.assert_allclose(fnad.jit(special.dawsn)(z), special.dawsn(z), rtol=1e-13)


@pytest.mark.parametrize("name", ["wofz", "dawsn"])
@ORDER
def test_complex_derivatives(name, order):
    z = np.array([0.2 + 0.3j, -1 + 2j, 3 - 1j, 9 + 0.1j, 9 - 0.5j])
    check_grads(
        fnad.jit(lambda z: fnp.real((2 - 1j) * getattr(special, name)(z))), (z,), order=order
    )


def exact_owens_t(h, a):
    h, a = mpmath.mpf(float(h)), mpmath.mpf(float(a))
    end = min(a, 16 / h)
    ends = [0] + [end / 2**k for k in range(12, -1, -1)]
    with mpmath.workdps(25):
        part = mpmath.quad(lambda t: mpmath.exp(-h * h * t * t / 2) / (1 + t * t), ends)
        return float(mpmath.exp(-h * h / 2) * part / (2 * mpmath.pi))


def test_owens_t_is_mpmaths():
    h = np.concatenate([10 ** RNG.uniform(-3, 1, 12), RNG.uniform(10, 35, 4)])
    a = 10 ** RNG.uniform(-4, 3, 16)
    wanted = [exact_owens_t(*v) for v in zip(h, a)]
    for f in (special.owens_t, fnad.jit(special.owens_t), fnad.vmap(special.owens_t)):
        np.testing.assert_allclose(f(h, a), wanted, rtol=3e-13)
        np.testing.assert_array_equal(f(-h, -a), -f(h, a))
    single = special.owens_t(h[:12].astype(np.float32), a[:12].astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, wanted[:12], rtol=3e-5)


@ORDER
def test_owens_t_edges_and_derivatives(order):
    h, a = [v.ravel() for v in np.meshgrid([0.0, 1, INF, -INF, NAN, -2], [0.0, 0.5, -3, INF, NAN])]
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(special.owens_t(h, a), scipy.special.owens_t(h, a), rtol=1e-14)
    h, a = np.array([0.3, -1.0, 2.0, 0.0]), np.array([0.5, 2.0, -1.0, 0.7])
    check_grads(special.owens_t, (h, a), order=order)


def test_error_functions_far_out():
    for f in (special.erfcx, fnad.jit(special.erfcx)):
        for dtype in (np.float64, np.float32):
            ends = np.array([-np.inf, -1e38, -30, np.inf], dtype)
            np.testing.assert_array_equal(f(ends), [np.inf, np.inf, np.inf, 0])
    for f in (special.erfi, fnad.jit(special.erfi)):
        np.testing.assert_array_equal(f(np.array([-np.inf, np.inf])), [-np.inf, np.inf])
    points = np.array([3.0, 11.0, 1e4, 1e8, 6e15])  # 2 x erfcx(x) is close to 2 / sqrt(pi)
    with mpmath.workdps(60):
        wanted = [
            float(2 * x * mpmath.exp(x * x) * mpmath.erfc(x) - 2 / mpmath.sqrt(mpmath.pi))
            for x in map(mpmath.mpf, points)
        ]
    slopes = fnad.vmap(fnad.grad(special.erfcx))(points)
    np.testing.assert_allclose(slopes, wanted, rtol=1e-12)
