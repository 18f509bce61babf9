"""Hand-made plans through LLVM, against NumPy."""

import itertools

import numpy as np
import pytest

from fnad.core.errors import InternalError
from fnad.lowering.executable import Executable
from fnad.lowering.expr import B, axis, counter, integer, load, make
from fnad.lowering.pipeline import binary_of
from fnad.lowering.plan import (
    Accumulate,
    Branch,
    Buffer,
    Contraction,
    Copy,
    For,
    Kernel,
    Matrix,
    Plan,
    Reduction,
    Sort,
    Store,
    While,
)

F32, F64, I64, I32, BOOL = (np.dtype(t) for t in ("f4", "f8", "i8", "i4", "?"))


def buffer(number, shape, dtype, role, offset=None):
    return Buffer(number, tuple(shape), np.dtype(dtype), role, offset)


def run(ins, outs, body, temps=(), arena=0):
    """Run nodes over buffers numbered inputs first, then outputs, then temporaries."""
    buffers = [buffer(i, np.shape(a), np.asarray(a).dtype, "input") for i, a in enumerate(ins)]
    buffers += [buffer(len(ins) + i, s, d, "output") for i, (s, d) in enumerate(outs)]
    buffers += temps
    numbers = range(len(ins)), range(len(ins), len(ins) + len(outs))
    plan = Plan(tuple(buffers), tuple(numbers[0]), tuple(numbers[1]), tuple(body), arena)
    return Executable(binary_of(plan))(ins)


def reduced(number, dtype):
    return make("reduced", (), dtype, number)


def test_elementwise_kernel_of_two_axes_reads_transposed():
    x = np.random.default_rng(0).normal(size=(5, 7)).astype(F32)
    i, j = axis(0, 7), axis(1, 5)
    value = B.exp(load(0, j * 7 + i, F32))
    kernel = Kernel(((0, 7), (1, 5)), (), (Store(1, i * 5 + j, value),))
    (out,) = run([x], [((7, 5), F32)], [kernel])
    np.testing.assert_allclose(out, np.exp(x.T), rtol=1e-6)


REDUCTIONS = {
    "add": np.sum, "multiply": np.prod, "max": np.max, "min": np.min, "argmax": np.argmax,
    "argmin": np.argmin,
}  # fmt: skip


def reduction_kernel(kind, shape, reduce_axis, dtype, parallel_inner=False):
    """Reduce one axis of a rank-3 input."""
    axes = [(n, e) for n, e in enumerate(shape)]
    index = [axis(n, e) for n, e in axes]
    kept = [n for n in range(3) if n != reduce_axis]
    offset = (index[0] * shape[1] + index[1]) * shape[2] + index[2]
    out_offset = index[kept[0]] * shape[kept[1]] + index[kept[1]]
    out = I64 if kind.startswith("arg") else dtype
    wide = F32 if dtype == np.float16 else dtype
    reduction = Reduction(kind, (axes[reduce_axis],), load(0, offset, dtype), wide, out)
    store = Store(1, out_offset, reduced(0, out))
    kernel = Kernel((axes[kept[0]], axes[kept[1]]), (reduction,), (store,), parallel_inner)
    return kernel, ((shape[kept[0]], shape[kept[1]]), out)


@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i4", "u1"])
def test_reductions(kind, dtype):
    rng = np.random.default_rng(0)
    x = rng.integers(1, 4, (3, 17, 5)).astype(dtype)
    for where, rows in itertools.product(range(3), (False, True)):
        kernel, out = reduction_kernel(kind, x.shape, where, x.dtype, rows and where < 2)
        (got,) = run([x], [out], [kernel])
        want = REDUCTIONS[kind](x, axis=where) if kind.startswith("arg") else None
        if want is None:
            want = REDUCTIONS[kind](x, axis=where, dtype=x.dtype) if kind in (
                "add", "multiply") else REDUCTIONS[kind](x, axis=where)  # fmt: skip
        np.testing.assert_allclose(got, want, rtol=2e-3 if dtype == "f2" else 1e-6)


@pytest.mark.parametrize("kind", ["max", "min", "argmax", "argmin"])
@pytest.mark.parametrize("rows", [False, True])
def test_extrema_with_nan_and_infinities(kind, rows):
    x = np.full((2, 9, 3), -np.inf if "max" in kind else np.inf)
    x[0, 3, 0] = x[0, 6, 0] = np.nan
    x[1, 4, 1] = 1.0
    kernel, out = reduction_kernel(kind, x.shape, 1, x.dtype, rows)
    (got,) = run([x], [out], [kernel])
    np.testing.assert_array_equal(got, REDUCTIONS[kind](x, axis=1))


