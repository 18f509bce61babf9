"""top_k and its kin, sort with several keys, against NumPy and JAX."""

import numpy as np
import pytest

import fnad
from fnad import lax
from fnad.testing import check_grads

X = np.random.default_rng(0).permutation(40).reshape(2, 5, 4) / 4


def _largest(x, k):
    """Descending and stable, NaN first: an ascending stable sort of what is reversed, reversed."""
    n = x.shape[-1]
    order = n - 1 - np.argsort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1][..., :k]
    return np.take_along_axis(x, order, -1), order


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.uint8, np.int64])
@pytest.mark.parametrize("shape, k", [((3, 500), 7), ((2, 2, 641), 10), ((130,), 2), ((9000,), 50)])
def test_few_of_many(shape, k, dtype):
    """Blocks whose maxima are too small are not looked at; equal elements keep their order."""
    rng = np.random.default_rng(4)
    x = rng.integers(0, 100, shape).astype(dtype)
    if x.dtype.kind == "f":
        x.flat[::37], x.flat[::53], x.flat[1::41] = np.nan, np.inf, -np.inf
    values, indices = _largest(x, k)
    for function in (lax.top_k, fnad.jit(lax.top_k, static_argnums=1)):
        for found, want in zip(function(x, k), (values, indices), strict=True):
            np.testing.assert_array_equal(found, want)
    along_first = lax.top_k(np.moveaxis(x, -1, 0), k, axis=0)[1]
    np.testing.assert_array_equal(np.moveaxis(along_first, 0, -1), indices)


def test_few_of_many_smallest_numbers_are_the_first():
    for x in (np.full(1000, -np.inf), np.full(1000, -128, np.int8)):
        assert lax.top_k(x, 3)[1].tolist() == [0, 1, 2]


def test_derivatives_of_few_of_many():
    x = np.random.default_rng(5).normal(size=(300, 2))
    weights = np.arange(1.0, 5.0)[:, None]
    found = fnad.grad(lambda x: (lax.top_k(x, 4, axis=0)[0] * weights).sum())(x)
    want = np.zeros_like(x)
    np.put_along_axis(want, np.argsort(-x, axis=0)[:4], np.broadcast_to(weights, (4, 2)), 0)
    np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("k", [0, 1, 2])
def test_extremes_match_numpy(axis, k):
    order = np.argsort(X, axis)
    smallest = np.take(order, range(k), axis)
    largest = np.take(np.flip(order, axis), range(k), axis)
    for f, want in [
        (lambda x: lax.approx_min_k(x, k, axis), smallest),
        (lambda x: lax.approx_max_k(x, k, axis), largest),
        (lambda x: lax.top_k(x, k, axis=axis), largest),
    ]:
        for g in (f, fnad.jit(f)):
            values, indices = g(X)
            np.testing.assert_array_equal(indices, want)
            np.testing.assert_array_equal(values, np.take_along_axis(X, want, axis))
        batched = fnad.vmap(f)(np.stack([X, X]))
        np.testing.assert_array_equal(batched[1][1], want)
        check_grads(lambda x, f=f: f(x)[0], (X,), order=1)


def test_ties_take_the_first_and_nan_is_largest():
    x = np.array([2.0, np.nan, 1.0, 2.0, 1.0])
    assert lax.approx_min_k(x, 3)[1].tolist() == [2, 4, 0]
    assert lax.top_k(x, 3)[1].tolist() == [1, 0, 3]
    low = np.array([0, -128, 127], np.int8)
    values, indices = lax.approx_min_k(low, 2)
    assert values.dtype == np.int8 and values.tolist() == [-128, 0] and indices.tolist() == [1, 0]


def test_too_many_are_refused():
    with pytest.raises(ValueError, match="approx_min_k: k must be from 0 to 4"):
        lax.approx_min_k(X, 5)


@pytest.mark.parametrize("num_keys", [1, 2, 3])
def test_several_keys_match_jax(num_keys):
    jl = pytest.importorskip("jax").lax
    rng = np.random.default_rng(num_keys)
    xs = [rng.integers(0, 3, (4, 30)).astype(d) for d in (np.int32, np.float32)]
    xs.append(rng.permutation(120).reshape(4, 30).astype(np.int32))
    for axis in (0, 1):
        want = jl.sort(tuple(xs), dimension=axis, num_keys=num_keys)
        f = lambda *xs, axis=axis: lax.sort(xs, axis, num_keys=num_keys)
        for got in (f(*xs), fnad.jit(f)(*xs)):
            for a, b in zip(got, want, strict=True):
                np.testing.assert_array_equal(a, b)
