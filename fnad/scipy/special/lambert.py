"""Lambert's W function of real numbers, both of its real branches."""

from __future__ import annotations

import math
from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import polynomial, special_function, with_partials

# 1/e in 4 and 8 bytes, and what rounding took off it.
_INVERSE_E = {
    4: (0.3678794503211975, -9.149755188170102e-09),
    8: (0.36787944117144233, -1.2428753672788363e-17),
}
_NEAR = 0.4  # up to here the series about the branch point
_STEPS = 3  # of Halley's method, which triples the digits; the worst start has one


def _series(terms: int) -> list[float]:
    """W in powers of ``sqrt(2 (e x + 1))``; Corless et al. (1996), equations 4.23 and 4.24."""
    mu, alpha = [-1.0, 1.0], [2.0, -1.0]
    for k in range(2, terms):
        alpha.append(sum(mu[j] * mu[k + 1 - j] for j in range(2, k)))
        first = (k - 1) / (k + 1) * (mu[k - 2] / 2 + alpha[k - 2] / 4)
        mu.append(first - alpha[k] / 2 - mu[k - 1] / (k + 1))
    return mu


_SERIES = _series(30)


def lambertw(z: Any, k: int = 0) -> Any:
    """Lambert's W function, the solution of ``w * exp(w) == z``, elementwise, of real numbers.

    Parameters
    ----------
    z : array
        Real. Where it has no real solution, below ``-1/e`` and, on the branch -1, above 0, the
        result is NaN; the floating-point number next to ``-1/e`` counts as it.
    k : int
        The branch: 0, above -1, or -1, below.

    Returns
    -------
    array
        Of real numbers, unlike SciPy's, whose results are complex.

    Notes
    -----
    Next to the branch point ``-1/e`` by a series, elsewhere by Halley's method. R. M. Corless,
    G. H. Gonnet, D. E. G. Hare, D. J. Jeffrey and D. E. Knuth, "On the Lambert W function" (Adv.
    Comput. Math. 5, 1996); DLMF 4.13. The slope is infinite at the branch point.

    Examples
    --------
    >>> import numpy as np
    >>> lambertw(np.array([0.0, 1.0, np.e]))
    array([0.        , 0.56714329, 1.        ])
    >>> lambertw(np.array([-0.1]), -1)
    array([-3.57715206])
    """
    if k not in (0, -1):
        raise ValueError(f"lambertw: k must be 0 or -1, the branches of real numbers, got {k!r}")

    def lambertw(z: Any) -> Any:
        return _upper(z) if k == 0 else _lower(z)

    return special_function(lambertw)(z)


def _from_branch_point(x: Any) -> Any:
    """``sqrt(2 (e x + 1))``, NaN below the number that ``-1/e`` rounds to, which counts as it."""
    high, low = _INVERSE_E[x.dtype.itemsize]
    above = fnp.where(x == -high, 0, (x + high) + low)
    return math.sqrt(2 * math.e) * fnp.sqrt(fnp.where(above >= 0, above, math.nan))


def _near_branch_point(root: Any) -> tuple[Any, Any, Any]:
    """Whether the series serves, and its sum with and without its first term, -1."""
    near = ~(fnp.abs(root) > _NEAR)
    root = fnp.where(near, root, 0)
    rest = root * polynomial(root, _SERIES[1:])
    return near, rest - 1, rest


def _upper_parts(x: Any) -> tuple[Any, Any]:
    near, value, more = _near_branch_point(_from_branch_point(x))
    u = fnp.where(near | (x == math.inf), 1, x)
    log = fnp.log1p(u)
    w = log * (1 - fnp.log1p(log) / (2 + log))  # Winitzki's approximation, to 0.1
    for _ in range(_STEPS):
        # On w - x exp(-w), which neither overflows nor cancels.
        product = u * fnp.exp(-w)
        off, slope = w - product, 1 + product
        w = w - 2 * off * slope / (2 * slope * slope + off * product)
    w = fnp.where(x == math.inf, math.inf, w)
    return fnp.where(near, value, w), fnp.where(near, more, 1 + w)


def _lower_parts(x: Any) -> tuple[Any, Any]:
    root = _from_branch_point(x)
    near, value, more = _near_branch_point(-root)
    u = fnp.where(near | (x >= 0), -0.1, x)
    log = fnp.log(-u)
    more_log = fnp.log(-log)
    by_logs = more_log - log - more_log / log
    v = fnp.where(u < -0.25, -polynomial(-root, _SERIES[:5]), by_logs)
    for _ in range(_STEPS):
        # On v - log(v) + log(-x), where v is -w.
        off, slope = v - fnp.log(v) + log, 1 - 1 / v
        v = v - 2 * off * slope / (2 * slope * slope - off / (v * v))
    w = fnp.where(x == 0, -math.inf, fnp.where(x > 0, math.nan, -v))
    return fnp.where(near, value, w), fnp.where(near, more, 1 + w)


def _upper_slope(x: Any) -> Any:
    return fnp.exp(-_upper(x)) / _upper_and_one(x)


def _lower_slope(x: Any) -> Any:
    w = _lower(x)
    share = fnp.where(w == -math.inf, 1, _lower_and_one(x) / fnp.where(w == -math.inf, 1, w))
    return -1 / (fnp.abs(x) * share)


_upper: Any = with_partials(_upper_slope)(lambda x: _upper_parts(x)[0])
_upper_and_one: Any = with_partials(_upper_slope)(lambda x: _upper_parts(x)[1])
_lower: Any = with_partials(_lower_slope)(lambda x: _lower_parts(x)[0])
_lower_and_one: Any = with_partials(_lower_slope)(lambda x: _lower_parts(x)[1])
