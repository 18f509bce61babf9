"""Broadcasting, tiling, stacking and choosing against NumPy and JAX."""

import numpy as np
import pytest

import fnad
from fnad import lax
from fnad.testing import check_grads

X = np.arange(24.0).reshape(2, 3, 4)
same = np.testing.assert_array_equal


def everywhere(f, x, want):
    """Check a function eagerly, compiled, batched and differentiated."""
    same(f(x), want)
    same(fnad.jit(f)(x), want)
    same(fnad.jit(fnad.vmap(f))(np.stack([x, 2 * x])), np.stack([want, f(2 * x)]))
    check_grads(f, (x,), order=1)


def test_broadcasting():
    assert lax.broadcast_shapes((2, 1), (3,), ()) == (2, 3)
    with pytest.raises(ValueError, match="broadcast"):
        lax.broadcast_shapes((2,), (3,))
    everywhere(lambda x: lax.broadcast_to_rank(x, 5), X, X[None, None])
    assert lax.broadcast_to_rank(X, 3) is X
    for x in (X[0], X[:, :1], X[:1, :, :1], X[0, 0, 0]):
        everywhere(lambda x: lax.broadcast_like(x, X), x, np.broadcast_to(x, X.shape))
    with pytest.raises(ValueError, match="has more axes than 2"):
        lax.broadcast_to_rank(X, 2)
    with pytest.raises(ValueError, match="does not broadcast"):
        lax.broadcast_like(X[:, :2], X)
    with pytest.raises(ValueError, match="does not broadcast"):
        lax.broadcast_like(X, X[0])


def test_tile():
    for reps in [(1, 1, 1), (2, 1, 3), (2, 1, 1, 2), (0, 1, 1)]:
        everywhere(lambda x, reps=reps: lax.tile(x, reps), X, np.tile(X, reps))
    with pytest.raises(ValueError, match="one natural number for each axis"):
        lax.tile(X, (2,))


def test_stack_and_unstack():
    for axis in (0, 1, -1):
        everywhere(lambda x, a=axis: lax.stack([x, x * 2], a), X, np.stack([X, X * 2], axis))
        for got, want in zip(lax.unstack(X, axis), np.moveaxis(X, axis, 0), strict=True):
            same(got, want)
    check_grads(lambda x: lax.unstack(x, 1)[2], (X,), order=1)
    with pytest.raises(ValueError, match="at least one array"):
        lax.stack([])


def test_empty_is_zero():
    x = fnad.jit(lambda: lax.empty((2, 3), np.int8))()
    assert x.dtype == np.int8 and not x.any()


@pytest.mark.parametrize("count", range(1, 7))
def test_select_n(count):
    cases = [np.random.default_rng(i).standard_normal(9) for i in range(count)]
    which = np.arange(9) % count
    for w in (which, which.astype(np.int32), which.astype(np.uint8)):
        everywhere(lambda x, w=w: lax.select_n(w, x, *cases[1:]), cases[0], np.choose(w, cases))
    same(lax.select_n(np.int64(count - 1), *cases), cases[-1])
    same(fnad.vmap(lax.select_n)(which, *cases), np.choose(which, cases))


def test_select_n_of_booleans_and_errors():
    same(lax.select_n(X > 5, X, -X), np.where(X > 5, -X, X))
    with pytest.raises(TypeError, match="at most two cases"):
        lax.select_n(X > 5, X, X, X)
    with pytest.raises(TypeError, match="must be integers"):
        lax.select_n(X, X, X)


def test_index_take():
    i, j = np.array([0, 1, -1, 5]), np.array([3, -4, 2, 0], np.int32)
    everywhere(lambda x: lax.index_take(x, [i], (1,)), X, X[:, i % 3].swapaxes(0, 1))
    everywhere(lambda x: lax.index_take(x, [i, j], (0, 2)), X, X[i % 2, :, j % 4])
    jax = pytest.importorskip("jax")
    pos = [np.abs(i).astype(np.int32) % 2, np.abs(j) % 4]
    want = jax.lax.index_take(jax.numpy.asarray(X), list(map(jax.numpy.asarray, pos)), (0, 2))
    same(lax.index_take(X, pos, (0, 2)), want)
    with pytest.raises(ValueError, match="2 index vectors for axes"):
        lax.index_take(X, [i, j], (0,))


def test_integers_keep_their_dtype():
    x = np.arange(6, dtype=np.int16).reshape(2, 3)
    functions = [
        lambda x: lax.tile(x, (2, 2)),
        lambda x: lax.stack([x, x]),
        lambda x: lax.unstack(x)[0],
        lambda x: lax.select_n(x > 2, x, -x),
        lambda x: lax.broadcast_like(x[:1], x),
    ]
    for f in functions:
        assert f(x).dtype == fnad.jit(f)(x).dtype == np.int16
