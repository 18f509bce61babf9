"""Convolution, windows and polynomials against NumPy: eagerly, compiled, batched, derived."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads

RNG = np.random.default_rng(0)
X, V = RNG.normal(size=7), RNG.normal(size=4)
P, Q = np.array([2, 0, -3, 1]), np.array([1, 4])


def close(actual, expected):
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    tolerance = {"float32": 1e-5}.get(actual.dtype.name, 1e-12)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["convolve", "correlate"])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_sliding_products(name, mode):
    ours, theirs = getattr(fnp, name), getattr(np, name)
    for a, v in [(X, V), (V, X), (X, V[:3]), (V[:3], X), (X, V[:1]), (P, Q), (P > 0, Q > 2),
                 (X.astype(np.float32), V.astype(np.float32)), (P.astype(np.int8), X)]:  # fmt: skip
        expected = theirs(a, v, mode)
        close(ours(a, v, mode), expected)
        close(fnad.jit(lambda a, v: ours(a, v, mode))(a, v), expected)
    check_grads(lambda a, v: ours(a, v, mode), (X, V))
    stack = RNG.normal(size=(3, 7))
    expected = np.stack([theirs(row, V, mode) for row in stack])
    close(fnad.vmap(lambda row: ours(row, V, mode))(stack), expected)


@pytest.mark.parametrize("bad", [np.ones((2, 2)), np.ones(0)])
def test_convolve_names_bad_shapes(bad):
    with pytest.raises(ValueError, match="one axis, neither empty"):
        fnp.convolve(bad, X)
    with pytest.raises(ValueError, match="'full', 'same' or 'valid'"):
        fnp.convolve(X, V, "most")


@pytest.mark.parametrize("name", ["bartlett", "blackman", "hamming", "hanning"])
@pytest.mark.parametrize("size", [0, 1, 2, 7])
def test_windows(name, size):
    close(getattr(fnp, name)(size), getattr(np, name)(size))
    close(fnp.kaiser(size, 8.6), np.kaiser(size, 8.6))


CALLS = [
    ("polyadd", (P, Q)), ("polyadd", (X, Q)), ("polysub", (P, Q)), ("polysub", (Q, P)),
    ("polymul", (P, Q)), ("polymul", (X, V)), ("polyder", (P,)), ("polyder", (X,)),
    ("polyint", (P,)), ("polyint", (X,)), ("poly", (X,)), ("poly", (P,)), ("vander", (X,)),
    ("vander", (P,)), ("polyval", (P, X)), ("polyval", (X, V)), ("polyval", (P, Q)),
    ("polyval", (X, V[0])), ("polyval", (X.astype(np.float32), V.astype(np.float32))),
    ("polyadd", (X, 2.0)), ("polyint", (X.astype(np.float32),)), ("polyval", (X[:0], V)),
]  # fmt: skip


@pytest.mark.parametrize("name, args", CALLS, ids=[name for name, _ in CALLS])
def test_polynomials(name, args):
    expected = getattr(np, name)(*args)
    close(getattr(fnp, name)(*args), expected)
    close(fnad.jit(getattr(fnp, name))(*args), expected)
    if all(np.asarray(a).dtype == float for a in args) and np.size(args[0]):
        check_grads(getattr(fnp, name), args, rtol=1e-4, atol=1e-4)


def test_options_of_polynomials():
    close(fnp.polyder(X, 3), np.polyder(X, 3))
    close(fnp.polyder(X, 9), np.zeros(0))
    close(fnp.polyint(X, 2, [1.0, 2.0]), np.polyint(X, 2, [1.0, 2.0]))
    close(fnp.polyint(X, 2, 3.0), np.polyint(X, 2, 3.0))
    close(fnp.vander(X, 3, increasing=True), np.vander(X, 3, increasing=True))
    close(fnp.vander(X, 0), np.vander(X, 0))
    close(fnp.polymul([0, 1], [0, 2], trim_leading_zeros=True), np.polymul([0, 1], [0, 2]))
    with pytest.raises(ValueError, match="k must be one constant or m = 3"):
        fnp.polyint(X, 3, [1.0, 2.0])
    with pytest.raises(ValueError, match="must not be negative"):
        fnp.polyder(X, -1)
    assert fnp.poly(X[:0]) == np.poly(X[:0]) == 1 and fnp.poly(X[:0]).shape == ()
    with pytest.raises(ValueError, match="or a square matrix"):
        fnp.poly(np.ones((2, 3)))
    with pytest.raises(fnad.errors.ConcretizationTypeError):
        fnad.jit(lambda x: fnp.polymul(x, x, trim_leading_zeros=True))(X)


def test_division_leaves_a_remainder_of_lower_degree():
    quotient, remainder = fnp.polydiv(X, V)
    expected = np.polydiv(X, V)
    close(quotient, expected[0])
    close(remainder[-3:], expected[1])
    assert not remainder[:-3].any()
    close(fnp.polydiv(X, V, trim_leading_zeros=True)[1], expected[1])
    close(fnad.jit(fnp.polydiv)(X, V)[0], expected[0])
    close(fnp.polydiv(V, X)[1], V)
    close(fnp.polydiv(V, X)[0], np.zeros(1))
    check_grads(fnp.polydiv, (X, V), order=1)
