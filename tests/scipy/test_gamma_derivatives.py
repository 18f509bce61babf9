"""Derivatives in the shape of the gamma distribution against mpmath and jax.lax."""

import mpmath
import numpy as np
import pytest

import fnad
from fnad import lax

RNG = np.random.default_rng(0)
A = 10 ** RNG.uniform(-2, 2.5, 12)
X = A * 10 ** RNG.uniform(-0.7, 0.5, 12)


def exact(a, x):
    with mpmath.workdps(90):
        a, x, h = mpmath.mpf(float(a)), mpmath.mpf(float(x)), mpmath.mpf(10) ** -25
        cdf = lambda a: mpmath.gammainc(a, 0, x, regularized=True)
        slope = (cdf(a + h) - cdf(a - h)) / (2 * h)
        density = mpmath.exp((a - 1) * mpmath.log(x) - x - mpmath.loggamma(a))
        return float(slope), float(-slope / density)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_derivatives_in_the_shape(dtype):
    a, x = A.astype(dtype), X.astype(dtype)
    wanted = np.array([exact(*v) for v in zip(a, x)]).T
    for function, exactly in zip((lax.igamma_grad_a, lax.random_gamma_grad), wanted):
        keep = abs(exactly) > np.finfo(dtype).tiny * 1e8
        keep &= abs(wanted[0]) > np.finfo(dtype).tiny * 1e8
        for f in (function, fnad.jit(function)):
            got = f(a, x)
            assert got.dtype == dtype
            np.testing.assert_allclose(got[keep], exactly[keep], rtol=1000 * np.finfo(dtype).eps)


def test_near_those_of_jax():
    jl = pytest.importorskip("jax").lax
    a, x = np.float32([0.5, 2.0, 9.0]), np.float32([0.1, 3.0, 8.0])
    for name in ("igamma_grad_a", "random_gamma_grad"):
        wanted = getattr(jl, name)(a, x)
        np.testing.assert_allclose(getattr(lax, name)(a, x), wanted, rtol=1e-4)
