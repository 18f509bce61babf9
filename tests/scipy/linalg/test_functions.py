"""Functions of matrices: against mpmath, SciPy and differences."""

import mpmath
import numpy as np
import pytest
import scipy.linalg as reference

import fnad
import fnad.numpy as fnp
from fnad.scipy import linalg
from fnad.testing import check_grads
from tests.samples.values import normal, normal_complex
from tests.scipy.linalg.test_solving import MAKES, agree

pytestmark = pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")


def exact(function, a):
    with mpmath.workdps(60):
        out = function(mpmath.matrix(a.tolist()))
        return np.array(out.tolist(), complex if a.dtype.kind == "c" else float)


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("size", [0.0, 1e-3, 1.0, 20.0])
def test_exponentials(make, size):
    a = make(4, 4) * size
    expected = exact(mpmath.expm, a)
    for dtype in ("single", "double"):
        typed = a.astype({"single": {"f": "f4", "c": "c8"}[a.dtype.kind]}.get(dtype, a.dtype))
        eps = np.finfo(typed.dtype).eps
        within = (10 + 30 * size) * eps * abs(expected).max()
        if dtype == "single":
            expected_here = exact(mpmath.expm, typed.astype(a.dtype))
        else:
            expected_here = expected
        for f in (linalg.expm, fnad.jit(linalg.expm)):
            got = f(typed)
            assert got.dtype == typed.dtype
            np.testing.assert_allclose(got, expected_here, rtol=0, atol=within)


def test_stacks_of_exponentials_are_scaled_one_by_one():
    a = normal(3, 3, 3) * np.array([1e-2, 1.0, 30.0])[:, None, None]
    each = np.stack([linalg.expm(x) for x in a])
    for f in (linalg.expm, fnad.vmap(linalg.expm), fnad.jit(fnad.vmap(linalg.expm))):
        got = f(a)
        for x, y in zip(got, each):
            np.testing.assert_allclose(x, y, rtol=0, atol=1e-12 * abs(y).max())


def test_matrices_far_from_normal_are_not_scaled_too_far():
    a = np.array([[1, 1e6], [0, -1.0]])
    np.testing.assert_allclose(linalg.expm(a), exact(mpmath.expm, a), rtol=1e-14)
    triangular = np.triu(normal(4, 4)) * 3
    got = fnad.jit(lambda a: linalg.expm(a, upper_triangular=True))(triangular)
    np.testing.assert_allclose(got, exact(mpmath.expm, triangular), rtol=1e-12, atol=1e-12)


def test_special_exponentials():
    np.testing.assert_array_equal(linalg.expm(np.zeros((2, 0, 0))), np.zeros((2, 0, 0)))
    np.testing.assert_array_equal(linalg.expm(np.zeros((3, 3), int)), np.eye(3))
    for value in (np.nan, np.inf):
        assert np.isnan(fnad.jit(linalg.expm)(np.full((2, 2), value))).all()
    np.testing.assert_array_equal(linalg.expm(np.full((2, 2), 1e8)), np.full((2, 2), np.inf))


