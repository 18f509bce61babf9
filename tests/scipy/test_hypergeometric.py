"""Hypergeometric functions against mpmath: values in all regions, edges, derivatives."""

import mpmath
import numpy as np
import pytest
import scipy.special

import fnad
from fnad.scipy import special
from tests.scipy.derivatives import check_compiled_derivatives
from tests.tiers import tiered

RNG = np.random.default_rng(0)


def spread(low, high, count=25):
    return 10 ** RNG.uniform(low, high, count)


def uniform(low, high, count=25):
    return RNG.uniform(low, high, count)


CONFLUENT = {
    "positive": (spread(-2, 2), spread(-2, 2), spread(-3, 2.5)),
    "negative argument": (spread(-2, 2), spread(-2, 2), -spread(-3, 2.5)),
    "oscillating": (-spread(-1, 2), spread(-1, 2), spread(-3, 2.5)),
    "polynomials": (-np.floor(spread(0, 2)), spread(-1, 1), spread(-2, 2.5)),
    "all signs": (uniform(-20, 20), uniform(-20, 20), uniform(-50, 50)),
    "waves": (-uniform(20, 50), -uniform(1, 20), uniform(0, 50)),
    "turned waves": (uniform(0, 50), -uniform(0, 50), -uniform(0, 50)),
    "recursions that lose": (uniform(30, 90), -uniform(40, 120), uniform(0, 8)),
    "far": (uniform(-3, 3), uniform(0, 3), uniform(-5000, 600)),
}
GAUSS = {
    "positive": (spread(-1, 1.3), spread(-1, 1.3), spread(-1, 1.3), uniform(0, 1)),
    "next to 1": (spread(-1, 1), spread(-1, 1), spread(-1, 1), 1 - spread(-8, 0)),
    "negative argument": (spread(-1, 1), spread(-1, 1), spread(-1, 1), -spread(-3, 4)),
    "oscillating": (-spread(0, 1.6), spread(0, 1.6), spread(-1, 1), uniform(0, 1)),
    "all signs": (uniform(-10, 10), uniform(-10, 10), uniform(-10, 10), uniform(-3, 1)),
    "polynomials": (
        -np.floor(spread(0, 1.6)),
        uniform(-10, 10),
        uniform(-10, 10),
        1 + spread(-4, 1.5),
    ),
    "waves": (uniform(0, 20), uniform(0, 20), -uniform(0, 20), uniform(-5, 0)),
    "waves next to 1": (-uniform(5, 20), uniform(5, 20), -uniform(0, 5), 1 - spread(-2, -0.5)),
    # Where connection formulas have exceptions.
    "integers": (
        *[RNG.integers(1, 8, 25).astype(float) for _ in range(3)],
        uniform(-30, 1),
    ),
}
TOLERANCES = {
    "waves": 1e-11,
    "turned waves": 1e-11,
    "recursions that lose": 2e-10,
    "waves next to 1": 1e-11,
    "polynomials": 2e-11,
    "all signs": 2e-11,
    "oscillating": 2e-12,
}


COMPILED = {"hyp1f1": fnad.jit(special.hyp1f1), "hyp2f1": fnad.jit(special.hyp2f1)}
CASES = [("hyp1f1", region) for region in CONFLUENT] + [("hyp2f1", region) for region in GAUSS]


@pytest.mark.parametrize(("name", "region"), CASES)
def test_values_are_mpmaths(name, region):
    args = (CONFLUENT if name == "hyp1f1" else GAUSS)[region]
    exact = getattr(mpmath, name)
    with mpmath.workdps(30):
        wanted = np.array([float(exact(*map(float, v))) for v in zip(*args)])
    tolerance = TOLERANCES.get(region, 5e-13)
    np.testing.assert_allclose(COMPILED[name](*args), wanted, rtol=tolerance)
    if region == "positive":
        np.testing.assert_allclose(getattr(special, name)(*args), wanted, rtol=tolerance)


