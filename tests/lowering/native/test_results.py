"""Results of native calls: arrays whose objects serve again, and the containers they come in."""

import gc
import itertools
import os
import pickle
import subprocess
import sys
import warnings
import weakref
from collections import OrderedDict

import numpy as np
import pytest

import fnad
from fnad.lowering.native import capi
from fnad.lowering.native.capi import pointer_at
from fnad.lowering.native.pool import get_pool
from tests.lowering.native.calling import native

recycling = pytest.mark.skipif(not get_pool().recycles, reason="this NumPy keeps dead arrays")


X = np.arange(4.0)


def copier(*arrays):
    """A call whose results are copies of these arrays, and twice their values."""
    f = fnad.jit(lambda xs: [(x, x + x) for x in xs])
    native(f, arrays)
    return lambda: f(arrays)


def plain(x):
    """The array that NumPy itself would make of ``x`` over memory of its own."""
    return np.array(x, order="C")


def attributes(x):
    return (type(x), x.shape, x.strides, x.dtype, x.base, str(x.flags), x.ctypes.data % 64)


SHAPES = [(3,), (1,), (0,), (2, 3), (1, 5), (5, 1), (0, 4), (4, 0), (2, 0, 3), (1, 1), (3, 1, 2)]
SHAPES += [(2, 3, 4), (1, 1, 7, 1), (2, 1, 2, 1, 2), (1,) * 10]


def test_results_are_arrays_like_those_of_numpy():
    arrays = [np.arange(np.prod(s)).reshape(s).astype(d) for s in SHAPES for d in "?ihbBfdeL"]
    call = copier(*arrays)
    for _ in range(3):
        for x, (same, twice) in zip(arrays, call(), strict=True):
            # Strides of arrays without elements are those that NumPy gives to foreign memory.
            like = np.frombuffer(bytearray(x.nbytes or 1), x.dtype, x.size).reshape(x.shape)
            flags = {n: x.flags[n] for n in ("C", "F", "O", "W", "A", "X", "FNC", "FORC")}
            for y in (same, twice):
                assert type(y) is np.ndarray and y.dtype is x.dtype and y.base is None
                assert y.shape == x.shape and (y.strides == like.strides or not x.size)
                assert {n: y.flags[n] for n in flags} == flags
            np.testing.assert_array_equal(same, x)
            np.testing.assert_array_equal(twice, x + x)


def test_strides_do_not_depend_on_who_made_the_object():
    arrays = [np.ones(s, d) for s in SHAPES for d in "?fd"]
    call = copier(*arrays)
    get_pool().trim()
    first = call()
    described = [attributes(y)[:-1] for pair in first for y in pair]
    del first
    assert [attributes(y)[:-1] for pair in call() for y in pair] == described


@recycling
def test_objects_serve_again():
    call = copier(*(np.ones(s) for s in SHAPES if 0 not in s))
    out = call()
    objects = {id(y) for pair in out for y in pair}
    del out
    assert {id(y) for pair in call() for y in pair} == objects


@recycling
def test_what_lives_does_not_serve_again():
    call = copier(np.ones(3), np.ones((2, 2)))
    kept = [call() for _ in range(20)]
    views = [y[:1] for out in kept for pair in out for y in pair]
    assert len({id(y) for out in kept for pair in out for y in pair}) == 80
    expected = [v.copy() for v in views]
    del kept
    for _ in range(20):
        for pair in call():
            for y in pair:
                y[:] = -1
    for view, values in zip(views, expected, strict=True):
        np.testing.assert_array_equal(view, values)


def reshape(y):
    y.shape = (1, *y.shape)


def flatten(y):
    y.shape = y.size


def to_scalar(y):
    y.resize((1,), refcheck=False)
    y.shape = ()


def unpickle(y):
    y.__setstate__((1, (7,), np.dtype(np.int16), False, bytes(range(14))))


def grow(y):
    y.resize((300, 7), refcheck=False)


def grow_much(y):
    y.resize((70_000,), refcheck=False)


def shrink(y):
    y.resize((1,), refcheck=False)


def retype(y):
    y.dtype = np.int8


