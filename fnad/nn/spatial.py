"""Layers that look at neighbourhoods: convolution and pooling, of any rank, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad import lax, random
from fnad.nn import initializers
from fnad.nn.arguments import check_function, check_params, check_size
from fnad.nn.initializers import Initializer
from fnad.nn.layers import check_features, default_kernel_init

Padding = str | Sequence[tuple[int, int]]


def _per_axis(what: str, value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    values = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(values) != rank:
        raise ValueError(f"{what} must be an int or have {rank} entries, got {value!r}")
    layer, _, name = what.partition(": ")
    for each in values:
        check_size(layer, name, each, 1)
    return values


def _check_rank(layer: Any, x: Any, rank: int) -> None:
    if x.ndim != rank + 2:
        raise ValueError(
            f"{type(layer).__name__}: the input must have {rank + 2} axes (batch, {rank} of space,"
            f" channels), got shape {x.shape}; give a single example a batch axis with x[None]"
        )


@dataclass(frozen=True)
class Conv:
    """Convolution (cross-correlation) over the middle axes.

    Parameters
    ----------
    in_features, out_features : int
        Numbers of channels.
    kernel_size : sequence of int
        One entry per axis of space.
    strides : int or sequence of int
    padding : {"SAME", "VALID"} or sequence of (int, int)
    kernel_dilation : int or sequence of int
        Distance between the taps of the kernel.
    feature_group_count : int
        Groups of channels that are convolved apart from each other.
    use_bias : bool
    dtype : dtype
        Of the parameters.
    kernel_init, bias_init : initialiser

    Notes
    -----
    Parameters: ``{"kernel": (*kernel_size, in_features // feature_group_count, out_features),
    "bias": (out_features,)}``. Input ``(batch, *space, in_features)``, output
    ``(batch, *space, out_features)``: NHWC and HWIO in two dimensions.

    Examples
    --------
    >>> layer = Conv(1, 8, (3, 3), strides=2)
    >>> params = layer.init(random.key(0))
    >>> layer.apply(params, np.ones((5, 8, 8, 1), np.float32)).shape
    (5, 4, 4, 8)
    """

    in_features: int
    out_features: int
    kernel_size: Sequence[int]
    strides: int | Sequence[int] = 1
    padding: Padding = "SAME"
    kernel_dilation: int | Sequence[int] = 1
    feature_group_count: int = 1
    use_bias: bool = True
    dtype: Any = np.float32
    kernel_init: Initializer = default_kernel_init
    bias_init: Initializer = initializers.zeros

    def __post_init__(self) -> None:
        if isinstance(self.kernel_size, int):
            raise ValueError(
                "Conv: kernel_size needs one entry per axis of space, for example"
                f" ({self.kernel_size}, {self.kernel_size}) for images, got {self.kernel_size}"
            )
        for name in ("in_features", "out_features"):
            check_size("Conv", name, getattr(self, name))
        check_size("Conv", "feature_group_count", self.feature_group_count, 1)
        for size in self.kernel_size:
            check_size("Conv", "kernel_size", size, 1)
        check_function("Conv", "kernel_init", self.kernel_init)
        check_function("Conv", "bias_init", self.bias_init)
        rank = len(self.kernel_size)
        object.__setattr__(self, "kernel_size", tuple(self.kernel_size))
        for name in ("strides", "kernel_dilation"):
            values = _per_axis(f"Conv: {name}", getattr(self, name), rank)
            object.__setattr__(self, name, values)
        if not isinstance(self.padding, str):
            object.__setattr__(self, "padding", tuple(tuple(p) for p in self.padding))
        if self.in_features % self.feature_group_count:
            raise ValueError(
                f"Conv: in_features ({self.in_features}) must be a multiple of"
                f" feature_group_count ({self.feature_group_count})"
            )

    def init(self, key: Any) -> dict[str, Any]:
        """Draw ``{"kernel", "bias"}``."""
        kernel_key, bias_key = random.split(key)
        inputs = self.in_features // self.feature_group_count
        shape = (*self.kernel_size, inputs, self.out_features)
        params = {"kernel": self.kernel_init(kernel_key, shape, self.dtype)}
        if self.use_bias:
            params["bias"] = self.bias_init(bias_key, (self.out_features,), self.dtype)
        return params

    def apply(self, params: dict[str, Any], x: Any) -> Any:
        """Map ``(batch, *space, in_features)`` to ``(batch, *space, out_features)``."""
        rank = len(self.kernel_size)
        check_params(self, params, "kernel", *(["bias"] if self.use_bias else []))
        x, kernel = fnp.asarray(x), params["kernel"]
        _check_rank(self, x, rank)
        check_features(self, x, self.in_features)
        dtype = fnp.result_type(x.dtype, kernel.dtype)
        space = "".join(str(axis) for axis in range(rank))
        y = lax.conv_general_dilated(
            x.astype(dtype),
            kernel.astype(dtype),
            window_strides=_per_axis("Conv: strides", self.strides, rank),
            padding=self.padding,
            rhs_dilation=_per_axis("Conv: kernel_dilation", self.kernel_dilation, rank),
            dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
            feature_group_count=self.feature_group_count,
        )
        return y + params["bias"] if self.use_bias else y


@dataclass(frozen=True)
class _Pool:
    """Settings that the pooling layers have in common.

    Parameters
    ----------
    window : sequence of int
        Size of the neighbourhood, one entry per axis of space.
    strides : int or sequence of int, optional
        Distance between neighbourhoods; their own size by default.
    padding : {"SAME", "VALID"} or sequence of (int, int)
    """

    window: Sequence[int]
    strides: int | Sequence[int] | None = None
    padding: Padding = "VALID"

    def __post_init__(self) -> None:
        name = type(self).__name__
        if isinstance(self.window, int):
            raise ValueError(
                f"{name}: window needs one entry per axis of space, for example"
                f" ({self.window}, {self.window}) for images, got {self.window}"
            )
        object.__setattr__(self, "window", tuple(self.window))
        for size in self.window:
            check_size(name, "window", size, 1)
        strides = self.window if self.strides is None else self.strides
        strides = _per_axis(f"{name}: strides", strides, len(self.window))
        object.__setattr__(self, "strides", strides)
        if not isinstance(self.padding, str):
            object.__setattr__(self, "padding", tuple(tuple(p) for p in self.padding))

    def init(self, key: Any) -> None:
        """No parameters."""

    def _reduce(self, x: Any, initial: Any, combine: Any) -> Any:
        assert not isinstance(self.strides, int) and self.strides is not None
        padding = self.padding
        if not isinstance(padding, str):
            padding = ((0, 0), *padding, (0, 0))
        return lax.reduce_window(
            x, initial, combine, (1, *self.window, 1), (1, *self.strides, 1), padding
        )


@dataclass(frozen=True)
class MaxPool(_Pool):
    """The greatest element of each neighbourhood, channel by channel.

    Parameters
    ----------
    window : sequence of int
        Size of the neighbourhood, one entry per axis of space.
    strides : int or sequence of int, optional
        Distance between neighbourhoods; their own size by default.
    padding : {"SAME", "VALID"} or sequence of (int, int)
        Padding is never the greatest.

    Notes
    -----
    Input ``(batch, *space, channels)``, output ``(batch, *space, channels)``.

    Examples
    --------
    >>> MaxPool((2,)).apply(None, np.array([[[1.0], [3.0], [2.0], [0.0]]])).ravel()
    array([3., 2.])
    """

    def apply(self, params: None, x: Any) -> Any:
        """Pool ``(batch, *space, channels)``."""
        _check_rank(self, x, len(self.window))
        x = fnp.asarray(x)
        lowest = -np.inf if fnp.issubdtype(x.dtype, fnp.floating) else np.iinfo(x.dtype).min
        return self._reduce(x, x.dtype.type(lowest), lax.max)


@dataclass(frozen=True)
class AvgPool(_Pool):
    """The mean of each neighbourhood, channel by channel.

    Parameters
    ----------
    window : sequence of int
        Size of the neighbourhood, one entry per axis of space.
    strides : int or sequence of int, optional
        Distance between neighbourhoods; their own size by default.
    padding : {"SAME", "VALID"} or sequence of (int, int)
        Padding counts as zeros in the mean.

    Notes
    -----
    Input ``(batch, *space, channels)``, output ``(batch, *space, channels)``.

    Examples
    --------
    >>> AvgPool((2,)).apply(None, np.array([[[1.0], [3.0], [2.0], [0.0]]])).ravel()
    array([2., 1.])
    """

    def apply(self, params: None, x: Any) -> Any:
        """Pool ``(batch, *space, channels)``."""
        _check_rank(self, x, len(self.window))
        x = fnp.asarray(x)
        return self._reduce(x, x.dtype.type(0), lax.add) / int(np.prod(self.window))
