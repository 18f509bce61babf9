"""The pool of results: memory comes back, is bounded, and goes back to the system."""

import gc
import os
import subprocess
import sys

import numpy as np
import pytest

import fnad
from fnad.lowering.native.pool import get_pool


@pytest.fixture
def pool():
    before = fnad.config.pool_bytes
    get_pool().trim()
    yield get_pool()
    fnad.config.pool_bytes = before


def doubled(n):
    f = fnad.jit(lambda x: x * 2)
    x = np.ones(n)
    for _ in range(3):
        f(x)
    return lambda: f(x)


def test_memory_of_the_dead_serves_the_next(pool):
    for n in (1, 9, 1000, 20_000, 3_000_000):
        f = doubled(n)
        out = f()
        address = out.ctypes.data
        del out
        again = f()
        assert again.ctypes.data == address
        other = f()
        assert other.ctypes.data != address and not np.shares_memory(again, other)


def test_views_keep_memory_alive(pool):
    f = doubled(100_000)
    view = f()[::2]
    address = view.base.ctypes.data
    gc.collect()
    assert f().ctypes.data != address
    assert (view == 2).all()
    del view
    assert f().ctypes.data == address


def test_sizes_of_one_class_share_blocks(pool):
    out = doubled(100_000)()
    address = out.ctypes.data
    del out
    assert doubled(100_001)().ctypes.data == address


def test_idle_memory_is_counted_and_trimmed(pool):
    f = doubled(1_000_000)
    pool.trim()
    assert pool.idle_bytes == 0
    f()
    assert 8_000_000 <= pool.idle_bytes <= 10_500_000
    pool.trim()
    assert pool.idle_bytes == 0


def test_idle_memory_is_bounded(pool):
    f, g = doubled(1_000_000), doubled(200_000)
    fnad.config.pool_bytes = 20_000_000
    many = [f() for _ in range(5)]
    del many
    assert pool.idle_bytes <= 20_000_000
    f()
    g()
    assert pool.idle_bytes <= 20_000_000
    fnad.config.pool_bytes = 4_000_000
    f()
    assert pool.idle_bytes <= 20_000_000  # as before: what was too large went at once
    g()
    assert pool.idle_bytes <= 4_000_000
    fnad.config.pool_bytes = 0
    g()
    assert pool.idle_bytes == 0


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_the_system_gets_memory_back(pool):
    f = doubled(8_000_000)
    pool.trim()
    before = resident()
    out = f()
    assert resident() - before > 60_000_000
    del out
    pool.trim()
    assert resident() - before < 8_000_000


def test_wrong_settings_are_refused(pool):
    for wrong in (-1, 1.5, "1", None):
        with pytest.raises(ValueError, match="pool_bytes is a number of at least 0"):
            fnad.config.pool_bytes = wrong


def test_arrays_of_the_pool_grow_and_shrink(pool):
    out = doubled(10)()
    for n in (20, 5_000, 400_000, 3, 400_000):
        out.resize((n,), refcheck=False)
        out[:] = n
        assert (out == n).all()
    del out
    huge = doubled(10)()
    with pytest.raises((MemoryError, ValueError)):
        huge.resize((2**55,), refcheck=False)
    assert (huge == 2).all()


def test_no_memory_is_an_error():
    code = """
import resource, numpy as np, fnad
f = fnad.jit(lambda x: fnad.numpy.zeros((30_000, 10_000)) + x)
g = fnad.jit(lambda x: x + 1)
for _ in range(3):
    g(1.0), g(np.ones(1000))
small = f.lower(1.0).compile()
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
kept = []
try:
    for _ in range(4):
        kept.append(small(1.0))
except MemoryError:
    del kept
    print("refused", g(2.0))
"""
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert run.stdout.strip() == "refused 3.0", run.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_children_have_a_pool_of_their_own(pool):
    f = doubled(500_000)
    out = f()
    child = os.fork()
    if child == 0:
        right = False
        try:
            out[:] = 7
            del out
            right = bool((f() == 2).all())
        finally:
            os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (out == 2).all() and (f() == 2).all()
