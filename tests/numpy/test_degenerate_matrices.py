"""Matrices of which something is not determined: what still is has derivatives, the rest is NaN."""

import mpmath
import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.numpy import linalg
from fnad.scipy.linalg import sqrtm
from fnad.testing import check_grads
from tests.samples.values import normal

pytestmark = pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")

Q = np.linalg.qr(normal(3, 3))[0]
REPEATED = Q @ np.diag([2.0, 2.0, 5.0]) @ Q.T


@pytest.mark.parametrize("a", [np.eye(3), REPEATED, np.zeros((3, 3)), np.diag([1.0, 1, 4])])
@pytest.mark.parametrize("wrap", [lambda f: f, fnad.jit], ids=["eager", "jit"])
def test_traces_of_functions_of_symmetric_matrices(a, wrap):
    # d tr f(A) = f'(A), whatever the eigenvalues.
    got = wrap(fnad.grad(lambda a: fnp.sum(fnp.sin(linalg.eigvalsh(a)))))(a)
    w, v = np.linalg.eigh(a)
    np.testing.assert_allclose(got, v * np.cos(w) @ v.T, atol=1e-14)
    got = wrap(fnad.grad(lambda a: fnp.sum(fnp.sin(linalg.eigh(a)[0]))))(a)
    np.testing.assert_allclose(got, v * np.cos(w) @ v.T, atol=1e-14)


def test_traces_of_functions_of_general_matrices():
    a = normal(3, 3) @ np.diag([1.0, 1.0, 3.0]) @ np.linalg.inv(normal(3, 3))
    got = fnad.grad(lambda a: fnp.sum(linalg.eigvals(a) ** 3).real)(a)
    np.testing.assert_allclose(got, 3 * (a @ a).T, rtol=1e-9, atol=1e-9)


def test_eigenvectors_of_equal_eigenvalues_have_no_derivative():
    for decompose, position in ((linalg.eigh, 1), (linalg.svd, 0), (linalg.eig, 1)):
        pick = lambda a, d=decompose, i=position: fnp.sum(fnp.real(d(a)[i][:, 0]) * np.arange(3.0))
        assert not np.isfinite(fnad.grad(pick)(2 * np.eye(3))).all(), decompose


@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 4)])
def test_norms_of_singular_values_that_are_equal(shape):
    a = np.eye(*shape) * 2
    a[:3, :3] = REPEATED - 7 * np.outer(Q[:, 2], Q[:, 2])  # 2, 2 and -2
    u, _, vt = np.linalg.svd(a, full_matrices=False)
    for gradient in (fnad.grad, lambda f: fnad.jit(fnad.grad(f))):
        got = gradient(lambda a: linalg.norm(a, "nuc"))(a)
        np.testing.assert_allclose(got, u @ vt, atol=1e-13)
    got = fnad.grad(lambda a: fnp.sum(linalg.svdvals(a) ** 2))(a)
    np.testing.assert_allclose(got, 2 * a, atol=1e-13)


def rectangular(shape, values):
    left, right = (np.linalg.qr(normal(n, n))[0] for n in shape)
    return (left[:, : len(values)] * values) @ right[: len(values)]


@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 4)])
@pytest.mark.parametrize("values", [(2, 2, 1), (1, 1, 1), (2, 1 + 1e-12, 1)])
@pytest.mark.parametrize("wrap", [lambda f: f, fnad.jit], ids=["eager", "jit"])
def test_all_derivatives_of_nuclear_norms(shape, values, wrap):
    # Of the trace of the root of A Aᴴ, whose derivatives know no singular values.
    def trace(a):
        square = a.T @ a if shape[0] > shape[1] else a @ a.T
        return fnp.trace(fnp.real(sqrtm(square)))

    a = rectangular(shape, values)
    norm = lambda a: linalg.norm(a, "nuc")
    expected = fnad.hessian(trace)(a)
    for twice in (fnad.hessian, lambda f: fnad.jacrev(fnad.jacrev(f))):
        np.testing.assert_allclose(wrap(twice(norm))(a), expected, atol=1e-11)
    b = normal(*shape)
    along = [lambda s, f=f: f(a + s * b) for f in (norm, trace)]
    for _ in range(3):
        along = [lambda s, f=f: fnad.jvp(f, (s,), (1.0,))[1] for f in along]
    np.testing.assert_allclose(wrap(along[0])(0.0), along[1](0.0), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("order", "values"), [(2, (3, 1, 1)), (-2, (2, 2, 1)), (2, (1, 0, 0))])
