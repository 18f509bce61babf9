"""`beta`, `poch` and their kin: far out, at poles and of negative numbers, against mpmath."""

import mpmath
import numpy as np
import pytest

import fnad
from fnad.scipy import special
from tests.scipy.derivatives import check_compiled_derivatives

INF, NAN = np.inf, np.nan


def exact(function, *operands):
    with mpmath.workdps(400):
        return [float(function(*map(mpmath.mpf, row))) for row in zip(*operands, strict=True)]


def evaluations(function):
    return function, fnad.jit(function)


A = np.array([-0.5, -2.5, -0.5, -7.25, -1.5, -1e8 + 0.5, 0.25, -30.5, 1e-10, 2.5])
B = np.array([1e20, 1e300, 1e3, 3.0, 0.25, 1e8 + 1, -0.75, 45.0, 1e15, -7.25])


def test_beta_of_negative_and_of_large_operands():
    for f in evaluations(special.betaln):
        logs = exact(lambda a, b: mpmath.log(abs(mpmath.beta(a, b))), A, B)
        np.testing.assert_allclose(f(A, B), logs, rtol=1e-14, atol=1e-14)
    few = np.abs(B) < 1e100  # of which beta overflows
    for f in evaluations(special.beta):
        np.testing.assert_allclose(
            f(A[few], B[few]), exact(mpmath.beta, A[few], B[few]), rtol=1e-13
        )
    check_compiled_derivatives(special.beta, (np.array([-0.3, 2.5]), np.array([0.7, -0.9])))
    check_compiled_derivatives(special.betaln, (np.array([-2.5, 2.5]), np.array([30.0, -0.9])))
    single = special.betaln(np.float32(-0.5), np.float32(1000))
    np.testing.assert_allclose(single, 4.719014644622803, rtol=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        (1.0, -2.0, -0.5), (-3.0, 3.0, -1 / 3), (-5.0, 2.0, 0.05), (10.0, -2.0, INF),
        (0.0, 0.0, INF), (0.0, 3.0, INF), (-3.0, -1.5, INF), (-0.5, -0.5, 0.0),
        (1.0, INF, 0.0), (NAN, 1.0, NAN),
    ],
)  # fmt: skip
def test_beta_at_poles(a, b, wanted):
    for f in evaluations(special.beta):
        np.testing.assert_allclose([f(a, b), f(b, a)], [wanted] * 2, rtol=1e-14)
    with np.errstate(divide="ignore"):
        logarithm = np.log(np.abs(wanted))
    for f in evaluations(special.betaln):
        np.testing.assert_allclose([f(a, b), f(b, a)], [logarithm] * 2, rtol=1e-14)


def test_poch_of_large_and_of_negative_operands():
    z = np.array([1e20, 1e5, 1e8, 1e10, -2.5, -0.5, -7.25, -7.25, 1e-20, 0.3, -30.5, 5.5])
    m = np.array([1.0, 1.0, -3.0, 0.5, 7.3, 0.2, 3.0, 0.8, -0.5, -2.0, 25.0, -8.25])
    wanted = exact(lambda z, m: mpmath.gamma(z + m) / mpmath.gamma(z), z, m)
    for f in evaluations(special.poch):
        np.testing.assert_allclose(f(z, m), wanted, rtol=1e-13)
    np.testing.assert_allclose(special.poch(np.float32(1e5), np.float32(1)), 1e5, rtol=2e-5)
    check_compiled_derivatives(
        special.poch, (np.array([1.2, 300.0, -2.5, -2.5]), np.array([3.1, 0.5, 0.7, 4.2]))
    )


@pytest.mark.parametrize(
    ("z", "m", "wanted"),
    [
        (0.0, 0.0, 1.0), (-3.0, 2.0, 6.0), (-3.0, -2.0, 0.05), (-3.0, 5.0, 0.0), (-3.0, 2.5, 0.0),
        (3.0, -5.0, INF), (-0.5, -0.5, INF), (NAN, 0.0, NAN), (3.0, NAN, NAN),
    ],
)  # fmt: skip
def test_poch_at_poles(z, m, wanted):
    for f in evaluations(special.poch):
        np.testing.assert_allclose(f(z, m), wanted, rtol=1e-14)


def test_gamma_overflows_to_infinity_and_underflows_to_0():
    for f in evaluations(special.gamma):
        single = np.array([35.0, 36.5, 125.9, 1e30, -100.5, -794.3], np.float32)
        wanted = np.array([2.952328e38, INF, INF, INF, -0.0, -0.0])
        np.testing.assert_allclose(f(single), wanted, rtol=1e-5)
        np.testing.assert_array_equal(f(np.array([171.7, 1e300, -794.3])), [INF, INF, -0.0])
    assert special.factorial(np.float32(150)) == INF


def test_binom_of_large_operands():
    n, k = np.array([1e300, 1e300, 0.5]), np.array([0.5, 1 + 2**-50, 1e8])
    for f in evaluations(special.binom):
        np.testing.assert_allclose(f(n, k), exact(mpmath.binomial, n, k), rtol=1e-12)


def test_limits():
    for f in evaluations(special.zeta):
        np.testing.assert_array_equal(f(np.array([2.0, 100.0]), INF), [0.0, 0.0])
    for f in evaluations(special.kl_div):
        np.testing.assert_array_equal(
            f([INF, 2.0, INF, 2.0], [0.0, -INF, 1.0, NAN]), [INF] * 3 + [NAN]
        )
    for f in evaluations(special.rel_entr):  # of a quotient that is subnormal
        np.testing.assert_allclose(f(1e-300, 1e20), -7.368272297580946e-298, rtol=1e-14)
    for f in evaluations(special.exprel):
        np.testing.assert_array_equal(f(np.array([-5e-324, 2e-313])), [1.0, 1.0])
    a, b = np.array([0.0, 2.0, 2.0, INF, 0.0, 0.0]), np.array([2.0, 0.0, INF, 2.0, 0.0, 2.0])
    for f in evaluations(special.betainc):
        wanted = [1.0, 0.0, 1.0, 0.0, NAN, 0.0]
        np.testing.assert_array_equal(f(a, b, np.array([0.5] * 5 + [0.0])), wanted)


@pytest.mark.parametrize("f", [special.beta, special.betaln, special.poch, special.zeta])
def test_single_precision_stays(f):
    assert f(np.float32(1.5), np.float32(2)).dtype == np.float32
