"""`r_` and `c_` against NumPy's, eagerly and compiled."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from tests.numpy.helpers import assert_same

V, W = np.array([1, 2, 3]), np.array([4.0, 5.0, 6.0], np.float32)
M = np.arange(6.0).reshape(2, 3)

R_KEYS = {
    "vectors": (V, 0, 7, W), "ranges": (slice(0, 4), slice(9, 2, -3), slice(0, 1, 5j)),
    "matrices": (M, M), "axis": ("-1", M, M), "axes of vectors": ("0,2", V, W),
    "columns": ("0,2,0", V, W), "stacks": ("1,3,1", V, W), "numbers": (1, 2.5),
    "one": V, "list": ([1, 2], 3), "float32 and number": (W, 1.5),
}  # fmt: skip
C_KEYS = {"vectors": (V, W), "range": (slice(0, 3), V), "matrices": (M, M), "lists": ([1], [2])}


@pytest.mark.parametrize("case", R_KEYS)
def test_r(case):
    assert_same(fnp.r_[R_KEYS[case]], np.r_[R_KEYS[case]])


@pytest.mark.parametrize("case", C_KEYS)
def test_c(case):
    assert_same(fnp.c_[C_KEYS[case]], np.c_[C_KEYS[case]])


def test_traced():
    assert_same(fnad.jit(lambda v, w: fnp.r_[v, 0, w, 2:4])(V, W), np.r_[V, 0, W, 2:4])
    assert_same(fnad.jit(lambda v, w: fnp.c_[v, w])(V, W), np.c_[V, W])
    slopes = fnad.grad(lambda w: fnp.sum(fnp.r_[w, 1.0, w] ** 2))(W)
    np.testing.assert_array_equal(slopes, 4 * W)


def test_errors():
    with pytest.raises(ValueError, match=r"'r', \.\.\.\] makes a numpy.matrix"):
        fnp.r_["r", V]
    with pytest.raises(ValueError, match="'top' is no directive"):
        fnp.r_["top", V]
    with pytest.raises(ValueError, match="there are none between the brackets"):
        fnp.r_["0"]
