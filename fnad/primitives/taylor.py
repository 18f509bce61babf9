"""What rules of Taylor mode are made of: arithmetic of truncated power series.

``series[k]`` is the coefficient of order k of an operand, None where it is zero for sure
(A. Griewank and A. Walther, Evaluating Derivatives, 2nd ed., 2008, section 13.2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fnad.core.primitive import Primitive

Coefficients = Any  # what `series[k]` is asked of


def convolve(
    product: Callable[[Any, Any], Any], x: Coefficients, y: Coefficients, order: int, first: int = 0
) -> Any:
    """Sum of ``product(x[j], y[order - j])`` for j from ``first`` on; None if all are zero."""
    total: Any = None
    for j in range(first, order + 1):
        if x[j] is not None and y[order - j] is not None:
            term = product(x[j], y[order - j])
            total = term if total is None else total + term
    return total


def bilinear(primitive: Primitive) -> None:
    """Say of a primitive that it is linear in each of its two operands (Griewank, table 13.1)."""

    @primitive.jet
    def _(k: int, out: Coefficients, x: Coefficients, y: Coefficients, **params: Any) -> Any:
        return convolve(lambda a, b: primitive.bind(a, b, **params), x, y, k)
