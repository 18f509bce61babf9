"""Results of a size that values decide: NumPy's without ``size``, cut off or filled up with it."""

from functools import partial

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp

M = np.array([[0, 3, 0], [4, 0, 5]])
F = np.array([2.0, np.nan, 1.0, 2.0, np.nan, -1.0])
K = np.array([[3, 1], [1, 3], [7, 1]], np.int32)
R = np.array([3, 5, 3, 9])


def same(actual, expected):
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(actual, expected)


def both(function, *args):
    """The results outside of tracing and compiled, which must be equal."""
    eager = function(*args)
    compiled = fnad.jit(function)(*args)
    for x, y in zip(fnad.tree.leaves(eager), fnad.tree.leaves(compiled), strict=True):
        same(y, x)
    return eager


@pytest.mark.parametrize("x", [M, M > 3, M[0], M * 0.5, np.zeros((0, 3)), np.zeros(4)])
def test_nonzero(x):
    for ours, theirs in zip(fnp.nonzero(x), np.nonzero(x), strict=True):
        same(ours, theirs)
    same(fnp.flatnonzero(x), np.flatnonzero(x))
    same(fnp.argwhere(x), np.argwhere(x))
    for size in (0, 2, 5):
        expected = [np.concatenate([i, np.full(9, -1)])[:size] for i in np.nonzero(x)]
        got = both(partial(fnp.nonzero, size=size, fill_value=-1), x)
        for ours, theirs in zip(got, expected, strict=True):
            same(ours, theirs)
        for ours, theirs in zip(both(partial(fnp.where, size=size, fill_value=-1), x), got):
            same(ours, theirs)
        same(fnp.argwhere(x, size=size, fill_value=-1), np.stack(expected, 1))


def test_each_axis_has_a_fill_value():
    rows, columns = fnp.nonzero(M, size=5, fill_value=(2, 3))
    assert rows.tolist() == [0, 1, 1, 2, 2] and columns.tolist() == [1, 0, 2, 3, 3]
    with pytest.raises(ValueError, match="3 fill values for an array of rank 2"):
        fnp.nonzero(M, size=5, fill_value=(1, 2, 3))


def test_nonzero_of_a_batch():
    got = fnad.vmap(lambda row: fnp.flatnonzero(row, size=2, fill_value=7))(M)
    assert got.tolist() == [[1, 7], [0, 2]]


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_compress(axis):
    condition = np.array([True, False])
    same(fnp.compress(condition, M, axis), np.compress(condition, M, axis))
    expected = np.compress(condition, M, axis)
    got = both(lambda c: fnp.compress(c, M, axis, size=2, fill_value=9), condition)
    kept = np.take(got, [0], axis)
    same(kept, expected)
    assert (np.take(got, [1], axis) == 9).all()
    same(fnad.jit(lambda m: fnp.compress([1, 0], m, axis))(M), expected)  # a known condition
    same(fnp.extract(M > 3, M), np.extract(M > 3, M))
    same(both(lambda m: fnp.extract(m > 3, m, size=3), M), np.array([4, 5, 0]))
    slope = fnad.grad(lambda m: (fnp.extract(m > 3, m, size=3) ** 2).sum())(M * 1.0)
    same(slope, np.where(M > 3, 2.0 * M, 0.0))


@pytest.mark.parametrize("x", [R, F, K, K.astype(np.float32), R > 3, R.astype(np.uint8)])
@pytest.mark.parametrize("equal_nan", [True, False])
def test_unique(x, equal_nan):
    options = {"return_index": True, "return_inverse": True, "return_counts": True}
    expected = np.unique(x, **options, equal_nan=equal_nan)
    for ours, theirs in zip(fnp.unique(x, **options, equal_nan=equal_nan), expected):
        same(ours, theirs)
    n = expected[0].size
    got = both(lambda x: fnp.unique(x, **options, equal_nan=equal_nan, size=n), x)
    for ours, theirs in zip(got, expected, strict=True):
        same(ours, theirs)
    more = both(lambda x: fnp.unique(x, size=n + 2, fill_value=1, equal_nan=equal_nan), x)
    same(more, np.concatenate([expected[0], np.ones(2, x.dtype)]))
    assert fnp.unique(x, size=n + 1, equal_nan=equal_nan)[-1] == expected[0][0]
    same(both(lambda x: fnp.unique(x, size=1), x), expected[0][:1])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_unique_slices(axis):
    x = np.array([[1, 2], [0, 5], [1, 2], [0, 4]])
    x = x.T if axis else x
    expected = np.unique(x, True, True, True, axis)
    got = both(lambda a: fnp.unique(a, True, True, True, axis, size=3), x)
    for ours, theirs in zip(got, expected, strict=True):
        same(ours, theirs)


@pytest.mark.parametrize("size", [0, 2])
def test_unique_of_nothing(size):
    nothing = np.zeros(0, np.float32)
    values, counts = both(
        lambda x: fnp.unique(x, return_counts=True, size=size, fill_value=7), nothing
    )
    same(values, np.full(size, 7, np.float32))
    same(counts, np.zeros(size, np.int64))
    with pytest.raises(ValueError, match="no element that could fill up"):
        fnp.unique(nothing, size=2)


