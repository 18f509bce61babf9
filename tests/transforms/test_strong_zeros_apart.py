"""Strong zeros where a select left out matrices, right-hand sides or steps of loops."""

import numpy as np
import pytest

import fnad.lax as lax
import fnad.numpy as fnp
import fnad.scipy.linalg as fsl
from fnad.core import tree
from fnad.primitives.checkpoint import checkpoint
from fnad.primitives.linalg.matrices import lower_part, upper_part
from fnad.scipy.interpolate import CubicSpline, make_interp_spline, make_smoothing_spline
from fnad.transforms.autodiff import grad
from fnad.transforms.jit import jit
from fnad.transforms.tracing import make_jaxpr
from fnad.transforms.vmap import vmap

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")

TAKEN = np.array([True, False, True])
_rng = np.random.default_rng(0)
_factors = _rng.normal(size=(3, 3, 3))
MATRICES = _factors @ _factors.transpose(0, 2, 1) + np.eye(3)  # positive definite
RIGHT = _rng.normal(size=(3, 3, 2))
WEIGHTS = np.abs(_rng.normal(size=(3, 3)))
ROWS = _rng.uniform(0.5, 2.0, (3, 3))


def _chosen(y, taken=TAKEN):
    """A sum of what is taken along the leading axis, each element in a proportion of its own."""
    weighted = y * np.cos(np.arange(np.prod(y.shape))).reshape(y.shape)
    return fnp.sum(fnp.where(taken.reshape(-1, *(1,) * (y.ndim - 1)), weighted, 0.0))


def _check(loss, good, bad, second=False):
    """Gradients where the second member is bad are those where it is good, but for its zeros."""
    kept = TAKEN.reshape(-1, *(1,) * (good.ndim - 1))
    if second:
        first = loss
        loss = lambda x: fnp.sum(grad(first)(x) ** 2)
    expected = np.where(kept, grad(loss)(good), 0.0)
    assert np.any(expected)
    for derivative in (grad(loss), jit(grad(loss)), grad(jit(loss))):
        np.testing.assert_allclose(derivative(bad), expected, rtol=1e-7, atol=1e-9)
    # A member that is taken shows what it holds.
    shown = bad.copy()
    shown[2] = np.nan
    assert np.any(np.isnan(grad(loss)(shown)[2]))


def _with(member):
    bad = MATRICES.copy()
    bad[1] = member
    return bad


SINGULAR, INDEFINITE = _with(0.0), _with(-np.eye(3))
SOLVERS = {
    "inv": (fnp.linalg.inv, SINGULAR),
    "solve": (lambda a: fnp.linalg.solve(a, RIGHT), SINGULAR),
    "slogdet": (lambda a: fnp.linalg.slogdet(a)[1], SINGULAR),
    "cholesky": (fnp.linalg.cholesky, INDEFINITE),
    "density": (
        lambda a: fnp.sum(
            lax.linalg.triangular_solve(fnp.linalg.cholesky(a), RIGHT, left_side=True, lower=True)
            ** 2,
            (1, 2),
        ),
        INDEFINITE,
    ),
    "lu": (lambda a: lax.linalg.lu(a)[0], SINGULAR),
    "qr": (lambda a: fnp.linalg.qr(a)[0], SINGULAR),
    "eigh": (lambda a: fnp.linalg.eigh(a)[1] ** 2, _with(np.nan)),
    "svd": (lambda a: fnp.linalg.svd(a, full_matrices=False)[0], SINGULAR),
    "expm": (fsl.expm, _with(np.nan)),
    "sqrtm": (lambda a: fnp.real(fsl.sqrtm(a)), SINGULAR),
    "polar": (lambda a: fsl.polar(a)[0], SINGULAR),
    "positive": (lambda a: fsl.solve(a, RIGHT, assume_a="pos"), SINGULAR),
    "sylvester": (lambda a: fsl.solve_sylvester(a, a, RIGHT @ RIGHT.transpose(0, 2, 1)), SINGULAR),
    "power": (lambda a: fnp.linalg.matrix_power(a, -2), SINGULAR),
    "moved": (
        lambda a: fnp.linalg.inv(a[:, ::-1].transpose(0, 2, 1).reshape(3, 1, 3, 3))[:, 0] @ a,
        SINGULAR,
    ),
    "call": (lambda a: checkpoint(lambda a: fnp.linalg.inv(a) @ a @ a)(a), SINGULAR),
    "iteration": (
        lambda a: vmap(
            lambda a, b: lax.custom_linear_solve(
                lambda x: a @ x,
                b,
                lambda _, b: fnp.linalg.solve(a, b),
                lambda _, b: fnp.linalg.solve(a.T, b),
            )
        )(a, RIGHT),
        SINGULAR,
    ),
    "tridiagonal": (
        lambda a: lax.linalg.tridiagonal_solve(a[:, 0], 3.0 * a[:, 1], a[:, 2], RIGHT),
        SINGULAR,
    ),
}


