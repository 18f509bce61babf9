"""B-splines against SciPy: values, derivatives, integrals, fits, gradients, pytrees."""

import numpy as np
import pytest
import scipy.interpolate

import fnad
from fnad.scipy import interpolate
from fnad.testing import check_grads

RNG = np.random.default_rng(0)
X = np.sort(RNG.uniform(0, 10, 14))
Y = RNG.normal(size=(14, 2))
CLOSED = np.concatenate([Y[:-1], Y[:1]])
W = RNG.uniform(0.5, 2, 14)
POINTS = np.concatenate([X, RNG.uniform(X[0] - 0.2, X[-1] + 0.2, 20), [np.nan]])


def both(name, *args, **options):
    return [getattr(m, name)(*args, **options) for m in (interpolate, scipy.interpolate)]


def close(found, wanted, tolerance=1e-9):
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("extrapolate", [True, False, "periodic"])
@pytest.mark.parametrize("k", range(6))
def test_values_derivatives_and_integrals_are_scipys(k, extrapolate):
    t = np.sort(RNG.uniform(0, 10, 9 + k))
    t[7] = t[6]  # a double knot
    c = RNG.normal(size=(8, 2))
    points = np.concatenate([t, RNG.uniform(t[0] - 1, t[-1] + 1, 20), [np.nan]])
    ours, theirs = both("BSpline", t, c, k, extrapolate)
    for nu in range(k + 2):
        np.testing.assert_allclose(ours(points, nu), theirs(points, nu), rtol=1e-8, atol=1e-7)
    for nu in (-2, -1, 1, 2)[: 2 + (k > 1) + (k > 2)]:
        found, wanted = ours.derivative(nu), theirs.derivative(nu)
        inside = points[(points > t[k]) & (points < t[8])]
        np.testing.assert_allclose(found(inside), wanted(inside), rtol=1e-9, atol=1e-9)
    for a, b in ((t[k], t[8]), (t[8] - 0.1, t[k] + 0.05), (t[k] + 0.1, t[8] + 11)):
        np.testing.assert_allclose(ours.integrate(a, b), theirs.integrate(a, b), rtol=1e-8)
    at = 0.5 * (t[k] + t[8])
    if extrapolate != "periodic" and k:
        twice = ours.insert_knot(at, 2)
        np.testing.assert_allclose(twice.t, np.insert(t, np.searchsorted(t, at), [at, at]))
        np.testing.assert_allclose(twice.c, theirs.insert_knot(at, 2).c[:10], rtol=1e-12)


def test_coefficients_have_axes_and_dtypes():
    t = np.array([0.0, 0, 0, 1, 2, 3, 3, 3])
    c = RNG.normal(size=(2, 5, 3))
    x = RNG.uniform(0, 3, (4, 2))
    ours, theirs = both("BSpline", t, c, 2, axis=1)
    close(ours(x), theirs(x))
    close(ours.derivative()(1.5), theirs.derivative()(1.5))
    assert ours(np.zeros((0, 2))).shape == (2, 0, 2, 3)
    ours, theirs = both("BSpline", t, c[0] * (1 + 2j), 2)
    close(ours(x), theirs(x))
    single = interpolate.BSpline(t.astype(np.float32), c[0].astype(np.float32), 2)
    assert single(x.astype(np.float32)).dtype == np.float32
    close(single(x), scipy.interpolate.BSpline(t, c[0], 2)(x), 1e-5)
    assert interpolate.BSpline([0, 1, 2], [3, 4], 0)(1).dtype == np.float64
    close(*[b.toarray() if hasattr(b, "toarray") else b for b in (
        interpolate.BSpline.design_matrix(x.ravel(), t, 2),
        scipy.interpolate.BSpline.design_matrix(x.ravel(), t, 2),
    )])  # fmt: skip
    element = interpolate.BSpline.basis_element(t[2:], extrapolate=False)
    wanted = scipy.interpolate.BSpline.basis_element(t[2:], extrapolate=False)
    close(element(np.array([0.5, 2.5, 4.0])), wanted(np.array([0.5, 2.5, 4.0])))


@pytest.mark.parametrize("k", range(6))
def test_interpolation_is_scipys(k):
    ours, theirs = both("make_interp_spline", X, Y, k)
    close(ours.t, theirs.t)
    close(ours(POINTS), theirs(POINTS))
    if k > 1:
        ours, theirs = both("make_interp_spline", X, CLOSED, k, bc_type="periodic")
        close(ours.t, theirs.t)
        close(ours(POINTS), theirs(POINTS))
    knots = np.concatenate(
        [np.full(k + 1, -1.0), np.sort(X)[1 : 14 - k] + 0.01, np.full(k + 1, 11)]
    )
    if k:
        ours, theirs = both("make_interp_spline", X, Y * 1j, k, knots)
        close(ours.c, theirs.c)
    if k:
        tck, wanted = both("splrep", X, Y[:, 0], k=k, xb=-1.0, xe=11.0)
        for found, want in zip(tck, wanted):
            close(found, want, 1e-8)
        close(interpolate.splev(POINTS, tck), scipy.interpolate.splev(POINTS, wanted), 1e-8)


@pytest.mark.parametrize(
    ("k", "conditions"),
    [
        (3, "natural"),
        (3, "clamped"),
        (3, ([(2, Y[0])], [(1, Y[1])])),
        (3, ([(2, Y[0]), (1, Y[1])], None)),
        (5, ([(1, Y[0]), (2, Y[1])], [(4, Y[2]), (3, Y[3])])),
        (2, (None, [(1, Y[3])])),
    ],
)
def test_conditions_at_the_ends_are_scipys(k, conditions):
    ours, theirs = both("make_interp_spline", X, Y, k, bc_type=conditions)
    close(ours.c, theirs.c, 1e-8)


