"""Elementwise kernels in words: the same numbers as NumPy's, and words where they may be."""

import itertools

import numpy as np
import pytest

import fnad.numpy as fnp
from fnad.lowering.cuda import elementwise, expressions, points
from fnad.lowering.cuda.emitter import emit_plan
from tests.lowering.cuda.programs import plan_program
from tests.lowering.cuda.running import (
    compile_for_device,
    needs_emulator,
    needs_toolchain,
    run_plan,
)

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Kernels of few points are divided as large ones are."""
    monkeypatch.setattr(elementwise, "_MIN_POINTS", 16)
    monkeypatch.setattr(elementwise, "THREADS", 32)
    monkeypatch.setattr(elementwise, "_MANY_BLOCKS", 1)


def normal(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


def check(fn, *args):
    """Run a function on the emulated device, compare it with what NumPy gives; its source."""
    plan = plan_program(fn, *args)
    (found,), _ = run_plan(plan, args)
    np.testing.assert_array_equal(found, np.asarray(fn(*args)))
    return emit_plan(plan).source


@needs_emulator
@pytest.mark.parametrize("size", [16, 17, 127, 128, 131, 512, 1003, 4096 + 7])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8, np.bool_])
def test_copies_of_all_lengths_and_widths(size, dtype):
    x = RNG.integers(0, 2, size).astype(dtype)
    name = {"f2": "f16x8", "f4": "f32x4", "f8": "f64x2", "u1": "u8x16", "b1": "b8x16"}
    source = check(lambda x: ~x if x.dtype == np.bool_ else x * x + x, x)
    assert f"struct alignas(16) {name[np.dtype(dtype).str[1:]]} " in source


@needs_emulator
@pytest.mark.parametrize("columns", [3, 4, 6, 16, 33, 64])
def test_rows_with_a_vector_that_all_share(columns):
    x, bias, scale = normal(37, columns), normal(columns), normal(37, 1)
    check(lambda x, bias, scale: x * scale + bias, x, bias, scale)


@needs_emulator
@pytest.mark.parametrize(("start", "aligned"), [(1, 1), (2, 2), (4, 4), (6, 2), (8, 4)])
def test_words_of_a_slice_are_as_long_as_its_offset_allows(start, aligned):
    x, y = normal(4 * 24), normal(4 * 16)
    source = check(lambda x, y: x[start : start + 64] * y, x, y)
    assert (f"(const f32x{aligned}*)(p0 +" in source) == (aligned > 1)


@needs_emulator
def test_a_slice_of_rows_that_are_not_aligned_is_read_element_by_element():
    x = normal(20, 65)
    source = check(lambda x: x[:, 1:] + 1, x)
    assert "f32x" not in source


@needs_emulator
def test_numbers_of_different_widths_share_vectors():
    x, y, z = normal(1000), normal(1000, dtype=np.float16), RNG.integers(0, 9, 1000, np.uint8)
    source = check(lambda x, y, z: (x + y) * z, x, y, z)
    assert "f32x4 word1[" in source and "f16x8" in source and "u8x8" in source


@needs_emulator
def test_indices_that_are_read():
    x, rows = normal(50, 16), RNG.integers(0, 50, 40)
    source = check(lambda x, rows: x[rows] + 1, x, rows)
    assert "f32x4" in source


@needs_emulator
def test_positions_of_elements():
    x = normal(7, 12)
    check(lambda x: fnp.tril(x), x)


@needs_emulator
def test_several_results_and_conditions():
    x, y = normal(301), normal(301)
    plan = plan_program(lambda x, y: (x + y, x < y, fnp.where(x < y, x, y)), x, y)
    found, _ = run_plan(plan, (x, y))
    for one, other in zip(found, (x + y, x < y, np.where(x < y, x, y)), strict=True):
        np.testing.assert_array_equal(one, other)


@needs_emulator
def test_concatenation_and_padding():
    x, y = normal(5, 40), normal(5, 24)
    check(lambda x, y: fnp.concatenate([x, y], axis=1), x, y)
    check(lambda x, y: fnp.pad(x, ((1, 2), (3, 4))), x, y)


@needs_emulator
def test_indices_of_64_bits(monkeypatch):
    monkeypatch.setattr(points, "_INT32_MAX", 100)
    monkeypatch.setattr(expressions, "_INT32_MAX", 100)
    x, bias, scale = normal(37, 20), normal(20), normal(37, 1)
    source = check(lambda x, bias, scale: x * scale + bias, x, bias, scale)
    assert "const i64" in source
    check(lambda x: x[1:] * 2, normal(1003))


def test_enough_bytes_are_on_their_way(monkeypatch):
    monkeypatch.undo()
    for dtype, size in itertools.product((np.float32, np.float64), (1 << 24, (1 << 24) + 1)):
        plan = plan_program(lambda x: x + 1, np.empty(size, dtype))
        way = elementwise.vectors_of(plan.body[0])
        assert way.lanes * way.turns * np.dtype(dtype).itemsize == 64


def test_few_points_get_a_thread_each(monkeypatch):
    monkeypatch.undo()
    plan = plan_program(lambda x: x + 1, np.empty(4096, np.float32))
    assert elementwise.vectors_of(plan.body[0]) is None


@needs_toolchain
@pytest.mark.parametrize("size", [1000, 1003, 5000])
def test_the_source_compiles(size):
    x, y = normal(size), RNG.integers(0, 2, size).astype(np.bool_)
    compile_for_device(plan_program(lambda x, y: fnp.where(y, x, 2), x, y))
