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
    return fnp.where(x <= 0, 0, lax.ordinary_zeros(x))


def relu6(x: Any) -> Any:
    """``min(max(x, 0), 6)``, elementwise.

    Examples
    --------
    >>> relu6(np.array([-1.0, 2.0, 9.0]))
    array([0., 2., 6.])
    """
    return fnp.where(x >= 6, 6, lax.ordinary_zeros(relu(x)))


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
    above = fnp.where(x < -1, -1, lax.ordinary_zeros(x))
    return fnp.where(x > 1, 1, lax.ordinary_zeros(above))


def identity(x: Any) -> Any:
    """``x`` itself, as an array.

    Examples
    --------
    >>> identity([1.0, 2.0])
    array([1., 2.])
    """
    return fnp.asarray(x)


def hard_sigmoid(x: Any) -> Any:
    """``relu6(x + 3) / 6``, elementwise: a `sigmoid` of three straight lines.

    Examples
    --------
    >>> hard_sigmoid(np.array([-4.0, 0.0, 1.5]))
    array([0.  , 0.5 , 0.75])
    """
    return relu6(x + 3) / 6


def hard_silu(x: Any) -> Any:
    """``x * hard_sigmoid(x)``, elementwise; also called hard_swish.

    Examples
    --------
    >>> hard_silu(np.array([-4.0, 0.0, 4.0]))
    array([-0.,  0.,  4.])
    """
    return x * hard_sigmoid(x)


hard_swish = hard_silu


def mish(x: Any) -> Any:
    """``x * tanh(softplus(x))``, elementwise (D. Misra, 2019, https://arxiv.org/abs/1908.08681).

    Examples
    --------
    >>> mish(np.array([0.0, 100.0]))
    array([  0., 100.])
    """
    return x * fnp.tanh(softplus(x))


def squareplus(x: Any, b: Any = 4) -> Any:
    """``(x + sqrt(x**2 + b)) / 2``, elementwise (J. T. Barron, 2021, arXiv:2112.11687).

    Computed without cancellation where x is negative, and without overflow.

    Examples
    --------
    >>> squareplus(np.array([-1e200, 0.0, 1.5]))
    array([1.e-200, 1.e+000, 2.e+000])
    """
    root = fnp.hypot(x, b**0.5)
    return fnp.where(x > 0, 0.5 * (x + root), 0.5 * b / (root - x))


def sparse_plus(x: Any) -> Any:
    """0 up to -1, ``(x + 1)**2 / 4`` up to 1, ``x`` from there, elementwise.

    Examples
    --------
    >>> sparse_plus(np.array([-2.0, 0.0, 2.0]))
    array([0.  , 0.25, 2.  ])
    """
    return fnp.where(x <= -1, 0, fnp.where(x >= 1, x, (x + 1) * (x + 1) / 4))


def sparse_sigmoid(x: Any) -> Any:
    """0 up to -1, ``(x + 1) / 2`` up to 1, 1 from there: the derivative of `sparse_plus`.

    Examples
    --------
    >>> sparse_sigmoid(np.array([-2.0, 0.0, 2.0]))
    array([0. , 0.5, 1. ])
    """
    return 0.5 * fnp.clip(x + 1, 0, 2)


def log1mexp(x: Any) -> Any:
    """``log(1 - exp(-x))`` of positive numbers without cancellation, elementwise.

    M. Maechler, Accurately computing log(1 - exp(-|a|)), 2012, equation 7.

    Examples
    --------
    >>> log1mexp(np.array([1e-20, 50.0]))
    array([-4.60517019e+01, -1.92874985e-22])
    """
    near = x < math.log(2)
    return fnp.where(near, fnp.log(-fnp.expm1(-x)), fnp.log1p(-fnp.exp(-x)))


def logmeanexp(
    x: Any, axis: int | tuple[int, ...] | None = None, where: Any = None, keepdims: bool = False
) -> Any:
    """The logarithm of the mean of ``exp(x)`` over ``axis``, without overflow.

    Parameters
    ----------
    x : array
    axis : int, tuple of int or None
        All axes for None.
    where : bool array, optional
        Elements to include; of none, the result is NaN.
    keepdims : bool
        Whether the axes stay, with length 1.

    Examples
    --------
    >>> logmeanexp(np.array([1000.0, 1000.0]))
    np.float64(1000.0)
    """
    total = logsumexp(x, axis=axis, where=where, keepdims=keepdims)
    included = fnp.ones(fnp.shape(x), bool) if where is None else fnp.broadcast_to(where, x.shape)
    count = fnp.sum(included, axis=axis, keepdims=keepdims)
    return total - fnp.log(count.astype(total.dtype))


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
    below = fnp.where(x > 0, 0, lax.ordinary_zeros(x))
    return fnp.where(x > 0, lax.ordinary_zeros(x), alpha * fnp.expm1(below))


def celu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` where positive, ``alpha * (exp(x / alpha) - 1)`` elsewhere.

    Examples
    --------
    >>> celu(np.array([-np.inf, 2.0]), alpha=0.5)
    array([-0.5,  2. ])
    """
    below = fnp.where(x > 0, 0, lax.ordinary_zeros(x))
    return fnp.where(x > 0, lax.ordinary_zeros(x), alpha * fnp.expm1(below / alpha))


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
    where: Any = None,
) -> Any:
    """``(x - mean) / sqrt(variance + epsilon)``, both taken of ``x`` over ``axis`` by default.

    With ``where`` they are those of the elements for which it holds.

    Examples
    --------
    >>> standardize(np.array([1.0, 3.0]), epsilon=0.0)
    array([-1.,  1.])
    """
    if mean is None:
        mean = fnp.mean(x, axis=axis, keepdims=True, where=where)
    if variance is None:
        centered = x - mean
        variance = fnp.mean(centered * centered, axis=axis, keepdims=True, where=where)
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
