"""Looking for errors: functions that are not compiled, and the places where NaNs arise."""

import threading

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp

X = np.array([1.0, 2.0])


def counted():
    """A compiled function and the list of what it was run or traced with."""
    seen = []

    @fnad.jit
    def double(x):
        seen.append(x)
        return 2 * x

    for _ in range(4):  # native from the third call on
        double(X)
    return double, seen


def test_uncompiled_functions_are_pythons():
    double, seen = counted()
    assert len(seen) == 1
    with fnad.disable_jit():
        with fnad.disable_jit(), fnad.disable_jit(False):
            np.testing.assert_array_equal(double(X), 2 * X)
        assert seen[1] is X
        np.testing.assert_array_equal(fnad.grad(lambda x: fnp.sum(double(x) ** 2))(X), 8 * X)
        thread = threading.Thread(target=double, args=(X,))
        thread.start()
        thread.join()
    double(X)
    assert len(seen) == 3


def test_blocks_end_with_errors():
    double, seen = counted()
    with pytest.raises(KeyError), fnad.debug_nans():
        raise KeyError
    double(X)
    assert len(seen) == 1
    assert np.isnan(fnp.sqrt(np.float64(-1.0)))


@pytest.mark.parametrize(
    "transform", [lambda f: f, fnad.jit, fnad.grad, fnad.vmap, lambda f: fnad.jit(fnad.grad(f))]
)
def test_nans_are_errors_where_they_arise(transform):
    def f(x):
        return fnp.sum(fnp.sqrt(x - 1.5))

    function = transform(f)
    with fnad.debug_nans():
        assert np.isfinite(function(X + 1)).all()
        with pytest.raises(FloatingPointError, match="sqrt made a NaN of"):
            function(X)
        # One that comes in is not made here.
        assert np.isnan(function(np.array([np.nan, 3.0]))).any()
    assert np.isnan(function(X)).any()


def test_nans_of_derivatives_name_the_line():
    with fnad.debug_nans(), pytest.raises(FloatingPointError) as caught:
        fnad.grad(lambda x: fnp.sqrt(x * x))(0.0)
    assert "test_checks.py" in caught.value.__notes__[0]


def test_arrays_of_the_host_are_ready():
    tree = {"a": X, "b": [1.0]}
    assert fnad.block_until_ready(tree) is tree
