"""Native calls: every kind of argument and result, references, errors, threads."""

import gc
import sys
import threading
import weakref
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass

import numpy as np
import pytest

import fnad
from fnad.core.tree_registry import register_dataclass, register_pytree_node
from fnad.lowering.native import calls
from fnad.lowering.native.capi import layouts_are_known, pointer_at

Point = namedtuple("Point", "x y")


class Checked(namedtuple("Checked", "a b")):
    def __new__(cls, a, b):
        made.append(cls)
        return super().__new__(cls, a, b)


made = []


@register_dataclass
@dataclass
class Line:
    slope: object
    offset: object


class Ray:
    def __init__(self, parts, name):
        self.parts, self.name = parts, name


register_pytree_node(Ray, lambda r: (r.parts, r.name), lambda name, parts: Ray(list(parts), name))


def native(f, *args, **kwargs):
    """Call until the call is native; the result of such a call."""
    results = [f(*args, **kwargs) for _ in range(3)]
    assert f._signatures, "no native signature was made"
    traces = sys.getprofile
    python = []

    def profile(frame, event, arg):
        if event == "call" and frame.f_code is type(f).__call__.__code__:
            python.append(frame)

    traces = sys.getprofile()
    sys.setprofile(profile)
    try:
        result = f(*args, **kwargs)
    finally:
        sys.setprofile(traces)
    assert not python, "the call went through Python"
    equal(result, results[0])
    return result


def equal(a, b):
    flat = [fnad.tree.flatten(t) for t in (a, b)]
    assert flat[0][1] == flat[1][1]
    for x, y in zip(flat[0][0], flat[1][0], strict=True):
        assert type(x) is type(y) and x.dtype == y.dtype and x.shape == y.shape
        np.testing.assert_array_equal(x, y)


def test_this_interpreter_is_known():
    assert layouts_are_known() and calls.available()


DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES += ["float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_as_array_and_as_scalar(dtype):
    values = np.array([[0, 1, 3], [1, 0, 7]], dtype)
    f = fnad.jit(lambda x: (x, x[0, 1]))
    out = native(f, values)
    equal(out, (values, values[0, 1]))
    g = fnad.jit(lambda x: x)
    for scalar in (values.dtype.type(1), np.array(1, dtype)):
        out = native(g, scalar)
        assert type(out) is values.dtype.type and out == 1
        assert native(g, np.array(0, dtype)) == 0


@pytest.mark.parametrize("value", [2.5, -7, 2**63 - 1, True, False])
def test_python_scalars(value):
    f = fnad.jit(lambda x: x)
    out = native(f, value)
    assert out == value and out.dtype == np.asarray(value).dtype
    assert len(f._signatures) == 1


def test_types_are_told_apart():
    f = fnad.jit(lambda x: x + 1)
    values = [2, 2.0, True, np.float32(2), np.float64(2), np.int32(2), np.array(2.0), np.uint8(2)]
    expected = [f(v) for v in values]
    for _ in range(4):
        for v, e in zip(values, expected, strict=True):
            out = f(v)
            assert type(out) is type(e) and out == e


def test_integers_that_do_not_fit():
    f = fnad.jit(lambda x: x + 1)
    native(f, 1)
    with pytest.raises(OverflowError):
        f(2**63)
    with pytest.raises(OverflowError):
        f(-(2**63) - 1)


def trees():
    x, y = np.arange(3.0), np.float32(2)
    return {
        "tuple": (x, (y, ()), x),
        "list": [x, [], [y]],
        "dict": {"b": x, "a": {"z": y}, "c": {}},
        "integer keys": {2: x, 1: y},
        "none": [None, x, (None,)],
        "namedtuple": Point(x, Point(y, None)),
        "namedtuple with a constructor": Checked(x, y),
        "ordered": OrderedDict([("b", x), ("a", y)]),
        "default": defaultdict(list, {"b": x, "a": y}),
        "dataclass": Line(x, [y]),
        "registered": Ray((x, y), "r"),
        "all": [Line(Point(x, {"u": y}), None), Ray((OrderedDict(k=x),), "s")],
    }


@pytest.mark.parametrize("name", trees())
def test_containers(name):
    value = trees()[name]
    out = native(fnad.jit(lambda t: t), value)
    leaves, structure = fnad.tree.flatten(value)
    assert fnad.tree.structure(out) == structure
    for a, b in zip(fnad.tree.leaves(out), leaves, strict=True):
        np.testing.assert_array_equal(a, b)
    assert type(out) is type(value)


def test_constructors_of_namedtuples_run():
    f = fnad.jit(lambda t: t)
    native(f, Checked(1.0, 2.0))
    made.clear()
    f(Checked(1.0, 2.0))
    assert made == [Checked, Checked]


def test_other_structures_take_the_general_path():
    f = fnad.jit(lambda t: fnad.tree.map(lambda x: x + 1, t))
    native(f, {"a": 1.0, "b": [2.0]})
    assert f({"a": 1.0, "c": [2.0]}) == {"a": 2.0, "c": [3.0]}
    assert f({"a": 1.0}) == {"a": 2.0}
    assert f({"a": 1.0, "b": (2.0,)}) == {"a": 2.0, "b": (3.0,)}
    assert f({"a": 1.0, "b": [2.0, 3.0]}) == {"a": 2.0, "b": [3.0, 4.0]}
    assert f({"a": 1.0, "b": [2.0], "c": None}) == {"a": 2.0, "b": [3.0], "c": None}
    assert f([1.0]) == [2.0] and f((1.0,)) == (2.0,) and f(Point(1.0, 2)) == Point(2.0, 3)
    assert f(OrderedDict(a=1.0)) == OrderedDict(a=2.0)
    with pytest.raises(TypeError, match="argument at"):
        f({"a": "text", "b": [2.0]})


def test_keys_in_any_order():
    f = fnad.jit(lambda t: t["a"] - t["b"])
    assert native(f, {"a": 5.0, "b": 2.0}) == 3.0
    assert native(f, {"b": 2.0, "a": 5.0}) == 3.0
    key = "".join(["a", ""])  # equal, perhaps not identical
    assert native(f, {key: 5.0, "".join("b"): 2.0}) == 3.0


def test_static_data_of_registered_classes():
    f = fnad.jit(lambda r: r.parts[0] * (2 if r.name == "double" else 1))
    for _ in range(3):
        assert f(Ray((3.0,), "double")) == 6.0 and f(Ray((3.0,), "single")) == 3.0


def test_keyword_arguments():
    f = fnad.jit(lambda x, *, y, z: x + 10 * y + 100 * z)
    assert native(f, 1.0, y=2.0, z=3.0) == 321.0
    assert native(f, 1.0, z=3.0, y=2.0) == 321.0
    kwargs = {"".join("z"): 3.0, "".join("y"): 2.0}
    assert native(f, 1.0, **kwargs) == 321.0
    assert native(f, *[1.0], **kwargs) == 321.0
    with pytest.raises(TypeError, match="'z'"):
        f(1.0, y=2.0)


def test_static_arguments():
    f = fnad.jit(
        lambda n, x, mode="a": x * n if mode == "a" else x - n, static_argnames=("n", "mode")
    )
    for _ in range(4):
        assert f(2, 5.0) == 10.0 and f(3, 5.0) == 15.0 and f(2, 5.0, "b") == 3.0
        assert f(2, 5.0, mode="b") == 3.0 and f(n=2, x=5.0) == 10.0
    native(f, 2, 5.0)
    native(f, 2, 5.0, mode="".join("b"))
    g = fnad.jit(lambda x, flag: (x, flag is True), static_argnums=1)
    for _ in range(4):
        assert [bool(g(1.0, v)[1]) for v in (True, 1, 1.0)] == [True, False, False]


def test_strided_arrays_are_read_as_they_are():
    x = np.arange(24.0).reshape(4, 6)
    f = fnad.jit(lambda x: x * 2 + 1)
    views = [
        x,
        x.T.copy().T,
        x[::-1],
        x[:, ::-1],
        np.asfortranarray(x),
        np.broadcast_to(x[0], (4, 6)),
    ]
    native(f, x)
    for view in views:
        np.testing.assert_array_equal(native(f, view), view * 2 + 1)
    raw = np.zeros(4 * 6 * 8 + 1, np.uint8)
    odd = raw[1:].view(np.float64).reshape(4, 6)
    odd[...] = x
    np.testing.assert_array_equal(native(f, odd), x * 2 + 1)


def test_foreign_byte_order_and_subclasses():
    f = fnad.jit(lambda x: x + 1)
    x = np.arange(3.0)
    native(f, x)
    np.testing.assert_array_equal(f(x.astype(">f8")), x + 1)

    class Mine(np.ndarray):
        pass

    for _ in range(3):
        np.testing.assert_array_equal(f(x.view(Mine)), x + 1)
    np.testing.assert_array_equal(f(np.ma.masked_array(x)), x + 1)


def test_empty_arrays():
    f = fnad.jit(lambda x: (x * 2, x.sum(axis=0)))
    out = native(f, np.zeros((0, 3)))
    assert out[0].shape == (0, 3)
    np.testing.assert_array_equal(out[1], np.zeros(3))


def test_results_are_ordinary_arrays():
    f = fnad.jit(lambda x: x + 1)
    for n in (1, 3, 1000, 100_000, 2_000_000):
        out = native(f, np.zeros(n, np.float32))
        assert out.flags.owndata and out.flags.writeable and out.flags.c_contiguous
        assert out.flags.f_contiguous and out.flags.aligned and out.base is None
        assert out.ctypes.data % 64 == 0
        out[:] = 7
        copy = out.copy()
        out.resize(2 * n, refcheck=False)
        np.testing.assert_array_equal(out[:n], copy)
        out.resize(max(n // 2, 1), refcheck=False)
        np.testing.assert_array_equal(out, copy[: max(n // 2, 1)])
        state = out.__reduce__()[2]
        out.__setstate__(state)
        assert (out == 7).all()
    matrix = native(fnad.jit(lambda x: x), np.zeros((2, 3)))
    assert matrix.flags.c_contiguous and not matrix.flags.f_contiguous and matrix.strides == (24, 8)


def test_results_share_nothing():
    x = np.ones(3)
    f = fnad.jit(lambda x: [x, x, x + 0])
    out = native(f, x)
    out[0][:] = 5
    np.testing.assert_array_equal(out[1], np.ones(3))
    np.testing.assert_array_equal(x, np.ones(3))


def test_closed_over_arrays_and_constants():
    w = np.arange(3.0)
    f = fnad.jit(lambda x: x * w + np.arange(3.0)[::-1])
    np.testing.assert_array_equal(native(f, np.ones(3)), [2, 2, 2])
    w[:] = 9
    np.testing.assert_array_equal(f(np.ones(3)), [2, 2, 2])


def test_inside_traces_calls_are_recorded():
    f = fnad.jit(lambda x: x * 3)
    native(f, 2.0)
    text = str(fnad.make_jaxpr(lambda x: x + f(2.0))(1.0))
    assert "jit[" in text
    assert fnad.grad(lambda x: f(x) * f(2.0))(1.0) == 18.0
    np.testing.assert_array_equal(fnad.vmap(f)(np.arange(3.0)), [0, 3, 6])
    from fnad import lax

    g = fnad.jit(lambda x: lax.psum(x, "i"))
    for n in (2, 3):
        out = fnad.vmap(lambda x: g(np.float32(1)) + x, axis_name="i")(np.zeros(n, np.float32))
        np.testing.assert_array_equal(out, np.full(n, n))


def test_many_signatures_take_turns():
    f = fnad.jit(lambda x: x.sum())
    for _ in range(20):
        for n in range(1, 13):
            assert f(np.ones(n)) == n
    assert 1 <= len(f._signatures) <= calls.CAPACITY
    order = list(f._signatures)
    native(f, np.ones(5))
    assert f._places()[0].value == len(f._signatures)
    assert set(f._places()[1][: len(order)]) == set(f._signatures)


def test_methods_attributes_and_weak_references():
    class Model:
        scale = 3.0

        @staticmethod
        @fnad.jit
        def double(x):
            return 2 * x

        @staticmethod
        @fnad.jit
        def triple(x):
            return 3 * x

        @fnad.jit
        def of(self, x):
            return x * self["s"]

    class Weights(dict):
        of = Model.of

    for _ in range(3):
        assert Model.double(2.0) == 4.0 and Model().triple(2.0) == 6.0
    register_pytree_node(Weights, lambda w: ((w["s"],), None), lambda _, c: Weights(s=c[0]))
    w = Weights(s=2.0)
    for _ in range(3):
        assert w.of(3.0) == 6.0
    f = fnad.jit(lambda x: x)
    alive = weakref.ref(f)
    f.note = 1
    native(f, 1.0)
    del f
    gc.collect()
    assert alive() is None


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
    native_free = calls.get_pool()
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
    assert pointer_at(id(out) + 88) == id(calls.get_pool().handler)
