"""ravel_pytree against what it undoes, and under transforms."""

import numpy as np
import pytest

import fnad
from fnad.flatten_util import ravel_pytree


def test_there_and_back():
    whole = {"a": np.arange(6.0).reshape(2, 3), "b": [np.float32(7.0), np.arange(2)], "c": None}
    flat, unravel = ravel_pytree(whole)
    np.testing.assert_array_equal(flat, [0, 1, 2, 3, 4, 5, 7, 0, 1])
    assert flat.dtype == np.float64
    again = unravel(flat)
    assert again["c"] is None
    for got, want in zip(fnad.tree.leaves(again), fnad.tree.leaves(whole), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


def test_one_dtype_is_kept():
    for dtype in (np.float32, np.int8, np.complex64):
        flat, unravel = ravel_pytree((np.ones(2, dtype), np.ones((), dtype)))
        assert flat.dtype == dtype and unravel(flat)[1].dtype == dtype
    flat, unravel = ravel_pytree(())
    assert flat.shape == (0,) and unravel(flat) == ()


def test_transforms():
    whole = {"w": np.array([[1.0, 2.0]]), "b": np.array(3.0)}

    def loss(flat):
        parts = unravel(flat)
        return np.sum(parts["w"] ** 2) * parts["b"]

    flat, unravel = ravel_pytree(whole)
    np.testing.assert_allclose(fnad.jit(fnad.grad(loss))(flat), [5.0, 6.0, 12.0])
    gradient = fnad.grad(lambda t: np.sum(ravel_pytree(t)[0] ** 2))(whole)
    np.testing.assert_allclose(gradient["w"], [[2.0, 4.0]])
    batches = fnad.vmap(unravel)(np.stack([flat, 2 * flat]))
    assert batches["w"].shape == (2, 1, 2)


def test_vectors_that_do_not_fit_are_refused():
    _, unravel = ravel_pytree((1.0, np.ones(2)))
    with pytest.raises(TypeError, match="takes vectors of 3 elements of dtype float64"):
        unravel(np.ones(4))
    with pytest.raises(TypeError, match="float64"):
        unravel(np.ones(3, np.float32))
