"""Power transformations and numbers against SciPy and mpmath."""

import mpmath
import numpy as np
import pytest
import scipy.special

import fnad
from fnad.scipy import special
from fnad.testing import check_grads

RNG = np.random.default_rng(0)
X = 10 ** RNG.uniform(-12, 3, 60)
POWERS = RNG.choice([-1, 1], 60) * 10 ** RNG.uniform(-18, 0.5, 60)
EDGES = np.array([0.0, 1.0, np.inf, np.nan, -2.0])


def exact(name, x, power):
    with mpmath.workdps(60):
        base = mpmath.mpf(float(x)) + (name == "boxcox1p")
        return float((base ** mpmath.mpf(float(power)) - 1) / mpmath.mpf(float(power)))


@pytest.mark.parametrize("name", ["boxcox", "boxcox1p"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_power_transformations(name, dtype):
    ours, x, powers = getattr(special, name), X.astype(dtype), POWERS.astype(dtype)
    wanted = np.array([exact(name, *v) for v in zip(x, powers)])
    # The exponent's rounding is stretched by the exponent, here at most 3.2 * log(1e12).
    tolerance = 100 * np.finfo(dtype).eps
    for f in (ours, fnad.jit(ours)):
        assert f(x, powers).dtype == dtype
        np.testing.assert_allclose(f(x, powers), wanted, rtol=tolerance)
    np.testing.assert_allclose(ours(X, 0.0), getattr(scipy.special, name)(X, 0.0), rtol=1e-15)


@pytest.mark.parametrize("name", ["boxcox", "boxcox1p"])
def test_edges_are_scipys(name):
    with np.errstate(all="ignore"):
        for power in (-2.0, 0.0, 0.5):
            wanted = getattr(scipy.special, name)(EDGES, power)
            np.testing.assert_array_equal(getattr(special, name)(EDGES, power), wanted)


@pytest.mark.parametrize("name", ["boxcox", "boxcox1p"])
@pytest.mark.parametrize("power", [-0.7, 0.0, 1e-9, 0.3, 2.5])
def test_derivatives(name, power):
    ours = getattr(special, name)
    check_grads(ours, (np.array([0.4, 1.7, 9.0]), np.full(3, power)), order=1)
    # In the power: the integral of log(x)**(k + 1) * t**k * x**(power * t) over [0, 1].
    x = 1.7
    log_x = mpmath.log(x + (name == "boxcox1p"))
    f = lambda power: ours(x, power)
    for k in (1, 2, 3):
        f = fnad.grad(f)
        term = lambda t, k=k: log_x ** (k + 1) * t**k * mpmath.exp(power * log_x * t)
        wanted = float(mpmath.quad(term, [0, 1]))
        np.testing.assert_allclose(f(power), wanted, rtol=1e-13)


def test_bernoulli_numbers():
    for n in (0, 1, 2, 30):
        found = special.bernoulli(n)
        wanted = [float(mpmath.bernoulli(k)) for k in range(n + 1)]
        np.testing.assert_allclose(found, wanted, rtol=3e-16)
    assert np.isinf(special.bernoulli(262)[[260, 262]]).all()
    with pytest.raises(ValueError, match="n must not be negative, got -1"):
        special.bernoulli(-1)