@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 4)])
def test_second_derivatives_of_an_extreme_singular_value(order, values, shape):
    a = rectangular(shape, values)
    norm = lambda a: linalg.norm(a, order)
    check_grads(norm, (a,), order=2)
    check_grads(lambda x, y: linalg.norm(x + 1j * y, order), (a, 0 * a), order=2)
    compiled = fnad.jit(fnad.hessian(norm))(a)
    np.testing.assert_allclose(compiled, fnad.jacrev(fnad.jacrev(norm))(a), atol=1e-12)


@pytest.mark.parametrize("values", [(2, 2, 1), (2, 2 - 1e-15, 1)])
def test_a_repeated_extreme_singular_value_has_no_second_derivative(values):
    a = rectangular((3, 3), values)
    assert np.isnan(fnad.hessian(lambda a: linalg.norm(a, 2))(a)).all()
    assert np.isfinite(fnad.hessian(lambda a: linalg.norm(a, -2))(a)).all()


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
def test_norms_of_singular_values_that_are_zero(shape):
    a = normal(shape[0], 2) @ normal(2, shape[1])
    got = fnad.jit(fnad.grad(lambda a: fnp.sum(linalg.svdvals(a) ** 2)))(a)
    np.testing.assert_allclose(got, 2 * a, atol=1e-13)
    largest = fnad.grad(lambda a: linalg.norm(a, 2))(a)
    u, _, vt = np.linalg.svd(a)
    np.testing.assert_allclose(largest, np.outer(u[:, 0], vt[0]), atol=1e-13)


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
def test_pseudo_inverses_among_matrices_of_one_rank(shape):
    left, right = normal(shape[0], 2), normal(2, shape[1])
    check_grads(lambda x, y: linalg.pinv(x @ y), (left, right), order=1)
    b = normal(shape[0], 2)
    check_grads(lambda x, y, b: linalg.lstsq(x @ y, b)[0], (left, right, b), order=1)
    x, _, rank, _ = fnad.jit(linalg.lstsq)(left @ right, b)
    expected = np.linalg.lstsq(left @ right, b)
    np.testing.assert_allclose(x, expected[0], atol=1e-12)
    assert rank == expected[2] == 2


def test_what_rcond_cuts_off():
    a, b = np.diag([1.0, 1e-3, 1e-6]), np.ones(3)
    for rcond, rank in ((1e-2, 1), (1e-5, 2), (None, 3)):
        solve = lambda a, b, r=rcond: linalg.lstsq(a, b, r)
        x, _, found, _ = fnad.jit(solve)(a, b)
        np.testing.assert_allclose(x, np.linalg.lstsq(a, b, rcond)[0], rtol=1e-12)
        assert found == rank
        # Of what is cut off, nothing depends on b.
        slope = fnad.jacobian(lambda b, s=solve: s(a, b)[0])(b)
        np.testing.assert_allclose(slope, np.linalg.pinv(a, rcond=rcond or 1e-15), rtol=1e-12)


