"""Random bits from a state, by the generators of XLA: ``rng_bit_generator``; ``rng_uniform``.

The state is a key of two words and a counter of two. Block i of the bits is the encryption of the
counter plus i, and the new state has the counter of the block behind the last one. With the same
state the bits are those that JAX gives on a CPU.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.types import ShapedArray, aval_of, kind_of
from fnad.primitives.arithmetic import add, mul
from fnad.primitives.arrangement import stack
from fnad.primitives.bits import mulhi
from fnad.primitives.callbacks import io_callback
from fnad.primitives.logic import (
    bitwise_or,
    bitwise_xor,
    convert_element_type,
    lt,
    shift_left,
    shift_right_logical,
    stop_gradient,
)
from fnad.primitives.random_bits import threefry2x32
from fnad.primitives.shape import int_tuple, iota, reshape
from fnad.primitives.slicing import index_in_dim, slice_in_dim

_WORD = np.uint64(32)
_BIT_DTYPES = tuple(np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64))

# Multipliers of a round, and what is added to the key behind each, of Philox-4x32 in Salmon et al.,
# "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), with 10 rounds.
_MULTIPLIERS = np.uint32(0xD2511F53), np.uint32(0xCD9E8D57)
_STEPS = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10


class RandomAlgorithm(enum.IntEnum):
    """The generators of `rng_bit_generator`; the default one is Philox."""

    RNG_DEFAULT = 0
    RNG_THREE_FRY = 1
    RNG_PHILOX = 2


_THREE_FRY = RandomAlgorithm.RNG_THREE_FRY


def rng_bit_generator(
    key: Any,
    shape: int | Sequence[int],
    dtype: Any = np.uint32,
    algorithm: RandomAlgorithm | int = RandomAlgorithm.RNG_DEFAULT,
) -> tuple[Any, Any]:
    """Random bits, and the state to make the next ones from; `fnad.random` is easier to use.

    Parameters
    ----------
    key : array of uint32, shape (4,), or of uint64, shape (2,)
        The state: a key of 64 bits, then a counter of 64 bits.
    shape : int or sequence of int
        Of the bits.
    dtype : dtype
        An unsigned integer dtype, uint8 to uint64.
    algorithm : RandomAlgorithm
        The generator, Threefry-2x32 or Philox-4x32. The default is Philox on every device (in JAX
        each platform has its own; that of the CPU is Philox).

    Returns
    -------
    key : array
        The state behind these bits, of the type of ``key``.
    bits : array of ``shape`` and ``dtype``
        JAX's, bit for bit.

    Raises
    ------
    TypeError
        If ``key`` or ``dtype`` is of another type.

    Examples
    --------
    >>> key, bits = rng_bit_generator(np.array([1, 2, 3, 4], np.uint32), (3,))
    >>> key
    array([1, 2, 4, 4], dtype=uint32)
    >>> bits
    array([ 512747620, 1298009047, 1267190206], dtype=uint32)
    """
    aval, dtype, shape = aval_of(key), np.dtype(dtype), int_tuple(shape)
    if (aval.dtype, aval.shape) not in ((np.uint32, (4,)), (np.uint64, (2,))):
        raise TypeError(
            f"rng_bit_generator: the state is an array of type u32[4] or u64[2], got {aval}"
        )
    if dtype not in _BIT_DTYPES:
        raise TypeError(
            "rng_bit_generator: the dtype must be an unsigned integer, uint8 to uint64,"
            f" got {dtype}"
        )
    wide = key if aval.dtype == np.uint64 else _joined(_part(key, 0, 2), _part(key, 1, 2))
    secret, counter = (index_in_dim(wide, i, 0, keepdims=False) for i in (0, 1))
    generate = _threefry if RandomAlgorithm(algorithm) == _THREE_FRY else _philox
    bits, blocks = generate(secret, counter, shape, dtype.itemsize == 8)
    behind = stack([secret, add(counter, np.uint64(blocks))], 0)
    if aval.dtype == np.uint32:
        behind = reshape(stack(_halves(behind), 1), (4,))
    return behind, convert_element_type(bits, dtype)


_state = np.random.default_rng()


def rng_uniform(a: Any, b: Any, shape: int | Sequence[int]) -> Any:
    """Uniform numbers of NumPy's generator, other ones at every run; `fnad.random` is better.

    Parameters
    ----------
    a, b : scalar
        The bounds, of one dtype, floats or integers: numbers x have ``a <= x < b``.
    shape : int or sequence of int
        Of the result.

    Returns
    -------
    array of ``shape``
        Of the dtype of the bounds; they have no derivative.

    Notes
    -----
    They are drawn on the host, as an `io_callback`: once for each run of a program, and by `vmap`
    for each lane.

    Examples
    --------
    >>> x = rng_uniform(2.0, 3.0, (4,))
    >>> x.shape, bool(np.all((2.0 <= x) & (x < 3.0)))
    ((4,), True)
    """
    low, high = aval_of(a), aval_of(b)
    if low.shape or high.shape or low.dtype != high.dtype or kind_of(low.dtype) not in "iuf":
        raise TypeError(
            f"rng_uniform: the bounds must be two scalars of one dtype, floats or integers, got"
            f" {low} and {high}"
        )
    shape, dtype = int_tuple(shape), low.dtype

    def draw(a: Any, b: Any) -> Any:
        if kind_of(dtype) != "f":
            return _state.integers(a, b, shape, dtype)
        narrow = dtype.itemsize < 8
        x = _state.random(shape, np.float32 if narrow else np.float64)
        x = (a + x * (b - a)).astype(dtype)
        return np.where(x < b, x, a)  # rounding may reach the bound

    bounds = stop_gradient(a), stop_gradient(b)
    return io_callback(draw, ShapedArray(shape, dtype), *bounds)


def _threefry(secret: Any, begin: Any, shape: tuple[int, ...], wide: bool) -> tuple[Any, int]:
    """Bits, and of how many blocks.

    The two words of a block are neighbours along the first axis of even length, or the longest one.
    """
    extents = list(shape) or [1]
    even = [k for k, n in enumerate(extents) if n % 2 == 0]
    axis = even[0] if even else extents.index(max(extents))
    if not wide:
        extents[axis] = -(-extents[axis] // 2)
    blocks = math.prod(extents)
    counters = reshape(add(begin, iota(np.uint64, blocks)), tuple(extents))
    words = threefry2x32(*_halves(secret), *_halves(counters))
    if wide:
        return reshape(_joined(*words), shape), blocks
    extents[axis] *= 2
    pairs = reshape(stack(words, axis + 1), tuple(extents))
    return reshape(slice_in_dim(pairs, 0, (shape or (1,))[axis], axis=axis), shape), blocks


def _philox(secret: Any, begin: Any, shape: tuple[int, ...], wide: bool) -> tuple[Any, int]:
    """Bits, and of how many blocks, one behind the other."""
    size = math.prod(shape)
    blocks = -(-size // (2 if wide else 4))
    counters = add(begin, iota(np.uint64, blocks))
    first, second = _halves(secret)
    a, b = _halves(counters)
    # A block is 128 bits: the counter, which may overflow, and behind it the key once more.
    c, d = _halves(add(secret, convert_element_type(lt(counters, begin), np.uint64)))
    for _ in range(_ROUNDS):
        high, low = zip(*[(mulhi(x, m), mul(x, m)) for x, m in zip((a, c), _MULTIPLIERS)])
        a, c = (
            bitwise_xor(bitwise_xor(high[1], b), first),
            bitwise_xor(bitwise_xor(high[0], d), second),
        )
        d, b = low
        first, second = (add(k, np.uint32(step)) for k, step in zip((first, second), _STEPS))
    pieces = [_joined(a, b), _joined(c, d)] if wide else [a, b, c, d]
    flat = reshape(stack(pieces, 1), (blocks * len(pieces),))
    return reshape(slice_in_dim(flat, 0, size), shape), blocks


def _part(words: Any, start: int, step: int) -> Any:
    return slice_in_dim(words, start, None, step)


def _joined(low: Any, high: Any) -> Any:
    """Words of 64 bits from their halves."""
    low, high = (convert_element_type(x, np.uint64) for x in (low, high))
    return bitwise_or(shift_left(high, _WORD), low)


def _halves(words: Any) -> tuple[Any, Any]:
    """The low and the high half of words of 64 bits."""
    low = convert_element_type(words, np.uint32)
    return low, convert_element_type(shift_right_logical(words, _WORD), np.uint32)
