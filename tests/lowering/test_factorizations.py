"""Factorisations in blocks against SciPy's, and by what they multiply to."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg

import fnad
import fnad.lax as lax
import fnad.numpy as fnp
from fnad import config

DTYPES = [np.float32, np.float64]
# Fewer rows than a panel has more than one, whole panels, and what is left over.
SIZES = [96, 128, 131, 320, 517]


def normal(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def positive(n, dtype):
    x = normal(n, n)
    return (x @ x.T / n + np.eye(n)).astype(dtype)


def hilbert(n, dtype):
    return scipy.linalg.hilbert(n).astype(dtype)


def product_error(a, left, right):
    """How far a product is from ``a``, in roundings of its largest element."""
    product = left.astype(np.longdouble) @ right.astype(np.longdouble)
    return float(abs(product - a).max() / abs(a).max() / np.finfo(a.dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(n, n) for n in SIZES] + [(300, 140), (140, 300), (1, 130, 130)])
def test_lu(shape, dtype):
    a = normal(*shape, dtype=dtype)
    factors, pivots, order = fnad.jit(lax.linalg.lu)(a)
    expected, expected_pivots, *_ = scipy.linalg.lapack.dgetrf(a.reshape(shape[-2:]))
    np.testing.assert_array_equal(pivots.reshape(-1), expected_pivots)
    factors, order = factors.reshape(shape[-2:]), order.reshape(-1)
    k = min(shape[-2:])
    lower = np.tril(factors, -1)[:, :k] + np.eye(shape[-2], k, dtype=dtype)
    # LAPACK's own factors have 3 to 70 roundings here.
    error = product_error(a.reshape(shape[-2:])[order], lower, np.triu(factors)[:k])
    assert error < 200
    tolerance = 1e4 * np.finfo(dtype).eps
    np.testing.assert_allclose(factors, expected, atol=tolerance * abs(expected).max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "make",
    [
        lambda n, dtype: np.zeros((n, n), dtype),
        lambda n, dtype: np.ones((n, n), dtype),
        lambda n, dtype: np.eye(n, dtype=dtype)[::-1].copy(),
        hilbert,
        lambda n, dtype: normal(n, 20, dtype=dtype) @ normal(20, n, dtype=dtype, seed=1),
        lambda n, dtype: normal(n, n, dtype=dtype) * np.logspace(0, 30, n).astype(dtype),
        lambda n, dtype: np.tril(np.full((n, n), -1, dtype), -1) + np.eye(n, dtype=dtype),
    ],
    ids=["zeros", "ones", "reversed", "hilbert", "rank 20", "scaled", "lower"],
)
def test_lu_of_degenerate_matrices(make, dtype):
    a = make(150, dtype)
    factors, _, order = fnad.jit(lax.linalg.lu)(a)
    lower = np.tril(factors, -1) + np.eye(150, dtype=dtype)
    assert abs(lower).max() <= 1
    largest = np.maximum(abs(a).max(0), np.finfo(dtype).tiny)
    error = abs(lower.astype(np.longdouble) @ np.triu(factors) - a[order]).max(0) / largest
    assert error.max() < 200 * np.finfo(dtype).eps
    assert sorted(order) == list(range(150))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite(bad):
    a = positive(200, np.float64)
    a[70, 70] = bad
    factors, pivots, order = fnad.jit(lax.linalg.lu)(a)
    assert sorted(order) == list(range(200))
    assert pivots.min() >= 0
    assert pivots.max() < 200
    # Rows are divided by an infinite pivot, as LAPACK does; a NaN spreads.
    assert np.isnan(factors).any() == np.isnan(bad)
    assert np.isnan(fnad.jit(fnp.linalg.solve)(a, a[0])).any() == np.isnan(bad)
    assert np.isnan(fnad.jit(fnp.linalg.cholesky)(a)).any() == np.isnan(bad)
    whole = np.full((200, 200), np.nan)
    assert np.isnan(fnad.jit(fnp.linalg.inv)(whole)).all()
    assert sorted(fnad.jit(lax.linalg.lu)(whole)[2]) == list(range(200))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_cholesky(n, dtype):
    a = positive(n, dtype)
    given = a.copy()
    given[np.triu_indices(n, 1)] = np.nan  # is not read
    factor = fnad.jit(lambda x: lax.linalg.cholesky(x, symmetrize_input=False))(given)
    assert (np.triu(factor, 1) == 0).all()
    assert product_error(a, factor, factor.T) < 20
    expected = np.linalg.cholesky(a.astype(np.float64))
    np.testing.assert_allclose(factor, expected, atol=20 * np.finfo(dtype).eps)


def test_cholesky_of_matrices_that_are_hardly_definite():
    q, _ = np.linalg.qr(normal(200, 200))
    a = (q * np.logspace(0, -13, 200)) @ q.T
    a = (a + a.T) / 2
    factor = fnad.jit(fnp.linalg.cholesky)(a)
    assert product_error(a, factor, factor.T) < 20
    a[150, 150] = -1.0
    assert np.isnan(fnad.jit(fnp.linalg.cholesky)(a)[np.tril_indices(200)]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("left_side", [False, True])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("unit_diagonal", [False, True])
def test_triangular_systems(left_side, lower, transpose_a, unit_diagonal, dtype):
    n = 203
    # Rows of very different sizes, so that the inverse of a block would lose digits.
    a = normal(n, n, dtype=dtype) * np.logspace(0, -4, n).astype(dtype)[:, None] / n
    a += np.diag(np.logspace(0, -4, n).astype(dtype))
    other = np.triu_indices(n, 1) if lower else np.tril_indices(n, -1)
    read = a.copy()
    a[other] = np.nan
    read[other] = 0
    if unit_diagonal:
        read = (read / 4).astype(dtype)
        a = (a / 4).astype(dtype)
        np.fill_diagonal(read, 1)
        np.fill_diagonal(a, np.nan)
    op = read.T if transpose_a else read
    for count in (1, 64, 75):
        b = normal(n, count, dtype=dtype) if left_side else normal(count, n, dtype=dtype)
        x = fnad.jit(
            lambda a, b: lax.linalg.triangular_solve(
                a, b, left_side=left_side, lower=lower, transpose_a=transpose_a,
                unit_diagonal=unit_diagonal,
            )
        )(a, b)  # fmt: skip
        wide, exact = op.astype(np.longdouble), x.astype(np.longdouble)
        rest = wide @ exact - b if left_side else exact @ wide - b
        size = abs(wide) @ abs(exact) if left_side else abs(exact) @ abs(wide)
        # Higham, "Accuracy and Stability of Numerical Algorithms", theorem 8.5: n roundings.
        assert (abs(rest) <= n * np.finfo(dtype).eps * size + np.finfo(dtype).tiny).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_solutions_of_ill_conditioned_systems_have_small_residuals(dtype):
    for a in (hilbert(120, dtype), normal(301, 301, dtype=dtype)):
        b = normal(len(a), 3, dtype=dtype)
        x = fnad.jit(fnp.linalg.solve)(a, b)
        rest = abs(a.astype(np.longdouble) @ x - b).max()
        assert rest < 200 * np.finfo(dtype).eps * abs(a).sum(1).max() * abs(x).max()


def test_same_bits_with_any_number_of_threads(monkeypatch):
    a, s = normal(400, 400), positive(400, np.float64)
    programs = [(fnad.jit(fnp.linalg.inv), a), (fnad.jit(fnp.linalg.cholesky), s)]
    results = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(config, "num_threads", threads)
        results.append([f(x) for f, x in programs])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_stacks_complex_numbers_and_sizes_known_at_calls_go_to_lapack():
    a = normal(3, 100, 100)
    np.testing.assert_allclose(fnad.jit(fnp.linalg.inv)(a), np.linalg.inv(a), rtol=1e-8, atol=1e-10)
    z = normal(100, 100) + 1j * normal(100, 100, seed=1)
    np.testing.assert_allclose(fnad.jit(fnp.linalg.inv)(z), np.linalg.inv(z), rtol=1e-8, atol=1e-10)
    b = normal(120, 7)
    solve = fnad.jit(lambda a, b: fnp.linalg.solve(a, b), dynamic=("_ _", "_ n"))
    full = normal(120, 120)
    np.testing.assert_allclose(solve(full, b), np.linalg.solve(full, b), rtol=1e-7, atol=1e-9)


def test_gradients():
    s, a = positive(130, np.float64), normal(130, 130, seed=4)
    fnad.testing.check_grads(fnp.linalg.cholesky, (s,), order=1, modes=("fwd", "rev"))
    fnad.testing.check_grads(lambda x: fnp.linalg.slogdet(x)[1], (a,), order=1, modes=("rev",))


def test_plan():
    text = fnad.jit(fnp.linalg.cholesky).lower(np.eye(200)).as_text("plan")
    assert "tasks of dlower" in text
    assert "potrf" not in text
    assert "getrf" not in fnad.jit(fnp.linalg.inv).lower(np.eye(200)).as_text("plan")


def test_systems_of_any_size_are_solved_without_a_library():
    code = (
        "import sys, numpy as np, fnad, fnad.numpy as fnp;"
        "a = np.eye(200) + np.arange(200.0);"
        "solve = lambda a: (fnp.linalg.solve(a, a[0]), fnp.linalg.inv(a), fnp.linalg.slogdet(a));"
        "fnad.jit(solve)(a);"
        "assert 'scipy.linalg' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
