"""`fnad.scipy.stats` against SciPy: values in and out of the support, derivatives, transforms."""

import ml_dtypes
import numpy as np
import pytest
import scipy.stats

import fnad
from fnad.scipy import stats
from fnad.testing import check_grads
from tests.scipy.derivatives import check_compiled_derivatives
from tests.tiers import tiered

NAN, INF = np.nan, np.inf
LINE = np.array([-30.0, -3.0, -0.4, 0.3, 0.7, 2.5, 6.0, 40.0, NAN])
COUNTS = np.array([-1.0, 0.0, 1.0, 2.0, 2.5, 7.0, 30.0])
Q = np.array([0.0, 1e-9, 0.2, 0.5, 0.99, 1.0, -0.1, NAN])
ALL = "logpdf pdf cdf logcdf sf logsf"
# name, shape parameters, functions
CONTINUOUS = [
    ("norm", (), ALL + " ppf isf"), ("uniform", (), "logpdf pdf cdf ppf"),
    ("expon", (), ALL + " ppf"),
    ("laplace", (), "logpdf pdf cdf"), ("logistic", (), ALL + " ppf isf"),
    ("cauchy", (), ALL + " ppf isf"), ("gamma", (2.3,), ALL), ("chi2", (3.0,), ALL),
    ("beta", (2.3, 1.4), ALL), ("t", (3.5,), "logpdf pdf"), ("pareto", (2.5,), ALL + " ppf"),
    ("gumbel_r", (), ALL + " ppf"), ("gumbel_l", (), ALL + " ppf"), ("truncnorm", (-1.0, 2.0), ALL),
    ("truncnorm", (20.0, 21.0), ALL), ("vonmises", (2.0,), "logpdf pdf"),
    ("wrapcauchy", (0.4,), "logpdf pdf"), ("gennorm", (1.5,), "logpdf pdf cdf sf"),
]  # fmt: skip
DISCRETE = [
    ("bernoulli", (0.3,), "logpmf pmf cdf ppf"), ("binom", (7, 0.3), "logpmf pmf"),
    ("poisson", (2.5,), "logpmf pmf cdf"), ("geom", (0.3,), "logpmf pmf"),
    ("nbinom", (2.5, 0.3), "logpmf pmf"), ("betabinom", (7, 2.3, 0.6), "logpmf pmf"),
]  # fmt: skip
CASES = [
    (name, shapes, f, tail)
    for table, tails in ((CONTINUOUS, ((), (0.5, 1.7))), (DISCRETE, ((), (1,))))
    for name, shapes, functions in table
    for f in functions.split()
    for tail in tails
]


def operands(name, shapes, f):
    """Where a function is tried: before its location and scale."""
    if f in ("ppf", "isf"):
        x = Q
    elif shapes == (20.0, 21.0):
        x = np.array([19.0, 20.1, 20.5, 20.9, 22.0])
    else:
        x = COUNTS if name in [d[0] for d in DISCRETE] else LINE
    return x, *shapes


@pytest.mark.parametrize(("name", "shapes", "f", "tail"), CASES)
def test_values_are_scipys(name, shapes, f, tail):
    ours = getattr(getattr(stats, name), f)
    arguments = (*operands(name, shapes, f), *tail)
    with np.errstate(all="ignore"):
        expected = getattr(getattr(scipy.stats, name), f)(*arguments)
        np.testing.assert_allclose(ours(*arguments), expected, rtol=1e-11, atol=1e-300)
        single = ours(*[np.float32(v) for v in arguments])
    assert single.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "shapes", "functions", "tail"),
    [(*row, (0.5, 1.7)) for row in CONTINUOUS] + [(*row, (1,)) for row in DISCRETE],
)
def test_compiled_values_are_scipys(name, shapes, functions, tail):
    names = functions.split()
    arguments = [(*operands(name, shapes, f), *tail) for f in names]
    ours = [getattr(getattr(stats, name), f) for f in names]
    together = fnad.jit(lambda arguments: [f(*xs) for f, xs in zip(ours, arguments)])
    for f, xs, found in zip(names, arguments, together(arguments)):
        with np.errstate(all="ignore"):
            expected = getattr(getattr(scipy.stats, name), f)(*xs)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-300, err_msg=f)


@tiered(
    "name,shapes,functions",
    CONTINUOUS[:14] + CONTINUOUS[15:],
    lambda row: row[0] not in ("gamma", "chi2", "beta"),  # special functions, tested as such
)
def test_derivatives_of_continuous_ones(name, shapes, functions):
    for f in functions.split():
        ours = getattr(getattr(stats, name), f)
        x = 0.3 if f in ("ppf", "isf") else 3.1 if name == "pareto" else 0.9
        check_grads(lambda *xs, ours=ours: ours(*xs), (x, *shapes, 0.1, 1.3), order=1)


@pytest.mark.parametrize(("name", "shapes", "functions"), DISCRETE)
def test_derivatives_in_parameters(name, shapes, functions):
    ours = getattr(stats, name).logpmf
    check_compiled_derivatives(lambda p: ours(1.0, *shapes[:-1], p), (shapes[-1],))


def test_derivatives_out_of_the_support_are_zero():
    for name, shapes in [
        ("gamma", (2.0,)),
        ("beta", (2.0, 2.0)),
        ("expon", ()),
        ("pareto", (2.0,)),
    ]:
        assert fnad.grad(getattr(stats, name).logpdf)(-1.0, *shapes) == 0


