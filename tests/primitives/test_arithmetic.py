"""Arithmetic that is a composition; the primitives are checked from ``tests/samples``."""

import numpy as np
import pytest

import fnad
from fnad import lax
from fnad.testing import check_grads


def test_reciprocal():
    x = np.array([2.0, -0.5, np.inf, 0.0])
    with np.errstate(divide="ignore"):
        want = 1 / x
    np.testing.assert_array_equal(lax.reciprocal(x), want)
    np.testing.assert_array_equal(fnad.jit(lax.reciprocal)(x), want)
    check_grads(lax.reciprocal, (x[:2],), order=2)
    with pytest.raises(ValueError, match="negative power"):
        lax.reciprocal(np.arange(3))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_halves_are_rounded_away_from_zero_or_to_even(dtype):
    below = np.nextafter(dtype(0.5), dtype(0))
    x = np.array([0.5, 1.5, 2.5, -0.5, -2.5, below, -below, 0.0, -0.0, np.inf, np.nan], dtype)
    away = np.array([1, 2, 3, -1, -3, 0, -0.0, 0, -0.0, np.inf, np.nan], dtype)
    for got in (lax.round(x), fnad.jit(lax.round)(x)):
        np.testing.assert_array_equal(got, away, strict=True)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(away))
    even = lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)
    np.testing.assert_array_equal(fnad.jit(even)(x), np.rint(x), strict=True)
    np.testing.assert_array_equal(fnad.grad(lambda x: lax.round(x).sum())(x[:7]), np.zeros(7))
