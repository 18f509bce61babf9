"""Factorisations of `jax.lax.linalg` that are made of others: against SciPy, and as derivatives."""

import numpy as np
import pytest
import scipy.linalg

import fnad
import fnad.numpy as fnp
from fnad.lax import linalg
from fnad.testing import check_grads
from tests.samples.linalg import hermitian_positive, positive_definite
from tests.samples.values import normal, normal_complex

pytestmark = pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")

MAKERS = pytest.mark.parametrize("make", [normal, normal_complex])
WRAPS = pytest.mark.parametrize("wrap", [lambda f: f, fnad.jit])


def close(got, want, tolerance=1e-12):
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def raw(a):
    (packed, taus), _ = scipy.linalg.qr(a, mode="raw")
    return packed, taus


@MAKERS
@WRAPS
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (1, 1)])
def test_qr_as_reflections(shape, make, wrap):
    a = make(*shape)
    packed, taus = wrap(lambda a: fnp.linalg.qr(a, "raw"))(a)
    want, factors = raw(a)
    close(packed, want.T)
    close(taus, factors)
    k = min(shape)
    q = wrap(linalg.householder_product)(want[:, :k], factors)
    close(q, scipy.linalg.qr(a, mode="economic")[0])


@MAKERS
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("transpose", [False, True])
def test_products_with_reflections(make, left, transpose):
    packed, taus = raw(make(5, 3))
    q = linalg.householder_product(np.pad(packed, [(0, 0), (0, 2)]), taus)
    q = np.conj(q.T) if transpose else q
    c = make(2, 5, 4) if left else make(2, 4, 5)
    function = lambda a, taus, c: linalg.ormqr(a, taus, c, left=left, transpose=transpose)
    for f in (function, fnad.jit(function)):
        close(f(packed, taus, c), q @ c if left else c @ q)
    check_grads(function, (packed, taus, c), order=1)


def test_reflections_that_are_none():
    packed, taus = np.tril(np.ones((3, 3))), np.array([0.0, 2 / 3, 0.0])
    close(linalg.householder_product(packed, np.zeros(3)), np.eye(3))
    close(linalg.householder_product(packed, taus)[0], [1, 0, 0])
    close(linalg.householder_product(np.zeros((3, 0)), np.zeros(0)), np.zeros((3, 0)))
    with pytest.raises(ValueError, match="no room for the 3 reflections"):
        linalg.householder_product(np.ones((3, 2)), np.ones(3))
    with pytest.raises(ValueError, match="on the left"):
        linalg.ormqr(np.ones((3, 2)), np.ones(2), np.ones((3, 2)), left=False)


@MAKERS
@WRAPS
@pytest.mark.parametrize("n", [1, 2, 5])
def test_hessenberg(n, make, wrap):
    a = make(2, n, n)
    packed, taus = wrap(linalg.hessenberg)(a)
    gehrd = scipy.linalg.get_lapack_funcs("gehrd", (a,))
    for matrix, got, factors in zip(a, packed, taus):
        want, want_factors, _ = gehrd(matrix)
        close(got, want)
        close(factors, want_factors[: n - 1])


@MAKERS
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_tridiagonal(n, make, lower):
    a = make(2, n, n)
    a = a + np.conj(np.swapaxes(a, -1, -2))
    name = "hetrd" if make is normal_complex else "sytrd"
    trd = scipy.linalg.get_lapack_funcs(name, (a,))
    for function in (linalg.tridiagonal, fnad.jit(linalg.tridiagonal, static_argnames="lower")):
        for matrix, *got in zip(a, *function(a, lower=lower)):
            c, *want, _ = trd(matrix, lower=lower)
            for x, y in zip(got, (c, *want), strict=True):
                close(x, y)
    assert got[1].dtype == np.float64
    d, e = linalg.tridiagonal(a, lower=lower)[1:3]
    check_grads(lambda a: linalg.tridiagonal(a, lower=lower)[1], (a[0],), order=1)
    wide = [np.diag(x) + np.diag(y, 1) + np.diag(y, -1) for x, y in zip(d, e)]
    close(np.linalg.eigvalsh(wide), np.linalg.eigvalsh(a))


def test_reflections_of_tiny_matrices():
    a = normal(4, 4)
    scale = 2.0**-600  # exact
    close(linalg.hessenberg(a * scale)[1], linalg.hessenberg(a)[1], 0)
    packed, taus = linalg.hessenberg(np.zeros((3, 3)))
    close(packed, 0)
    close(taus, 0)


