"""top_k and its kin, sort with several keys, against NumPy and JAX."""

import numpy as np
import pytest

import fnad
from fnad import lax
from fnad.testing import check_grads

X = np.random.default_rng(0).permutation(40).reshape(2, 5, 4) / 4


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
