"""Ufuncs of Python functions against NumPy's own methods of ufuncs."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from tests.numpy.helpers import assert_same

X = np.array([[1.0, 2.0, 3.0], [4.0, -5.0, 6.0]])
PLUS = fnp.frompyfunc(lambda x, y: x + y, 2, 1, identity=0)
MINUS = fnp.frompyfunc(lambda x, y: x - y, 2, 1)


def compiled_and_not(function, *args):
    return function(*args), fnad.jit(function)(*args)


def test_calls():
    swap = fnp.frompyfunc(lambda x, y: (y, 2 * x), 2, 2)
    for got in compiled_and_not(swap, X, X[0]):
        assert_same(got[0], np.broadcast_to(X[0], X.shape).copy())
        assert_same(got[1], 2 * X)
    assert (swap.nin, swap.nout, swap.nargs, swap.identity) == (2, 2, 4, None)
    slopes = fnad.grad(lambda x: fnp.sum(fnp.frompyfunc(fnp.sin, 1, 1)(x)))(X)
    np.testing.assert_allclose(slopes, np.cos(X))


@pytest.mark.parametrize("axis", [0, 1, None, (0, 1), -1])
def test_reduce(axis):
    for got in compiled_and_not(lambda x: PLUS.reduce(x, axis), X):
        assert_same(got, np.add.reduce(X, axis))
    for got in compiled_and_not(lambda x: PLUS.reduce(x, axis, keepdims=True, initial=3.0), X):
        assert_same(got, np.add.reduce(X, axis, keepdims=True, initial=3.0))
    for got in compiled_and_not(lambda x: PLUS.reduce(x, axis, where=x > 1), X):
        assert_same(got, np.add.reduce(X, axis, where=X > 1))
    if not isinstance(axis, tuple) and axis is not None:
        assert_same(fnad.jit(lambda x: MINUS.reduce(x, axis))(X), np.subtract.reduce(X, axis))
        for got in compiled_and_not(lambda x: MINUS.accumulate(x, axis), X):
            assert_same(got, np.subtract.accumulate(X, axis))


def test_dtypes_are_those_of_results():
    ratio = fnp.frompyfunc(lambda x, y: x / y, 2, 1)
    assert_same(ratio.reduce(np.array([8, 4, 2])), np.float64(1.0))
    assert_same(ratio.accumulate(np.array([8, 4, 2])), np.array([8.0, 2.0, 1.0]))
    assert_same(PLUS.reduce(np.array([1, 2], np.int8)), np.int8(3))
    assert_same(PLUS.reduce(np.zeros((0, 2))), np.zeros(2))


@pytest.mark.parametrize("indices", [[0, 2, 1], [2, 2, 0, 1]])
def test_reduceat(indices):
    for got in compiled_and_not(lambda x: MINUS.reduceat(x, np.array(indices), 1), X):
        assert_same(got, np.subtract.reduceat(X, indices, 1))


def test_outer_and_at():
    for got in compiled_and_not(lambda x: MINUS.outer(x, x[0]), X):
        assert_same(got, np.subtract.outer(X, X[0]))
    expected = X.copy()
    np.subtract.at(expected, (slice(None), [0, 2, 0]), 1.5)
    for got in compiled_and_not(lambda x: MINUS.at(x, (slice(None), np.array([0, 2, 0])), 1.5), X):
        assert_same(got, expected)
    negate = fnp.frompyfunc(lambda x: -x, 1, 1)
    assert_same(negate.at(X, (1, slice(0, 2))), X * [[1, 1, 1], [-1, -1, 1]])


def test_errors():
    with pytest.raises(ValueError, match="it needs initial=, since it has no identity"):
        MINUS.reduce(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="only functions of two operands and one result"):
        fnp.frompyfunc(fnp.sin, 1, 1).reduce(X)
    with pytest.raises(TypeError, match="takes 2 operands, got 1"):
        PLUS(X)
    with pytest.raises(TypeError, match="should have 2 results, got 1"):
        fnp.frompyfunc(fnp.sin, 1, 2)(X)
