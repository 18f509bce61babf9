"""What native calls hold and let go: references, memory, errors, threads."""

import gc
import sys
import threading
import weakref

import numpy as np
import pytest

import fnad
from fnad.core.tree_registry import register_pytree_node
from fnad.lowering.native import calls
from fnad.lowering.native.capi import pointer_at
from fnad.lowering.native.pool import get_pool
from tests.lowering.native.calling import Checked, Line, Point, Ray, made, native, trees


def test_clear_cache():
    traces = []

    def f(x):
        traces.append(1)
        return x

    g = fnad.jit(f)
    native(g, 1.0)
    g.clear_cache()
    assert not g._signatures and g._places()[0].value == 0
    native(g, 1.0)
    assert len(traces) == 2


def test_compiled_ahead_of_time():
    compiled = fnad.jit(lambda x, n: x * n, static_argnums=1).lower(np.ones(3), 2).compile()
    np.testing.assert_array_equal(native(compiled, np.arange(3.0)), [0, 2, 4])
    with pytest.raises(TypeError, match="compiled for arguments of types"):
        compiled(np.arange(4.0))


def counts(objects):
    return [sys.getrefcount(o) for o in objects]


def test_references_are_balanced():
    x, y = np.arange(3.0), np.arange(6.0).reshape(2, 3)[:, ::2]
    arguments = trees()
    keys = [k for d in (arguments["dict"], arguments["integer keys"]) for k in d]
    objects = [x, y, x.dtype, y.dtype, np.float32, Point, Line, Ray, Checked, *keys]
    objects += [np.dtype(np.float32), tuple, list, dict, "r", (), np.True_]
    functions = []
    for value in [*arguments.values(), x, y, 2, 2.5, True]:
        f = fnad.jit(lambda t, k=None: (t, {"k": k}))
        native(f, value, k=x)
        functions.append((f, value))
    for f, value in functions:
        f(value, k=x)
    gc.collect()
    made.clear()
    before = counts(objects)
    for _ in range(100):
        for f, value in functions:
            f(value, k=x)
            f(value, k=np.arange(4.0)[:3])
    made.clear()
    gc.collect()
    # CPython itself may hold a few of them for a while.
    grown = [b - a for a, b in zip(before, counts(objects), strict=True)]
    leaks = {str(o): n for o, n in zip(objects, grown, strict=True) if abs(n) > 50}
    assert not leaks


def test_memory_does_not_grow():
    import resource
    import tracemalloc

    f = fnad.jit(lambda t: {"a": [t["x"] + 1, t["y"]], "b": (t["y"] * 2, None)})
    args = {"x": np.ones(1000), "y": np.ones((50, 50))[:, ::2]}
    native(f, args)
    tracemalloc.start()
    try:
        for _ in range(10):
            f(args)
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(2000):
            f(args)
        assert tracemalloc.get_traced_memory()[0] - first < 20_000
    finally:
        tracemalloc.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20_000):
        f(args)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 4_000


def test_copies_of_arguments_are_made_in_the_pool():
    x = np.arange(400_000.0).reshape(1000, 400)[::2]
    f = fnad.jit(lambda x: x.sum(0))
    native(f, x)
    idle = get_pool().idle_bytes
    assert idle >= x.nbytes
    for _ in range(20):
        np.testing.assert_array_equal(f(x), x.sum(0))
        assert get_pool().idle_bytes == idle


def test_errors_of_constructors_pass_and_leak_nothing():
    class Picky:
        def __init__(self, x):
            self.x = x

    fail = []

    def unflatten(_, children):
        if fail:
            raise RuntimeError("no")
        return Picky(*children)

    register_pytree_node(Picky, lambda p: ((p.x,), None), unflatten)
    f = fnad.jit(lambda p: [p.x + 1, p, p.x * 2])
    x = np.ones(200_000)
    native_free = get_pool()
    out = [f(Picky(x)) for _ in range(3)]
    assert len(out) == 3
    fail.append(1)
    idle = []
    for _ in range(5):
        with pytest.raises(RuntimeError, match="no"):
            f(Picky(x))
        idle.append(native_free.idle_bytes)
    assert idle[1:] == idle[:-1]
    fail.clear()
    assert f(Picky(x))[0][0] == 2


