"""Initialisers of parameters, with the names and the formulas of ``jax.nn.initializers``.

An initialiser is a function ``(key, shape, dtype=float32) -> array``. Those that are made from
settings (`normal`, `glorot_uniform` ...) are functions that return one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np

import fnad.numpy as fnp
from fnad import random
from fnad.extend import picklable
from fnad.nn.arguments import check_number


class Initializer(Protocol):
    """What layers take as ``kernel_init``, ``bias_init`` and the like."""

    def __call__(self, key: Any, shape: Sequence[int], dtype: Any = np.float32) -> Any: ...


# The standard deviation of a unit normal that is truncated to [-2, 2].
_TRUNCATED_STDDEV = 0.87962566103423978


def zeros(key: Any, shape: Sequence[int], dtype: Any = np.float32) -> Any:
    """All zeros; ``key`` is not used.

    Examples
    --------
    >>> zeros(None, (2,))
    array([0., 0.], dtype=float32)
    """
    return fnp.zeros(tuple(shape), dtype)


def ones(key: Any, shape: Sequence[int], dtype: Any = np.float32) -> Any:
    """All ones; ``key`` is not used.

    Examples
    --------
    >>> ones(None, (2,))
    array([1., 1.], dtype=float32)
    """
    return fnp.ones(tuple(shape), dtype)


@picklable
def constant(value: Any, dtype: Any = np.float32) -> Initializer:
    """Everywhere ``value``.

    Examples
    --------
    >>> constant(3)(None, (2,))
    array([3., 3.], dtype=float32)
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        return fnp.full(tuple(shape), value, dtype)

    return init


@picklable
def uniform(scale: float = 1e-2, dtype: Any = np.float32) -> Initializer:
    """Uniform in ``[0, scale)``.

    Examples
    --------
    >>> uniform(1.0)(random.key(0), (2,))
    array([0.947667 , 0.9785799], dtype=float32)
    """
    check_number("uniform", "scale", scale)

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        return random.uniform(key, tuple(shape), dtype) * _scalar(scale, dtype)

    return init


@picklable
def normal(stddev: float = 1e-2, dtype: Any = np.float32) -> Initializer:
    """Normal with mean 0.

    Examples
    --------
    >>> normal(1.0)(random.key(0), (2,))
    array([1.6226422, 2.0252647], dtype=float32)
    """
    check_number("normal", "stddev", stddev)

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        return random.normal(key, tuple(shape), dtype) * _scalar(stddev, dtype)

    return init


@picklable
def truncated_normal(
    stddev: float = 1e-2, dtype: Any = np.float32, lower: float = -2.0, upper: float = 2.0
) -> Initializer:
    """A unit normal truncated to ``[lower, upper]``, times ``stddev``.

    Examples
    --------
    >>> truncated_normal(1.0)(random.key(0), (2,))
    array([1.455959 , 1.7147484], dtype=float32)
    """
    check_number("truncated_normal", "stddev", stddev)

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        draw = random.truncated_normal(key, lower, upper, tuple(shape), dtype)
        return draw * _scalar(stddev, dtype)

    return init


