"""Strong zeros through rules of users, and through systems of equations."""

import numpy as np
import pytest

import fnad.lax as lax
import fnad.numpy as fnp
from fnad.primitives.checkpoint import checkpoint
from fnad.primitives.custom import custom_vjp
from fnad.primitives.custom.vmap import custom_vmap
from fnad.scipy.integrate import odeint, solve_ivp
from fnad.transforms.autodiff import grad, vjp
from fnad.transforms.jit import jit
from fnad.transforms.vmap import vmap
from tests.tiers import tiered

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")

TAKEN = np.array([True, False, True])


def _with_rule(function, forward, backward):
    made = custom_vjp(function)
    made.defvjp(forward, backward)
    return made


def _log_times(x, y):
    return fnp.log(x) * y


def _forward(x, y):
    return _log_times(x, y), (x, y)


def _repeated(_, g):
    return lax.fori_loop(0, 2, lambda i, g: 2.0 * g, g)


RULES = {
    "products": (_forward, lambda r, g: (g * r[1] / r[0], g * fnp.log(r[0]))),
    "pullback": (lambda x, y: vjp(_log_times, x, y), lambda pull, g: pull(g)),
    "call": (_forward, lambda r, g: jit(lambda g: (g * r[1] / r[0], g * fnp.log(r[0])))(g)),
    "loop": (
        _forward,
        lambda r, g: (_repeated(r, g) * r[1] / (4.0 * r[0]), g * fnp.log(r[0])),
    ),
    "select": (
        _forward,
        lambda r, g: (fnp.where(r[1] > 0, g * r[1] / r[0], 0.0), g * fnp.log(r[0]) + 0.0),
    ),
}


@pytest.mark.parametrize("forward, backward", RULES.values(), ids=RULES)
def test_rules_of_users_that_are_linear(forward, backward):
    function = _with_rule(_log_times, forward, backward)

    def loss(x):
        return fnp.sum(fnp.where(x > 0, function(x, fnp.sqrt(x)), 0.0))

    def mapped(x):
        single = lambda x: fnp.where(x > 0, function(x, fnp.sqrt(x)), 0.0)
        return fnp.sum(vmap(single)(x))

    x = np.array([4.0, 0.0, 9.0])
    roots = np.sqrt(x[TAKEN])
    expected, curvature = np.zeros(3), np.zeros(3)
    expected[TAKEN] = 1 / roots + np.log(x[TAKEN]) / (2 * roots)
    for function_ in (loss, mapped):
        for derivative in (grad(function_), jit(grad(function_)), grad(jit(function_))):
            np.testing.assert_allclose(derivative(x), expected, rtol=1e-14)
    curvature[TAKEN] = -np.log(x[TAKEN]) / (4 * x[TAKEN] ** 1.5)
    second = grad(lambda x: fnp.sum(grad(loss)(x)))
    np.testing.assert_allclose(second(x), curvature, rtol=1e-13)
    shown = grad(lambda x: fnp.sum(fnp.where(x < 1, function(x, x), 0.0)))(np.zeros(3))
    assert not np.any(np.isfinite(shown))


@pytest.mark.parametrize(
    "backward, expected",
    [
        (lambda r, g: (fnp.clip(g, 0.5, 2.0), g), [0.5, 1.0]),  # not linear
        (lambda r, g: (g * r[1] + 1.0, g), [1.0, 3.0]),  # not even zero for zero
        (lambda r, g: (g * g, g), [0.0, 1.0]),
        (lambda r, g: (lax.stop_gradient(g) * 3.0, g), [0.0, 3.0]),
    ],
    ids=["clipped", "added", "squared", "stopped"],
)
def test_rules_of_users_that_are_not_linear_get_zeros(backward, expected):
    function = _with_rule(lambda x, y: x * y, lambda x, y: (x * y, (x, y)), backward)

    def loss(x):
        return fnp.sum(fnp.where(x > 0, function(x, np.array([5.0, 2.0])), 0.0))

    for derivative in (grad(loss), jit(grad(loss))):
        np.testing.assert_array_equal(derivative(np.array([0.0, 4.0])), expected)


