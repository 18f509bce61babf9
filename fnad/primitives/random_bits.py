"""Random bits: the Threefry-2x32 block cipher in counter mode."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.primitives.elementwise import elementwise

# Rotations of the four rounds between key injections, and the constant of the key schedule, of
# Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), with 20 rounds.
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def _rotate_left(b: Any, x: Any, count: int) -> Any:
    left = b.left_shift(x, b.constant(count, x.dtype))
    right = b.right_shift_logical(x, b.constant(32 - count, x.dtype))
    return b.bitwise_or(left, right)


def _threefry2x32(b: Any, k1: Any, k2: Any, x1: Any, x2: Any) -> tuple[Any, Any]:
    k3 = b.bitwise_xor(b.bitwise_xor(k1, k2), b.constant(_PARITY, k1.dtype))
    keys = (k1, k2, k3)
    x1, x2 = x1 + k1, x2 + k2
    for block in range(5):
        for rotation in _ROTATIONS[block % 2]:
            x1 = x1 + x2
            x2 = b.bitwise_xor(_rotate_left(b, x2, rotation), x1)
        x1 = x1 + keys[(block + 1) % 3]
        x2 = x2 + keys[(block + 2) % 3] + b.constant(block + 1, x2.dtype)
    return x1, x2


def _words(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype != np.uint32:
        raise TypeError(f"threefry2x32 takes words of dtype uint32, got {dtype}")
    return dtype


threefry2x32_p = elementwise(
    "threefry2x32",
    "Encrypt the counter (x1, x2) with the key (k1, k2): two words of 32 random bits.",
    _threefry2x32,
    kinds="u",
    result=_words,
    num_results=2,
)


def threefry2x32(k1: Any, k2: Any, x1: Any, x2: Any) -> tuple[Any, Any]:
    """Encrypt counters with a key: the source of all random bits.

    Parameters
    ----------
    k1, k2 : array of uint32
        The two words of the key; any shape, or scalars.
    x1, x2 : array of uint32
        The two words of the counter; any shape, or scalars.

    Returns
    -------
    (array, array)
        Two words of random bits, uint32.

    Examples
    --------
    >>> import numpy as np
    >>> zero = np.uint32(0)
    >>> [hex(word) for word in threefry2x32(zero, zero, zero, zero)]
    ['0x6b200159', '0x99ba4efe']
    """
    first, second = threefry2x32_p.bind(k1, k2, x1, x2)
    return first, second
