"""Groups of kernels over the same rows: one kernel, which reads and writes memory once."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.lowering.cuda import expressions, points, rows
from fnad.lowering.cuda.emitter import emit_plan
from fnad.lowering.plan import Group
from tests.cuda_emulator.cards import card_of
from tests.lowering.cuda.programs import plan_program, run_program
from tests.lowering.cuda.running import compile_for_device, needs_emulator, needs_toolchain

RNG = np.random.default_rng(0)


def normal(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


def softmax(x):
    e = fnp.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(x, scale, bias):
    d = x - x.mean(axis=-1, keepdims=True)
    return d / fnp.sqrt((d * d).mean(axis=-1, keepdims=True) + 1e-5) * scale + bias


def check(fn, *args, kernels=1, tolerance=2e-5, seed=0):
    """Compare what the device gives with what the CPU gives; the source."""
    found, launches = run_program(fn, *args, seed=seed, races=True)
    wanted = fnad.jit(lambda *args: fn(*args))(*args)
    for one, other in zip(found, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
    assert kernels is None or len(launches) == kernels
    return emit_plan(plan_program(fn, *args)).source


@needs_emulator
@pytest.mark.parametrize(
    "shape",
    [(9, 3), (40, 8), (19, 20), (50, 33), (9, 64), (19, 130), (9, 1024), (8, 1025), (8, 5000)],
)
def test_softmax_of_rows_of_all_lengths(shape):
    source = check(softmax, normal(*shape))
    assert source.count("p0 +") + source.count("p0[") == 1  # read in one place


@needs_emulator
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_dtypes(dtype):
    check(softmax, normal(9, 1000, dtype=dtype), tolerance=2e-3 if dtype == np.float16 else 1e-12)


@needs_emulator
def test_layer_norm_and_its_gradient():
    args = normal(16, 96), normal(96), normal(96)
    check(layer_norm, *args)
    cotangent = normal(16, 96)
    check(
        lambda *args: fnad.grad(lambda *a: (layer_norm(*a) * cotangent).sum(), argnums=(0, 1, 2))(
            *args
        ),
        *args,
        kernels=None,
        tolerance=1e-4,
    )


@needs_emulator
@pytest.mark.parametrize("columns", [64, 1000])
def test_the_gradient_of_softmax(columns):
    x, cotangent = normal(12, columns), normal(12, columns)
    check(lambda x, c: fnad.grad(lambda x: (softmax(x) * c).sum())(x), x, cotangent)


@needs_emulator
def test_cross_entropy_and_its_gradient():
    x, y = normal(24, 50), RNG.integers(0, 50, 24)

    def loss(x, y):
        s = x - x.max(axis=1, keepdims=True)
        picked = fnp.take_along_axis(s, y[:, None], axis=1)[:, 0]
        return (fnp.log(fnp.exp(s).sum(axis=1)) - picked).mean()

    check(loss, x, y, kernels=None)
    check(lambda x, y: fnad.grad(loss)(x, y), x, y, kernels=None)


@needs_emulator
def test_values_at_other_points_go_through_shared_memory():
    def fn(x):
        e = fnp.exp(x - x.max(axis=1, keepdims=True))
        return e[:, ::-1] / e.sum(axis=1, keepdims=True)

    for shape in ((9, 40), (8, 600), (13, 7)):
        assert "__shared__ f32 local" in check(fn, normal(*shape), seed=3)


@needs_emulator
def test_what_does_not_fit_into_shared_memory_goes_to_memory(monkeypatch):
    monkeypatch.setattr(rows, "_SHARED_BYTES", 100)

    def fn(x):
        e = fnp.exp(x - x.max(axis=1, keepdims=True))
        return e[:, ::-1] / e.sum(axis=1, keepdims=True)

    assert "local" not in check(fn, normal(9, 40), seed=1)


@needs_emulator
@pytest.mark.parametrize("columns", [37, 640])
def test_rows_that_registers_do_not_hold(monkeypatch, columns):
    monkeypatch.setattr(rows, "_MOST_HELD", 1)
    monkeypatch.setattr(rows, "_MOST_THREADS", 32)
    check(softmax, normal(9, columns))


@needs_emulator
def test_few_registers_make_crews_larger(monkeypatch):
    source = check(softmax, normal(4096, 32))
    assert "__launch_bounds__(256)" in source
    monkeypatch.setattr(rows, "_HELD_BYTES", 8)
    check(softmax, normal(9, 96))


@needs_emulator
def test_positions_of_extrema():
    x = RNG.integers(0, 9, (9, 300)).astype(np.float32)
    check(lambda x: (x == x.max(axis=1, keepdims=True)).argmax(axis=1), x, kernels=None)
    check(lambda x: x - x.argmin(axis=1, keepdims=True), x, kernels=None)


@needs_emulator
def test_in_a_loop():
    x = normal(9, 48)
    check(lambda x: fnad.lax.fori_loop(0, 3, lambda i, x: softmax(x + i), x), x, kernels=None)
    xs = normal(3, 9, 48)
    check(lambda xs: fnad.lax.map(softmax, xs), xs, kernels=None)


@needs_emulator
def test_indices_of_64_bits(monkeypatch):
    monkeypatch.setattr(points, "_INT32_MAX", 100)
    monkeypatch.setattr(expressions, "_INT32_MAX", 100)
    assert "const i64" in check(softmax, normal(9, 40))


def test_elementwise_kernels_stay_apart_from_each_other():
    plan = plan_program(lambda x: (fnp.exp(x), fnp.cumsum(fnp.exp(x), axis=0)), normal(64, 64))
    assert not any(isinstance(node, Group) for node in plan.body)


def test_crews_of_long_and_short_rows():
    def crew(*shape):
        plan = plan_program(softmax, np.empty(shape, np.float32))
        return rows.rows_of(plan.body[0], {b.number: b for b in plan.buffers})

    assert crew(1 << 20, 8).crew == 1
    assert crew(1 << 16, 1024).crew == 32
    assert crew(1 << 16, 1024).width == 8
    assert crew(1 << 16, 8192).crew == 256
    assert crew(64, 8192).crew == 1024


@needs_toolchain
@pytest.mark.parametrize("shape", [(9, 20), (40, 1025), (8, 4096)])
def test_the_source_compiles(shape):
    x, c = normal(*shape), normal(*shape)
    grad = plan_program(lambda x, c: fnad.grad(lambda x: (softmax(x) * c).sum())(x), x, c)
    compile_for_device(grad)


@needs_emulator
@pytest.mark.parametrize("shape", [(10, 32), (10, 600)])
def test_what_all_threads_read_is_written_in_place_after_that(shape):
    def step(x, mean):
        mean = 0.9 * mean + 0.1 * x.sum(axis=-1)
        return mean, x - mean[:, None]

    args = normal(*shape), normal(shape[0])
    wanted = fnad.jit(step)(*args)
    with card_of("emulated"):
        found = fnad.jit(step, donate_argnums=(1,))(*fnad.device_put(args))
        found = fnad.device_get(found)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
