"""Student's t distribution with ``df`` degrees of freedom."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import floating
from fnad.scipy.special import betaln


def logpdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logpdf(np.array([0.0]), 1)
    array([-1.14472989])
    """
    x, df, loc, scale = floating("t.logpdf", x, df, loc, scale)
    z = (x - loc) / scale
    normalizer = betaln(df / 2, fnp.full_like(df, 0.5)) + 0.5 * fnp.log(df) + fnp.log(scale)
    return -0.5 * (df + 1) * fnp.log1p(z * z / df) - normalizer


def pdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density, elementwise."""
    return fnp.exp(logpdf(x, df, loc, scale))
