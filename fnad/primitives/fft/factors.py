"""Into which factors lengths of Fourier transforms are taken apart."""

from __future__ import annotations

import functools
from math import isqrt

_PRIMES = (31, 29, 23, 19, 17)
# Fewer numbers than these are no vector.
_LONG = 8
# The lengths of short transforms that are written out.
RADICES = (*_PRIMES, *range(16, 1, -1))


def prime_factors(n: int) -> list[int]:
    """The prime factors of a number, the smallest first.

    Examples
    --------
    >>> prime_factors(360)
    [2, 2, 2, 3, 3, 5]
    """
    found, p = [], 2
    while p * p <= n:
        while n % p == 0:
            found.append(p)
            n //= p
        p += 1
    return [*found, n] if n > 1 else found


def is_smooth(n: int) -> bool:
    """Whether passes do a transform of length n: it has no large prime factor."""
    return max(prime_factors(n), default=1) <= RADICES[0]


@functools.lru_cache(maxsize=1024)
def factors(n: int) -> tuple[int, ...]:
    """The radices of the passes of a smooth length: few, and of those the most even.

    Examples
    --------
    >>> factors(16), factors(512), factors(1000)
    ((16,), (8, 8, 8), (10, 10, 10))
    """
    if n == 1:
        return ()
    options = [(r, *factors(n // r)) for r in RADICES if n % r == 0]
    return min(options, key=lambda option: (len(option), sum(r * r for r in option)))


def has_long_rows(n: int) -> bool:
    """Whether a first pass fills vectors, and its results fill others, across those.

    Examples
    --------
    >>> has_long_rows(256), has_long_rows(32), has_long_rows(1000)
    (True, False, False)
    """
    first = factors(n)[0]
    return first % _LONG == 0 and n // first >= _LONG


@functools.lru_cache(maxsize=1024)
def halves(n: int) -> tuple[int, int]:
    """Two factors of a smooth length, each long, which together need few passes.

    Examples
    --------
    >>> halves(1000), halves(1024), halves(13)
    ((100, 10), (64, 16), (13, 1))
    """
    pairs = [(n // d, d) for d in range(1, isqrt(n) + 1) if n % d == 0]
    long = [pair for pair in pairs if pair[1] >= _LONG] or pairs[-1:]
    return min(long, key=lambda pair: (sum(len(factors(d)) for d in pair), pair[0]))


@functools.lru_cache(maxsize=1024)
def fast_length(n: int) -> int:
    """The least length from n on that has a quarter power of two, and 3, 5 or nothing beside it.

    Examples
    --------
    >>> fast_length(2000), fast_length(20013)
    (2048, 20480)
    """
    found = []
    for odd in (1, 3, 5, 9, 15):
        size = odd
        while size < n:
            size *= 2
        found.append(size)
    return min(found)
