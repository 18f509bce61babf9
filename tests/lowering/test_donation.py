"""Donated arguments: which results take their memory, and that nothing else ever changes."""

import gc

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.lowering.native.pool import get_pool
from fnad.testing import assert_allclose


def adam(params, state, grads):
    def leaf(p, m, v, g):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        return p - 0.01 * m / (fnp.sqrt(v) + 1e-8), m, v

    new = {k: leaf(params[k], *state[k], grads[k]) for k in params}
    return {k: n[0] for k, n in new.items()}, {k: n[1:] for k, n in new.items()}


def problem(rng, shape=(40, 300)):
    params = {k: rng.standard_normal(shape) for k in "ba"}
    state = {k: (np.zeros(shape), np.zeros(shape)) for k in params}
    grads = {k: rng.standard_normal(shape) for k in params}
    return params, state, grads


def addresses(tree):
    return [leaf.ctypes.data for leaf in fnad.tree.leaves(tree)]


def test_states_are_updated_in_place(rng):
    params, state, grads = problem(rng)
    expected = fnad.tree.map(np.copy, (params, state))
    step = fnad.jit(adam, donate_argnums=(0, 1))
    before = None
    for i in range(6):
        expected = adam(*expected, grads)
        if i > 1:
            before = addresses((params, state))
        old = params, state
        params, state = step(params, state, grads)
        if before:
            assert addresses((params, state)) == before
            assert all(leaf.size == 0 for leaf in fnad.tree.leaves(old))
        assert_allclose((params, state), expected)
    old = None
    gc.collect()
    for leaf in fnad.tree.leaves((params, state)):
        assert leaf.flags.owndata and leaf.flags.writeable and leaf.base is None
        leaf.resize((7,), refcheck=False)


def test_plan_names_one_buffer(rng):
    params, state, grads = problem(rng)
    lowered = fnad.jit(adam, donate_argnums=(0, 1)).lower(params, state, grads)
    plain = fnad.jit(adam).lower(params, state, grads)
    assert lowered.as_text("plan").count("f64[40,300]") < plain.as_text("plan").count("f64[40,300]")


@pytest.mark.parametrize("keep", ["name", "view", "memoryview", "container", "read-only", "twice"])
def test_arrays_that_others_see_stay_as_they_are(rng, keep):
    step = fnad.jit(lambda p: {"w": p["w"] * 2 + 1}, donate_argnums=0)
    for _ in range(4):
        step({"w": rng.standard_normal(1000)})
    w = rng.standard_normal(1000)
    expected = w.copy()
    params = {"w": w}
    if keep == "view":
        w = w[::2]
        expected = expected[::2]
    elif keep == "memoryview":
        w = memoryview(w)
    elif keep == "container":
        w = [w]
    elif keep == "read-only":
        w.flags.writeable = False
        address = w.ctypes.data
        del w
    elif keep == "twice":
        del w
        g = fnad.jit(lambda p, q: ({"w": p["w"] * 2 + 1}, q["w"]), donate_argnums=0)
        for _ in range(4):
            out, same = g(params, params)
            np.testing.assert_array_equal(same, expected)
            np.testing.assert_array_equal(out["w"], expected * 2 + 1)
        np.testing.assert_array_equal(params["w"], expected)
        return
    out = step(params)
    if keep == "read-only":
        assert params["w"].ctypes.data == address
        w = params["w"]
    np.testing.assert_array_equal(np.asarray(w).reshape(-1), expected)
    assert not np.shares_memory(out["w"], params["w"])
    if keep != "view":
        np.testing.assert_array_equal(out["w"], expected * 2 + 1)


def test_bare_arguments_with_a_name_stay(rng):
    f = fnad.jit(lambda x: x + 1, donate_argnums=0)
    x = rng.standard_normal(5000)
    expected = x.copy()
    for _ in range(5):
        np.testing.assert_array_equal(f(x), expected + 1)
        np.testing.assert_array_equal(x, expected)
    gone = f(np.ones(5000))  # a temporary is its caller's no more
    np.testing.assert_array_equal(gone, np.full(5000, 2.0))


