"""What layers are made with is checked where they are made; the words name the layer."""

from __future__ import annotations

import numpy as np
import pytest

import fnad
from fnad import nn, random

MISTAKES = {
    "a size below 0": (lambda: nn.Dense(-3, 4), ValueError, "Dense: in_features .* -3"),
    "a size that is text": (lambda: nn.Dense("3", 4), TypeError, "Dense: in_features .*'3'"),
    "a float": (lambda: nn.Dense(3, 4.0), TypeError, "Dense: out_features must be an integer"),
    "an initialiser": (lambda: nn.Dense(3, 4, kernel_init="zeros"), TypeError, "kernel_init"),
    "a table": (lambda: nn.Embedding(-1, 4), ValueError, "Embedding: num_embeddings"),
    "features": (lambda: nn.LayerNorm("3"), TypeError, "LayerNorm: features"),
    "epsilon": (lambda: nn.LayerNorm(3, epsilon=-1.0), ValueError, "LayerNorm: epsilon"),
    "a rate": (lambda: nn.Dropout("a"), TypeError, "Dropout: rate must be a number"),
    "a probability": (lambda: nn.Dropout(2.0), ValueError, "between 0 and 1"),
    "channels": (lambda: nn.Conv("1", 4, (3, 3)), TypeError, "Conv: in_features"),
    "a kernel": (lambda: nn.Conv(1, 4, (0, 3)), ValueError, "Conv: kernel_size"),
    "strides": (lambda: nn.Conv(1, 4, (3, 3), strides=(0, 1)), ValueError, "Conv: strides"),
    "a window": (lambda: nn.MaxPool((0, 2)), ValueError, "MaxPool: window"),
    "a window of text": (lambda: nn.AvgPool("22"), TypeError, "AvgPool: window"),
    "no function": (lambda: nn.Activation("relu"), TypeError, "Activation: function"),
    "a deviation": (lambda: nn.initializers.normal(-1.0), ValueError, "normal: stddev"),
    "a scale": (
        lambda: nn.initializers.variance_scaling(-1.0, "fan_in", "normal"), ValueError, "scale",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name):
    make, kind, words = MISTAKES[name]
    with pytest.raises(kind, match=words):
        make()


@pytest.mark.parametrize("params", [None, {"w": np.ones(3)}, [np.ones((3, 4))]])
@pytest.mark.parametrize("layer", [nn.Dense(3, 4), nn.Conv(3, 4, (1, 1)), nn.Embedding(3, 4)])
def test_parameters_of_something_else(layer, params):
    with pytest.raises(ValueError, match=f"{type(layer).__name__}: its parameters are a dict"):
        layer.apply(params, np.zeros((1, 2, 2, 3), np.float32))


def test_sizes_of_axes_are_taken():
    ones = nn.initializers.ones

    def apply(x):
        layer = nn.Dense(x.shape[-1], 2, kernel_init=ones, bias_init=ones)
        return layer.apply(layer.init(random.key(0)), x)

    compiled = fnad.jit(apply, dynamic="n d")
    for n in (3, 5, 8):
        x = np.ones((n, n + 1), np.float32)
        np.testing.assert_array_equal(compiled(x), np.full((n, 2), n + 2))
    assert compiled.num_programs == 1
