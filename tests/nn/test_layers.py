"""Layers against plain NumPy, and the errors that name them."""

import dataclasses

import numpy as np
import pytest

import fnad
from fnad import nn, random, tree

KEY = random.key(0)
RNG = np.random.default_rng(0)


def convolve(x, kernel, strides, dilation, groups):
    """Valid cross-correlation of NHWC with HWIO by loops over the taps."""
    height, width, per_group, outputs = kernel.shape
    rows = (x.shape[1] - dilation * (height - 1) - 1) // strides + 1
    cols = (x.shape[2] - dilation * (width - 1) - 1) // strides + 1
    y = np.zeros((len(x), rows, cols, outputs))
    for g in range(groups):
        ins = slice(g * per_group, (g + 1) * per_group)
        outs = slice(g * (outputs // groups), (g + 1) * (outputs // groups))
        for i in range(height):
            for j in range(width):
                top, left = i * dilation, j * dilation
                patch = x[
                    :,
                    top : top + rows * strides : strides,
                    left : left + cols * strides : strides,
                    ins,
                ][:, :rows, :cols]
                y[..., outs] += patch @ kernel[i, j, :, outs]
    return y


def test_dense():
    layer = nn.Dense(3, 2)
    params = layer.init(KEY)
    assert tree.map(lambda p: (p.shape, p.dtype.name), params, is_leaf=None) == {
        "kernel": ((3, 2), "float32"),
        "bias": ((2,), "float32"),
    }
    params["bias"] = np.float32([1, -1])
    x = RNG.standard_normal((4, 5, 3)).astype(np.float32)
    expected = x @ params["kernel"] + params["bias"]
    np.testing.assert_allclose(layer.apply(params, x), expected, rtol=1e-5, atol=1e-6)
    assert layer.apply(params, x).dtype == np.float32
    assert set(nn.Dense(3, 2, use_bias=False).init(KEY)) == {"kernel"}
    assert nn.Dense(3, 2, dtype=np.float64).init(KEY)["kernel"].dtype == np.float64


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"strides": 2},
        {"kernel_dilation": 2},
        {"feature_group_count": 2},
        {"strides": 2, "kernel_dilation": 2, "feature_group_count": 4},
    ],
    ids=str,
)
def test_conv_valid(settings, jit):
    layer = nn.Conv(4, 8, (3, 2), padding="VALID", dtype=np.float64, **settings)
    params = layer.init(KEY)
    x = RNG.standard_normal((2, 9, 8, 4))
    apply = fnad.jit(layer.apply) if jit else layer.apply
    expected = convolve(
        x,
        params["kernel"],
        settings.get("strides", 1),
        settings.get("kernel_dilation", 1),
        settings.get("feature_group_count", 1),
    )
    np.testing.assert_allclose(apply(params, x), expected, rtol=1e-10, atol=1e-12)


def test_conv_padding():
    same = nn.Conv(1, 1, (3, 3), strides=2, dtype=np.float64)
    params = same.init(KEY)
    x = RNG.standard_normal((1, 8, 7, 1))
    # SAME for length 8, window 3, stride 2: one row behind; for length 7: one on both sides.
    padded = np.pad(x, [(0, 0), (0, 1), (1, 1), (0, 0)])
    expected = convolve(padded, params["kernel"], 2, 1, 1)
    np.testing.assert_allclose(same.apply(params, x), expected, rtol=1e-10)
    explicit = nn.Conv(1, 1, (3, 3), strides=2, padding=((0, 1), (1, 1)), dtype=np.float64)
    np.testing.assert_allclose(explicit.apply(params, x), expected, rtol=1e-10)


@pytest.mark.parametrize("rank", [1, 3])
def test_conv_of_other_ranks(rank):
    layer = nn.Conv(2, 3, (1,) * rank, dtype=np.float64)
    params = layer.init(KEY)
    x = RNG.standard_normal((2, *range(4, 4 + rank), 2))
    expected = x @ params["kernel"].reshape(2, 3)
    np.testing.assert_allclose(layer.apply(params, x), expected, rtol=1e-10)


