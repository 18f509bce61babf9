"""Python functions over axes and elements, against NumPy, eagerly and traced."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads

X = np.random.default_rng(0).normal(size=(2, 3, 4))


def same(actual, expected):
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("function", [
    lambda v: v.sum(), lambda v: v[:2] * 2, lambda v: v[:, None] * v[:2],
])  # fmt: skip
def test_along_an_axis(axis, function):
    expected = np.apply_along_axis(function, axis, X)
    same(fnp.apply_along_axis(function, axis, X), expected)
    same(fnad.jit(lambda x: fnp.apply_along_axis(function, axis, x))(X), expected)
    scaled = fnp.apply_along_axis(lambda v, k, *, p: k * v**p, axis, X, 3.0, p=2)
    same(scaled, 3 * X**2)


@pytest.mark.parametrize("axes", [0, (0, 2), (-1,), ()])
def test_over_axes(axes):
    expected = np.apply_over_axes(np.sum, X, axes)
    same(fnp.apply_over_axes(fnp.sum, X, axes), expected)
    same(fnad.jit(lambda x: fnp.apply_over_axes(fnp.sum, x, axes))(X), expected)
    with pytest.raises(ValueError, match="keep the number of axes"):
        fnp.apply_over_axes(lambda x, axis: x.sum(), X, 0)


def test_vectorize_scalars():
    function = lambda a, b: fnp.where(a > b, a - b, a + b)
    expected = np.where(X[0] < X, X - X[0], X + X[0])
    same(fnp.vectorize(function)(X, X[0]), expected)
    same(fnad.jit(fnp.vectorize(function))(X, X[0]), expected)
    same(fnp.vectorize(function)(2.0, 1.0), np.float64(1.0))


@pytest.mark.parametrize("signature, args, function", [
    ("(n),(n)->()", (X, X[0]), lambda a, b: (a * b).sum()),
    ("(m,n),(n)->(m)", (X, X[0, 0]), lambda a, b: a @ b),
    ("(m,n),(n)->(m)", (X, X[:, 0]), lambda a, b: a @ b),
    ("(n),()->(n),()", (X, X[..., 0]), lambda a, k: (a * k, a.sum() + k)),
    ("(3,n)->(n)", (X,), lambda a: a.sum(0)),
])  # fmt: skip
def test_vectorize_with_a_signature(signature, args, function):
    numpys = signature.replace("3", "m")
    expected = np.vectorize(function, signature=numpys)(*args)
    ours = fnp.vectorize(function, signature=signature)
    for got in (ours(*args), fnad.jit(ours)(*args)):
        for x, y in zip(fnad.tree.leaves(got), fnad.tree.leaves(expected), strict=True):
            same(x, y)
    check_grads(ours, args)


def test_excluded_arguments_are_passed_on():
    power = fnp.vectorize(lambda x, n, *, scale: scale * x**n, excluded={1})
    same(power(X, 2, scale=3.0), 3 * X**2)


def test_errors():
    dot = fnp.vectorize(lambda a, b: a @ b, signature="(n),(n)->()")
    with pytest.raises(ValueError, match="core axis 'n' is 4 long, and 3 in argument 1"):
        dot(X, X[0, :, 0])
    with pytest.raises(ValueError, match=r"shape \(\) lacks core axes \('n',\)"):
        dot(X, 1.0)
    with pytest.raises(TypeError, match="takes 2 arguments, got 1"):
        dot(X)
    with pytest.raises(ValueError, match="is no signature"):
        fnp.vectorize(np.sin, signature="n->n")
    with pytest.raises(ValueError, match=r"does not fit core axes \('m',\)"):
        fnp.vectorize(lambda a: a.sum(), signature="(n)->(m)")(X)
    with pytest.raises(TypeError, match="2 results in the signature, got 1"):
        fnp.vectorize(lambda a: a, signature="(n)->(n),(n)")(X)