def test_reduction_of_nothing_is_neutral():
    for kind, want in (("add", 0.0), ("multiply", 1.0), ("max", -np.inf)):
        for rows in (False, True):
            kernel, out = reduction_kernel(kind, (2, 0, 3), 1, F64, rows)
            (got,) = run([np.empty((2, 0, 3))], [out], [kernel])
            np.testing.assert_array_equal(got, np.full((2, 3), want))


def test_reductions_that_use_each_other():
    """The denominator of a softmax: the sum needs the maximum."""
    x = np.random.default_rng(0).normal(size=(4, 33)).astype(F32)
    i, j, k = axis(0, 4), axis(1, 33), axis(2, 33)
    top = Reduction("max", ((1, 33),), load(0, i * 33 + j, F32), F32, F32)

    def shifted(at):
        return B.exp(B.subtract(load(0, i * 33 + at, F32), reduced(0, F32)))

    total = Reduction("add", ((2, 33),), shifted(k), F32, F32)
    kernel = Kernel(((0, 4),), (top, total), (Store(1, i, reduced(1, F32)),))
    (got,) = run([x], [((4,), F32)], [kernel])
    want = np.exp(x - x.max(1, keepdims=True)).sum(1)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_long_row_of_accumulators_uses_tiles():
    x = np.random.default_rng(0).normal(size=(2, 3, 1300))
    kernel, out = reduction_kernel("add", x.shape, 1, F64, True)
    (got,) = run([x], [out], [kernel])
    np.testing.assert_allclose(got, x.sum(1))


def test_sequential_scatter_with_combine_and_guard():
    index = np.array([3, 0, 3, -1, 9, 3], I64)
    updates = np.arange(1.0, 7.0)
    k = axis(0, 6)
    place = load(0, k, I64)
    inside = B.bitwise_and(B.greater_equal(place, integer(0)), B.less(place, integer(5)))
    clamped = B.minimum(B.maximum(place, integer(0)), integer(4))
    fill = Kernel(((1, 5),), (), (Store(2, axis(1, 5), B.constant(10.0, F64)),))
    for combine, want in (("add", [12, 10, 10, 20, 10]), (None, [2, 10, 10, 6, 10]),
                          ("max", [10, 10, 10, 10, 10]), ("min", [2, 10, 10, 1, 10])):  # fmt: skip
        store = Store(2, clamped, load(1, k, F64), combine, inside)
        scatter = Kernel(((0, 6),), (), (store,), sequential=True)
        (got,) = run([index, updates], [((5,), F64)], [fill, scatter])
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i8", "?"])
@pytest.mark.parametrize("sizes", [(1, 3, 4, 5), (2, 20, 30, 10), (2, 1, 60, 50), (1, 40, 60, 1),
                                   (3, 1, 1, 1)])  # fmt: skip
def test_contraction(dtype, sizes):
    batch, m, k, n = sizes
    rng = np.random.default_rng(0)
    a = rng.integers(-3, 4, (batch, m, k)).astype(dtype)
    b = rng.integers(-3, 4, (batch, k, n)).astype(dtype)
    for transpose_a, transpose_b in itertools.product((False, True), repeat=2):
        left = np.ascontiguousarray(a.swapaxes(1, 2)) if transpose_a else a
        right = np.ascontiguousarray(b.swapaxes(1, 2)) if transpose_b else b
        a_strides = (m * k, 1, m) if transpose_a else (m * k, k, 1)
        b_strides = (k * n, 1, k) if transpose_b else (k * n, n, 1)
        node = Contraction(
            Matrix(0, integer(0), a_strides), Matrix(1, integer(0), b_strides),
            Matrix(2, integer(0), (m * n, n, 1)), (batch,), m, n, k, np.dtype(dtype),
        )  # fmt: skip
        (got,) = run([left, right], [((batch, m, n), dtype)], [node])
        np.testing.assert_array_equal(got, a @ b)


def test_contraction_of_sub_matrices_with_shared_batch():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(30, 40)), rng.normal(size=(3, 20, 25))
    node = Contraction(  # a[5:, 7:27] times each b, into the right part of a wider result
        Matrix(0, integer(5 * 40 + 7), (0, 40, 1)), Matrix(1, integer(0), (500, 25, 1)),
        Matrix(2, integer(2), (25 * 27, 27, 1)), (3,), 25, 25, 20, F64,
    )  # fmt: skip
    clear = Kernel(((0, 3 * 25 * 27),), (), (Store(2, axis(0, 3 * 25 * 27), B.constant(0, F64)),))
    (got,) = run([a, b], [((3, 25, 27), F64)], [clear, node])
    want = np.zeros((3, 25, 27))
    want[:, :, 2:] = a[5:, 7:27] @ b
    np.testing.assert_allclose(got, want)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["add", "multiply", "max", "min"])
