"""Differences, slopes, areas, phases and interpolation against NumPy."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads
from tests.numpy.helpers import assert_same, quiet, run_traced

RANDOM = np.random.default_rng(0)
F = RANDOM.normal(size=(3, 5, 4))
S = F.astype(np.float32)
K = RANDOM.integers(-9, 9, (3, 5))
X = np.array([0.0, 0.5, 2.0, 2.25, 4.0])
ANGLES = np.cumsum(RANDOM.uniform(-9, 9, (3, 20)), 1)
P, Q = np.array([-1.0, 0.5, 0.5, 2.0]), np.array([3.0, 1.0, 4.0, -2.0])
AT = np.array([[-2.0, -1.0, 0.25], [0.5, 1.0, 2.0], [3.0, np.nan, np.inf]])

CALLS = [
    ("diff", F, {"n": 2, "axis": 1}), ("diff", K, {"prepend": 1, "append": [[2], [3], [4]]}),
    ("diff", K, {"prepend": 1.5}), ("diff", K > 0, {}), ("diff", K, {"n": 0}),
    ("diff", K, {"n": 6}), ("ediff1d", K, {}), ("ediff1d", F, {"to_begin": [1, 2], "to_end": 3}),
    ("ediff1d", K[:0], {}), ("gradient", F, {"axis": 1}), ("gradient", S, {"axis": 0}),
    ("gradient", K, {"axis": 1, "edge_order": 2}), ("gradient", S[:2, 0], {"axis": 0}),
    ("trapezoid", F, {}), ("trapezoid", F, {"x": X, "axis": 1}), ("trapezoid", K, {"dx": 0.1}),
    ("trapezoid", F, {"x": np.cumsum(F**2, 2)}), ("trapezoid", S, {"axis": 0}),
    ("trapezoid", F[:, :0], {"axis": 1}), ("unwrap", ANGLES, {}), ("unwrap", ANGLES, {"axis": 0}),
    ("unwrap", ANGLES, {"discont": 5.0}), ("unwrap", K, {"period": 5}),
    ("unwrap", np.array([[0, 100, 1]], np.int8), {"period": 4}), ("diff", F[0, 0, 0], {"n": 0}),
    ("unwrap", K, {"period": 6}), ("unwrap", K, {"period": 6.0}),
    ("interp", AT, {"xp": P, "fp": Q}),
    ("interp", AT, {"xp": P, "fp": Q, "left": 7, "right": 8.5}),
    ("interp", AT[:2], {"xp": P, "fp": Q, "period": 2.5}), ("interp", 0.25, {"xp": P, "fp": Q}),
    ("interp", AT[:2], {"xp": [1], "fp": [2]}), ("interp", K, {"xp": [1, 3], "fp": [2, 7]}),
]  # fmt: skip


@pytest.mark.parametrize("case", CALLS, ids=lambda c: f"{c[0]}-{'-'.join(c[2])}")
def test_against_numpy(case):
    name, x, options = case
    expected = quiet(getattr(np, name), x, **options)

    def function(a):
        return getattr(fnp, name)(a, **options)

    for actual in [function(x), run_traced(function, x), fnad.jit(function)(x)]:
        assert_same(actual, expected)


def test_unwrapped_single_precision():
    angles = ANGLES.astype(np.float32)
    out = fnad.jit(fnp.unwrap)(angles)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, np.unwrap(ANGLES), atol=1e-4)


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize(
    "spacings", [(), (0.5,), (2, 3.0, 0.1), (0.5, X, np.array([0, 1, 4, 5]))], ids=len
)
def test_gradient_along_all_axes(spacings, edge_order):
    expected = np.gradient(F, *spacings, edge_order=edge_order)
    for actual in [fnp.gradient, fnad.jit(fnp.gradient, static_argnames="edge_order")]:
        for a, b in zip(actual(F, *spacings, edge_order=edge_order), expected):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_slopes_of_a_parabola_are_exact():
    slopes = fnp.gradient(X**2 - X, X, edge_order=2)
    np.testing.assert_allclose(slopes, 2 * X - 1, rtol=1e-14, atol=1e-14)


def test_interpolation_beyond_the_ends():
    out = fnp.interp([-2.0, 3.0], [0.0, 1.0, 2.0], [0.0, 1.0, 3.0], "extrapolate", "extrapolate")
    np.testing.assert_allclose(out, [-2.0, 5.0])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: fnp.diff(x, prepend=x[:, :1] ** 2, axis=1, n=2),
        lambda x: fnp.ediff1d(x, to_end=x[0, 0]),
        lambda x: fnp.gradient(x, X, axis=1, edge_order=2),
        lambda x: fnp.trapezoid(x, fnp.cumsum(x**2, 1), axis=1),
        lambda x: fnp.unwrap(9 * x),
    ],
    ids=["diff", "ediff1d", "gradient", "trapezoid", "unwrap"],
)
def test_derivatives(function):
    check_grads(function, (F,), order=1)
    compiled = fnad.jit(fnad.vmap(lambda x: function(x[None])))
    np.testing.assert_allclose(compiled(F), [function(x[None]) for x in F], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "points, values",
    [
        ([-np.inf, 0.0, 1.0, np.inf], [1.0, 2.0, 3.0, 4.0]),
        ([0.0, 1.0, 2.0, np.inf], [1.0, 2.0, 3.0, 3.0]),
        ([0.0, 1.0, 2.0, 3.0], [1.0, np.inf, 2.0, 3.0]),
        ([0.0, 1.0, 2.0, 3.0], [1.0, np.nan, 2.0, 3.0]),
        ([0.0, 1.0, 2.0, 3.0], [np.inf, np.inf, 1.0, -np.inf]),
    ],
)
def test_interpolation_next_to_infinity(points, values):
    places = np.array([-np.inf, -1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, np.inf, np.nan])
    expected = np.interp(places, points, values)
    for function in (fnp.interp, fnad.jit(fnp.interp)):
        out = function(places, np.array(points), np.array(values))
        np.testing.assert_array_equal(out, expected)


def test_derivatives_of_interpolation():
    places = np.array([-2.0, -0.3, 0.7, 1.9, 4.0])
    points = np.array([-1.0, 0.5, 0.8, 2.0])
    check_grads(fnp.interp, (places, points, Q), order=1)
    check_grads(lambda x, p, q: fnp.interp(x, p, q, period=7.0), (places, points, Q), order=1)
    batched = fnad.jit(fnad.vmap(fnp.interp, in_axes=(None, 0, 0)))
    stacks = np.stack([points, points + 0.1]), np.stack([Q, -Q])
    expected = [np.interp(places, p, q) for p, q in zip(*stacks)]
    np.testing.assert_allclose(batched(places, *stacks), expected, rtol=1e-13)


def test_what_has_no_differences():
    with pytest.raises(ValueError, match="at least one dimensional"):
        fnp.diff(1.0)
    with pytest.raises(ValueError, match="axis 0 has length 2; edge_order=2 needs 3"):
        fnp.gradient(np.ones(2), edge_order=2)
    with pytest.raises(TypeError, match="2 spacings for 3 axes"):
        fnp.gradient(F, 1.0, 2.0)
    with pytest.raises(ValueError, match="interp: xp and fp must have one axis of the same length"):
        fnp.interp(1.0, P, Q[1:])
    with pytest.raises(ValueError, match="there are no points"):
        fnp.interp(1.0, [], [])