@picklable
def variance_scaling(
    scale: float,
    mode: Literal["fan_in", "fan_out", "fan_avg", "fan_geo_avg"],
    distribution: Literal["truncated_normal", "normal", "uniform"],
    in_axis: int | Sequence[int] = -2,
    out_axis: int | Sequence[int] = -1,
    batch_axis: int | Sequence[int] = (),
    dtype: Any = np.float32,
) -> Initializer:
    """Draws of variance ``scale / n``, where ``n`` is the number of inputs, outputs, or a mean.

    Parameters
    ----------
    scale : float
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}
        What ``n`` is.
    distribution : {"truncated_normal", "normal", "uniform"}
    in_axis, out_axis, batch_axis : int or sequence of int
        Which axes of the shape are inputs, outputs, and independent copies; the others are the
        receptive field, which counts for inputs and outputs alike.
    dtype : dtype
        The default of the initialiser.

    Raises
    ------
    ValueError
        If ``mode`` or ``distribution`` is unknown.

    Examples
    --------
    >>> init = variance_scaling(1.0, "fan_in", "normal")
    >>> init(random.key(0), (1, 2))
    array([[1.6226422, 2.0252647]], dtype=float32)
    """
    check_number("variance_scaling", "scale", scale)
    if mode not in ("fan_in", "fan_out", "fan_avg", "fan_geo_avg"):
        raise ValueError(
            f"variance_scaling: mode must be fan_in, fan_out, fan_avg or fan_geo_avg, got {mode!r}"
        )
    if distribution not in ("truncated_normal", "normal", "uniform"):
        raise ValueError(
            "variance_scaling: distribution must be truncated_normal, normal or uniform, got"
            f" {distribution!r}"
        )

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        shape = tuple(shape)
        fan_in, fan_out = _fans(shape, in_axis, out_axis, batch_axis)
        n = {
            "fan_in": fan_in,
            "fan_out": fan_out,
            "fan_avg": (fan_in + fan_out) / 2,
            "fan_geo_avg": math.sqrt(fan_in * fan_out),
        }[mode]
        stddev = math.sqrt(scale / n) if n else 0.0
        if distribution == "normal":
            return random.normal(key, shape, dtype) * _scalar(stddev, dtype)
        if distribution == "uniform":
            limit = math.sqrt(3) * stddev
            return random.uniform(key, shape, dtype, -1) * _scalar(limit, dtype)
        draw = random.truncated_normal(key, -2, 2, shape, dtype)
        return draw * _scalar(stddev / _TRUNCATED_STDDEV, dtype)

    return init


def glorot_uniform(
    in_axis: int | Sequence[int] = -2,
    out_axis: int | Sequence[int] = -1,
    batch_axis: int | Sequence[int] = (),
    dtype: Any = np.float32,
) -> Initializer:
    """Glorot and Bengio (2010), uniform: variance ``2 / (inputs + outputs)``.

    Examples
    --------
    >>> glorot_uniform()(random.key(0), (1, 2))
    array([[1.2661935, 1.3536283]], dtype=float32)
    """
    return variance_scaling(1.0, "fan_avg", "uniform", in_axis, out_axis, batch_axis, dtype)


def glorot_normal(
    in_axis: int | Sequence[int] = -2,
    out_axis: int | Sequence[int] = -1,
    batch_axis: int | Sequence[int] = (),
    dtype: Any = np.float32,
) -> Initializer:
    """Glorot and Bengio (2010), truncated normal: variance ``2 / (inputs + outputs)``.

    Examples
    --------
    >>> glorot_normal()(random.key(0), (1, 2))
    array([[1.3514675, 1.5916841]], dtype=float32)
    """
    return variance_scaling(
        1.0, "fan_avg", "truncated_normal", in_axis, out_axis, batch_axis, dtype
    )