def test_accumulate(kind, reverse):
    x = np.random.default_rng(0).integers(1, 5, (2, 7, 3)).astype(F64)
    node = Accumulate(0, 1, (2, 7, 3), kind, reverse, F64, F64)
    (got,) = run([x], [(x.shape, F64)], [node])
    ufunc = {"max": np.maximum, "min": np.minimum, "add": np.add, "multiply": np.multiply}[kind]
    source = x[:, ::-1] if reverse else x
    want = ufunc.accumulate(source, axis=1)
    np.testing.assert_array_equal(got, want[:, ::-1] if reverse else want)


def test_running_logsumexp_of_infinities():
    x = np.array([-np.inf, -np.inf, 0.0, 3.0, np.inf, 1.0])
    (got,) = run([x], [((6,), F64)], [Accumulate(0, 1, (1, 6, 1), "logaddexp", False, F64, F64)])
    np.testing.assert_allclose(got, np.logaddexp.accumulate(x))


@pytest.mark.parametrize("dtype", ["?", "i1", "u4", "i8", "f2", "f4", "f8"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 7, 3), (1, 16, 1), (1, 17, 1), (3, 500, 2)])
def test_sort_is_stable_with_nan_last(dtype, shape):
    rng = np.random.default_rng(0)
    x = rng.integers(-50, 50, shape).astype(dtype)
    if x.dtype.kind == "f":
        x.ravel()[::5], x.ravel()[::7], x.ravel()[1::7] = np.nan, -0.0, 0.0
    places = np.broadcast_to(np.arange(shape[1])[None, :, None], shape).copy()
    outs = [(shape, x.dtype), (shape, I64)]
    values, order = run([x, places], outs, [Sort((0, 1), (2, 3), shape, 1)])
    np.testing.assert_array_equal(values, np.sort(x, axis=1))
    np.testing.assert_array_equal(order, np.argsort(x, axis=1, kind="stable"))


def test_sort_by_two_keys():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 5, 300), rng.random(300).astype(F32)
    n = (1, 300, 1)
    outs = [((300,), I64), ((300,), F32), ((300,), I64)]
    got = run([first, second, np.arange(300)], outs, [Sort((0, 1, 2), (3, 4, 5), n, 2)])
    np.testing.assert_array_equal(got[2], np.lexsort((second, first)))


def test_for_loop_copies_slices_in_turn():
    x = np.arange(12.0).reshape(4, 3)
    copy = Copy(0, 1, counter(0, 4) * 3, (counter(0, 4) * -3) + 9, 3)
    (got,) = run([x], [((4, 3), F64)], [For(0, 4, (copy,))])
    np.testing.assert_array_equal(got, x[::-1])


def test_while_counts():
    zero = integer(0)
    start = Kernel((), (), (Store(1, zero, load(0, zero, I64)),))
    check = Kernel((), (), (Store(2, zero, B.less(load(1, zero, I64), integer(100))),))
    double = Kernel((), (), (Store(1, zero, load(1, zero, I64) * 2),))
    flag = buffer(2, (), BOOL, "temp", 0)
    (got,) = run([np.int64(3)], [((), I64)], [start, While((check,), 2, (double,))], [flag], 64)
    assert got == 192 and isinstance(got, np.int64)


def test_branch_clamps_its_index():
    def put(value):
        return (Kernel((), (), (Store(1, integer(0), B.constant(value, F32)),)),)

    for index, want in ((-5, 1), (0, 1), (1, 2), (2, 3), (7, 3)):
        (got,) = run([np.int32(index)], [((), F32)], [Branch(0, (put(1), put(2), put(3)))])
        assert got == want


def test_empty_arrays():
    kernel = Kernel(((0, 0),), (), (Store(1, axis(0, 0), load(0, axis(0, 0), F32)),))
    (got,) = run([np.empty(0, F32)], [((0,), F32)], [kernel])
    assert got.shape == (0,)


def test_complex_numbers_do_not_reach_the_printer():
    c = np.dtype("c8")
    kernel = Kernel(((0, 2),), (), (Store(1, axis(0, 2), load(0, axis(0, 2), c)),))
    with pytest.raises(InternalError, match="no numbers of dtype complex64"):
        run([np.ones(2, c)], [((2,), c)], [kernel])
