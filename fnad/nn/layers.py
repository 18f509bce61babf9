"""Stateless layers: settings are a frozen dataclass, parameters a pytree of their own.

A layer has ``init(key) -> params`` and ``apply(params, x) -> y``; layers without parameters have
``params = None``, the empty tree. Any object with these two methods is a layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

import fnad.numpy as fnp
from fnad import lax, random
from fnad.nn import initializers
from fnad.nn.arguments import check_function, check_number, check_params, check_size
from fnad.nn.functions import standardize
from fnad.nn.initializers import Initializer

default_kernel_init = initializers.lecun_normal()
default_embedding_init = initializers.variance_scaling(
    1.0, "fan_in", "normal", in_axis=-1, out_axis=-2
)


class Layer(Protocol):
    """What `Sequential` composes."""

    def init(self, key: Any) -> Any:
        """Draw the parameters."""

    def apply(self, params: Any, x: Any) -> Any:
        """Map inputs to outputs."""


def check_features(layer: Any, x: Any, features: int) -> None:
    """Check the last axis of an input, naming the layer."""
    if x.ndim == 0 or x.shape[-1] != features:
        raise ValueError(
            f"{type(layer).__name__}: the last axis of the input must have length {features}"
            f" (the layer's in_features), got an input of shape {x.shape}"
        )


@dataclass(frozen=True)
class Dense:
    """Affine map of the last axis: ``x @ kernel + bias``.

    Parameters
    ----------
    in_features, out_features : int
    use_bias : bool
    dtype : dtype
        Of the parameters.
    kernel_init, bias_init : initialiser

    Notes
    -----
    Parameters: ``{"kernel": (in_features, out_features), "bias": (out_features,)}``.
    Input ``(..., in_features)``, output ``(..., out_features)``.

    Examples
    --------
    >>> layer = Dense(3, 2)
    >>> params = layer.init(random.key(0))
    >>> layer.apply(params, np.ones((5, 3), np.float32)).shape
    (5, 2)
    """

    in_features: int
    out_features: int
    use_bias: bool = True
    dtype: Any = np.float32
    kernel_init: Initializer = default_kernel_init
    bias_init: Initializer = initializers.zeros

    def __post_init__(self) -> None:
        check_size("Dense", "in_features", self.in_features)
        check_size("Dense", "out_features", self.out_features)
        check_function("Dense", "kernel_init", self.kernel_init)
        check_function("Dense", "bias_init", self.bias_init)

    def init(self, key: Any) -> dict[str, Any]:
        """Draw ``{"kernel", "bias"}``."""
        kernel_key, bias_key = random.split(key)
        shape = (self.in_features, self.out_features)
        params = {"kernel": self.kernel_init(kernel_key, shape, self.dtype)}
        if self.use_bias:
            params["bias"] = self.bias_init(bias_key, (self.out_features,), self.dtype)
        return params

    def apply(self, params: dict[str, Any], x: Any) -> Any:
        """Map ``(..., in_features)`` to ``(..., out_features)``."""
        x = fnp.asarray(x)
        check_features(self, x, self.in_features)
        check_params(self, params, "kernel", *(["bias"] if self.use_bias else []))
        y = fnp.matmul(x, params["kernel"])
        return y + params["bias"] if self.use_bias else y


@dataclass(frozen=True)
class Embedding:
    """Table of vectors: integers in, rows out.

    Parameters
    ----------
    num_embeddings, features : int
    dtype : dtype
        Of the parameters.
    embedding_init : initialiser

    Notes
    -----
    Parameters: ``{"embedding": (num_embeddings, features)}``.
    Input integers ``(...)``, output ``(..., features)``; integers that are out of range give
    NaN, as in ``fnp.take``.

    Examples
    --------
    >>> layer = Embedding(10, 4)
    >>> layer.apply(layer.init(random.key(0)), np.array([[1, 2, 3]])).shape
    (1, 3, 4)
    """

    num_embeddings: int
    features: int
    dtype: Any = np.float32
    embedding_init: Initializer = default_embedding_init

    def __post_init__(self) -> None:
        check_size("Embedding", "num_embeddings", self.num_embeddings)
        check_size("Embedding", "features", self.features)
        check_function("Embedding", "embedding_init", self.embedding_init)

    def init(self, key: Any) -> dict[str, Any]:
        """Draw ``{"embedding"}``."""
        shape = (self.num_embeddings, self.features)
        return {"embedding": self.embedding_init(key, shape, self.dtype)}

    def apply(self, params: dict[str, Any], x: Any) -> Any:
        """Map integers ``(...)`` to vectors ``(..., features)``."""
        check_params(self, params, "embedding")
        return fnp.take(params["embedding"], x, axis=0)


@dataclass(frozen=True)
class LayerNorm:
    """Normalises the last axis to mean 0 and variance 1, then scales and shifts it.

    Parameters
    ----------
    features : int
    epsilon : float
        Added to the variance.
    use_scale, use_bias : bool
    dtype : dtype
        Of the parameters.

    Notes
    -----
    Parameters: ``{"scale": (features,), "bias": (features,)}``.
    Input and output ``(..., features)``.

    Examples
    --------
    >>> layer = LayerNorm(2)
    >>> layer.apply(layer.init(random.key(0)), np.array([[1.0, 5.0]])).round(3)
    array([[-1.,  1.]])
    """

    features: int
    epsilon: float = 1e-6
    use_scale: bool = True
    use_bias: bool = True
    dtype: Any = np.float32

    def __post_init__(self) -> None:
        check_size("LayerNorm", "features", self.features)
        check_number("LayerNorm", "epsilon", self.epsilon)

    def init(self, key: Any) -> dict[str, Any]:
        """Ones and zeros; ``key`` is not used."""
        params = {}
        if self.use_scale:
            params["scale"] = initializers.ones(key, (self.features,), self.dtype)
        if self.use_bias:
            params["bias"] = initializers.zeros(key, (self.features,), self.dtype)
        return params

    def apply(self, params: dict[str, Any], x: Any) -> Any:
        """Normalise ``(..., features)``."""
        x = fnp.asarray(x)
        check_features(self, x, self.features)
        y = standardize(x, axis=-1, epsilon=self.epsilon)
        if self.use_scale:
            y = y * params["scale"]
        return y + params["bias"] if self.use_bias else y


@dataclass(frozen=True)
class Dropout:
    """Sets random elements to 0 and scales the others, so that the expectation is kept.

    Parameters
    ----------
    rate : float
        The probability of an element to be dropped, in [0, 1].

    Notes
    -----
    No parameters. ``apply`` needs a ``key``, unless ``deterministic`` is True.

    Examples
    --------
    >>> x = np.ones(4, np.float32)
    >>> Dropout(0.5).apply(None, x, deterministic=True)
    array([1., 1., 1., 1.], dtype=float32)
    """

    rate: float
    stochastic: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_number("Dropout", "rate", self.rate)
        if not 0 <= self.rate <= 1:
            raise ValueError(f"Dropout: rate must be between 0 and 1, got {self.rate}")

    def init(self, key: Any) -> None:
        """No parameters."""

    def apply(self, params: None, x: Any, *, key: Any = None, deterministic: bool = False) -> Any:
        """Drop elements of an array of any shape.

        Raises
        ------
        ValueError
            If there is no ``key`` and ``deterministic`` is False.
        """
        if deterministic or self.rate == 0:
            return x
        if key is None:
            raise ValueError(
                "Dropout needs randomness: give apply(..., key=random.key(...)), a new key in"
                " each step, or deterministic=True when the network is used and not trained"
            )
        if self.rate == 1:
            return fnp.zeros_like(x)
        kept = random.bernoulli(key, 1 - self.rate, x.shape)
        return fnp.where(kept, lax.ordinary_zeros(x) / (1 - self.rate), 0)


@dataclass(frozen=True)
class Flatten:
    """Makes one axis of all but the first: ``(batch, ...)`` to ``(batch, features)``.

    Examples
    --------
    >>> Flatten().apply(None, np.zeros((5, 2, 3))).shape
    (5, 6)
    """

    def init(self, key: Any) -> None:
        """No parameters."""

    def apply(self, params: None, x: Any) -> Any:
        """Map ``(batch, ...)`` to ``(batch, features)``."""
        return fnp.reshape(x, (x.shape[0], -1))


@dataclass(frozen=True)
class Activation:
    """A function of arrays as a layer.

    Examples
    --------
    >>> Activation(np.tanh).apply(None, np.zeros(2))
    array([0., 0.])
    """

    function: Callable[[Any], Any]

    def __post_init__(self) -> None:
        check_function("Activation", "function", self.function)

    def init(self, key: Any) -> None:
        """No parameters."""

    def apply(self, params: None, x: Any) -> Any:
        """Apply the function."""
        return self.function(x)


@dataclass(frozen=True, init=False)
class Sequential:
    """Layers one after the other.

    Parameters
    ----------
    *layers : Layer
        Layers with a true attribute ``stochastic``, as `Dropout`, also get ``key`` and
        ``deterministic``.

    Notes
    -----
    Parameters: a list with those of each layer.

    Examples
    --------
    >>> model = Sequential(Dense(3, 8), Activation(np.tanh), Dense(8, 2))
    >>> params = model.init(random.key(0))
    >>> model.apply(params, np.ones((5, 3), np.float32)).shape
    (5, 2)
    """

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Layer) -> None:
        for i, layer in enumerate(layers):
            if not (hasattr(layer, "init") and hasattr(layer, "apply")):
                raise TypeError(
                    f"Sequential: entry {i} is no layer, with methods init and apply, but"
                    f" {layer!r}. Give layers one by one, Sequential(a, b), and wrap functions:"
                    " Activation(f)."
                )
        object.__setattr__(self, "layers", layers)

    @property
    def stochastic(self) -> bool:
        """Whether some layer draws random numbers."""
        return any(getattr(layer, "stochastic", False) for layer in self.layers)

    def init(self, key: Any) -> list[Any]:
        """Draw the parameters of all layers."""
        keys = random.split(key, max(len(self.layers), 1))
        return [layer.init(k) for layer, k in zip(self.layers, keys)]

    def apply(
        self, params: list[Any], x: Any, *, key: Any = None, deterministic: bool = False
    ) -> Any:
        """Apply all layers in turn.

        Parameters
        ----------
        params : list
        x : array
        key : key, optional
            Randomness for the stochastic layers; each gets a key of its own.
        deterministic : bool
            Whether stochastic layers shall not draw.
        """
        if not isinstance(params, (list, tuple)) or len(params) != len(self.layers):
            sequence = isinstance(params, (list, tuple))
            what = f"has {len(params)} entries" if sequence else f"is a {type(params).__name__}"
            raise ValueError(f"Sequential has {len(self.layers)} layers, but params {what}")
        for i, (layer, layer_params) in enumerate(zip(self.layers, params)):
            if getattr(layer, "stochastic", False):
                layer_key = None if key is None else random.fold_in(key, i)
                x = layer.apply(layer_params, x, key=layer_key, deterministic=deterministic)  # type: ignore[call-arg]
            else:
                x = layer.apply(layer_params, x)
        return x
