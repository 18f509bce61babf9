"""Special functions of complex numbers: values against mpmath, edges, derivatives."""

import mpmath
import numpy as np
import pytest
import scipy.special

import fnad
import fnad.numpy as fnp
from fnad.scipy import special
from fnad.testing import check_grads
from tests.scipy.derivatives import check_compiled_derivatives
from tests.tiers import tiered

RNG = np.random.default_rng(0)
PLANE = np.concatenate(
    [
        10 ** RNG.uniform(-4, 1.2, 24) * np.exp(1j * RNG.uniform(-np.pi, np.pi, 24)),
        -(10 ** RNG.uniform(-1, 1.8, 6)) + 1j * RNG.normal(size=6),
        RNG.uniform(-9, 9, 5) + 0j,
        1j * RNG.uniform(-9, 9, 5),
    ]
)
INF, NAN = np.inf, np.nan
ROOT2 = mpmath.sqrt(2)


def on_the_cut(f):
    """Continuous from above at negative numbers."""

    def above(z):
        value = f(z)
        return mpmath.mpc(value.real, mpmath.pi) if z.imag == 0 and z.real < 0 else value

    return above


def part(name, index):
    return lambda z: getattr(special, name)(z)[index]


# function, exact one, bound of the relative error (of the modulus), and the largest modulus
FUNCTIONS = {
    "erf": (special.erf, mpmath.erf, 3e-15, 40),
    "erfc": (special.erfc, mpmath.erfc, 3e-15, 40),
    "erfcx": (special.erfcx, lambda z: mpmath.exp(z * z) * mpmath.erfc(z), 2e-15, 40),
    "erfi": (special.erfi, mpmath.erfi, 3e-15, 40),
    "ndtr": (special.ndtr, lambda z: mpmath.erfc(-z / ROOT2) / 2, 3e-13, 40),
    "log_ndtr": (
        special.log_ndtr,
        lambda z: mpmath.log(mpmath.erfc(-z / mpmath.sqrt(2)) / 2),
        1e-13,
        40,
    ),
    "exp1": (special.exp1, mpmath.e1, 3e-15, 90),
    "expi": (special.expi, mpmath.ei, 5e-15, 90),
    "Si": (part("sici", 0), mpmath.si, 3e-15, 90),
    "Ci": (part("sici", 1), on_the_cut(mpmath.ci), 5e-15, 90),
    "Shi": (part("shichi", 0), mpmath.shi, 3e-15, 90),
    "Chi": (part("shichi", 1), on_the_cut(mpmath.chi), 5e-15, 90),
    "S": (part("fresnel", 0), mpmath.fresnels, 1e-13, 9),
    "C": (part("fresnel", 1), mpmath.fresnelc, 1e-13, 9),
    "spence": (special.spence, lambda z: mpmath.polylog(2, 1 - z), 4e-15, 90),
    "gamma": (special.gamma, mpmath.gamma, 4e-14, 40),
    "digamma": (special.digamma, mpmath.digamma, 4e-15, 90),
}
NAMES = pytest.mark.parametrize("name", FUNCTIONS)
# Those that share their code with others run in the long tier.
MOST_NAMES = tiered(
    "name",
    FUNCTIONS,
    lambda name: name not in ("Si", "Shi", "S", "erfi", "ndtr", "Chi", "spence"),
)


@MOST_NAMES
def test_values_are_mpmaths(name):
    ours, exact, tolerance, most = FUNCTIONS[name]
    z = PLANE[np.abs(PLANE) < most]
    wanted = []
    for v in z:
        with mpmath.workdps(40 + (int(abs(v) ** 2) if name.startswith(("erf", "n", "log")) else 0)):
            wanted.append(complex(exact(mpmath.mpc(complex(v)))))
    wanted = np.array(wanted)
    held = (np.abs(wanted) < 1e300) & (np.abs(wanted) > 1e-300)
    z, wanted = z[held], wanted[held]
    np.testing.assert_allclose(fnad.jit(fnad.vmap(ours))(z), wanted, rtol=tolerance)
    near = np.abs(z) < 3
    single = ours(z[near].astype(np.complex64))
    assert single.dtype == np.complex64
    np.testing.assert_allclose(single, wanted[near], rtol=1e-4)
    assert ours(np.zeros((0, 2), complex)).shape == (0, 2)