def freeze(y):
    y.flags.writeable = False


def stride(y):
    y.strides = (0,) * y.ndim


def refer(y):
    return weakref.ref(y)


def export(y):
    with memoryview(y) as view:
        return view.shape


def export_for_good(y):
    return memoryview(y)


def view(y):
    return y[::2]


def cycle(y):
    boxes = [y]
    boxes.append(boxes)


CHANGES = [reshape, flatten, to_scalar, unpickle, grow, grow_much, shrink, retype, freeze, refer]
CHANGES += [export, export_for_good, view, cycle, stride, lambda y: pickle.dumps(y)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_arrays_may_be_changed_in_every_way(change):
    arrays = [np.arange(6.0), np.arange(6.0).reshape(2, 3), np.ones((1, 2, 3), np.float32)]
    call = copier(*arrays)
    expected = [attributes(y) for pair in call() for y in pair]
    get_pool().trim()
    kept = []
    for turn in range(12):
        out = call()
        assert [attributes(y) for pair in out for y in pair] == expected
        for x, (same, twice) in zip(arrays, out, strict=True):
            np.testing.assert_array_equal(same, x)
            np.testing.assert_array_equal(twice, 2 * x)
        ys = [y for pair in out for y in pair]
        kept.append([change(y) for y in ys[turn % 2 :: 2]])
        if turn % 3 == 1:
            kept.clear()
        del out, same, twice, ys
    get_pool().trim()


def test_random_lives(seed=0):
    rng = np.random.default_rng(seed)
    shapes = [(2,), (8,), (2, 4), (1, 8), (2, 2, 2), (16,), (3, 5), (40, 40)]
    calls = [copier(*(np.full(s, i + 10.0 * j) for j, s in enumerate(shapes))) for i in range(3)]
    alive = []
    for step in range(3000):
        i = int(rng.integers(3))
        for j, pair in enumerate(calls[i]()):
            for k, y in enumerate(pair):
                if rng.random() < 0.3:
                    alive.append((y, np.full(shapes[j], (i + 10.0 * j) * (k + 1))))
        rng.shuffle(alive)
        del y, pair
        for y, values in alive[100:]:
            np.testing.assert_array_equal(y, values)
        del alive[int(rng.integers(100)) :]
        if rng.random() < 0.05:
            rng.choice(CHANGES[:9])(calls[i]()[int(rng.integers(3, 7))][0])
        if step % 500 == 499:
            get_pool().trim()


def test_weak_references_die_with_their_array():
    call = copier(np.ones(4))
    for _ in range(3):
        said = []
        out = call()
        reference = weakref.ref(out[0][0], said.append)
        del out
        assert reference() is None and said == [reference]
        assert not weakref.getweakrefs(call()[0][0])


@pytest.mark.parametrize("donated", [True, False])
def test_donated_memory_moves_on(donated):
    f = fnad.jit(
        lambda s: {"x": s["x"].at[0].add(1), "n": s["n"] + 1}, donate_argnums=0 if donated else None
    )
    state = {"x": np.zeros(1000), "n": np.zeros(3)}
    for _ in range(4):
        state = f(state)
    assert f._signatures
    olds = []
    start = state["x"][0]
    for i in range(50):
        olds.append(state.copy())
        if i % 3:
            olds.pop()
        state = f(state)
    assert state["x"][0] == start + 50 and (state["n"] == state["n"][0]).all()
    assert state["x"][1:].sum() == 0


def test_references_of_what_results_share():
    dtype = np.dtype(np.float32)
    f = fnad.jit(lambda x: {"a": x + 1, "b": [x * 2, {"c": x}], "n": None})
    native(f, np.ones(3, np.float32))
    x = np.ones(3, np.float32)
    signature = next(iter(f._signatures.values()))
    shared = [dtype, get_pool().handler, None, "a", "b", *signature._kept]
    before = [sys.getrefcount(o) for o in shared]
    for _ in range(1000):
        f(x)
    kept = [f(x) for _ in range(10)]
    del kept
    after = [sys.getrefcount(o) for o in shared]
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) < 20


