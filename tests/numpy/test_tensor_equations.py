"""Equations of tensors against NumPy, eagerly, compiled and differentiated."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads

A = np.random.default_rng(0).normal(size=(2, 3, 6))
B = np.random.default_rng(1).normal(size=(2, 3))


def test_tensorsolve():
    expected = np.linalg.tensorsolve(A, B)
    np.testing.assert_allclose(fnp.linalg.tensorsolve(A, B), expected, rtol=1e-11)
    np.testing.assert_allclose(fnad.jit(fnp.linalg.tensorsolve)(A, B), expected, rtol=1e-11)
    check_grads(fnp.linalg.tensorsolve, (A, B), order=1)
    moved = np.moveaxis(A, -1, 0)
    got = fnad.jit(lambda a, b: fnp.linalg.tensorsolve(a, b, (0,)))(moved, B)
    np.testing.assert_allclose(got, np.linalg.tensorsolve(moved, B, (0,)), rtol=1e-11)
    with pytest.raises(ValueError, match="tensorsolve: a must have the shape of b"):
        fnp.linalg.tensorsolve(A, B.T)


def test_tensorinv():
    expected = np.linalg.tensorinv(A)
    np.testing.assert_allclose(fnad.jit(fnp.linalg.tensorinv)(A), expected, rtol=1e-10)
    got = fnad.vmap(lambda a: fnp.linalg.tensorinv(a, 1))(A.reshape(1, 6, 2, 3))[0]
    np.testing.assert_allclose(got, np.linalg.tensorinv(A.reshape(6, 2, 3), 1), rtol=1e-10)
    with pytest.raises(ValueError, match="got shape \\(2, 3, 6\\) and ind=1"):
        fnp.linalg.tensorinv(A, 1)
