"""Decompositions: against SciPy or by what they mean, compiled, with derivatives."""

import numpy as np
import pytest
import scipy.linalg as reference

import fnad
from fnad.scipy import linalg
from fnad.testing import check_grads
from tests.samples.linalg import hermitian_positive, positive_definite, turning
from tests.samples.values import normal
from tests.scipy.linalg.test_solving import CLOSE, MAKES, agree

pytestmark = pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")


def unitary(q):
    np.testing.assert_allclose(np.conj(q.T) @ q, np.eye(q.shape[1]), **CLOSE)


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
def test_lu(make, shape):
    a = make(*shape)
    agree(linalg.lu, reference.lu(a), a)
    agree(lambda a: linalg.lu(a, permute_l=True), reference.lu(a, permute_l=True), a)
    check_grads(lambda a: linalg.lu(a)[1:], (a,), order=1)
    stack = np.stack([a, -a])
    for got, want in zip(linalg.lu(stack), linalg.lu(a)):
        np.testing.assert_array_equal(abs(got[1]), abs(want))


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
@pytest.mark.parametrize("mode", ["full", "economic", "r"])
@pytest.mark.parametrize("pivoting", [False, True])
def test_qr(make, shape, mode, pivoting):
    a = make(*shape)
    run = lambda a: linalg.qr(a, mode=mode, pivoting=pivoting)
    expected = reference.qr(a, mode=mode, pivoting=pivoting)
    for x, y in zip(run(a), expected, strict=True):
        np.testing.assert_allclose(x, y, **CLOSE)
    if mode == "economic" and shape == (5, 3):
        agree(run, tuple(expected), a)
        check_grads(lambda a: run(a)[1], (a,), order=1)


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
@pytest.mark.parametrize("pivoting", [False, True])
@pytest.mark.parametrize("conjugate", [False, True])
def test_products_with_orthonormal_columns(make, shape, pivoting, conjugate):
    a, m, k = make(*shape), shape[0], min(shape)
    for mode, c in (
        ("right", make(2, m)),
        ("right", make(m)),
        ("left", make(k, 2)),
        ("left", make(k)),
    ):
        expected = reference.qr_multiply(a, c, mode, pivoting, conjugate)
        got = linalg.qr_multiply(a, c, mode, pivoting, conjugate)
        for x, y in zip(got, expected, strict=True):
            np.testing.assert_allclose(x, y, **CLOSE)


def test_pivots_of_dependent_columns():
    a = np.array([[1.0, 2, 0], [2, 4, 0], [0, 0, 3]])
    q, r, p = fnad.jit(lambda a: linalg.qr(a, pivoting=True))(np.stack([a, a[::-1]]))
    np.testing.assert_array_equal(p, [[1, 2, 0], [1, 2, 0]])
    np.testing.assert_allclose(q[0] @ r[0], a[:, p[0]], **CLOSE)


@pytest.mark.parametrize("make", MAKES)
def test_svd(make):
    a = make(4, 3)
    u, s, vh = linalg.svd(a, full_matrices=False)
    np.testing.assert_allclose(u * s @ vh, a, **CLOSE)
    agree(lambda a: linalg.svd(a, compute_uv=False), np.linalg.svd(a, compute_uv=False), a)


@pytest.mark.parametrize("make", [positive_definite, hermitian_positive])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("type_", [1, 2, 3])
def test_generalised_eigenvalues(make, lower, type_):
    a, b = make(4, 4), make(4, 4)[::-1, ::-1]
    halves = [np.tril(x) if lower else np.triu(x) for x in (a, b)]
    w, v = fnad.jit(lambda a, b: linalg.eigh(a, b, lower, type=type_))(*halves)
    np.testing.assert_allclose(w, reference.eigh(a, b, type=type_)[0], rtol=1e-10)
    left, right = [(a @ v, b @ v), (a @ b @ v, v), (b @ a @ v, v)][type_ - 1]
    np.testing.assert_allclose(left, right * w, rtol=1e-9, atol=1e-9)
    inner = np.linalg.inv(b) if type_ == 3 else b
    np.testing.assert_allclose(np.conj(v.T) @ inner @ v, np.eye(4), rtol=1e-9, atol=1e-9)
    check_grads(lambda a, b: linalg.eigh(a, b, lower, True, type=type_), (a, b), order=1)


def test_eigenvalues_of_one_triangle():
    a = positive_definite(3, 3)
    for lower in (False, True):
        half = np.tril(a) if lower else np.triu(a)
        w = linalg.eigh(half, lower=lower, eigvals_only=True)
        np.testing.assert_allclose(w, np.linalg.eigvalsh(a), **CLOSE)


def test_tridiagonal_eigenvalues():
    d, e = normal(5), normal(4)
    w = reference.eigvalsh_tridiagonal(d, e)
    agree(lambda d, e: linalg.eigh_tridiagonal(d, e, eigvals_only=True), w, d, e)
    got, v = linalg.eigh_tridiagonal(d, e, select="i", select_range=(1, 2))
    np.testing.assert_allclose(got, w[1:3], **CLOSE)
    a = np.diag(d) + np.diag(e, 1) + np.diag(e, -1)
    np.testing.assert_allclose(a @ v, v * got, **CLOSE)
    check_grads(lambda d, e: linalg.eigh_tridiagonal(d, e, eigvals_only=True), (d, e), order=1)


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
@pytest.mark.parametrize("side", ["right", "left"])
def test_polar(make, shape, side):
    a = make(*shape)
    agree(lambda a: linalg.polar(a, side), reference.polar(a, side), a)
    if make is normal:
        check_grads(lambda a: linalg.polar(a, side), (a,), order=1)


