"""Repetition by counts, products of vectors, Einstein's notation: what traced shapes ask for."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads
from tests.numpy.helpers import assert_same

X = np.arange(12.0).reshape(3, 4)
COUNTS = np.array([2, 0, 3])


@pytest.mark.parametrize("total", [5, 3, 7, 0])
def test_repeat_of_a_total_length(total):
    exact = np.repeat(X, COUNTS, 0)
    expected = np.concatenate([exact, np.repeat(X[-1:], 9, 0)])[:total]
    repeat = lambda x, n: fnp.repeat(x, n, 0, total_repeat_length=total)
    assert_same(repeat(X, COUNTS), expected)
    assert_same(fnad.jit(repeat)(X, COUNTS), expected)
    check_grads(lambda x: repeat(x, COUNTS), (X,), order=1)
    batched = fnad.jit(fnad.vmap(repeat, (None, 0)))(X, np.stack([COUNTS, COUNTS]))
    assert_same(batched[1], expected)


def test_repeat_by_one_traced_count():
    repeat = fnad.jit(lambda n: fnp.repeat(X, n, total_repeat_length=24))
    assert_same(repeat(2), np.repeat(X, 2))
    with pytest.raises(fnad.errors.TracerIntegerConversionError) as raised:
        fnad.jit(lambda n: fnp.repeat(X, n, 0))(COUNTS)
    assert any("total_repeat_length=n" in note for note in raised.value.__notes__)
    with pytest.raises(ValueError, match="an empty axis has no element"):
        fnp.repeat(X[:0], 2, 0, total_repeat_length=2)
    with pytest.raises(TypeError, match="repeats must be integers"):
        fnp.repeat(X, 1.5, total_repeat_length=2)


AXES = [{}, {"axis": 1}, {"axisa": 0}, {"axisc": 0}, {"axisa": 1, "axisb": 0, "axisc": 1}]


@pytest.mark.parametrize("axes", AXES, ids=str)
def test_cross(axes):
    a = np.random.default_rng(0).normal(size=(3, 3, 3))
    b = a[::-1] + 1
    cross = lambda a, b: fnp.cross(a, b, **axes)
    assert_same(cross(a, b), np.cross(a, b, **axes))
    assert_same(fnad.jit(cross)(a, b), np.cross(a, b, **axes))


def test_cross_of_planes_and_integers():
    flat, solid = np.array([[1.0, 2.0], [-3.0, 4.0]]), np.array([0.5, 1.0, -2.0])
    third = np.stack([*flat.T, np.zeros(2)], -1)
    assert_same(fnp.cross(flat, solid), np.cross(third, solid))
    assert_same(fnp.cross(solid, flat), np.cross(solid, third))
    assert_same(fnad.jit(fnp.cross)(flat, flat[::-1]), np.cross(third, third[::-1])[:, 2])
    with pytest.raises(ValueError, match="length 2 or 3 along their axes, got 4 and 3"):
        fnp.cross(X, solid)


def test_take_along_axis_out_of_bounds():
    index = np.array([[0, 9, -1]])
    take = fnad.jit(lambda x, i: fnp.take_along_axis(x, i, 1, mode="fill", fill_value=-7))
    assert_same(take(X[:1], index), np.array([[0.0, -7.0, 3.0]]))
    clipped = fnad.jit(lambda x, i: fnp.take_along_axis(x, i, 1))(X[:1], index)
    assert_same(clipped, np.array([[0.0, 3.0, 3.0]]))
    with pytest.raises(IndexError, match="out of bounds"):
        fnp.take_along_axis(X[:1], index, 1)


def test_einsum_by_numbers_and_its_path():
    a, b = X, X.T + 1
    assert_same(fnp.einsum(a, [0, 1], b, [1, 2], [2, 0]), np.einsum(a, [0, 1], b, [1, 2], [2, 0]))
    assert_same(fnp.einsum(a, [..., 3], a, [..., 3]), np.einsum(a, [..., 3], a, [..., 3]))
    assert_same(fnp.einsum(a, [5, 2]), np.einsum(a, [5, 2]))
    operands = (a, b, a, b)
    expected = np.einsum_path("ij,jk,kl,lm", *operands, optimize="greedy")
    got = []
    fnad.jit(lambda *xs: got.extend(fnp.einsum_path("ij,jk,kl,lm", *xs)) or xs[0])(*operands)
    assert got[0] == expected[0] and got[1] == expected[1]
    path = fnp.einsum_path("ij,jk,kl,lm", *operands, optimize="optimal")[0]
    np.testing.assert_allclose(
        fnp.einsum("ij,jk,kl,lm", *operands, optimize=path), a @ b @ a @ b, rtol=1e-14
    )


def test_small_ones():
    deep = np.arange(8.0).reshape(1, 2, 4)
    for got, expected in zip(fnp.dsplit(deep, [1, 3]), np.dsplit(deep, [1, 3]), strict=True):
        assert_same(got, expected)
    with pytest.raises(ValueError, match="3 or more dimensions"):
        fnp.dsplit(X, 2)
    special = np.array([np.inf, -np.inf, np.nan, 1.0])
    for x in (special, special.astype(np.float16), np.array([1, 2])):
        assert_same(fnp.isposinf(x), np.isposinf(x))
        assert_same(fnad.jit(fnp.isneginf)(x), np.isneginf(x))
    with pytest.raises(TypeError, match="complex numbers have no sign"):
        fnp.isposinf(1j)
    np.testing.assert_allclose(fnad.jit(fnp.i0)(X), np.i0(X), rtol=1e-14)
    assert fnp.i0(np.array([0, 1])).dtype == np.float64
    assert_same(fnp.hstack([X, X], np.float32), np.hstack([X, X], dtype=np.float32))


@pytest.mark.parametrize(
    "shift, axis",
    [
        (np.array([1, 2]), (0, 1)),
        (np.array([1, -2]), 0),
        (np.array([3, 2]), None),
        (np.array([1]), (0, 1)),
        ((2,), (0, 1)),
        (np.array(2), 1),
        ((), ()),
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(3, 4), (2, 2)], ids=str)
def test_roll_by_arrays_of_shifts(shape, shift, axis):
    x = np.arange(np.prod(shape)).reshape(shape)
    expected = np.roll(x, shift, axis)
    np.testing.assert_array_equal(fnp.roll(x, shift, axis), expected)
    if isinstance(shift, np.ndarray):
        compiled = fnad.jit(lambda x, shift: fnp.roll(x, shift, axis))
        np.testing.assert_array_equal(compiled(x, shift), expected)


def test_an_integer_array_of_rank_zero_is_a_shape():
    assert fnp.ones(np.array(3)).shape == fnp.reshape(np.ones((3, 1)), np.array(3)).shape == (3,)
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        fnp.ones(np.float32(2))
