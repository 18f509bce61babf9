"""Logistic functions, sums of exponentials, and entropies."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.numpy.operands import as_operand, to_inexact
from fnad.primitives.logic import stop_gradient
from fnad.primitives.ordinary_zeros import ordinary_zeros
from fnad.primitives.transcendental import logistic
from fnad.scipy.operands import special_function, with_partials

Axis = int | tuple[int, ...] | None


@special_function
def expit(x: Any) -> Any:
    """The logistic function ``1 / (1 + exp(-x))``, elementwise.

    Examples
    --------
    >>> expit(np.array([-np.inf, 0.0]))
    array([0. , 0.5])
    """
    return logistic(x)


@special_function
def logit(x: Any) -> Any:
    """``log(x / (1 - x))``, the inverse of `expit`, elementwise; NaN outside [0, 1].

    Examples
    --------
    >>> logit(np.array([0.0, 0.5, 1.0]))
    array([-inf,   0.,  inf])
    """
    return _logit(x)


def _logit_value(x: Any) -> Any:
    # The logarithm of the quotient r; around 1/2 r is close to 1, and what rounding takes from it
    # is added: r = 1 + t, and log(1 + t) = log(r) + (t - (r - 1)) / r but for a square.
    middle = fnp.abs(x - 0.5) < 0.2
    t = fnp.where(middle, 2 * x - 1, x) / (1 - x)
    r = fnp.where(middle, 1 + t, t)
    return fnp.log(r) + fnp.where(middle, (t - (r - 1)) / r, 0)


_logit = with_partials(lambda x: 1 / (x * (1 - x)))(_logit_value)


@special_function
def log_expit(x: Any) -> Any:
    """``log(expit(x))`` without overflow, elementwise; also called log_sigmoid.

    Examples
    --------
    >>> log_expit(np.array([-1000.0, 0.0]))
    array([-1.00000000e+03, -6.93147181e-01])
    """
    return -fnp.logaddexp(-x, 0)


log_sigmoid = log_expit


def logsumexp(
    a: Any,
    axis: Axis = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: Any = None,
) -> Any:
    """``log(sum(b * exp(a)))`` over ``axis`` without overflow.

    Parameters
    ----------
    a : array
    axis : int, sequence of int or None
        All axes for None.
    b : array, optional
        Factors of the exponentials, of a shape that broadcasts against that of ``a``.
    keepdims : bool
        Whether the axes stay, with length 1.
    return_sign : bool
        Whether to return the logarithm of the absolute value and the sign of the sum, so that
        it may be negative. Without it, the logarithm of a negative sum is NaN.
    where : bool array, optional
        Elements to include.

    Returns
    -------
    array, or pair of arrays
        The logarithm, and the sign where ``return_sign``.

    Examples
    --------
    >>> logsumexp(np.array([1000.0, 1000.0]), b=np.array([2.0, -1.0]))
    np.float64(1000.0)
    >>> logsumexp(np.array([0.0, 0.0]), b=np.array([1.0, -3.0]), return_sign=True)
    (np.float64(0.6931471805599453), np.float64(-1.0))
    """
    a = to_inexact(as_operand(a))
    if b is not None:
        a, b = fnp.broadcast_arrays(a, to_inexact(as_operand(b)))
        # A factor 0 removes its exponential, an infinite one as well.
        a = fnp.where(b == 0, -np.inf, a)
    if where is not None:
        a = fnp.where(where, a, -np.inf)
    top = stop_gradient(fnp.max(a, axis=axis, keepdims=True, initial=-np.inf))
    nothing = top == -np.inf
    # A maximum of -inf or inf would make inf - inf below.
    top = fnp.where(fnp.isfinite(top), top, 0)
    terms = fnp.exp(a - top)
    total = fnp.sum(terms if b is None else b * terms, axis=axis, keepdims=True)
    sign = fnp.sign(total)
    # Where all terms are 0, so are the slopes, and not those of the logarithm at 0.
    nothing = fnp.logical_and(nothing, total == 0)
    size = fnp.where(nothing, 1, ordinary_zeros(fnp.abs(total) if return_sign else total))
    out = fnp.where(nothing, -np.inf, ordinary_zeros(fnp.log(size) + top))
    if not keepdims:
        out, sign = fnp.squeeze(out, axis), fnp.squeeze(sign, axis)
    return (out, sign) if return_sign else out


def softmax(x: Any, axis: Axis = None) -> Any:
    """``exp(x) / sum(exp(x))`` over ``axis`` (all axes for None).

    Examples
    --------
    >>> softmax(np.array([0.0, 0.0]))
    array([0.5, 0.5])
    """
    x = to_inexact(as_operand(x))
    terms = fnp.exp(x - stop_gradient(fnp.max(x, axis=axis, keepdims=True)))
    return terms / fnp.sum(terms, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: Axis = None) -> Any:
    """The logarithm of `softmax`, accurate where that is close to 0.

    Examples
    --------
    >>> log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    x = to_inexact(as_operand(x))
    shifted = x - stop_gradient(fnp.max(x, axis=axis, keepdims=True))
    return shifted - fnp.log(fnp.sum(fnp.exp(shifted), axis=axis, keepdims=True))


