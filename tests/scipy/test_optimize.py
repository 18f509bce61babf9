"""`fnad.scipy.optimize` against published minima and SciPy; derivatives against differences."""

import numpy as np
import pytest
import scipy.optimize

import fnad
from benchmarks.problems.least_squares import PROBLEMS
from fnad.scipy.optimize import OptimizeResults, minimize
from fnad.scipy.optimize.line_search import line_search
from fnad.testing import check_grads

METHODS = ["BFGS", "L-BFGS"]
ONE_IS_SLOW = [pytest.param("BFGS", marks=pytest.mark.slow), "L-BFGS"]
QUICK = [p for p in PROBLEMS if p.number in (4, 7, 16)]


def rosenbrock(x, a=100.0):
    return np.sum(a * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_published_problems_are_what_the_paper_says():
    """Values at minima that the paper names, so that a misprint in the data is seen."""
    at = {
        3: ([1.098159e-5, 9.106146], 0), 4: ([1e6, 2e-6], 0), 5: ([3, 0.5], 0),
        6: ([0.2578252, 0.2578252], 124.362), 7: ([1, 0, 0], 0), 11: ([50, 25, 1.5], 0),
        12: ([1, 10, 1], 0), 14: ([1] * 4, 0), 18: ([1, 10, 1, 5, 4, 3], 0), 2: ([5, 4], 0),
    }  # fmt: skip
    for problem in PROBLEMS:
        assert problem.residuals(np.asarray(problem.start, float)).ndim == 1
        if problem.number in at:
            x, value = at[problem.number]
            np.testing.assert_allclose(problem.value(np.array(x, float)), value, 1e-5, 1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("problem", QUICK, ids=lambda p: p.name)
def test_published_problems_are_solved(problem, method):
    result = minimize(problem.value, np.asarray(problem.start, float), method=method)
    assert bool(result.success) and int(result.status) == 0
    assert problem.solved(float(result.fun))
    gradient = fnad.grad(problem.value)(result.x)
    np.testing.assert_allclose(result.jac, gradient, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(result.fun, problem.value(result.x), rtol=1e-12, atol=1e-15)


def test_evaluations_are_counted():
    calls = fnad.jit(fnad.value_and_grad(rosenbrock))
    start = np.array([-1.2, 1.0])
    ours = minimize(rosenbrock, start, method="L-BFGS")
    theirs = scipy.optimize.minimize(calls, start, jac=True, method="L-BFGS-B")
    assert abs(int(ours.nfev) - theirs.nfev) <= 3  # the same search, up to rounding
    assert int(ours.njev) == int(ours.nfev) > int(ours.nit)


def test_hess_inv_is_the_inverse_of_a_quadratic_functions_matrix():
    a = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 5.0]])
    result = minimize(lambda x: x @ a @ x / 2 - x[0], np.ones(3), method="BFGS", tol=1e-9)
    np.testing.assert_allclose(result.x, np.linalg.solve(a, [1.0, 0, 0]), atol=1e-8)
    np.testing.assert_allclose(result.hess_inv, np.linalg.inv(a), rtol=1e-2, atol=1e-2)
    assert minimize(lambda x: x @ x, np.ones(3), method="L-BFGS").hess_inv is None


@pytest.mark.parametrize("method", ONE_IS_SLOW)
def test_float32_and_pytrees(method):
    def fun(p):
        return np.sum((p["a"] - 3) ** 2) + (p["b"] + 1) ** 2

    start = {"a": np.zeros((2, 2), np.float32), "b": np.float32(0.0)}
    result = minimize(fun, start, method=method)
    assert result.x["a"].dtype == np.float32 and result.fun.dtype == np.float32
    np.testing.assert_allclose(result.x["a"], np.full((2, 2), 3.0), rtol=1e-5)
    np.testing.assert_allclose(result.x["b"], -1.0, rtol=1e-5)
    assert result.jac["a"].shape == (2, 2)
    whole = minimize(lambda x: (x - 2.5) ** 2, 1, method=method)
    np.testing.assert_allclose(whole.x, 2.5)


@pytest.mark.parametrize("method", ONE_IS_SLOW)
def test_jit_and_vmap_agree_with_single_searches(method, rng):
    starts = rng.normal(size=(3, 2))

    def search(x):
        return minimize(rosenbrock, x, (100.0,), method=method)

    batched, single = fnad.jit(fnad.vmap(search))(starts), search(starts[1])
    np.testing.assert_allclose(batched.x[1], single.x, rtol=1e-4)
    assert np.all(batched.success)
    assert isinstance(batched, OptimizeResults) and len(set(batched.nfev.tolist())) > 1


