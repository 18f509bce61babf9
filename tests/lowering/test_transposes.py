"""Kernels that read along one axis and write along another, against NumPy."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax

SIDES = [8, 9, 15, 16, 17, 31, 33, 100]


@pytest.mark.parametrize("dtype", ["u1", "i2", "f2", "f4", "f8", "c8", "c16"])
def test_all_sizes_of_tiles(dtype):
    for rows in SIDES:
        for columns in SIDES:
            x = np.arange(rows * columns).reshape(rows, columns).astype(dtype)
            got = fnad.jit(lambda x: x.T + x.dtype.type(1))(x)
            np.testing.assert_array_equal(got, x.T + x.dtype.type(1), f"{rows}x{columns}")


def test_operands_of_two_widths():
    x = np.random.default_rng(0).normal(size=(2, 37, 70))
    y = x.astype(np.float32)
    got = fnad.jit(lambda x, y: fnp.swapaxes(x, 1, 2) * fnp.swapaxes(y, 1, 2))(x, y)
    np.testing.assert_array_equal(got, (x * y).swapaxes(1, 2))


@pytest.mark.parametrize("sides", [(16, 16), (19, 35)])
def test_sums_into_what_is_there(sides):
    """Elements that are read and written must not be computed twice."""
    x = np.random.default_rng(0).normal(size=sides)

    def added(total, x):
        return lax.fori_loop(0, 3, lambda i, total: total + x.T, total)

    got = fnad.jit(added)(np.ones(sides[::-1]), x)
    np.testing.assert_allclose(got, 1 + 3 * x.T, rtol=0, atol=1e-14)
