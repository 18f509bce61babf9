"""The wrapped Cauchy distribution of parameter ``c``, on ``[0, 2 pi]``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.stats.laws import law

_law = law(lambda c: (c > 0) & (c < 1))


@_law
def logpdf(x: Any, c: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> logpdf(np.array([0.0]), 0.5)
    array([-0.73926478])
    """
    z = (x - loc) / scale
    outside = (z < 0) | (z > 2 * math.pi)
    y = fnp.where(outside, 0, z)
    # 1 + c*c - 2 c cos(y), without cancellation.
    sine = fnp.sin(y / 2)
    square = (1 - c) * (1 - c) + 4 * c * sine * sine
    density = (1 - c) * (1 + c) / (2 * math.pi * square)
    return fnp.where(outside, -np.inf, fnp.log(density) - fnp.log(scale))


@_law
def pdf(x: Any, c: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, c, loc, scale))
