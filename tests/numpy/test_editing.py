"""Replacing, inserting and deleting elements against NumPy, eagerly and traced."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads

X = np.arange(12.0).reshape(3, 4) - 4
V = np.array([7, 8, 9], np.int32)


def same(actual, expected):
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(actual, expected)


def changed(name, x, *args, **options):
    """What NumPy's function makes of a copy of ``x``."""
    x = x.copy()
    getattr(np, name)(x, *args, **options)
    return x


@pytest.mark.parametrize("name, args, options", [
    ("place", (X > 2, V), {}), ("place", (X > 2, [0.5]), {}), ("place", (X > 99, V), {}),
    ("put", ([0, -1, 5], V), {}), ("put", ([1, 2, 4, 5], V[:2]), {}), ("put", ([], V), {}),
    ("put", ([40, -40], V), {"mode": "clip"}), ("put", ([14, -1], V), {"mode": "wrap"}),
    ("put_along_axis", (np.array([[1], [0], [3]]), 5, 1), {}),
    ("put_along_axis", (np.array([[2, 0, 1, 2]]), V[:1], 0), {}),
    ("put_along_axis", (np.array([3, 4]), V[:2], None), {}),
    ("fill_diagonal", (5,), {}), ("fill_diagonal", (V,), {}), ("fill_diagonal", (V[:2],), {}),
])  # fmt: skip
@pytest.mark.parametrize("x", [X, X.astype(np.int32)])
def test_updates(name, args, options, x):
    ours, expected = getattr(fnp, name), changed(name, x, *args, **options)
    same(ours(x, *args, **options, inplace=False), expected)
    same(fnad.jit(lambda x: ours(x, *args, **options, inplace=False))(x), expected)
    with pytest.raises(ValueError, match="inplace=False"):
        ours(x, *args, **options)


@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (3, 3, 3), (7, 2)])
@pytest.mark.parametrize("wrap", [False, True])
def test_fill_diagonal(shape, wrap):
    x = np.zeros(shape)
    same(fnp.fill_diagonal(x, V, wrap, inplace=False), changed("fill_diagonal", x, V, wrap))


CALLS = [
    ("resize", ((2, 3),)), ("resize", ((5, 4),)), ("resize", (0,)), ("delete", (1,)),
    ("delete", ([0, 5, -1],)), ("delete", (slice(1, None, 2), 1)),
    ("delete", ([True, False, True], 0)),
    ("delete", (-1, 0)), ("insert", (1, 5)), ("insert", (1, V, 1)), ("insert", (-1, X[0], 0)),
    ("insert", ([0, 0, 3], V)), ("insert", ([2, 1], X[:2], 0)), ("insert", ([0, 4], V[:2], 1)),
    ("insert", (slice(0, 2), 3, 1)), ("insert", (3, X[:2], 0)), ("insert", (3, 7)),
    ("delete", ([],)), ("insert", (2, [[1], [2], [3]], 1)),
]  # fmt: skip


@pytest.mark.parametrize("name, args", CALLS, ids=[name for name, _ in CALLS])
def test_lengths_change(name, args):
    expected = getattr(np, name)(X, *args)
    same(getattr(fnp, name)(X, *args), expected)
    same(fnad.jit(lambda x: getattr(fnp, name)(x, *args))(X), expected)


def test_a_traced_place_can_be_deleted():
    for i in (0, 2, -1, -3):
        same(fnad.jit(lambda x, i: fnp.delete(x, i, 0))(X, i), np.delete(X, i, 0))
    with pytest.raises(fnad.errors.ConcretizationTypeError):
        fnad.jit(lambda x, i: fnp.delete(x, i, 0))(X, V)


def test_distinct_traced_places_can_be_deleted():
    delete = fnad.jit(lambda x, i: fnp.delete(x, i, -1, assume_unique_indices=True))
    x = np.arange(10.0).reshape(2, 5)
    for places in ([3, 0], [-1, 2, 1], [], [4]):
        places = np.array(places, np.int64)
        same(delete(x, places), np.delete(x, places, -1))
    same(fnad.vmap(delete, (None, 0))(x, np.array([[0, 1]]))[0], x[:, 2:])


