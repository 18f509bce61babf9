"""Stateless layers, activations, losses and initialisers, built on the public API only.

A layer's settings are a frozen dataclass; its parameters are an ordinary pytree that the caller
keeps: ``params = layer.init(key)``, ``y = layer.apply(params, x)``.
"""

from fnad.nn import initializers
from fnad.nn.attention import dot_product_attention
from fnad.nn.functions import (
    celu,
    elu,
    gelu,
    glu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    logsumexp,
    one_hot,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_sign,
    softmax,
    softplus,
    standardize,
    swish,
    tanh,
)
from fnad.nn.layers import (
    Activation,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Layer,
    LayerNorm,
    Sequential,
)
from fnad.nn.losses import (
    cosine_distance,
    cosine_similarity,
    huber_loss,
    l2_loss,
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
    squared_error,
)
from fnad.nn.spatial import AvgPool, Conv, MaxPool

__all__ = [
    # layers
    "Layer",
    "Dense",
    "Conv",
    "MaxPool",
    "AvgPool",
    "Embedding",
    "LayerNorm",
    "Dropout",
    "Flatten",
    "Activation",
    "Sequential",
    # activations and other functions
    "relu",
    "relu6",
    "gelu",
    "silu",
    "swish",
    "sigmoid",
    "log_sigmoid",
    "softplus",
    "soft_sign",
    "leaky_relu",
    "elu",
    "celu",
    "selu",
    "glu",
    "tanh",
    "hard_tanh",
    "softmax",
    "log_softmax",
    "logsumexp",
    "one_hot",
    "standardize",
    "dot_product_attention",
    # losses
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
    "sigmoid_binary_cross_entropy",
    "squared_error",
    "l2_loss",
    "huber_loss",
    "cosine_similarity",
    "cosine_distance",
    "initializers",
]
