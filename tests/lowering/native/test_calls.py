"""Native calls: every kind of argument and result, references, errors, threads."""

import gc
import weakref
from collections import OrderedDict

import numpy as np
import pytest

import fnad
from fnad.core.tree_registry import register_pytree_node
from fnad.lowering.native import calls
from fnad.lowering.native.capi import layouts_are_known
from tests.lowering.native.calling import Checked, Point, Ray, equal, made, native, trees


def test_this_interpreter_is_known():
    assert layouts_are_known() and calls.available()


DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES += ["bfloat16", "float16", "float32", "float64"]


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
    for _ in range(3):  # their masks would be left out
        with pytest.raises(TypeError, match="masked arrays"):
            f(np.ma.masked_array(x))


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
