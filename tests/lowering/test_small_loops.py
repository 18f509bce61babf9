"""Loops that become one function, their carries in registers, against loops of Python."""

import subprocess
import sys

import numpy as np
import pytest

import fnad
import fnad.lax as lax
import fnad.numpy as fnp
from fnad.lowering import lower_jaxpr
from fnad.lowering.expr import axis, integer, load
from fnad.lowering.llvm.emitter import emit_plan
from fnad.lowering.llvm.target import OPTIMIZED, PACKED_CODE
from fnad.lowering.plan import Kernel, Store
from fnad.lowering.unroll import written_out

F64 = np.dtype(np.float64)


def lorenz(state, dt):
    x, y, z = state
    return x + dt * 10 * (y - x), y + dt * (x * (28 - z) - y), z + dt * (x * y - 8 / 3 * z)


def compiled(function, *args):
    return fnad.jit(function).lower(*args).as_text("llvm")


def test_a_kernel_is_written_out():
    i = axis(0, 2)
    points = written_out(Kernel(((0, 2),), (), (Store(1, i * 3, load(0, i, F64)),)), {})
    assert points == [
        (Store(1, integer(0), load(0, integer(0), F64)),),
        (Store(1, integer(3), load(0, integer(1), F64)),),
    ]


def test_the_loop_is_one_function_without_calls():
    def run(x, y, z):
        return lax.scan(lambda s, _: (lorenz(s, 0.01), None), (x, y, z), length=50)[0]

    text = compiled(run, 1.0, 2.0, 3.0)
    [function] = [f for f in text.split("define ") if "phi" in f and "fmul" in f]
    assert "call void" not in function
    state = 1.0, 2.0, 3.0
    for _ in range(50):
        state = lorenz(state, 0.01)
    np.testing.assert_allclose(fnad.jit(run)(1.0, 2.0, 3.0), state, rtol=1e-9)


@pytest.mark.parametrize("reverse", [False, True])
def test_vectors_stacks_and_slices(reverse):
    def step(s, u):
        s = s + 0.01 * fnp.stack([s[1] - s[0], s[0] * (28 - s[2]) - s[1], s[0] * s[1]]) + u
        return s, (s[::-1], s.max(), fnp.argmax(s))

    s, us = np.array([1.0, 2.0, 3.0]), np.random.default_rng(0).normal(size=(20, 3)) / 10
    got, (rows, tops, places) = fnad.jit(lambda s, us: lax.scan(step, s, us, reverse=reverse))(
        s, us
    )
    order = range(19, -1, -1) if reverse else range(20)
    for k in order:
        s = s + 0.01 * np.array([s[1] - s[0], s[0] * (28 - s[2]) - s[1], s[0] * s[1]]) + us[k]
        np.testing.assert_allclose(rows[k], s[::-1], rtol=1e-9)
        np.testing.assert_allclose(tops[k], s.max(), rtol=1e-9)
        assert places[k] == np.argmax(s)
    np.testing.assert_allclose(got, s, rtol=1e-9)


def test_small_matrix_products():
    rng = np.random.default_rng(0)
    f, p, x = rng.normal(size=(3, 4, 4)) / 2

    def step(carry, z):
        p, x = carry
        p = f @ p @ f.T + fnp.eye(4)
        return (p, x @ p + z), fnp.trace(p)

    zs = rng.normal(size=(6, 4, 4))
    (got_p, got_x), traces = fnad.jit(lambda p, x, zs: lax.scan(step, (p, x), zs))(p, x, zs)
    for k, z in enumerate(zs):
        p = f @ p @ f.T + np.eye(4)
        x = x @ p + z
        np.testing.assert_allclose(traces[k], np.trace(p), rtol=1e-9)
    np.testing.assert_allclose(got_p, p, rtol=1e-9)
    np.testing.assert_allclose(got_x, x, rtol=1e-9)


