"""The probabilities of counts and their kin, without the cancellation of large logarithms.

C. Loader, "Fast and accurate computation of binomial probabilities" (2000): relative to the mean,
nothing large is left to cancel, and Stirling's formula needs only its correction.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.primitives import special as primitives
from fnad.scipy.operands import polynomial, special_function, with_partials
from fnad.scipy.special.gamma_functions import betaln, stirling_correction
from fnad.scipy.special.logistic import xlog1py, xlogy
from fnad.transforms.blocks import compiled_elementwise

_ATANH_TAIL = tuple(1 / (2 * k + 3) for k in range(30))
_LARGE = 12.0  # of shapes of gamma functions
_BOTH_LARGE = 10.0  # of both shapes of beta functions


def excess_over_log1p(mu: Any) -> Any:
    """``mu - log1p(mu)`` divided by ``mu**2 / 2``, smooth at 0, for mu in (-0.7, 1.4)."""
    # With r = mu / (2 + mu): log1p(mu) = 2 artanh(r), and mu - 2 r = mu r.
    inverse = 1 / (2 + mu)
    r = mu * inverse
    return 2 * inverse - 4 * r * inverse * inverse * polynomial(r * r, _ATANH_TAIL)


def _deviance(mu: Any, ratio: Any) -> Any:
    """``mu - log(ratio)``, where ``ratio`` is ``1 + mu``, also where that is next to 0."""
    near = fnp.abs(mu) < 0.5
    close = 0.5 * mu * mu * excess_over_log1p(fnp.where(near, mu, 0))
    return fnp.where(near, close, mu - fnp.log(fnp.where(near, 1, ratio)))


def power_over_gamma(a: Any, x: Any) -> tuple[Any, Any]:
    """``(e, d)`` with ``x**a exp(-x) / gamma(a + 1) = exp(e) / d``, for positive a and x."""
    large = a >= _LARGE
    b = fnp.where(large, a, _LARGE)
    mu, ratio = fnp.where(large, (x - b) / b, 0), fnp.where(large, x / b, 1)
    c = fnp.where(large, 1, a)
    plain = c * fnp.log(x) - x - primitives.lgamma(c + 1)
    exponent = fnp.where(large, -b * _deviance(mu, ratio) - stirling_correction(b), plain)
    return exponent, fnp.where(large, fnp.sqrt(2 * math.pi * b), 1)


def powers_over_beta(a: Any, b: Any, x: Any) -> tuple[Any, Any]:
    """``(e, f)`` with ``x**a (1-x)**b / beta(a, b) = f exp(e)``, for x in (0, 1)."""
    large = (a >= _BOTH_LARGE) & (b >= _BOTH_LARGE)
    p, q = fnp.where(large, a, _BOTH_LARGE), fnp.where(large, b, _BOTH_LARGE)
    # Relative to the mean p / (p + q).
    excess = q * x - p * (1 - x)
    first = p * _deviance(excess / p, x * (1 + q / p))
    second = q * _deviance(-excess / q, (1 - x) * (1 + p / q))
    correction = stirling_correction(p + q) - stirling_correction(p) - stirling_correction(q)
    plain = a * fnp.log(x) + b * fnp.log1p(-x) - betaln(a, b)
    exponent = fnp.where(large, correction - first - second, plain)
    return exponent, fnp.where(large, fnp.sqrt(p / (p + q) * q / (2 * math.pi)), 1)


def _over(a: Any, x: Any) -> Any:
    """``a / x``, 0 where ``a`` is 0."""
    return fnp.where(a == 0, 0, a) / fnp.where(a == 0, 1, x)


@special_function
@compiled_elementwise
def log_poisson_term(k: Any, x: Any) -> Any:
    """``log(x**k exp(-x) / gamma(k + 1))`` for k > -1 and x >= 0, elementwise."""
    return _log_poisson_term(k, x)


@with_partials(
    lambda k, x: fnp.log(x) - primitives.digamma(k + 1),
    lambda k, x: _over(k, x) - 1,
)
def _log_poisson_term(k: Any, x: Any) -> Any:
    large = (k >= _LARGE) & (k < np.inf) & (x > 0) & (x < np.inf)
    exponent, divisor = power_over_gamma(fnp.where(large, k, _LARGE), fnp.where(large, x, _LARGE))
    plain = xlogy(k, x) - x - primitives.lgamma(k + 1)
    return fnp.where(large, exponent - fnp.log(divisor), plain)


@special_function
@compiled_elementwise
def log_binomial_term(k: Any, m: Any, x: Any) -> Any:
    """``log(x**k (1 - x)**m)`` and of the ways to choose ``k`` of ``k + m``, elementwise.

    For k and m > -1 and x in [0, 1].
    """
    return _log_binomial_term(k, m, x)


@with_partials(
    lambda k, m, x: fnp.log(x) - primitives.digamma(k + 1) + primitives.digamma(k + m + 1),
    lambda k, m, x: fnp.log1p(-x) - primitives.digamma(m + 1) + primitives.digamma(k + m + 1),
    lambda k, m, x: _over(k, x) - _over(m, 1 - x),
)
def _log_binomial_term(k: Any, m: Any, x: Any) -> Any:
    large = (k >= _BOTH_LARGE) & (m >= _BOTH_LARGE) & (k + m < np.inf) & (x > 0) & (x < 1)
    p, q = (fnp.where(large, count, _BOTH_LARGE) for count in (k, m))
    exponent, factor = powers_over_beta(p, q, fnp.where(large, x, 0.5))
    ways = fnp.where((k == 0) | (m == 0), 0, -betaln(k + 1, m + 1) - fnp.log(k + m + 1))
    plain = xlogy(k, x) + xlog1py(m, -x) + ways
    return fnp.where(large, exponent + fnp.log(factor * (1 / p + 1 / q)), plain)
