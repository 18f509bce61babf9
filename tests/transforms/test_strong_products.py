"""Gradients through products of which a select left lanes out, whatever these hold."""

import numpy as np
import pytest

import fnad
import fnad.lax as lax
import fnad.numpy as fnp
from fnad.primitives.checkpoint import checkpoint
from fnad.transforms.autodiff import grad
from fnad.transforms.jacobians import hessian, jacfwd, jacrev
from fnad.transforms.jit import jit
from fnad.transforms.tracing import make_jaxpr
from fnad.transforms.vmap import vmap

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")

# A row (example, first of an axis) of what is multiplied is not finite.
DATA = np.array([[1.0, 4.0, 2.0], [np.inf, -np.inf, np.nan], [3.0, 0.5, 1.0], [0.0, np.inf, 1.0]])
KERNEL = np.array([[1.0, -2.0], [0.5, 3.0], [2.0, 1.0]])
TAKEN = np.array([[True, False], [False, False], [True, True], [False, False]])


def _dense(w, x, taken):
    return fnp.where(taken, x @ w, 0.0) * np.array([2.0, 3.0])


def _dense_of_columns(w, x, taken):
    return fnp.where(taken.T, w.T @ x.T, 0.0).T * np.array([2.0, 3.0])


def _batches_of_rows(w, x, taken):
    each = fnp.matmul(x[:, None, :], fnp.broadcast_to(w, (len(x), *w.shape)))
    return fnp.where(taken, each[:, 0], 0.0) * np.array([2.0, 3.0])


def _mapped_rows(w, x, taken):
    return vmap(lambda x, t: fnp.where(t, x @ w, 0.0) * np.array([2.0, 3.0]))(x, taken)


def _of_a_call(w, x, taken):
    return fnp.where(taken, jit(lambda w, x: x @ w)(w, x), 0.0) * np.array([2.0, 3.0])


def _pointwise_convolution(w, x, taken):
    out = lax.conv_general_dilated(
        x[:, None], w[None], (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
    )
    return fnp.where(taken, out[:, 0], 0.0) * np.array([2.0, 3.0])


PRODUCTS = [
    _dense,
    _dense_of_columns,
    _batches_of_rows,
    _mapped_rows,
    _of_a_call,
    _pointwise_convolution,
]
products = pytest.mark.parametrize("product", PRODUCTS)
transforms = pytest.mark.parametrize("transform", [lambda f: f, jit], ids=["eager", "jit"])


def _over_taken(x, taken, factors=(2.0, 3.0)):
    """The gradient by the weights, summed over the lanes that were taken alone."""
    out = np.zeros((x.shape[1], 2), x.dtype)
    for i, j in np.argwhere(np.broadcast_to(taken, (len(x), 2))):
        out[:, j] += x[i] * factors[j]
    return out


@transforms
@products
@pytest.mark.parametrize(
    "taken", [TAKEN, TAKEN[:, 1:], TAKEN[:, 1:] & np.ones((1, 2), bool)], ids=["each", "row", "and"]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_sums_over_lanes_not_taken(transform, product, taken, dtype):
    x, w = DATA.astype(dtype), KERNEL.astype(dtype)
    function = lambda w, x: fnp.sum(fnp.real(product(w, x, taken)))
    got = transform(grad(function))(w, x)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, _over_taken(x, taken))
    # The weights not finite, in a feature that is not taken: as if it were none.
    w[:, 1] = [np.inf, np.nan, -np.inf]
    features = taken & np.array([True, False])
    function = lambda x, w: fnp.sum(fnp.real(product(w, x, features)))
    got = transform(grad(function))(np.ones_like(x), w)
    expected = np.where(features[:, :1], 2.0 * w[:, 0], 0.0)
    np.testing.assert_array_equal(got, np.broadcast_to(expected, x.shape))


@transforms
@products
def test_what_is_not_finite_in_a_taken_lane_shows(transform, product):
    x = DATA.copy()
    x[2] = [np.nan, np.inf, 1.0]
    got = transform(grad(lambda w, x: fnp.sum(product(w, x, TAKEN))))(KERNEL, x)
    met = _over_taken(np.where(TAKEN.any(1, keepdims=True), x, 0.0), TAKEN)
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(met))
    np.testing.assert_array_equal(got[2], met[2])
    assert np.all(np.isnan(got[0]))


@transforms
@products
def test_second_derivatives_of_products(transform, product):
    def function(w, x):
        return fnp.sum(product(w, x, TAKEN) ** 2)

    clean = np.where(TAKEN.any(1, keepdims=True), DATA, 0.0)
    for twice in (hessian, lambda f: jacrev(jacrev(f)), lambda f: jacrev(jacfwd(f))):
        got = transform(twice(function))(KERNEL, DATA)
        expected = np.zeros((3, 2, 3, 2))
        for j, factor in enumerate((2.0, 3.0)):
            rows = clean[TAKEN[:, j]]
            expected[:, j, :, j] = 2 * factor**2 * rows.T @ rows
        np.testing.assert_allclose(got, expected)


