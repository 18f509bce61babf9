"""The von Mises distribution of concentration ``kappa``, on the circle."""

from __future__ import annotations

import math
from typing import Any

import fnad.numpy as fnp
from fnad.scipy.special import i0e
from fnad.scipy.stats.laws import law

_law = law(lambda kappa: kappa >= 0)


@_law
def logpdf(x: Any, kappa: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpdf(np.array([0.0]), 0)
    array([-1.83787707])
    """
    # i0e has the factor exp(-kappa), and cos(z) - 1 = -2 sin(z / 2)**2.
    sine = fnp.sin((x - loc) / scale / 2)
    return -2 * kappa * sine * sine - fnp.log(2 * math.pi * i0e(kappa)) - fnp.log(scale)


@_law
def pdf(x: Any, kappa: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, kappa, loc, scale))
