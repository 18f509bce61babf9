"""Interpolation on a line against SciPy: values, derivatives, integrals, gradients, pytrees."""

import numpy as np
import pytest
import scipy.interpolate

import fnad
import fnad.numpy as fnp
from fnad.scipy import interpolate
from fnad.testing import check_grads

RNG = np.random.default_rng(0)
X = np.cumsum(RNG.uniform(0.3, 1.5, 9))
Y = RNG.normal(size=(9, 2))
CLOSED = np.concatenate([Y[:-1], Y[:1]])
DYDX = RNG.normal(size=(9, 2))
POINTS = np.concatenate([X, RNG.uniform(X[0] - 2, X[-1] + 2, 20), [np.nan]])

# name, arguments behind x, options
MADE = [
    ("CubicHermiteSpline", (Y, DYDX), {}),
    ("PchipInterpolator", (Y,), {}),
    ("PchipInterpolator", (np.round(Y),), {"extrapolate": False}),
    ("Akima1DInterpolator", (Y,), {}),
    ("Akima1DInterpolator", (np.round(Y),), {"method": "makima", "extrapolate": True}),
    ("CubicSpline", (Y,), {}),
    ("CubicSpline", (Y + 1j * DYDX,), {"extrapolate": False}),
    ("CubicSpline", (Y,), {"bc_type": "clamped"}),
    ("CubicSpline", (Y,), {"bc_type": "natural", "extrapolate": "periodic"}),
    ("CubicSpline", (CLOSED,), {"bc_type": "periodic"}),
    ("CubicSpline", (Y,), {"bc_type": ("not-a-knot", (2, np.array([1.0, 2.0])))}),
    ("CubicSpline", (Y,), {"bc_type": ((1, np.array([0.5, -2.0])), "natural")}),
]
CASES = pytest.mark.parametrize(("name", "args", "options"), MADE)


def both(name, *args, **options):
    return [getattr(m, name)(*args, **options) for m in (interpolate, scipy.interpolate)]