@tiered("name,regions", [("hyp1f1", CONFLUENT), ("hyp2f1", GAUSS)], lambda row: row[0] == "hyp1f1")
def test_dtypes_shapes_and_vmap(name, regions):
    ours = getattr(special, name)
    args = [v[:3].astype(np.float32) for v in regions["positive"]]
    single = ours(*args)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, ours(*[v * 1.0 for v in args]), rtol=3e-5)
    args = regions["all signs"]
    batched = fnad.vmap(COMPILED[name])(*args)
    np.testing.assert_allclose(batched, COMPILED[name](*args), rtol=1e-11)
    assert ours(*[np.float16(1)] * len(args)).dtype == np.float16
    assert ours(*[0.5] * len(args)) == ours(*[np.full(2, 0.5)] * len(args))[0]
    assert ours(*[np.zeros((0, 2))] * len(args)).shape == (0, 2)
    with pytest.raises(TypeError, match=rf"{name}.*complex128"):
        ours(*[1j] * len(args))


def test_edges_of_hyp1f1():
    for args, wanted in (
        ((0.0, 2.0, 3.0), 1), ((1.5, 2.0, 0.0), 1), ((1.0, 0.0, 2.0), np.inf),
        ((1.5, -3.0, 2.0), np.inf), ((-2.0, -3.0, 1.5), 1 + 1 + 0.375), ((2.0, 2.0, 1e4), np.inf),
        ((-2.0, 1.0, 1e6), 1 - 2e6 + 5e11), ((np.nan, 1.0, 1.0), np.nan),
        ((1.0, 2.0, -1e8), 1e-8),
    ):  # fmt: skip
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(special.hyp1f1(*args), wanted, rtol=1e-13)


def test_edges_of_hyp2f1():
    for args, wanted in (
        ((0.0, 2.0, 3.0, 0.5), 1), ((1.5, 2.0, 1.0, 0.0), 1), ((1.0, 1.0, 0.0, 0.5), np.inf),
        ((1.0, 1.0, 3.0, 1.0), 2), ((1.0, 1.0, 2.0, 1.0), np.inf), ((1.0, 1.0, 2.0, 1.5), np.nan),
        ((-2.0, 1.0, 1.0, 3.0), 4), ((-2.0, 1.0, 1.0, -3.0), 16), ((-2.0, 1.0, -3.0, 1.0), 2),
        ((1.0, 1.0, 2.0, -1e6), np.log1p(1e6) / 1e6), ((1.0, np.nan, 1.0, 0.5), np.nan),
    ):  # fmt: skip
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(special.hyp2f1(*args), wanted, rtol=1e-12)
    x = uniform(-3, 1)
    np.testing.assert_allclose(special.hyp2f1(0.5, 1, 1.5, -x * x) * x, np.arctan(x), rtol=1e-13)
    k = scipy.special.ellipk(x)
    np.testing.assert_allclose(np.pi / 2 * special.hyp2f1(0.5, 0.5, 1, x), k, rtol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_derivatives(name):
    points = {
        "hyp1f1": [
            *[(1.5, 0.7, 2.0), (-3.3, 2.0, 9.0), (2.0, 1.5, -4.0), (0.7, -2.3, 1.0)],
            (-7.3, -2.2, 9.0),
        ],
        "hyp2f1": [
            (1.5, 0.7, 2.2, 0.95),
            (-3.3, 5, 1.5, 0.6),
            (2, 1, 3, -4.0),
            (0.7, 2, -1.7, 0.3),
        ],
    }
    args = tuple(np.array(v, np.float64) for v in zip(*points[name]))
    check_compiled_derivatives(getattr(special, name), args, order=1, rtol=1e-4)
    # The derivatives in the first parameter and the argument, in both orders.
    exact = [
        float(mpmath.diff(getattr(mpmath, name), v, (1, *[0] * (len(v) - 2), 1)))
        for v in points[name]
    ]
    last = len(args) - 1
    for first, second in ((0, last), (last, 0)):
        slope = fnad.grad(fnad.grad(getattr(special, name), first), second)
        found = fnad.jit(fnad.vmap(slope))(*args)
        np.testing.assert_allclose(found, exact, rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("hyp1f1", (-2.0, 1.5, 3.0)),
        ("hyp1f1", (1.2, 0.4, -20.0)),
        ("hyp2f1", (-2.0, 1.5, 3.0, 0.6)),
        ("hyp2f1", (1.2, 0.4, 2.0, -20.0)),
    ],
)
def test_slopes_in_parameters_are_mpmaths(name, args):
    exact = mpmath.diff(lambda a: getattr(mpmath, name)(a, *args[1:]), args[0])
    np.testing.assert_allclose(fnad.grad(getattr(special, name))(*args), float(exact), rtol=1e-11)


