"""Products of powers, with derivatives that have their limits where a power is of 0.

The derivatives are taken term by term, so that they are finite or infinite at an edge, as the
function's are, where the exponential of a logarithm has NaN; of two infinite terms, only the
larger one is left. The argument is a quotient ``x / scale``, and powers of the scale are factors:
at 0, slopes in the scale are then those of a power of the scale alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import with_partials
from fnad.scipy.special.logistic import xlog1py, xlogy


def _times_log(value: Any, log: Any) -> Any:
    return value * fnp.where(value == 0, 0, log)


def _term(factor: Any, kernel: Callable[..., Any], *powers: Any) -> Any:
    """``factor * kernel(*powers)``, 0 where the factor is, also where the kernel is infinite."""
    return fnp.where(factor == 0, 0, factor * kernel(*powers))


@cache
def gamma_kernel(m: int) -> Callable[..., Any]:
    """The function ``(p, x, scale, log_norm)`` that is ``z**p exp(-z) / scale**m``.

    There, ``z = x / scale`` is from 0 on; divided by the number whose logarithm is ``log_norm``.
    """

    def slope(p: Any, x: Any, scale: Any, log_norm: Any) -> Any:
        def next_one(p: Any) -> Any:
            return gamma_kernel(m + 1)(p, x, scale, log_norm)

        return _term(p, next_one, p - 1) - next_one(p)

    def scale_slope(p: Any, x: Any, scale: Any, log_norm: Any) -> Any:
        def next_one(p: Any) -> Any:
            return gamma_kernel(m + 1)(p, x, scale, log_norm)

        dominated = (x == 0) & (p < 0) & (p + m != 0)
        return fnp.where(dominated, 0, next_one(p + 1)) - _term(p + m, next_one, p)

    @with_partials(
        lambda p, x, s, log_norm: _times_log(kernel(p, x, s, log_norm), fnp.log(x / s)),
        slope,
        scale_slope,
        lambda *xs: -kernel(*xs),
    )
    def kernel(p: Any, x: Any, scale: Any, log_norm: Any) -> Any:
        z = x / scale
        return fnp.exp(xlogy(p, z) - z - log_norm - _log_of_power(scale, m))

    return kernel


@cache
def beta_kernel(m: int) -> Callable[..., Any]:
    """The function ``(p, q, x, scale, log_norm)`` that is ``z**p (1 - z)**q / scale**m``.

    There, ``z = x / scale`` is in [0, 1]; divided by the number whose logarithm is ``log_norm``.
    """

    def slope(p: Any, q: Any, x: Any, scale: Any, log_norm: Any) -> Any:
        def next_one(p: Any, q: Any) -> Any:
            return beta_kernel(m + 1)(p, q, x, scale, log_norm)

        rising = fnp.where((x == scale) & (q < 0), 0, p)
        falling = fnp.where((x == 0) & (p < 0), 0, q)
        return _term(rising, next_one, p - 1, q) - _term(falling, next_one, p, q - 1)

    def scale_slope(p: Any, q: Any, x: Any, scale: Any, log_norm: Any) -> Any:
        def next_one(p: Any, q: Any) -> Any:
            return beta_kernel(m + 1)(p, q, x, scale, log_norm)

        falling = fnp.where((x == scale) & (q < 0), 0, p + m)
        rising = fnp.where((x == 0) & (p < 0) & (p + m != 0), 0, q)
        return _term(rising, next_one, p + 1, q - 1) - _term(falling, next_one, p, q)

    @with_partials(
        lambda p, q, x, s, log_norm: _times_log(kernel(p, q, x, s, log_norm), fnp.log(x / s)),
        lambda p, q, x, s, log_norm: _times_log(kernel(p, q, x, s, log_norm), fnp.log1p(-x / s)),
        slope,
        scale_slope,
        lambda *xs: -kernel(*xs),
    )
    def kernel(p: Any, q: Any, x: Any, scale: Any, log_norm: Any) -> Any:
        z = x / scale
        return fnp.exp(xlogy(p, z) + xlog1py(q, -z) - log_norm - _log_of_power(scale, m))

    return kernel


def _log_of_power(scale: Any, m: int) -> Any:
    return m * fnp.log(scale) if m else 0