def test_references_of_what_results_share_when_one_fails():
    class Fragile:
        fails = False

    def unflatten(_, children):
        if Fragile.fails:
            raise RuntimeError("no")
        return Fragile()

    fnad.tree.register_pytree_node(Fragile, lambda _: ((), None), unflatten)
    f = fnad.jit(lambda x: {"a": x + 1, "b": x + 2, "m": Fragile(), "z": x * 2})
    x = np.ones(3)
    native_kept = [f(x) for _ in range(3)] and next(iter(f._signatures.values()))._kept
    gc.collect()  # cycles that earlier tests have left refer to dtypes, too
    before = [sys.getrefcount(o) for o in native_kept]
    Fragile.fails = True
    for _ in range(1000):
        with pytest.raises(RuntimeError, match="no"):
            f(x)
    Fragile.fails = False
    after = [sys.getrefcount(o) for o in native_kept]
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) < 20
    np.testing.assert_array_equal(f(x)["z"], 2 * x)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
# From NumPy 2.5 on; pytest keeps every one of 100,000 warnings.
@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")
def test_memory_does_not_grow():
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    f = fnad.jit(
        lambda x: {"a": [x + i for i in range(8)], "b": {i: x.reshape(2, 2) for i in "pq"}}
    )
    x = np.ones(4)
    native(f, x)
    for _ in range(1000):
        f(x)
    before = resident()
    for _ in range(100_000):
        out = f(x)
        out["b"]["p"].shape = 4
    assert resident() - before < 2 << 20


