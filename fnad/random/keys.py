"""Keys and bits: everything random is a pure function of a key.

A key is an array of two words, ``uint32[2]``. Random words are the Threefry-2x32 encryption of
their own position in the array that is asked for, so that they do not depend on how it is
computed (JAX's default generator in its partitionable form, bit for bit).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.errors import FnadError
from fnad.core.sizes import as_size
from fnad.core.types import aval_of
from fnad.primitives.logic import (
    bitwise_or,
    bitwise_xor,
    convert_element_type,
    shift_left,
    shift_right_logical,
)
from fnad.primitives.random_bits import threefry2x32
from fnad.primitives.shape import int_tuple, iota, reshape
from fnad.primitives.slicing import concatenate, index_in_dim

_WORD = 32
_GENERATOR = "threefry2x32"


def PRNGKey(seed: Any, *, impl: str | None = None) -> Any:  # noqa: N802 - JAX's name
    """Make a key from an integer.

    Parameters
    ----------
    seed : int or integer scalar
        The upper 32 bits become the first word of the key (0 for seeds of 32 bits or fewer),
        the lower 32 bits the second.
    impl : {"threefry2x32"}, optional
        The generator; there is one.

    Returns
    -------
    array of uint32, shape (2,)

    Raises
    ------
    TypeError
        If ``seed`` is not an integer scalar.
    ValueError
        If another generator is asked for, or ``seed`` has more than 64 bits.

    Examples
    --------
    >>> PRNGKey(42)
    array([ 0, 42], dtype=uint32)
    """
    _check_generator("PRNGKey", impl)
    if type(seed) is int:
        if not -(2**63) <= seed < 2**64:
            raise ValueError(f"PRNGKey: the seed must have at most 64 bits, got {seed}")
        seed = np.uint64(seed % 2**64)
    aval = aval_of(seed)
    if aval.shape != () or aval.dtype.kind not in "iu":
        raise TypeError(f"PRNGKey: the seed must be an integer scalar, got {aval}")
    low = convert_element_type(seed, np.uint32)
    high: Any = np.uint32(0)
    if aval.dtype.itemsize == 8:
        shift = aval.dtype.type(_WORD)
        high = convert_element_type(shift_right_logical(seed, shift), np.uint32)
    return concatenate([reshape(high, (1,)), reshape(low, (1,))], 0)


def key(seed: Any, *, impl: str | None = None) -> Any:
    """Make a key from an integer: the same as `PRNGKey`, a raw ``uint32[2]`` array.

    Examples
    --------
    >>> key(7)
    array([0, 7], dtype=uint32)
    """
    return PRNGKey(seed, impl=impl)


def _check_generator(name: str, impl: str | None) -> None:
    if impl not in (None, _GENERATOR):
        raise ValueError(f"{name}: the generator is {_GENERATOR!r}, got {impl!r}")


def _words(key: Any) -> tuple[Any, Any]:
    try:
        aval = aval_of(key)
    except TypeError:
        raise TypeError(
            f"a random key is an array of type u32[2], got {key!r} of type {type(key).__name__}."
            " Make one with fnad.random.key(seed)."
        ) from None
    if aval.shape != (2,) or aval.dtype != np.uint32:
        hint = (
            " Several keys are used with vmap, or one at a time."
            if aval.dtype == np.uint32 and aval.shape[-1:] == (2,)
            else " Make one with fnad.random.key(seed)."
        )
        raise TypeError(f"a random key is an array of type u32[2], got {aval}.{hint}")
    return index_in_dim(key, 0, 0, keepdims=False), index_in_dim(key, 1, 0, keepdims=False)


def _random_words(key: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Two random words for each position of an array of ``shape``."""
    k1, k2 = _words(key)
    size = math.prod(shape)
    if not shape:
        return threefry2x32(k1, k2, np.uint32(0), np.uint32(0))
    if size <= 2**_WORD:
        return threefry2x32(k1, k2, np.uint32(0), reshape(iota(np.uint32, size), shape))
    position = reshape(iota(np.uint64, size), shape)
    high = convert_element_type(shift_right_logical(position, np.uint64(_WORD)), np.uint32)
    return threefry2x32(k1, k2, high, convert_element_type(position, np.uint32))


def shape_tuple(name: str, shape: Any, argument: str = "shape") -> tuple[int, ...]:
    """The shape of samples as a tuple; errors name the sampler and its argument."""
    try:
        sizes = int_tuple(shape)
    except FnadError:  # a traced number, of which it says more
        raise
    except TypeError:
        raise TypeError(
            f"{name}: {argument} must be an integer or a sequence of integers, got {shape!r}"
        ) from None
    if any(type(size) is int and size < 0 for size in sizes):
        raise ValueError(f"{name}: {argument} must not be negative, got {shape!r}")
    return sizes


