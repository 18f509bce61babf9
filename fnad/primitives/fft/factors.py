"""Into which factors lengths of Fourier transforms are taken apart."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

# Fewer numbers than these are no vector.
_LONG = 8
# What a pass costs an element, relative to a whole transform of 1024 numbers: by the radix,
# measured with 16 registers for vectors, which hold the numbers of radices up to 5. Behind the last
# pass nothing is rotated.
_COSTS = {2: 0.25, 3: 0.20, 4: 0.19, 5: 0.28, 6: 0.27, 7: 0.34, 8: 0.27, 9: 0.38, 10: 0.52}
_COSTS |= {11: 0.55, 12: 0.45, 13: 0.65, 14: 0.58, 15: 0.62, 16: 0.56}
_COSTS |= {17: 0.9, 19: 1.0, 23: 1.3, 29: 1.8, 31: 2.0}
# A first cache holds so few lines whose addresses differ by multiples of so many numbers, and more
# of them cost so much more.
_WAYS, _WAY, _CONFLICT = 8, 1024, 1.5
# A first pass along rows also sorts its results together; behind small odd radices, the vectors of
# the second pass are short.
_FIRST_COSTS = {2: 0.60, 4: 0.25, 8: 0.16, 9: 0.81, 10: 0.84, 11: 0.85, 12: 0.65, 13: 0.90}
_FIRST_COSTS |= {14: 0.78, 15: 0.76, 16: 0.50}
# As much as a transform costs whose rows are made matrices.
_DEAR = 1.8
# The lengths of short transforms that are written out.
RADICES = tuple(_COSTS)


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
    return max(prime_factors(n), default=1) <= max(RADICES)


def _cost(radix: int, numbers: int) -> float:
    """What a pass takes an element of so many complex ones."""
    apart = numbers // radix
    lines = 2 * radix * math.gcd(apart, _WAY) // _WAY  # of both parts, in one place of a cache
    return _COSTS[radix] * (_CONFLICT if lines > _WAYS else 1)


def _costs(radices: Sequence[int], numbers: int) -> float:
    if not radices:
        return 0
    *some, last = [_cost(r, numbers) for r in radices]
    return sum(some) + last / 2


@functools.lru_cache(maxsize=1024)
def factors(n: int, numbers: int) -> tuple[int, ...]:
    """The radices of the passes of a smooth length over so many numbers, the largest last.

    Examples
    --------
    >>> factors(16, 16), factors(1000, 1000), factors(512, 512), factors(512, 512 * 64)
    ((16,), (5, 5, 5, 8), (8, 8, 8), (4, 4, 4, 8))
    """
    options = [tuple(sorted((r, *factors(n // r, numbers)))) for r in RADICES if n % r == 0]
    return min(options, key=lambda option: _costs(option, numbers), default=())


@functools.lru_cache(maxsize=1024)
def even_factors(n: int) -> tuple[int, ...]:
    """The radices of few passes, the most even of those: for memory that is far away.

    Examples
    --------
    >>> even_factors(16), even_factors(512), even_factors(1000)
    ((16,), (8, 8, 8), (10, 10, 10))
    """
    options = [(r, *even_factors(n // r)) for r in reversed(RADICES) if n % r == 0]
    return min(options, key=lambda option: (len(option), sum(r * r for r in option)), default=())


@functools.lru_cache(maxsize=1024)
def row_factors(n: int) -> tuple[int, ...]:
    """The radices of passes over rows of a smooth length; none if a matrix of them is better.

    The first one runs along a row, and its results fill vectors of the others, across those.

    Examples
    --------
    >>> row_factors(256), row_factors(1000), row_factors(24), row_factors(625)
    ((8, 4, 8), (8, 5, 5, 5), (2, 12), ())
    """
    options = [
        (first_cost + _costs(rest, n), (first, *rest))
        for first, first_cost in _FIRST_COSTS.items()
        if n % first == 0 and n // first >= _LONG
        for rest in [factors(n // first, n)]
    ]
    least, found = min(options, default=(_DEAR, ()))
    return found if least < _DEAR else ()


@functools.lru_cache(maxsize=1024)
def halves(n: int) -> tuple[int, int]:
    """Two factors of a smooth length, each long, which together need few passes.

    Examples
    --------
    >>> halves(1000), halves(1024), halves(13)
    ((100, 10), (64, 16), (13, 1))
    """
    pairs = [(n // d, d) for d in range(1, math.isqrt(n) + 1) if n % d == 0]
    long = [pair for pair in pairs if pair[1] >= _LONG] or pairs[-1:]
    return min(long, key=lambda pair: (sum(len(even_factors(d)) for d in pair), pair[0]))


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
