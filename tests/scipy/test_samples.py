"""Ranks, modes and errors of means against SciPy."""

import numpy as np
import pytest
import scipy.stats

import fnad
from fnad.scipy import stats
from fnad.testing import check_grads

rng = np.random.default_rng(0)
TIED = rng.integers(0, 4, (3, 7))
WITH_NAN = np.where(rng.random((3, 7)) < 0.2, np.nan, TIED)
SAMPLES = {
    "integers": TIED,
    "floats": TIED / 2,
    "single": TIED.astype(np.float32),
    "nan": WITH_NAN,
    "bool": TIED > 2,
    "one": TIED[:1, :1],
}


@pytest.mark.parametrize("method", ["average", "min", "max", "dense", "ordinal"])
@pytest.mark.parametrize("name", SAMPLES)
def test_ranks(name, method):
    x = SAMPLES[name]
    for axis in (None, 0, -1):
        for policy in ("propagate", "omit"):
            wanted = scipy.stats.rankdata(x, method, axis=axis, nan_policy=policy)
            f = lambda x, a=axis, p=policy: stats.rankdata(x, method, axis=a, nan_policy=p)
            got = f(x)
            whole = x.dtype.kind in "ib" and method != "average"
            assert got.dtype == (np.int64 if whole else np.float64)
            np.testing.assert_array_equal(got, wanted)
        np.testing.assert_array_equal(fnad.jit(f)(x), got)


def test_ranks_of_nothing_and_of_batches():
    assert stats.rankdata(np.zeros(0)).shape == (0,)
    assert stats.rankdata(np.zeros((3, 0)), axis=1).shape == (3, 0)
    got = fnad.jit(fnad.vmap(stats.rankdata))(TIED)
    np.testing.assert_array_equal(got, scipy.stats.rankdata(TIED, axis=1))


@pytest.mark.parametrize("name", SAMPLES)
def test_modes(name):
    x = SAMPLES[name]
    for axis in (None, 0, -1):
        for policy in ("propagate", "omit"):
            for keepdims in (False, True):
                options = {"axis": axis, "nan_policy": policy, "keepdims": keepdims}
                with np.errstate(all="ignore"):
                    wanted = scipy.stats.mode(x.astype(float), **options)
                got = stats.mode(x, **options)
                assert got.mode.dtype == x.dtype and got.count.dtype == np.int64
                np.testing.assert_array_equal(got.mode, wanted.mode)
                np.testing.assert_array_equal(got.count, wanted.count)
        compiled = fnad.jit(lambda x, o=options: stats.mode(x, **o))(x)
        np.testing.assert_array_equal(compiled.mode, got.mode)


def test_mode_of_nothing():
    found = stats.mode(np.zeros((0, 2), np.float32))
    assert np.isnan(found.mode).all() and found.mode.dtype == np.float32
    assert found.count.tolist() == [0, 0]
    assert np.isnan(stats.mode(np.array([np.nan]), nan_policy="omit").mode)


def test_errors_of_means():
    x = rng.standard_normal((4, 5))
    for axis in (None, 0, 1):
        for ddof in (0, 1):
            wanted = scipy.stats.sem(x, axis=axis, ddof=ddof)
            got = stats.sem(x, axis, ddof)
            np.testing.assert_allclose(got, wanted, rtol=1e-14)
    assert np.shape(stats.sem(x, 0, keepdims=True)) == (1, 5)
    assert stats.sem(x.astype(np.float32)).dtype == np.float32
    holes = np.where(x > 1, np.nan, x)
    wanted = scipy.stats.sem(holes, axis=1, nan_policy="omit")
    np.testing.assert_allclose(stats.sem(holes, 1, nan_policy="omit"), wanted, rtol=1e-14)
    np.testing.assert_array_equal(np.isnan(stats.sem(holes, 1)), np.isnan(holes).any(1))
    check_grads(lambda x: stats.sem(x, 1), (x,), order=2)
    np.testing.assert_allclose(fnad.jit(stats.sem)(x), scipy.stats.sem(x), rtol=1e-14)


def test_options_that_are_not_there():
    with pytest.raises(ValueError, match="nan_policy must be 'propagate' or 'omit', got 'raise'"):
        stats.sem(TIED, nan_policy="raise")
    with pytest.raises(ValueError, match="method must be one of"):
        stats.rankdata(TIED, "best")
    with pytest.raises(ValueError, match="axis 2 is out of range"):
        stats.rankdata(TIED, axis=2)