@CASES
def test_values_derivatives_and_integrals_are_scipys(name, args, options):
    ours, theirs = both(name, X, *args, **options)
    np.testing.assert_allclose(ours.c, theirs.c, rtol=1e-11, atol=1e-12)
    for nu in range(5):
        np.testing.assert_allclose(ours(POINTS, nu), theirs(POINTS, nu), rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(fnad.jit(ours)(POINTS), theirs(POINTS), rtol=1e-11, atol=1e-12)
    assert ours(POINTS.reshape(3, 10)).shape == (3, 10, 2)
    for nu in (1, 2, -1, -2):
        found, wanted = ours.derivative(nu), theirs.derivative(nu)
        np.testing.assert_allclose(found(POINTS), wanted(POINTS), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(
        ours.antiderivative()(X), theirs.antiderivative()(X), rtol=1e-11, atol=1e-12
    )
    far = 40.0 if "periodic" in (options.get("bc_type"), options.get("extrapolate")) else 3.0
    for a, b in ((X[1], X[5] + 0.2), (X[6], X[0]), (X[2], X[2] + far), (X[0] - 2, X[3])):
        np.testing.assert_allclose(
            ours.integrate(a, b), theirs.integrate(a, b), rtol=1e-10, atol=1e-10
        )


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_few_nodes(n):
    x, y = X[:n], Y[:n]
    for kind in ("not-a-knot", "natural", "clamped", ("natural", "not-a-knot")):
        ours, theirs = both("CubicSpline", x, y, bc_type=kind)
        np.testing.assert_allclose(ours(POINTS), theirs(POINTS), rtol=1e-9, atol=1e-10)
    closed = np.concatenate([y[:-1], y[:1]])
    ours, theirs = both("CubicSpline", x, closed, bc_type="periodic")
    np.testing.assert_allclose(ours(POINTS), theirs(POINTS), rtol=1e-10, atol=1e-11)
    for name in ("PchipInterpolator", "Akima1DInterpolator"):
        ours, theirs = both(name, x, y)
        np.testing.assert_allclose(ours(POINTS), theirs(POINTS), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_axes_and_dtypes(axis):
    y = np.moveaxis(RNG.normal(size=(9, 2, 3)), 0, axis)
    for name in ("CubicSpline", "PchipInterpolator", "Akima1DInterpolator"):
        ours, theirs = both(name, X, y, axis=axis)
        inside = X[:-1].reshape(2, 4) + 0.1
        np.testing.assert_allclose(ours(inside), theirs(inside), rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(ours(1.0 + X[0]), theirs(1.0 + X[0]), rtol=1e-11, atol=1e-13)
        single = getattr(interpolate, name)(X.astype(np.float32), y.astype(np.float32), axis=axis)
        assert single(np.float32(X[1])).dtype == np.float32
        np.testing.assert_allclose(single(inside), theirs(inside), rtol=1e-3, atol=1e-4)
    ours = interpolate.CubicSpline(np.arange(4), np.arange(4) ** 2)
    assert ours(1).dtype == np.float64
    assert ours(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize(("name", "options"), [
    ("CubicSpline", {}), ("CubicSpline", {"bc_type": "natural"}), ("PchipInterpolator", {}),
    ("Akima1DInterpolator", {}), ("Akima1DInterpolator", {"method": "makima"}),
])  # fmt: skip
def test_gradients_in_values_nodes_and_points(name, options):
    points = RNG.uniform(X[0], X[-1], 5)

    def value(x, y, points):
        f = getattr(interpolate, name)(x, y, **options)
        return f(points) + f(points, 1) + f.integrate(x[0], points[0])

    check_grads(fnad.jit(value), (X, Y[:, 0], points), order=1)


def test_gradients_of_periodic_splines():
    def value(x, y, points):
        y = fnp.concatenate([y, y[:1]])
        return interpolate.CubicSpline(x, y, bc_type="periodic")(points)

    check_grads(fnad.jit(value), (X, Y[:-1, 0], np.array([-3.0, 2.0, 30.0])), order=1)


def test_interpolators_are_pytrees():
    spline = interpolate.CubicSpline(X, Y[:, 0], bc_type="natural")
    wanted = scipy.interpolate.CubicSpline(X, Y[:, 0], bc_type="natural")
    assert type(fnad.tree.map(lambda v: v, spline)) is interpolate.CubicSpline
    evaluate = fnad.jit(lambda f, x: f(x, 1))
    np.testing.assert_allclose(evaluate(spline, POINTS), wanted(POINTS, 1), rtol=1e-11)
    made = fnad.jit(lambda y: interpolate.CubicSpline(X, y, bc_type="natural"))(Y[:, 0])
    np.testing.assert_allclose(made(POINTS), wanted(POINTS), rtol=1e-11)
    slope = fnad.grad(lambda f: f(2.0))(spline)
    assert type(slope) is interpolate.CubicSpline
    assert slope.c.shape == spline.c.shape
    batched = fnad.vmap(lambda y: interpolate.PchipInterpolator(X, y)(POINTS))(Y.T)
    wanted = scipy.interpolate.PchipInterpolator(X, Y)(POINTS).T
    np.testing.assert_allclose(batched, wanted, rtol=1e-11, atol=1e-12)


def test_piecewise_polynomials_are_scipys():
    c = RNG.normal(size=(4, 8, 2))
    for extrapolate in (None, False, "periodic"):
        ours, theirs = both("PPoly", c, X, extrapolate=extrapolate)
        np.testing.assert_allclose(ours(POINTS, 2), theirs(POINTS, 2), rtol=1e-12)
        np.testing.assert_allclose(ours(POINTS, 7), theirs(POINTS, 7))
        high = ours.antiderivative(3)(X)
        np.testing.assert_allclose(high, theirs.antiderivative(3)(X), rtol=1e-12, atol=1e-13)


NODES = np.cos(np.pi * (np.arange(20) + 0.5) / 20) * 3


def test_barycentric_interpolation_is_scipys():
    values = np.stack([np.exp(NODES), np.sin(NODES)], axis=1)
    ours, theirs = both("BarycentricInterpolator", NODES, values)
    x = np.concatenate([NODES, RNG.uniform(-3, 3, 20)])
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(ours(x)[:, 0], np.exp(x), rtol=1e-11)
    np.testing.assert_allclose(ours.derivative(x)[:, 0], np.exp(x), rtol=1e-8)
    np.testing.assert_allclose(ours.derivative(x, 2)[:, 1], -np.sin(x), atol=1e-7)
    np.testing.assert_allclose(fnad.jit(lambda f: f(x))(ours), theirs(x), rtol=1e-11, atol=1e-12)
    again = interpolate.BarycentricInterpolator(NODES, values.T, axis=1, wi=3 * ours.wi)
    np.testing.assert_allclose(again(x), theirs(x).T, rtol=1e-12, atol=1e-13)
    many = np.cos(np.pi * (np.arange(400) + 0.5) / 400)
    f = interpolate.BarycentricInterpolator(many, np.abs(many))
    np.testing.assert_allclose(f(many), np.abs(many), rtol=1e-11, atol=1e-13)
    check_grads(
        fnad.jit(lambda xi, yi, x: interpolate.BarycentricInterpolator(xi, yi)(x)),
        (NODES[::4], values[::4, 1], np.array([NODES[4], 0.3])),
        order=2,
    )


def test_what_does_not_go_together_is_named():
    for make, message in (
        (lambda: interpolate.CubicSpline(X[::-1], Y), "CubicSpline: x must be strictly ascending"),
        (lambda: interpolate.CubicSpline(X, Y[:4]), r"y of shape \(4, 2\).*axis 0 for each of 9"),
        (lambda: interpolate.CubicSpline(X, Y, bc_type="free"), "'free' is none of"),
        (lambda: interpolate.CubicSpline(X, Y, bc_type=((3, 0), "natural")), r"got \(3, 0\)"),
        (lambda: interpolate.CubicSpline(X, Y, bc_type="periodic"), "must end with its first"),
        (lambda: interpolate.PchipInterpolator(X[:1], Y[:1]), "at least 2 real numbers"),
        (lambda: interpolate.PchipInterpolator(X, Y, extrapolate="no"), "extrapolate.*'no'"),
        (lambda: interpolate.Akima1DInterpolator(X, Y, method="m"), "method.*'m'"),
        (lambda: interpolate.CubicHermiteSpline(X, Y, Y[:, 0]), "dydx of shape"),
        (lambda: interpolate.PPoly(Y, X), r"must be \(k, 8, ...\)"),
        (lambda: interpolate.BarycentricInterpolator([1.0, 1.0], [0.0, 0.0]), "different"),
        (lambda: interpolate.CubicSpline(X, Y)(X, -1), "must not be negative, got -1"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    with pytest.raises(TypeError, match="complex128"):
        interpolate.PchipInterpolator(X, Y + 1j)


@pytest.mark.parametrize("point", [X[0], X[-1], 2 * X[-1] - X[0]])
def test_periods_have_slopes_where_they_meet(point):
    ours, theirs = both("CubicSpline", X, CLOSED, bc_type="periodic")
    np.testing.assert_allclose(fnad.jacrev(ours)(point), theirs(point, 1), 1e-12)
    slopes = fnad.jacrev(ours.integrate, 1)(X[1], point)
    np.testing.assert_allclose(slopes, theirs(point), 1e-12)


def test_splines_of_halves():
    x, y = X.astype(np.float16), Y.astype(np.float16)
    got = interpolate.CubicSpline(x, y)(x)
    assert got.dtype == np.float16
    np.testing.assert_allclose(got, y, atol=0.01)
