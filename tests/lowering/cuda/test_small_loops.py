"""Loops of small bodies as one kernel."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.lowering.cuda import small_loops
from fnad.lowering.cuda.emitter import emit_plan
from tests.lowering.cuda.programs import plan_program, run_program
from tests.lowering.cuda.running import compile_for_device, needs_emulator, needs_toolchain

RNG = np.random.default_rng(0)


def normal(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


def check(fn, *args, launches=1, tolerance=1e-5, seed=0):
    """Compare what the device gives with what the CPU gives; the source."""
    found, launched = run_program(fn, *args, seed=seed, races=True)
    wanted = fnad.jit(lambda *args: fn(*args))(*args)
    for one, other in zip(found, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
    assert launches is None or len(launched) <= launches
    return emit_plan(plan_program(fn, *args)).source


def lorenz(x, steps):
    def step(x, _):
        dx = fnp.stack([10 * (x[1] - x[0]), x[0] * (28 - x[2]) - x[1], x[0] * x[1] - 2.5 * x[2]])
        x = x + np.float32(0.01) * dx
        return x, x

    return lax.scan(step, x, None, length=steps)


@needs_emulator
def test_one_thread_keeps_what_is_small_in_registers():
    source = check(lambda x: lorenz(x, 20), normal(3), launches=3)
    assert "__launch_bounds__(1)" in source and "f32 local" in source


@needs_emulator
@pytest.mark.parametrize("width", [7, 32, 40, 100])
def test_a_recurrent_network(width):
    w, u, b = normal(width, width) / width, normal(5, width), normal(width)
    h, xs = normal(width), normal(6, 5)

    def fn(w, u, b, h, xs):
        return lax.scan(lambda h, x: (fnp.tanh(w @ h + x @ u + b),) * 2, h, xs)

    source = check(fn, w, u, b, h, xs, launches=3, tolerance=1e-4, seed=5)
    assert "for (i32 turn" in source


@needs_emulator
def test_conditions_stay_on_the_card():
    def fn(x):
        return lax.while_loop(lambda x: (x * x).sum() < 1e4, lambda x: x * 2 + 1, x)

    assert "break;" in check(fn, normal(3), launches=3)
    assert "break;" in check(fn, normal(100), launches=3)


@needs_emulator
def test_branches():
    def fn(i, x):
        return lax.switch(i, [lambda x: x + 1, lambda x: x[::-1] * 2, lambda x: fnp.cos(x)], x)

    for i in (-1, 0, 1, 2, 7):
        check(fn, np.int32(i), normal(50), launches=3)
    check(lambda x: lax.fori_loop(0, 5, lambda i, x: fn(i % 3, x), x), normal(40), launches=3)


@needs_emulator
def test_loops_in_loops():
    def inner(i, x):
        return lax.fori_loop(0, 3, lambda j, x: fnp.sin(x) + i * j, x)

    check(lambda x: lax.fori_loop(0, 4, inner, x), normal(45), launches=3)
    big = normal(400, 400)

    def outer(i, carry):
        x, y = carry
        return fnp.cos(x) * i, lax.fori_loop(0, 3, lambda j, y: y * i + j, y)

    check(lambda x, y: lax.fori_loop(0, 2, outer, (x, y)), big, normal(40), launches=None)


@needs_emulator
def test_groups_and_writes_at_computed_places():
    def softmax(x):
        e = fnp.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    check(lambda x: lax.fori_loop(0, 3, lambda i, x: softmax(x + i), x), normal(9, 48), launches=3)
    places = RNG.integers(0, 30, 40)

    def body(i, x):
        return x.at[places].add(i * 0.5)

    check(lambda x: lax.fori_loop(0, 3, body, x), normal(30), launches=None)


@needs_emulator
@pytest.mark.parametrize("limit", [10, 3000])
def test_the_gradient_of_a_scan(monkeypatch, limit):
    monkeypatch.setattr(small_loops, "_MAX_OPERATIONS", limit)
    check(lambda x: fnad.grad(lambda x: lorenz(x, 6)[1].sum())(x), normal(3), launches=None)


@needs_emulator
def test_what_shared_memory_has_no_room_for_runs_from_the_host(monkeypatch):
    monkeypatch.setattr(small_loops, "_SHARED_BYTES", 0)
    check(
        lambda x: lax.fori_loop(0, 3, lambda i, x: x[::-1] * i + x.sum(), x),
        normal(40),
        launches=None,
    )


def test_large_bodies_are_left_to_many_blocks():
    plan = plan_program(
        lambda x: lax.fori_loop(0, 3, lambda i, x: fnp.cos(x) + i, x), np.empty(1 << 20, np.float32)
    )
    assert "blockIdx" in emit_plan(plan).source


def test_long_bodies_are_left_to_the_host(monkeypatch):
    def turns(x):
        return lax.fori_loop(0, 3, lambda i, x: fnp.cos(x[::-1]) * i, x)

    plan = plan_program(turns, normal(40))
    assert "for (i32 turn" in emit_plan(plan).source
    monkeypatch.setattr(small_loops, "_MAX_NODES", 0)
    assert "for (i32 turn" not in emit_plan(plan).source


@needs_toolchain
@pytest.mark.parametrize("steps", [5])
def test_the_source_compiles(steps):
    compile_for_device(plan_program(lambda x: lorenz(x, steps), normal(3)))
