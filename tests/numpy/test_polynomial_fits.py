"""Least-squares fits of polynomials against NumPy, eagerly, compiled, batched, differentiated."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads

RNG = np.random.default_rng(0)
X = np.linspace(-1.0, 2.0, 9)
Y = RNG.normal(size=(9, 2))
W = RNG.uniform(0.5, 2.0, 9)


@pytest.mark.parametrize("y", [Y, Y[:, 0]], ids=["columns", "one"])
@pytest.mark.parametrize("options", [{}, {"w": W}])
def test_fit(y, options):
    for deg in (0, 1, 3):
        expected = np.polyfit(X, y, deg, **options)
        fit = lambda x, y, deg=deg: fnp.polyfit(x, y, deg, **options)
        np.testing.assert_allclose(fit(X, y), expected, atol=1e-12)
        got = fnad.jit(fit, static_argnames="deg")(X, y)
        np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize("cov", [True, "unscaled"])
@pytest.mark.parametrize("y", [Y, Y[:, 0]], ids=["columns", "one"])
def test_covariance(y, cov):
    expected = np.polyfit(X, y, 2, cov=cov, w=W)
    got = fnad.jit(lambda x, y: fnp.polyfit(x, y, 2, cov=cov, w=W))(X, y)
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def test_full():
    for ours, theirs in zip(fnp.polyfit(X, Y, 2, full=True), np.polyfit(X, Y, 2, full=True)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_slopes_and_batches():
    check_grads(lambda x, y: fnp.polyfit(x, y, 2), (X, Y), order=1)
    got = fnad.vmap(lambda y: fnp.polyfit(X, y, 2), 1)(Y)
    np.testing.assert_allclose(got.T, np.polyfit(X, Y, 2), atol=1e-12)


def test_errors():
    with pytest.raises(ValueError, match=r"needs x of shape \(M,\) and y"):
        fnp.polyfit(X, Y[:4], 1)
    with pytest.raises(ValueError, match=r"needs weights of shape \(9,\)"):
        fnp.polyfit(X, Y, 1, w=W[:2])
    with pytest.raises(ValueError, match="leave no freedom for a covariance"):
        fnp.polyfit(X[:3], Y[:3], 2, cov=True)
    with pytest.raises(ValueError, match="must not be negative"):
        fnp.polyfit(X, Y, -1)


@pytest.mark.parametrize(
    "p",
    [[1, -6, 11, -6], [2.0, 0, 3], [0, 0, 1, 2, 0, 0], [1j, 2, -1], [5], [0, 0], [1, 0]],
    ids=str,
)
def test_roots(p):
    p = np.array(p)
    got, expected = fnp.roots(p), np.roots(p)
    assert got.dtype == np.complex128 and got.shape == expected.shape
    np.testing.assert_allclose(np.sort_complex(got), np.sort_complex(expected), atol=1e-12)


def test_roots_of_traced_coefficients():
    p = np.array([1.0, -6.0, 11.0, -6.0])
    of_all = fnad.jit(lambda p: fnp.roots(p, strip_zeros=False))
    np.testing.assert_allclose(fnp.sort_complex(of_all(p)), [1, 2, 3], rtol=1e-12)
    assert of_all(p.astype(np.float32)).dtype == np.complex64
    # Of (x - 1)(x - 2)(x - 3), a change of the last coefficient moves a root by -1 / p'(x).
    slope = fnad.jacfwd(lambda p: fnp.sort(fnp.roots(p, strip_zeros=False).real))(p)
    np.testing.assert_allclose(slope[:, -1], [-1 / 2, 1, -1 / 2], rtol=1e-10)
    with pytest.raises(fnad.errors.ConcretizationTypeError) as raised:
        fnad.jit(fnp.roots)(p)
    assert any("strip_zeros=False" in note for note in raised.value.__notes__)
