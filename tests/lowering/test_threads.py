"""The thread pool: every task once, the same bits for any number of threads, fork, callers."""

import ctypes
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import fnad
from fnad.lowering import lower_jaxpr
from fnad.lowering.llvm import threads
from fnad.lowering.llvm.emitter import emit_plan
from fnad.lowering.llvm.target import compile_module

THREADS = (1, 2, 3, 8)

TASKS = """
define void @square(ptr %x, i64 %begin, i64 %end, i64 %slot) {
entry:
  br label %loop
loop:
  %i = phi i64 [ %begin, %entry ], [ %n, %loop ]
  %p = getelementptr i64, ptr %x, i64 %i
  %old = load i64, ptr %p
  %square = mul i64 %i, %i
  %new = add i64 %old, %square
  store i64 %new, ptr %p
  %n = add i64 %i, 1
  %last = icmp eq i64 %n, %end
  br i1 %last, label %done, label %loop
done:
  ret void
}

define void @slot(ptr %x, i64 %begin, i64 %end, i64 %slot) {
  %p = getelementptr i64, ptr %x, i64 %begin
  store i64 %slot, ptr %p
  ret void
}
"""


@pytest.fixture(autouse=True)
def restored():
    before = fnad.config.num_threads
    yield
    fnad.config.num_threads = before


@pytest.fixture(scope="module")
def tasks():
    return compile_module(TASKS)


def parallel(task, array, extent, chunk, slots=64):
    pointer, i64 = ctypes.c_void_p, ctypes.c_int64
    address = threads.runtime().address("fnad.parallel")
    function = ctypes.CFUNCTYPE(None, pointer, pointer, i64, i64, i64)(address)
    function(task, array.ctypes.data, extent, chunk, slots)


@pytest.mark.parametrize("count", THREADS)
def test_every_task_runs_once(tasks, count):
    fnad.config.num_threads = count
    square, n, rounds = tasks.address("square"), 10_000, 300
    x = np.zeros(n, np.int64)
    for turn in range(rounds):
        parallel(square, x, n, 1 + 37 * turn)
    np.testing.assert_array_equal(x, rounds * np.arange(n) ** 2)


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_slots_are_within_bounds_though_the_pool_is_larger(tasks, slots):
    fnad.config.num_threads = 8
    slot = tasks.address("slot")
    for _ in range(200):
        x = np.full(64, -1)
        parallel(slot, x, 64, 1, slots)
        assert x[0] >= 0 and x.max() < slots


def test_callers_at_the_same_time(tasks):
    fnad.config.num_threads = 3
    square, n, failures = tasks.address("square"), 5000, []

    def work():
        for _ in range(200):
            x = np.zeros(n, np.int64)
            parallel(square, x, n, 100)
            if not np.array_equal(x, np.arange(n) ** 2):
                failures.append(x)

    callers = [threading.Thread(target=work) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not failures


def program(x, w):
    h = np.tanh(x @ w)
    e = np.exp(h - h.max(1, keepdims=True))
    s = e / e.sum(1, keepdims=True)
    order = np.argsort(x, axis=0)
    return s, s.sum(0), s.sum(), order, np.cumsum(x, 1), h.T.mean(1), x.max(), x[::-1, ::3]


def calls(fun, *args):
    """The records of a program's table: function, tasks, chunk, context."""
    words = emit_plan(lower_jaxpr(fnad.make_jaxpr(fun)(*args).jaxpr)).table.tolist()
    at = 1
    while at < len(words):
        _, function, tasks, chunk, *context = words[at : at + words[at]]
        yield function, tasks, chunk, context
        at += words[at]


def test_results_do_not_depend_on_the_number_of_threads(rng):
    x = rng.normal(size=(700, 333)).astype(np.float32)
    w = rng.normal(size=(333, 401)).astype(np.float32)

    def loss(x, w):
        return sum((y * y).sum() for y in program(x, w)[:3])

    def both(x, w):
        return program(x, w), fnad.grad(loss, (0, 1))(x, w)

    assert sum(chunk > 0 for _, _, chunk, _ in calls(both, x, w)) > 3
    step = fnad.jit(both)
    results = []
    for count in THREADS:
        fnad.config.num_threads = count
        results += [fnad.tree.leaves(step(x, w)) for _ in range(3)]
    for result in results[1:]:
        for one, other in zip(results[0], result, strict=True):
            np.testing.assert_array_equal(one, other, strict=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_children_have_their_own_pool(tasks):
    fnad.config.num_threads = 3
    square, n = tasks.address("square"), 10_000
    x = np.zeros(n, np.int64)
    parallel(square, x, n, 100)
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for _ in range(50):
                    parallel(square, x, n, 100)
                status = 0 if np.array_equal(x, 51 * np.arange(n) ** 2) else 2
            finally:
                os._exit(status)
        children.append(child)
    parallel(square, x, n, 100)
    np.testing.assert_array_equal(x, 2 * np.arange(n) ** 2)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forks_wait_until_other_threads_have_compiled():
    """What a thread locks while it compiles would stay locked in the child."""
    result = run_script(
        """
import os, signal, threading, time, numpy as np, fnad
fnad.config.cache_dir = None
started = threading.Event()
def compile():
    for n in range(1, 30):
        f = fnad.jit(lambda x: np.tanh(x) @ x.T)
        x = np.ones((n, n))
        started.set()
        [f(x) for _ in range(3)]
threading.Thread(target=compile, daemon=True).start()
started.wait()
for _ in range(5):
    time.sleep(0.05)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        x = np.ones(3)
        g = fnad.jit(lambda x: x * 2 + 1)
        os._exit(0 if all((g(x) == 3).all() for _ in range(3)) else 1)
    assert os.waitpid(child, 0)[1] == 0
os._exit(0)
"""
    )
    assert (result.returncode, result.stderr) == (0, "")


def run_script(script):
    env = os.environ | {"FNAD_NUM_THREADS": "4"}
    # From 3.12 on, Python warns of any fork beside other threads.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)


SCRIPT = """
import os, signal, threading, time, numpy as np, fnad
f = fnad.jit(lambda x: np.tanh(x) * 2)
x = np.ones(10**6, np.float32)
f(x)
"""


def test_functions_compile_while_the_interpreter_ends():
    start = """
import atexit, threading, numpy as np, fnad
fnad.config.cache_dir = None
def late():
    if threading.current_thread() is not threading.main_thread():
        threading.main_thread().join()
    print(fnad.jit(lambda x: x * 3 + len(name))(np.ones(2)))
"""
    for name in ("atexit.register(late)", "threading.Thread(target=late).start()"):
        result = run_script(f"name = {name!r}" + start + name)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout == f"{np.full(2, 3.0 + len(name))}\n"


def test_interpreter_ends_while_workers_sleep_or_run():
    for end in ("", "threading.Thread(target=lambda: [f(x) for _ in iter(int, 1)],"
                    " daemon=True).start(); time.sleep(0.05)"):  # fmt: skip
        result = run_script(SCRIPT + end)
        assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_idle_workers_sleep_and_leave_signals_to_python():
    result = run_script(
        SCRIPT
        + """
time.sleep(0.2)
tasks = {int(t) for t in os.listdir("/proc/self/task")} - {os.getpid()}
before = time.process_time()
time.sleep(0.3)
idle = time.process_time() - before
masks = []
for t in tasks:
    status = open(f"/proc/self/task/{t}/status").read()
    masks.append(int(status.split("SigBlk:")[1].split()[0], 16) >> (signal.SIGINT - 1) & 1)
print(sum(masks) >= 3, idle < 0.1)
"""
    )
    assert result.stdout.split() == ["True", "True"], result
