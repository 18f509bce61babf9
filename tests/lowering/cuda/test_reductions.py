"""Reductions whose terms are read in words."""

import numpy as np
import pytest

import fnad.numpy as fnp
from fnad.lowering.cuda import expressions, points
from fnad.lowering.cuda.emitter import emit_plan
from tests.lowering.cuda.programs import plan_program
from tests.lowering.cuda.running import (
    compile_for_device,
    needs_emulator,
    needs_toolchain,
    run_plan,
)

RNG = np.random.default_rng(0)


def normal(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


def check(fn, *args, rtol=1e-5):
    """Run a function on the emulated device, compare it with what NumPy gives; its source."""
    plan = plan_program(fn, *args)
    (found,), _ = run_plan(plan, args)
    wide = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in args]
    np.testing.assert_allclose(found, np.asarray(fn(*wide)), rtol=rtol, atol=rtol)
    return emit_plan(plan).source


@needs_emulator
@pytest.mark.parametrize("terms", [128, 130, 131, 256, 1000, 3000, 3001])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_all_lengths(terms, dtype):
    source = check(lambda x: x.sum(axis=1), normal(5, terms, dtype=dtype))
    lengths = {0: "f32x4", 2: "f32x2"} if dtype == np.float32 else {0: "f64x2", 2: "f64x2"}
    name = lengths.get(terms % 4)
    assert (name in source) if name else ("f32x" not in source and "f64x" not in source)


@needs_emulator
@pytest.mark.parametrize("terms", [128, 1003, 5000])
def test_all_terms_even_those_behind_the_last_word(terms):
    source = check(lambda x: x.sum(), normal(terms))
    assert "f32x4" in source


@needs_emulator
@pytest.mark.parametrize("terms", [256, 1004, 1003])
def test_positions_of_extrema(terms):
    x = RNG.integers(0, 9, (4, terms)).astype(np.float32)
    check(lambda x: x.argmax(axis=1), x)
    check(lambda x: x.argmin(), x)


@needs_emulator
def test_float16_and_bool():
    x = normal(3, 2048, dtype=np.float16)
    assert "f16x4" in check(lambda x: x.max(axis=1), x, rtol=1e-3)
    assert "b8x4" in check(lambda x: x.all(axis=1), normal(3, 2048) < 9)


@needs_emulator
def test_terms_of_several_buffers_and_axes():
    x, y, z = normal(3, 8, 64), normal(3, 64), normal(8, 65)
    check(lambda x, y, z: (x * y[:, None] + z[:, 1:]).sum(axis=(1, 2)), x, y, z, rtol=1e-5)


@needs_emulator
def test_columns():
    check(lambda x: x.sum(axis=0), normal(100, 37), rtol=1e-5)


@needs_emulator
def test_indices_of_64_bits(monkeypatch):
    monkeypatch.setattr(points, "_INT32_MAX", 100)
    monkeypatch.setattr(expressions, "_INT32_MAX", 100)
    assert "i64 term" in check(lambda x: x.sum(axis=1), normal(5, 1000), rtol=1e-5)


@needs_toolchain
@pytest.mark.parametrize("fn", [lambda x: fnp.sum(x), lambda x: fnp.argmax(x, axis=1)])
def test_the_source_compiles(fn):
    compile_for_device(plan_program(fn, normal(3, 1003)))


@needs_emulator
def test_large_reductions_keep_a_large_card_busy():
    def blocks(size):
        plan = plan_program(lambda x: x.sum(), np.empty(size, np.float32))
        return plan.body[0].axes[0][1]

    assert blocks(1 << 26) == 1024
    assert blocks(1 << 20) == 256
    source = check(lambda x: x.sum(), normal(1 << 18), rtol=1e-4)
    assert "f32x4" in source
    check(lambda x: x.sum(), normal((1 << 17) + 77), rtol=1e-4)
    check(lambda x: x.max(), normal((1 << 17) + 31))