@special_function
def xlogy(x: Any, y: Any) -> Any:
    """``x * log(y)``, 0 where ``x`` is 0 and ``y`` no NaN, elementwise.

    Examples
    --------
    >>> xlogy(np.array([0.0, 2.0]), np.array([0.0, 1.0]))
    array([0., 0.])
    """
    return _xlogy(x, y)


def _xlogy_value(x: Any, y: Any) -> Any:
    zero = (x == 0) & ~fnp.isnan(y)
    return fnp.where(zero, 0, x * fnp.log(fnp.where(zero, 1, y)))


# The slopes are JAX's: at x = 0 that in x is log(y), infinite at 0, and that in y is 0.
_xlogy = with_partials(lambda x, y: fnp.log(y), lambda x, y: _quotient(x, y))(_xlogy_value)


def _quotient(x: Any, y: Any) -> Any:
    return fnp.where(x == 0, 0, x / fnp.where(x == 0, 1, y))


@special_function
def xlog1py(x: Any, y: Any) -> Any:
    """``x * log(1 + y)``, 0 where ``x`` is 0 and ``y`` no NaN, elementwise.

    Examples
    --------
    >>> xlog1py(np.array([0.0, 2.0]), np.array([-1.0, 0.0]))
    array([0., 0.])
    """
    return _xlog1py(x, y)


def _xlog1py_value(x: Any, y: Any) -> Any:
    zero = (x == 0) & ~fnp.isnan(y)
    return fnp.where(zero, 0, x * fnp.log1p(fnp.where(zero, 0, y)))


_xlog1py = with_partials(lambda x, y: fnp.log1p(y), lambda x, y: _quotient(x, 1 + y))(
    _xlog1py_value
)


@special_function
def entr(x: Any) -> Any:
    """``-x * log(x)``, 0 at 0 and -inf below, elementwise.

    Examples
    --------
    >>> entr(np.array([-1.0, 0.0, 1.0]))
    array([-inf,  -0.,  -0.])
    """
    return fnp.where(x < 0, -np.inf, -xlogy(x, fnp.where(x < 0, 1, x)))


@special_function
def rel_entr(p: Any, q: Any) -> Any:
    """``p * log(p / q)``, 0 where ``p`` is 0 and ``q >= 0``, infinite outside, elementwise.

    Examples
    --------
    >>> rel_entr(np.array([0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.0]))
    array([ 0.,  0., inf])
    """
    both = (p > 0) & (q > 0)
    safe_p, safe_q = fnp.where(both, p, 1), fnp.where(both, q, 1)
    # log(p) - log(q) is inexact where they are close, p / q where it over- or underflows.
    ratio = safe_p / safe_q
    plain = (ratio >= np.finfo(p.dtype).tiny) & (ratio < np.inf)
    log_ratio = fnp.where(
        plain, fnp.log(fnp.where(plain, ratio, 1)), fnp.log(safe_p) - fnp.log(safe_q)
    )
    outside = fnp.where((p == 0) & (q >= 0), 0, p.dtype.type(np.inf))
    nan = fnp.isnan(p) | fnp.isnan(q)
    unknown = (p + q) * p.dtype.type(np.nan)  # and so are its derivatives
    return fnp.where(both, safe_p * log_ratio, fnp.where(nan, unknown, outside))


@special_function
def kl_div(p: Any, q: Any) -> Any:
    """``p * log(p / q) - p + q``, `rel_entr` made nonnegative, elementwise.

    Examples
    --------
    >>> kl_div(np.array([0.0, 1.0]), np.array([2.0, 1.0]))
    array([2., 0.])
    """
    entropy = rel_entr(p, q)
    return entropy + fnp.where(entropy == np.inf, 0, q - p)