def lecun_uniform(
    in_axis: int | Sequence[int] = -2,
    out_axis: int | Sequence[int] = -1,
    batch_axis: int | Sequence[int] = (),
    dtype: Any = np.float32,
) -> Initializer:
    """LeCun et al. (1998), uniform: variance ``1 / inputs``.

    Examples
    --------
    >>> lecun_uniform()(random.key(0), (1, 2))
    array([[1.550764 , 1.6578493]], dtype=float32)
    """
    return variance_scaling(1.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


def lecun_normal(
    in_axis: int | Sequence[int] = -2,
    out_axis: int | Sequence[int] = -1,
    batch_axis: int | Sequence[int] = (),
    dtype: Any = np.float32,
) -> Initializer:
    """LeCun et al. (1998), truncated normal: variance ``1 / inputs``.

    Examples
    --------
    >>> lecun_normal()(random.key(0), (1, 2))
    array([[1.655203, 1.949407]], dtype=float32)
    """
    return variance_scaling(1.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


def he_uniform(
    in_axis: int | Sequence[int] = -2,
    out_axis: int | Sequence[int] = -1,
    batch_axis: int | Sequence[int] = (),
    dtype: Any = np.float32,
) -> Initializer:
    """He et al. (2015), uniform: variance ``2 / inputs``.

    Examples
    --------
    >>> he_uniform()(random.key(0), (1, 2))
    array([[2.1931117, 2.344553 ]], dtype=float32)
    """
    return variance_scaling(2.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


def he_normal(
    in_axis: int | Sequence[int] = -2,
    out_axis: int | Sequence[int] = -1,
    batch_axis: int | Sequence[int] = (),
    dtype: Any = np.float32,
) -> Initializer:
    """He et al. (2015), truncated normal: variance ``2 / inputs``.

    Examples
    --------
    >>> he_normal()(random.key(0), (1, 2))
    array([[2.3408105, 2.756878 ]], dtype=float32)
    """
    return variance_scaling(2.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


@picklable
def orthogonal(scale: float = 1.0, column_axis: int = -1, dtype: Any = np.float32) -> Initializer:
    """Saxe et al. (2014): a random matrix with orthonormal rows or columns, times ``scale``.

    The axes of the shape other than ``column_axis`` together make the rows. Uniform over all
    such matrices (Mezzadri, 2007: Q of a normal matrix, with the signs of R's diagonal).

    Examples
    --------
    >>> w = orthogonal()(random.key(0), (3, 2))
    >>> np.round(w.T @ w, 5) + 0.0
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        shape = tuple(shape)
        if len(shape) < 2:
            raise ValueError(f"orthogonal needs a shape with at least two axes, got {shape}")
        others = [n for axis, n in enumerate(shape) if axis != column_axis % len(shape)]
        columns = shape[column_axis]
        q = random.orthogonal(key, math.prod(others), (), dtype, columns)
        q = fnp.moveaxis(q.reshape(*others, columns), -1, column_axis)
        return q * _scalar(scale, dtype)

    return init


@picklable
def delta_orthogonal(
    scale: float = 1.0, column_axis: int = -1, dtype: Any = np.float32
) -> Initializer:
    """Xiao et al. (2018): convolution kernels that are `orthogonal` at their centre, 0 elsewhere.

    For shapes of 1 to 3 spatial axes, inputs and outputs, of which there must be no more inputs
    than outputs.

    Examples
    --------
    >>> kernel = delta_orthogonal()(random.key(0), (3, 3, 4, 8))
    >>> np.round(kernel[1, 1] @ kernel[1, 1].T, 5)[0] + 0.0, abs(kernel[0]).max()
    (array([1., 0., 0., 0.], dtype=float32), np.float32(0.0))
    """
    at_centre = orthogonal(scale, column_axis, dtype)

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        shape = tuple(shape)
        if not 3 <= len(shape) <= 5 or shape[-2] > shape[-1]:
            raise ValueError(
                "delta_orthogonal needs a shape of 1 to 3 spatial axes, inputs, and outputs, no"
                f" fewer of these than inputs; got {shape}"
            )
        centre = tuple((n - 1) // 2 for n in shape[:-2])
        kernel = fnp.zeros(shape, dtype)
        return fnp.at(kernel)[centre].set(at_centre(key, shape[-2:], dtype))

    return init


xavier_uniform = glorot_uniform
xavier_normal = glorot_normal
kaiming_uniform = he_uniform
kaiming_normal = he_normal


def _scalar(value: float, dtype: Any) -> Any:
    return np.dtype(dtype).type(value)


def _fans(
    shape: tuple[int, ...],
    in_axis: int | Sequence[int],
    out_axis: int | Sequence[int],
    batch_axis: int | Sequence[int],
) -> tuple[float, float]:
    if len(shape) <= 1:
        raise ValueError(
            f"variance_scaling needs a shape with at least two axes (inputs and outputs), got"
            f" {shape}; use normal or uniform for vectors"
        )
    inputs, outputs, copies = (
        math.prod([shape[a] for a in ((axes,) if isinstance(axes, int) else axes)])
        for axes in (in_axis, out_axis, batch_axis)
    )
    if not inputs or not outputs or not copies:
        return 0.0, 0.0
    receptive_field = math.prod(shape) / inputs / outputs / copies
    return inputs * receptive_field, outputs * receptive_field
