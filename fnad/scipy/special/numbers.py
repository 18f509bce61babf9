"""Numbers of combinatorics."""

from __future__ import annotations

from fractions import Fraction
from operator import index
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.primitives.control_flow import fori_loop
from fnad.scipy.operands import floating, special_function, with_partials
from fnad.scipy.special.gamma_functions import betaln, digamma, gammasgn
from fnad.transforms.blocks import compiled_elementwise


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


@special_function
@compiled_elementwise
def binom(n: Any, k: Any) -> Any:
    """The binomial coefficient ``gamma(n+1) / (gamma(k+1) gamma(n-k+1))``, elementwise.

    Of real numbers, and exact where they are integers and it fits; NaN for negative integers ``n``.

    Examples
    --------
    >>> binom(np.array([5.0, 0.5]), 2)
    array([10.   , -0.125])
    """
    return _binom(n, k)


_STEPS = 40  # multiplications, above which it is found from logarithms


def _binom_value(n: Any, k: Any) -> Any:
    whole = n == fnp.floor(n)
    # The smaller of k and n - k, and 0 or less where both are integers outside of [0, n].
    mirrored = whole & (n >= 0) & (k > n / 2)
    count = fnp.where(mirrored, n - k, k)
    by_product = (count == fnp.floor(count)) & (count <= _STEPS)
    j = fnp.where(by_product, count, 0)

    def body(i: Any, value: Any) -> Any:
        step = (i + 1).astype(n.dtype)
        return fnp.where(step <= j, value * (n - j + step) / step, value)

    product = fori_loop(0, _STEPS, body, fnp.ones_like(n))
    product = fnp.where(j < 0, 0, product)
    regular = ~by_product
    a = fnp.where(regular, n, 1) + 1
    b, c = fnp.where(regular, k, 0) + 1, fnp.where(regular, n - k, 1) + 1
    zero = ((b <= 0) & (b == fnp.floor(b))) | ((c <= 0) & (c == fnp.floor(c)))
    b, c = fnp.where(zero, 1, b), fnp.where(zero, 1, c)
    size = fnp.exp(-betaln(b, c) - fnp.log(fnp.abs(a)))
    value = gammasgn(a) * gammasgn(b) * gammasgn(c) * size
    value = fnp.where(by_product, product, fnp.where(zero, 0, value))
    nan = fnp.isnan(n) | fnp.isnan(k) | (whole & (n < 0))
    return fnp.where(nan, np.nan, value)


def _binom_in_n(n: Any, k: Any) -> Any:
    return _binom(n, k) * (digamma(n + 1) - digamma(n - k + 1))


def _binom_in_k(n: Any, k: Any) -> Any:
    return _binom(n, k) * (digamma(n - k + 1) - digamma(k + 1))


_binom: Any = with_partials(_binom_in_n, _binom_in_k)(_binom_value)


def comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Any:  # noqa: N803
    """The number of ways to choose ``k`` of ``N`` things, elementwise; 0 outside of 0 <= k <= N.

    Parameters
    ----------
    N, k : array
        Of any real dtype; the result is floating.
    exact : bool
        Only False: exact numbers are Python's integers, which arrays cannot hold.
    repetition : bool
        Whether a thing may be chosen again.

    Examples
    --------
    >>> comb(np.array([5, 5]), np.array([2, 6]))
    array([10.,  0.])
    >>> comb(5, 2, repetition=True)
    np.float64(15.0)
    """
    if exact:
        raise ValueError(
            "comb: exact=True gives Python integers of any length, which no traced array holds;"
            " use math.comb for them, or exact=False"
        )
    n, k = floating("comb", N, k)
    if repetition:
        # Nothing chosen of nothing is one way, as in SciPy.
        empty = (n == 0) & (k == 0)
        return fnp.where(empty, 1, comb(fnp.where(empty, 0, n + k - 1), k))
    inside = (n >= 0) & (k >= 0) & (k <= n)
    nan = fnp.isnan(n) | fnp.isnan(k)
    value = binom(fnp.where(inside, n, 1), fnp.where(inside, k, 0))
    return fnp.where(inside, value, fnp.where(nan, n.dtype.type(np.nan), 0))
