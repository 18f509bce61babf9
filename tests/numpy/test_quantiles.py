"""Quantiles against NumPy (values, dtypes, shapes) and JAX (gradients)."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads
from tests.numpy.helpers import assert_same, quiet, run_traced

RANDOM = np.random.default_rng(0)
F = RANDOM.normal(size=(3, 7, 2))
K = RANDOM.integers(0, 9, (4, 6))
NAN = np.where(RANDOM.random((4, 6)) < 0.3, np.nan, RANDOM.normal(size=(4, 6)))
NAN[2] = np.nan
METHODS = ["linear", "lower", "higher", "nearest", "midpoint", "inverted_cdf", "hazen", "weibull"]
METHODS += ["averaged_inverted_cdf", "interpolated_inverted_cdf", "closest_observation"]
METHODS += ["median_unbiased", "normal_unbiased"]


@pytest.mark.parametrize("q", [0.3, 0.5, 0.0, 1.0, [0.0, 0.25, 1.0], [[0.1, 0.6]]], ids=str)
@pytest.mark.parametrize("x", [F, F.astype(np.float32), K, NAN], ids=lambda x: x.dtype.name)
@pytest.mark.parametrize("method", METHODS)
def test_quantile(method, x, q):
    for name in ["quantile", "nanquantile"]:
        # NumPy misplaces the axes of nanquantile where q has two.
        several = (0, -1) if np.ndim(q) < 2 else 0
        for options in [{}, {"axis": 1}, {"axis": several, "keepdims": np.ndim(q) < 2}]:
            expected = quiet(getattr(np, name), x, q, method=method, **options)

            def function(a, name=name, options=options):
                return getattr(fnp, name)(a, q, method=method, **options)

            for actual in [function(x), run_traced(function, x)]:
                assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
                tolerance = 1e-12 if x.dtype != np.float32 else 1e-6
                np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16"])
@pytest.mark.parametrize("q", [np.float32(0.5), np.float16([0.25, 1])], ids=["f4", "f2"])
def test_dtypes_of_quantiles_at_narrow_fractions(dtype, q):
    x = np.array([3, 0, 1, 1]).astype(dtype)
    for method in ["nearest"] if dtype == "bool" else ["linear", "nearest"]:
        for got in (
            fnp.quantile(x, q, method=method),
            fnad.jit(lambda x, method=method: fnp.quantile(x, q, method=method))(x),
        ):
            assert_same(got, np.quantile(x, q, method=method))


@pytest.mark.parametrize("name", ["median", "nanmedian"])
@pytest.mark.parametrize("x", [F, F.astype(np.float16), K, NAN], ids=lambda x: x.dtype.name)
def test_median(name, x):
    for options in [{}, {"axis": 0}, {"axis": (0, 1), "keepdims": True}]:
        expected = quiet(getattr(np, name), x, **options)
        assert_same(getattr(fnp, name)(x, **options), expected)


@pytest.mark.parametrize("name", ["percentile", "nanpercentile"])
def test_percentile(name):
    expected = quiet(getattr(np, name), NAN, [10, 50], axis=1)
    compiled = fnad.jit(lambda x: getattr(fnp, name)(x, [10, 50], axis=1))
    np.testing.assert_allclose(compiled(NAN), expected, rtol=1e-14)


def test_infinities_between_which_nothing_lies():
    x = np.array([-np.inf, 1.0, 2.0, np.inf, np.inf])
    np.testing.assert_array_equal(fnp.quantile(x, [0.25, 0.5, 0.9]), [1.0, 2.0, np.inf])


def test_no_elements_have_nan_as_quantile():
    assert np.isnan(fnp.quantile(np.zeros((2, 0)), [0.5, 0.1], axis=1)).shape == (2, 2)
    assert np.isnan(fnp.nanmedian(np.zeros(0)))


@pytest.mark.parametrize("method", ["linear", "lower", "midpoint", "hazen"])
def test_gradients(method):
    check_grads(lambda x: fnp.quantile(x, [0.3, 0.8], axis=1, method=method), (F,), order=1)
    numbers = RANDOM.normal(size=(4, 6))
    full = np.isnan(NAN)
    full[2] = False
    check_grads(
        lambda x: fnp.nanquantile(fnp.where(full, np.nan, x), 0.4, axis=1, method=method),
        (numbers,),
        order=1,
    )


def test_gradients_are_those_of_jax():
    jax = pytest.importorskip("jax")
    x = np.array([3.0, 1.0, 1.0, 2.0, 7.0])
    with jax.enable_x64(True):
        expected = jax.grad(jax.numpy.quantile, argnums=(0, 1))(x, 0.4)
    actual = fnad.jit(fnad.grad(fnp.quantile, argnums=(0, 1)))(x, 0.4)
    for a, b in zip(actual, expected):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_vmap_over_elements_and_fractions():
    q = np.array([0.1, 0.5, 0.9])
    actual = fnad.jit(fnad.vmap(fnp.nanquantile))(F.reshape(3, -1), q)
    np.testing.assert_allclose(actual, [np.quantile(x, p) for x, p in zip(F, q)], rtol=1e-12)


def test_what_has_no_quantile():
    with pytest.raises(ValueError, match="between 0 and 1, got"):
        fnp.quantile(F, 1.5)
    with pytest.raises(ValueError, match="unknown method 'cubic'; choose one of"):
        fnp.percentile(F, 50, method="cubic")
    with pytest.raises(TypeError, match="complex numbers have no order"):
        fnp.quantile(F + 1j, 0.5)


WEIGHTED = np.array([[3.0, 1.0, 2.0, 2.0], [5.0, np.nan, 0.5, 7.0], [1.0, 8.0, -2.0, 4.0]])
HEAVY = np.array([[1.0, 2.0, 0.0, 0.5], [1.0, 2.0, 3.0, 0.0], [0.0, 1.0, 0.0, 2.0]])


@pytest.mark.parametrize("name", ["quantile", "percentile", "nanquantile", "nanpercentile"])
@pytest.mark.parametrize(
    ("axis", "weights"), [(1, HEAVY), (None, HEAVY), (1, HEAVY[0]), (0, HEAVY)]
)
def test_weights(name, axis, weights):
    q = np.array([0.0, 0.1, 0.3, 0.5, 0.77, 1.0]) * (100 if "per" in name else 1)
    options = {"axis": axis, "method": "inverted_cdf"}
    # NumPy's nan-functions do not take the weights of an axis alone.
    wide = np.broadcast_to(weights, WEIGHTED.shape)
    expected = getattr(np, name)(WEIGHTED, q, weights=wide, **options)
    of_weights = lambda x, w: getattr(fnp, name)(x, q, weights=w, **options)
    assert_same(of_weights(WEIGHTED, weights), expected)
    assert_same(fnad.jit(of_weights)(WEIGHTED, weights), expected)


def test_weights_that_do_not_fit():
    with pytest.raises(ValueError, match="weights go with method='inverted_cdf' only"):
        fnp.quantile(WEIGHTED, 0.5, weights=HEAVY)
    with pytest.raises(ValueError, match=r"weights of shape \(4,\) fit neither the array"):
        fnp.quantile(WEIGHTED, 0.5, 0, method="inverted_cdf", weights=HEAVY[0])
    with pytest.raises(ValueError, match="must not be negative"):
        fnp.quantile(WEIGHTED, 0.5, method="inverted_cdf", weights=-HEAVY)


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.filterwarnings("ignore:All-NaN:RuntimeWarning")
def test_medians_of_complex_numbers(axis):
    z = np.array([[1 + 2j, 1 - 1j, 3j], [0.5, np.nan, complex(0, np.nan)], [2, 2j, 1 + 1j]])
    for name in ("median", "nanmedian"):
        want = getattr(np, name)(z, axis)
        f = lambda z, name=name: getattr(fnp, name)(z, axis)
        np.testing.assert_array_equal(f(z), want)
        np.testing.assert_array_equal(fnad.jit(f)(z), want)
    nothing = np.full((2, 3), np.nan + 0j)
    assert np.isnan(fnp.nanmedian(nothing, 1)).all()
