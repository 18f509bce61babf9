"""Samplers that pick and rearrange: permutation, choice, categorical."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index as as_int
from typing import Any

import numpy as np

from fnad import lax
from fnad import numpy as fnp
from fnad.core.sizes import Size, common_shape
from fnad.core.types import aval_of, kind_of
from fnad.primitives.shape import canonicalize_axis
from fnad.random.distributions import gumbel
from fnad.random.keys import bits, count_of, shape_tuple, split
from fnad.random.uniform import Shape, floating_dtype, randint, uniform

# So many elements need 0, 1, 2 and 3 rounds: ``ceil(3 * log(n) / log(2**32 - 1))``, as JAX's.
_MOST_OF_ROUNDS = 1, 1625, 2642245, 2**32 - 1


def _shuffle(key: Any, x: Any, axis: int) -> Any:
    """Sort by random words; rounds are repeated until equal words all but never decide."""
    shape = aval_of(x).shape
    for most in _MOST_OF_ROUNDS:
        if math.prod(shape) <= most:
            break
        keys = split(key)
        key, subkey = keys[0], keys[1]
        _, x = lax.sort((bits(subkey, shape), x), dimension=axis, num_keys=1)
    return x


def permutation(key: Any, x: Any, axis: int = 0, independent: bool = False) -> Any:
    """Permute an array, or the integers below a number, at random.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    x : int or array
        The array, or n for a permutation of ``arange(n)``.
    axis : int
        The axis along which slices are rearranged.
    independent : bool
        Whether each vector along ``axis`` gets a permutation of its own.

    Returns
    -------
    array
        Of the shape and dtype of ``x``; int64 for an integer.

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> permutation(PRNGKey(0), 5)
    array([0, 1, 4, 3, 2])
    """
    if type(x) is Size:
        return _shuffle(key, fnp.arange(x), 0)
    aval = aval_of(x)
    if not aval.shape:
        if aval.dtype.kind not in "iu":
            raise TypeError(f"permutation: x must be an array or an integer, got {aval}")
        return _shuffle(key, fnp.arange(as_int(x)), 0)
    axis = canonicalize_axis(axis, aval.ndim)
    if independent or aval.ndim == 1:
        return _shuffle(key, x, axis)
    order = _shuffle(key, fnp.arange(aval.shape[axis]), 0)
    return fnp.take(x, order, axis=axis)


def choice(
    key: Any,
    a: Any,
    shape: Shape = (),
    replace: bool = True,
    p: Any = None,
    axis: int = 0,
    mode: str | None = None,
) -> Any:
    """Draw elements of an array at random.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    a : int or array
        What to draw from; an integer n stands for ``arange(n)``.
    shape : int or sequence of int
        How many to draw.
    replace : bool
        Whether an element may be drawn more than once.
    p : array of floats, shape (n,), optional
        Probability of each element; by default all are equal.
    axis : int
        The axis of ``a`` along which elements are drawn.
    mode : {"low", "high", "highest"}, optional
        Of `gumbel`, which is used with ``p`` and without replacement.

    Returns
    -------
    array
        ``a`` with its ``axis`` replaced by ``shape``.

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> choice(PRNGKey(0), 5, (3,), replace=False)
    array([0, 1, 4])
    """
    shape = shape_tuple("choice", shape)
    aval = aval_of(a)
    count = math.prod(shape)
    axis = canonicalize_axis(axis, aval.ndim) if aval.ndim else 0
    size = aval.shape[axis] if aval.ndim else count_of("choice", a, "a")
    if count and size <= 0:
        raise ValueError("choice: there is nothing to draw from")
    if not replace and count > size:
        raise ValueError(f"choice: cannot draw {count} of {size} elements without replacement")
    if p is None and not replace:
        drawn = permutation(key, a, axis)
        drawn = lax.slice_in_dim(drawn, 0, count, axis=axis)
    else:
        index = fnp.astype(_indices(key, shape, count, size, replace, p, mode), np.int64)
        drawn = fnp.take(a, index.reshape(count), axis=axis) if aval.ndim else index
    rest = aval.shape[axis + 1 :]
    return fnp.reshape(drawn, (*aval.shape[:axis], *shape, *rest))


def _indices(
    key: Any, shape: Sequence[int], count: int, size: int, replace: bool, p: Any, mode: Any
) -> Any:
    if p is None:
        return randint(key, shape, 0, size)
    p = fnp.asarray(p)
    if p.shape != (size,):
        raise ValueError(f"choice: p must have shape ({size},), got {p.shape}")
    if kind_of(p.dtype) != "f":
        p = fnp.astype(p, np.float64)
    if replace:
        cumulative = fnp.cumsum(p)
        draws = cumulative[-1] * (1 - uniform(key, shape, dtype=p.dtype))
        return fnp.searchsorted(cumulative, draws)
    scores = gumbel(key, (size,), p.dtype, mode) + fnp.log(p)
    return fnp.argsort(-scores, kind="stable")[:count]


def categorical(
    key: Any,
    logits: Any,
    axis: int = -1,
    shape: Shape | None = None,
    replace: bool = True,
    mode: str | None = None,
) -> Any:
    """Draw categories with probabilities ``softmax(logits, axis)``.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    logits : array of floats
        Unnormalised logarithms of the probabilities.
    axis : int
        The axis of the categories.
    shape : int or sequence of int, optional
        Of the result: extra leading axes, then the shape of ``logits`` without ``axis``.
    replace : bool
        Whether the draws along the extra axes may agree.
    mode : {"low", "high", "highest"}, optional
        Of `gumbel`.

    Returns
    -------
    array of int64
        Positions along ``axis``.

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> categorical(PRNGKey(0), np.log(np.array([0.1, 0.9], np.float32)), shape=(4,))
    array([1, 1, 1, 1])
    """
    logits = fnp.asarray(logits)
    floating_dtype("categorical", logits.dtype)
    axis = canonicalize_axis(axis, logits.ndim)
    if not logits.shape[axis]:
        raise ValueError("categorical: there is nothing to draw from")
    batch = (*logits.shape[:axis], *logits.shape[axis + 1 :])
    shape = batch if shape is None else shape_tuple("categorical", shape)
    prefix = shape[: len(shape) - len(batch)]
    if common_shape(shape, batch) != shape:
        raise ValueError(f"categorical: shape {shape} does not end in the batch shape {batch}")
    if replace:
        own = list(shape[len(prefix) :])
        own.insert(axis, logits.shape[axis])
        scores = gumbel(key, (*prefix, *own), logits.dtype, mode) + logits
        return fnp.argmax(scores, axis=len(prefix) + axis)
    count, size = math.prod(prefix), logits.shape[axis]
    if count > size:
        raise ValueError(f"categorical: cannot draw {count} of {size} without replacement")
    scores = fnp.moveaxis(gumbel(key, logits.shape, logits.dtype, mode) + logits, axis, -1)
    order = fnp.argsort(-scores, axis=-1, kind="stable")
    best = lax.slice_in_dim(order, 0, count, axis=len(batch))
    return fnp.reshape(fnp.moveaxis(best, -1, 0), shape)
