"""Remainders of huge numbers by multiples of pi (Payne and Hanek 1983).

They are too long to be inline; see `runtime`.
"""

from __future__ import annotations

import functools
import math

from fnad.lowering.maths.notation import (
    FLOAT32,
    DType,
    Number,
    absolute,
    flip,
    fma,
    rint,
    sign_bit,
    two_sum,
    where,
    whole_part,
)

_PI_LOW = 1.2246467991473532e-16  # pi - math.pi


def remainder(x: Number, offset: int) -> Number:
    """+-r for the remainder r of a large x, such that sin(+-r) is sin(x + offset pi/2).

    A float64, of float32 as well.
    """
    return x.call(f"remainder_{offset}")


def remainder_of_large(x: Number, offset: int) -> Number:
    """What `remainder` calls."""
    return _remainder(x.widen(), offset, x.dtype)


def _remainder(x: Number, offset: int, dtype: DType) -> Number:
    """x / pi modulo 2 in exact products with four pieces of 1/pi, chosen by x's exponent."""
    size = absolute(x)
    usable = (size >= 4.0) & (size < math.inf)
    size = where(usable, size, 4.0)
    row = size.bits >> 56
    scaled = size * ((2046 << 52) - (row << 56)).from_bits
    rows = 8 if dtype == FLOAT32 else 64
    table = f"inverse_pi.{rows}", _inverse_pi()[: 4 * rows]
    pieces = [((row - 64) * 4 + i).lookup(*table) for i in range(4)]

    product = [scaled * piece for piece in pieces]
    rest = [fma(scaled, a, -p) for a, p in zip(pieces[:3], product[:3])]
    turns = _modulo_2(_modulo_2(product[0]) + _modulo_2(rest[0]))  # exact: multiples of 2**-47
    turns, small = two_sum(turns, _modulo_2(product[1]))
    turns, smaller = two_sum(turns, turns.constant(-0.5 * offset))
    n, bits = whole_part(turns, 1)
    total, low = turns - n, rest[2] + product[3]
    for term in (product[2], rest[1], small, smaller):
        total, lost = two_sum(total, term)
        low = low + lost
    r = total * math.pi
    r = r + fma(low, math.pi, fma(total, _PI_LOW, fma(total, math.pi, -r)))
    r = flip(r, (~bits if offset else bits) << 63)
    if not offset:
        r = flip(r, sign_bit(x))
    return r + x * 0.0  # NaN for infinities


def _modulo_2(x: Number) -> Number:
    return fma(rint(x * 0.5), -2.0, x)


@functools.cache
def _inverse_pi() -> list[float]:
    """The pieces of 1/pi, four for each sixteen exponents.

    Row j: bits of 1/pi that matter modulo 2 for x >= 2**(16 j + 1), times 2**(16 j + 1).

    The bits above give multiples of 2 with every bit of such an x.
    """
    scale = 1300
    inverse = (1 << (2 * scale)) // _pi_times_power(scale)  # 2**scale / pi
    rows = []
    for j in range(64):
        base = 16 * j + 1
        rest = inverse % (1 << (scale + 53 - base))  # weights below 2**(53 - base)
        for i in range(4):
            lowest = scale + 53 - base - 48 * (i + 1)
            piece = rest >> lowest if lowest >= 0 else rest << -lowest
            rows.append(float(piece) * 2.0 ** (5 - 48 * i))
            rest -= piece << lowest
    return rows


def _pi_times_power(bits: int) -> int:
    """pi 2**bits by Machin's formula."""
    one = 1 << (bits + 20)

    def arctan_of_inverse(n: int) -> int:
        total = term = one // n
        k = 1
        while term:
            term //= -n * n
            k += 2
            total += term // k
        return total

    return (16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)) >> 20