def test_norms_at_zero():
    # They have a kink: no derivative but for squares, which have.
    for order in (None, 2):
        assert np.isnan(fnad.grad(lambda x, o=order: linalg.norm(x, o))(np.zeros(3))).all()
    square = fnad.grad(lambda x: linalg.vector_norm(x, ord=4) ** 4)
    np.testing.assert_allclose(square(np.array([0.0, 1.0])), [0, 4])
    np.testing.assert_array_equal(fnad.grad(lambda x: fnp.sum(x**2))(np.zeros(3)), 0)
    # Of sums of absolute values, it is one of the slopes that there are.
    assert (abs(fnad.grad(lambda x: linalg.norm(x, 1))(np.zeros(3))) <= 1).all()
    # A zero among other elements is none.
    x = np.array([0.0, 3.0, 4.0])
    for order in (None, 2, 3, 1.5, 1, np.inf):
        assert np.isfinite(fnad.grad(lambda x, o=order: linalg.norm(x, o))(x)).all(), order


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (2, 0, 0), (0, 2, 2)])
def test_norms_of_nothing_are_those_of_numpy(shape):
    x = np.zeros(shape)
    for order in (None, 0, 1, 2, 3, np.inf):
        for got, want in (
            (linalg.vector_norm(x, ord=order or 2), np.linalg.vector_norm(x, ord=order or 2)),
            (linalg.norm(x, order, -1), np.linalg.norm(x, order, -1)),
        ):
            np.testing.assert_array_equal(got, want)
    for order in (None, 0, 1, 2, 3, 0.5, np.inf):
        slope = fnad.jvp(lambda x, o=order: linalg.norm(x, o, -1), (x,), (x,))[1]
        assert not slope.any() or shape[-1], order
        slope = fnad.grad(lambda x, o=order: fnp.sum(linalg.norm(x, o, -1)))
        assert fnad.jit(slope)(x).shape == shape
    for order in ("fro", "nuc", 1, 2, np.inf):
        want = np.linalg.norm(x, order, (-2, -1))
        for wrap in (lambda f: f, fnad.jit):
            got = wrap(lambda x, o=order: linalg.norm(x, o, (-2, -1)))(x)
            np.testing.assert_array_equal(got, want, strict=True)
    with pytest.raises(ValueError, match="no elements along axes"):
        linalg.norm(np.zeros(0), -np.inf)


@pytest.mark.parametrize("power", [-3, -1, 0, 1, 5])
def test_powers(power):
    a = normal(3, 3) + 3 * np.eye(3)
    run = lambda a: linalg.matrix_power(a, power)
    np.testing.assert_allclose(fnad.jit(run)(a), np.linalg.matrix_power(a, power), rtol=1e-11)
    check_grads(run, (a,), order=2)
    singular = fnad.jit(run)(np.ones((2, 2)))
    assert np.isfinite(singular).all() == (power >= 0)


def test_qr_of_wide_and_of_dependent_columns():
    wide = normal(2, 4)
    check_grads(lambda a: linalg.qr(a), (wide,), order=2)
    dependent = np.ones((3, 2))
    q, r = fnad.jit(linalg.qr)(dependent)
    np.testing.assert_allclose(q @ r, dependent, atol=1e-14)
    slope = fnad.jvp(lambda a: linalg.qr(a)[0], (np.zeros((3, 2)),), (dependent,))[1]
    assert not np.isfinite(slope).all()


def test_cholesky_of_matrices_that_have_no_factor():
    for a in (-np.eye(2), np.array([[1.0, 2], [2, 1]]), np.zeros((2, 2))):
        for run in (linalg.cholesky, fnad.jit(linalg.cholesky)):
            assert np.isnan(np.diagonal(run(a))).all()
        assert np.isnan(fnad.grad(lambda a: fnp.sum(linalg.cholesky(a)))(a)).any()


@pytest.mark.parametrize("n", [6, 9])
def test_hilberts_matrix(n):
    # Errors are as large as the condition allows, and no larger.
    a = 1 / (1 + np.arange(n)[:, None] + np.arange(n))
    condition, eps = np.linalg.cond(a), np.finfo(float).eps
    with mpmath.workdps(60):
        exact = mpmath.matrix(a.tolist())
        inverse = np.array(mpmath.inverse(exact).tolist(), float)
        value = float(mpmath.det(exact))
    near = {"rtol": 0, "atol": 10 * condition * eps * abs(inverse).max()}
    np.testing.assert_allclose(fnad.jit(linalg.inv)(a), inverse, **near)
    np.testing.assert_allclose(linalg.det(a), value, rtol=10 * condition * eps)
    gradient = fnad.jit(fnad.grad(linalg.det))(a)
    np.testing.assert_allclose(gradient, value * inverse, rtol=0, atol=near["atol"] * value * 10)
    gradient = fnad.jit(fnad.grad(lambda a: linalg.slogdet(a)[1]))(a)
    np.testing.assert_allclose(gradient, inverse, **near)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.float16])
