"""Primitives of linear algebra beyond the rows of ``tests/samples``: failures, threads, plans."""

import itertools

import numpy as np
import pytest
import scipy.linalg

import fnad
from fnad.lax import linalg
from tests.samples.linalg import positive_definite

pytestmark = pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")

DTYPES = [np.float32, np.float64]


def test_an_indefinite_matrix_is_nan_and_its_neighbours_are_not():
    a = positive_definite(3, 4, 4)
    a[1, 2, 2] = -1.0
    expected = [
        np.linalg.cholesky(a[0]),
        np.tril(np.full((4, 4), np.nan)),
        np.linalg.cholesky(a[2]),
    ]
    for function in (linalg.cholesky, fnad.jit(linalg.cholesky)):
        np.testing.assert_allclose(function(a), expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (5, 3), (3, 5)], ids=str)
def test_factors_of_many_matrices(shape, dtype, rng):
    a = rng.normal(size=(2, 40, *shape)) + 1j * rng.normal(size=(2, 40, *shape))
    a = (a if dtype[0] == "c" else a.real).astype(dtype)
    a[0, 0], a[0, 1] = 0, 1  # singular matrices
    factors, pivots, permutation = linalg.lu(a)
    for i in np.ndindex(2, 40):
        expected, rows = scipy.linalg.lu_factor(a[i], check_finite=False)
        limit = 1000 * np.finfo(dtype).eps
        np.testing.assert_allclose(factors[i], expected, rtol=limit, atol=limit)
        np.testing.assert_array_equal(pivots[i], rows)
        order = np.arange(shape[0])
        for k, row in enumerate(rows):
            order[[k, row]] = order[[row, k]]
        np.testing.assert_array_equal(permutation[i], order)


@pytest.mark.parametrize("dtype", ["f4", "c16"])
@pytest.mark.parametrize("left_side", [False, True])
def test_many_triangular_systems(left_side, dtype, rng):
    for lower, transpose, unit in itertools.product([False, True], repeat=3):
        a = (rng.normal(size=(40, 4, 4)) + 5 * np.eye(4)).astype(dtype)
        b = rng.normal(size=(40, 4, 3) if left_side else (40, 3, 4)).astype(dtype)
        whole = np.tril(a) if lower else np.triu(a)
        a[whole == 0] = np.nan
        if unit:
            whole[:, range(4), range(4)] = 1
        whole = whole.swapaxes(1, 2) if transpose else whole
        x = linalg.triangular_solve(
            a, b, left_side=left_side, lower=lower, transpose_a=transpose, unit_diagonal=unit
        )
        found = whole @ x if left_side else x @ whole
        limit = 100 * np.finfo(dtype).eps
        np.testing.assert_allclose(found, b, rtol=limit, atol=limit)


@pytest.mark.parametrize("lower", [False, True])
def test_zeros_on_the_diagonal_divide(lower):
    a, b = np.diag([2.0, 0.0]), np.array([4.0, 3.0])

    def solve(a, b):
        return linalg.triangular_solve(a, b, left_side=True, lower=lower)

    for function in (solve, fnad.jit(solve)):
        x = function(a, b)
        assert not np.isfinite(x[1]) and x.shape == (2,)


@pytest.mark.parametrize("function", [linalg.qr, linalg.svd])
def test_completed_columns_have_no_derivative(function):
    def first(a):
        return function(a, full_matrices=True)[0]

    with pytest.raises(ValueError, match="Use full_matrices=False"):
        fnad.vjp(first, np.ones((3, 2)))


@pytest.mark.parametrize("function", [linalg.eigh, linalg.svd])
def test_what_lapack_gives_up_is_nan_and_its_neighbours_are_not(function):
    a = np.stack([np.eye(3), np.full((3, 3), np.nan), np.eye(3)])
    for wrapped in (function, fnad.jit(function)):
        for out in wrapped(a):
            assert np.isnan(out[1]).all() and np.isfinite(out[::2]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(150, 150), (200, 120), (120, 200)])
def test_large_matrices_are_what_their_factors_make(shape, dtype):
    a = np.random.default_rng(0).standard_normal((2, *shape)).astype(dtype)
    close = {"rtol": 0, "atol": 2000 * np.finfo(dtype).eps}

    def factors(a):
        return linalg.qr(a, full_matrices=False), linalg.svd(a, full_matrices=False), linalg.lu(a)

    (q, r), (u, s, vt), (packed, _, permutation) = fnad.jit(factors)(a)
    np.testing.assert_allclose(q @ r, a, **close)
    np.testing.assert_allclose(u * s[:, None] @ vt, a, **close)
    k = min(shape)
    lower = np.tril(packed[..., :k], -1) + np.eye(shape[0], k, dtype=dtype)
    rows = np.take_along_axis(a, permutation[..., None], -2)
    np.testing.assert_allclose(lower @ np.triu(packed[..., :k, :]), rows, **close)


@pytest.mark.parametrize("dtype", DTYPES)
def test_compiled_code_gives_the_same_bits_with_any_number_of_threads(dtype):
    a = positive_definite(200, 24, 24).astype(dtype)
    found = []
    before = fnad.config.num_threads
    try:
        for threads in (1, 2, 5):
            fnad.config.num_threads = threads
            found.append(fnad.jit(linalg.cholesky)(a))
    finally:
        fnad.config.num_threads = before
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])
    # Evaluation has other bits: those of NumPy's LAPACK, not of SciPy's.
    limit = 100 * np.finfo(dtype).eps * np.abs(found[0]).max()
    np.testing.assert_allclose(found[0], linalg.cholesky(a), rtol=0, atol=limit)


def test_a_factor_carried_by_a_loop():
    a = positive_definite(3, 3)

    def run(a):
        def step(_, x):
            return linalg.cholesky(x) + a

        return fnad.lax.fori_loop(0, 5, step, a)

    np.testing.assert_allclose(fnad.jit(run)(a), run(a), rtol=1e-14)


def test_the_plan_names_the_routine():
    text = fnad.jit(linalg.cholesky).lower(np.eye(3)).as_text("plan")
    assert "1 calls of dpotrf: %" in text


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((3,), np.float64, "at least two axes"),
        ((2, 3), np.float64, r"one length, got shape \(2, 3\)"),
        ((2, 2), np.float16, "takes float32, float64.*got float16"),
    ],
)
def test_what_is_no_stack_of_square_matrices_is_refused(shape, dtype, message):
    with pytest.raises((TypeError, ValueError), match=message):
        linalg.cholesky(np.ones(shape, dtype), symmetrize_input=False)


def test_operands_of_a_triangular_solve_that_do_not_go_together():
    with pytest.raises(TypeError, match="as many rows of b as a has"):
        linalg.triangular_solve(np.eye(3), np.ones((2, 3)), left_side=True)