@pytest.mark.parametrize("wrap", [lambda f: f, fnad.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("size", [1e6, 1e9])
def test_exponentials_of_large_matrices(wrap, size):
    a = size * np.array([[-2.0, 1, 1], [3, -4, 1], [0, 5, -5]])
    rounding = 20 * size * np.finfo(float).eps
    expected = exact(mpmath.expm, a)
    np.testing.assert_allclose(wrap(linalg.expm)(a), expected, rtol=rounding)
    # Rows sum up to 0: L(A, 1 cᵀ) is the mean of 1 cᵀ exp(t A), which is that limit but for the
    # beginning.
    along, weights = np.outer(np.ones(3), [1.0, 2.0, 3.0]), normal(3, 3)
    limit, within = along @ expected, 20 * rounding + 10 / size
    got = wrap(lambda a: linalg.expm_frechet(a, along, compute_expm=False))(a)
    np.testing.assert_allclose(got, limit, rtol=within)
    slope = wrap(fnad.grad(lambda a: fnp.sum(weights * linalg.expm(a))))(a)
    np.testing.assert_allclose(np.sum(slope * along), np.sum(weights * limit), rtol=within)


def test_exponentials_of_matrices_with_widely_spread_eigenvalues():
    for size in (1e8, 1e100, 1e300):
        got = fnad.jit(linalg.expm)(np.diag([-size, 0.0]))
        np.testing.assert_array_equal(got, np.diag([0.0, 1.0]))


@pytest.mark.parametrize("make", MAKES)
def test_derivatives_of_exponentials(make):
    a, e = make(2, 3, 3) * 2, make(2, 3, 3)
    expected = [reference.expm_frechet(x, y) for x, y in zip(a, e)]
    expected = [np.stack(x) for x in zip(*expected)]
    agree(linalg.expm_frechet, expected, a, e, rtol=1e-10, atol=1e-10)
    agree(
        lambda a, e: linalg.expm_frechet(a, e, method="blockEnlarge", compute_expm=False),
        expected[1],
        *(a, e),
        rtol=1e-10,
        atol=1e-10,
    )
    if make is normal_complex:
        return
    check_grads(linalg.expm, (a[0],), order=1)
    loss = lambda a: fnp.sum(fnp.abs(linalg.expm(a)))
    np.testing.assert_allclose(fnad.jit(fnad.grad(loss))(a), fnad.grad(loss)(a), rtol=1e-10)


def test_derivatives_at_zero_and_at_multiples_of_the_identity():
    check_grads(linalg.expm, (np.zeros((2, 2)),), order=2)
    check_grads(linalg.expm, (8 * np.eye(2),), order=1)


@pytest.mark.parametrize("make", MAKES)
def test_square_roots(make):
    a = make(2, 4, 4) + 4 * np.eye(4)
    expected = np.stack([reference.sqrtm(x) for x in a])
    agree(linalg.sqrtm, expected, a, rtol=1e-11, atol=1e-11)
    assert linalg.sqrtm(a.astype({"f": "f4", "c": "c8"}[a.dtype.kind])).dtype == np.complex64
    parts = lambda a: (fnp.real(linalg.sqrtm(a)), fnp.imag(linalg.sqrtm(a)))
    check_grads(parts, (a,), order=2 if make is normal else 1)


def test_square_roots_where_eigenvalues_are_equal():
    check_grads(lambda a: fnp.real(linalg.sqrtm(a)), (4 * np.eye(3),), order=2)
    jordan = np.array([[4.0, 1], [0, 4]])
    np.testing.assert_allclose(linalg.sqrtm(jordan), [[2, 0.25], [0, 2]], atol=1e-14)


def test_square_roots_of_singular_matrices():
    zero, ones, none = np.zeros((2, 2)), np.ones((2, 2)), np.array([[0.0, 1.0], [0.0, 0.0]])
    root = fnad.jit(linalg.sqrtm)
    np.testing.assert_array_equal(root(zero), zero)
    np.testing.assert_allclose(root(ones), ones / np.sqrt(2), atol=1e-8)
    assert np.isnan(root(none)).all()
    gradient = fnad.grad(lambda a: fnp.sum(fnp.real(linalg.sqrtm(a))))(zero)
    assert not np.isfinite(gradient).any()


@pytest.mark.parametrize(("dtype", "size"), [("f8", 1e-320), ("f8", 1e-308), ("f4", 1e-44)])
def test_exponential_of_tiny_matrices(dtype, size):
    a = (size * np.array([[1.0, 2.0], [3.0, -1.0]])).astype(dtype)
    ulp = np.finfo(dtype).smallest_subnormal
    np.testing.assert_allclose(linalg.expm(a), np.eye(2, dtype=dtype) + a, 1e-15, atol=ulp)
    np.testing.assert_array_equal(linalg.expm_frechet(a, a + 1)[1], np.ones((2, 2)))


def test_exponential_that_is_given_up_has_no_derivative():
    a = 1e9 * np.array([[-1.0, 1.0], [1.0, -1.0]])
    given_up = lambda a: linalg.expm(a, max_squarings=16)
    for x in fnad.jit(lambda a: fnad.jvp(given_up, (a,), (a,)))(a):
        assert np.isnan(x).all()
    assert np.isnan(fnad.grad(lambda a: fnp.sum(given_up(a)))(a)).all()
    # Of a norm of 2e9 times a rounding.
    np.testing.assert_allclose(linalg.expm(a), np.full((2, 2), 0.5), 1e-6)


def test_what_is_no_function_of_a_matrix():
    with pytest.raises(ValueError, match="funm: func must return numbers for eigenvalues"):
        linalg.funm(np.eye(2), lambda x: x[:1])
    with pytest.raises(TypeError, match=r"expm: max_squarings must be an integer, got 2\.5"):
        linalg.expm(np.eye(2), max_squarings=2.5)
    with pytest.raises(ValueError, match="expm: max_squarings must not be negative"):
        linalg.expm(np.eye(2), max_squarings=-1)