@transforms
def test_gradients_of_each_example_where_one_is_not_finite(transform):
    each = vmap(grad(lambda w, x, t: fnp.sum(fnp.where(t, x @ w, 0.0))), in_axes=(None, 0, 0))
    got = transform(each)(KERNEL, DATA, TAKEN)
    np.testing.assert_array_equal(got, np.where(TAKEN[:, None, :], DATA[:, :, None], 0.0))


@transforms
def test_a_convolution_leaves_single_elements_out(transform):
    rng = np.random.default_rng(0)
    images, kernels = rng.normal(size=(2, 5, 5, 2)), rng.normal(size=(3, 3, 2, 4))
    images[1, 4, 4, 0] = np.inf
    taken = rng.random((2, 5, 5, 4)) < 0.5
    taken[1, 3:, 3:] = False

    def function(kernels, images):
        out = lax.conv_general_dilated(
            images, kernels, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return fnp.sum(fnp.where(taken, out, 0.0) ** 2)

    clean = np.where(np.isfinite(images), images, 0.0)
    got = transform(grad(function))(kernels, images)
    np.testing.assert_allclose(got, grad(function)(kernels, clean), rtol=1e-12)


@transforms
def test_what_no_live_lane_is_made_of_is_zero(transform):
    # Row 1 of x goes into lanes that are not taken alone, and has an infinite slope.
    rows = np.where(TAKEN.any(1, keepdims=True), np.abs(DATA) + 1.0, 0.0)
    weights = np.where(TAKEN, 1.0, 0.0) @ (KERNEL * np.array([2.0, 3.0])).T
    function = lambda x, w: fnp.sum(_dense(w, fnp.sqrt(x), TAKEN))
    expected = np.where(rows > 0, weights / (2 * np.sqrt(np.maximum(rows, 1.0))), 0.0)
    np.testing.assert_allclose(transform(grad(function))(rows, KERNEL), expected)


@transforms
@pytest.mark.parametrize("groups", [1, 2])
def test_pixels_that_no_live_window_reads(transform, groups):
    rng = np.random.default_rng(0)
    images, kernels = rng.random((2, 2, 7, 7)) + 1.0, rng.normal(size=(4, 2 // groups, 3, 3))
    taken = np.zeros((2, 4, 4, 4), bool)
    taken[0, :2, 0, 1] = taken[1, 2, 2:, 2:] = True

    def function(images, kernels):
        out = lax.conv_general_dilated(
            fnp.sqrt(images), kernels, (2, 2), "SAME", feature_group_count=groups
        )
        return fnp.sum(fnp.where(taken, out, 0.0) ** 2)

    read = np.zeros((2, 1, 7, 7), bool)
    for n, _, i, j in np.argwhere(taken):
        read[n, :, max(2 * i - 1, 0) : 2 * i + 2, max(2 * j - 1, 0) : 2 * j + 2] = True
    expected = np.where(read, grad(function)(images, kernels), 0.0)
    got = transform(grad(function))(np.where(read, images, 0.0), kernels)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def _spectrum(x, taken):
    return fnp.where(taken, fnp.fft.rfft(fnp.sqrt(x), axis=1), 0.0)


def _spectrum_and_back(x, taken):
    return fnp.where(taken, fnp.fft.irfft(fnp.fft.fft(fnp.sqrt(x), axis=1), axis=1), 0.0)


def _pooled(x, taken):
    sums = lax.reduce_window(fnp.sqrt(x), 0.0, lax.add, (1, 2), (1, 2), "VALID")
    return fnp.where(taken, sums, 0.0)


def _behind_a_barrier(x, taken):
    return fnp.where(taken, lax.optimization_barrier(fnp.sqrt(x)), 0.0)


def _recomputed(x, taken):
    return checkpoint(lambda x: fnp.where(taken, fnp.sqrt(x) @ np.ones((4, 2)), 0.0))(x)


@transforms
@pytest.mark.parametrize(
    "function", [_spectrum, _spectrum_and_back, _pooled, _behind_a_barrier, _recomputed]
)
def test_sums_of_no_live_lane_are_zero(transform, function):
    x = np.array([[1.0, 4.0, 9.0, 2.0], [0.0, 0.0, 0.0, 0.0], [4.0, 1.0, 1.0, 3.0]])
    taken = np.array([[True], [False], [True]])
    taken = np.broadcast_to(taken, function(x, taken).shape) & np.ones((3, 1), bool)
    loss = lambda x: fnp.sum(fnp.abs(function(x, taken)) ** 2)
    got = transform(grad(loss))(x)
    expected = np.zeros_like(x)
    for i in (0, 2):
        of_row = lambda row, i=i: fnp.sum(fnp.abs(function(row[None], taken[i : i + 1])) ** 2)
        expected[i] = grad(of_row)(x[i])
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_ordinary_zeros_go_without_checks():
    def loss(w, x, activation):
        return fnp.sum(activation(x @ w) @ w.T)

    x, w = np.ones((2, 3)), np.ones((3, 4))
    own = lambda z: fnp.where(z <= 0, 0, lax.ordinary_zeros(z))
    nn = fnad.nn
    smooth = nn.softplus, nn.log_sigmoid, lambda z: fnp.logaddexp(z, 2 * z)
    for activation in (
        nn.relu,
        nn.relu6,
        nn.hard_tanh,
        nn.elu,
        nn.celu,
        nn.leaky_relu,
        own,
        *smooth,
    ):
        text = str(make_jaxpr(grad(loss), static_argnums=2)(w, x, activation))
        assert "masked_dot" not in text
    for transform in (lambda f: f, jit):
        got = transform(lambda z: grad(lambda z: fnp.sum(fnad.nn.relu(z)))(z))(np.array([-1.0, 2]))
        np.testing.assert_array_equal(got, [0.0, 1.0])


@transforms
def test_positions_of_attention_that_are_left_out(transform):
    rng = np.random.default_rng(0)
    query, key, value = (rng.normal(size=(2, 5, 2, 3)) for _ in range(3))
    real = np.array([[True, True, False, True, False], [True, False, True, True, True]])

    def function(query, key, value):
        outs = fnad.nn.dot_product_attention(query, key, value)
        return fnp.sum(fnp.where(real[:, :, None, None], outs, 0.0) ** 2)

    every = grad(function, argnums=(0, 1, 2))
    spoiled = np.where(real[:, :, None, None], query, np.array([np.inf, np.nan, 1.0]))
    for got, expected in zip(transform(every)(spoiled, key, value), every(query, key, value)):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)
    # One that was taken shows.
    assert np.isnan(
        transform(every)(np.where(real[:, :, None, None], np.nan, query), key, value)[1]
    ).all()


def _gram(x, taken):
    roots = fnp.sqrt(x)
    return fnp.where(taken, roots @ roots.T, 1.0)


def _two_layers(x, taken):
    roots = fnp.sqrt(x)
    return fnp.where(taken, fnp.tanh(roots @ KERNEL @ KERNEL.T) @ roots.T, 1.0)


@transforms
@pytest.mark.parametrize("function", [_gram, _two_layers])
def test_second_derivatives_where_both_factors_have_infinite_ones(transform, function):
    x = np.array([[1.0, 4.0, 2.0], [0.0, 0.0, 0.0], [3.0, 0.5, 1.0], [2.0, 1.0, 1.5]])
    real = np.array([True, False, True, True])
    taken = real[:, None] & real & ~np.eye(4, dtype=bool)
    loss = lambda x, taken: fnp.sum(function(x, taken) ** 2)
    for twice in (hessian, lambda f: jacrev(jacrev(f)), lambda f: jacrev(jacfwd(f))):
        got = transform(twice(lambda x: loss(x, taken)))(x)
        expected = np.zeros((4, 3, 4, 3))
        inner = twice(lambda x: loss(x, ~np.eye(3, dtype=bool)))(x[real])
        expected[np.ix_(real, range(3), real, range(3))] = inner
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


@transforms
@pytest.mark.parametrize(
    "activation",
    [
        fnad.nn.relu,
        fnad.nn.relu6,
        fnad.nn.hard_tanh,
        fnad.nn.elu,
        fnad.nn.leaky_relu,
        fnad.nn.gelu,
        fnad.nn.softplus,
    ],
)
def test_rows_left_out_behind_an_activation(transform, activation):
    def function(w, x, real):
        return fnp.sum(fnp.where(real[:, None], activation(x @ w) @ w.T, 0.0) ** 2)

    real = TAKEN.any(1)
    both = grad(function, argnums=(0, 1))
    clean = np.where(real[:, None], DATA, 0.5)
    of_w, of_x = both(KERNEL, clean, real)
    for spoiled in (
        DATA,
        np.where(real[:, None], DATA, np.inf),
        np.where(real[:, None], DATA, np.nan),
    ):
        got_w, got_x = transform(both)(KERNEL, spoiled, real)
        np.testing.assert_allclose(got_w, of_w, rtol=1e-12)
        np.testing.assert_allclose(got_x, np.where(real[:, None], of_x, 0.0), rtol=1e-12)
