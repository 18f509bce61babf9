"""Derivatives of maxima and minima where they are NaN: NaN, or shared, never a silent 0."""

import numpy as np
import pytest

import fnad.lax as lax
import fnad.numpy as fnp
from fnad.scipy.special import kl_div
from fnad.transforms.autodiff import grad, jvp
from fnad.transforms.jit import jit

NAN = np.nan
ROWS = np.array([[1.0, NAN, 3.0], [2.0, 5.0, 4.0], [7.0, 7.0, 1.0]])


def _gradients(loss, x):
    return grad(loss)(x), jit(grad(loss))(x)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_derivative_of_a_maximum_that_is_nan_is_nan_for_all_it_is_of(dtype):
    largest = [[NAN, NAN, NAN], [0, 1, 0], [0.5, 0.5, 0]]  # as JAX
    least = [[NAN, NAN, NAN], [1, 0, 0], [0, 0, 1]]
    for reduce, axes, expected in [
        (fnp.max, 1, largest),
        (fnp.min, 1, least),
        (fnp.max, 0, [[0, NAN, 0], [0, NAN, 1], [1, NAN, 0]]),
        (fnp.max, None, np.full((3, 3), NAN)),
        (lambda x, axes: fnp.linalg.norm(x, np.inf, axes), 1, largest),
    ]:
        loss = lambda x: fnp.sum(reduce(x, axes))  # noqa: B023
        for found in _gradients(loss, ROWS.astype(dtype)):
            np.testing.assert_array_equal(found, np.array(expected, dtype))


def test_tangents_of_maxima_that_are_nan():
    ones = np.ones((3, 3))
    for reduce in (fnp.max, fnp.min):
        apply = lambda x, t: jvp(lambda x: reduce(x, 1), (x,), (t,))[1]  # noqa: B023
        for found in (apply(ROWS, ones), jit(apply)(ROWS, ones)):
            np.testing.assert_array_equal(found, [NAN, 1.0, 1.0])


@pytest.mark.parametrize("bad", [complex(NAN, 1.0), complex(5.0, NAN)])
def test_complex_maxima_that_are_nan(bad):
    x = np.array([[1 + 2j, bad, 3 - 1j], [1 + 2j, 3 - 1j, 3 - 1j]])
    for found in _gradients(lambda x: fnp.sum(fnp.real(fnp.max(x, 1))), x):
        assert np.isnan(found[0]).all()
        np.testing.assert_array_equal(found[1], [0, 0.5, 0.5])


def test_windows_that_are_nan():
    x = np.array([1.0, NAN, 3.0, 2.0, 5.0, 5.0])
    for function, begin, expected in [
        (lax.max, -np.inf, [NAN, NAN, 1, 0, 0.5, 0.5]),
        (lax.min, np.inf, [NAN, NAN, 0, 1, 0.5, 0.5]),
    ]:
        loss = lambda x: fnp.sum(lax.reduce_window(x, begin, function, (2,), (2,)))  # noqa: B023
        for found in _gradients(loss, x):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [4, 200])  # of few, and of many elements
@pytest.mark.parametrize("kind", ["max", "min"])
def test_scattered_extrema_that_are_nan_share_their_derivative(kind, size):
    where = np.array([0, 1, 0, 2])
    x, updates = np.arange(float(size)), np.array([NAN, 1.0, 7.0, 2.0])
    x[[1, 3]] = NAN

    def loss(both):
        out = getattr(fnp.asarray(both[0]).at[where], kind)(both[1])
        return fnp.sum(out * np.arange(1.0, size + 1))

    for of_x, of_updates in _gradients(loss, (x, updates)):
        np.testing.assert_allclose(of_x[:4], [1 / 3, 1, 1.5, 4], rtol=1e-15)
        np.testing.assert_array_equal(of_x[4:], np.arange(5.0, size + 1))
        np.testing.assert_allclose(of_updates, [1 / 3, 1, 1 / 3, 1.5], rtol=1e-15)


def test_divergences_from_nan():
    p = np.array([NAN, 1.0, 2.0])
    for found in _gradients(lambda p: fnp.sum(kl_div(p, np.array([1.0, NAN, 1.0]))), p):
        np.testing.assert_allclose(found, [NAN, NAN, np.log(2.0)], rtol=1e-15)
