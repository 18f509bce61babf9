"""``fnad.numpy.linalg`` against NumPy: values, derivatives, stacks, singular and empty matrices."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads
from tests.numpy.helpers import assert_same
from tests.samples.linalg import positive_definite
from tests.samples.values import normal

pytestmark = pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")

DTYPES = [np.float32, np.float64]
SHAPES = [(4, 4), (2, 3, 3), (1, 1), (2, 0, 0)]
LA = fnp.linalg


def agree(function, reference, *args, dtype=np.float64):
    """Eagerly, compiled, and under vmap along a new axis, with the reference's dtypes."""
    args = [np.asarray(x).astype(dtype) for x in args]
    rtol = 1e4 * np.finfo(dtype).eps
    expected = reference(*args)
    expected = list(expected) if isinstance(expected, tuple) else [expected]
    stacks = [np.stack([x, x]) for x in args]
    for got, pick in (
        (function(*args), lambda x: x),
        (fnad.jit(function)(*args), lambda x: x),
        (fnad.vmap(function)(*stacks), lambda x: x[1]),
        (fnad.jit(fnad.vmap(function))(*stacks), lambda x: x[1]),
    ):
        for one, other in zip(fnad.tree.leaves(got), expected, strict=True):
            assert pick(one).dtype == other.dtype
            np.testing.assert_allclose(pick(one), other, rtol=rtol, atol=rtol)


SQUARE = {
    "inv": (LA.inv, np.linalg.inv),
    "det": (LA.det, np.linalg.det),
    "slogdet": (LA.slogdet, lambda a: tuple(np.linalg.slogdet(a))),
    "cholesky": (LA.cholesky, np.linalg.cholesky),
    "upper": (lambda a: LA.cholesky(a, upper=True), lambda a: np.linalg.cholesky(a, upper=True)),
    "cubed": (lambda a: LA.matrix_power(a, 3), lambda a: np.linalg.matrix_power(a, 3)),
    "root": (lambda a: LA.matrix_power(a, -2), lambda a: np.linalg.matrix_power(a, -2)),
    "one": (lambda a: LA.matrix_power(a, 0), lambda a: np.linalg.matrix_power(a, 0)),
    "diagonal": (LA.diagonal, np.linalg.diagonal),
    "trace": (LA.trace, np.linalg.trace),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SQUARE)
def test_square_matrices(name, shape, dtype):
    function, reference = SQUARE[name]
    agree(function, reference, positive_definite(*shape), dtype=dtype)


@pytest.mark.parametrize("name", SQUARE)
def test_derivatives_of_square_matrices(name):
    function, _ = SQUARE[name]
    check_grads(function, (positive_definite(2, 3, 3) / 3,), order=2)


def test_signs_of_determinants():
    a = normal(20, 3, 3)
    assert {-1.0, 1.0} == set(np.linalg.slogdet(a)[0])
    agree(LA.det, np.linalg.det, a)
    agree(LA.slogdet, lambda a: tuple(np.linalg.slogdet(a)), a)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 3), (3,)),
        ((3, 3), (3, 2)),
        ((2, 3, 3), (3,)),
        ((2, 3, 3), (3, 2)),
        ((3, 3), (2, 3, 2)),
        ((2, 1, 3, 3), (4, 3, 1)),
        ((3, 3), (3, 0)),
        ((0, 0), (0, 2)),
    ],
)
def test_solve(a, b, dtype):
    a = positive_definite(*a) + normal(*a)
    agree(LA.solve, np.linalg.solve, a, normal(*b), dtype=dtype)


def test_derivatives_of_solve():
    a = positive_definite(2, 3, 3) + normal(2, 3, 3)
    check_grads(LA.solve, (a, normal(3, 2)), order=2)


def test_solve_of_an_ill_conditioned_matrix_has_a_small_residual():
    n = 10
    hilbert = 1.0 / (np.arange(n)[:, None] + np.arange(n) + 1)
    b = normal(n)
    x = fnad.jit(LA.solve)(hilbert, b)
    error = np.abs(hilbert @ x - b).max() / (np.abs(hilbert).sum(1).max() * np.abs(x).max())
    assert error < 1e-15


def test_singular_matrices_do_not_raise():
    a, b = np.array([[1.0, 2.0], [2.0, 4.0]]), np.ones(2)
    for wrap in (lambda f: f, fnad.jit):
        assert not np.isfinite(wrap(LA.solve)(a, b)).any()
        assert not np.isfinite(wrap(LA.inv)(a)).all()
        assert wrap(LA.det)(a) == 0.0
        assert tuple(wrap(LA.slogdet)(a)) == (0.0, -np.inf)


def test_integers_become_doubles_and_halves_are_refused():
    assert LA.inv(np.array([[2, 0], [0, 4]])).dtype == np.float64
    with pytest.raises(TypeError, match="takes float32, float64"):
        LA.inv(np.eye(2, dtype=np.float16))


@pytest.mark.parametrize(
    "function", [LA.inv, LA.det, LA.slogdet, LA.cholesky, lambda a: LA.solve(a, a)]
)
def test_matrices_that_are_not_square_are_refused(function):
    with pytest.raises(ValueError, match=r"one length, got shape \(2, 3\)"):
        function(np.ones((2, 3)))


def test_solve_names_the_shapes_that_disagree():
    with pytest.raises(ValueError, match=r"b of shape \(2,\) must have 3 rows"):
        LA.solve(np.eye(3), np.ones(2))


def test_norms_need_the_axes_of_a_vector_or_a_matrix():
    with pytest.raises(ValueError, match=r"norm: of vectors .* got 3; flatten more"):
        fnp.linalg.norm(np.ones((2, 2, 2)), 2)
    with pytest.raises(ValueError, match=r"matrix_norm: needs .* got shape \(2,\)"):
        fnp.linalg.matrix_norm(np.ones(2))


def test_cross_takes_vectors_of_length_three_alone():
    x, y = np.arange(12.0).reshape(2, 3, 2), np.ones((3, 2))
    f = lambda x, y: fnp.linalg.cross(x, y, axis=-2)
    assert_same(f(x, y), np.linalg.cross(x, y, axis=-2))
    assert_same(fnad.jit(f)(x, y), np.linalg.cross(x, y, axis=-2))
    with pytest.raises(ValueError, match="length 3 along axis -1, got 2 and 2"):
        fnp.linalg.cross(x, y)
