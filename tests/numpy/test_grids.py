"""Indices of grids against NumPy, eagerly and traced."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp

X = np.arange(12.0).reshape(3, 4)
R, J = np.array([0, 2, 1]), np.array([3, 0, 2])


def same(actual, expected):
    for x, y in zip(fnad.tree.leaves(actual), fnad.tree.leaves(expected), strict=True):
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        np.testing.assert_array_equal(x, y)


CALLS = [
    ("ix_", (R, J)), ("ix_", (R, J > 1)), ("ix_", ([],)), ("diag_indices_from", (np.eye(3),)),
    ("tril_indices_from", (X, 1)), ("triu_indices_from", (X, -1)), ("diagflat", (X, 1)),
    ("unravel_index", (R, (2, 3))), ("unravel_index", (J[0], (2, 3))), ("unravel_index", (R, 7)),
    ("unravel_index", (R, (2, 3), "F")),
    ("ravel_multi_index", ((R, J), (3, 4))), ("ravel_multi_index", ((R, J), (3, 4), "raise", "F")),
    ("ravel_multi_index", ((R - 5, J), (3, 2), ("wrap", "clip"))),
    ("choose", (R, [X[0, :3], 7, R])),
    ("choose", (R > 1, [X[:, :3], 2])),
    ("mask_indices", (3, np.tril, 1)),
]  # fmt: skip


@pytest.mark.parametrize("name, args", CALLS, ids=[name for name, _ in CALLS])
def test_against_numpy(name, args):
    same(getattr(fnp, name)(*args), getattr(np, name)(*args))


@pytest.mark.parametrize("mode", ["clip", "wrap"])
def test_choices_out_of_bounds(mode):
    index, choices = np.array([-5, 4, 1]), [R, J]
    same(fnp.choose(index, choices, mode=mode), np.choose(index, choices, mode=mode))


def test_traced():
    same(fnad.jit(lambda x, i, j: x[fnp.ix_(i, j)])(X, R, J), X[np.ix_(R, J)])
    same(fnad.jit(lambda i: fnp.unravel_index(i, (3, 4)))(R), np.unravel_index(R, (3, 4)))
    flat = fnad.jit(lambda i, j: fnp.ravel_multi_index((i, j), (3, 4), "wrap"))
    same(flat(R, J), np.ravel_multi_index((R, J), (3, 4)))
    chosen = fnad.jit(lambda i, x: fnp.choose(i, [x, 2 * x, -x], mode="clip"))
    same(chosen(R, X[0, :3]), np.choose(R, [X[0, :3], 2 * X[0, :3], -X[0, :3]]))
    same(
        fnad.grad(lambda x: fnp.choose(R, [x, 2 * x, -x]).sum())(X[0, :3]),
        np.array([1.0, -1.0, 2.0]),
    )
    same(fnad.vmap(lambda i: fnp.unravel_index(i, (3, 4)))(R), np.unravel_index(R, (3, 4)))
    same(fnad.jit(lambda x: x[fnp.tril_indices_from(x)])(X), X[np.tril_indices(3, 0, 4)])
    same(fnad.jit(lambda i: fnp.unravel_index(i, (3, 4)))(R + 99), (R * 0 + 2, R * 0 + 3))


def test_fromfunction():
    function = lambda i, j: 10 * i + j
    same(fnp.fromfunction(function, (2, 3)), np.fromfunction(function, (2, 3)))
    expected = np.fromfunction(function, (2, 3), dtype=int)
    same(fnad.jit(lambda: fnp.fromfunction(function, (2, 3), dtype=int))(), expected)


@pytest.mark.parametrize(
    "function, error, words",
    [
        (lambda: fnp.ix_(X), ValueError, "index 0 must have one axis"),
        (lambda: fnp.diag_indices_from(X), ValueError, r"got shape \(3, 4\)"),
        (lambda: fnp.tril_indices_from(R), ValueError, "takes a matrix"),
        (lambda: fnp.unravel_index(12, (3, 4)), ValueError, "out of bounds for 12"),
        (lambda: fnp.unravel_index(1, (3, 4), "K"), ValueError, "order must be 'C' or 'F'"),
        (lambda: fnp.unravel_index(1.0, (3, 4)), TypeError, "must be integers"),
        (lambda: fnp.ravel_multi_index((R, J), (3,)), ValueError, "for 1 axes"),
        (lambda: fnp.ravel_multi_index((R, J), (3, 3)), ValueError, "axis of length 3"),
        (lambda: fnp.choose(R, [1, 2]), ValueError, "axis of length 2"),
        (lambda: fnad.jit(lambda i: fnp.choose(i, [1, 2]))(R), TypeError, "mode='clip'"),
    ],
)  # fmt: skip
def test_errors(function, error, words):
    with pytest.raises(error, match=words):
        function()
