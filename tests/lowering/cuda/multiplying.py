"""Stacks of matrices in memory, and what their products are."""

import numpy as np

from fnad.core.types import BFLOAT16, kind_of
from fnad.lowering.expr import integer
from fnad.lowering.plan import Contraction, Matrix

FLOATS = {"f2": 1e-3, BFLOAT16: 1e-2, "f4": 1e-5, "f8": 1e-13}


class Operand:
    """A stack of matrices inside of an array: its shape, and the order of its axes in memory."""

    def __init__(self, shape, order=None, padding=0, start=0):
        self.shape, self.order = shape, order or tuple(range(len(shape)))
        extents = [shape[i] for i in self.order]
        extents[-1] += padding
        steps = np.cumprod([1, *extents[:0:-1]])[::-1]
        self.strides = [0] * len(shape)
        for i, step in zip(self.order, steps):
            self.strides[i] = int(step) if shape[i] > 0 else 0
        self.start = start
        self.size = start + int(np.prod(extents))

    def repeated(self, axis, extent):
        """The same matrices for all entries of another batch axis."""
        self.shape = (*self.shape[:axis], extent, *self.shape[axis:])
        self.strides.insert(axis, 0)
        return self

    def matrix(self, buffer):
        return Matrix(buffer, integer(self.start), tuple(self.strides))

    def view(self, array):
        strides = [s * array.itemsize for s in self.strides]
        return np.lib.stride_tricks.as_strided(array[self.start :], self.shape, strides)


def numbers(size, dtype, seed):
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(size) < 0.1
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, size, dtype, endpoint=True)
    return rng.standard_normal(size).astype(dtype)


def contraction(left, right, out, dtype, accumulate=False):
    """The node that reads buffers 0 and 1, and writes 2."""
    (*batch, m, k), n = left.shape, right.shape[-1]
    return Contraction(
        left.matrix(0), right.matrix(1), out.matrix(2), tuple(batch), m, n, k, np.dtype(dtype),
        accumulate=accumulate,
    )  # fmt: skip


def product(left, right, out, dtype, accumulate=False):
    """The node, what it reads, and the result that it should have."""
    dtype = np.dtype(dtype)
    node = contraction(left, right, out, dtype, accumulate)
    a, b = numbers(left.size, dtype, 0), numbers(right.size, dtype, 1)
    wide = np.dtype(np.float64) if kind_of(dtype) == "f" else dtype
    with np.errstate(all="ignore"):
        expected = np.matmul(left.view(a).astype(wide), right.view(b).astype(wide))
    return node, a, b, expected


def assert_close(got, expected, terms):
    dtype = got.dtype
    if kind_of(dtype) != "f":
        np.testing.assert_array_equal(got, expected)
        return
    tolerance = FLOATS[dtype if dtype == BFLOAT16 else dtype.str[1:]] * np.sqrt(terms)
    np.testing.assert_allclose(got.astype(np.float64), expected, rtol=0, atol=4 * tolerance)
