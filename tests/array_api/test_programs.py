"""The namespace in which everything is compiled compiles, and says what NumPy says."""

import numpy as np
import pytest

import fnad
from fnad.testing import assert_no_recompile
from tests.array_api import compiled as xp
from tests.array_api.programs import Array

X = np.array([[3.0, 0.0, 1.0], [2.0, 5.0, 0.0]])


def test_functions_and_operators_are_programs(monkeypatch):
    x = xp.asarray(X)
    for got, expected in [
        (xp.sum(x, axis=0), X.sum(0)),
        (x @ x.mT + 1, X @ X.T + 1),
        (2 - x, 2 - X),
        (x[1:, ::-1], X[1:, ::-1]),
        (xp.linalg.qr(x).R, np.linalg.qr(X).R),
        (xp.zeros((2, 3), dtype=xp.int8), np.zeros((2, 3), np.int8)),
    ]:
        assert isinstance(got, Array) and got.dtype == expected.dtype
        np.testing.assert_allclose(got.value, expected, atol=1e-14)
    with assert_no_recompile():
        xp.sum(x, axis=0)
    monkeypatch.setattr(fnad, "jit", lambda function: pytest.fail("compiled"))
    with pytest.raises(pytest.fail.Exception, match="compiled"):
        xp.sum(x, axis=1)


def test_lengths_that_values_decide():
    x = xp.asarray(X)
    np.testing.assert_array_equal(xp.nonzero(x)[1].value, np.nonzero(X)[1])
    np.testing.assert_array_equal(xp.unique_values(x).value, np.unique(X))
    np.testing.assert_array_equal(x[x > 1].value, X[X > 1])


def test_assignments():
    x, expected = xp.asarray(X, copy=True), X.copy()
    x[x > 1] = 7
    expected[expected > 1] = 7
    x[0, :] = xp.asarray([1, 2, 3])
    expected[0, :] = [1, 2, 3]
    np.testing.assert_array_equal(x.value, expected)
    assert X[0, 0] == 3
