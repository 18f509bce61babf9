"""General eigenvalue problems: against NumPy, their derivatives against differences."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads
from tests.samples.linalg import turning
from tests.samples.values import normal_complex

REAL = turning(2, 4, 4)
COMPLEX = turning(2, 4, 4, make=normal_complex)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_decompositions(dtype):
    a = (COMPLEX if dtype.startswith("c") else REAL).astype(dtype)
    tolerance = 100 * np.finfo(dtype).eps
    for decompose in (fnp.linalg.eig, fnad.jit(fnp.linalg.eig)):
        w, v = decompose(a)
        assert w.dtype == v.dtype == np.result_type(dtype, np.complex64)
        np.testing.assert_allclose(a @ v, v * w[:, None], atol=20 * tolerance)
        np.testing.assert_allclose(np.linalg.norm(v, axis=-2), 1, rtol=tolerance)
        largest = np.take_along_axis(v, np.argmax(abs(v), -2)[:, None], -2)
        np.testing.assert_allclose(largest.imag, 0, atol=tolerance)
        assert (largest.real > 0).all()
        expected = np.sort_complex(np.linalg.eigvals(a))
        np.testing.assert_allclose(np.sort_complex(w), expected, atol=20 * tolerance)
        np.testing.assert_allclose(fnad.jit(fnp.linalg.eigvals)(a), w, atol=20 * tolerance)


def test_real_matrices_have_conjugate_pairs_and_real_eigenvalues():
    w, v = fnad.jit(fnp.linalg.eig)(REAL[0])
    real = w.imag == 0
    assert real.sum() == 2 and not v[:, real].imag.any()
    pair = np.flatnonzero(~real)
    assert w[pair[0]] == np.conj(w[pair[1]])
    np.testing.assert_array_equal(v[:, pair[0]], np.conj(v[:, pair[1]]))


@pytest.mark.parametrize("a", [REAL[0], COMPLEX[0]], ids=["real", "complex"])
def test_derivatives(a):
    def parts(a):
        w, v = fnp.linalg.eig(a)
        return w.real, w.imag, v.real, v.imag

    check_grads(parts, (a,), order=1)
    got = fnad.jit(fnad.grad(lambda a: fnp.sum(fnp.abs(fnp.linalg.eigvals(a)))))(a)
    expected = fnad.grad(lambda a: fnp.sum(fnp.abs(fnp.linalg.eig(a)[0])))(a)
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_derivatives_of_eigenvalues_against_jax():
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        loss = lambda xp: lambda a: xp.sum(xp.abs(xp.linalg.eigvals(a)) ** 3)
        for a in (REAL[0], COMPLEX[0]):
            expected = jax.grad(loss(jax.numpy))(a)
            np.testing.assert_allclose(fnad.grad(loss(fnp))(a), expected, rtol=1e-10)


def test_eigenvalues_of_defective_matrices_have_no_derivatives():
    block = np.array([[2.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 0.0, 2.0]])
    loss = lambda a: fnp.sum(fnp.linalg.eigvals(a) ** 2).real
    for a in (block, block + 0j, block.astype(np.float32)):
        for wrap in (lambda f: f, fnad.jit):
            assert np.isnan(wrap(fnad.grad(loss))(a)).all()
    both = fnad.vmap(fnad.grad(loss))(np.stack([block, REAL[0][:3, :3]]))
    assert np.isnan(both[0]).all()
    np.testing.assert_allclose(both[1], 2 * REAL[0][:3, :3].T, atol=1e-12)
    # Near to one that is, there are derivatives, with as many digits as there can be.
    near = block + 1e-8 * REAL[0][:3, :3]
    np.testing.assert_allclose(fnad.grad(loss)(near), 2 * near.T, atol=1e-7)


def test_special_matrices():
    w, _ = fnad.jit(fnp.linalg.eig)(np.zeros((0, 0)))
    assert w.shape == (0,)
    w, v = fnad.jit(fnp.linalg.eig)(np.array([[3.0]]))
    assert (w, v) == (3, 1)
    assert np.isnan(fnad.grad(lambda a: fnp.linalg.eig(a)[1].real[0, 1])(np.eye(2))).any()
    with pytest.raises(ValueError, match="eig: the last two axes must be of one length"):
        fnp.linalg.eig(np.ones((2, 3)))


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("wrap", [lambda f: f, fnad.jit], ids=["eager", "jit"])
def test_what_is_not_finite_stays_in_its_matrix(wrap, dtype):
    # LAPACK 3.12's geev writes outside of its memory where a matrix has a NaN.
    a = np.random.default_rng(0).normal(size=(3, 2, 5, 5)).astype(dtype)
    a[1, 0, 2, 3], a[2, 1, 0, 0] = np.nan, np.inf
    values, vectors = wrap(fnp.linalg.eig)(a)
    alone = wrap(fnp.linalg.eigvals)(a)
    lost = [[False, False], [True, False], [False, True]]
    for each in (np.isnan(values), np.isnan(alone)):
        np.testing.assert_array_equal(each, np.broadcast_to(np.array(lost)[..., None], (3, 2, 5)))
    np.testing.assert_array_equal(np.isnan(vectors).all((-2, -1)), lost)
    kept = a[0].astype("c16")
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(kept @ vectors[0], vectors[0] * values[0][:, None], atol=tolerance)