@pytest.mark.parametrize("known", [True, False], ids=["table copied", "by CPython"])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 6, 10, 11, 21, 22, 43, 150])
def test_dicts(count, known, monkeypatch):
    if not known:
        monkeypatch.setattr(capi, "_tables_are_known", lambda: False)
    keys = [f"k{i}" for i in range(count)]
    f = fnad.jit(lambda x: {k: x + i for i, k in enumerate(keys)})
    x = np.zeros(2)
    native(f, x)
    expected = {k: np.full(2, float(i)) for i, k in enumerate(keys)}
    for _ in range(3):
        out = f(x)
        assert type(out) is dict and out.keys() == expected.keys()
        assert [out[k][0] for k in expected] == [expected[k][0] for k in expected]
        assert list(out.items()) == [(k, out[k]) for k in out] and len(out) == count
        out["new"] = out.pop(keys[0]) if keys else 1
        out.update(dict.fromkeys(keys[1 : count // 2], 0))
        assert len(out) == max(count, 1) and all(out[k] == 0 for k in keys[1 : count // 2])
        del out["new"]
        out.clear()
        assert out == {}
    assert [id(k) for k in f(x)] == [id(k) for k in f(x)]


@pytest.mark.parametrize("keys", ["ab", "abcdefg", (400, 600, 500), (10**9, 10**10)], ids=str)
def test_dicts_own_their_items_and_nothing_else(keys):
    keys = [k + "!" if isinstance(k, str) else k for k in keys]  # not one of CPython's own
    f = fnad.jit(lambda x: {k: x * i for i, k in enumerate(keys)})
    native(f, np.ones(2))
    empty = pointer_at(pointer_at(id({}) + 32))
    references = [sys.getrefcount(k) for k in f(np.ones(2))]
    [signature] = f._signatures.values()
    templates = [x for x in signature._kept if type(x) in (dict, object)]
    counts = [sys.getrefcount(x) for x in templates]
    made = [f(np.ones(2)) for _ in range(100)]
    assert sys.getsizeof(made[0]) == sys.getsizeof(dict.fromkeys(keys).copy())
    assert [sys.getrefcount(k) for k in made[0]] == [n + 99 for n in references]
    assert all(sys.getrefcount(x) == 3 for x in made[0].values())  # with x and the argument
    made[0][keys[1]] = 3
    assert (made[1][keys[1]] == 1).all()
    del made
    assert [sys.getrefcount(k) for k in f(np.ones(2))] == references
    assert abs(pointer_at(pointer_at(id({}) + 32)) - empty) < 50
    assert [sys.getrefcount(x) for x in templates] == counts


def test_cpython_finds_no_fault_with_the_memory_of_containers():
    program = """
import numpy as np, fnad
f = fnad.jit(lambda x: [{"a": x, "b": x + i, "c": {i: x}} for i in range(9)])
for i in range(50):
    kept = f(np.ones(i // 10 + 1))
    kept[0].clear(), kept[1].update(d=1), kept[2]["c"].pop(2)
print(len(kept))
"""
    environment = os.environ | {"PYTHONMALLOC": "debug"}
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, env=environment, capture_output=True).stdout == b"9\n"


@recycling
def test_code_that_runs_while_an_array_dies():
    f = fnad.jit(lambda x: x + 1)
    native(f, X)
    others = []

    class Note:
        def __del__(self):
            others.append(f(X))

    for _ in range(9):
        out = f(X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            out.dtype = np.dtype(np.float64, metadata={"note": Note()})
        del out
    assert len(others) == 9
    for x in others:
        np.testing.assert_array_equal(x, X + 1)
    assert len({x.ctypes.data for x in others}) == 9


def test_keys_of_dicts_have_any_plain_type():
    x = np.arange(3.0)
    for keys in ([3, 1, 2], ["b", "a"], list(range(40)), ["ß", "a" * 1000]):
        f = fnad.jit(lambda x, keys=keys: {k: x + i for i, k in enumerate(keys)})
        out = native(f, x)
        assert sorted(out) == sorted(keys)
        for i, k in enumerate(keys):
            np.testing.assert_array_equal(out[k], x + i)


def test_the_collector_knows_what_can_be_in_a_cycle():
    f = fnad.jit(lambda x: {"flat": {"x": x, "n": None}, "deep": {"l": [x]}, "t": {"t": (x,)}})
    x = np.ones(3)
    native(f, x)
    for _ in range(3):
        out = f(x)
        assert gc.is_tracked(out) and gc.is_tracked(out["deep"]) and gc.is_tracked(out["t"])
        mark = weakref.ref(out["flat"]["x"])
        out["deep"]["l"].append(out)
        out["t"]["t"] = out
        del out
        gc.collect()
        assert mark() is None
    mark = None
    for _ in range(3):
        out = f(x)["flat"]
        mark = weakref.ref(out["x"])
        out["self"] = out
        del out
        gc.collect()
        assert mark() is None


def test_the_collector_may_run_while_results_are_built():
    f = fnad.jit(
        lambda x: [{"a": {"b": [x + i, {"c": (x,)}]}, "o": OrderedDict(y=x)} for i in range(9)]
    )
    x = np.ones(3)
    native(f, x)
    before = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for _ in range(50):
            out = f(x)
            assert [d["a"]["b"][0][0] for d in out] == list(range(1, 10))
    finally:
        gc.set_threshold(*before)


def test_handlers_of_results():
    x = np.ones(5)
    for y in itertools.chain.from_iterable(itertools.chain(*(copier(x)() for _ in range(2)))):
        assert pointer_at(id(y) + 88) == id(get_pool().handler)


def test_arrays_of_a_numpy_that_frees_otherwise():
    code = """
import sys
import numpy as np
from fnad.lowering.native import pool
pool.Pool._objects_rest = lambda self: False
import fnad
f = fnad.jit(lambda x: {"a": x + 1, "b": [x * 2, x.reshape(3, 1)]})
x = np.arange(3.0)
for _ in range(100):
    out = f(x)
assert f._signatures and not pool.get_pool().recycles
np.testing.assert_array_equal(out["b"][0], 2 * x)
address = out["a"].ctypes.data
del out
assert any(y.ctypes.data == address for y in fnad.tree.leaves(f(x)))
print("right")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "right", run.stderr


def test_results_outlive_everything_else():
    code = """
import numpy as np, fnad
f = fnad.jit(lambda x: [x + 1, {"a": x}])
for _ in range(4):
    out = f(np.ones(3))
class Late:
    def __init__(self, out): self.out = out
    def __del__(self): print("right" if self.out[0][0] == 2 else "wrong")
np.kept = Late(out)
import builtins, sys
builtins.kept_too = sys.kept = f(np.ones(3))
del f, out
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "right" and run.returncode == 0, run.stderr