def test_errors_of_flattening_are_those_of_the_general_path():
    class Broken:
        def __init__(self, x):
            self.x = x

    def flatten(b):
        if b.x is None:
            raise ValueError("broken")
        return (b.x,), None

    register_pytree_node(Broken, flatten, lambda _, c: Broken(*c))
    f = fnad.jit(lambda b: b.x)
    native(f, Broken(1.0))
    with pytest.raises(ValueError, match="broken"):
        f(Broken(None))
    assert native(f, Broken(2.0)) == 2.0


def test_threads():
    f = fnad.jit(lambda t: {"s": t["x"].sum(), "y": t["x"] * t["k"]})
    g = fnad.jit(lambda x: x + 1)
    errors = []

    def work(seed):
        rng = np.random.default_rng(seed)
        try:
            for i in range(400):
                n = int(rng.integers(1, 12))
                x = np.full(n * 100, float(seed))
                out = f({"x": x, "k": float(i)})
                assert out["s"] == seed * n * 100 and (out["y"] == seed * i).all()
                assert (g(x) == seed + 1).all()
                if i % 100 == 50:
                    g.clear_cache()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(s,)) for s in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors


def test_threads_that_take_turns_all_the_time_add_signatures():
    f = fnad.jit(lambda x: x * 2)
    arrays = [np.ones(n) for n in range(1, 14)]
    errors = []

    def work(seed):
        try:
            for i in np.random.default_rng(seed).integers(0, len(arrays), 400):
                np.testing.assert_array_equal(f(arrays[i]), arrays[i] * 2)
        except BaseException as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(s,)) for s in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(interval)
    assert not errors


def test_interpreter_is_free_while_long_programs_run():
    f = fnad.jit(lambda x: fnad.lax.fori_loop(0, 200_000_000, lambda i, s: s * 0.5 + i, x))
    g = fnad.jit(lambda x: x * 2)
    native(g, 1.0)
    for _ in range(2):
        f(1.0)
    running = threading.Thread(target=f, args=(1.0,))
    running.start()
    calls_meanwhile = 0
    while running.is_alive() and calls_meanwhile < 100_000:
        g(1.0)
        calls_meanwhile += 1
    running.join()
    assert calls_meanwhile > 100


def test_arguments_live_as_long_as_the_call():
    f = fnad.jit(
        lambda d: fnad.lax.fori_loop(0, 3_000, lambda i, s: s * 0.5 + d["x"], d["x"]).sum()
    )
    args = {"x": np.full(5_000, 3.0)}
    expected = native(f, args)
    done = []

    def disturb():
        while not done:
            args["x"] = np.full(5_000, 3.0)  # the array before dies, but for the call

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        assert all(f(args) == expected for _ in range(30))
    finally:
        done.append(1)
        thread.join()


def test_signatures_die_with_their_functions():
    refs = []
    for _ in range(3):
        f = fnad.jit(lambda x: x + 1)
        native(f, 1.0)
        refs += [weakref.ref(s) for s in f._signatures.values()]
        del f
    gc.collect()
    assert not any(r() for r in refs)


def test_the_general_path_serves_where_nothing_is_native(monkeypatch):
    monkeypatch.setattr(calls, "_available", False)
    f = fnad.jit(lambda x: x + 1)
    for _ in range(5):
        assert f(1.0) == 2.0
    assert not f._signatures


def test_results_name_the_pool():
    out = native(fnad.jit(lambda x: x + 1), np.ones(3))
    assert pointer_at(id(out) + 88) == id(get_pool().handler)
