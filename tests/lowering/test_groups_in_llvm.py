"""Groups of nodes through LLVM, against NumPy: blocks, local buffers, products, threads."""

import numpy as np
import pytest

import fnad
from fnad.lowering.expr import B, axis, integer, load, make
from fnad.lowering.llvm import work
from fnad.lowering.plan import Contraction, Group, Kernel, Matrix, Member, Reduction, Store
from tests.lowering.test_llvm import buffer, run

F32, F64 = np.dtype("f4"), np.dtype("f8")


def softmax_members(rows, columns, source, total, out):
    """Sums of exponentials, then quotients, of rows of 64-bit floats."""
    i, j, k = axis(0, rows), axis(1, columns), axis(2, columns)

    def exponential(at):
        return B.exp(load(source, i * columns + at, F64))

    reduction = Reduction("add", ((2, columns),), exponential(k), F64, F64)
    sums = Kernel(((0, rows),), (reduction,), (Store(total, i, make("reduced", (), F64, 0)),))
    quotient = B.divide(exponential(j), load(total, i, F64))
    divide = Kernel(((0, rows), (1, columns)), (), (Store(out, i * columns + j, quotient),))
    return sums, divide


@pytest.mark.parametrize("block", [1, 3, 4, 100])
@pytest.mark.parametrize("rows", [1, 12, 13])
def test_softmax_in_blocks_of_rows(rows, block, rng):
    x = rng.normal(size=(rows, 5))
    sums, divide = softmax_members(rows, 5, 0, 2, 1)
    group = Group(rows, block, (Member(sums, 1), Member(divide, 1)), (2,))
    (got,) = run([x], [(x.shape, F64)], [group], [buffer(2, (rows,), F64, "temp")])
    np.testing.assert_allclose(got, np.exp(x) / np.exp(x).sum(1, keepdims=True), rtol=1e-14)


def test_members_with_several_tasks_in_a_row(rng):
    """Rows of a batch: the group's rows are entries of the batch, the kernels run over rows."""
    x = rng.normal(size=(4, 3, 5))
    sums, divide = softmax_members(12, 5, 0, 2, 1)
    group = Group(4, 2, (Member(sums, 3), Member(divide, 3)), (2,))
    (got,) = run([x], [(x.shape, F64)], [group], [buffer(2, (12,), F64, "temp")])
    np.testing.assert_allclose(got, np.exp(x) / np.exp(x).sum(2, keepdims=True), rtol=1e-14)


@pytest.mark.parametrize("step", [1, 2])
def test_rows_of_a_product_between_kernels(step, rng):
    m, k, n = 14, 6, 5
    a, b = rng.normal(size=(m, k)), rng.normal(size=(k, n))
    i, j, column = axis(0, m), axis(1, k), axis(1, n)
    before = Kernel(((0, m), (1, k)), (), (Store(3, i * k + j, load(0, i * k + j, F64) * 2),))
    product = Contraction(
        Matrix(3, integer(0), (k, 1)), Matrix(1, integer(0), (n, 1)),
        Matrix(4, integer(0), (n, 1)), (), m, n, k, F64,
    )  # fmt: skip
    after = Kernel(
        ((0, m), (1, n)), (), (Store(2, i * n + column, load(4, i * n + column, F64) + 1),)
    )
    members = tuple(Member(node, step) for node in (before, product, after))
    temps = [buffer(3, (m, k), F64, "temp"), buffer(4, (m, n), F64, "temp")]
    (got,) = run([a, b], [((m, n), F64)], [Group(m // step, 3, members, (3, 4))], temps)
    np.testing.assert_allclose(got, 2 * a @ b + 1, rtol=1e-12)


def test_entries_of_a_batch_of_products(rng):
    batch, m, k, n = (2, 3), 4, 6, 5
    a, b = rng.normal(size=(*batch, m, k)), rng.normal(size=(3, k, n))
    product = Contraction(
        Matrix(0, integer(0), (3 * m * k, m * k, k, 1)), Matrix(1, integer(0), (0, k * n, n, 1)),
        Matrix(3, integer(0), (3 * m * n, m * n, n, 1)), batch, m, n, k, F64,
    )  # fmt: skip
    i, j = axis(0, 6), axis(1, m * n)
    after = Kernel(
        ((0, 6), (1, m * n)), (), (Store(2, i * (m * n) + j, load(3, i * (m * n) + j, F64) + 1),)
    )
    group = Group(6, 4, (Member(product, 1), Member(after, 1)), (3,))
    temps = [buffer(3, (6, m, n), F64, "temp")]
    (got,) = run([a, b], [((6, m, n), F64)], [group], temps)
    np.testing.assert_allclose(got, (a @ b).reshape(6, m, n) + 1, rtol=1e-12)


def test_groups_run_on_threads(rng):
    rows, columns = 301, 1000
    x = rng.normal(size=(rows, columns))
    sums, divide = softmax_members(rows, columns, 0, 2, 1)
    group = Group(rows, 4, (Member(sums, 1), Member(divide, 1)), (2,))
    temps = [buffer(2, (rows,), F64, "temp")]
    buffers = {0: buffer(0, x.shape, F64, "input"), 1: buffer(1, x.shape, F64, "output")}
    size = work.chunk(group, {**buffers, 2: temps[0]})
    assert size < rows and size % 4 == 0
    before = fnad.config.num_threads
    try:
        results = []
        for count in (1, 2, 3, 8):
            fnad.config.num_threads = count
            results += run([x], [(x.shape, F64)], [group], temps)
    finally:
        fnad.config.num_threads = before
    np.testing.assert_allclose(results[0], np.exp(x) / np.exp(x).sum(1, keepdims=True), rtol=1e-13)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