@pytest.mark.parametrize("function, bad", SOLVERS.values(), ids=SOLVERS)
def test_matrices_that_are_not_taken(function, bad):
    _check(lambda a: _chosen(function(a)), MATRICES, bad)


@pytest.mark.parametrize("name", ["cholesky", "density", "lu", "qr", "eigh", "slogdet"])
def test_triangles_of_one_matrix_go_without_masks(name):
    function, a = SOLVERS[name][0], MATRICES[0]
    function = fsl.lu if name == "lu" else function
    if name == "density":
        function = lambda a: fsl.cho_solve(fsl.cho_factor(a), RIGHT[0])
    loss = lambda x: sum(fnp.sum(y**2) for y in tree.leaves(function(x @ x.T)))
    assert "masked" not in str(make_jaxpr(grad(loss))(a))


def test_zeros_of_a_triangle_are_ordinary_and_those_in_front_of_it_strong():
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    factors = np.array([x, x * np.nan])

    def loss(x, taken):
        parts = lower_part(factors * x, -1) + upper_part(factors * x)
        return fnp.sum(fnp.where(taken[:, None, None], parts, 0.0))

    for transform in (lambda f: f, jit):
        for taken, expected in [([True, False], x), ([True, True], x * np.nan)]:
            found = transform(grad(loss))(x, np.array(taken))
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["inv", "slogdet", "cholesky"])
def test_matrices_that_are_not_taken_under_vmap(name):
    function, bad = SOLVERS[name]

    def loss(a):
        single = lambda a, taken: fnp.sum(fnp.where(taken, function(a), 0.0))
        return fnp.sum(vmap(single)(a, TAKEN))

    _check(loss, MATRICES, bad)


@pytest.mark.parametrize("name", ["solve", "cholesky", "iteration"])
def test_second_derivatives_of_matrices_that_are_not_taken(name):
    function, bad = SOLVERS[name]
    _check(lambda a: _chosen(function(a)), MATRICES, bad, second=True)


@pytest.mark.parametrize("name", ["sylvester", "tridiagonal", "solve"])
def test_all_elements_of_matrices_that_are_not_taken(name):
    function, bad = SOLVERS[name]

    def loss(a):
        y = function(a)
        taken = np.broadcast_to(TAKEN[:, None, None], y.shape).copy()
        return fnp.sum(fnp.where(taken, y * np.arange(1.0, 1 + y.size).reshape(y.shape), 0.0))

    _check(loss, MATRICES, bad)


@pytest.mark.parametrize(
    "spline",
    [
        lambda y: make_interp_spline(np.arange(5.0), y, k=3),
        lambda y: make_smoothing_spline(np.arange(5.0), y, lam=0.1),
        lambda y: CubicSpline(np.arange(5.0), y),
    ],
    ids=["interpolating", "smoothing", "cubic"],
)
def test_splines_that_are_not_taken(spline):
    good = np.random.default_rng(1).uniform(0.5, 2.0, (3, 5))
    bad = good.copy()
    bad[1, 2] = 0.0
    loss = lambda y: _chosen(spline(fnp.sqrt(y).T)(np.array([0.3, 2.2])).T)
    _check(loss, good, bad)


def test_one_matrix_that_is_not_taken():
    def loss(a, taken):
        return fnp.sum(fnp.where(taken, fnp.linalg.inv(a), 1.0))

    for derivative in (grad(loss), jit(grad(loss))):
        np.testing.assert_array_equal(derivative(np.zeros((3, 3)), np.False_), np.zeros((3, 3)))
        assert not np.any(np.isfinite(derivative(np.zeros((3, 3)), np.True_)))


