"""Special functions with loops, called with arrays outside of all traces, are compiled."""

from functools import partial

import mpmath
import numpy as np
import pytest
import scipy.stats
from scipy import special as reference

import fnad
from fnad import random
from fnad.scipy import special, stats
from tests.tiers import tiered

X = np.linspace(0.1, 0.9, 9)
ORDERS = np.arange(9) % 4
ARGUMENTS = {
    "betainc": (X + 1, X + 2, X),
    "betaincc": (X + 1, X + 2, X),
    "binom": (X + 3, X),
    "exp1": (X,),
    "expi": (X,),
    "expn": (ORDERS, X),
    "gammainc": (X + 1, X),
    "gammaincc": (X + 1, X),
    "hyp1f1": (X, X + 1, X),
    "kn": (ORDERS, X),
    "owens_t": (X, X),
    "shichi": (X,),
    "sici": (X,),
    "yn": (ORDERS, X),
    "zeta": (X + 2, X),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_loops_are_not_evaluated(name, no_loop_is_evaluated):
    args = ARGUMENTS[name]
    found, expected = getattr(special, name)(*args), getattr(reference, name)(*args)
    np.testing.assert_allclose(found, expected, rtol=2e-13)


def test_bessel_jn_and_sph_harm_y(no_loop_is_evaluated):
    expected = np.stack([reference.jv(v, X) for v in range(4)])
    np.testing.assert_allclose(special.bessel_jn(X, v=3), expected, rtol=1e-13)
    found = special.sph_harm_y(ORDERS, ORDERS // 2, X, X + 1)
    np.testing.assert_allclose(found, reference.sph_harm_y(ORDERS, ORDERS // 2, X, X + 1), 1e-13)


@pytest.mark.parametrize("name", ["cdf", "logcdf", "sf", "logsf"])
@pytest.mark.parametrize(
    "law, shapes", [("gamma", (2.5,)), ("beta", (2.5, 3)), ("truncnorm", (-1, 2))]
)
def test_distribution_functions(law, shapes, name, no_loop_is_evaluated):
    found = getattr(getattr(stats, law), name)(X, *shapes, loc=0.05, scale=[[1.5], [2.0]])
    frozen = getattr(scipy.stats, law)(*shapes, loc=0.05, scale=[[1.5], [2.0]])
    np.testing.assert_allclose(found, getattr(frozen, name)(X), rtol=1e-12)


def test_scalars_and_dtypes(no_loop_is_evaluated):
    for dtype in (np.float16, np.float32, np.float64):
        found = special.gammainc(dtype(2), dtype(0.5))
        assert type(found) is dtype
        np.testing.assert_allclose(found, reference.gammainc(2, 0.5), 4 * np.finfo(dtype).eps)
    assert type(special.expi(1)) is np.float64
    assert special.expi(np.float32(0.5) + 0.5j).dtype == np.complex64


def test_no_warnings_of_numpy(recwarn):
    special.zeta(np.array([1.0, np.inf, np.nan, -1e300]), np.array([0.0, -1.0, np.inf, 2.0]))
    special.expi(np.array([0.0, np.inf, -np.inf, np.nan, 1e300, -1e300]))
    assert not recwarn.list


def test_errors_are_those_of_the_function():
    with pytest.raises(TypeError, match="gammainc is a function of real numbers, but got"):
        special.gammainc(1.0, 1j)
    with pytest.raises(ValueError, match="gammainc"):
        special.gammainc(np.ones(3), np.ones(4))


def test_a_large_order_ends_where_its_function_is_infinite():
    """The recursion takes as many steps as it has finite numbers, not 1e15."""
    for function, expected in ((special.yn, -np.inf), (special.kn, np.inf)):
        for call in (function, fnad.jit(function)):
            np.testing.assert_array_equal(call(np.array([1e15, 2e9]), 1.0), expected)
    found = special.yn(np.array([1e15, 40.0]), 2.0)[1]
    np.testing.assert_allclose(found, float(mpmath.bessely(40, 2)), rtol=1e-13)


@tiered("name", ["gamma", "loggamma", "chisquare", "t"], lambda name: name == "gamma")
def test_random_numbers_are_those_of_jit(name, no_loop_is_evaluated):
    draw = getattr(random, name)
    for shape in ((), (7,), (3, 200)):
        for dtype in (np.float32, np.float64):
            found = draw(random.key(3), 0.7, shape, dtype)
            compiled = fnad.jit(partial(draw, shape=shape, dtype=dtype))(random.key(3), 0.7)
            assert found.shape == shape and found.dtype == dtype
            np.testing.assert_allclose(found, compiled, 1e3 * np.finfo(dtype).eps)


def test_random_numbers_have_their_distribution(no_loop_is_evaluated):
    drawn = random.gamma(random.key(0), 0.7, (20000,), np.float64)
    # The mean of so many has a standard deviation of sqrt(0.7 / 20000) = 0.006.
    assert abs(drawn.mean() - 0.7) < 0.024 and abs(drawn.var() - 0.7) < 0.06
