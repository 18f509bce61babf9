"""Digits of numbers against NumPy, at the ends of their range too."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads
from tests.numpy.helpers import assert_same

DTYPES = [np.float16, np.float32, np.float64]


def extremes(dtype):
    info = np.finfo(dtype)
    small, tiny = float(info.smallest_subnormal), float(info.tiny)
    values = [0.0, -0.0, 1.0, -2.5, 0.7, small, 3 * small, -tiny, tiny / 2, info.max, np.inf]
    return np.array([*values, -np.inf, np.nan, 1 / 3], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_frexp_takes_numbers_apart(dtype):
    x = extremes(dtype)
    expected = np.frexp(x)
    finite = np.isfinite(x)  # the exponents of the others depend on the C library
    for actual in [fnp.frexp(x), fnad.jit(fnp.frexp)(x)]:
        np.testing.assert_array_equal(actual[0], expected[0])
        np.testing.assert_array_equal(actual[1][finite], expected[1][finite])
        assert (actual[0].dtype, actual[1].dtype) == (dtype, np.int32)
        np.testing.assert_array_equal(fnp.ldexp(*actual), x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_ldexp_rounds_once(dtype):
    x = extremes(dtype)[:, None]
    n = np.array([0, 1, -1, 30, -24, -52, -149, -1000, -1022, -1050, -1074, 1023, 2000, -2100])
    n = np.append(n, [2**31 - 1, -(2**31)]).astype(np.int32)
    with np.errstate(all="ignore"):
        expected = np.ldexp(x, n)
    for actual in [fnp.ldexp(x, n), fnad.jit(fnp.ldexp)(x, n)]:
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_divisors_and_multiples(dtype):
    random = np.random.default_rng(0)
    x, y = random.integers(0, 100, (2, 6, 5)).astype(dtype)
    x[0, :2], y[0, 1:3] = 0, 0
    if np.dtype(dtype).kind == "i":
        x[1], y[2, :3] = -x[1], -y[2, :3]
        x[3, 0] = np.iinfo(dtype).min
    for name in ["gcd", "lcm"]:
        function, expected = getattr(fnp, name), getattr(np, name)(x, y)
        assert_same(function(x, y), expected)
        assert_same(fnad.jit(function)(x, y), expected)
        np.testing.assert_array_equal(fnad.vmap(function, (0, None))(x, y[4]), function(x, y[4]))
    assert_same(fnp.gcd(12, 18), np.int64(6))


def test_consecutive_fibonacci_numbers_take_the_most_steps():
    assert fnad.jit(fnp.gcd)(7540113804746346429, 4660046610375530309) == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_neighbours(dtype):
    x = extremes(dtype)
    for towards in [np.inf, -np.inf, 0.0]:
        expected = np.nextafter(x, dtype(towards))
        np.testing.assert_array_equal(fnad.jit(fnp.nextafter)(x, dtype(towards)), expected)
    steps = fnad.jit(fnp.spacing)(np.abs(x))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(steps, np.spacing(np.abs(x)))


def test_derivatives():
    x = np.array([0.3, -2.5, 7.0])
    check_grads(lambda x: fnp.ldexp(x, np.array([3, -1, 0])), (x,), order=2)
    check_grads(lambda x: fnp.frexp(x)[0], (x,), order=1)
    assert fnad.grad(lambda x: fnp.frexp(x)[0])(6.0) == 0.125
    assert fnad.grad(fnp.spacing)(6.0) == 0


@pytest.mark.parametrize("exponent", [2, np.array([1, -3], np.int8), np.array([4, 0])], ids=str)
def test_ldexp_of_bfloat16(exponent):
    x = np.array([1.5, 7.0], fnp.bfloat16)
    for f in (fnp.ldexp, fnad.jit(fnp.ldexp)):
        got = f(x, exponent)
        assert got.dtype == fnp.bfloat16
        np.testing.assert_array_equal(got.astype(float), np.ldexp(x.astype(float), exponent))
