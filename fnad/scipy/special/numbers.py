"""Numbers of combinatorics."""

from __future__ import annotations

from fractions import Fraction
from operator import index
from typing import Any

import numpy as np


def bernoulli(n: int) -> np.ndarray[Any, Any]:
    """The Bernoulli numbers of index 0 to ``n``, that of index 1 being -1/2; float64.

    From the exact fractions of S. Akiyama and Y. Tanigawa (2001), each rounded once.

    Parameters
    ----------
    n : int
        From 0 on; those beyond the largest double, from index 260 on, are infinite.

    Examples
    --------
    >>> bernoulli(4)
    array([ 1.        , -0.5       ,  0.16666667,  0.        , -0.03333333])
    """
    count = index(n)
    if count < 0:
        raise ValueError(f"bernoulli: n must not be negative, got {n}")
    found = []
    row: list[Fraction] = []
    for m in range(count + 1):
        row.append(Fraction(1, m + 1))
        for j in range(m, 0, -1):
            row[j - 1] = j * (row[j - 1] - row[j])
        found.append(_rounded(-row[0] if m == 1 else row[0]))
    return np.array(found)


def _rounded(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf
