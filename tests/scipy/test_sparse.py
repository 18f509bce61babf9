"""`fnad.scipy.sparse.linalg`: residuals, derivatives, batches, and what does not converge."""

import numpy as np
import pytest
import scipy.sparse

import fnad
import fnad.numpy as fnp
from fnad.scipy.sparse.linalg import bicgstab, cg, gmres
from fnad.testing import check_grads

SOLVERS = [cg, bicgstab, gmres]


def system(dtype, hermitian, n=12):
    rng = np.random.default_rng(0)
    a = rng.normal(size=(n, n))
    b = rng.normal(size=n)
    if np.dtype(dtype).kind == "c":
        a, b = a + 1j * rng.normal(size=(n, n)), b + 1j * rng.normal(size=n)
    a = a @ a.conj().T + np.eye(n) if hermitian else a + 8 * np.eye(n)
    return a.astype(dtype), b.astype(dtype)


@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
@pytest.mark.parametrize("solver", SOLVERS)
def test_residuals_are_as_small_as_was_asked_for(solver, dtype, preconditioned):
    a, b = system(dtype, solver is cg)
    tol = 1e-5 if dtype == np.float32 else 1e-10
    m = np.diag(1 / np.diag(a)) if preconditioned else None
    x, info = solver(a, b, tol=tol, M=m)
    assert x.dtype == dtype and int(info) == 0
    assert np.linalg.norm(a @ x - b) <= 3 * tol * np.linalg.norm(b)
    np.testing.assert_allclose(x, np.linalg.solve(a, b), rtol=1e3 * tol, atol=1e3 * tol)


@pytest.mark.parametrize(
    ("solver", "dtype"),
    [
        *((solver, np.float64) for solver in SOLVERS),
        (cg, np.complex128),
        pytest.param(bicgstab, np.complex128, marks=pytest.mark.slow),
        pytest.param(gmres, np.complex128, marks=pytest.mark.slow),
    ],
)
def test_derivatives_are_those_of_the_solution(solver, dtype):
    a, b = system(dtype, solver is cg, 3)

    @fnad.jit
    def solution(a, b):
        matrix = (a + a.T.conj()) / 2 if solver is cg else a
        return solver(lambda x: matrix @ x, b, tol=1e-13, M=np.eye(3) / 9)[0]

    check_grads(solution, (a, b), order=1, modes=("fwd", "rev"), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_pytrees_guesses_and_batches(solver):
    def scaled(v):
        return {"a": 2 * v["a"], "b": 4 * v["b"] + np.sum(v["b"])}

    b = {"a": np.float64(3.0), "b": np.arange(4.0)}
    x, info = solver(scaled, b, {"a": 0.0, "b": np.ones(4)}, tol=1e-12)
    back = scaled(x)
    np.testing.assert_allclose(back["a"], 3.0)
    np.testing.assert_allclose(back["b"], b["b"], atol=1e-10)
    assert int(info) == 0
    a, _ = system(np.float64, True, 5)
    many = np.random.default_rng(1).normal(size=(3, 5))
    many[1] = 0  # converged from the start, in a batch that goes on
    xs = fnad.jit(fnad.vmap(lambda b: solver(a, b, tol=1e-12)[0]))(many)
    np.testing.assert_allclose(xs, np.linalg.solve(a, many.T).T, atol=1e-9)


def test_restarts_and_exact_steps():
    a, b = system(np.float64, False)
    x, info = gmres(a, b, restart=3, tol=1e-10)
    assert int(info) == 0
    np.testing.assert_allclose(a @ x, b, atol=1e-8)
    for solver in SOLVERS:  # the first step is all that there is to do
        np.testing.assert_array_equal(solver(np.eye(3), np.ones(3))[0], np.ones(3))
        np.testing.assert_array_equal(solver(np.eye(3), np.zeros(3))[0], np.zeros(3))


def test_what_does_not_converge_is_told():
    a, b = system(np.float64, False)
    assert int(gmres(a, b, restart=2, maxiter=1)[1]) == 1
    assert int(bicgstab(a, b, maxiter=2, tol=1e-12)[1]) == 2
    assert int(cg(np.diag([1.0, -1.0]), np.ones(2))[1]) != 0
    assert int(gmres(np.zeros((2, 2)), np.ones(2), maxiter=3)[1]) == 3
    slope = fnad.grad(lambda b: np.sum(gmres(a, b, restart=2, maxiter=1)[0]))(b)
    assert np.all(np.isnan(slope))


def test_errors_name_the_argument():
    with pytest.raises(
        ValueError, match=r"cg: A must be a function, or a matrix of shape \(2, 2\)"
    ):
        cg(np.eye(3), np.ones(2))
    with pytest.raises(TypeError, match="gmres: what A returns must be of the structure"):
        gmres(lambda x: x[:1], np.ones(2))
    with pytest.raises(ValueError, match="restart must be an integer, at least 1"):
        gmres(np.eye(2), np.ones(2), restart=0)
    with pytest.raises(TypeError, match="cg: tol must be a real number"):
        cg(np.eye(2), np.ones(2), tol=None)
    with pytest.raises(TypeError, match="cg: M must be a function or a matrix, got str"):
        cg(np.eye(2), np.ones(2), M="ilu")


@pytest.mark.parametrize(("dtype", "size"), [("f4", 1e-30), ("f4", 1e30), ("f8", 1e-300)])
@pytest.mark.parametrize("solver", SOLVERS)
def test_right_hand_sides_whose_squares_leave_the_range(solver, dtype, size):
    a, b = system(dtype, hermitian=True)
    b = b * np.dtype(dtype).type(size)
    x, info = solver(a, b, tol=1e-5)
    assert info == 0 and np.abs(a @ x - b).max() <= 2e-5 * np.linalg.norm(b / size) * size
    again, info = solver(a, b, x0=x, atol=1e-4 * float(size))
    assert info == 0
    np.testing.assert_array_equal(again, x)


@pytest.mark.parametrize("solver", SOLVERS)
def test_matrices_of_scipy_sparse(solver):
    a, b = system(np.float64, hermitian=True)
    a[np.abs(a) < 4] = 0
    a += 40 * np.eye(len(a))
    sparse = scipy.sparse.csr_array(a)
    x, info = solver(sparse, b, tol=1e-12, M=scipy.sparse.diags_array(1 / np.diag(a)))
    assert info == 0
    np.testing.assert_allclose(x, np.linalg.solve(a, b), 1e-9)
    slope = fnad.grad(lambda b: fnp.sum(solver(sparse, b, tol=1e-12)[0]))(b)
    np.testing.assert_allclose(slope, np.linalg.solve(a.T, np.ones(len(a))), 1e-9)