@pytest.mark.parametrize("wrap", [fnad.grad, lambda f: fnad.jit(fnad.grad(f))])
def test_norms_whose_squares_leave_the_range_of_the_dtype(dtype, wrap):
    limits = np.finfo(dtype)
    x = np.array([3, -4, 0], dtype) * (dtype(1) if dtype != np.complex64 else dtype(0.6 + 0.8j))
    for size in (limits.smallest_subnormal * 20, limits.tiny, 1, limits.max / 8):
        scaled = x * limits.dtype.type(size)
        want = np.conj(scaled.astype(complex)) / np.linalg.norm(scaled.astype(complex))
        got = wrap(linalg.norm)(scaled)
        assert got.dtype == scaled.dtype
        np.testing.assert_allclose(got, want, rtol=4 * limits.eps, atol=limits.tiny)
        rows = wrap(lambda x: fnp.sum(linalg.norm(x, axis=0)))(scaled[:, None])[:, 0]
        np.testing.assert_allclose(rows, want, rtol=4 * limits.eps, atol=limits.tiny)


def test_derivatives_of_norms_in_single_precision():
    x = normal(2, 3).astype(np.float32)
    for axis in (None, 1):
        check_grads(lambda x, a=axis: linalg.norm(x, axis=a), (x,), order=2)


def _check_gradients(factors, a, t, tangents):
    """Gradients of sums of what ``factors`` makes, by their products with one tangent of ``a``."""
    weights = [normal(*x.shape) for x in tangents]
    loss = lambda a: sum(fnp.sum(x * w) for x, w in zip(factors(a), weights, strict=True))
    expected = sum(np.sum(x * w) for x, w in zip(tangents, weights, strict=True))
    for gradient in (fnad.grad(loss), fnad.jit(fnad.grad(loss))):
        np.testing.assert_allclose(np.sum(gradient(a) * t), expected, rtol=1e-9)


@pytest.mark.parametrize("columns", [3, 4])
def test_lu_where_the_last_pivot_is_zero(columns):
    """L and U do not depend on it, unless there are rows below."""
    a = np.array([[4.0, 2.0, 0.0, 1.0], [2.0, 5.0, 1.0, 3.0], [1.0, 2.5, 0.5, 1.5]])[:, :columns]
    t, step = normal(3, columns), 1e-6

    def factors(a):
        _, lower, upper = fnad.scipy.linalg.lu(a)
        return lower, upper

    assert factors(a)[1][2, 2] == 0
    tangents = fnad.jvp(factors, (a,), (t,))[1]
    ahead, behind = factors(a + step * t), factors(a - step * t)
    for found, high, low in zip(tangents, ahead, behind, strict=True):
        np.testing.assert_allclose(found, (high - low) / (2 * step), atol=1e-8)
    _check_gradients(factors, a, t, tangents)


@pytest.mark.parametrize("columns", [3, 4])
def test_qr_where_the_last_pivot_is_zero(columns):
    """Q and R change smoothly where the signs of columns are kept."""
    a = np.array([[1.0, 2.0, 3.0, 1.0], [0.0, 1.0, 1.0, 2.0], [1.0, 3.0, 4.0, 0.5]])[:, :columns]
    t, step = normal(3, columns), 1e-6
    q, r = linalg.qr(a)
    assert abs(r[2, 2]) < 1e-14
    factors = lambda a: tuple(linalg.qr(a))

    def with_signs_of(q, a):
        moved_q, moved_r = linalg.qr(a)
        signs = np.sign(np.sum(q * moved_q, 0))
        return moved_q * signs, signs[:, None] * moved_r

    tangents = fnad.jvp(factors, (a,), (t,))[1]
    ahead, behind = with_signs_of(q, a + step * t), with_signs_of(q, a - step * t)
    for found, high, low in zip(tangents, ahead, behind, strict=True):
        np.testing.assert_allclose(found, (high - low) / (2 * step), atol=1e-7)
    _check_gradients(factors, a, t, tangents)
