"""Samplers that turn bits into numbers of a range: uniform, randint, bernoulli."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ml_dtypes import finfo

from fnad.core.sizes import Size, common_shape
from fnad.core.types import BFLOAT16, aval_of, kind_of
from fnad.numpy.manipulation import broadcast_to
from fnad.primitives import arithmetic as ar
from fnad.primitives.bits import bitcast_convert_type
from fnad.primitives.logic import (
    bitwise_and,
    bitwise_or,
    convert_element_type,
    eq,
    gt,
    le,
    lt,
    select,
    shift_right_logical,
)
from fnad.primitives.sizes import size_of
from fnad.primitives.slicing import index_in_dim
from fnad.random.keys import bits, shape_tuple, split

Shape = int | Sequence[int]


def floating_dtype(name: str, dtype: Any) -> np.dtype[Any]:
    """Return a floating dtype, or raise a TypeError that names the sampler."""
    dtype = np.dtype(dtype)
    if kind_of(dtype) != "f" or dtype.itemsize > 8:
        raise TypeError(
            f"{name}: the dtype must be bfloat16, float16, float32 or float64, got {dtype}"
        )
    return dtype


def parameter(name: str, value: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    """A parameter of a distribution as an array of the result's dtype and shape (or a scalar).

    Raises
    ------
    ValueError
        If its shape does not broadcast to ``shape``.
    TypeError
        If it is complex, and the result is not.
    """
    if not hasattr(value, "aval"):
        value = np.asarray(value)[()]
    if kind_of(aval_of(value).dtype) == "c" and dtype.kind != "c":
        raise TypeError(f"{name}: parameters must be real numbers, got {aval_of(value)}")
    value = convert_element_type(value, dtype)
    own = aval_of(value).shape
    if own == ():
        return value
    try:
        fits = common_shape(own, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name}: a parameter of shape {own} does not broadcast to {shape}")
    return broadcast_to(value, shape)


def parameters(
    name: str, shape: Shape | None, dtype: np.dtype[Any], *values: Any
) -> tuple[tuple[int, ...], list[Any]]:
    """The shape of the result and the parameters of a distribution as `parameter` gives them.

    Raises
    ------
    ValueError
        If there is no shape to which all of them broadcast.
    """
    if shape is None:
        own = [aval_of(v).shape if hasattr(v, "aval") else np.shape(v) for v in values]
        try:
            shape = common_shape(*own)
        except ValueError:
            raise ValueError(f"{name}: the parameters' shapes {own} do not broadcast") from None
    shape = shape_tuple(name, shape)
    return shape, [parameter(name, value, dtype, shape) for value in values]


def uniform(
    key: Any,
    shape: Shape = (),
    dtype: Any = np.float32,
    minval: Any = 0.0,
    maxval: Any = 1.0,
) -> Any:
    """Uniform numbers in ``[minval, maxval)``.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    shape : int or sequence of int
        Of the result.
    dtype : dtype
        bfloat16, float16, float32 (the default, as JAX's) or float64.
    minval, maxval : array
        Bounds, of shapes that broadcast to ``shape``.

    Returns
    -------
    array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> uniform(PRNGKey(0), (2,))
    array([0.947667  , 0.9785799], dtype=float32)
    """
    dtype = floating_dtype("uniform", dtype)
    shape = shape_tuple("uniform", shape)
    low = parameter("uniform", minval, dtype, shape)
    high = parameter("uniform", maxval, dtype, shape)
    unsigned = np.dtype(f"u{dtype.itemsize}")
    # Random bits fill the mantissa of a number in [1, 2): all of these are equally far apart.
    drawn = np.dtype(np.uint8) if dtype == BFLOAT16 else unsigned  # as JAX has it
    random = convert_element_type(bits(key, shape, drawn), unsigned)
    mantissa = shift_right_logical(random, unsigned.type(drawn.itemsize * 8 - finfo(dtype).nmant))
    one = np.ones((), dtype).view(unsigned)[()]
    unit = ar.sub(bitcast_convert_type(bitwise_or(mantissa, one), dtype), dtype.type(1))
    return ar.max(low, ar.add(ar.mul(unit, ar.sub(high, low)), low))


def randint(key: Any, shape: Shape, minval: Any, maxval: Any, dtype: Any = np.int32) -> Any:
    """Uniform integers in ``[minval, maxval)``.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    shape : int or sequence of int
        Of the result.
    minval, maxval : int or array of integers
        Bounds, of shapes that broadcast to ``shape``. Where ``maxval <= minval`` the result is
        ``minval``.
    dtype : dtype
        Any integer dtype; int32 is the default, as JAX's.

    Returns
    -------
    array of ``shape`` and ``dtype``

    Notes
    -----
    These are JAX's numbers, with JAX's bias: for spans above ``2**16`` (``2**32`` for dtypes of
    64 bits) that are no power of 2, probabilities of single integers differ by a fraction of the
    order of ``span / 2**32`` (``span / 2**64``). A wider dtype makes it negligible.

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> randint(PRNGKey(0), (4,), 0, 10)
    array([9, 0, 2, 3], dtype=int32)
    """
    dtype = np.dtype(dtype)
    if dtype.kind not in "iu":
        raise TypeError(f"randint: the dtype must be an integer dtype, got {dtype}")
    shape = shape_tuple("randint", shape)
    wide = dtype
    if dtype.itemsize < 4:
        # Drawn from 32 bits and with the bounds clipped to dtype's, so that none is favoured.
        wide = np.dtype(np.int32)
        limits = np.iinfo(dtype)
        minval = _clipped(_integers(minval), wide, limits.min, limits.max)
        maxval = _clipped(_integers(maxval), wide, limits.min, limits.max + 1)
    low, high = _integers(minval), _integers(maxval)
    limits = np.iinfo(wide)
    if type(maxval) is int:
        beyond: Any = np.bool_(maxval > limits.max)
    else:
        beyond = gt(high, _clipped(limits.max, aval_of(high).dtype))
    low = parameter("randint", _clipped(low, wide), wide, shape)
    high = parameter("randint", _clipped(high, wide), wide, shape)
    if aval_of(beyond).shape:
        beyond = broadcast_to(beyond, shape)
    return convert_element_type(_integers_between(key, shape, low, high, beyond), dtype)


def _integers(value: Any) -> Any:
    """An array of integers; Python's are int64 if they fit, or the nearest of 64 bits."""
    if type(value) is int:
        value = min(max(value, -(2**63)), 2**64 - 1)
    if type(value) is Size:
        value = size_of(value)
    if not hasattr(value, "aval"):
        value = np.asarray(value)[()]
    if aval_of(value).dtype.kind not in "iu":
        raise TypeError(f"randint: bounds must be integers, got {aval_of(value)}")
    return value


def _clipped(
    value: Any, dtype: np.dtype[Any], low: int | None = None, high: int | None = None
) -> Any:
    """Convert integers to ``dtype``, those out of its range (or the limits) to the nearest."""
    value = _integers(value)
    own, target = np.iinfo(aval_of(value).dtype), np.iinfo(dtype)
    low = target.min if low is None else low
    high = target.max if high is None else high
    clipped = ar.clamp(own.dtype.type(max(own.min, low)), value, own.dtype.type(min(own.max, high)))
    return convert_element_type(clipped, dtype)


def _integers_between(key: Any, shape: tuple[int, ...], low: Any, high: Any, beyond: Any) -> Any:
    """``low`` plus a random number modulo the span; ``beyond`` makes the span one larger.

    The number has twice the bits of the dtype, which keeps the bias of the remainder small. It
    is ``upper * 2**n + lower``, and is reduced without ever being formed. As in JAX, whose bits
    these are, the square of the factor wraps to 0 for spans above ``2**(n/2)``: they have the
    bias of n bits (see `randint`).
    """
    dtype = aval_of(low).dtype
    unsigned = np.dtype(f"u{dtype.itemsize}")
    one = unsigned.type(1)
    keys = split(key)
    upper, lower = (
        bits(index_in_dim(keys, i, 0, keepdims=False), shape, unsigned) for i in range(2)
    )
    span = convert_element_type(ar.sub(high, low), unsigned)
    span = select(le(high, low), one, span)
    # A full range wraps the span to 0; remainders by 0 must then change nothing.
    span = select(bitwise_and(beyond, gt(high, low)), ar.add(span, one), span)
    half = unsigned.type(1 << (unsigned.itemsize * 4))
    factor = _rem(half, span)
    factor = _rem(ar.mul(factor, factor), span)
    offset = ar.add(ar.mul(_rem(upper, span), factor), _rem(lower, span))
    return ar.add(low, convert_element_type(_rem(offset, span), dtype))


def _rem(x: Any, span: Any) -> Any:
    return select(eq(span, aval_of(span).dtype.type(0)), x, ar.rem(x, span))


def bernoulli(key: Any, p: Any = 0.5, shape: Shape | None = None, mode: str = "low") -> Any:
    """True with probability ``p``.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    p : array of floats
        Probabilities; a Python float counts as float32.
    shape : int or sequence of int, optional
        Of the result; by default that of ``p``.
    mode : {"low", "high"}
        "high" takes twice the bits, for very small probabilities.

    Returns
    -------
    array of bool

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> bernoulli(PRNGKey(0), 0.5, (3,))
    array([False, False,  True])
    """
    if mode not in ("low", "high"):
        raise ValueError(f"bernoulli: mode must be 'low' or 'high', got {mode!r}")
    aval = aval_of(p)
    dtype = np.dtype(np.float32) if aval.weak_type else aval.dtype
    floating_dtype("bernoulli", dtype)
    shape = aval.shape if shape is None else shape_tuple("bernoulli", shape)
    p = parameter("bernoulli", p, dtype, shape)
    if mode == "low":
        return lt(uniform(key, shape, dtype), p)
    draws = uniform(key, (2, *shape), dtype)
    coarse, fine = (index_in_dim(draws, i, 0, keepdims=False) for i in range(2))
    fine = ar.mul(fine, dtype.type(2.0 ** -finfo(dtype).nmant))
    return lt(fine, ar.sub(p, coarse))