def test_conv_takes_integers_as_numpy_promotes_them():
    layer = nn.Conv(1, 2, (3, 3))
    images = np.full((1, 4, 4, 1), 255, np.uint8)
    assert layer.apply(layer.init(KEY), images).dtype == np.float32


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_pooling(jit):
    x = RNG.standard_normal((2, 4, 6, 3))
    wrap = fnad.jit if jit else (lambda f: f)
    blocks = x.reshape(2, 2, 2, 3, 2, 3)
    found = wrap(nn.MaxPool((2, 2)).apply)(None, x)
    np.testing.assert_array_equal(found, blocks.max((2, 4)))
    found = wrap(nn.AvgPool((2, 2)).apply)(None, x)
    np.testing.assert_allclose(found, blocks.mean((2, 4)))
    overlapping = wrap(nn.MaxPool((3,), strides=1, padding="SAME").apply)(None, x[0])
    padded = np.pad(x[0], [(0, 0), (1, 1), (0, 0)], constant_values=-np.inf)
    expected = np.maximum(np.maximum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    np.testing.assert_array_equal(overlapping, expected)
    averaged = wrap(nn.AvgPool((2,), 1, ((1, 0),)).apply)(None, np.ones((1, 3, 1)))
    np.testing.assert_allclose(averaged[0, :, 0], [0.5, 1, 1])


def test_max_pool_gradient_goes_to_the_greatest():
    x = RNG.permutation(16.0 * np.ones(16) + np.arange(16)).reshape(1, 4, 4, 1)
    gradient = fnad.grad(lambda x: nn.MaxPool((2, 2)).apply(None, x).sum())(x)
    blocks = x.reshape(2, 2, 2, 2)
    expected = (blocks == blocks.max((1, 3), keepdims=True)).reshape(x.shape)
    np.testing.assert_array_equal(gradient, expected)


def test_embedding():
    layer = nn.Embedding(10, 4)
    params = layer.init(KEY)
    indices = np.array([[1, 9], [0, 1]])
    np.testing.assert_array_equal(layer.apply(params, indices), params["embedding"][indices])
    gradient = fnad.grad(lambda p: layer.apply(p, indices).sum())(params)["embedding"]
    np.testing.assert_array_equal(gradient[:, 0], np.bincount(indices.ravel(), minlength=10))


def test_layer_norm():
    layer = nn.LayerNorm(6)
    params = layer.init(KEY)
    params = {"scale": 2 * params["scale"], "bias": params["bias"] + np.float32(1)}
    x = RNG.standard_normal((3, 6)).astype(np.float32)
    centered = x - x.mean(-1, keepdims=True)
    expected = 2 * centered / np.sqrt(x.var(-1, keepdims=True) + 1e-6) + 1
    found = layer.apply(params, x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_dropout():
    x = np.ones((100, 100), np.float32)
    layer = nn.Dropout(0.25)
    y = layer.apply(None, x, key=KEY)
    assert y.dtype == np.float32
    assert set(np.unique(y)) == {np.float32(0), np.float32(1) / np.float32(0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    np.testing.assert_array_equal(layer.apply(None, x, key=KEY), y)
    assert (layer.apply(None, x, key=random.key(1)) != y).any()
    np.testing.assert_array_equal(layer.apply(None, x, deterministic=True), x)
    np.testing.assert_array_equal(nn.Dropout(1.0).apply(None, x, key=KEY), 0)
    with pytest.raises(ValueError, match="Dropout needs randomness"):
        layer.apply(None, x)
    with pytest.raises(ValueError, match="rate must be between 0 and 1, got 2"):
        nn.Dropout(2)


def test_sequential():
    model = nn.Sequential(
        nn.Conv(1, 2, (3, 3)),
        nn.Activation(nn.relu),
        nn.Flatten(),
        nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5)),
        nn.Dense(8, 3),
    )
    params = model.init(KEY)
    x = RNG.standard_normal((5, 2, 2, 1)).astype(np.float32)
    y = x
    for layer, p in zip(model.layers[:3], params):
        y = layer.apply(p, y)
    y = model.layers[4].apply(params[4], y)
    np.testing.assert_array_equal(model.apply(params, x, deterministic=True), y)
    first = model.apply(params, x, key=random.key(1))
    np.testing.assert_array_equal(model.apply(params, x, key=random.key(1)), first)
    assert (model.apply(params, x, key=random.key(2)) != first).any()
    with pytest.raises(ValueError, match="Dropout needs randomness"):
        model.apply(params, x)
    with pytest.raises(ValueError, match="Sequential has 5 layers, but params has 4 entries"):
        model.apply(params[:4], x)
    with pytest.raises(ValueError, match="Sequential has 5 layers, but params is a NoneType"):
        model.apply(None, x)


@pytest.mark.parametrize("entry", [nn.relu, [nn.Dense(3, 4)], None])
def test_entries_that_are_no_layers(entry):
    with pytest.raises(TypeError, match=r"Sequential: entry 1 is no layer.*Activation"):
        nn.Sequential(nn.Dense(3, 3), entry)


def test_each_dropout_has_its_own_key():
    both = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    y = both.apply([None, None], np.ones(4000, np.float32), key=KEY)
    assert abs((y == 0).mean() - 0.75) < 0.05


def test_layers_are_values():
    assert nn.Conv(1, 2, [3, 3]) == nn.Conv(1, 2, (3, 3), strides=(1, 1))
    assert hash(nn.Dense(3, 2)) == hash(nn.Dense(3, 2))
    with pytest.raises(dataclasses.FrozenInstanceError):
        nn.Dense(3, 2).in_features = 4


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: nn.Dense(3, 2).apply(nn.Dense(3, 2).init(KEY), np.ones((2, 4))),
            r"Dense: the last axis of the input must have length 3 .* shape \(2, 4\)",
        ),
        (
            lambda: nn.Conv(1, 2, (3, 3)).apply(
                nn.Conv(1, 2, (3, 3)).init(KEY), np.ones((8, 8, 1))
            ),
            r"Conv: the input must have 4 axes .* shape \(8, 8, 1\); .* x\[None\]",
        ),
        (lambda: nn.Conv(1, 2, 3), r"kernel_size needs one entry per axis .* \(3, 3\)"),
        (lambda: nn.Conv(1, 2, (3, 3), strides=(1, 1, 1)), "strides must be an int or have 2"),
        (lambda: nn.Conv(3, 4, (3, 3), feature_group_count=2), "must be a multiple of"),
        (lambda: nn.MaxPool(2), "MaxPool: window needs one entry per axis"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
