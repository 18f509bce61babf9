"""Keywords of the decompositions of `jax.lax.linalg`, against SciPy's."""

import numpy as np
import pytest
import scipy.linalg

import fnad
import fnad.numpy as fnp
from fnad.lax import linalg
from fnad.testing import check_grads
from tests.samples.values import normal, normal_complex

MAKERS = pytest.mark.parametrize("make", [normal, normal_complex])
WRAPS = pytest.mark.parametrize("wrap", [lambda f: f, fnad.jit])


def close(got, want, tolerance=1e-12):
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


@MAKERS
@WRAPS
@pytest.mark.parametrize("n", [1, 2, 5])
def test_left_eigenvectors_are_those_of_lapack(n, make, wrap):
    a = make(n, n)
    w, left, right = wrap(lambda a: linalg.eig(a))(a)
    close(left.conj().T @ a, w[:, None] * left.conj().T)
    close(a @ right, right * w)
    values, vectors, _ = scipy.linalg.eig(a, left=True)
    for i, value in enumerate(w):
        [theirs] = vectors.T[np.isclose(values, value, 1e-10)]
        close(abs(np.vdot(theirs, left[:, i])), 1.0)  # equal but for the phase
        largest = left[np.argmax(abs(left[:, i])), i]
        assert abs(largest.imag) < 1e-14 and largest.real > 0


def test_which_eigenvectors_are_returned_and_their_dtypes():
    a = normal(3, 3).astype("f4")
    for left in (False, True):
        for right in (False, True):
            outs = linalg.eig(a, compute_left_eigenvectors=left, compute_right_eigenvectors=right)
            assert [x.dtype for x in outs] == [np.complex64] * (1 + left + right)
    stack = normal(2, 3, 3)
    one_by_one = [linalg.eig(x)[1] for x in stack]
    close(linalg.eig(stack)[1], one_by_one)
    close(fnad.vmap(lambda a: linalg.eig(a)[1])(stack), one_by_one)
    assert [x.shape for x in linalg.eig(np.zeros((0, 0)))] == [(0,), (0, 0), (0, 0)]


@pytest.mark.parametrize("scale", [1e-200, 1e-8, 1.0, 1e200])
def test_left_eigenvectors_of_matrices_that_are_nearly_defective(scale):
    a = np.array([[1.0, scale], [0.0, 1.0 + 1e-7]])
    _, left, _ = linalg.eig(a)
    _, theirs, _ = scipy.linalg.eig(a, left=True)
    close(abs(left), abs(theirs), 1e-8)


def test_derivatives_of_left_eigenvectors():
    a = normal(3, 3) + np.diag([0.0, 3.0, 6.0])
    check_grads(lambda a: linalg.eig(a)[1].real, (a,), order=1)


@MAKERS
@WRAPS
def test_the_triangle_and_the_subset_of_eigenvalues(make, wrap):
    a = make(4, 4)
    for lower in (False, True):
        f = lambda a, lower=lower: linalg.eigh(
            a, lower=lower, symmetrize_input=False, sort_eigenvalues=False, subset_by_index=(1, 3)
        )
        v, w = wrap(f)(a)
        theirs, vectors = scipy.linalg.eigh(a, lower=lower, subset_by_index=(1, 2))
        close(w, theirs)
        close(abs(np.sum(v.conj() * vectors, 0)), [1.0, 1.0])
    check_grads(lambda a: linalg.eigh(a, lower=False, subset_by_index=(0, 2))[1], (a,), order=1)


@MAKERS
@WRAPS
def test_the_subset_of_singular_values(make, wrap):
    a = make(4, 3)
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    f = lambda a: linalg.svd(a, full_matrices=False, subset_by_index=(1, 3))
    got = wrap(f)(a)
    close(got[1], s[1:3])
    close((got[0] * got[1]) @ got[2], (u[:, 1:3] * s[1:3]) @ vt[1:3])
    g = lambda a: linalg.svd(a, compute_uv=False, subset_by_index=(0, 2))
    close(wrap(g)(a), s[:2])
    close(fnad.vmap(g)(a[None])[0], s[:2])
    assert linalg.svd(a, subset_by_index=(0, 3))[0].shape == (4, 4)
    check_grads(g, (a,), order=1)


@MAKERS
@WRAPS
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
@pytest.mark.parametrize("full", [False, True])
def test_qr_with_exchanged_columns(shape, full, make, wrap):
    a = make(*shape)
    q, r, p = wrap(lambda a: linalg.qr(a, pivoting=True, full_matrices=full))(a)
    *_, theirs = scipy.linalg.qr(a, pivoting=True)
    np.testing.assert_array_equal(p, theirs)
    assert p.dtype == np.int32
    close(q @ r, a[:, p])
    assert q.shape[1] == (shape[0] if full else min(shape))
    stacked = fnp.stack([a, 2 * a])
    close(fnad.vmap(lambda a: linalg.qr(a, pivoting=True)[1])(stacked)[1], 2 * r if full else
          2 * linalg.qr(a, pivoting=True)[1])  # fmt: skip
    if not full:
        check_grads(lambda a: linalg.qr(a, pivoting=True, full_matrices=False)[1], (a,), order=1)


def test_subsets_that_are_none():
    a = np.eye(3)
    for wrong in ((2, 2), (0, 4), (-1, 2)):
        with pytest.raises(ValueError, match=r"eigh: subset_by_index .* 0 <= start < stop <= 3"):
            linalg.eigh(a, subset_by_index=wrong)
    with pytest.raises(ValueError, match="svd: full_matrices asks for all vectors"):
        linalg.svd(a, subset_by_index=(0, 2))
