"""Activations and other functions of arrays, with the names of ``jax.nn``.

All keep the dtype of floating inputs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad import lax
from fnad.scipy import special
from fnad.scipy.special import logsumexp as logsumexp


def relu(x: Any) -> Any:
    """``max(x, 0)``, elementwise; the derivative at 0 is 0, and NaN stays NaN.

    Examples
    --------
    >>> relu(np.float32([-1, 2]))
    array([0., 2.], dtype=float32)
    """
    return fnp.where(x <= 0, 0, x)


def relu6(x: Any) -> Any:
    """``min(max(x, 0), 6)``, elementwise.

    Examples
    --------
    >>> relu6(np.array([-1.0, 2.0, 9.0]))
    array([0., 2., 6.])
    """
    return fnp.where(x >= 6, 6, relu(x))


def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))``, elementwise.

    Examples
    --------
    >>> sigmoid(np.zeros(1))
    array([0.5])
    """
    return lax.logistic(x)


def log_sigmoid(x: Any) -> Any:
    """``log(sigmoid(x))`` without overflow, elementwise.

    Examples
    --------
    >>> log_sigmoid(np.array([-1000.0, 0.0]))
    array([-1.00000000e+03, -6.93147181e-01])
    """
    return -softplus(-x)


def softplus(x: Any) -> Any:
    """``log(1 + exp(x))`` without overflow, elementwise.

    Examples
    --------
    >>> softplus(np.array([0.0, 1000.0]))
    array([6.93147181e-01, 1.00000000e+03])
    """
    return fnp.logaddexp(x, 0)


def soft_sign(x: Any) -> Any:
    """``x / (1 + |x|)``, elementwise.

    Examples
    --------
    >>> soft_sign(np.array([-1.0, 3.0]))
    array([-0.5 ,  0.75])
    """
    return x / (1 + fnp.abs(x))


def silu(x: Any) -> Any:
    """``x * sigmoid(x)``, elementwise; also called swish.

    Examples
    --------
    >>> silu(np.array([0.0, 100.0]))
    array([  0., 100.])
    """
    return x * sigmoid(x)


swish = silu


def gelu(x: Any, approximate: bool = True) -> Any:
    """Gaussian error linear unit, ``x * P(X <= x)`` with X a unit normal, elementwise.

    Parameters
    ----------
    x : array
    approximate : bool
        Whether to approximate the normal distribution by a tanh, as in Hendrycks and Gimpel
        (2016).

    Examples
    --------
    >>> gelu(np.array([0.0, 100.0]))
    array([  0., 100.])
    """
    if approximate:
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
        return 0.5 * x * (1 + fnp.tanh(inner))
    return 0.5 * x * lax.erfc(-x * math.sqrt(0.5))


def tanh(x: Any) -> Any:
    """Hyperbolic tangent, elementwise.

    Examples
    --------
    >>> tanh(np.array([0.0, 100.0]))
    array([0., 1.])
    """
    return fnp.tanh(x)


def hard_tanh(x: Any) -> Any:
    """``min(max(x, -1), 1)``, elementwise.

    Examples
    --------
    >>> hard_tanh(np.array([-2.0, 0.5]))
    array([-1. ,  0.5])
    """
    return fnp.where(x > 1, 1, fnp.where(x < -1, -1, x))


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """``x`` where positive, ``negative_slope * x`` elsewhere.

    Examples
    --------
    >>> leaky_relu(np.float64([-1, 2]))
    array([-0.01,  2.  ])
    """
    return fnp.where(x >= 0, x, negative_slope * x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere.

    Examples
    --------
    >>> elu(np.array([-np.inf, 2.0]))
    array([-1.,  2.])
    """
    # The inner where keeps infinities of the branch not taken out of the derivative.
    return fnp.where(x > 0, x, alpha * fnp.expm1(fnp.where(x > 0, 0, x)))


def celu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` where positive, ``alpha * (exp(x / alpha) - 1)`` elsewhere.

    Examples
    --------
    >>> celu(np.array([-np.inf, 2.0]), alpha=0.5)
    array([-0.5,  2. ])
    """
    return fnp.where(x > 0, x, alpha * fnp.expm1(fnp.where(x > 0, 0, x) / alpha))


def selu(x: Any) -> Any:
    """Self-normalising unit of Klambauer et al. (2017): a scaled `elu`.

    Examples
    --------
    >>> selu(np.array([-np.inf, 0.0])).round(4)
    array([-1.7581,  0.    ])
    """
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def glu(x: Any, axis: int = -1) -> Any:
    """The first half of ``x`` along an axis, times the sigmoid of the second half.

    Examples
    --------
    >>> glu(np.array([2.0, 4.0, 0.0, 0.0]))
    array([1., 2.])
    """
    first, second = fnp.split(x, 2, axis)
    return first * sigmoid(second)


def softmax(x: Any, axis: int | tuple[int, ...] = -1, where: Any = None) -> Any:
    """``exp(x) / sum(exp(x))`` over ``axis``.

    Parameters
    ----------
    x : array
    axis : int or sequence of int
    where : bool array, optional
        Elements to include; the others give 0.

    Examples
    --------
    >>> softmax(np.array([0.0, 0.0]))
    array([0.5, 0.5])
    """
    return special.softmax(x if where is None else fnp.where(where, x, -np.inf), axis)


def log_softmax(x: Any, axis: int | tuple[int, ...] = -1, where: Any = None) -> Any:
    """The logarithm of `softmax`, accurate where that is close to 0 or 1.

    Elements left out by ``where`` give -inf.

    Examples
    --------
    >>> log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    return special.log_softmax(x if where is None else fnp.where(where, x, -np.inf), axis)


def standardize(
    x: Any,
    axis: int | tuple[int, ...] = -1,
    mean: Any = None,
    variance: Any = None,
    epsilon: float = 1e-5,
) -> Any:
    """``(x - mean) / sqrt(variance + epsilon)``, both taken of ``x`` over ``axis`` by default.

    Examples
    --------
    >>> standardize(np.array([1.0, 3.0]), epsilon=0.0)
    array([-1.,  1.])
    """
    if mean is None:
        mean = fnp.mean(x, axis=axis, keepdims=True)
    if variance is None:
        centered = x - mean
        variance = fnp.mean(centered * centered, axis=axis, keepdims=True)
    return (x - mean) / fnp.sqrt(variance + epsilon)


def one_hot(x: Any, num_classes: int, *, dtype: Any = np.float32, axis: int = -1) -> Any:
    """Rows of the identity matrix, one per integer of ``x``.

    Parameters
    ----------
    x : integer array of any shape
    num_classes : int
        The length of the new axis. Integers outside ``[0, num_classes)`` give zeros.
    dtype : dtype
    axis : int
        Where the new axis stands in the result.

    Examples
    --------
    >>> one_hot(np.array([0, 2]), 3)
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    x = fnp.asarray(x)
    axis = axis + x.ndim + 1 if axis < 0 else axis
    classes = fnp.arange(num_classes, dtype=x.dtype).reshape(
        [num_classes if i == axis else 1 for i in range(x.ndim + 1)]
    )
    return (fnp.expand_dims(x, axis) == classes).astype(dtype)