def count_of(name: str, value: Any, argument: str) -> Any:
    """An integer from 0 on; errors name the sampler and its argument."""
    try:
        count = as_size(value)
    except FnadError:
        raise
    except TypeError:
        raise TypeError(f"{name}: {argument} must be an integer, got {value!r}") from None
    if type(count) is int and count < 0:
        raise ValueError(f"{name}: {argument} must not be negative, got {count}")
    return count


def split(key: Any, num: int | tuple[int, ...] = 2) -> Any:
    """Make new, independent keys out of one.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The key; do not use it again.
    num : int or tuple of int
        How many keys, or the shape of the array of keys.

    Returns
    -------
    array of uint32, shape ``(*num, 2)``

    Examples
    --------
    >>> split(PRNGKey(0))
    array([[1797259609, 2579123966],
           [ 928981903, 3453687069]], dtype=uint32)
    """
    shape = shape_tuple("split", num, "num")
    first, second = _random_words(key, shape)
    column = (*shape, 1)
    return concatenate([reshape(first, column), reshape(second, column)], len(shape))


def split_in(key: Any, num: int) -> list[Any]:
    """The keys of `split`, one by one."""
    keys = split(key, num)
    return [index_in_dim(keys, i, 0, keepdims=False) for i in range(num)]


def fold_in(key: Any, data: Any) -> Any:
    """Make a new key out of a key and an integer (a step number, the index of a layer).

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The key.
    data : int or integer scalar
        Taken modulo 2**32.

    Returns
    -------
    array of uint32, shape (2,)

    Examples
    --------
    >>> fold_in(PRNGKey(0), 3)
    array([2467461003, 3840466878], dtype=uint32)
    """
    k1, k2 = _words(key)
    if type(data) is int:
        data = np.uint32(data % 2**_WORD)
    aval = aval_of(data)
    if aval.shape != () or aval.dtype.kind not in "iu":
        raise TypeError(f"fold_in: the data must be an integer scalar, got {aval}")
    data = convert_element_type(data, np.uint32)
    first, second = threefry2x32(k1, k2, np.uint32(0), data)
    return concatenate([reshape(first, (1,)), reshape(second, (1,))], 0)


def key_data(keys: Any) -> Any:
    """The words of keys: keys are their own words here, so the same array.

    Parameters
    ----------
    keys : array of uint32, shape (..., 2)
        Keys.

    Returns
    -------
    array of uint32, shape (..., 2)

    Raises
    ------
    TypeError
        If these are no keys.

    Examples
    --------
    >>> key_data(PRNGKey(3))
    array([0, 3], dtype=uint32)
    """
    aval = aval_of(keys)
    if aval.shape[-1:] != (2,) or aval.dtype != np.uint32:
        raise TypeError(
            f"random keys are an array of type u32[..., 2], got {aval}."
            " Make one with fnad.random.key(seed)."
        )
    return keys


def key_impl(keys: Any) -> str:
    """The name of the generator that keys are of.

    Examples
    --------
    >>> key_impl(PRNGKey(3))
    'threefry2x32'
    """
    key_data(keys)
    return _GENERATOR


def wrap_key_data(key_bits_array: Any, *, impl: str | None = None) -> Any:
    """Keys from their words, the inverse of `key_data`.

    Parameters
    ----------
    key_bits_array : array of uint32, shape (..., 2)
        Words.
    impl : {"threefry2x32"}, optional
        The generator; there is one.

    Returns
    -------
    array of uint32, shape (..., 2)

    Raises
    ------
    TypeError
        If the array is of another dtype or shape.
    ValueError
        If another generator is asked for.

    Examples
    --------
    >>> wrap_key_data(np.array([0, 3], np.uint32))
    array([0, 3], dtype=uint32)
    """
    _check_generator("wrap_key_data", impl)
    return key_data(key_bits_array)


def clone(key: Any) -> Any:
    """The same key, for code that means to use it twice (JAX can check keys for reuse).

    Examples
    --------
    >>> clone(PRNGKey(3))
    array([0, 3], dtype=uint32)
    """
    return key_data(key)


def bits(key: Any, shape: int | Sequence[int] = (), dtype: Any = np.uint32) -> Any:
    """Uniform random bits.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The key.
    shape : int or sequence of int
        Of the result.
    dtype : dtype
        An unsigned integer dtype, uint8 to uint64.

    Returns
    -------
    array of ``shape`` and ``dtype``

    Examples
    --------
    >>> bits(PRNGKey(0), (2,), np.uint8)
    array([167, 146], dtype=uint8)
    """
    dtype = np.dtype(dtype)
    if dtype.kind != "u":
        raise TypeError(f"bits: the dtype must be an unsigned integer, got {dtype}")
    first, second = _random_words(key, shape_tuple("bits", shape))
    if dtype.itemsize < 8:
        return convert_element_type(bitwise_xor(first, second), dtype)
    high = shift_left(convert_element_type(first, dtype), dtype.type(_WORD))
    return bitwise_or(high, convert_element_type(second, dtype))
