"""Types are values: equal ones are interchangeable, however they were made."""

import copy
import pickle

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.core import types
from fnad.core.dtypes import canonical_dtype
from fnad.core.primitive import Primitive, remember
from fnad.core.types import ShapedArray, aval_of

F32 = np.dtype(np.float32)


def test_equal_types_are_one_object():
    assert ShapedArray((2, 3), F32) is ShapedArray((2, 3), F32, False)
    assert ShapedArray((2, 3), F32) != ShapedArray((2, 3), F32, True)
    assert ShapedArray((2, 3), F32) != ShapedArray((3, 2), F32)
    assert ShapedArray((2, 3), F32) != ((2, 3), F32, False)


def test_shapes_are_python_ints_whoever_is_first():
    aval = ShapedArray((np.int64(71), np.int32(9)), np.float32)
    assert [type(n) for n in aval.shape] == [int, int]
    assert type(aval.dtype) is type(F32)
    with pytest.raises(TypeError, match="integer"):
        ShapedArray((71.5,), F32)


def test_types_stay_equal_when_the_table_is_emptied(monkeypatch):
    monkeypatch.setattr(types, "_made", {})
    monkeypatch.setattr(types, "_MOST_MADE", 2)
    old = ShapedArray((5,), F32)
    for n in range(5):
        ShapedArray((n, n), F32)
    new = ShapedArray((5,), F32)
    assert new is not old and new == old and hash(new) == hash(old)


def test_types_are_copied_and_pickled():
    aval = ShapedArray((4,), F32, True)
    for same in (copy.deepcopy(aval), pickle.loads(pickle.dumps(aval))):
        assert same == aval and same.weak_type


def test_remembered_type_rules_tell_parameters_apart():
    asked = []
    repeat_p = Primitive("repeat_axis")

    @repeat_p.type_rule
    @remember
    def _(x, *, count):
        asked.append(count)
        if count < 0:
            raise ValueError("a negative count")
        return ShapedArray((count, *x.shape), x.dtype)

    def shape(count):
        return repeat_p.out_avals([ShapedArray((3,), F32)], {"count": count})[0].shape

    assert [shape(2), shape(5), shape(2)] == [(2, 3), (5, 3), (2, 3)]
    assert asked == [2, 5]
    for _ in range(2):  # what fails is asked again
        with pytest.raises(ValueError, match="negative"):
            shape(-1)
    assert asked == [2, 5, -1, -1]


def test_parameters_that_cannot_be_hashed_are_not_remembered():
    pick_p = Primitive("pick")

    @pick_p.type_rule
    @remember
    def _(x, *, sizes):
        return ShapedArray(tuple(sizes), x.dtype)

    aval = ShapedArray((3,), F32)
    assert pick_p.out_avals([aval], {"sizes": [1, 2]})[0].shape == (1, 2)
    assert pick_p.out_avals([aval], {"sizes": [4]})[0].shape == (4,)


@pytest.mark.parametrize("other", [2, 2.5, -0.0, True, np.float32(3), np.int8(3), np.float64(3)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.bool_])
def test_operators_have_numpys_dtypes_at_every_call(dtype, other):
    """What operators remember of the types of their operands changes no later result."""
    x = np.array([0, 1, 1], dtype)
    operators = [
        lambda a, b: a + b,
        lambda a, b: b * a,
        lambda a, b: a / b if b else a,
        lambda a, b: a < b,
    ]
    for operator in operators:
        with np.errstate(all="ignore"):
            expected = operator(x, other)
        for _ in range(2):
            found = fnad.jit(lambda a, op=operator: op(a, other))(x)
            np.testing.assert_array_equal(found, expected, strict=True)


def test_ints_beyond_the_dtype_are_refused_or_compared_at_every_call():
    x = np.array([1, 2], np.int8)
    for _ in range(2):
        np.testing.assert_array_equal(fnad.jit(lambda a: a < 300)(x), [True, True])
        np.testing.assert_array_equal(fnad.jit(lambda a: 3 < a)(x), [False, False])  # noqa: SIM300
        with pytest.raises(OverflowError):
            fnad.make_jaxpr(lambda a: a + 300)(x)


def test_static_indices_are_read_by_their_types():
    """1 and True, and slices and tuples, are equal as keys or look alike, but not as indices."""
    x = np.arange(24.0).reshape(4, 6)
    for index in [
        1,
        True,
        (True, 1),
        (1, 2),
        slice(1, 3),
        slice(None, None, -2),
        (..., 0),
        (None, slice(0, 0)),
    ]:
        for _ in range(2):
            found = fnad.jit(lambda a, i=index: fnp.asarray(a)[i])(x)
            np.testing.assert_array_equal(found, x[index], strict=True)
    np.testing.assert_array_equal(fnad.jit(lambda a: a[[1, 3]])(x), x[[1, 3]])
    for _ in range(2):
        with pytest.raises(IndexError, match="out of bounds"):
            fnad.make_jaxpr(lambda a: a[4])(x)


def test_equal_dtypes_are_one():
    # NumPy's long long equals the int64 of most systems, and prints apart from it.
    wide = np.dtype(np.longlong)
    for value in (np.zeros(2, wide), np.longlong(3), np.zeros(2, wide.newbyteorder())):
        assert aval_of(value).dtype is np.dtype(np.int64)
    for name in ("q", wide, np.longlong):
        assert canonical_dtype(name) is np.dtype(np.int64)
    fnp.add(np.zeros(2, wide), np.zeros(2, wide))
    assert repr(fnp.add(np.zeros(2, np.int64), 1)) == "array([1, 1])"
