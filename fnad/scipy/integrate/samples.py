"""Integrals of functions that are known at some places."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.numpy import trapezoid
from fnad.numpy.operands import as_operand, convert, is_weak, to_inexact
from fnad.primitives.shape import canonicalize_axis

Array = Any

__all__ = ["cumulative_trapezoid", "simpson", "trapezoid"]


def _spacing(name: str, values: Array, x: Any, dx: Any) -> Array:
    """Distances along the last axis: one number, or one fewer than values."""
    if x is None:
        return convert(dx, values.dtype) if is_weak(dx) else as_operand(dx)
    places = fnp.asarray(x)
    if places.shape[-1] != values.shape[-1]:
        raise ValueError(
            f"{name}: x and y must be of one length along the axis, got {places.shape[-1]} and"
            f" {values.shape[-1]}"
        )
    return fnp.diff(places)


def _along_last(name: str, y: Any, x: Any, axis: int) -> tuple[Array, Any]:
    values = to_inexact(fnp.asarray(y))
    axis = canonicalize_axis(axis, values.ndim)
    if values.shape[axis] == 0:
        raise ValueError(f"{name}: at least one sample is needed along axis {axis}")
    if x is not None and len(fnp.asarray(x).shape) > 1:
        x = fnp.moveaxis(fnp.asarray(x), axis, -1)
    return fnp.moveaxis(values, axis, -1), x


def cumulative_trapezoid(
    y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None
) -> Array:
    """Integrals up to each sample by the trapezoidal rule.

    Parameters
    ----------
    y : array_like
        At least one axis.
    x : array_like, optional
        The coordinates: of the length of the axis, or of the shape of ``y``.
    dx : scalar
        The spacing where ``x`` is not given.
    axis : int
        Along which axis.
    initial : {None, 0}
        Whether a zero is put in front, so that the result has the shape of ``y``.

    Examples
    --------
    >>> import numpy as np
    >>> cumulative_trapezoid(np.array([1.0, 2.0, 3.0]), initial=0)
    array([0. , 1.5, 4. ])
    """
    if initial is not None and not (isinstance(initial, (int, float)) and initial == 0):
        raise ValueError(f"cumulative_trapezoid: initial must be None or 0, got {initial!r}")
    values, x = _along_last("cumulative_trapezoid", y, x, axis)
    steps = _spacing("cumulative_trapezoid", values, x, dx)
    sums = fnp.cumsum(steps * (values[..., 1:] + values[..., :-1]) / 2.0, -1)
    if initial is not None:
        sums = fnp.concatenate([fnp.zeros((*sums.shape[:-1], 1), sums.dtype), sums], -1)
    return fnp.moveaxis(sums, -1, axis)


def simpson(y: Any, x: Any = None, *, dx: Any = 1.0, axis: int = -1) -> Array:
    """Integral along an axis by parabolas through three samples at a time.

    With an even number of samples the last interval is integrated by the parabola through the last
    three of them (K. V. Cartwright, Simpson's rule cumulative integration with MS Excel and
    irregularly-spaced data, J. Math. Sci. Math. Educ. 12, 2017), as in SciPy; two are joined by a
    line. Where coordinates coincide, weights that would be infinite are 0, as in SciPy.

    Parameters
    ----------
    y : array_like
        At least one axis.
    x : array_like, optional
        The coordinates: of the length of the axis, or of the shape of ``y``.
    dx : scalar
        The spacing where ``x`` is not given.
    axis : int
        Along which axis.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(0.0, 1.0, 5)
    >>> simpson(x**3, x)
    np.float64(0.25)
    """
    values, x = _along_last("simpson", y, x, axis)
    count = values.shape[-1]
    steps = fnp.broadcast_to(_spacing("simpson", values, x, dx), (*values.shape[:-1], count - 1))
    if count < 3:
        return fnp.sum(steps * (values[..., 1:] + values[..., :-1]) / 2.0, -1)
    pairs = (count - 1) // 2
    left, right = steps[..., 0 : 2 * pairs : 2], steps[..., 1 : 2 * pairs : 2]
    low = values[..., 0 : 2 * pairs : 2]
    middle, high = values[..., 1 : 2 * pairs : 2], values[..., 2 : 2 * pairs + 1 : 2]
    both = left + right
    parabolas = low * (2 - _quotient(right, left)) + high * (2 - _quotient(left, right))
    parabolas = parabolas + middle * _quotient(both * both, left * right)
    total = fnp.sum(both / 6.0 * parabolas, -1)
    if count % 2 == 0:
        before, last = steps[..., -2], steps[..., -1]
        both = before + last
        total = total + (
            values[..., -1] * _quotient(2 * last**2 + 3 * before * last, 6 * both)
            + values[..., -2] * _quotient(last**2 + 3 * before * last, 6 * before)
            - values[..., -3] * _quotient(last**3, 6 * before * both)
        )
    return total


def _quotient(x: Array, y: Array) -> Array:
    """``x / y``, and 0 where coordinates coincide and y is 0: no parabola is meant there.

    Next to that it grows without bounds: a root has neither a finite derivative there.
    """
    apart = y != 0
    return fnp.where(apart, x / fnp.where(apart, y, 1), fnp.sqrt(fnp.where(apart, 0, y)))