@pytest.mark.parametrize(
    "obj, values, axis",
    [
        ([1], [7.0, 8.0], None),
        ([1], [[1.0, 2, 3], [4, 5, 6]], 0),
        ([1], [[1.0, 2], [4, 5]], 1),
        (1, [[1.0, 2], [4, 5]], 1),
        ([-1], 9.0, 0),
        ([2, 0, -1], [[1.0], [2]], 1),
        ([2, 2, 0], [1.0, 2, 3], 1),
        (-2, 9.0, 1),
        ([], np.zeros((2, 0)), 1),
    ],
    ids=str,
)
def test_insert_at_places_that_may_be_traced(obj, values, axis):
    x, obj = np.arange(6.0).reshape(2, 3), np.asarray(obj, np.int64)
    expected = np.insert(x, obj, values, axis)
    same(fnp.insert(x, obj, values, axis), expected)
    same(fnad.jit(lambda x, obj: fnp.insert(x, obj, values, axis))(x, obj), expected)


def test_trim_zeros():
    x = np.array([0, 0, 1, 0, 2, 0])
    for trim in ("fb", "f", "b"):
        same(fnp.trim_zeros(x, trim), np.trim_zeros(x, trim))
    same(fnp.trim_zeros(x[:2]), np.trim_zeros(x[:2]))
    wide = np.zeros((4, 5))
    wide[1, 2:4] = wide[2, 2] = 7
    for axis in (None, 0, -1, (0, 1)):
        for trim in ("fb", "f", "b"):
            same(fnp.trim_zeros(wide, trim, axis), np.trim_zeros(wide, trim, axis))


def test_piecewise():
    cases = [
        ([X < 0, X > 3], [lambda x: -x, 5]),
        ([X < 0, X > 3], [lambda x: -x, 5, lambda x: x / 2]),
        (np.stack([X < 0, X > 3]), [lambda x: x * x, 1]),
        ([X < 5, X > 3], [1, 2]),
    ]
    for conditions, functions in cases:
        expected = np.piecewise(X, conditions, functions)
        same(fnp.piecewise(X, conditions, functions), expected)
    same(fnp.piecewise(X[0], X[0] < 0, [1, 2]), np.piecewise(X[0], X[0] < 0, [1, 2]))
    bent = lambda x: fnp.piecewise(x, [x < 0, x > 3], [lambda x, k: k * x, lambda x, k: x**k], 3)
    same(fnad.jit(bent)(X), np.piecewise(X, [X < 0, X > 3], [lambda x: 3 * x, lambda x: x**3]))
    check_grads(bent, (X + 0.5,))
    with pytest.raises(ValueError, match="3 functions for 1 conditions"):
        fnp.piecewise(X, [X > 0], [1, 2, 3])


def test_gradients():
    w = np.linspace(1.0, 2.0, 3)
    check_grads(lambda x, v: fnp.insert(x, 1, v, 1), (X, w))
    check_grads(lambda x, v: fnp.fill_diagonal(x, v, inplace=False), (X, w))
    check_grads(lambda x, v: fnp.place(x, X > 1, v, inplace=False), (X, w))
    check_grads(lambda x, v: fnp.put(x, [3, 1], v, inplace=False), (X, w))


@pytest.mark.parametrize("function, error, words", [
    (lambda: fnp.place(X, X[0] > 0, V, inplace=False), ValueError, "mask of 4 elements"),
    (lambda: fnp.put(X, [12], V, inplace=False), IndexError, "out of bounds for 12"),
    (lambda: fnp.fill_diagonal(V, 0, inplace=False), ValueError, "takes a matrix"),
    (lambda: fnp.insert(X, 13, 0), IndexError, "axis of length 12"),
])  # fmt: skip
def test_errors(function, error, words):
    with pytest.raises(error, match=words):
        function()
