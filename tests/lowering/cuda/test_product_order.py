"""What becomes a part of a product computes what it did where it stood, whatever lies between."""

import numpy as np

from fnad.lowering.buffers import place
from fnad.lowering.cuda.products import arrange_products
from fnad.lowering.expr import B, axis, integer, load
from fnad.lowering.plan import Branch, Buffer, Contraction, Kernel, Matrix, Plan, Store
from tests.lowering.plan_interpreter import Machine

N = 20
F8, I4 = np.dtype(np.float64), np.dtype(np.int32)
I = axis(0, N * N)  # noqa: E741
X, W, T, OUT, S, INDEX = range(6)
GIVEN = [np.random.default_rng(seed).standard_normal((N, N)) for seed in range(2)]


def element(buffer):
    return load(buffer, I, F8)


def kernel(buffer, value):
    return Kernel(((0, N * N),), (), (Store(buffer, I, value),))


def times(factor, value):
    return B.multiply(value, B.constant(factor, F8))


def product(left, out):
    matrices = [Matrix(number, integer(0), (N, 1)) for number in (left, W, out)]
    return Contraction(*matrices, (), N, N, N, F8)


def result(*body, index=0):
    """What the arranged plan gives; it must be what the plan gives."""
    roles = ["input", "input", "temp", "output", "temp"]
    buffers = [Buffer(i, (N, N), F8, role) for i, role in enumerate(roles)]
    buffers.append(Buffer(INDEX, (), I4, "input"))
    placed, arena = place(buffers, body)
    plan = Plan(placed, (X, W, INDEX), (OUT,), body, arena)
    args = [*GIVEN, np.int32(index)]
    arranged = arrange_products(plan, library=False)
    [expected], [got] = Machine(plan, args).run(), Machine(arranged, args).run()
    np.testing.assert_allclose(got, expected, 1e-12, 1e-12)
    return arranged, got


def test_an_operand_whose_source_is_overwritten_is_read_where_it_was_kept():
    x, w = GIVEN
    arranged, got = result(
        kernel(S, times(2, element(X))),
        kernel(T, element(S)),
        kernel(S, times(3, element(X))),
        product(T, OUT),
    )
    np.testing.assert_allclose(got, 2 * x @ w)
    arranged, got = result(kernel(S, times(2, element(X))), kernel(T, element(S)), product(T, OUT))
    np.testing.assert_allclose(got, 2 * x @ w)
    assert len(arranged.body) == 2  # here nothing lies between


def test_a_branch_does_not_read_what_another_one_would_have_made():
    x, w = GIVEN
    branches = (kernel(T, element(X)), product(T, OUT)), (product(T, OUT),)
    body = kernel(T, times(3, element(X))), Branch(INDEX, branches)
    np.testing.assert_allclose(result(*body, index=0)[1], x @ w)
    np.testing.assert_allclose(result(*body, index=1)[1], 3 * x @ w)


def test_a_reader_stays_behind_what_else_it_reads():
    x, w = GIVEN
    reader = kernel(OUT, B.add(element(T), element(S)))
    arranged, got = result(product(X, T), kernel(S, times(5, element(X))), reader)
    np.testing.assert_allclose(got, x @ w + 5 * x)
    assert len(arranged.body) == 3
    arranged, got = result(kernel(S, times(5, element(X))), product(X, T), reader)
    np.testing.assert_allclose(got, x @ w + 5 * x)
    assert len(arranged.body) == 2