def test_unique_of_the_standard():
    for name in ("unique_all", "unique_counts", "unique_inverse"):
        expected = getattr(np, name)(F)
        got = getattr(fnp, name)(F, size=5)
        assert got._fields == expected._fields
        for ours, theirs in zip(got, expected, strict=True):
            same(ours, theirs)
    same(both(lambda x: fnp.unique_values(x, size=3), R), np.array([3, 5, 9]))


@pytest.mark.parametrize("name", ["union1d", "setdiff1d", "intersect1d", "setxor1d"])
@pytest.mark.parametrize("x, y", [(R, K), (K, R), (R, F[2:4]), (R * 1.0, R), (R, R[:0])])
def test_sets(name, x, y):
    ours, expected = getattr(fnp, name), getattr(np, name)(x, y)
    same(ours(x, y), expected)
    n = expected.size
    same(both(lambda x, y: ours(x, y, size=n), x, y), expected)
    filled = both(lambda x, y: ours(x, y, size=n + 2, fill_value=8), x, y)
    same(filled, np.concatenate([expected, np.full(2, 8, expected.dtype)]))
    with pytest.raises(fnad.errors.ConcretizationTypeError, match=r"size=n"):
        fnad.jit(ours)(x, y)


def test_a_union_with_a_number_keeps_the_dtype():
    x = np.array([3, 1], np.int8)
    same(fnp.union1d(x, 7), np.union1d(x, 7))


@pytest.mark.parametrize("name", ["union1d", "intersect1d", "setxor1d"])
def test_sets_of_known_arrays_while_something_is_traced(name):
    x, y = np.array([1, 2, 3], np.int32), np.array([2.5, 3], np.float32)
    same(fnad.jit(lambda: getattr(fnp, name)(x, y))(), getattr(np, name)(x, y))
    narrow = getattr(fnp, name)(x, y.astype(fnp.bfloat16))
    same(narrow.astype(np.float64), getattr(np, name)(x, y))
    assert narrow.dtype == fnp.bfloat16


@pytest.mark.parametrize("dtype", [fnp.bfloat16, np.float16], ids=["bf16", "f16"])
def test_sets_of_half_precision_with_nan(dtype):
    x = np.array([3, np.nan, 1, 3, np.nan, -0.0, 0, np.inf, -np.inf], dtype)
    y = np.array([1, np.nan, 7], dtype)
    wide, other = x.astype(np.float32), y.astype(np.float32)
    for equal_nan in (True, False):
        values, *rest = fnp.unique(x, True, True, True, equal_nan=equal_nan)
        expected, *places = np.unique(wide, True, True, True, equal_nan=equal_nan)
        assert values.dtype == dtype
        for got, want in zip((values.astype(np.float32), *rest), (expected, *places), strict=True):
            same(got, want)
    for name in ["union1d", "intersect1d", "setdiff1d", "setxor1d"]:
        got = getattr(fnp, name)(x, y)
        assert got.dtype == dtype
        same(got.astype(np.float32), getattr(np, name)(wide, other))


def test_places_of_an_intersection():
    x, y = np.array([5, 3, 9, 3]), np.array([9, 1, 3, 3])
    expected = np.intersect1d(x, y, return_indices=True)
    got = both(lambda x, y: fnp.intersect1d(x, y, return_indices=True, size=2), x, y)
    for ours, theirs in zip(got, expected, strict=True):
        same(ours, theirs)


@pytest.mark.parametrize("x, y", [(R, K), (K, R), (F, F), (R, F), (R, []), (K * 1.0, [1])])
@pytest.mark.parametrize("invert", [False, True])
def test_isin(x, y, invert):
    same(both(lambda x: fnp.isin(x, y, invert=invert), x), np.isin(x, y, invert=invert))


@pytest.mark.parametrize(
    "function",
    [fnp.nonzero, fnp.flatnonzero, fnp.argwhere, fnp.unique, lambda x: fnp.compress(x > 0, x)],
)
def test_without_size_nothing_of_this_can_be_traced(function):
    with pytest.raises(fnad.errors.ConcretizationTypeError, match="depend on values"):
        fnad.jit(function)(R)


def test_bad_sizes():
    with pytest.raises(ValueError, match="size must not be negative"):
        fnp.nonzero(R, size=-1)
    with pytest.raises(ValueError, match="a scalar has no indices"):
        fnp.nonzero(3)
    with pytest.raises(ValueError, match="without x and y"):
        fnp.where(R > 3, R, 0, size=3)


def test_options_of_jax():
    x = np.array([3, 1, 2, 1])
    index = fnp.argsort(x, dtype=np.int8)
    assert index.dtype == np.int8
    np.testing.assert_array_equal(index, [1, 3, 2, 0])
    with pytest.raises(ValueError, match="argsort: int8 cannot hold"):
        fnp.argsort(np.zeros(129), dtype=np.int8)
    np.testing.assert_array_equal(fnp.isin(x, [1], method="sort"), x == 1)
    with pytest.raises(ValueError, match="'binary_search' or 'sort', got 'hash'"):
        fnp.isin(x, [1], method="hash")
    np.testing.assert_array_equal(fnp.unique(x, sorted=False), [1, 2, 3])
