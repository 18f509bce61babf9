"""Normal vectors, estimated densities, ranks and kin: against SciPy, compiled, with derivatives."""

import ml_dtypes
import numpy as np
import pytest
import scipy.stats

import fnad
from fnad.scipy import stats
from fnad.testing import check_grads
from tests.samples.linalg import positive_definite
from tests.samples.values import normal

pytestmark = pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")

MVN = stats.multivariate_normal


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3)])
def test_normal_vectors(shape):
    x, mean, cov = normal(*shape), normal(3), positive_definite(3, 3)
    expected = scipy.stats.multivariate_normal.logpdf(x, mean, cov)
    for f in (MVN.logpdf, fnad.jit(MVN.logpdf)):
        np.testing.assert_allclose(f(x, mean, cov), expected, rtol=1e-12)
    np.testing.assert_allclose(MVN.pdf(x, mean, cov), np.exp(expected), rtol=1e-12)
    single = MVN.logpdf(*(np.float32(v) for v in (x, mean, cov)))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=1e-5)
    check_grads(MVN.logpdf, (x, mean, cov), order=1)


def test_stacks_of_means_and_covariances():
    x, mean, cov = normal(5, 1, 3), normal(2, 3), positive_definite(2, 3, 3)
    expected = [
        [scipy.stats.multivariate_normal.logpdf(v[0], m, c) for m, c in zip(mean, cov)] for v in x
    ]
    np.testing.assert_allclose(MVN.logpdf(x, mean, cov), expected, rtol=1e-12)
    mapped = fnad.vmap(MVN.logpdf, (None, 0, 0))(x[0, 0], mean, cov)
    np.testing.assert_allclose(mapped, expected[0], rtol=1e-12)


def test_numbers_in_place_of_matrices():
    x = normal(4, 3)
    expected = scipy.stats.multivariate_normal.logpdf(x, np.zeros(3), 2.5)
    np.testing.assert_allclose(MVN.logpdf(x, np.zeros(3), 2.5), expected, rtol=1e-13)
    expected = scipy.stats.norm.logpdf(x, 0.5, 2)
    np.testing.assert_allclose(MVN.logpdf(x, 0.5, 4.0), expected, rtol=1e-13)
    assert np.isnan(MVN.logpdf(x[0], np.zeros(3), -np.eye(3)))
    with pytest.raises(ValueError, match=r"got shapes \(2,\), \(3,\) and \(3, 3\)"):
        MVN.logpdf(np.ones(2), np.ones(3), np.eye(3))
    with pytest.raises(ValueError, match=r"got shapes \(2,\), \(3,\) and \(\)"):
        MVN.logpdf(np.ones(2), np.ones(3), 2.0)


X, COV = normal(4, 3), positive_definite(3, 3)


