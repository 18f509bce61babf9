"""Determinants of singular matrices: cofactors by minors, derivatives by differences."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads
from tests.samples.values import normal, normal_complex

pytestmark = pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")

det = fnp.linalg.det


def of_rank(n, rank, make=normal):
    return make(n, max(rank, 1))[:, :rank] @ make(rank + 1, n)[:rank]


def cofactors(a):
    n = len(a)

    def minor(i, j):
        return np.linalg.det(np.delete(np.delete(a, i, 0), j, 1))

    return np.array([[(-1) ** (i + j) * minor(i, j) for j in range(n)] for i in range(n)])


@pytest.mark.parametrize(("n", "rank"), [(4, 4), (4, 3), (4, 2), (4, 0), (2, 1), (1, 0)])
def test_gradients_are_cofactors(n, rank):
    a = of_rank(n, rank)
    for gradient in (fnad.grad(det), fnad.jit(fnad.grad(det))):
        np.testing.assert_allclose(gradient(a), cofactors(a), rtol=1e-12, atol=1e-13)
    check_grads(det, (a,), order=2, modes=["fwd", "rev"][: 1 + (rank == n - 1)])


@pytest.mark.parametrize(
    "a",
    [
        np.array([[1.0, 0, 1], [0, 0, 0], [1, 0, 1]]),
        np.array([[0.0, 1], [0, 2]]),
        np.diag([1.0, 1.0, 0.0]),
        np.zeros((3, 3)),
    ],
    ids=["rank one", "first pivot", "equal singular values", "zero"],
)
def test_exact_zeros_among_pivots(a):
    np.testing.assert_allclose(fnad.jit(fnad.grad(det))(a), cofactors(a), atol=1e-15)
    check_grads(det, (a,), order=2, modes=["fwd"])


@pytest.mark.parametrize("rank", [3, 2])
def test_complex_matrices(rank):
    a = of_rank(3, rank, normal_complex)
    for wrap in (lambda f: f, fnad.jit):
        got = wrap(fnad.grad(det, holomorphic=True))(a)
        np.testing.assert_allclose(got, cofactors(a), rtol=1e-12, atol=1e-13)
    check_grads(det, (a,), order=2, modes=["fwd"])


def test_third_derivatives_of_regular_matrices():
    b = normal(3, 3)
    third = fnad.grad(fnad.grad(fnad.grad(lambda t: det(np.eye(3) + t * b))))
    np.testing.assert_allclose(third(0.5), 6 * np.linalg.det(b), rtol=1e-10)
    at_zero = fnad.grad(fnad.grad(fnad.grad(lambda t: det(t * b))))
    np.testing.assert_allclose(at_zero(0.0), 6 * np.linalg.det(b), rtol=1e-10)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_stacks_of_small_matrices(n):
    a = normal(6, n, n)
    a[2] = 0.0
    for gradient in (fnad.grad(lambda a: fnp.sum(det(a))), fnad.vmap(fnad.grad(det))):
        for function in (gradient, fnad.jit(gradient)):
            expected = np.stack([cofactors(x) for x in a]) if n > 1 else np.ones((6, 1, 1))
            np.testing.assert_allclose(function(a), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_stacks_with_singular_matrices_among_them(dtype):
    a = np.stack([of_rank(4, rank) for rank in (4, 3, 2)]).astype(dtype)
    expected = np.stack([cofactors(x) for x in a.astype(float)])
    close = {"rtol": 0, "atol": 1000 * np.finfo(dtype).eps}
    for function in (fnad.vmap(fnad.grad(det)), fnad.grad(lambda a: fnp.sum(det(a)))):
        for gradient in (function, fnad.jit(function)):
            got = gradient(a)
            assert got.dtype == dtype
            np.testing.assert_allclose(got, expected, **close)


def test_determinants_that_underflow():
    a = np.diag([1e-200, 3e-200])
    np.testing.assert_allclose(fnad.grad(det)(a), np.diag([3e-200, 1e-200]), rtol=1e-14)


def test_special_matrices():
    assert fnad.grad(det)(np.zeros((0, 0))).shape == (0, 0)
    assert np.isnan(fnad.jit(fnad.grad(det))(np.full((2, 2), np.nan))).all()
    singular = np.ones((2, 2))
    sign, logarithm = fnp.linalg.slogdet(singular)
    assert sign == 0 and logarithm == -np.inf
    gradient = fnad.grad(lambda a: fnp.linalg.slogdet(a)[1])(singular)
    assert not np.isfinite(gradient).any()


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("jit", [False, True])
def test_products_of_elements_that_overflow(n, jit):
    """Where pivots give a number, be it next to matrices of ordinary size."""
    det = fnad.jit(fnp.linalg.det) if jit else fnp.linalg.det
    large = np.full((n, n), 1e200)
    large[0, 0] = 0.5e200  # det is of 1e400 times something, or 0 where rows are equal
    tall = np.eye(n) * 1e-250
    tall[0] = 1e200
    some = np.stack([np.full((n, n), 1e200), tall, large, normal(n, n)])
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(det(some), np.linalg.det(some), rtol=1e-12)
    np.testing.assert_array_equal(np.isnan(det(np.full((2, n, n), np.nan))), True)


@pytest.mark.parametrize("n", [2, 3])
def test_no_matrix_changes_the_determinants_of_others(n):
    some = normal(5, n, n)
    det = fnad.jit(lambda a: fnp.linalg.det(a))
    large = np.concatenate([some, np.full((1, n, n), 1e200)])
    np.testing.assert_array_equal(det(large)[:5], det(some))
