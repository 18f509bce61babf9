"""Short Fourier transforms, written out: of complex numbers as pairs of real ones.

They work on whatever has ``+ - *`` and unary minus: NumPy's arrays, or expressions of the planner.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isqrt
from typing import Any

import numpy as np

Pair = tuple[Any, Any]


def root_of_unity(fraction: Fraction) -> tuple[float, float]:
    """``exp(-2 pi i fraction)`` as (real, imaginary), rounded once.

    Examples
    --------
    >>> root_of_unity(Fraction(1, 4)), root_of_unity(Fraction(1, 2))
    ((0.0, -1.0), (-1.0, 0.0))
    """
    root = roots_of_unity(np.array([fraction.numerator]), fraction.denominator)[0]
    return float(root.real), float(root.imag)


def roots_of_unity(k: np.ndarray, n: int) -> np.ndarray:
    """``exp(-2 pi i k / n)``, computed in extended precision, where there is one, and rounded.

    The angle is taken from the nearest quarter turn, so that what should be equal, zero or one is.
    """
    quarters = (8 * k + n) // (2 * n)
    angle = (4 * k - quarters * n) * (np.arctan(np.longdouble(1)) * 2) / n  # in [-pi/4, pi/4]
    c, s = np.cos(angle).astype(np.float64), np.sin(angle).astype(np.float64)
    turn = quarters % 4
    odd = turn % 2 == 1
    re, im = np.where(odd, -s, c), np.where(odd, -c, -s)
    sign = np.where(turn < 2, 1.0, -1.0)
    # Sums with 0 turn -0 into 0.
    return (re * sign + 0.0) + 1j * (im * sign + 0.0)


def dft(xs: Sequence[Pair]) -> list[Pair]:
    """``X[k] = sum(x[j] * exp(-2 pi i j k / n))`` of a few complex numbers.

    A composite length is that of two shorter ones (Cooley and Tukey, 1965), a prime one is
    computed from sums and differences of what is conjugate (Singleton, 1969).
    """
    n = len(xs)
    if n == 1:
        return list(xs)
    if n == 2:
        (a, b), (c, d) = xs
        return [(a + c, b + d), (a - c, b - d)]
    columns = _divisor(n)
    return _prime(xs) if columns == n else _composite(xs, columns)


def _divisor(n: int) -> int:
    """A divisor near the root of a composite number, 4 of 8; a prime itself."""
    if n % 4 == 0 and n > 4:
        return 4
    found = [d for d in range(2, isqrt(n) + 1) if n % d == 0]
    return n // found[-1] if found else n


def _composite(xs: Sequence[Pair], rows: int) -> list[Pair]:
    n = len(xs)
    columns = n // rows
    inner = [dft(xs[j::columns]) for j in range(columns)]  # over j + columns * i
    out: list[Any] = [None] * n
    for k in range(rows):
        turned = [
            times_root(inner[j][k], Fraction(j * k, n)) if j * k else inner[j][k]
            for j in range(columns)
        ]
        out[k::rows] = dft(turned)
    return out


def _prime(xs: Sequence[Pair]) -> list[Pair]:
    n = len(xs)
    (zero_re, zero_im), half = xs[0], range(1, n // 2 + 1)
    sums = [(xs[j][0] + xs[n - j][0], xs[j][1] + xs[n - j][1]) for j in half]
    differences = [(xs[j][0] - xs[n - j][0], xs[j][1] - xs[n - j][1]) for j in half]
    out: list[Any] = [None] * n
    out[0] = (_sum([zero_re, *(re for re, _ in sums)]), _sum([zero_im, *(im for _, im in sums)]))
    for k in half:
        roots = [root_of_unity(Fraction(j * k % n, n)) for j in half]
        even_re = _sum([zero_re, *(re * c for (re, _), (c, _) in zip(sums, roots))])
        even_im = _sum([zero_im, *(im * c for (_, im), (c, _) in zip(sums, roots))])
        # i s times the differences, where the roots are c + i s.
        odd_re = _sum([im * -s for (_, im), (_, s) in zip(differences, roots)])
        odd_im = _sum([re * s for (re, _), (_, s) in zip(differences, roots)])
        out[k] = even_re + odd_re, even_im + odd_im
        out[n - k] = even_re - odd_re, even_im - odd_im
    return out


def _sum(terms: Sequence[Any]) -> Any:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def times_root(x: Pair, fraction: Fraction) -> Pair:
    """``x * exp(-2 pi i fraction)``, without multiplications by 0 and 1."""
    re, im = x
    eighths = 8 * fraction
    if eighths.denominator == 1:
        quarters, odd = divmod(int(eighths) % 8, 2)
        if odd:
            half = 0.7071067811865475244
            re, im = (re + im) * half, (im - re) * half
        for _ in range(quarters):
            re, im = im, -re
        return re, im
    c, s = root_of_unity(fraction)
    return re * c - im * s, re * s + im * c
