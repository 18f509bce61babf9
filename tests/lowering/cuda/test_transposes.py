"""Kernels that read across, through tiles in shared memory."""

import numpy as np
import pytest

import fnad.numpy as fnp
from fnad import lax
from fnad.lowering.cuda import expressions, points, transposes
from fnad.lowering.cuda.emitter import emit_plan
from tests.lowering.cuda.programs import plan_program, run_program
from tests.lowering.cuda.running import compile_for_device, needs_emulator, needs_toolchain

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Small kernels go through tiles, too."""
    monkeypatch.setattr(transposes, "_MIN_POINTS", 64)


def normal(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


def check(fn, *args, tiles=1):
    """Compare what the device gives with what NumPy gives."""
    (found,), _ = run_program(fn, *args, seed=2, races=True)
    np.testing.assert_array_equal(found, np.asarray(fn(*args)))
    assert emit_plan(plan_program(fn, *args)).source.count("__shared__") == tiles


@needs_emulator
@pytest.mark.parametrize("shape", [(32, 32), (33, 31), (64, 96), (16, 100), (100, 17), (70, 130)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
def test_all_shapes_and_widths(shape, dtype):
    x = RNG.integers(0, 100, shape).astype(dtype)
    check(lambda x: x.T + dtype(1), x)


@needs_emulator
def test_transposed_and_other_operands_meet():
    x, y, bias = normal(40, 50), normal(50, 40), normal(40)
    check(lambda x, y, bias: x.T * y + bias, x, y, bias)
    check(lambda x, y: x.T * y.T, x, x * 2, tiles=2)


@needs_emulator
def test_axes_around():
    x = normal(3, 20, 4, 24)
    check(lambda x: fnp.transpose(x, (0, 3, 2, 1)) * 2, x)
    check(lambda x: fnp.transpose(x, (3, 2, 1, 0))[..., 1:] * 2, x, tiles=0)


@needs_emulator
def test_conditions_and_slices():
    x = normal(41, 52)
    check(lambda x: fnp.where(x.T > 0, x.T, 0)[2:, 3:], x)


@needs_emulator
def test_indices_of_64_bits(monkeypatch):
    monkeypatch.setattr(points, "_INT32_MAX", 100)
    monkeypatch.setattr(expressions, "_INT32_MAX", 100)
    check(lambda x: x.T * 2, normal(40, 50))


@needs_emulator
def test_short_and_near_axes_need_no_tiles():
    check(lambda x: x.T * 2, normal(200, 4), tiles=0)
    check(lambda x: x.T * 2, normal(4, 200), tiles=0)


@needs_toolchain
def test_the_source_compiles():
    compile_for_device(plan_program(lambda x: fnp.exp(x.T), normal(70, 50)))


@needs_emulator
def test_a_transform_of_rows_is_transposed_between_its_passes():
    re, im = normal(3, 256, dtype=np.float64), normal(3, 256, dtype=np.float64)

    def parts(re, im):
        z = fnp.fft.fft(lax.complex(re, im))
        return z.real, z.imag

    found, _ = run_program(parts, re, im, seed=2, races=True)
    expected = np.fft.fft(re + 1j * im)
    np.testing.assert_allclose(found, [expected.real, expected.imag], rtol=0, atol=1e-13)
    assert emit_plan(plan_program(parts, re, im)).source.count("__shared__") == 1
