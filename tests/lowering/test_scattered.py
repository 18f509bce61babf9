"""Rows written at computed places by several threads, and copies: what is in order stays so."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.lowering.expr import B, axis, integer, load
from fnad.lowering.llvm.scattered import written_rows
from fnad.lowering.plan import Kernel, Store

RNG = np.random.default_rng(0)
F32 = np.dtype(np.float32)


@pytest.fixture(params=[1, 2, 3, 16])
def threads(request):
    before, fnad.config.num_threads = fnad.config.num_threads, request.param
    yield request.param
    fnad.config.num_threads = before


@pytest.mark.parametrize("shape", [(3000, 128), (7, 300), (1000, 33)])
def test_sums_of_duplicate_rows_keep_their_order(threads, shape):
    x = RNG.normal(size=shape).astype(np.float32)
    rows = RNG.integers(0, shape[0], 4000)
    updates = RNG.normal(size=(4000, shape[1])).astype(np.float32)
    got = fnad.jit(lambda x, i, u: fnp.at(x)[i].add(u))(x, rows, updates)
    want = x.copy()
    np.add.at(want, rows, updates)
    np.testing.assert_array_equal(got, want)


def test_the_last_of_several_writes_counts(threads):
    x = np.zeros((500, 96))
    rows = RNG.integers(0, 500, 5000)
    updates = RNG.normal(size=(5000, 96))
    got = fnad.jit(lambda x, i, u: fnp.at(x)[i].set(u))(x, rows, updates)
    want = x.copy()
    for row, update in zip(rows, updates, strict=True):
        want[row] = update
    np.testing.assert_array_equal(got, want)


def test_two_indices_and_parts_of_rows(threads):
    x = RNG.normal(size=(40, 50, 64))
    i, j = RNG.integers(0, 40, 3000), RNG.integers(0, 50, 3000)
    updates = RNG.normal(size=(3000, 64))
    got = fnad.jit(lambda x, i, j, u: fnp.at(x)[i, j].add(u))(x, i, j, updates)
    want = x.copy()
    np.add.at(want, (i, j), updates)
    np.testing.assert_array_equal(got, want)


def test_gradient_of_an_embedding(threads):
    table, rows = RNG.normal(size=(2000, 128)), RNG.integers(0, 50, 3000)
    weights = RNG.normal(size=(3000, 128))
    got = fnad.jit(fnad.grad(lambda t: fnp.sum(fnp.take(t, rows, axis=0) * weights)))(table)
    want = np.zeros_like(table)
    np.add.at(want, rows, weights)
    np.testing.assert_array_equal(got, want)


def test_large_copies(threads):
    for size in (2**14, 2**20 + 5):
        x = RNG.normal(size=size)
        copied, changed = fnad.jit(lambda x: (x, fnp.at(x)[3].set(1.0)))(x)
        np.testing.assert_array_equal(copied, x)
        assert changed[3] == 1.0
        np.testing.assert_array_equal(np.delete(changed, 3), np.delete(x, 3))


def rows_of(offset, extent=64):
    kernel = Kernel(((0, 100), (1, extent)), (), (Store(1, offset, B.constant(1, F32)),))
    return written_rows(kernel)


def test_rows_that_overlap_are_not_told_apart():
    column = axis(1, 64)
    start = B.minimum(B.maximum(load(0, axis(0, 100), np.dtype(np.int64)), integer(0)), integer(9))
    assert rows_of(start * 64 + column) is start * 64
    assert rows_of(start * 128 + column + 3) is start * 128
    assert rows_of(start * 63 + column) is None  # the last column is the first of the next row
    assert rows_of(start + column) is None
    assert rows_of(start * 64 + axis(0, 100) * 640 + column) is not None
    assert rows_of(start * 64 + axis(0, 100) * 96 + column) is None
    assert rows_of(start * 16 + axis(1, 16), 16) is None  # too short to be worth it
