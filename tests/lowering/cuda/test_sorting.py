"""Sorts on the emulated device, by networks and by radix, against NumPy's stable ones."""

import numpy as np
import pytest

from fnad.core.errors import MissingRuleError
from fnad.core.types import BFLOAT16
from fnad.lowering.cuda import radix, sorting
from fnad.lowering.plan import Sort
from tests.lowering.cuda.running import (
    compile_for_device,
    needs_emulator,
    needs_toolchain,
    plan_of,
    run_plan,
)
from tests.tiers import tiered

DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
# Blocks of several lanes and of one; lengths that are powers of two, and not.
SHORT = [(1, 1, 1), (40, 2, 1), (7, 13, 1), (2, 64, 9), (3, 100, 1), (1, 600, 2)]
# Tiles of 128: one, several, whole ones, and lanes that lie side by side.
LONG = [(1, 70, 1), (3, 300, 1), (1, 1024, 1), (2, 150, 3)]


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


def plan_for(xs, num_keys=1):
    count = len(xs)
    node = Sort(tuple(range(count)), tuple(range(count, 2 * count)), xs[0].shape, num_keys)
    return plan_of(node, xs, xs)


def sort(*xs, num_keys=1, seed=0):
    return run_plan(plan_for(xs, num_keys), xs, seed, races=seed == 0)


def same_bits(x, y):
    np.testing.assert_array_equal(x.view(f"u{x.itemsize}"), y.view(f"u{y.itemsize}"))


@pytest.fixture
def by_radix(monkeypatch):
    monkeypatch.setattr(sorting, "LONGEST", 0)
    monkeypatch.setattr(radix, "SIZES", radix.Sizes(threads=64, items=2))


def check_keys_alone(dtype, shape):
    x = operand(shape, dtype)
    [got], launches = sort(x)
    want = np.take_along_axis(x, np.argsort(x, axis=1, kind="stable"), 1)
    same_bits(got, want)  # zeros of both signs and NaN keep their order
    return launches


@needs_emulator
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHORT)
def test_short_keys_alone(dtype, shape):
    assert len(check_keys_alone(dtype, shape)) == 1


@needs_emulator
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", LONG)
def test_long_keys_alone(dtype, shape, by_radix):
    assert len(check_keys_alone(dtype, shape)) >= 5


@needs_emulator
def test_longest_of_a_network():
    assert len(check_keys_alone("f8", (2, sorting.LONGEST, 1))) == 1
    assert len(check_keys_alone("u1", (1, sorting.LONGEST + 1, 1))) == 5


@needs_emulator
@pytest.mark.parametrize("n", [30, 300])
def test_bfloat16(n, request):
    if n > 100:
        request.getfixturevalue("by_radix")
    x = operand((1, n, 2), "f4").astype(BFLOAT16)
    [got], _ = sort(x)
    wide = x.astype(np.float32)
    order = np.argsort(wide, axis=1, kind="stable")
    same_bits(got.view(np.uint16), np.take_along_axis(x.view(np.uint16), order, 1))


def check_several_keys(dtypes, n):
    first, second = operand((1, n, 1), dtypes[0]), operand((1, n, 1), dtypes[1], seed=1)
    first[:, : n // 2] = first[0, 0]
    extra = operand((1, n, 1), "f4", seed=2), np.arange(n, dtype=np.int16).reshape(1, n, 1)
    got, _ = sort(first, second, *extra, num_keys=2)
    order = np.lexsort((second.reshape(-1), first.reshape(-1)))
    for value, source in zip(got, (first, second, *extra), strict=True):
        same_bits(value, source[:, order])


TWO_KEYS = [("f4", "i4"), ("f8", "i2"), ("?", "f8"), ("u1", "i8")]


@needs_emulator
@pytest.mark.parametrize("dtypes", TWO_KEYS)
def test_two_keys_and_two_more_operands_in_a_network(dtypes):
    check_several_keys(dtypes, 90)


@needs_emulator
@pytest.mark.parametrize("dtypes", TWO_KEYS)
def test_two_keys_and_two_more_operands_by_radix(dtypes, by_radix):
    check_several_keys(dtypes, 300)


@needs_emulator
def test_keys_that_do_not_fit_into_shared_memory_are_sorted_by_radix():
    xs = [operand((1, 2000, 1), "f8", seed) for seed in range(4)]
    xs[0][...] = xs[1][...] = 1.0
    got, launches = sort(*xs, num_keys=3)
    assert len(launches) > 1
    np.testing.assert_array_equal(
        got[3].reshape(-1), xs[3][0, np.argsort(xs[2][0, :, 0], kind="stable"), 0]
    )


@needs_emulator
@pytest.mark.parametrize("shape", [(3, 300, 1), (2, 150, 3)])
def test_order_of_threads_does_not_matter(shape, by_radix):
    x = operand(shape, "i1")
    places = np.broadcast_to(np.arange(shape[1])[None, :, None], shape).copy()
    for seed in range(3):
        (_, order), _ = sort(x, places, seed=seed)
        np.testing.assert_array_equal(order, np.argsort(x, axis=1, kind="stable"))


@needs_emulator
def test_usual_sizes():
    x = operand((2, 5000, 1), "f4")
    [got], _ = sort(x, seed=1)
    same_bits(got, np.take_along_axis(x, np.argsort(x, axis=1, kind="stable"), 1))


def test_empty_and_too_long():
    assert sorting.sort_steps(None, Sort((0,), (1,), (2, 0, 3), 1)) == []
    with pytest.raises(MissingRuleError, match="cannot sort"):
        sorting.sort_steps(None, Sort((0,), (1,), (1, 2**32, 1), 1))


@needs_toolchain
@tiered("dtype", DTYPES, lambda dtype: np.dtype(dtype).kind == "f")
def test_compiles_for_the_device(dtype):
    compile_for_device(plan_for([np.zeros((3, 100, 4), dtype)]))
    compile_for_device(plan_for([np.zeros((3, 5000, 4), dtype)]))
