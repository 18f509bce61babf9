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
