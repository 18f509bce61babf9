"""Running sums and their kin on the emulated device, against NumPy's accumulate."""

import numpy as np
import pytest

from fnad.core.types import BFLOAT16, computing_dtype
from fnad.lowering.cuda import accumulate
from fnad.lowering.cuda.accumulate import Sizes, divide
from fnad.lowering.plan import Accumulate
from tests.lowering.cuda.running import (
    compile_for_device,
    needs_emulator,
    needs_toolchain,
    plan_of,
    run_plan,
)

UFUNCS = {
    "add": np.add,
    "multiply": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "logaddexp": np.logaddexp,
}
# So small that a few hundred elements take every path.
SMALL = Sizes(threads=64, items=3, columns=4, runners=64, blocks=8, shortest=4)
# Threads along lanes; teams of 1, 8, 32 and 64 threads; pieces; pieces of totals.
SHAPES = [(2, 5, 300), (1, 1, 5), (70, 3, 1), (9, 20, 1), (3, 90, 1), (20, 400, 1), (3, 30, 2)]
PIECES = [(2, 40, 6), (1, 5000, 1), (1, 1700, 1), (1, 900, 3), (1, 385, 1)]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(accumulate, "SIZES", SMALL)


def operand(shape, dtype, kind="add"):
    rng = np.random.default_rng(0)
    if np.dtype(dtype).kind in "iub":
        return rng.integers(0, 2 if np.dtype(dtype).kind == "b" else 100, shape).astype(dtype)
    spread = 0.1 if kind == "multiply" else 1.0
    return rng.uniform(1 - spread, 1 + spread / 2, shape).astype(dtype)


def reference(kind, x, reverse):
    x = np.flip(x, 1) if reverse else x
    wide = x if x.dtype.kind in "iub" else x.astype(np.float64)
    with np.errstate(all="ignore"):
        out = UFUNCS[kind].accumulate(wide, axis=1, dtype=wide.dtype)
    return np.flip(out, 1) if reverse else out


def plan_for(kind, x, reverse=False):
    node = Accumulate(0, 1, x.shape, kind, reverse, x.dtype, computing_dtype(x.dtype))
    return plan_of(node, [x], [x])


def running(kind, x, reverse=False, seed=0):
    [out], launches = run_plan(plan_for(kind, x, reverse), [x], seed, races=seed == 0)
    return out, launches


def test_small_shapes_take_every_path():
    found = {shape: divide(shape) for shape in SHAPES + PIECES}
    assert {d.lanes for d in found.values() if d.items} >= {1, 8, 32, 64}
    assert all(found[shape].pieces == 1 for shape in SHAPES)
    assert all(found[shape].pieces > 1 for shape in PIECES)
    assert any(d.items == 0 and d.pieces > 1 for d in found.values())
    assert any(d.pieces == 1 and d.items and d.length > d.tile for d in found.values())


@needs_emulator
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", SHAPES + PIECES)
@pytest.mark.parametrize("kind", UFUNCS)
def test_shapes(kind, shape, reverse):
    x = operand(shape, np.float64, kind)
    got, launches = running(kind, x, reverse)
    np.testing.assert_allclose(got, reference(kind, x, reverse), rtol=1e-12)
    assert len(launches) == 1 if shape in SHAPES else len(launches) >= 3


@needs_emulator
@pytest.mark.parametrize("shape", [(3, 90, 1), (2, 40, 6)])
@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4"])
@pytest.mark.parametrize("kind", ["add", "multiply", "max", "min"])
def test_dtypes(kind, dtype, shape):
    x = operand(shape, dtype, kind)
    got, _ = running(kind, x)
    np.testing.assert_allclose(
        got, reference(kind, x, False), rtol=0 if x.dtype.kind in "iub" else 2e-3
    )


@needs_emulator
def test_bfloat16_is_added_in_float32():
    x = np.full((1, 300, 1), 1.0, np.float32)
    got, _ = running("add", x.astype(BFLOAT16))
    want = np.arange(1, 301, dtype=np.float32).astype(BFLOAT16)
    np.testing.assert_array_equal(got.reshape(-1).view(np.uint16), want.view(np.uint16))


@needs_emulator
@pytest.mark.parametrize("kind", ["add", "multiply", "max", "min", "logaddexp"])
@pytest.mark.parametrize("shape", [(1, 300, 1), (1, 40, 20)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0])
def test_special_values(kind, shape, value):
    x = operand(shape, np.float32)
    x[:, 19:21] = value
    got, _ = running(kind, x)
    np.testing.assert_allclose(got, reference(kind, x, False), rtol=1e-5)


@needs_emulator
@pytest.mark.parametrize("shape", [(3, 20, 1), (1, 400, 1), (2, 40, 6)])
def test_sign_of_zero(shape):
    x = np.full(shape, -0.0, np.float32)
    assert np.signbit(running("add", x)[0]).all()


@needs_emulator
@pytest.mark.parametrize("shape", [(9, 20, 1), (20, 400, 1), (1, 1700, 1), (2, 40, 6)])
def test_order_of_threads_does_not_change_a_bit(shape):
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    first, *others = (running("add", x, seed=seed)[0] for seed in range(3))
    for other in others:
        np.testing.assert_array_equal(other, first)


@needs_emulator
def test_usual_sizes(monkeypatch):
    monkeypatch.setattr(accumulate, "SIZES", Sizes())
    for shape in [(3, 1000, 1), (1, 20_000, 1), (2, 300, 64), (1, 3000, 8)]:
        x = operand(shape, np.float32)
        np.testing.assert_allclose(running("add", x)[0], reference("add", x, False), rtol=1e-5)


def test_empty():
    assert accumulate.accumulate_steps(None, plan_for("add", np.zeros((2, 0, 3))).body[0]) == []


@needs_toolchain
@pytest.mark.parametrize("kind", UFUNCS)
def test_compiles_for_the_device(kind, monkeypatch):
    monkeypatch.setattr(accumulate, "SIZES", Sizes())
    x = operand((1, 100_000, 1), np.float64)
    compile_for_device(plan_for(kind, x))


@needs_toolchain
@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f2"])
def test_other_dtypes_compile_for_the_device(dtype, monkeypatch):
    monkeypatch.setattr(accumulate, "SIZES", Sizes())
    compile_for_device(plan_for("max", np.zeros((3, 100_000, 1), dtype)))
    compile_for_device(plan_for("add", np.zeros((3, 100_000, 40), dtype)))
