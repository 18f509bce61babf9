"""Continuous distributions: transformations of uniform numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from ml_dtypes import finfo

from fnad.primitives import arithmetic as ar
from fnad.primitives import rounding
from fnad.primitives.giles import erf_inv_giles
from fnad.primitives.logic import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
    convert_element_type,
    eq,
    ge,
    lt,
    select,
    shift_left,
    shift_right_logical,
)
from fnad.primitives.slicing import index_in_dim
from fnad.primitives.transcendental import log, log1p
from fnad.random.keys import bits, shape_tuple, split
from fnad.random.uniform import Shape, floating_dtype, uniform


def normal(key: Any, shape: Shape = (), dtype: Any = np.float32) -> Any:
    """Normally distributed numbers of mean 0 and variance 1.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    shape : int or sequence of int
        Of the result.
    dtype : dtype
        bfloat16, float16, float32 (the default, as JAX's), float64; complex64 or complex128 for
        complex numbers of variance 1.

    Returns
    -------
    array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> normal(PRNGKey(0), (2,))
    array([1.6226422, 2.0252647], dtype=float32)
    """
    dtype, shape = np.dtype(dtype), shape_tuple("normal", shape)
    if dtype.kind == "c":
        real = np.dtype(f"f{dtype.itemsize // 2}")
        keys = split(key)
        parts = [
            convert_element_type(
                normal(index_in_dim(keys, i, 0, keepdims=False), shape, real), dtype
            )
            for i in range(2)
        ]
        return ar.div(ar.add(parts[0], ar.mul(dtype.type(1j), parts[1])), dtype.type(np.sqrt(2)))
    dtype = floating_dtype("normal", dtype)
    # -1 itself is left out: its quantile would be infinite.
    above = np.nextafter(dtype.type(-1), dtype.type(0))
    draws = uniform(key, shape, dtype, above, dtype.type(1))
    return ar.mul(dtype.type(np.sqrt(2)), erf_inv_giles(draws))


def exponential(key: Any, shape: Shape = (), dtype: Any = np.float32) -> Any:
    """Exponentially distributed numbers of mean 1 (parameters as in `normal`).

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> exponential(PRNGKey(0), (2,))
    array([2.950128 , 3.8434246], dtype=float32)
    """
    dtype = floating_dtype("exponential", dtype)
    draws = uniform(key, shape_tuple("exponential", shape), dtype)
    return ar.neg(log1p(ar.neg(draws)))


def laplace(key: Any, shape: Shape = (), dtype: Any = np.float32) -> Any:
    """Numbers of the density ``exp(-|x|) / 2`` (parameters as in `normal`).

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> laplace(PRNGKey(0), (2,))
    array([-2.2569816, -3.1502788], dtype=float32)
    """
    dtype = floating_dtype("laplace", dtype)
    above = dtype.type(-1 + finfo(dtype).epsneg)
    draws = uniform(key, shape_tuple("laplace", shape), dtype, above, dtype.type(1))
    return ar.mul(rounding.sign(draws), log1p(ar.neg(ar.abs(draws))))


def logistic(key: Any, shape: Shape = (), dtype: Any = np.float32) -> Any:
    """Numbers whose distribution function is the logistic function (parameters as in `normal`).

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> logistic(PRNGKey(0), (2,))
    array([2.896376 , 3.8217716], dtype=float32)
    """
    dtype = floating_dtype("logistic", dtype)
    draws = uniform(key, shape_tuple("logistic", shape), dtype, finfo(dtype).tiny, dtype.type(1))
    return ar.sub(log(draws), log1p(ar.neg(draws)))


def gumbel(key: Any, shape: Shape = (), dtype: Any = np.float32, mode: str | None = None) -> Any:
    """Numbers of the Gumbel distribution, ``exp(-(x + exp(-x)))``.

    Parameters
    ----------
    key, shape, dtype
        As in `normal`.
    mode : {"low", "high", "highest"}, optional
        "high" takes twice the bits, so that the right tail reaches further; so does "highest",
        which in float32 also rounds less (other dtypes take it for "high").

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> gumbel(PRNGKey(0), (2,))
    array([2.9233725, 3.8326178], dtype=float32)
    """
    dtype = floating_dtype("gumbel", dtype)
    if mode not in (None, "low", "high", "highest"):
        raise ValueError(f"gumbel: mode must be 'low', 'high' or 'highest', got {mode!r}")
    shape = shape_tuple("gumbel", shape)
    if mode == "highest" and dtype == np.float32:
        return _fine_gumbel(key, shape)
    info = finfo(dtype)
    if mode in (None, "low"):
        draws = uniform(key, shape, dtype, info.tiny, 1.0)
        return ar.neg(log(ar.neg(log(draws))))
    draws = uniform(key, (2, *shape), dtype)
    coarse, fine = (index_in_dim(draws, i, 0, keepdims=False) for i in range(2))
    fine = ar.add(ar.mul(fine, dtype.type(2.0**-info.nmant)), info.tiny)
    draws = select(ge(coarse, dtype.type(0.5)), coarse, ar.add(coarse, fine))
    return ar.neg(log(ar.neg(log1p(ar.neg(draws)))))


def _fine_gumbel(key: Any, shape: tuple[int, ...]) -> Any:
    """Gumbel numbers from fractions of 64 bits, in float32.

    From those below one half comes the right tail, ``-log(-log1p(-x))``; the others are taken
    from 1, and give the left tail, ``-log(-log(x))``.
    """
    words = convert_element_type(bits(key, (2, *shape)), np.uint64)
    upper, lower = (index_in_dim(words, i, 0, keepdims=False) for i in range(2))
    fraction = bitwise_or(shift_left(upper, np.uint64(32)), lower)
    right = lt(upper, np.uint64(2**31))
    fraction = select(right, fraction, ar.add(bitwise_not(fraction), np.uint64(1)))
    # The 24 leading bits are kept, so that the conversion does not round (up to 1, it might).
    below = fraction
    for shift in (1, 2, 4, 8, 16, 32):
        below = bitwise_or(below, shift_right_logical(below, np.uint64(shift)))
    kept = bitwise_and(fraction, bitwise_not(shift_right_logical(below, np.uint64(24))))
    x = convert_element_type(kept, np.float32)
    x = ar.mul(select(eq(x, np.float32(0)), np.float32(0.5), x), np.float32(2.0**-64))
    half = np.float32(0.5)  # stands in where the other branch is taken
    right_tail = log1p(ar.neg(select(right, x, half)))
    left_tail = log(select(right, half, x))
    return ar.neg(log(ar.neg(select(right, right_tail, left_tail))))
