"""Linear algebra of complex matrices: what no phase changes, derivatives, and compiled calls."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.lax import linalg
from fnad.testing import assert_allclose, check_grads
from tests.samples.linalg import hermitian_positive
from tests.samples.values import normal_complex

pytestmark = pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")

LA = fnp.linalg
SQUARE = normal_complex(4, 4) + 3 * np.eye(4)
HERMITIAN = hermitian_positive(4, 4) + np.diag([0.0, 7.0, 14.0, 21.0])
TALL, WIDE = normal_complex(5, 3), normal_complex(3, 5)
VECTOR = normal_complex(4)


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def spectral(a):
    """What an eigendecomposition says, whatever the phases of the vectors are."""
    vectors, values = linalg.eigh(a)
    function = fnp.matmul(vectors * fnp.exp(values / 30), fnp.conj(vectors).T)
    return values, fnp.abs(vectors) ** 2, function


def singular(a):
    u, s, vh = linalg.svd(a, full_matrices=False)
    return s, fnp.abs(u) ** 2, fnp.abs(vh) ** 2, fnp.matmul(u * fnp.exp(-s), vh)


FUNCTIONS = {
    "spectral": (spectral, (HERMITIAN,)),
    "singular": (singular, (SQUARE,)),
    "singular, tall": (singular, (TALL,)),
    "singular, wide": (singular, (WIDE,)),
    "cholesky": (lambda a: LA.cholesky(a, upper=True), (HERMITIAN,)),
    "solve": (LA.solve, (SQUARE, VECTOR)),
    "inverse": (LA.inv, (SQUARE,)),
    "determinant": (LA.det, (SQUARE,)),
    "sign and logarithm": (lambda a: tuple(LA.slogdet(a)), (SQUARE,)),
    "pseudo-inverse": (LA.pinv, (TALL,)),
    "least squares": (lambda a, b: LA.lstsq(a, b)[:2], (TALL, normal_complex(5))),
    "spectral norm": (lambda a: LA.norm(a, 2), (SQUARE,)),
    "nuclear norm": (lambda a: LA.norm(a, "nuc"), (WIDE,)),
    "condition": (LA.cond, (SQUARE,)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives(name):
    function, args = FUNCTIONS[name]
    check_grads(function, args, order=1)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled(name):
    function, args = FUNCTIONS[name]
    close = {"rtol": 1e-9, "atol": 1e-10}
    value = function(*args)
    assert_allclose(fnad.jit(function)(*args), value, **close)
    weights = fnad.tree.map(lambda x: np.conj(np.asarray(x))[()], value)
    pull = lambda *args: fnad.vjp(function, *args)[1](weights)
    assert_allclose(fnad.jit(pull)(*args), pull(*args), **close)


REFERENCES = {
    "inv": (LA.inv, np.linalg.inv, SQUARE),
    "det": (LA.det, np.linalg.det, SQUARE),
    "slogdet": (lambda a: tuple(LA.slogdet(a)), lambda a: tuple(np.linalg.slogdet(a)), SQUARE),
    "cholesky": (LA.cholesky, np.linalg.cholesky, HERMITIAN),
    "upper": (
        lambda a: LA.cholesky(a, upper=True),
        lambda a: np.linalg.cholesky(a, upper=True),
        HERMITIAN,
    ),
    "eigvalsh": (LA.eigvalsh, np.linalg.eigvalsh, HERMITIAN),
    "eigvalsh of the upper triangle": (
        lambda a: LA.eigvalsh(a, "U", symmetrize_input=False),
        lambda a: np.linalg.eigvalsh(a, "U"),
        SQUARE,
    ),
    "svdvals": (LA.svdvals, np.linalg.svdvals, WIDE),
    "pinv": (LA.pinv, np.linalg.pinv, WIDE),
    "rank": (LA.matrix_rank, np.linalg.matrix_rank, TALL @ TALL.T),
    "power": (lambda a: LA.matrix_power(a, -2), lambda a: np.linalg.matrix_power(a, -2), SQUARE),
    "cond": (LA.cond, np.linalg.cond, SQUARE),
    "norm": (lambda a: LA.norm(a, -2), lambda a: np.linalg.norm(a, -2), SQUARE),
}


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("name", REFERENCES)
def test_values(name, dtype):
    function, reference, a = REFERENCES[name]
    a = a.astype(dtype)
    close = {"rtol": 1e4 * np.finfo(dtype).eps, "atol": 1e4 * np.finfo(dtype).eps}
    want = reference(a)
    assert_allclose(function(a), want, **close)
    assert_allclose(fnad.jit(function)(a), want, **close)
    stack = np.stack([a, 2 * a])
    batch = fnad.jit(fnad.vmap(function))(stack)
    assert_allclose(fnad.tree.map(lambda x: x[1], batch), function(2 * a), **close)


def test_factors():
    vectors, values = linalg.eigh(HERMITIAN)
    np.testing.assert_allclose(HERMITIAN @ vectors, vectors * values, rtol=1e-11, atol=1e-12)
    for a in (SQUARE, TALL, WIDE):
        q, r = linalg.qr(a)
        np.testing.assert_allclose(q @ r, a, rtol=1e-12, atol=1e-13)
        assert (np.diagonal(r).imag == 0).all()
        u, s, vh = linalg.svd(a)
        k = s.size
        np.testing.assert_allclose(u[:, :k] * s @ vh[:k], a, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(adjoint(u) @ u, np.eye(len(u)), atol=1e-13)


def test_options_of_triangular_solves():
    for left, lower, transposed, conjugated in np.ndindex(2, 2, 2, 2):
        a, b = SQUARE, normal_complex(4, 2) if left else normal_complex(2, 4)
        options = {
            "left_side": left,
            "lower": lower,
            "transpose_a": transposed,
            "conjugate_a": conjugated,
        }
        solve = lambda a, b, options=options: linalg.triangular_solve(a, b, **options)
        op = np.tril(a) if lower else np.triu(a)
        op = np.conj(op) if conjugated else op
        op = op.T if transposed else op
        for x in (solve(a, b), fnad.jit(solve)(a, b)):
            np.testing.assert_allclose(op @ x if left else x @ op, b, rtol=1e-12, atol=1e-13)


def test_failures_are_nan_and_their_neighbours_are_not():
    a = np.stack([HERMITIAN, -HERMITIAN, HERMITIAN])
    for function in (linalg.cholesky, fnad.jit(linalg.cholesky)):
        out = function(a)
        assert np.isnan(out[1][np.tril_indices(4)]).all() and np.isfinite(out[::2]).all()
        assert (out[1][np.triu_indices(4, 1)] == 0).all()
    broken = np.stack([HERMITIAN, HERMITIAN * np.nan])
    for function in (linalg.eigh, linalg.svd):
        for out in fnad.jit(function)(broken):
            assert np.isnan(out[1]).all() and np.isfinite(out[0]).all()
