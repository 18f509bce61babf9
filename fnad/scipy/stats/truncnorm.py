"""The normal distribution cut off at ``a`` and ``b``, in units of ``scale`` from ``loc``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.special import log_ndtr
from fnad.scipy.stats.edges import within
from fnad.scipy.stats.laws import law
from fnad.transforms.blocks import compiled_elementwise

_NODES = np.transpose(np.polynomial.legendre.leggauss(8)).tolist()
_law = law(lambda a, b: a < b)


def _log_mass(a: Any, b: Any) -> Any:
    """The logarithm of the normal probability of [a, b], nothing of which cancels."""
    short = fnp.abs(b - a) * fnp.maximum(1, fnp.maximum(fnp.abs(a), fnp.abs(b))) < 1
    low, high = fnp.where(short, a, 0), fnp.where(short, b, 1)
    between = _log_of_short(low, high)
    return fnp.where(short, between, _log_of_long(fnp.where(short, 0, a), fnp.where(short, 1, b)))


def _log_of_short(a: Any, b: Any) -> Any:
    """By Gauss's rule: the density changes by less than a factor of 3."""
    middle, half = (a + b) / 2, (b - a) / 2
    parts = [w * fnp.exp(-half * x * (middle + half * x / 2)) for x, w in _NODES]
    return fnp.log(half * sum(parts)) - 0.5 * (middle * middle + math.log(2 * math.pi))


def _log_ndtr(x: Any) -> Any:
    """`log_ndtr`, without its infinite slope at -inf."""
    nothing = x == -np.inf
    return fnp.where(nothing, -np.inf, log_ndtr(fnp.where(nothing, 0, x)))


def _log_of_long(a: Any, b: Any) -> Any:
    """By the difference of both tails of one side."""
    mirrored = a > 0
    low, high = fnp.where(mirrored, -b, a), fnp.where(mirrored, -a, b)
    above, below = log_ndtr(high), _log_ndtr(low)
    none = above == -np.inf
    excess = fnp.where(none, -1, below) - fnp.where(none, 0, above)
    return above + fnp.log(-fnp.expm1(excess))


@_law
@compiled_elementwise
def logpdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> logpdf(np.array([0.0, 2.0]), -1, 1)
    array([-0.53722339,        -inf])
    """
    z = (x - loc) / scale
    outside = (z < a) | (z > b)
    total = _log_mass(a, b)
    value = -0.5 * (z * z + math.log(2 * math.pi)) - fnp.log(scale) - total
    return fnp.where(outside, -np.inf, value)


def _of_part(x: Any, a: Any, b: Any, loc: Any, scale: Any) -> tuple[Any, Any]:
    """The logarithms of the probabilities below and above ``x``."""
    z = within((x - loc) / scale, a, b)
    none, all_of_it = z <= a, z >= b
    total = _log_mass(a, b)
    below = _log_mass(a, fnp.where(none, b, z)) - total
    above = _log_mass(fnp.where(all_of_it, a, z), b) - total
    return fnp.where(none, -np.inf, below), fnp.where(all_of_it, -np.inf, above)


def _most_accurate(part: Any, rest: Any) -> Any:
    """The logarithm of a probability close to 1 from that of the rest."""
    most = part > -0.5
    return fnp.where(most, fnp.log1p(-fnp.exp(fnp.where(most, rest, -1))), part)


@_law
@compiled_elementwise
def pdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, a, b, loc, scale))


@_law
@compiled_elementwise
def logcdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the distribution function, elementwise."""
    below, above = _of_part(x, a, b, loc, scale)
    return _most_accurate(below, above)


@_law
@compiled_elementwise
def cdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    return fnp.exp(logcdf(x, a, b, loc, scale))


@_law
@compiled_elementwise
def logsf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the survival function, elementwise."""
    below, above = _of_part(x, a, b, loc, scale)
    return _most_accurate(above, below)


@_law
@compiled_elementwise
def sf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function, ``1 - cdf``, elementwise."""
    return fnp.exp(logsf(x, a, b, loc, scale))
