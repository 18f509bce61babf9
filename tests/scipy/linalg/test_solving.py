"""Linear equations: against SciPy, compiled, on stacks, with derivatives."""

import numpy as np
import pytest
import scipy.linalg as reference

import fnad
import fnad.numpy as fnp
from fnad.scipy import linalg
from fnad.testing import check_grads
from tests.samples.linalg import hermitian_positive, positive_definite, triangular
from tests.samples.values import normal, normal_complex

pytestmark = pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")


MAKES = [normal, normal_complex]
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def agree(function, expected, *args, **tolerance):
    for f in (function, fnad.jit(function)):
        for got, want in zip(fnad.tree.leaves(f(*args)), fnad.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(got, want, **(tolerance or CLOSE))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("make", [positive_definite, hermitian_positive])
def test_cholesky(make, lower):
    a, b = make(4, 4), normal(4, 2)
    # Of the other triangle nothing is read.
    half = np.tril(a) if lower else np.triu(a)
    factor = reference.cholesky(a, lower)
    agree(lambda a: linalg.cholesky(a, lower=lower), factor, half)
    agree(lambda a: linalg.cho_factor(a, lower)[0], factor, half)
    for right in (b, b[:, 0]):
        solution = reference.solve(a, right)
        agree(lambda a, b: linalg.cho_solve(linalg.cho_factor(a, lower), b), solution, half, right)
        agree(lambda a, b: linalg.solve(a, b, lower, assume_a="pos"), solution, half, right)
    check_grads(lambda a, b: linalg.cho_solve((a, lower), b), (factor, a[:, :2]), order=1)


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("trans", [0, 1, 2])
def test_lu_factors_solve(make, trans):
    a, b = make(5, 5), make(5, 2)
    factors, pivots = reference.lu_factor(a)
    agree(linalg.lu_factor, (factors, pivots), a)
    for right in (b, b[:, 0]):
        expected = reference.lu_solve((factors, pivots), right, trans)
        agree(lambda a, b: linalg.lu_solve(linalg.lu_factor(a), b, trans), expected, a, right)
    stack = np.stack([a, a.T])
    got = linalg.lu_solve(linalg.lu_factor(stack), b, trans)
    one = reference.lu_solve(reference.lu_factor(a.T), b, trans)
    np.testing.assert_allclose(got[1], one, **CLOSE)
    mapped = fnad.vmap(lambda a: linalg.lu_solve(linalg.lu_factor(a), b, trans))(stack)
    np.testing.assert_allclose(mapped, got, **CLOSE)


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("trans", ["N", "T", "C"])
@pytest.mark.parametrize("lower", [False, True])
def test_triangular_equations(make, trans, lower):
    a, b = triangular(4, 4, make=make), make(2, 4, 3)
    expected = [reference.solve_triangular(a, x, trans, lower) for x in b]
    agree(lambda a, b: linalg.solve_triangular(a, b, trans, lower), np.stack(expected), a, b)
    check_grads(lambda a, b: linalg.solve_triangular(a, b, trans, lower), (a, b[0]), order=1)


@pytest.mark.parametrize("kind", ["gen", "sym", "upper triangular", "lower triangular", "banded"])
def test_what_is_known_of_a_matrix(kind):
    a, b = positive_definite(3, 3), normal(3)
    agree(lambda a: linalg.solve(a, b, assume_a=kind), reference.solve(a, b, assume_a=kind), a)


def test_inverse_and_determinant():
    a = normal(3, 3)
    agree(linalg.inv, np.linalg.inv(a), a)
    agree(linalg.det, np.linalg.det(a), a)


@pytest.mark.parametrize(
    "makes", [(normal,) * 3, (normal_complex,) * 3, (normal_complex, normal, normal)]
)
def test_sylvester(makes):
    a, b, c = (make(*shape) for make, shape in zip(makes, [(2, 4, 4), (3, 3), (2, 4, 3)]))
    agree(
        lambda a, b, c: a @ linalg.solve_sylvester(a, b, c),
        c - linalg.solve_sylvester(a, b, c) @ b,
        a,
        b,
        c,
    )
    if makes[0] is makes[1]:
        expected = [reference.solve_sylvester(x, b, y) for x, y in zip(a, c)]
        agree(linalg.solve_sylvester, np.stack(expected), a, b, c, rtol=1e-10, atol=1e-10)
    assert linalg.solve_sylvester(a, b, c).dtype == np.result_type(a, b, c)
    check_grads(linalg.solve_sylvester, (a, b, c), order=2 if makes[0] is normal else 1)
    # Close to no solution, or with none.
    assert np.isnan(fnad.jit(linalg.solve_sylvester)(np.eye(2), -np.eye(2), np.ones((2, 2)))).all()


@pytest.mark.parametrize("make", [positive_definite, hermitian_positive])
@pytest.mark.parametrize("lower", [False, True])
def test_derivatives_of_positive_definite_equations(make, lower):
    def solution(a, b):
        a = a + fnp.conj(fnp.matrix_transpose(a))
        return linalg.solve(a, b, lower, assume_a="pos")

    a = make(3, 3)
    check_grads(solution, (a, a[:, 0]), order=1)
    # All elements count alike, whichever triangle the factor was made of.
    gradient = fnad.jit(
        fnad.grad(lambda a: fnp.sum(fnp.real(linalg.solve(a, a[0], assume_a="pos"))))
    )(a)
    expected = fnad.grad(lambda a: fnp.sum(fnp.real(fnp.linalg.solve(a, a[0]))))(a)
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: linalg.solve(np.eye(2), np.ones(3)), "must have 2 rows"),
        (lambda: linalg.solve_triangular(np.eye(2), np.ones(3)), "must have 2 rows"),
        (lambda: linalg.solve(np.eye(2), np.ones(2), assume_a="odd"), "assume_a must be one of"),
        (lambda: linalg.lu_solve((np.eye(2), np.arange(2)), np.ones(2), 3), "trans must be 0, 1"),
        (lambda: linalg.solve_sylvester(np.eye(2), np.eye(3), np.ones((3, 2))), "as many rows"),
        (lambda: linalg.solve_triangular(np.eye(2), np.ones(2), [1]), "trans must be 0, 1"),
        (lambda: linalg.cholesky(np.ones((2, 3))), "of one length"),
    ],
)
def test_errors(function, message):
    with pytest.raises(ValueError, match=message):
        function()


def test_empty_factors_solve_empty_systems():
    x = linalg.lu_solve(linalg.lu_factor(np.zeros((3, 0, 0))), np.zeros((0, 2)))
    assert x.shape == (3, 0, 2)