# Backward rules of a function that is the identity, and what they make of two ones.
NOT_LINEAR = {
    "clip": (lambda r, g: (fnp.clip(g, -0.5, 0.5),), lambda g: np.clip(g, -0.5, 0.5)),
    "norm": (
        lambda r, g: (g * fnp.minimum(1.0, 0.5 / fnp.linalg.norm(g)),),
        lambda g: g * 0.5 / np.sqrt(2),
    ),
    "nan": (lambda r, g: (fnp.nan_to_num(g),), lambda g: g),
    "tanh": (lambda r, g: (3.0 * fnp.tanh(g),), lambda g: 3 * np.tanh(g)),
    "select": (lambda r, g: (fnp.where(fnp.isfinite(g), g, 0.0),), lambda g: g),
    "square": (lambda r, g: (g * g,), lambda g: g * g),
    "inner product": (lambda r, g: (g * (g @ g),), lambda g: 2 * g),
    "bound of residuals": (
        lambda r, g: (fnp.clip(g, -fnp.abs(r), fnp.abs(r)),),
        lambda g: g,
    ),
    "infinite residuals": (
        lambda r, g: (fnp.clip(g / np.array([2.0, 0.0, 3.0]), -5.0, 5.0),),
        lambda g: g / np.array([2.0, 3.0]),
    ),
    "call": (lambda r, g: (jit(lambda g: fnp.clip(g, -1, 1) * 2)(g),), lambda g: 2 * g),
    "branch": (
        lambda r, g: lax.cond(
            g @ g > 1.0, lambda g: (fnp.clip(g, -1.0, 1.0),), lambda g: (fnp.tanh(g),), g / 2.0
        ),
        lambda g: g / 2,
    ),
    "checkpoint": (
        lambda r, g: (checkpoint(lambda g: fnp.clip(g, -0.5, 0.5))(g),),
        lambda g: g / 2,
    ),
    "rule in rule": (
        lambda r, g: (fnp.linalg.solve(2.0 * np.eye(1), g[None])[0],),
        lambda g: g / 2,
    ),
}


@pytest.mark.parametrize("backward, expected", NOT_LINEAR.values(), ids=NOT_LINEAR)
def test_rules_of_users_that_keep_zeros(backward, expected):
    function = custom_vjp(lambda x: x)
    function.defvjp(lambda x: (x, x), backward)

    def loss(x):
        return fnp.sum(fnp.where(x > 0, function(fnp.sqrt(x)), 0.0))

    x = np.array([4.0, 0.0, 9.0])
    right = np.zeros(3)
    right[TAKEN] = expected(np.ones(2)) / (2 * np.sqrt(x[TAKEN]))
    for derivative in (grad(loss), jit(grad(loss)), grad(jit(loss))):
        np.testing.assert_allclose(derivative(x), right, rtol=1e-14)
    # The second derivative at what was left out is that of nothing, too.
    assert grad(lambda x: fnp.sum(grad(loss)(x)))(x)[1] == 0
    taken = grad(lambda x: fnp.sum(fnp.where(x < 9, function(fnp.sqrt(x)), 0.0)))(x)
    assert not np.isfinite(taken[1])


def _root(x, y):
    return fnp.sqrt(x) * y


def _mapped_root(axis_size, in_batched, x, y):
    x, y = (
        a if mapped else fnp.broadcast_to(a, (axis_size, *a.shape))
        for a, mapped in zip((x, y), in_batched)
    )
    return _root(x, y), True


