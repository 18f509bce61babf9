"""Orders by keys, blocks and slices against NumPy, eagerly and compiled."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp

K = np.array([[3, 1, 3, 2], [1, 1, 0, 5]])
X = np.array([[2.0, np.nan, 1.0, -1.0]])


def test_lexsort():
    for axis in (0, 1):
        expected = np.lexsort((K, K[::-1]), axis)
        np.testing.assert_array_equal(fnp.lexsort((K, K[::-1]), axis), expected)
    got = fnad.jit(lambda a, b: fnp.lexsort((a, b)))(K[0], K[1])
    np.testing.assert_array_equal(got, np.lexsort((K[0], K[1])))


@pytest.mark.parametrize("x", [K, X])
def test_partition(x):
    for got in (fnp.partition(x, 2), fnad.jit(lambda x: fnp.partition(x, 2))(x)):
        np.testing.assert_array_equal(got[:, 2], np.partition(x, 2)[:, 2])
    order = fnp.argpartition(x, 2)
    np.testing.assert_array_equal(np.take_along_axis(x, order, -1), fnp.partition(x, 2))
    np.testing.assert_array_equal(fnp.partition(x, (0, -1)), np.sort(x))
    assert fnp.partition(x[:, :0], 2).shape == np.partition(x[:, :0], 2).shape
    with pytest.raises(TypeError, match="kth must be an int"):
        fnp.partition(x, 1.5)
    with pytest.raises(ValueError, match="axis of length 4"):
        fnp.partition(x, 4)


def test_unstack_and_block():
    for got, expected in zip(fnp.unstack(K, axis=1), np.unstack(K, axis=1), strict=True):
        np.testing.assert_array_equal(got, expected)
    build = lambda k: [[k, 2 * k], [7, np.arange(7)]]
    np.testing.assert_array_equal(fnad.jit(lambda k: fnp.block(build(k)))(K), np.block(build(K)))
    np.testing.assert_array_equal(fnp.block([1, K[0]]), np.block([1, K[0]]))
    with pytest.raises(ValueError, match="depths are mismatched"):
        fnp.block([[K], K])