@pytest.mark.parametrize("method", ONE_IS_SLOW[::-1])
def test_derivatives_are_those_of_the_minimum(method):
    options = {"gtol": 1e-10} if method == "BFGS" else {"gtol": 1e-10, "ftol": 0.0}

    @fnad.jit
    def search(a, start):
        def fun(x, a):
            return np.sum((x - a) ** 4) + np.sum((x - 1) ** 2)

        result = minimize(fun, start, (a,), method=method, options=options)
        return result.x, result.fun

    a, start = np.array([2.0, -1.0]), np.zeros(2)
    check_grads(lambda a: search(a, start), (a,), order=1, rtol=1e-5, atol=1e-5)
    assert np.all(fnad.grad(lambda s: search(a, s)[1])(start) == 0)


@pytest.mark.slow
def test_second_derivatives_and_closed_over_arrays():
    def lowest(a):  # at a / 3, of value a**2 / 3 * 2
        return minimize(lambda x: (x - a) ** 2 + 2 * x**2, 0.0, method="BFGS")

    np.testing.assert_allclose(fnad.grad(lambda a: lowest(a).x)(1.5), 1 / 3, rtol=1e-6)
    np.testing.assert_allclose(fnad.grad(fnad.grad(lambda a: lowest(a).fun))(1.5), 4 / 3)


def test_failures_are_told():
    few = minimize(rosenbrock, np.zeros(2), method="BFGS", options={"maxiter": 3})
    assert int(few.status) == 1 and not few.success and "maxiter" in few.message
    assert int(few.nit) == 3
    few = minimize(rosenbrock, np.zeros(2), method="L-BFGS", options={"maxfun": 5})
    assert int(few.status) == 1
    corner = minimize(lambda x: np.sum(np.abs(x - 0.3)), np.ones(1), method="BFGS")
    assert int(corner.status) == 2
    outside = minimize(lambda x: np.sum(np.log(x)), -np.ones(2), method="BFGS")
    assert int(outside.status) == 3 and "not finite" in outside.message
    slope = fnad.grad(
        lambda a: minimize(rosenbrock, np.zeros(2), (a,), options={"maxiter": 3}).x[0]
    )
    assert np.isnan(slope(100.0))  # there is no minimum to move


def test_the_line_search_stays_where_the_function_is_finite():
    result = minimize(lambda x: np.sum(x - np.log(x)), np.full(2, 1e-3), method="BFGS")
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-5)
    assert result.success
    flat = minimize(lambda x: np.where(x < 3, (x - 2.9) ** 2, np.nan), -50.0, method="L-BFGS")
    np.testing.assert_allclose(flat.x, 2.9, rtol=1e-4)


@pytest.mark.parametrize("first", [1e-3, 0.1, 1.0, 10.0, 1e3])
def test_line_search_finds_strong_wolfe_points(first):
    """The functions of section 5 of Moré and Thuente."""

    def case_1(a):
        return -a / (a**2 + 2)

    def case_2(a):
        return (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4

    for function in (case_1, case_2):
        along = fnad.value_and_grad(lambda x, f=function: f(x[0]))
        f, g = along(np.zeros(1))
        x, p = np.zeros(1), np.ones(1)
        found = line_search(along, x, p, f, g, np.float64(first), 1e-3, 0.1, 40)
        value, slope = along(np.array([found.step]))
        assert bool(found.wolfe) and bool(found.improved)
        assert value <= f + 1e-3 * found.step * g[0] and abs(slope[0]) <= 0.1 * abs(g[0])
        assert int(found.evaluations) <= 12


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"method": "L-BFGS", "bounds": [(0, 1)]}, ValueError, "choose method L-BFGS-B"),
        ({"bounds": [(0, 1)] * 5}, ValueError, "a pair for each of"),
        ({"method": "Newton"}, ValueError, "no method 'Newton'"),
        ({"options": {"ftol": 1.0}}, ValueError, "BFGS has no option 'ftol'"),
        ({"options": {"c1": 0.95}}, ValueError, "0 < c1 < c2 < 1"),
        ({"x0": np.ones(2) + 1j}, TypeError, "must be real"),
        ({"x0": []}, ValueError, "has no arrays"),
        ({"fun": lambda x: x}, TypeError, "must return a real floating scalar"),
        ({"fun": None}, TypeError, "fun must be a function, got NoneType"),
        ({"bounds": 5}, ValueError, "bounds must be Bounds"),
        ({"tol": np.ones(2)}, TypeError, "tol must be a real number"),
        ({"options": "gtol"}, TypeError, "options must be a mapping"),
        ({"options": {"gtol": None}}, TypeError, "gtol must be a real number"),
        ({"method": "L-BFGS", "options": {"maxcor": 0}}, ValueError, "maxcor must be an integer"),
    ],
)
def test_what_cannot_be_minimised(arguments, error, says):
    with pytest.raises(error, match=says):
        minimize(**{"fun": rosenbrock, "x0": np.ones(2), **arguments})