def test_custom_vmap_functions():
    function = custom_vmap(_root)
    rule = []
    function.def_vmap(lambda *args: rule.append(args[1]) or _mapped_root(*args))

    def loss(x, y):
        return fnp.sum(fnp.where(x > 0, function(x, y), 0.0))

    x, y = np.array([4.0, 0.0, 9.0]), np.array([1.0, 2.0, 3.0])
    expected = np.array([1 / 4, 0.0, 3 / 6]), np.array([2.0, 0.0, 3.0])
    for derivative in (grad(loss, (0, 1)), jit(grad(loss, (0, 1))), grad(jit(loss), (0, 1))):
        for found, right in zip(derivative(x, y), expected, strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-15)
    second = grad(lambda x: fnp.sum(grad(loss)(x, y)))(x)
    np.testing.assert_allclose(second, [-1 / 32, 0.0, -3 / 108], rtol=1e-15)
    assert not rule
    both = np.stack([y, 2 * y])
    for derivative in (grad(loss, (0, 1)), jit(grad(loss, (0, 1)))):
        by_x, by_y = vmap(derivative, (None, 0))(x, both)
        np.testing.assert_allclose(by_x, np.stack([expected[0], 2 * expected[0]]), rtol=1e-15)
        np.testing.assert_allclose(by_y, np.stack([expected[1]] * 2), rtol=1e-15)
    assert (False, True) in rule  # the derivatives are those of the rule

    def row(x, y):  # the mask of one function is a scalar, that of the rule's one of rows
        return fnp.sum(fnp.where(x[0] > 0, function(x, y), 0.0))

    rows = np.array([[4.0, 1.0], [0.0, 1.0]])
    found = vmap(grad(row), (0, None))(rows, np.array([2.0, 4.0]))
    np.testing.assert_allclose(found, [[0.5, 2.0], [0.0, 0.0]], rtol=1e-15)


A = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.0, 4.0]])
B = np.array([[1.0, np.inf, 2.0], [3.0, np.nan, 4.0], [0.5, 1.0, 2.0]])


def _direct(solve):
    def solution(a, b):
        return lax.custom_linear_solve(
            lambda x: a @ x, b, lambda _, b: solve(a, b), lambda _, b: solve(a.T, b)
        )

    return solution


SOLUTIONS = {
    "solve": fnp.linalg.solve,
    "solved": _direct(fnp.linalg.solve),
    "inverted": _direct(lambda a, b: fnp.linalg.inv(a) @ b),
    "compiled": _direct(jit(fnp.linalg.solve)),
    "upper": lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True),
    "transposed": lambda a, b: lax.linalg.triangular_solve(a, b.T, lower=True).T,
}


@pytest.mark.parametrize("solution", SOLUTIONS.values(), ids=SOLUTIONS)
def test_right_hand_sides_that_are_not_taken(solution):
    def loss(a, b):
        return fnp.sum(fnp.where(TAKEN, solution(a, b) ** 2, 0.0))

    harmless = np.where(TAKEN, B, 1.0)
    expected = grad(loss, (0, 1))(A, harmless)
    for derivative in (grad(loss, (0, 1)), jit(grad(loss, (0, 1))), grad(jit(loss), (0, 1))):
        for found, right in zip(derivative(A, B), expected, strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-13)
    second = lambda a, b: fnp.sum(grad(loss)(a, b) ** 2)
    np.testing.assert_allclose(grad(second)(A, B), grad(second)(A, harmless), rtol=1e-12)
    assert np.any(np.isnan(grad(loss)(A, np.where(TAKEN, B, np.nan)[:, [1, 0, 2]])))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("stack", [(), (2,)], ids=["one", "stack"])
def test_unknowns_behind_those_that_are_taken(lower, transposed, left, stack):
    """A triangular system of which some unknowns are not taken is the smaller one of the others."""
    rng = np.random.default_rng(6)
    a = rng.uniform(0.5, 2.0, (*stack, 4, 4)) + 2 * np.eye(4)
    b = rng.normal(size=(*stack, 4, 2) if left else (*stack, 2, 4))
    first = lower ^ transposed ^ (not left)  # what is found first depends on itself alone
    kept = slice(0, 2) if first else slice(2, 4)
    rows = np.zeros(4, bool)
    rows[kept] = True
    mask = rows[:, None] if left else rows

    def loss(a, b):
        options = {"left_side": left, "lower": lower, "transpose_a": transposed}
        return fnp.sum(fnp.where(mask, lax.linalg.triangular_solve(a, b, **options) ** 2, 0.0))

    def reference(a, b):
        """By the inverse of what is kept of the triangle."""
        part = (fnp.tril if lower else fnp.triu)(a)[..., kept, kept]
        part = fnp.swapaxes(part, -1, -2) if transposed else part
        inverse = fnp.linalg.inv(part)
        return fnp.sum((inverse @ b[..., kept, :] if left else b[..., kept] @ inverse) ** 2)

    bad_a, bad_b = a.copy(), b.copy()
    bad_a[..., ~rows, ~rows] = 0.0
    bad_b[(..., ~rows, slice(None)) if left else (..., ~rows)] = np.inf
    expected = grad(reference, (0, 1))(a, b)
    for derivative in (grad(loss, (0, 1)), jit(grad(loss, (0, 1)))):
        for found, right in zip(derivative(bad_a, bad_b), expected, strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-11, atol=1e-13)