def test_values_that_are_read_later_are_not_overwritten(rng):
    programs = [
        lambda s: (s[1], s[0]),
        lambda s: (s[0] + s[1], s[0] - s[1]),
        lambda s: (s[0][::-1] * 1.0, s[1].sum() + s[0]),
        lambda s: (s[0].T @ s[1], s[0] @ s[1].T),
        lambda s: (s[0], s[0] * 2),
        lambda s: (fnp.roll(s[0], 1, 0), fnp.cumsum(s[1], 0)),
        lambda s: (fnp.sort(s[0], 0), fnp.exp(s[1]) / fnp.exp(s[1]).sum(1, keepdims=True)),
        lambda s: fnad.lax.fori_loop(0, 5, lambda i, c: (c[1], c[0] * 0.5), s),
        lambda s: (s[0].at[3].set(s[1][0]) if hasattr(s[0], "at") else s[0], s[1] + s[0]),
        lambda s: (fnp.zeros_like(s[0]) + 1.0, s[0] * s[1]),
    ]
    for program in programs:
        a, b = rng.standard_normal((2, 24, 24))
        plain, donating = fnad.jit(program), fnad.jit(program, donate_argnums=0)
        for _ in range(4):
            expected = plain((a, b))
            out = donating((a.copy(), b.copy()))
            assert_allclose(out, expected)


def test_kinds_of_arguments_that_cannot_be_taken_over(rng):
    f = fnad.jit(lambda s: {"a": s["a"] + 1, "n": s["n"] + 1}, donate_argnums=0)
    base = rng.standard_normal((30, 60))
    for a in (base.copy(), base.T.copy().T, np.asfortranarray(base), base[::1]):
        for _ in range(4):
            out = f({"a": a, "n": 3})
            np.testing.assert_array_equal(out["a"], a + 1)
            assert out["n"] == 4


def test_by_name_and_with_static_arguments(rng):
    f = fnad.jit(
        lambda n, *, state, x: [s * n + x for s in state],
        static_argnums=0,
        donate_argnames="state",
    )
    for _ in range(4):
        state = [rng.standard_normal(500) for _ in range(3)]
        expected = [s * 2 + 1.0 for s in state]
        old = list(addresses(state))
        out = f(2, state=state, x=1.0)
        np.testing.assert_array_equal(out, expected)
    assert addresses(out) == old and all(s.size == 0 for s in state)


def test_static_arguments_cannot_be_donated():
    with pytest.raises(ValueError, match="static, which have no memory"):
        fnad.jit(lambda x, n: x, static_argnums=1, donate_argnums=(0, 1))
    with pytest.raises(ValueError, match="donate_argnums has"):
        fnad.jit(lambda x: x, donate_argnums=3)


def test_donation_is_part_of_the_signature(rng):
    def f(s):
        return [s[0] * 2]

    plain, donating = fnad.jit(f), fnad.jit(f, donate_argnums=0)
    for _ in range(4):
        s = [rng.standard_normal(500)]
        plain(s)
        assert s[0].size == 500
        donating(s)
    assert s[0].size == 0


def test_memory_stays_within_one_state(rng):
    step = fnad.jit(lambda s: {"w": s["w"] * 0.5}, donate_argnums=0)
    state = {"w": rng.standard_normal(200_000)}
    for _ in range(4):
        state = step(state)
    idle = get_pool().idle_bytes
    for _ in range(10):
        state = step(state)
    assert get_pool().idle_bytes - idle < 10_000


def test_inside_traces_donation_means_nothing(rng):
    f = fnad.jit(lambda s: [s[0] * 2], donate_argnums=0)
    x = rng.standard_normal(100)
    g = fnad.jit(lambda x: f([x])[0] + x)
    for _ in range(4):
        np.testing.assert_array_equal(g(x), 3 * x)
    np.testing.assert_array_equal(fnad.grad(lambda x: f([x])[0].sum())(x), np.full(100, 2.0))
