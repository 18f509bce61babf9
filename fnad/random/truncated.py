"""The truncated normal distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
from ml_dtypes import finfo

from fnad import lax
from fnad import numpy as fnp
from fnad.core.types import aval_of
from fnad.primitives.giles import erf_inv_giles
from fnad.random.uniform import Shape, floating_dtype, parameters, uniform

# Bounds beyond which the distribution function, of so many bytes, has too few values left: less
# than a thousand, or some ten for those of 2 bytes.
_TAILS = {2: 2.0, 4: 4.0, 8: 7.0}
# Beyond 2, so many terms of the continued fraction of Mills' ratio are right to 2e-5; beyond 4
# to 2e-9, beyond 7 to 4e-14.
_TERMS = 12
_NEWTON_STEPS = 3
_ALL_OF_A_TAIL = 30.0  # what lies further beyond a bound of 2 or more is less than exp(-500)


def truncated_normal(
    key: Any, lower: Any, upper: Any, shape: Shape | None = None, dtype: Any = np.float32
) -> Any:
    """Normally distributed numbers, given that they lie in ``(lower, upper)``.

    They are quantiles of uniform numbers, those of JAX, where the distribution function tells
    numbers between the bounds apart. If both bounds lie in one tail (beyond 4 in float32, 7 in
    float64 and 2 in 16 bits) quantiles are computed from the bound; JAX returns one of the
    bounds there.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        The random key.
    lower, upper : array
        Bounds.
    shape : int or sequence of int, optional
        Of the result; by default that to which the bounds broadcast.
    dtype : dtype
        bfloat16, float16, float32 (the default, as JAX's) or float64.

    Returns
    -------
    array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from fnad.random import PRNGKey
    >>> truncated_normal(PRNGKey(0), -2.0, 2.0, (2,))
    array([1.455959 , 1.7147484], dtype=float32)
    >>> truncated_normal(PRNGKey(0), 20.0, np.inf, (2,))
    array([20.146606, 20.190788], dtype=float32)
    """
    dtype = floating_dtype("truncated_normal", dtype)
    shape, (lower, upper) = parameters("truncated_normal", shape, dtype, lower, upper)
    tail = dtype.type(_TAILS[dtype.itemsize])
    traced = hasattr(lower, "aval") or hasattr(upper, "aval")
    outside = (lower >= tail) | (upper <= -tail)

    def central() -> Any:
        draws = _central(key, shape, lower, upper)
        if traced or (lower < -tail).any() or (upper > tail).any():
            # Rounding may reach 1, whose quantile is infinite, if a bound is large or infinite.
            most = dtype.type(1 - finfo(dtype).epsneg)
            draws = lax.clamp(-most, draws, most)
        return lax.mul(dtype.type(np.sqrt(2)), erf_inv_giles(draws))

    def anywhere() -> Any:
        return fnp.where(outside, _tail(key, shape, lower, upper), central())

    if traced:
        draws = lax.cond(fnp.any(outside), anywhere, central)
    else:
        draws = anywhere() if outside.any() else central()
    # Rounding must not put a sample on a bound.
    first = _next_above(lax.stop_gradient(lower))
    last = lax.neg(_next_above(lax.neg(lax.stop_gradient(upper))))
    return lax.clamp(first, draws, last)


def _central(key: Any, shape: tuple[int, ...], lower: Any, upper: Any) -> Any:
    """Uniform numbers between the values at the bounds of ``erf(x / sqrt(2))``."""
    dtype = aval_of(lower).dtype
    sqrt2 = dtype.type(np.sqrt(2))
    low, high = (lax.erf(lax.div(bound, sqrt2)) for bound in (lower, upper))
    return uniform(key, shape, dtype, low, high)


def _tail(key: Any, shape: tuple[int, ...], lower: Any, upper: Any) -> Any:
    """Numbers in an interval that lies in one tail.

    Let d be the distance from the bound that is nearer to 0, n, and M(x) Mills' ratio, that of
    the probability of more than x to the density at x. The probability of more than ``n + d``,
    given that of more than n, is ``exp(-s(d))`` with ``s(d) = d (n + d / 2) - log(M(n + d) /
    M(n))``, whose derivative is ``1 / M(n + d)``. This probability is uniform, which Newton's
    method solves for d, from the solution without the logarithm and with no cancellation.
    """
    dtype = aval_of(lower).dtype
    wide = np.promote_types(np.float32, dtype) if dtype.itemsize > 2 else np.dtype(np.float32)
    draws, lower, upper = (
        lax.convert_element_type(x, wide) for x in (uniform(key, shape, dtype), lower, upper)
    )
    negative = fnp.less(upper, 0)
    bounds = fnp.where(negative, -upper, lower), fnp.where(negative, -lower, upper)
    # Lanes that are not in a tail compute something finite.
    near = fnp.clip(bounds[0], _TAILS[dtype.itemsize], finfo(wide).max)
    far = fnp.clip(bounds[1] - near, 0, _ALL_OF_A_TAIL)
    mills = _mills_ratio(near)

    def surprise(d: Any, ratio: Any) -> Any:
        return d * (near + 0.5 * d) - lax.log(ratio / mills)

    width = lax.expm1(-surprise(far, _mills_ratio(near + far)))
    wanted = -lax.log1p(draws * width)
    d = 2 * wanted / (near + lax.sqrt(near * near + 2 * wanted))
    for _ in range(_NEWTON_STEPS):
        ratio = _mills_ratio(near + d)
        d = d - (surprise(d, ratio) - wanted) * ratio
    x = near + d
    return lax.convert_element_type(fnp.where(negative, -x, x), dtype)


def _mills_ratio(x: Any) -> Any:
    """Laplace's continued fraction, ``1 / (x + 1 / (x + 2 / (x + 3 / ...)))``."""
    fraction = fnp.zeros_like(x)
    for k in range(_TERMS, 0, -1):
        fraction = k / (x + fraction)
    return 1 / (x + fraction)


def _next_above(x: Any) -> Any:
    """The next larger floating number; infinity stays."""
    dtype = aval_of(x).dtype
    signed = np.dtype(f"i{dtype.itemsize}")
    one = signed.type(1)
    raw = lax.bitcast_convert_type(x, signed)
    # The bits of a float order as integers do, downwards for negative numbers.
    stepped = lax.select(lax.ge(raw, signed.type(0)), lax.add(raw, one), lax.sub(raw, one))
    stepped = lax.select(lax.eq(x, dtype.type(0)), one, stepped)
    return lax.select(lax.eq(x, dtype.type(np.inf)), x, lax.bitcast_convert_type(stepped, dtype))
