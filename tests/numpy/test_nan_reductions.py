"""Reductions that leave NaN out against NumPy: eager, traced, compiled, differentiated."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads
from tests.numpy.helpers import assert_same, quiet, run_traced

NAMES = ["nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin"]
RUNNING = ["nancumsum", "nancumprod"]
ARGS = ["nanargmax", "nanargmin"]
RANDOM = np.random.default_rng(0)
N = np.where(RANDOM.random((3, 4, 5)) < 0.4, np.nan, RANDOM.normal(size=(3, 4, 5)))
N[0, :, 0] = np.arange(4)
K = RANDOM.integers(-4, 4, (3, 4))
ALL_NAN = np.array([[np.nan, np.nan], [1.0, np.nan]])


def check(name, x, **options):
    expected = quiet(getattr(np, name), x, **options)

    def function(a):
        return getattr(fnp, name)(a, **options)

    for actual in [function(x), run_traced(function, x), fnad.jit(function)(x)]:
        assert_same(actual, expected)


@pytest.mark.parametrize("x", [N, N.astype(np.float32), K], ids=lambda x: x.dtype.name)
@pytest.mark.parametrize("name", [*NAMES, *RUNNING, *ARGS])
def test_along_axes(name, x):
    for axis in [None, 1]:
        check(name, x if name not in ARGS else x[:1], axis=axis)
    if name in NAMES:
        check(name, x, axis=(0, -1), keepdims=True)


@pytest.mark.parametrize("name", NAMES)
def test_slices_of_nan_alone(name):
    check(name, ALL_NAN, axis=1)


@pytest.mark.parametrize("name", ["nanvar", "nanstd"])
def test_correction_is_ddof(name):
    x = np.array([[1.0, np.nan, 3.0], [2.0, 5.0, 9.0]])
    assert_same(getattr(fnp, name)(x, 1, correction=1), getattr(np, name)(x, 1, correction=1))
    with pytest.raises(ValueError, match="two names of one thing"):
        getattr(fnp, name)(x, ddof=1, correction=2)


@pytest.mark.parametrize("name", ["nanvar", "nanstd"])
def test_too_few_elements_for_ddof_have_no_variance(name):
    check(name, np.array([[1.0, np.nan, np.nan], [1.0, 2.0, np.nan]]), axis=1, ddof=1)


@pytest.mark.parametrize("name", ["nansum", "nanprod", "nanmean", "nanvar"])
def test_where(name):
    check(name, N, where=N[..., :1] > 0, axis=0)


@pytest.mark.parametrize("name", ["nanmax", "nanmin"])
def test_extrema_with_initial_and_where(name):
    check(name, ALL_NAN, axis=1, initial=2.0, where=np.array([True, False]))


def test_arguments_of_nan_alone():
    with pytest.raises(ValueError, match="All-NaN slice"):
        fnp.nanargmax(ALL_NAN, 1)
    np.testing.assert_array_equal(fnad.jit(lambda x: fnp.nanargmin(x, 1))(ALL_NAN), [-1, 0])


@pytest.mark.parametrize("name", [*NAMES, *RUNNING])
def test_gradients(name):
    missing = np.eye(4, 3, dtype=bool)
    check_grads(
        lambda x: getattr(fnp, name)(fnp.where(missing, np.nan, x), axis=0),
        (RANDOM.normal(size=(4, 3)),),
        order=1,
    )


@pytest.mark.parametrize("name", ["nansum", "nanmean", "nanvar", "nanmax", "nancumsum"])
def test_vmap(name):
    function = getattr(fnp, name)
    expected = np.stack([function(x) for x in N])
    np.testing.assert_allclose(fnad.jit(fnad.vmap(function))(N), expected, rtol=1e-13)