def test_slopes_that_are_not_known_are_nan():
    assert np.isnan(fnad.grad(special.hyp1f1)(-2.0, 1.0, 50.0))
    assert np.isfinite(fnad.grad(special.hyp1f1, 2)(-2.0, 1.0, 50.0))
    assert np.isnan(fnad.grad(special.hyp2f1)(-2.0, 1.0, 2.0, 3.0))
    assert np.isnan(fnad.grad(special.hyp2f1)(1.0, 1.0, 3.5, 1.0))


HARD = [
    # A polynomial times a power, small against the other solution of the equation.
    ("hyp2f1", (10.0, 20.0, 5.0, -1e5)),
    ("hyp2f1", (2.0, 3.0, 1e4, 0.99)),
    ("hyp2f1", (0.3, 0.7, -100.5, 0.95)),
    # Next to a polynomial.
    ("hyp1f1", (-3 + 1e-9, 1.5, 80.0)),
    ("hyp1f1", (100.0, -50.5, 30.0)),
    ("hyp1f1", (60.5, -80.54, 7.0)),
]


@pytest.mark.parametrize(("name", "args"), HARD)
def test_numbers_that_are_hard(name, args):
    with mpmath.workdps(40):
        wanted = float(getattr(mpmath, name)(*map(mpmath.mpf, args)))
    np.testing.assert_allclose(COMPILED[name](*args), wanted, rtol=1e-12)


def test_what_cannot_be_had_is_nan():
    assert np.isnan(COMPILED["hyp1f1"](57.77, -116.19, -59.16))
    assert np.isnan(COMPILED["hyp2f1"](-6.25, -6.5, -40.75, 0.9934))


@tiered(
    "arguments",
    [
        # Polynomials above a parameter below the line that is an integer, too.
        (-6.0, -6.0, 20.86),
        (-2.0, -15.0, 33.2),
        (-4.0, -6.0, 24.5),
        (-4.0, -6.0, -24.5),
        (-1.5, -2.0, -6.0, -0.85),
        (2.5, -1.0, -4.0, -3.5),
        (1.5, -4.0, -6.0, -22.3),
        (-5.0, 1.1, -5.0, -11.8),
        (0.2, 0.0, -4.0, -1.5),
        (2.5, -3.0, -4.0, 0.5),
        # Where it oscillates.
        (-12.1, -1.0, 0.36, -7.5),
        (14.4, -2.0, -1.5, 0.88),
        # One of the series that are tried takes too many terms.
        (14.25, 2.0, 2.0, -90.0),
        (-3.0, -14.4, -1.1, -97.9),
    ],
    lambda arguments: len(arguments) == 3 or arguments[-1] > -20,  # others sum many terms
)
def test_sums_that_end(arguments):
    # Of the arguments as they are, term by term.
    *above, below, x = map(mpmath.mpf, arguments)
    expected, term = mpmath.mpf(0), mpmath.mpf(1)
    with mpmath.workdps(50):
        if arguments == (14.25, 2.0, 2.0, -90.0):
            expected = (1 - x) ** -above[0]
        else:
            for k in range(20):
                expected += term
                term *= mpmath.fprod(a + k for a in above) * x / (k + 1)
                term = term / (below + k) if term else term
    function = special.hyp1f1 if len(arguments) == 3 else special.hyp2f1
    for run in (function, fnad.jit(function)):
        np.testing.assert_allclose(run(*arguments), float(expected), rtol=1e-12)


@tiered(
    "a,b,c,x",
    [
        (-5.9366431684958965, -2.4722433279574663, -5.313457692432926, 0.9900734938866793),
        (2.465422298234799, -7.476872833972433, -7.557501790923695, 0.9988275887975795),
        (-10.74225863703295, -18.461542650913376, -47.58565179068684, -142.36885151096024),
        (8.300308154417916, -5.147399446539679, -6.292446850317111, -106.87753511683206),
    ],
    lambda row: row[-1] > 0,
)
def test_next_to_one_with_a_negative_parameter_below(a, b, c, x):
    with mpmath.workdps(60):
        wanted = float(mpmath.hyp2f1(a, b, c, x))
        slope = float(mpmath.diff(lambda b: mpmath.hyp2f1(a, b, c, x), b))
    np.testing.assert_allclose(special.hyp2f1(a, b, c, x), wanted, rtol=1e-12)
    derivative = fnad.jit(fnad.value_and_grad(special.hyp2f1, 1))
    np.testing.assert_allclose(derivative(a, b, c, x), (wanted, slope), rtol=1e-10)
