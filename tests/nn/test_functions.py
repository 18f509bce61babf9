"""Activations and their kin against NumPy/SciPy formulas, in value, derivative and dtype."""

import mpmath
import numpy as np
import pytest
import scipy.special

import fnad
from fnad import nn
from fnad.testing import check_grads

X = np.array([-3.0, -1.5, -0.2, 0.0, 0.3, 1.0, 2.5, 7.0])
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772

FORMULAS = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": scipy.special.expit,
    "log_sigmoid": lambda x: np.log(scipy.special.expit(x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "soft_sign": lambda x: x / (1 + np.abs(x)),
    "silu": lambda x: x * scipy.special.expit(x),
    "tanh": np.tanh,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "celu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "selu": lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * (np.exp(x) - 1)),
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_silu": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "sparse_plus": lambda x: np.select([x <= -1, x >= 1], [0, x], (x + 1) ** 2 / 4),
    "sparse_sigmoid": lambda x: np.clip(x + 1, 0, 2) / 2,
    "identity": lambda x: x,
    "logmeanexp": lambda x: scipy.special.logsumexp(x) - np.log(len(x)),
    "softmax": lambda x: scipy.special.softmax(x),
    "log_softmax": lambda x: scipy.special.log_softmax(x),
    "logsumexp": lambda x: scipy.special.logsumexp(x),
    "standardize": lambda x: (x - x.mean()) / np.sqrt(x.var() + 1e-5),
    "glu": lambda x: x[:4] * scipy.special.expit(x[4:]),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_function_is_its_formula(name):
    function, formula = getattr(nn, name), FORMULAS[name]
    np.testing.assert_allclose(function(X), formula(X), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(fnad.jit(function)(X), formula(X), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", FORMULAS)
def test_dtype_is_kept(name, dtype):
    x = X.astype(dtype)
    assert getattr(nn, name)(x).dtype == dtype
    assert fnad.jit(getattr(nn, name))(x).dtype == dtype


@pytest.mark.parametrize("name", FORMULAS)
def test_derivative(name):
    function, x = getattr(nn, name), X + 0.01
    weights = np.linspace(-1.0, 2.0, np.size(function(x)))
    total = lambda x: (function(x).reshape(-1) * weights).sum()
    h = 1e-6
    steps = h * np.eye(len(x))
    numeric = [(total(x + s) - total(x - s)) / (2 * h) for s in steps]
    np.testing.assert_allclose(fnad.grad(total)(x), numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", sorted(set(FORMULAS) - {"glu", "standardize"}))
def test_derivative_is_finite_far_out(name):
    x = np.array([-1e4, -50.0, 0.0, 50.0, 1e4], np.float32)
    gradient = fnad.grad(lambda x: getattr(nn, name)(x).sum())(x)
    assert np.isfinite(gradient).all()


def test_exact_gelu():
    expected = X * scipy.special.ndtr(X)
    np.testing.assert_allclose(nn.gelu(X, approximate=False), expected, rtol=1e-12, atol=1e-14)


def test_squareplus_far_out_and_with_a_parameter():
    x, b = np.array([-1e300, -1e8, -3.0, 2.0, 1e300]), np.array([4.0, 2.0, 1.0, 0.5, 3.0])
    with mpmath.workdps(700):
        wanted = [
            float((mpmath.mpf(v) + mpmath.sqrt(mpmath.mpf(v) ** 2 + w)) / 2) for v, w in zip(x, b)
        ]
    np.testing.assert_allclose(nn.squareplus(x, b), wanted, rtol=1e-15)
    check_grads(nn.squareplus, (x[2:4], b[2:4]), order=2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log1mexp(dtype):
    x = np.array([1e-30, 1e-8, 0.1, 0.69, 0.7, 3.0, 40.0, 80.0], dtype)
    with mpmath.workdps(60):
        exact = [-mpmath.expm1(-mpmath.mpf(float(v))) for v in x]
        wanted = [float(mpmath.log(v)) for v in exact]
        slopes = [float((1 - v) / v) for v in exact]
    for f in (nn.log1mexp, fnad.jit(nn.log1mexp)):
        assert f(x).dtype == dtype
        np.testing.assert_allclose(f(x), wanted, rtol=4 * np.finfo(dtype).eps)
    got = fnad.grad(lambda x: nn.log1mexp(x).sum())(x)
    np.testing.assert_allclose(got, slopes, rtol=8 * np.finfo(dtype).eps)
    assert nn.log1mexp(dtype(0)) == -np.inf and nn.log1mexp(dtype(np.inf)) == 0


def test_logmeanexp_axes_and_where():
    x = np.random.default_rng(0).standard_normal((2, 3)) * 100
    mask = np.array([[True, True, False], [False, False, False]])
    wanted = scipy.special.logsumexp(x, axis=0, keepdims=True) - np.log(2)
    np.testing.assert_allclose(nn.logmeanexp(x, 0, keepdims=True), wanted)
    with np.errstate(invalid="ignore", divide="ignore"):
        held = nn.logmeanexp(x, 1, where=mask)
    np.testing.assert_allclose(held[0], scipy.special.logsumexp(x[0, :2]) - np.log(2))
    assert np.isnan(held[1])


def test_relu_at_zero_and_nan():
    assert fnad.grad(nn.relu)(0.0) == 0
    assert np.isnan(nn.relu(np.array([np.nan]))[0])


def test_softmax_axis_and_where():
    x = np.arange(6.0).reshape(2, 3)
    mask = np.array([[True, True, False], [True, False, True]])
    np.testing.assert_allclose(nn.softmax(x, axis=0), scipy.special.softmax(x, axis=0))
    held = nn.softmax(x, where=mask)
    np.testing.assert_allclose(held.sum(-1), 1)
    np.testing.assert_array_equal(held[~mask], 0)
    np.testing.assert_allclose(nn.log_softmax(x, where=mask)[mask], np.log(held[mask]))


def test_logsumexp_axes_and_infinities():
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    for axis in (None, 0, (0, 2)):
        for keepdims in (False, True):
            expected = scipy.special.logsumexp(x, axis=axis, keepdims=keepdims)
            np.testing.assert_allclose(nn.logsumexp(x, axis, keepdims=keepdims), expected)
    assert nn.logsumexp(np.array([-np.inf, -np.inf])) == -np.inf
    assert nn.logsumexp(np.array([np.inf, 0.0])) == np.inf


def test_one_hot():
    labels = np.array([[0, 2], [1, 5]])
    expected = np.zeros((2, 2, 3), np.float32)
    expected[0, 0, 0] = expected[0, 1, 2] = expected[1, 0, 1] = 1
    found = nn.one_hot(labels, 3)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(nn.one_hot(labels, 3, axis=0), np.moveaxis(expected, -1, 0))
    np.testing.assert_array_equal(nn.one_hot(labels, 3, axis=1), np.moveaxis(expected, -1, 1))


def test_standardize_of_chosen_elements():
    x, where = np.array([[1.0, 2.0, 9.0]]), np.array([[True, True, False]])
    wanted = (x - 1.5) / np.sqrt(0.25 + 1e-5)
    for run in (nn.standardize, fnad.jit(nn.standardize)):
        np.testing.assert_allclose(run(x, where=where), wanted, rtol=1e-14)