@pytest.mark.parametrize(
    "arguments",
    [
        (X[0],),
        (X, None, COV),
        (X, normal(3), np.array([1.0, 2.0, 3.0])),
        (X, np.zeros(3), np.array([1.0, -2.0, 3.0])),
        (X[0], np.zeros(1), 2.0),
        (X[0], np.ones(1), np.array([[2.0]])),
        (X[0], 1.0, np.array([[2.0]])),
        (1.5, np.zeros(1), np.array([[2.0]])),
        (X[:0], None, COV),
        (np.array([[1, 0, 2]]), np.array([0, 1, 0]), np.diag([1, 2, 3])),
        (np.array([np.nan, 0, np.inf]), None, COV),
    ],
)
def test_means_and_covariances_in_short(arguments):
    try:
        expected = scipy.stats.multivariate_normal.logpdf(*arguments)
    except ValueError:  # not positive definite
        expected = np.full(4, np.nan)
    for f in (MVN.logpdf, fnad.jit(MVN.logpdf)):
        got = f(*arguments)
        np.testing.assert_allclose(np.squeeze(got), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_sixteen_bits(dtype):
    x = np.array([1, 2, 2, 4], dtype)
    with_nan = np.array([1, np.nan, np.nan, 4], dtype)
    got = MVN.logpdf(x, np.zeros(4, dtype), np.eye(4).astype(dtype))
    assert got.dtype == dtype
    np.testing.assert_allclose(float(got), -16.1757541, rtol=4e-3)
    assert stats.poisson.entropy(x).dtype == stats.sem(x).dtype == dtype
    assert stats.mode(x).mode.dtype == dtype
    assert np.isnan(stats.rankdata(with_nan)).all()
    assert stats.mode(with_nan).count == 2
    assert tuple(stats.mode(with_nan, nan_policy="omit")) == (1, 1)
    kde = stats.gaussian_kde(x)
    expected = scipy.stats.gaussian_kde(x.astype(float)).pdf(1.5)
    np.testing.assert_allclose(kde.pdf(dtype(1.5)), expected, rtol=1e-5)


@pytest.mark.parametrize("method", ["average", "min", "max", "dense", "ordinal"])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_ranks(method, axis):
    a = np.random.default_rng(0).integers(0, 4, (5, 4))
    expected = scipy.stats.rankdata(a, method, axis=axis)
    run = lambda a: stats.rankdata(a, method, axis=axis)
    for f in (run, fnad.jit(run)):
        got = f(a)
        np.testing.assert_array_equal(got, expected.reshape(got.shape))
        assert got.dtype == np.float64


@pytest.mark.parametrize("policy", ["propagate", "omit"])
def test_nan_among_numbers(policy):
    a = np.array([[1.0, 2, 2], [np.nan, 0, 2], [1, 2, 0], [5, 1, 1]])
    expected = scipy.stats.rankdata(a, axis=0, nan_policy=policy)
    got = fnad.jit(lambda a: stats.rankdata(a, axis=0, nan_policy=policy))(a)
    np.testing.assert_array_equal(got, expected)
    expected = scipy.stats.sem(a, nan_policy=policy)
    got = fnad.jit(lambda a: stats.sem(a, nan_policy=policy))(a)
    np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_the_most_frequent():
    a = np.random.default_rng(0).integers(0, 4, (5, 4))
    for axis, keepdims in ((0, False), (1, True), (None, False), (None, True)):
        expected = scipy.stats.mode(a, axis, keepdims=keepdims)
        got = fnad.jit(lambda a, x=axis, k=keepdims: stats.mode(a, x, keepdims=k))(a)
        np.testing.assert_array_equal(got.mode, expected.mode)
        np.testing.assert_array_equal(got.count, expected.count)
    nan = np.array([np.nan, np.nan, np.nan, 2, 1, 2])
    assert tuple(stats.mode(nan, nan_policy="omit")) == (2, 2)
    assert stats.mode(nan).count == 3 and np.isnan(stats.mode(nan).mode)
    assert type(stats.mode(np.array([2.0])).mode) is np.float64
    value, count = stats.mode(np.zeros((0, 2)))
    assert np.isnan(value).all() and not count.any()


def test_errors_of_means():
    a = normal(4, 5)
    for axis, ddof in ((0, 1), (1, 0), (None, 1)):
        expected = scipy.stats.sem(a, axis, ddof)
        np.testing.assert_allclose(stats.sem(a, axis, ddof), expected, rtol=1e-14)
    few = np.array([[1.0, np.nan, 2.0, 5.0], [2.0, np.nan, np.nan, 3.0]])
    with np.errstate(all="ignore"):
        for policy in ("propagate", "omit"):
            for ddof in (0, 1, 2, 3):
                for keepdims in (False, True):
                    options = {"ddof": ddof, "nan_policy": policy, "keepdims": keepdims}
                    for x in (few, few[0, :1], few[0, 0], np.ones((0, 3))):
                        expected = scipy.stats.sem(x, **options)
                        got = stats.sem(x, **options)
                        np.testing.assert_allclose(got, expected, rtol=1e-14)
                        assert got.shape == expected.shape
    check_grads(stats.sem, (a,), order=1)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("bandwidth", [None, "silverman", 0.4])
@pytest.mark.parametrize("weighted", [False, True])
def test_estimated_densities(d, bandwidth, weighted):
    data, points = normal(d, 12), normal(d, 5)
    weights = np.arange(1.0, 13) if weighted else None
    theirs = scipy.stats.gaussian_kde(data, bandwidth, weights)
    ours = fnad.jit(lambda x: stats.gaussian_kde(x, bandwidth, weights))(data)
    for name in ("neff", "covariance", "inv_cov", "weights"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-10)
    for name in ("evaluate", "pdf", "logpdf"):
        expected = getattr(theirs, name)(points)
        np.testing.assert_allclose(getattr(ours, name)(points), expected, rtol=1e-11)
    mean, cov = np.ones(d), 2 * np.eye(d)
    expected = theirs.integrate_gaussian(mean, cov)
    np.testing.assert_allclose(ours.integrate_gaussian(mean, cov), expected, rtol=1e-11)
    np.testing.assert_allclose(ours.integrate_kde(ours), theirs.integrate_kde(theirs), rtol=1e-11)
    if d == 1:
        expected = theirs.integrate_box_1d(-1, 2)
        np.testing.assert_allclose(ours.integrate_box_1d(-1.0, 2.0), expected, rtol=1e-11)
    estimate = lambda data, x: stats.gaussian_kde(data, bandwidth, weights).logpdf(x)
    if not weighted:
        check_grads(estimate, (data, points), order=1)


def test_samples_of_an_estimated_density():
    kde = stats.gaussian_kde(
        np.array(
            [
                [-5.0, 5.0],
                [0.0, 1.0],
            ]
        )[:, [0, 1, 0, 1, 1]]
        + normal(2, 5)
    )
    samples = kde.resample(fnad.random.PRNGKey(0), (3, 2000))
    assert samples.shape == (2, 3, 2000)
    np.testing.assert_allclose(np.mean(samples, (1, 2)), np.mean(kde.dataset, 1), atol=0.3)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: stats.gaussian_kde([1.0]), "n at least 2"),
        (lambda: stats.gaussian_kde(np.ones((2, 3)), weights=np.ones(2)), r"shape \(3,\)"),
        (lambda: stats.gaussian_kde(normal(3), "best"), "bw_method must be"),
        (lambda: stats.gaussian_kde(normal(3), np.ones(2)), "bw_method must be"),
        (lambda: stats.gaussian_kde(normal(2, 5)).pdf(np.ones((3, 1))), r"shape \(2, m\)"),
        (lambda: stats.gaussian_kde(normal(2, 5)).integrate_box_1d(0, 1), "not 2 each"),
        (lambda: stats.rankdata([1, 2], "best"), "method must be one of"),
        (lambda: stats.mode([1, 2], nan_policy="raise"), "nan_policy must be"),
    ],
)
def test_errors(function, message):
    with pytest.raises(ValueError, match=message):
        function()