@pytest.mark.parametrize("start", [1, 7, 27, 97])
def test_while_loop_with_a_branch(start):
    def step(carry):
        n, steps = carry
        n = lax.cond(n % 2 == 0, lambda n: n // 2, lambda n: 3 * n + 1, n)
        return n, steps + 1

    run = fnad.jit(lambda n: lax.while_loop(lambda c: c[0] != 1, step, (n, 0))[1])
    n, steps = start, 0
    while n != 1:
        n, steps = n // 2 if n % 2 == 0 else 3 * n + 1, steps + 1
    assert run(np.int64(start)) == steps


def test_loops_in_loops_and_counters_of_both():
    def outer(total, row):
        def inner(k, t):
            return t + row[k] * (k + 1)

        total = lax.fori_loop(0, 5, inner, total)
        return total, total

    rows = np.random.default_rng(0).normal(size=(4, 5))
    got, totals = fnad.jit(lambda rows: lax.scan(outer, 0.0, rows))(rows)
    want = np.cumsum(rows @ np.arange(1.0, 6.0))
    np.testing.assert_allclose(totals, want)
    np.testing.assert_allclose(got, want[-1])


def test_a_table_read_and_written_at_computed_places():
    def step(carry, k):
        table, at = carry
        value = table[at] + 1
        table = table.at[(at * 3 + 1) % 8].set(value)
        return (table, (at + k) % 8), value

    table, ks = np.arange(8.0), np.array([3, 1, 4, 1, 5, 9, 2, 6])
    (got, _), values = fnad.jit(lambda t, ks: lax.scan(step, (t, 2), ks))(table, ks)
    table, at = table.copy(), 2
    for k, value in zip(ks, values, strict=True):
        assert value == table[at] + 1
        table[(at * 3 + 1) % 8], at = value, (at + k) % 8
    np.testing.assert_array_equal(got, table)


def test_kernels_of_some_hundred_elements_run_inside():
    a, x = np.random.default_rng(0).normal(size=(2, 300))

    def step(carry, _):
        x, total = carry
        x = x + 0.1 * (fnp.tanh(a * x) - x)
        return (x, total + fnp.sum(x * x)), None

    got_x, got = fnad.jit(lambda x: lax.scan(step, (x, 0.0), length=30)[0])(x)
    want = 0.0
    for _ in range(30):
        x = x + 0.1 * (np.tanh(a * x) - x)
        want += np.sum(x * x)
    np.testing.assert_allclose(got_x, x, rtol=1e-9)
    np.testing.assert_allclose(got, want, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.float16, np.float32])
def test_carries_of_other_types(dtype):
    x = np.array([1, 0, 1, 1], dtype)

    def step(carry, _):
        rolled = fnp.roll(carry, 1)
        return (carry != rolled if dtype is np.bool_ else carry + rolled), carry

    got, rows = fnad.jit(lambda x: lax.scan(step, x, length=3))(x)
    for row in rows:
        np.testing.assert_array_equal(row, x)
        rolled = np.roll(x, 1)
        x = x != rolled if dtype is np.bool_ else x + rolled
    np.testing.assert_array_equal(got, x)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int32])
@pytest.mark.parametrize("rows", [1, 3])
def test_products_that_are_loops_inside(rows, dtype):
    rng = np.random.default_rng(0)
    w, u = (rng.integers(-2, 3, s).astype(dtype) for s in ((40, 50), (50, 40)))
    h = rng.integers(-2, 3, (rows, 40)).astype(dtype)

    def step(h, _):
        return fnp.clip(h @ w @ u, -2, 2), h

    got, hs = fnad.jit(lambda h: lax.scan(step, h, length=4))(h)
    for row in hs:
        np.testing.assert_array_equal(row, h)
        h = np.clip(h.astype(np.float64) @ w @ u, -2, 2).astype(dtype)
    np.testing.assert_array_equal(got, h)


@pytest.mark.parametrize("steps, recipe", [(1, PACKED_CODE), (9, OPTIMIZED)])
def test_scalars_of_small_loops_are_packed(steps, recipe):
    def step(m):
        for _ in range(steps):
            m = fnp.tanh(m @ m)
        return m

    traced = fnad.make_jaxpr(lambda m: lax.fori_loop(0, 50, lambda _, m: step(m), m))(np.eye(4))
    recipes = []
    emit_plan(lower_jaxpr(traced.jaxpr), lambda _, recipe: recipes.append(recipe))
    assert {OPTIMIZED, PACKED_CODE}.intersection(recipes) == {recipe}


# LLVM's packing of scalars failed an assertion, in second derivatives, and took the process down.
NESTS = """
import numpy as np
import fnad
import fnad.numpy as fnp
from fnad import lax

def repeated(f, length):
    body = fnad.checkpoint(lambda x, _: (f(x), None))
    return lambda x: lax.scan(body, x, length=length)[0]

def size(x):
    return fnp.sum(fnp.abs(x) ** 2)

def loss(w, x):
    return size(repeated(repeated(repeated(lambda x: fnp.tanh(w @ x) + 0.9 * x, 3), 4), 4)(x))

def second(w, x):
    return sum(size(g) for g in fnad.grad(loss, (0, 1))(w, x))

w = np.array([[0.5, -0.3, 0.1], [0.2, 0.9, 0.0], [-0.4, 0.3, 0.7]]) * (1 + 0.3j)
fnad.jit(fnad.grad(second, (0, 1))).lower(w, np.array([0.3, -0.8, 0.5]) * (1 - 0.2j)).compile()
print("alive")
"""


@pytest.mark.slow
def test_nested_loops_of_complex_numbers_are_compiled(monkeypatch):
    monkeypatch.setenv("FNAD_CACHE_DIR", "")
    done = subprocess.run([sys.executable, "-c", NESTS], capture_output=True, text=True)
    assert done.stdout == "alive\n", done.stderr[-2000:]