def test_equations_that_hang_together_are_all_taken():
    def loss(b, matrix):  # one system, of which a part is chosen
        solve = lambda _, b: fnp.linalg.solve(matrix, b)
        x = lax.custom_linear_solve(lambda x: matrix @ x, b, solve, symmetric=True)
        return fnp.sum(fnp.where(TAKEN, x, 0.0))

    assert not np.any(np.isfinite(grad(loss)(np.ones(3), np.zeros((3, 3)))))


ZERO_ROW = ROWS.copy()
ZERO_ROW[1] = 0.0
SCALES = np.array([1.0, 0.5, 2.0])


def _while(x, **options):
    def step(state):
        i, y, total = state
        return i + 1, fnp.sqrt(y), total + fnp.log(y) @ WEIGHTS

    limit = 3 + 0 * fnp.argmax(x[0])  # not known before it runs
    return lax.while_loop(lambda state: state[0] < limit, step, (0, x, x), **options)[2]


LOOPS = {
    "ys": lambda x: lax.scan(lambda c, a: (c + 1, fnp.sqrt(a) @ WEIGHTS * c), 0.0, x)[1],
    "map": lambda x: lax.map(lambda a: fnp.sqrt(a) @ WEIGHTS, x),
    "carries of ys": lambda x: lax.scan(
        lambda c, a: (fnp.sqrt(c) @ WEIGHTS * a, fnp.log(c) @ WEIGHTS), x, SCALES
    )[1].transpose(1, 0, 2),
    "last of ys": lambda x: lax.scan(
        lambda c, a: (fnp.sqrt(c) @ WEIGHTS * a, fnp.log(c)), x, SCALES
    )[1][-1],
    "constants": lambda x: lax.scan(lambda c, a: (c, fnp.sqrt(x) @ WEIGHTS * a), 0.0, SCALES)[
        1
    ].transpose(1, 0, 2),
    "nested": lambda x: lax.map(
        lambda a: lax.scan(lambda c, b: (c * fnp.sqrt(b), fnp.log(b) * c), 1.0, a)[1], x
    ),
    "while": _while,
    "while in memory": lambda x: _while(x, max_steps=9),
    "branches": lambda x: vmap(
        lambda a: lax.cond(a[0] < 0, lambda a: a @ WEIGHTS, lambda a: fnp.sqrt(a) @ WEIGHTS, a)
    )(x),
}


@pytest.mark.parametrize("second", [False, True], ids=["gradient", "second"])
@pytest.mark.parametrize("function", LOOPS.values(), ids=LOOPS)
def test_steps_and_rows_that_are_not_taken(function, second):
    _check(lambda x: _chosen(function(x)), ROWS, ZERO_ROW, second)


def test_elements_of_ys_that_are_not_taken():
    def loss(x):
        ys = lax.scan(lambda c, a: (fnp.sqrt(c) * a, fnp.log(c)), x, SCALES)[1]
        return fnp.sum(fnp.where(x > 0, ys, 0.0))

    x = np.array([4.0, 0.0, 9.0])
    steps = np.array([1.0, 0.5, 0.25])  # of c, sqrt(c) and sqrt(sqrt(c)) times a constant
    expected = [steps.sum() / 4, 0.0, steps.sum() / 9]
    for derivative in (grad(loss), jit(grad(loss))):
        np.testing.assert_allclose(derivative(x), expected)


def test_a_select_in_a_loop_reaches_what_is_outside():
    def loss(x):
        logs = fnp.log(x)
        return fnp.sum(lax.map(lambda both: fnp.where(both[0] > 0, both[1], 0.0), (x, logs)))

    for derivative in (grad(loss), jit(grad(loss))):
        np.testing.assert_array_equal(derivative(np.array([0.0, 4.0])), [0.0, 0.25])


def test_masks_of_rows_have_no_more_axes_than_they_need():
    from fnad.transforms.tracing import make_jaxpr

    def loss(x):
        return _chosen(lax.map(lambda a: fnp.sqrt(a) @ WEIGHTS, x))

    loop = make_jaxpr(grad(loss))(ROWS).jaxpr.eqns
    [back] = [e for e in loop if e.primitive.name == "scan" and e.params["reverse"]]
    body = back.params["jaxpr"]
    assert [v.aval.shape for v in body.invars if v.aval.dtype == np.bool_] == [()]