def test_polar_factors_of_equal_singular_values_have_derivatives():
    check_grads(lambda a: linalg.polar(a), (np.diag([2.0, 2.0, -2.0]),), order=2)


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("output", ["real", "complex"])
@pytest.mark.parametrize("dtype", ["single", "double"])
def test_schur(make, output, dtype):
    a = turning(2, 5, 5, make=make)
    a = a.astype(
        np.result_type(a.dtype, np.float32)
        if dtype == "double"
        else {"f": "f4", "c": "c8"}[a.dtype.kind]
    )
    tolerance = 200 * np.finfo(a.dtype).eps
    for f in (linalg.schur, fnad.jit(linalg.schur, static_argnums=1)):
        t, z = f(a, output)
        assert t.dtype == np.result_type(a, np.complex64 if output == "complex" else a)
        np.testing.assert_allclose(z @ t @ np.conj(np.swapaxes(z, -1, -2)), a, atol=tolerance)
        np.testing.assert_allclose(
            z @ np.conj(np.swapaxes(z, -1, -2)), [np.eye(5)] * 2, atol=tolerance
        )
        below = -1 if t.dtype.kind == "c" else -2
        assert not np.tril(t, below).any()
    t, z = linalg.rsf2csf(*linalg.schur(a))
    assert not np.tril(t, -1).any() and t.dtype.kind == "c"
    np.testing.assert_allclose(z @ t @ np.conj(np.swapaxes(z, -1, -2)), a, atol=tolerance)


def test_schur_has_no_derivative():
    with pytest.raises(TypeError, match="schur: the Schur decomposition has no derivative"):
        fnad.jvp(linalg.schur, (np.eye(2),), (np.eye(2),))


@pytest.mark.parametrize("make", MAKES)
def test_hessenberg(make):
    a = make(5, 5)
    h, q = reference.hessenberg(a, calc_q=True)
    agree(lambda a: linalg.hessenberg(a, calc_q=True), (h, q), a)
    agree(linalg.hessenberg, h, a)
    stack = np.stack([a, np.triu(a)])
    got = linalg.hessenberg(stack)
    np.testing.assert_allclose(got[0], h, **CLOSE)
    if make is normal:
        np.testing.assert_array_equal(got[1], np.triu(a))
        check_grads(linalg.hessenberg, (a,), order=1, modes=["fwd"])


def test_small_matrices():
    for n in (0, 1):
        a = np.ones((n, n))
        for function in (linalg.schur, linalg.polar, linalg.lu):
            for x in fnad.jit(function)(a):
                np.testing.assert_array_equal(x, a)
        np.testing.assert_array_equal(linalg.hessenberg(a), a)
        np.testing.assert_array_equal(linalg.sqrtm(a), a)
    for shape in [(0, 0), (3, 0), (0, 3), (2, 3, 0)]:
        q, r, order = linalg.qr(np.ones(shape), pivoting=True)
        np.testing.assert_array_equal(q @ r, np.ones(shape))
        np.testing.assert_array_equal(
            order[..., :], np.zeros(shape[:-2])[..., None] + np.arange(shape[-1])
        )


def test_exchanges_of_rows_are_real():
    for dtype, real in ((np.complex64, np.float32), (np.complex128, np.float64)):
        assert linalg.lu(np.eye(2, dtype=dtype))[0].dtype == real


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: linalg.qr(np.eye(2), mode="thin"), "mode must be 'full', 'r' or 'economic'"),
        (lambda: linalg.qr_multiply(np.eye(2), np.ones(3)), "does not go with the factor Q"),
        (lambda: linalg.eigh(np.eye(2), eigvals=(0, 1)), "take a slice"),
        (lambda: linalg.eigh(np.eye(2), np.eye(2), type=4), "type must be 1, 2 or 3"),
        (lambda: linalg.eigh_tridiagonal(np.ones(3), np.ones(3)), "needs diagonals"),
        (lambda: linalg.eigh_tridiagonal(np.ones(3), np.ones(2), select="v"), "select must be"),
        (lambda: linalg.polar(np.eye(2), "up"), "side must be 'right' or 'left'"),
        (lambda: linalg.schur(np.eye(2), "imaginary"), "output must be 'real' or 'complex'"),
        (lambda: linalg.rsf2csf(np.eye(2), np.eye(3)), "of one size"),
    ],
)
def test_errors(function, message):
    with pytest.raises(ValueError, match=message):
        function()


@pytest.mark.parametrize("numbers", [(0, 3), (-1, 1), (2, 1)])
def test_numbers_of_eigenvalues_that_there_are_not(numbers):
    with pytest.raises(ValueError, match=r"select_range must be .* 2, ascending"):
        linalg.eigh_tridiagonal(np.ones(3), np.ones(2), select="i", select_range=numbers)