@MOST_NAMES
def test_real_numbers(name):
    ours = FUNCTIONS[name][0]
    x = np.array([0.3, 1.9, 3.7])
    found = ours(x + 0j)
    np.testing.assert_allclose(found, ours(x), rtol=1e-13)
    np.testing.assert_allclose(found.imag, 0, atol=1e-15)
    assert ours(x).dtype == np.float64


@MOST_NAMES
def test_derivatives(name):
    z = np.array([0.3 + 0.4j, 1.2 - 1j, -2 + 1.5j, 5 + 2j])
    ours = FUNCTIONS[name][0]
    slope = fnad.jvp(ours, (z,), (np.ones_like(z),))[1]
    step = 1e-5 * (1 + 1j)
    wanted = (ours(z + step) - ours(z - step)) / (2 * step)
    np.testing.assert_allclose(slope, wanted, rtol=1e-8, atol=1e-10)  # values near 1


@pytest.mark.slow
@NAMES
def test_second_derivatives(name):
    z = np.array([0.3 + 0.4j, 1.2 - 1j, -2 + 1.5j, 5 + 2j])
    ours = FUNCTIONS[name][0]
    f = lambda z: fnp.real((2 - 1j) * ours(z))
    check_compiled_derivatives(f, (z,), rtol=1e-4)


@pytest.mark.parametrize("name", ["erf", "erfc", "exp1", "expi", "gamma", "digamma", "spence"])
def test_edges_and_cuts_are_scipys(name):
    z = np.array([0, -1, complex(-1, -0.0), complex(-2.5, 0.0), complex(-2.5, -0.0), 1, 2])
    wanted = getattr(scipy.special, name)(z)
    with np.errstate(all="ignore"):
        found = getattr(special, name)(z)
    np.testing.assert_allclose(found.real, wanted.real, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(found.imag, wanted.imag, rtol=1e-13, atol=1e-15)


def test_infinities():
    assert special.erf(complex(INF, 0)) == 1
    assert special.erfc(complex(-INF, 0)) == 2
    assert special.exp1(complex(INF, 0)) == 0
    assert np.isnan(special.exp1(complex(NAN, 0)))
    # The result overflows later than the exponential in it.
    with mpmath.workdps(60):
        wanted = complex(mpmath.erfc(mpmath.mpc(1, 26.7)))
    np.testing.assert_allclose(special.erfc(1 + 26.7j), wanted, rtol=1e-14)


def test_hyperbolic_integrals_of_real_numbers():
    x = np.concatenate([10 ** RNG.uniform(-3, 2.5, 30), [0.0, INF, -INF, NAN]])
    x = np.concatenate([x, -x[:9]])
    for dtype, tolerance in ((np.float64, 3e-15), (np.float32, 1e-5)):
        found = special.shichi(x.astype(dtype))
        wanted = scipy.special.shichi(x.astype(dtype).astype(float))
        assert found[0].dtype == dtype
        small = np.abs(x) < 80  # within float32
        for ours, theirs in zip(found, wanted):
            np.testing.assert_allclose(ours[small], theirs[small], rtol=tolerance, atol=tolerance)
            np.testing.assert_array_equal(ours[30:34], theirs[30:34])
    x = np.array([0.3, 3.0, 7.0])
    check_grads(lambda x: fnp.stack(special.shichi(x)), (x,), order=1)
    np.testing.assert_allclose(special.erfi(x), scipy.special.erfi(x), rtol=1e-14)
    check_grads(special.erfi, (np.array([0.3, 2.0]),), order=1)