def test_equations_for_themselves_in_one_system():
    def quotients(d, b):
        solve = lambda _, b: b / d
        x = lax.custom_linear_solve(lambda x: d * x, b, solve, symmetric=True)
        return fnp.sum(fnp.where(d != 0, x, 0.0))

    d, b = np.array([2.0, 0.0, 4.0]), np.array([1.0, 2.0, 3.0])
    for derivative in (grad(quotients, (0, 1)), jit(grad(quotients, (0, 1)))):
        by_d, by_b = derivative(d, b)
        np.testing.assert_allclose(by_d, [-1 / 4, 0.0, -3 / 16], rtol=1e-15)
        np.testing.assert_allclose(by_b, [1 / 2, 0.0, 1 / 4], rtol=1e-15)
    second = grad(lambda d: fnp.sum(grad(quotients)(d, b)))(d)
    np.testing.assert_allclose(second, [2 / 8, 0.0, 6 / 64], rtol=1e-15)


def test_roots_that_are_not_taken():
    def root(a):
        return lax.custom_root(
            lambda x: x * x - a,
            fnp.ones_like(a),
            lambda f, x: fnp.sqrt(a),
            lambda f, y: y / f(fnp.ones_like(y)),
        )

    def loss(a):
        return fnp.sum(fnp.where(a > 0, root(a), 0.0))

    a = np.array([4.0, 0.0, 9.0])
    for derivative in (grad(loss), jit(grad(loss))):
        np.testing.assert_allclose(derivative(a), [1 / 4, 0.0, 1 / 6], rtol=1e-15)
    second = grad(lambda a: fnp.sum(grad(loss)(a)))(a)
    np.testing.assert_allclose(second, [-1 / 32, 0.0, -1 / 108], rtol=1e-14)


@tiered("solver", ["odeint", "solve_ivp"], lambda solver: solver == "odeint")
def test_solutions_of_differential_equations_that_are_not_taken(solver):
    times = np.linspace(0.0, 1.0, 3)

    def rates(y, k):
        return -k * y

    def solution(y, k):
        if solver == "odeint":
            return odeint(lambda y, t, k: rates(y, k), y, times, k)
        options = {"args": (k,), "t_eval": times, "adjoint": True, "rtol": 1e-9, "atol": 1e-9}
        return solve_ivp(lambda t, y, k: rates(y, k), (0.0, 1.0), y, **options).y.T

    def loss(y, k):
        states = vmap(solution, (0, None))(y, k)
        return fnp.sum(fnp.where(TAKEN[:, None, None], states, 0.0))

    y, k = np.array([[1.0, 2.0], [np.nan, 1.0], [3.0, 1.0]]), 0.7
    by_y, by_k = jit(grad(loss, (0, 1)))(y, k)
    decay, close = np.exp(-k * times), {"rtol": 1e-5}  # the error of odeint's steps, and a margin
    np.testing.assert_allclose(by_y, decay.sum() * TAKEN[:, None] * np.ones((3, 2)), **close)
    np.testing.assert_allclose(by_k, -7.0 * (times * decay).sum(), **close)
    second = grad(lambda k: grad(loss, 1)(y, k))(k)
    np.testing.assert_allclose(second, 7.0 * (times**2 * decay).sum(), **close)
    shown = grad(loss, 1)(y[[1, 0, 2]], k)
    assert np.isnan(shown)
