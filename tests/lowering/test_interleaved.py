"""Reductions over short rows: vectors of rows, whose elements are sorted apart by shuffles."""

import subprocess
import sys

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.lowering.expr import axis, load, make
from fnad.lowering.llvm.interleaved import fills_registers
from fnad.lowering.plan import Reduction

RNG = np.random.default_rng(0)


def rows(shape, dtype):
    return (RNG.normal(size=shape) * 50).astype(dtype)


def in_turn(x):
    """Sums with the order of additions that compiled code keeps: term by term."""
    total = np.zeros(x.shape[:-1], x.dtype)
    for i in range(x.shape[-1]):
        total = total + x[..., i]
    return total


@pytest.mark.parametrize("length", range(2, 11))
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_sums_keep_their_order(length, dtype):
    for count in (2, 5, 16, 33, 1003):
        x = rows((count, length), dtype)
        got = fnad.jit(lambda x: fnp.sum(x, 1))(x)
        if length < 10:
            np.testing.assert_array_equal(got, in_turn(x))
        else:
            np.testing.assert_allclose(got, in_turn(x), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("length", [3, 6, 8])
@pytest.mark.parametrize("dtype", ["i1", "u2", "i4", "i8", "f2", "?"])
def test_other_kinds_and_dtypes(length, dtype):
    x = rows((777, length), dtype)
    for kind in ("max", "argmin", "any", "sum"):
        got = fnad.jit(lambda x: getattr(fnp, kind)(x, 1))(x)  # noqa: B023
        want = getattr(np, kind)(x, axis=1)
        if dtype == "f2" and kind == "sum":
            np.testing.assert_array_equal(got, x.astype(np.float64).sum(1).astype(dtype))
        else:
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_several_loads_and_several_rows(threads):
    x, y = rows((2, 12, 501, 4), "f4")
    table = rows((4,), "f4")

    def f(x, y):
        squares = fnp.sum((x - y) * (x - y) + table, -1)
        return squares, fnp.sum(x[..., ::-1] * fnp.arange(4), -1), fnp.max(y[:, :, 1:], -1)

    before, fnad.config.num_threads = fnad.config.num_threads, threads
    try:
        got = fnad.jit(f)(x, y)
    finally:
        fnad.config.num_threads = before
    weights = np.arange(4, dtype=np.float32)
    want = ((x - y) ** 2 + table).sum(-1), (x[..., ::-1] * weights).sum(-1), y[..., 1:].max(-1)
    for value, expected in zip(got, want, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-3)


GUARDED = """
import ctypes, mmap
import numpy as np
import fnad, fnad.numpy as fnp
page = mmap.PAGESIZE
memory = mmap.mmap(-1, 3 * page)
whole = np.frombuffer(memory, np.uint8)
protect = ctypes.CDLL(None).mprotect
assert protect(ctypes.c_void_p(whole.ctypes.data + 2 * page), ctypes.c_size_t(page), 0) == 0
for length in (2, 3, 4, 5, 6, 8, 9):
    for count in (2, 16, 17, 40):
        x = whole[2 * page - 4 * length * count : 2 * page].view(np.float32).reshape(count, length)
        x[:] = np.arange(x.size).reshape(x.shape)
        assert (fnad.jit(lambda x: fnp.sum(x, 1))(x) == x.sum(1)).all()
        got = fnad.jit(lambda x: x - fnp.sum(x, 1, keepdims=True))(x)
        assert (got == x - x.sum(1, keepdims=True)).all()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="protects a page")
def test_nothing_behind_the_last_row_is_read():
    subprocess.run([sys.executable, "-W", "ignore", "-c", GUARDED], check=True)


def test_loads_that_depend_on_the_term_in_another_way_stay_apart():
    x, picks = rows((64, 4), "f4"), np.array([3, 1, 0, 2])

    def f(x, picks):
        return fnp.sum(x * fnp.take(x, picks, axis=1), 1)

    np.testing.assert_allclose(fnad.jit(f)(x, picks), (x * x[:, picks]).sum(1), rtol=1e-4)


@pytest.mark.parametrize(
    ("length", "apart", "dtype", "squared", "single"),
    [
        (6, 6, "f8", True, False),
        (7, 7, "f8", False, True),
        (9, 9, "f8", False, True),
        (8, 8, "f8", True, True),
        (8, 8, "f8", False, False),
        (7, 7, "f4", False, False),
        (10, 10, "f8", True, False),
        (7, 8, "f8", False, False),
    ],
)
def test_long_rows_take_one_vector_at_a_time(length, apart, dtype, squared, single):
    row, term, dtype = axis(0, 1 << 20), axis(1, length), np.dtype(dtype)
    x = load(0, row * apart + term, dtype)
    value = make("multiply", (x, x), dtype) if squared else x
    r = Reduction("add", ((1, length),), value, dtype, dtype)
    assert fills_registers(r, row) == single


@pytest.mark.parametrize(("rows", "single"), [(100, True), (1 << 16, False), (1 << 20, True)])
def test_rows_of_eight_take_two_vectors_if_they_are_many_and_near(rows, single):
    row, term = axis(0, rows), axis(1, 8)
    x = load(0, row * 8 + term, "f8")
    value = make("multiply", (x, x), np.dtype("f8"))
    r = Reduction("add", ((1, 8),), value, np.dtype("f8"), np.dtype("f8"))
    assert fills_registers(r, row) == single
