"""Counts, bins and histograms against NumPy."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads
from tests.numpy.helpers import assert_same

RANDOM = np.random.default_rng(0)
F = RANDOM.normal(size=(4, 25))
S = F.astype(np.float32)
K = RANDOM.integers(0, 9, 30)
W = RANDOM.normal(size=30)
X = RANDOM.normal(size=30)
EDGES = np.array([-1.5, -1.0, 0.0, 0.25, 2.0])


def assert_all_same(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        assert_same(a, b)


@pytest.mark.parametrize("x", [K, K.astype(np.uint8), K[:0], K > 4], ids=lambda x: x.dtype.name)
def test_bincount(x):
    assert_same(fnp.bincount(x), np.bincount(x))
    assert_same(fnp.bincount(x, minlength=12), np.bincount(x, minlength=12))
    if x.size:
        weights = W.astype(np.float32)
        assert_same(fnp.bincount(x, weights), np.bincount(x, weights))
    compiled = fnad.jit(lambda x: fnp.bincount(x, length=5))
    assert_same(compiled(x), np.bincount(x, minlength=9)[:5])


def test_bincount_derivatives_and_batches():
    check_grads(lambda w: fnp.bincount(K, w, length=7), (W,), order=1)
    rows = K.reshape(3, 10)
    counted = fnad.jit(fnad.vmap(lambda x: fnp.bincount(x, length=9)))(rows)
    np.testing.assert_array_equal(counted, [np.bincount(x, minlength=9) for x in rows])


def test_bincount_of_unknown_length_names_the_way_out():
    with pytest.raises(TypeError, match="pass length="):
        fnad.jit(fnp.bincount)(K)
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        fnp.bincount(np.array([3, -1]))
    with pytest.raises(TypeError, match="must hold integers, got float64"):
        fnp.bincount(W)
    with pytest.raises(ValueError, match="one axis"):
        fnp.bincount(K.reshape(3, 10))


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("edges", [EDGES, EDGES[::-1], EDGES[:1], EDGES[:0], [1, 1, 1]], ids=len)
def test_digitize(edges, right):
    x = np.concatenate([F.ravel(), EDGES, [np.inf, -np.inf]])
    expected = np.digitize(x, edges, right)
    assert_same(fnp.digitize(x, edges, right), expected)
    compiled = fnad.jit(lambda x, edges: fnp.digitize(x, edges, right))
    assert_same(compiled(x, np.asarray(edges)), expected)


def test_digitize_needs_order():
    with pytest.raises(ValueError, match="sort them"):
        fnp.digitize(F, [1.0, 0.0, 2.0])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 7, 8, 9, 100])
def test_searchsorted(length, dtype, side):
    a = np.sort(RANDOM.integers(0, 20, length)).astype(dtype)
    v = RANDOM.integers(-3, 24, (5, 6)).astype(dtype)
    if dtype != np.int32:
        a[length - length // 3 :] = np.nan
        v[0, :3] = np.nan, np.inf, -np.inf
    expected = np.searchsorted(a, v, side)
    assert_same(fnp.searchsorted(a, v, side), expected)
    assert_same(fnad.jit(lambda a, v: fnp.searchsorted(a, v, side))(a, v), expected)


def test_searchsorted_with_a_sorter_and_batched():
    order = np.argsort(W)
    assert_same(fnp.searchsorted(W, F, sorter=order), np.searchsorted(W, F, sorter=order))
    rows = np.sort(F, 1)
    found = fnad.jit(fnad.vmap(fnp.searchsorted))(rows, -F)
    np.testing.assert_array_equal(found, [np.searchsorted(a, v) for a, v in zip(rows, -F)])


@pytest.mark.parametrize("x", [F, S, K, K[:0], np.ones(3), F > 0], ids=lambda x: x.dtype.name)
@pytest.mark.parametrize(
    "options",
    [{}, {"bins": 3}, {"bins": 4, "range": (-0.5, 1)}, {"bins": EDGES}, {"bins": [0, 1, 3, 3]}],
    ids=str,
)
def test_histogram(x, options):
    expected = np.histogram(x.astype(int) if x.dtype == bool else x, **options)
    for actual in [
        fnp.histogram(x, **options),
        fnad.jit(lambda x: fnp.histogram(x, **options))(x),
    ]:
        np.testing.assert_array_equal(actual[0], expected[0])
        assert actual[0].dtype == np.int64
        assert_same(actual[1], expected[1])
    assert_same(
        fnp.histogram_bin_edges(x, options.get("bins", 10), options.get("range")), expected[1]
    )


def test_edges_of_bfloat16_are_the_same_compiled():
    x = np.array([0.1, 0.7, 1.3, 2.9, 3.1], fnp.bfloat16)
    edges = fnp.histogram_bin_edges(x, 7)
    assert edges.dtype == fnp.bfloat16
    np.testing.assert_array_equal(edges, fnad.jit(lambda x: fnp.histogram_bin_edges(x, 7))(x))
    exact = np.histogram_bin_edges(x.astype(float), 7)
    np.testing.assert_allclose(edges.astype(float), exact, rtol=2**-7)


def test_dtypes_of_densities_and_edges_are_numpys():
    x = np.array([0.5, 1.0, 2.5], np.float32)
    options = {"bins": 2, "range": (0.0, 4.0)}
    weighted = {**options, "weights": x, "density": True}
    assert_all_same(fnp.histogram(x, **weighted), np.histogram(x, **weighted))
    for limits in (None, [(0, 4), (0, 4)]):
        got = fnad.jit(lambda x, limits=limits: fnp.histogram2d(x, x, 2, limits))(x)
        assert_all_same(got, np.histogram2d(x, x, 2, limits))


def test_histogram_with_weights_and_density():
    for options in [{"weights": W}, {"density": True}, {"weights": K, "density": True}]:
        expected = np.histogram(X, EDGES, **options)
        assert_all_same(fnp.histogram(X, EDGES, **options), expected)


def test_derivatives_of_histograms_are_those_of_weights_and_edges():
    check_grads(lambda w: fnp.histogram(F, EDGES, weights=w, density=True)[0], (F**2,), order=1)
    slope = fnad.grad(lambda x: fnp.sum(fnp.histogram(x, 3)[1]))(W)
    expected = np.zeros(30)
    expected[[W.argmin(), W.argmax()]] = 2
    np.testing.assert_allclose(slope, expected)


def test_histograms_of_points():
    x, y = F[0], F[1]
    for options in [{}, {"bins": 3}, {"bins": [EDGES, 4]}, {"range": [(-1, 1), (0, 2)]}]:
        for more in [{}, {"weights": F[2]}, {"density": True}]:
            expected = np.histogram2d(x, y, **options, **more)
            assert_all_same(fnp.histogram2d(x, y, **options, **more), expected)
            compiled = fnad.jit(lambda x, y: fnp.histogram2d(x, y, **options, **more))  # noqa: B023
            assert_all_same(compiled(x, y), expected)
    for points, bins in [(F[:3].T, (2, 3, 4)), (F[0], 3)]:
        expected, edges = np.histogramdd(points, bins)
        actual, actual_edges = fnp.histogramdd(points, bins)
        assert_same(actual, expected)
        assert_all_same(actual_edges, edges)


def test_what_cannot_be_binned():
    with pytest.raises(ValueError, match="bins='auto' depends on values"):
        fnp.histogram(F, "auto")
    with pytest.raises(ValueError, match="edges must ascend"):
        fnp.histogram(F, [1.0, 0.0])
    with pytest.raises(ValueError, match="range must be finite"):
        fnp.histogram(F, 3, (1, 0))
    with pytest.raises(ValueError, match="one each"):
        fnp.histogram(F, 3, weights=W)
    with pytest.raises(ValueError, match="1 ranges for 2 axes"):
        fnp.histogram2d(F[0], F[1], range=[(0, 1)])
