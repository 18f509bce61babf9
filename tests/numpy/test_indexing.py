"""Indexing and functional updates against NumPy."""

import numpy as np
import pytest

import fnad.numpy as fnp
from fnad.core.errors import NonConcreteBooleanIndexError, TracerIntegerConversionError
from tests.numpy.helpers import assert_same, run_traced

A = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
I1, I2 = np.array([0, 2, 1]), np.array([[1], [-1]])
BASIC = [
    np.s_[0], np.s_[-1], np.s_[1, 2], np.s_[1, 2, 3, 4], np.s_[:], np.s_[...], np.s_[1:],
    np.s_[:, ::2], np.s_[::-1], np.s_[:, :, 3:0:-2], np.s_[..., 1], np.s_[0, ..., 1:3],
    np.s_[None], np.s_[:, None, 1], np.s_[..., None], np.s_[None, 0, None, ..., None],
    np.s_[5:], np.s_[:, 2:1], np.s_[:, -2:, :-1], (),
]  # fmt: skip
ADVANCED = [
    np.s_[np.array([0, 1, 1])], np.s_[:, I1], np.s_[:, I1, I1], np.s_[:, I1, :, I1],
    np.s_[0, :, I1], np.s_[0, I1], np.s_[:, 1, I1], np.s_[:, I2, I1], np.s_[..., I1],
    np.s_[:, None, I1], np.s_[:, I1, None, I1], np.s_[I2, ..., I1], np.s_[:, 1:, I1],
    np.s_[:, ::-1, I1, ::2], np.s_[[0, 1], [1, 2]], np.s_[A[:, 0, 0, 0] > 5],
    np.s_[A > 50], np.s_[0, A[0] % 2 == 0], np.s_[..., A[0, 0, 0] > 2], np.s_[np.int64(1), 0:1],
    np.s_[:, np.array([], int)], np.s_[None, I1 % 2, :, None, 1], np.s_[np.array(1)],
    np.s_[I1 % 2, :, :, :], np.s_[I1 % 2, ..., I1, :, I1], np.s_[I1 % 2, I1, ..., I1, I1],
    np.s_[range(2)], np.s_[1, range(0), 0],
]  # fmt: skip


@pytest.mark.parametrize("index", BASIC + ADVANCED, ids=str)
def test_reading(index):
    assert_same(run_traced(lambda x: x[index], A), A[index])


@pytest.mark.parametrize("index", BASIC + ADVANCED, ids=str)
def test_setting(index):
    expected = A.copy()
    expected[index] = -1
    assert_same(fnp.at(A)[index].set(-1), expected)
    assert_same(run_traced(lambda x: x.at[index].set(-1), A), expected)


@pytest.mark.parametrize("index", BASIC + ADVANCED, ids=str)
def test_adding_an_array(index):
    values = np.arange(A[index].size, dtype=np.float32).reshape(A[index].shape)
    expected = A.copy()
    np.add.at(expected, index, values)
    assert_same(fnp.at(A)[index].add(values), expected)


@pytest.mark.parametrize("index", BASIC[1:4] + ADVANCED[:4], ids=str)
def test_setting_an_array(index):
    values = np.ones(A[index].shape, np.float32) * 7
    expected = A.copy()
    expected[index] = values
    assert_same(fnp.at(A)[index].set(values), expected)


@pytest.mark.parametrize("kind", ["multiply", "min", "max", "subtract", "divide"])
def test_other_updates(kind):
    x, i = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 2])
    ufunc = {"min": np.minimum, "max": np.maximum}.get(kind) or getattr(np, kind)
    expected = x.copy()
    expected[i] = ufunc(x[i], 2.5)
    assert_same(getattr(fnp.at(x)[i], kind)(2.5), expected)
    assert_same(x, np.array([1.0, 2.0, 3.0, 4.0]))


def test_traced_indices():
    x = np.arange(12.0).reshape(3, 4)
    for i in (0, 2, -1):
        assert_same(run_traced(lambda x, i: x[i], x, np.int64(i)), x[i])
        assert_same(run_traced(lambda x, i: x[:, i], x, np.int32(i)), x[:, i])
        assert_same(run_traced(lambda x, i: x[1, i], x, np.int8(i)), x[1, i])
    assert_same(run_traced(lambda x, i: x[i], x, np.array([2, -1])), x[[2, -1]])
    assert_same(run_traced(lambda x, i: x[i, 1:], x, np.array([2, -1])), x[[2, -1], 1:])


def test_modes():
    x, i = np.array([1.0, 2.0]), np.array([0, 5, -9])
    assert_same(fnp.at(x)[i].get(), np.array([1.0, 2.0, 1.0]))
    assert_same(fnp.at(x)[i].get(mode="fill"), np.array([1.0, np.nan, np.nan]))
    assert_same(fnp.at(x)[i].get(mode="fill", fill_value=7), np.array([1.0, 7.0, 7.0]))
    assert_same(fnp.at(x)[i].set(3.0), np.array([3.0, 2.0]))
    assert_same(fnp.at(x)[np.array([5])].set(3.0, mode="clip"), np.array([1.0, 3.0]))


@pytest.mark.parametrize("index", [9, -3, (0, 0, 0, 0, 0), (0, np.array([7])), 1.5, (..., ...)])
def test_index_errors(index):
    with pytest.raises(IndexError):
        A[index]
    with pytest.raises(IndexError):
        run_traced(lambda x: x[index], A)


def test_traced_mask_and_slice_bound():
    with pytest.raises(NonConcreteBooleanIndexError, match="where"):
        run_traced(lambda x: x[x > 0], np.ones(3))
    with pytest.raises(TracerIntegerConversionError):
        run_traced(lambda x, n: x[:n], np.ones(3), np.int64(2))
    with pytest.raises(TypeError, match="at"):
        run_traced(lambda x: x.__setitem__(0, 1), np.ones(3))


def test_take():
    x = np.arange(12.0).reshape(3, 4)
    i = np.array([[0, 2], [1, -1]])
    for axis in (None, 0, 1):
        assert_same(fnp.take(x, i, axis), np.take(x, i, axis))
    order = np.argsort(-x, axis=0)
    assert_same(fnp.take_along_axis(x, order, 0), np.take_along_axis(x, order, 0))
    with pytest.raises(IndexError):
        fnp.take(x, np.array([5]), 0)


def test_indices_of_few_bits_into_long_axes():
    x, i = np.arange(300.0), np.array([-3, 5, 100, 0], np.int8)
    for mode in ("clip", "wrap"):
        assert_same(fnp.take(x, i, mode=mode), np.take(x, i, mode=mode))
        written = x.copy()
        np.put(written, i, 7.0, mode=mode)
        assert_same(fnp.put(x, i, 7.0, mode=mode, inplace=False), written)


def test_updates_never_alias_their_operands():
    x, values = np.zeros(2), np.ones(2)
    for out in (fnp.at(x)[:].set(values), fnp.at(x)[2:].set(0.0), fnp.at(x)[2:].add(0.0)):
        assert not np.shares_memory(out, values) and not np.shares_memory(out, x)


def test_dividing_integers_is_exact():
    assert_same(fnp.at(np.array([49, 7]))[0].divide(49), np.array([1, 7]))
