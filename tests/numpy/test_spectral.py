"""Factors, eigenvalues, singular values and norms of ``fnad.numpy.linalg`` against NumPy."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads
from tests.numpy.test_linalg import DTYPES, LA, agree
from tests.samples.linalg import separated
from tests.samples.values import normal, normal_complex

pytestmark = pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")

SHAPES = [(4, 4), (2, 3, 3), (5, 3), (2, 3, 5)]


def gram(x):
    return np.swapaxes(x, -1, -2) @ x


OF_MATRICES = {
    "svdvals": (LA.svdvals, np.linalg.svdvals),
    "values": (lambda a: LA.svd(a, compute_uv=False), np.linalg.svdvals),
    "rank": (LA.matrix_rank, np.linalg.matrix_rank),
    "pinv": (LA.pinv, np.linalg.pinv),
    "cond": (LA.cond, np.linalg.cond),
    "cond-2": (lambda a: LA.cond(a, -2), lambda a: np.linalg.cond(a, -2)),
    "r": (lambda a: fnp.abs(LA.qr(a, "r")), lambda a: abs(np.linalg.qr(a, "r"))),
    **{
        f"norm {order}": (
            lambda a, order=order: LA.matrix_norm(a, ord=order),
            lambda a, order=order: np.linalg.matrix_norm(a, ord=order),
        )
        for order in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)
    },
    **{
        f"vectors {order}": (
            lambda a, order=order: LA.vector_norm(a, ord=order, axis=-1, keepdims=True),
            lambda a, order=order: np.linalg.vector_norm(a, ord=order, axis=-1, keepdims=True),
        )
        for order in (0, 1, 2, 3, np.inf, -np.inf)
    },
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OF_MATRICES)
def test_of_matrices(name, shape, dtype):
    function, reference = OF_MATRICES[name]
    agree(function, reference, normal(*shape), dtype=dtype)


@pytest.mark.parametrize(
    "name", [name for name in OF_MATRICES if name not in ("rank", "vectors 0")]
)
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)])
def test_derivatives(name, shape):
    check_grads(OF_MATRICES[name][0], (normal(*shape),), order=1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", ["reduced", "complete"])
def test_factors(shape, dtype, mode):
    a = normal(*shape).astype(dtype)
    close = {"rtol": 0, "atol": 50 * np.finfo(dtype).eps}
    q, r = fnad.jit(lambda a: LA.qr(a, mode))(a)
    expected = np.linalg.qr(a, mode)
    assert q.shape == expected.Q.shape and r.shape == expected.R.shape
    np.testing.assert_allclose(q @ r, a, **close)
    np.testing.assert_allclose(gram(q) - np.eye(q.shape[-1]), 0, **close)
    np.testing.assert_array_equal(np.triu(r), r)
    u, s, vh = fnad.jit(lambda a: LA.svd(a, mode == "complete"))(a)
    k = s.shape[-1]
    np.testing.assert_allclose(u[..., :k] * s[..., None, :] @ vh[..., :k, :], a, **close)
    np.testing.assert_allclose(gram(u) - np.eye(u.shape[-1]), 0, **close)


@pytest.mark.parametrize("dtype", DTYPES)
def test_eigenvalues(dtype):
    a = separated(2, 4, 4)
    agree(LA.eigvalsh, np.linalg.eigvalsh, a, dtype=dtype)
    values, vectors = LA.eigh(a.astype(dtype))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(a @ vectors, vectors * values[:, None], rtol=0, atol=100 * eps)


def test_the_triangle_that_is_read():
    a = normal(4, 4)
    for triangle in "LU":
        got = LA.eigvalsh(a, triangle, symmetrize_input=False)
        np.testing.assert_allclose(got, np.linalg.eigvalsh(a, triangle), rtol=1e-13)


def test_functions_of_eigenvalues_and_eigenvectors_have_second_derivatives():
    def exponential(a):
        values, vectors = LA.eigh(a)
        return (vectors * fnp.exp(values)) @ vectors.T

    check_grads(exponential, (separated(3, 3),), order=2)


def test_a_pseudoinverse_of_low_rank_has_the_derivative_of_constant_rank():
    left, right = normal(5, 2), normal(2, 4)
    np.testing.assert_allclose(LA.pinv(left @ right), np.linalg.pinv(left @ right), atol=1e-13)
    check_grads(lambda x, y: LA.pinv(x @ y, 1e-8), (left, right), order=1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("a", "b"), [((5, 3), (5,)), ((5, 3), (5, 2)), ((3, 5), (3, 2))])
def test_least_squares(a, b, dtype):
    a, b = normal(*a), normal(*b)

    def solution(a, b):
        x, _, rank, s = LA.lstsq(a, b)
        return x, rank, s

    def reference(a, b):
        x, _, rank, s = np.linalg.lstsq(a, b)
        return x, np.int64(rank), s

    agree(solution, reference, a, b, dtype=dtype)
    residuals = LA.lstsq(a, b)[1]
    errors = b - a @ np.linalg.lstsq(a, b)[0]
    expected = np.square(errors).sum(0, keepdims=b.ndim == 1)
    np.testing.assert_allclose(residuals, expected, atol=1e-13)
    check_grads(lambda a, b: LA.lstsq(a, b)[0], (a, b), order=1)


def test_singular_matrices():
    a = np.array([[1.0, 0.0], [0.0, 0.0]])
    for wrap in (lambda f: f, fnad.jit):
        assert wrap(LA.matrix_rank)(a) == 1
        assert wrap(LA.cond)(a) == np.inf and wrap(lambda a: LA.cond(a, 1))(a) == np.inf
        assert np.isnan(wrap(LA.cond)(a * np.nan))
    assert LA.matrix_rank(np.zeros((0, 3))) == 0
    for vector in (np.zeros(3), np.ones(3), np.float32(2)):
        assert wrap(LA.matrix_rank)(vector) == np.linalg.matrix_rank(vector)
    assert LA.pinv(np.zeros((0, 3))).shape == (3, 0)


def test_products_of_vectors():
    a, b = normal(4, 3), normal(2, 4, 3)
    agree(LA.vecdot, np.linalg.vecdot, normal(4, 3), normal(4, 3))
    np.testing.assert_allclose(LA.vecdot(a, b), np.vecdot(a, b), rtol=1e-14)
    np.testing.assert_allclose(LA.vecdot(a, b, axis=-2), np.vecdot(a, b, axis=-2), rtol=1e-13)
    with pytest.raises(ValueError, match="vecdot: shapes"):
        LA.vecdot(a, b[..., :2])


@pytest.mark.parametrize(
    "shapes", [[(7, 2), (2, 9), (9, 3), (3, 5)], [(4,), (4, 2), (2,)], [(3, 2), (2, 6)]]
)
def test_products_of_many_matrices(shapes):
    xs = [normal(*shape) for shape in shapes]
    agree(lambda *xs: LA.multi_dot(xs), lambda *xs: np.linalg.multi_dot(xs), *xs)


def test_products_of_many_matrices_are_taken_in_the_cheapest_order():
    xs = [np.ones((100, 100)), np.ones((100, 100)), np.ones((100, 1))]
    jaxpr = str(fnad.make_jaxpr(lambda *xs: LA.multi_dot(xs))(*xs))
    assert jaxpr.count("dot_general") == 2 and "f64[100,100] = dot_general" not in jaxpr


def test_errors_say_what_is_possible():
    with pytest.raises(ValueError, match="must be 'reduced', 'complete', 'r' or 'raw', got 'full'"):
        LA.qr(np.eye(2), "full")
    with pytest.raises(ValueError, match="at least two arrays"):
        LA.multi_dot([np.eye(2)])
    with pytest.raises(ValueError, match="no norm of order 3"):
        LA.matrix_norm(np.eye(2), ord=3)
    with pytest.raises(ValueError, match=r"got \(2, 2\) and \(3,\)"):
        LA.lstsq(np.eye(2), np.ones(3))
    with pytest.raises(ValueError, match="UPLO must be 'L' or 'U'"):
        LA.eigh(np.eye(2), "X")


def test_numpys_other_arguments():
    a = np.diag([4.0, 1e-3, 0.0])
    assert fnad.jit(lambda a, tol: fnp.linalg.matrix_rank(a, tol=tol))(a, 1e-2) == 1
    assert fnp.linalg.matrix_rank(a, tol=1e-4, hermitian=True) == 2
    expected = np.linalg.pinv(a, 1e-2, hermitian=True)
    np.testing.assert_allclose(fnp.linalg.pinv(a, rcond=1e-2, hermitian=True), expected)
    traced = fnad.jit(lambda a: np.linalg.pinv(a, rcond=1e-2, hermitian=True))(a)
    np.testing.assert_allclose(traced, expected)
    s = fnp.linalg.svd(a, compute_uv=False, hermitian=True)
    np.testing.assert_allclose(s, np.linalg.svd(a, compute_uv=False, hermitian=True))


@pytest.mark.parametrize("make", [normal, normal_complex])
def test_hermitian_matrices_have_magnitudes_of_eigenvalues(make):
    a = make(2, 4, 4)
    a = a + np.conj(np.swapaxes(a, -1, -2))
    lower = np.tril(a)  # all that is read
    for wrap in (lambda f: f, fnad.jit):
        u, s, vh = wrap(lambda x: fnp.linalg.svd(x, hermitian=True))(lower)
        np.testing.assert_allclose((u * s[..., None, :]) @ vh, a, atol=1e-12)
        np.testing.assert_allclose(s, np.linalg.svd(a, compute_uv=False), atol=1e-12)
        np.testing.assert_allclose(
            wrap(lambda x: fnp.linalg.pinv(x, hermitian=True))(lower), np.linalg.inv(a), atol=1e-10
        )
    singular = np.ones((3, 3))
    assert fnp.linalg.matrix_rank(np.tril(singular), hermitian=True) == 1
    np.testing.assert_allclose(fnp.linalg.pinv(singular, hermitian=True), singular / 9)
    values = fnp.linalg.svd(lower, compute_uv=False, hermitian=True)
    np.testing.assert_allclose(values, s, atol=1e-12)
    with pytest.raises(ValueError, match="of one length"):
        fnp.linalg.svd(np.ones((2, 3)), hermitian=True)


def test_pseudo_inverses_of_hermitian_matrices_have_derivatives():
    a = normal(3, 3)
    check_grads(lambda a: fnp.linalg.pinv(a, hermitian=True), (a + a.T,), order=1)
