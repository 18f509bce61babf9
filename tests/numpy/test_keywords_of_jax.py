"""Keywords that jax.numpy has beside NumPy's, and NumPy's that say how arrays lie in memory."""

import inspect

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp


@pytest.mark.parametrize("dtype", ["i1", "u2", "i8", "f4", "c8"])
def test_sums_in_the_dtype_of_the_elements(dtype):
    x = np.array([[100, 100], [3, 2]], dtype)
    for function, ufunc in ((fnp.sum, np.add), (fnp.prod, np.multiply)):
        f = lambda x, function=function: function(x, axis=0, promote_integers=False)
        wanted = ufunc.reduce(x, axis=0, dtype=dtype)
        for got in (f(x), fnad.jit(f)(x)):
            assert got.dtype == dtype
            np.testing.assert_array_equal(got, wanted)
    assert fnp.sum(x > 1, promote_integers=False) == 4
    assert fnp.sum(x.real, dtype="f8", promote_integers=False).dtype == np.float64


@pytest.mark.parametrize("method", ["default", "scan", "scan_unrolled", "sort", "compare_all"])
def test_methods_of_searches_find_the_same(method):
    edges, x = np.array([0.0, 1.0, 1.0, 4.0]), np.array([-1.0, 1.0, 2.0, np.nan])
    found = fnp.searchsorted(edges, x, "right", method=method)
    np.testing.assert_array_equal(found, np.searchsorted(edges, x, "right"))
    np.testing.assert_array_equal(fnp.digitize(x, edges, method=method), np.digitize(x, edges))


def test_an_unknown_method():
    with pytest.raises(ValueError, match=r"method must be one of .*'scan'.*, got 'hash'"):
        fnp.searchsorted(np.arange(3), 1, method="hash")


def test_put_along_axis_clips_or_drops():
    x, index = np.zeros((2, 3)), np.array([[5], [1]])
    put = lambda x, mode: fnp.put_along_axis(x, index, 7.0, 1, inplace=False, mode=mode)
    for mode in (None, "drop"):
        np.testing.assert_array_equal(put(x, mode), [[0, 0, 0], [0, 7, 0]])
    np.testing.assert_array_equal(put(x, "clip"), [[0, 0, 7], [0, 7, 0]])
    np.testing.assert_array_equal(fnad.jit(lambda x: put(x, "clip"))(x), put(x, "clip"))
    flat = fnp.put_along_axis(x, np.array([9]), 7.0, None, inplace=False, mode="clip")
    assert flat[1, 2] == 7


def test_weights_of_histogram_bin_edges():
    x = np.array([0.0, 1.0, 4.0])
    found = fnp.histogram_bin_edges(x, 3, weights=np.ones(3))
    np.testing.assert_array_equal(found, np.histogram_bin_edges(x, 3))
    with pytest.raises(ValueError, match=r"weights of shape \(2,\) for numbers of shape \(3,\)"):
        fnp.histogram_bin_edges(x, 3, weights=np.ones(2))


def test_orders_of_arrays():
    x = np.arange(6.0).reshape(2, 3)
    assert fnp.array(x, order="F").flags.f_contiguous
    assert fnp.asarray(x, order="F").flags.f_contiguous
    assert fnp.asarray(x, None, "C") is x
    assert fnp.copy(x.T, "C").flags.c_contiguous and fnp.copy(x.T).flags.f_contiguous
    moved = fnad.jit(lambda x: fnp.array(fnp.asarray(x, order="F"), order="C") + fnp.copy(x, "F"))
    np.testing.assert_array_equal(moved(x), 2 * x)
    for function in (fnp.array, fnp.asarray, fnp.copy):
        with pytest.raises(ValueError, match="order must be 'K', 'A', 'C' or 'F', got 'Z'"):
            function(x, order="Z")


SUMS = "sum prod mean var std nansum nanprod nanmean nanvar nanstd"
EXTREMES = "max min any all ptp argmax argmin nanmax nanmin nanargmax nanargmin median"


@pytest.mark.parametrize("name", f"{SUMS} {EXTREMES}".split())
def test_out_stands_where_numpy_and_jax_have_it(name):
    x = np.arange(6.0).reshape(2, 3)
    theirs = inspect.signature(getattr(np, name)).parameters
    place = list(theirs).index("out")
    args = (0, *[None if p == "dtype" else theirs[p].default for p in list(theirs)[2:place]])
    assert len(args) == place - 1
    np.testing.assert_array_equal(getattr(fnp, name)(x, *args, None), getattr(np, name)(x, 0))
    with pytest.raises(TypeError, match=rf"{name}: out= would change .* x = fnp\.{name}"):
        getattr(fnp, name)(x, *args, np.zeros(3))


def test_arguments_behind_out():
    x = np.arange(6.0).reshape(2, 3)
    kept = fnad.jit(lambda x: (x.sum(0, None, None, True), fnp.max(x, 0, None, True)))(x)
    np.testing.assert_array_equal(kept[0], x.sum(0, None, None, True), strict=True)
    np.testing.assert_array_equal(kept[1], x.max(0, None, True), strict=True)
    np.testing.assert_array_equal(fnp.var(x, 0, None, None, 1), np.var(x, 0, None, None, 1))
    np.testing.assert_array_equal(fnp.quantile(x, 0.3, 0, None, True), np.quantile(x, 0.3, 0))
    np.testing.assert_array_equal(fnp.take(x, 9, 1, None, "clip"), x[:, 2])
    np.testing.assert_array_equal(fnp.add.reduce(x, 1, None, None, True), x.sum(1, keepdims=True))


PRODUCTS = {
    "dot": lambda x, **k: fnp.dot(x, x.T, **k),
    "vdot": lambda x, **k: fnp.vdot(x, x, **k),
    "inner": lambda x, **k: fnp.inner(x, x, **k),
    "matmul": lambda x, **k: fnp.matmul(x[None], x.T, **k),
    "vecdot": lambda x, **k: fnp.vecdot(x, x, **k),
    "tensordot": lambda x, **k: fnp.tensordot(x, x, 2, **k),
    "einsum": lambda x, **k: fnp.einsum("ij,kj", x, x, **k),
    "convolve": lambda x, **k: fnp.convolve(x[0], x[1], **k),
    "correlate": lambda x, **k: fnp.correlate(x[0], x[1], **k),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_of_another_dtype(name):
    product = PRODUCTS[name]
    x = np.array([[100, 90, 80], [70, 60, 50]], np.int8)
    for dtype in (np.int32, np.float32):
        f = lambda x, dtype=dtype: product(x, precision="highest", preferred_element_type=dtype)
        for got in (f(x), fnad.jit(f)(x)):
            np.testing.assert_array_equal(got, product(x.astype(dtype)), strict=True)
    assert product(x.astype("f8"), preferred_element_type="f4").dtype == np.float32
    product(x, precision=(fnad.lax.Precision.HIGH, None))
    with pytest.raises(ValueError, match=rf"{name}: precision must be .*'highest'.* got 'hihgest'"):
        product(x, precision="hihgest")