def test_fits_are_scipys():
    knots = np.concatenate([np.full(4, X[0]), [3, 5, 6.5], np.full(4, X[-1])])
    ours, theirs = both("make_lsq_spline", X, Y, knots, w=W)
    close(ours.c, theirs.c)
    tck, wanted = both("splrep", X, Y[:, 0], W, t=[3, 5, 6.5])
    close(tck[1], wanted[1])
    for lam in (0.0, 1e-3, 1.0, 1e4):
        ours, theirs = both("make_smoothing_spline", X, Y, W, lam)
        close(ours(POINTS), theirs(POINTS))


def test_triples_are_scipys():
    tck, wanted = both("splrep", X, Y[:, 0], k=4)
    for name, args in (
        ("splint", (-1.0, 6.0)), ("splint", (6.0, 2.0)), ("spalde", (X,)),
        ("splev", (POINTS[:-1],)),
    ):  # fmt: skip
        found, want = (
            getattr(m, name)(*args, v)
            for m, v in zip((interpolate, scipy.interpolate), (tck, wanted))
        )
        close(found, want, 1e-8)
    for der, ext in ((0, 1), (1, 3), (2, 0)):
        found = interpolate.splev(POINTS[:-1], tck, der, ext)
        close(found, scipy.interpolate.splev(POINTS[:-1], wanted, der, ext), 1e-8)
    for name, n in (("splder", 1), ("splder", 2), ("splantider", 1)):
        found, want = (
            getattr(m, name)(v, n) for m, v in zip((interpolate, scipy.interpolate), (tck, wanted))
        )
        close(interpolate.splev(X, found), scipy.interpolate.splev(X, want), 1e-7)
    tck, wanted = both("splrep", X, CLOSED[:, 0], k=3, per=True)
    close(interpolate.splev(X, tck), scipy.interpolate.splev(X, wanted))


def test_gradients_in_values_nodes_knots_and_points():
    points = np.array([0.8, 3.3, 7.1])
    x, y = X[::2], Y[::2, 0]

    def value(x, y, points):
        f = interpolate.make_interp_spline(x, y, bc_type="natural")
        return f(points) + f(points, 1) + f.integrate(x[0], points[0])

    check_grads(fnad.jit(value), (x, y, points), order=1)


@pytest.mark.slow
def test_gradients_of_fits():
    points = np.array([0.8, 3.3, 7.1])

    def fitted(t, y, lam):
        knots = np.full(4, X[0]), np.full(4, X[-1])
        t = fnad.numpy.concatenate([knots[0], t, knots[1]])
        smooth = interpolate.make_smoothing_spline(X, y, lam=lam)
        return interpolate.make_lsq_spline(X, y, t)(points) + smooth(points)

    check_grads(fnad.jit(fitted), (np.array([2.5, 4.5, 7.0]), Y[:, 0], np.array(0.3)), order=1)


def test_splines_are_pytrees():
    spline, wanted = both("make_interp_spline", X, Y[:, 0], 3)
    evaluate = fnad.jit(lambda f, x: f(x, 1))
    close(evaluate(spline, POINTS), wanted(POINTS, 1), 1e-8)
    made = fnad.jit(lambda y: interpolate.make_interp_spline(X, y))(Y[:, 0])
    close(made(POINTS), wanted(POINTS))
    slope = fnad.grad(lambda f: f(2.0))(spline)
    assert type(slope) is interpolate.BSpline
    close(slope.c, interpolate.BSpline.design_matrix([2.0], spline.t, 3)[0])
    batched = fnad.vmap(lambda y: interpolate.make_interp_spline(X, y)(POINTS))(Y.T)
    close(batched, scipy.interpolate.make_interp_spline(X, Y)(POINTS).T)


def test_bad_input_is_an_error():
    t, c = np.arange(8.0), np.ones(4)
    for call, sentence in (
        (lambda: interpolate.BSpline(t, c[:3], 3), "3 coefficients.*need 4"),
        (lambda: interpolate.BSpline(t[:7], c, 3), "at least 2 k"),
        (lambda: interpolate.BSpline(t[::-1], c, 3), "must be ascending"),
        (lambda: interpolate.BSpline.design_matrix([0.0], t, 3), "outside"),
        (lambda: interpolate.make_interp_spline(X, Y, 3, bc_type="free"), "'free' is none of"),
        (lambda: interpolate.make_interp_spline(X[:3], Y[:3], 3), "4 points at least"),
        (lambda: interpolate.make_interp_spline(X, Y, 3, bc_type=([(1, 0.0)], None)), "1 \\+ 0"),
        (lambda: interpolate.make_interp_spline(X, Y, bc_type="periodic"), "first value"),
        (
            lambda: interpolate.make_interp_spline(X, Y, 1, np.linspace(0, 0.1, 16)),
            "Schoenberg",
        ),
        (lambda: interpolate.splrep(X, Y[:, 0], s=1.0), "smoothing"),
        (lambda: interpolate.make_smoothing_spline(X, Y), "lam"),
        (lambda: interpolate.splev(20.0, (t, c, 3), ext=2), "outside"),
    ):
        with pytest.raises(ValueError, match=sentence):
            call()
    placed = fnad.jit(lambda t: interpolate.make_interp_spline(X, Y, 1, t).c)
    assert np.isnan(placed(np.linspace(0, 0.1, 16))).any()
