"""Least squares and roots against SciPy and published minima; derivatives against differences."""

import numpy as np
import pytest
import scipy.optimize

import fnad
import fnad.numpy as fnp
from benchmarks.problems.least_squares import PROBLEMS
from fnad.scipy.optimize import least_squares, root, root_scalar
from fnad.testing import check_grads

QUICK = [p for p in PROBLEMS if p.number in (1, 10, 13, 15)]
T = np.linspace(0.0, 2.0, 9)


@pytest.mark.parametrize("problem", QUICK, ids=lambda p: p.name)
def test_published_problems_are_solved(problem):
    start = np.asarray(problem.start, float)
    result = least_squares(problem.residuals, start, gtol=1e-10)
    assert bool(result.success) and int(result.status) > 0
    assert problem.solved(float(2 * result.cost))
    np.testing.assert_allclose(result.fun, problem.residuals(result.x), rtol=1e-9, atol=1e-12)
    jacobian = fnad.jacfwd(problem.residuals)(result.x)
    np.testing.assert_allclose(result.jac, jacobian, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(result.grad, result.fun @ result.jac, atol=1e-6)
    assert int(result.njev) <= int(result.nfev)


@pytest.mark.slow
def test_all_published_problems_are_solved():
    for problem in PROBLEMS:
        result = least_squares(problem.residuals, np.asarray(problem.start, float), gtol=1e-10)
        assert problem.solved(float(2 * result.cost)), problem.name


def decay(p, y):
    return p["size"] * fnp.exp(-p["rate"] * T) - y


def test_fits_of_pytrees_have_derivatives_and_batches():
    start = {"size": 1.0, "rate": np.float32(1)}
    data = 3 * np.exp(-0.5 * T) + 0.1 * np.sin(9 * T)

    def fit(y):
        found = least_squares(decay, start, (y,), gtol=1e-12, xtol=1e-14, ftol=1e-15).x
        return fnp.stack([found["size"], found["rate"]])

    assert least_squares(decay, start, (data,)).x["rate"].dtype == np.float32
    start = {"size": 1.0, "rate": 1.0}
    wanted = scipy.optimize.least_squares(
        lambda p: p[0] * np.exp(-p[1] * T) - data, [1.0, 1.0], method="lm", xtol=1e-14
    )
    np.testing.assert_allclose(fit(data), wanted.x, rtol=1e-7)
    check_grads(fnad.jit(fit), (data,), order=1)
    batch = np.stack([data, 2 * data])
    np.testing.assert_allclose(fnad.vmap(fit)(batch), [fit(v) for v in batch], rtol=1e-7)


def test_failures_of_least_squares_are_told():
    few = least_squares(QUICK[1].residuals, np.asarray(QUICK[1].start, float), max_nfev=3)
    assert int(few.status) == 0 and not few.success and int(few.nfev) == 3
    outside = least_squares(fnp.log, -np.ones(2))
    assert int(outside.status) == -1 and not outside.success
    with pytest.raises(TypeError, match=r"least_squares: the function must return real"):
        least_squares(lambda x: x * 1j, np.ones(2))
    slope = fnad.grad(
        lambda a: fnp.sum(least_squares(lambda x: (x - a) ** 3, np.ones(2), max_nfev=2).x)
    )
    assert np.isnan(slope(0.5))


def circle(x, r):
    return fnp.stack([x[0] ** 2 + x[1] ** 2 - r**2, x[0] - x[1]])


def test_roots_of_systems():
    result = root(circle, np.array([1.0, 2.0]), (5.0,))
    assert bool(result.success)
    np.testing.assert_allclose(result.x, 5 / np.sqrt(2), rtol=1e-14)
    np.testing.assert_allclose(result.fun, 0, atol=1e-13)
    start = np.array([1.0, 2.0])
    slope = fnad.jacrev(lambda r: root(circle, start, (r,)).x)
    np.testing.assert_allclose(slope(5.0), 1 / np.sqrt(2), rtol=1e-13)
    check_grads(fnad.jit(lambda r: root(circle, start, (r,)).x), (5.0,), order=2)
    batch = np.array([1.0, 2.0, 30.0])
    found = fnad.vmap(lambda r: root(circle, start, (r,)).x[0])(batch)
    np.testing.assert_allclose(found, batch / np.sqrt(2), rtol=1e-12)
    single = root(circle, start.astype(np.float32), (np.float32(5),))
    assert single.x.dtype == np.float32 and single.success
    np.testing.assert_allclose(single.x, 5 / np.sqrt(2), rtol=1e-6)


def test_roots_that_are_not_there():
    none = root(lambda x: x**2 + 1, np.ones(1))
    assert not none.success
    assert np.isnan(fnad.grad(lambda a: root(lambda x: x**2 + a, np.ones(1)).x[0])(1.0))
    with pytest.raises(ValueError, match="root: 3 equations for 2 variables"):
        root(lambda x: np.ones(3) * x[0], np.ones(2))


SCALARS = [
    (lambda x: x**3 - 2, (0.0, 10.0)), (lambda x: fnp.cos(x) - x, (-3.0, 5.0)),
    (lambda x: fnp.exp(x) - 1e5, (-50.0, 50.0)), (lambda x: x**5 - 3, (-4.0, 3.0)),
    (lambda x: fnp.tan(x) - 30, (1.0, 1.57)), (lambda x: x, (0.0, 1.0)), (lambda x: 1 - x, (0, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("f", "bracket"), SCALARS)
def test_roots_of_one_variable_are_brents(f, bracket):
    result = root_scalar(f, bracket=bracket)
    theirs = scipy.optimize.root_scalar(lambda x: float(f(x)), bracket=bracket, method="brentq")
    assert bool(result.converged)
    np.testing.assert_allclose(result.root, theirs.root, rtol=1e-11, atol=1e-11)
    assert int(result.function_calls) <= theirs.function_calls + 3
    assert result.root.dtype == np.float64


def test_derivatives_and_batches_of_scalar_roots():
    def cube_root(a):
        return root_scalar(lambda x: x**3 - a, bracket=(0.0, 10.0)).root

    np.testing.assert_allclose(fnad.grad(cube_root)(8.0), 1 / 12, rtol=1e-10)
    check_grads(fnad.jit(cube_root), (8.0,), order=2)
    a = np.array([1.0, 8.0, 27.0, -1.0])
    found = fnad.jit(fnad.vmap(cube_root))(a)
    np.testing.assert_allclose(found, [1, 2, 3, np.nan], rtol=1e-11)
    single = root_scalar(lambda x: x**2 - 2, bracket=(np.float32(0), np.float32(2)), xtol=1e-6)
    assert single.root.dtype == np.float32
    np.testing.assert_allclose(single.root, np.sqrt(2), rtol=1e-6)
    with pytest.raises(ValueError, match=r"different signs at 0\.0 and 10\.0"):
        cube_root(-1.0)
    for bracket in (None, (0, 1, 2), 1.0):
        with pytest.raises(ValueError, match="bracket must be a pair"):
            root_scalar(lambda x: x, bracket=bracket)
    with pytest.raises(TypeError, match="xtol must be a real number"):
        root_scalar(lambda x: x, bracket=(0.0, 1.0), xtol="small")
    few = root_scalar(lambda x: x**3 - 2, bracket=(0.0, 10.0), maxiter=2)
    assert not few.converged and np.isnan(few.root)
