"""Minimisation between bounds against SciPy's L-BFGS-B, and derivatives of such minima."""

import numpy as np
import pytest
import scipy.optimize

import fnad
from benchmarks.problems.least_squares import PROBLEMS
from fnad.scipy.optimize import Bounds, minimize
from fnad.testing import check_grads

RNG = np.random.default_rng(0)
QUICK = [p for p in PROBLEMS if p.number in (7, 14, 18)]


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@pytest.mark.parametrize("problem", QUICK, ids=lambda p: p.name)
def test_published_problems_between_bounds(problem):
    start = np.asarray(problem.start, float)
    lower = start - np.abs(start) * RNG.uniform(0, 0.5, start.size) - 0.1
    upper = start + np.abs(start) * RNG.uniform(0, 0.6, start.size) + 0.1
    result = minimize(problem.value, start, bounds=Bounds(lower, upper))
    assert int(result.status) == 0
    assert (result.x >= lower).all() and (result.x <= upper).all()
    both = fnad.jit(fnad.value_and_grad(problem.value))
    pairs = list(zip(lower, upper))
    theirs = scipy.optimize.minimize(both, start, jac=True, method="L-BFGS-B", bounds=pairs)
    assert result.fun <= theirs.fun + 1e-4 * abs(theirs.fun) + 1e-9
    np.testing.assert_allclose(result.fun, problem.value(result.x), rtol=1e-12)


def test_forms_of_bounds():
    start, wanted = np.full(4, -1.0), None
    for bounds in (
        Bounds(ub=0.5), [(None, 0.5)] * 4, Bounds(np.full(4, -np.inf), np.full(4, 0.5)),
        scipy.optimize.Bounds(-np.inf, 0.5),
    ):  # fmt: skip
        found = minimize(rosenbrock, start, bounds=bounds, tol=1e-8).x
        wanted = found if wanted is None else wanted
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_allclose(wanted[0], 0.5)
    free = minimize(rosenbrock, start, method="L-BFGS-B", tol=1e-10)
    np.testing.assert_allclose(free.x, 1, rtol=1e-4)
    tree = {"a": np.zeros(2), "b": 0.0}
    bounds = Bounds({"a": np.array([1.0, -1.0]), "b": -2.0}, {"a": np.array([2.0, 1.0]), "b": -1.0})
    found = minimize(lambda t: np.sum(t["a"] ** 2) + (t["b"] - 3) ** 2, tree, bounds=bounds).x
    np.testing.assert_allclose(found["a"], [1, 0], atol=1e-6)
    assert found["b"] == -1


def test_bounds_between_which_there_is_nothing():
    square = lambda x: np.sum(x**2)
    for bounds in ([(2, 1)] * 2, Bounds(np.array([0.0, 3.0]), 2.0)):
        with pytest.raises(ValueError, match="lies above its upper bound"):
            minimize(square, np.ones(2), bounds=bounds)
    found = fnad.jit(lambda a: minimize(square, np.ones(2), bounds=Bounds(a, 2.0)))(3.0)
    assert not found.success and np.isnan(found.x).all()


def coupled(x, a):
    return np.sum((x - a) ** 2 * np.array([1.0, 2.0, 3.0])) + x[0] * x[1]


def test_minima_between_bounds_have_derivatives():
    def minimum(a, upper):
        return minimize(coupled, np.zeros(3), (a,), bounds=Bounds(-1.0, upper), tol=1e-12).x

    a = np.array([2.0, 0.3, -4.0])
    np.testing.assert_allclose(minimum(a, 1.0), [1, 0.05, -1], atol=1e-9)
    np.testing.assert_allclose(fnad.jacrev(minimum)(a, 1.0), np.diag([0, 1.0, 0]), atol=1e-9)
    np.testing.assert_allclose(fnad.jacfwd(minimum, 1)(a, 1.0), [1, -0.25, 0], atol=1e-9)
    check_grads(fnad.jit(minimum), (a, 1.0), order=1)
    batch = np.array([[2.0, 0.3, -4.0], [0.1, 0.2, 0.3]])
    found = fnad.vmap(lambda a: minimum(a, 1.0))(batch)
    np.testing.assert_allclose(found, [minimum(v, 1.0) for v in batch], atol=1e-6)