@MAKERS
@pytest.mark.parametrize("m", [1, 2, 6])
def test_tridiagonal_solve(m, make):
    dl, d, du, b = make(2, m), make(2, m, seed=1), make(2, m, seed=2), make(2, m, 3)
    a = np.stack(
        [np.diag(y) + np.diag(x[1:], -1) + np.diag(z[:-1], 1) for x, y, z in zip(dl, d, du)]
    )
    want = np.linalg.solve(a, b)
    for function in (
        linalg.tridiagonal_solve,
        fnad.jit(linalg.tridiagonal_solve),
        fnad.vmap(linalg.tridiagonal_solve),
    ):
        close(function(dl, d, du, b), want, 1e-10)
    if m < 6:
        check_grads(linalg.tridiagonal_solve, (dl, d, du, b), order=2)


def test_tridiagonal_matrices_that_are_singular():
    ones, zeros = np.ones(3), np.zeros(3)
    solve = lambda d, **options: linalg.tridiagonal_solve(zeros, d, zeros, ones[:, None], **options)
    assert not np.isfinite(solve(np.array([1.0, 0.0, 1.0]))).all()
    close(solve(np.array([1.0, 0.0, 1.0]), perturb_singular=True)[:, 0], [1, 2.0**52, 1])
    with pytest.raises(ValueError, match=r"got \(3,\), \(3,\), \(3,\) and \(2, 1\)"):
        linalg.tridiagonal_solve(ones, ones, ones, np.ones((2, 1)))


@WRAPS
def test_cholesky_update(wrap):
    r = np.swapaxes(np.linalg.cholesky(positive_definite(2, 4, 4)), -1, -2)
    w = normal(2, 4)
    total = np.swapaxes(r, -1, -2) @ r + w[..., None] * w[..., None, :]
    close(wrap(linalg.cholesky_update)(r, w), np.swapaxes(np.linalg.cholesky(total), -1, -2))
    check_grads(linalg.cholesky_update, (r[0], w[0]), order=1)
    with pytest.raises(ValueError, match="needs real matrices"):
        linalg.cholesky_update(hermitian_positive(2, 2), np.ones(2))


def test_pivots_as_permutations():
    a = normal(2, 5, 3)
    _, pivots, permutation = linalg.lu(a)
    for function in (
        linalg.lu_pivots_to_permutation,
        fnad.jit(linalg.lu_pivots_to_permutation, static_argnums=1),
    ):
        np.testing.assert_array_equal(function(pivots, 5), permutation)
    with pytest.raises(ValueError, match="what becomes of 2 rows"):
        linalg.lu_pivots_to_permutation(pivots, 2)


def test_symmetric_product():
    a, c = normal(2, 3, 4), positive_definite(2, 3, 3)
    function = lambda a, c: linalg.symmetric_product(
        a, c, alpha=2.0, beta=3.0, symmetrize_output=True
    )
    want = 2 * a @ np.swapaxes(a, -1, -2) + 3 * c
    close(function(a, c), want)
    close(linalg.symmetric_product(a, np.tril(c), beta=1.0), want / 2 - c * 1.5 + np.tril(c), 1e-11)
    check_grads(function, (a, c), order=1)


@MAKERS
@pytest.mark.parametrize("shape", [(5, 3), (4, 4), (1, 1)])
def test_qdwh(shape, make):
    a = make(*shape)
    for x in (a, a * np.logspace(0, -9, shape[1])):
        want = scipy.linalg.polar(x)
        for function in (linalg.qdwh, fnad.jit(linalg.qdwh)):
            u, h, count, converged = function(x)
            close(u, want[0])
            close(h, want[1])
            assert converged and count <= 7


def test_qdwh_of_a_part():
    x = normal(5, 4)
    want = scipy.linalg.polar(x[:4, :3])
    u, h, _, converged = fnad.jit(lambda x, m: linalg.qdwh(x, dynamic_shape=(m, 3)))(x, 4)
    close(u, np.pad(want[0], [(0, 1)] * 2))
    close(h, np.pad(want[1], [(0, 1)] * 2))
    assert converged
    assert not linalg.qdwh(x, max_iterations=2)[3]
    with pytest.raises(ValueError, match="at least as many rows"):
        linalg.qdwh(x.T)
