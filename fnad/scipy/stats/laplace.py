"""The Laplace distribution."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.scipy.stats.laws import law

_law = law()


@_law
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpdf(np.array([0.0, 1.0]))
    array([-0.69314718, -1.69314718])
    """
    return -fnp.abs(x - loc) / scale - fnp.log(2 * scale)


@_law
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, loc, scale))


@_law
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function, elementwise."""
    z = (x - loc) / scale
    # Both sides have the same derivative where they meet; that of ``abs`` is one-sided.
    tail = 0.5 * fnp.exp(fnp.where(z > 0, -z, z))
    return fnp.where(z > 0, 1 - tail, tail)