def test_vmap_over_parameters():
    scales = np.array([0.5, 1.0, 2.0])
    batched = fnad.vmap(lambda s: stats.gamma.cdf(LINE[3:6], 2.0, scale=s))(scales)
    np.testing.assert_allclose(batched, stats.gamma.cdf(LINE[3:6], 2.0, scale=scales[:, None]))


def test_dirichlet():
    alpha = np.array([0.5, 2.0, 3.0])
    x = np.array([0.2, 0.3, 0.5])
    expected = scipy.stats.dirichlet.logpdf(x, alpha)
    np.testing.assert_allclose(stats.dirichlet.logpdf(x, alpha), expected, rtol=1e-13)
    many = stats.dirichlet.pdf(np.stack([x, x + 1], axis=1), alpha)
    np.testing.assert_allclose(many, [np.exp(expected), 0], rtol=1e-13)
    check_grads(lambda a: stats.dirichlet.logpdf(x, a), (alpha,), order=2)
    np.testing.assert_allclose(stats.dirichlet.logpdf(x[:2], alpha), expected, rtol=1e-13)
    with pytest.raises(ValueError, match=r"dirichlet.*\(3,\).*\(1,\)"):
        stats.dirichlet.logpdf(x[:1], alpha)
    for odd in (0.0, -0.5, NAN):
        assert np.isnan(stats.dirichlet.logpdf(x, np.array([odd, 2.0, 3.0])))
    for dtype in (np.float16, ml_dtypes.bfloat16):
        rounded = np.array([0.1, 0.2, 0.7], dtype)
        assert rounded.astype(float).sum() != 1
        got = stats.dirichlet.pdf(rounded, alpha.astype(dtype))
        want = scipy.stats.dirichlet.pdf([0.1, 0.2, 0.7], alpha)
        assert got.dtype == dtype
        np.testing.assert_allclose(float(got), want, rtol=0.02)  # the points are rounded, too


def test_multinomial():
    p = np.array([0.2, 0.3, 0.5])
    x = np.array([[1, 2, 3], [6, 0, 0], [1, 1, 1], [-1, 4, 3]])
    expected = scipy.stats.multinomial.logpmf(x, 6, p)
    np.testing.assert_allclose(stats.multinomial.logpmf(x, 6, p), expected, rtol=1e-13)
    np.testing.assert_allclose(stats.multinomial.pmf(x, 6, p), np.exp(expected), rtol=1e-13)
    check_grads(lambda p: stats.multinomial.logpmf(x[0], 6, p), (p,), order=2)
    edge = np.array([0.0, 0.5, 0.5])
    got = fnad.grad(lambda p: stats.multinomial.pmf([1, 2, 3], 6, p))(edge)
    np.testing.assert_allclose(got, [60 / 32, 0, 0], rtol=1e-13)
    for odd in (-0.1, 1.2, NAN):
        assert np.isnan(stats.multinomial.logpmf([0, 2, 3], 5, np.array([odd, 0.5, 0.5])))
    assert np.isnan(stats.multinomial.pmf(x, np.array([-6, 5.5, NAN, -1]), p)).all()
    with pytest.raises(ValueError, match=r"multinomial.*\(2,\) and \(3,\)"):
        stats.multinomial.logpmf([1, 2], 3, p)


MU_ENTROPY = {
    0.0: 0.0,
    0.001: 0.007908101804632483,
    0.5: 0.9276374674957973,
    1.0: 1.3048422422562516,
    10.0: 2.5614099352749093,
    49.9: 3.372261850253865,
    50.1: 3.374268658327305,
    1000.0: 4.8727327976428505,
}


def test_poisson_entropy():
    # 30 digits of the sum over -p log p, by mpmath.
    mu = np.array([0.0, 1e-3, 0.5, 1.0, 10.0, 49.9, 50.1, 1e3, -1.0, NAN])
    expected = [MU_ENTROPY.get(float(m), NAN) for m in mu]
    for f in (stats.poisson.entropy, fnad.jit(stats.poisson.entropy)):
        np.testing.assert_allclose(f(mu), expected, rtol=2e-14)
    assert stats.poisson.entropy(mu.astype(np.float32)).dtype == np.float32
    assert stats.poisson.entropy(3).dtype == np.float64
    check_grads(stats.poisson.entropy, (np.array([0.3, 7.0, 80.0]),), order=2)


@pytest.mark.parametrize(
    ("name", "shapes", "f", "sign"),
    [
        ("laplace", (), "cdf", 1), ("gennorm", (1.5,), "cdf", 1), ("gennorm", (0.8,), "sf", -1),
        ("logistic", (), "cdf", 1), ("logistic", (), "sf", -1), ("norm", (), "cdf", 1),
        ("cauchy", (), "cdf", 1),
    ],
)  # fmt: skip
def test_slopes_of_distribution_functions_in_the_middle_are_densities(name, shapes, f, sign):
    ours, theirs = getattr(stats, name), getattr(scipy.stats, name)
    got = fnad.grad(lambda x: getattr(ours, f)(x, *shapes, 1.0, 2.0))(1.0)
    np.testing.assert_allclose(got, sign * theirs.pdf(1.0, *shapes, 1.0, 2.0), rtol=1e-12)


def test_slopes_of_logarithms_in_the_middle():
    for f, sign in ((stats.logistic.logcdf, 1), (stats.logistic.logsf, -1)):
        np.testing.assert_allclose(fnad.grad(lambda x, f=f: f(x, 1.0, 2.0))(1.0), sign * 0.25)


@pytest.mark.parametrize(("name", "shapes", "functions"), DISCRETE)
def test_probabilities_of_nan_are_nan(name, shapes, functions):
    for f in functions.split():
        assert np.isnan(getattr(getattr(stats, name), f)(NAN, *shapes)), f
