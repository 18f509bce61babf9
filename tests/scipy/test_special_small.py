"""`lambertw`, `zetac`, `exprel` and `cosm1` against mpmath: values, edges, derivatives."""

import mpmath
import numpy as np
import pytest

import fnad
from fnad.scipy import special
from fnad.testing import check_grads

RNG = np.random.default_rng(0)
BRANCH_POINT = -np.exp(-1)
NEXT_TO_IT = BRANCH_POINT + 10 ** RNG.uniform(-16, -0.5, 20)
WIDE = 10 ** RNG.uniform(-300, 308, 20)
UPPER = np.concatenate([NEXT_TO_IT, WIDE, -WIDE[WIDE < 0.3], RNG.uniform(-0.36, 5, 20)])
LOWER = np.concatenate([NEXT_TO_IT[NEXT_TO_IT < 0], -WIDE[WIDE < 0.3], RNG.uniform(-0.36, 0, 20)])
INF, NAN = np.inf, np.nan


def exact(function, points, order=0):
    with mpmath.workdps(60):
        step = mpmath.mpf(10) ** -15
        numbers = [mpmath.mpf(float(x)) for x in points]
        return [float(mpmath.diff(function, x, order, h=step).real) for x in numbers]


@pytest.mark.parametrize(("k", "points"), [(0, UPPER), (-1, LOWER)])
def test_lambertw_is_mpmaths(k, points):
    def ours(z):
        return special.lambertw(z, k)

    def theirs(z):
        return mpmath.lambertw(z, k).real

    for f in (ours, fnad.jit(ours), fnad.vmap(ours)):
        np.testing.assert_allclose(f(points), exact(theirs, points), rtol=1e-15)
    single = points[(np.abs(points) < 1e37) & (np.abs(points) > 1e-36)].astype(np.float32)
    single = single[single > np.float32(BRANCH_POINT)]
    assert ours(single).dtype == np.float32
    np.testing.assert_allclose(ours(single), exact(theirs, single), rtol=5e-7)
    slope, points = ours, np.array([-0.3678, -0.36, -0.33, -0.2, -1e-3])
    for order in (1, 2, 3):
        slope = fnad.grad(slope)
        wanted = exact(theirs, points, order)
        np.testing.assert_allclose(fnad.vmap(slope)(points), wanted, rtol=1e-14)


def test_lambertw_at_edges():
    edges = np.array([0.0, -0.0, BRANCH_POINT, -1.0, INF, -INF, NAN])
    for wrapped in (lambda f: f, fnad.jit):
        upper = wrapped(special.lambertw)(edges)
        np.testing.assert_array_equal(upper, [0, 0, -1, NAN, INF, NAN, NAN])
        lower = wrapped(lambda z: special.lambertw(z, -1))(edges)
        np.testing.assert_array_equal(lower, [-INF, -INF, -1, NAN, NAN, NAN, NAN])
    assert special.lambertw(np.float32(BRANCH_POINT)) == -1
    assert np.isnan(special.lambertw(1.0, -1))
    assert fnad.grad(special.lambertw)(BRANCH_POINT) == INF
    assert fnad.grad(special.lambertw)(0.0) == 1
    assert fnad.grad(special.lambertw)(INF) == 0
    assert special.lambertw(1).dtype == np.float64
    assert special.lambertw(np.ones(2, np.float16)).dtype == np.float16
    assert special.lambertw(np.zeros((0, 3))).shape == (0, 3)
    with pytest.raises(ValueError, match=r"k must be 0 or -1, .*, got 1"):
        special.lambertw(1.0, 1)
    with pytest.raises(TypeError, match=r"lambertw is a function of real numbers.*complex128"):
        special.lambertw(1j)


LINE = np.concatenate(
    [RNG.uniform(-30, 30, 30), RNG.choice([-1, 1], 15) * 10 ** RNG.uniform(-20, 0, 15)]
)


