"""Sorts in compiled code, by merging, by radix and by networks, against NumPy."""

import numpy as np
import pytest

import fnad
import fnad.lax as lax

DTYPES = ["?", "i1", "u1", "i2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
SHAPES = [(1, 39, 1), (1, 40, 1), (2, 517, 3), (3, 4096, 1), (1, 40_000, 1)]
SHAPES += [
    (16, 1, 1),
    (37, 2, 1),
    (20, 13, 1),
    (3, 64, 9),
    (17, 300, 1),
    (16, 512, 1),
    (5, 1023, 4),
    (16, 4096, 1),
    (16, 4097, 1),
    (1, 2**15, 1),
    (1, 130_001, 1),
]


def operand(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        x = rng.normal(size=shape).astype(dtype) * dtype.type(100)
        flat = x.reshape(-1)
        flat[::5], flat[::7], flat[1::7] = np.nan, -0.0, 0.0
        flat[3::11], flat[4::13], flat[2::17] = -np.nan, np.inf, -np.inf
        return x
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_keys_alone(dtype, shape):
    x = operand(shape, dtype)
    got = fnad.jit(lambda a: lax.sort(a, dimension=1))(x)
    order = np.argsort(x, axis=1, kind="stable")
    want = np.take_along_axis(x, order, 1)
    np.testing.assert_array_equal(got, want)
    if got.dtype.kind == "f":  # zeros of both signs keep their order
        np.testing.assert_array_equal(np.signbit(got[want == 0]), np.signbit(want[want == 0]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_stable_order(dtype, shape):
    x = operand(shape, dtype)
    places = np.broadcast_to(np.arange(shape[1])[None, :, None], shape).copy()
    values, order = fnad.jit(lambda a, i: lax.sort((a, i), dimension=1))(x, places)
    want = np.argsort(x, axis=1, kind="stable")
    np.testing.assert_array_equal(order, want)
    np.testing.assert_array_equal(values, np.take_along_axis(x, want, 1))


@pytest.mark.parametrize("n", [30, 5000])
@pytest.mark.parametrize("dtypes", [("f4", "i4"), ("f8", "i2"), ("?", "f8"), ("u1", "i8")])
def test_two_keys_and_two_more_operands(dtypes, n):
    first, second = operand(n, dtypes[0]), operand(n, dtypes[1], seed=1)
    first[: n // 2] = first[0]
    extra = operand(n, "f4", seed=2), np.arange(n, dtype=np.int16)
    got = fnad.jit(lambda *xs: lax.sort(xs, dimension=0, num_keys=2))(first, second, *extra)
    order = np.lexsort((second, first))
    for value, source in zip(got, (first, second, *extra), strict=True):
        np.testing.assert_array_equal(value, source[order])


@pytest.mark.parametrize("n", [300, 70_000])
def test_digits_that_all_keys_share(n):
    x = (np.random.default_rng(0).integers(0, 1000, n) << 16).astype(np.int64) - (1 << 40)
    np.testing.assert_array_equal(fnad.jit(lax.sort)(x), np.sort(x))
    same = np.full(n, 7.5, np.float32)
    np.testing.assert_array_equal(fnad.jit(lax.sort)(same), same)


def test_threads_do_not_change_a_bit():
    x = operand((64, 300), "f4")
    before, results = fnad.config.num_threads, []
    try:
        for threads in (1, 2, 7):
            fnad.config.num_threads = threads
            results.append(fnad.jit(lambda a: lax.sort(a, dimension=1))(x))
    finally:
        fnad.config.num_threads = before
    for result in results[1:]:
        np.testing.assert_array_equal(result.view(np.int32), results[0].view(np.int32))