@pytest.mark.parametrize(
    ("name", "theirs", "edges"),
    [
        ("cosm1", lambda x: mpmath.cos(x) - 1, [0, NAN, NAN]),
        ("exprel", lambda x: mpmath.expm1(x) / x if x else mpmath.mpf(1), [1, INF, 0]),
    ],
)
def test_differences_are_mpmaths(name, theirs, edges):
    function = getattr(special, name)
    for f in (function, fnad.jit(function), fnad.vmap(function)):
        np.testing.assert_allclose(f(LINE), exact(theirs, LINE), rtol=2e-15)
    single = LINE.astype(np.float32)
    assert function(single).dtype == np.float32
    np.testing.assert_allclose(function(single), exact(theirs, single), rtol=1e-6)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(function(np.array([0.0, INF, -INF])), edges)
    assert np.isnan(function(NAN))
    assert function(1).dtype == np.float64
    assert function(np.zeros((0, 3))).shape == (0, 3)
    points = np.array([-30.0, -1.1, -0.9, -1e-9, 1e-7, 0.9, 1.1, 20.0])
    slope = function
    for order in (1, 2, 3):
        slope = fnad.grad(slope)
        wanted = exact(theirs, points, order)
        np.testing.assert_allclose(fnad.vmap(slope)(points), wanted, rtol=2e-14, atol=1e-15)
    check_grads(fnad.jit(function), (np.array([0.0, 0.5, -2.0]),), order=2)


def test_slopes_of_exprel_at_ends():
    assert fnad.grad(special.exprel)(0.0) == 0.5
    assert fnad.grad(special.exprel)(INF) == INF
    assert fnad.grad(special.exprel)(-INF) == 0
    np.testing.assert_allclose(fnad.grad(special.exprel)(-1e8), 1e-16, rtol=1e-14)


EXPONENTS = np.concatenate(
    [RNG.uniform(-250, 0, 20), RNG.uniform(-4, 4, 20), RNG.uniform(0, 300, 10), [-2, -260, 0]]
)


def test_zetac_is_mpmaths():
    def theirs(s):
        with mpmath.workdps(120):
            return mpmath.zeta(s) - 1

    def size(points, wanted):  # below 0 it is what is left of 1
        return np.maximum(np.abs(wanted), np.where(points < 0, 1, 0))

    with np.errstate(over="ignore"):
        wanted = np.array([float(theirs(mpmath.mpf(float(x)))) for x in EXPONENTS])
        for f in (special.zetac, fnad.jit(special.zetac), fnad.vmap(special.zetac)):
            error = np.abs(f(EXPONENTS) - wanted)
            assert (error <= 5e-15 * size(EXPONENTS, wanted)).all()
        single = EXPONENTS[(EXPONENTS > -60) & (EXPONENTS < 100)].astype(np.float32)
        wanted = np.array([float(theirs(mpmath.mpf(float(x)))) for x in single])
        assert special.zetac(single).dtype == np.float32
        error = np.abs(special.zetac(single) - wanted)
    assert (error <= 3e-6 * size(single, wanted)).all()
    slope, points = special.zetac, np.array([-20.3, -4, -1e-3, 0, 1e-3, 0.99, 1.01, 2, 30])
    for order in (1, 2):
        slope = fnad.grad(slope)
        wanted = exact(lambda s: mpmath.zeta(s), points, order)
        np.testing.assert_allclose(fnad.vmap(slope)(points), wanted, rtol=3e-14)


def test_zeta_of_one_argument_is_riemanns():
    points = np.array([-345.5, -170.3, -20.3, -3.5, -1, -0.3, 0, 0.5, 0.999, 1.001, 2, 30, 1000])
    with mpmath.workdps(60):
        wanted = np.array([float(mpmath.zeta(mpmath.mpf(float(x)))) for x in points])
    for f in (special.zeta, fnad.jit(special.zeta), fnad.vmap(special.zeta)):
        np.testing.assert_allclose(f(points), wanted, rtol=1e-14)
    np.testing.assert_array_equal(special.zeta(np.array([-2.0, -4.0, INF])), [0, 0, 1])
    slope = exact(lambda s: mpmath.zeta(s), np.array([-20.3, -1.0, 0.0, 0.5, 3.0]), 1)
    ours = fnad.vmap(fnad.grad(special.zeta))(np.array([-20.3, -1.0, 0.0, 0.5, 3.0]))
    np.testing.assert_allclose(ours, slope, rtol=3e-14)


def test_zetac_at_edges():
    edges = np.array([1.0, INF, -INF, NAN, -344.0, -345.0, -343.0])
    with np.errstate(all="ignore"):
        for f in (special.zetac, fnad.jit(special.zetac)):
            np.testing.assert_array_equal(f(edges), [INF, 0, NAN, NAN, -1, -INF, INF])
        slopes = [float(fnad.grad(special.zetac)(x)) for x in edges[:4]]
    np.testing.assert_array_equal(slopes, [-INF, 0, NAN, NAN])
    assert special.zetac(2).dtype == np.float64
    assert special.zetac(np.zeros((0, 3), np.float32)).shape == (0, 3)
