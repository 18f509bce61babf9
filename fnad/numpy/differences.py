"""Differences of neighbours and what is made of them: slopes, areas, interpolation, phases."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fnad.core.dtypes import result_type
from fnad.core.tracer import Tracer
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray
from fnad.numpy.dtype_info import can_cast
from fnad.numpy.indexing import take
from fnad.numpy.joining import concatenate
from fnad.numpy.manipulation import moveaxis, ravel, reshape
from fnad.numpy.operands import (
    Array,
    as_operand,
    convert,
    expand,
    normalize_axes,
    shape_of,
    to_inexact,
)
from fnad.numpy.reductions import cumsum, sum
from fnad.numpy.selection import where
from fnad.numpy.sorting import argsort, searchsorted
from fnad.primitives.shape import canonicalize_axis
from fnad.primitives.slicing import slice_in_dim


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Array:
    """Differences of neighbours along an axis, ``n`` times.

    Parameters
    ----------
    a : array_like
        At least one axis.
    n : int
        How many times.
    axis : int
        Along which axis.
    prepend, append : array_like, optional
        Put before and behind ``a`` first; scalars are broadcast to length 1.

    Examples
    --------
    >>> diff(np.array([1, 4, 9]))
    array([3, 5])
    >>> diff(np.array([1, 4, 9]), prepend=0)
    array([1, 3, 5])
    """
    x = asarray(a)
    if n < 0:
        raise ValueError(f"diff: n must not be negative, got {n}")
    if n == 0:
        return x[()]
    if x.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = canonicalize_axis(axis, x.ndim)
    edge = tuple(1 if i == axis else length for i, length in enumerate(x.shape))
    parts = [None if p is None else asarray(p) for p in (prepend, append)]
    parts = [expand(p, edge) if p is not None and p.ndim == 0 else p for p in parts]
    parts = [p for p in (parts[0], x, parts[1]) if p is not None]
    x = concatenate(parts, axis) if len(parts) > 1 else x
    for _ in range(n):
        upper, lower = slice_in_dim(x, 1, None, 1, axis), slice_in_dim(x, 0, -1, 1, axis)
        subtract = ufuncs.not_equal if x.dtype.kind == "b" else ufuncs.subtract
        x = subtract(upper, lower)
    return x


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Array:
    """Differences of neighbours of the flattened array, between what is put at its ends.

    Examples
    --------
    >>> ediff1d(np.array([1, 4, 9]), to_begin=0, to_end=[7, 8])
    array([0, 3, 5, 7, 8])
    """
    x = ravel(asarray(ary))
    ends = {"to_begin": to_begin, "to_end": to_end}
    begin, end = (_at_end(name, p, x.dtype) for name, p in ends.items())
    parts = [*begin, diff(x), *end]
    return concatenate(parts) if len(parts) > 1 else parts[0]


def _at_end(name: str, values: Any, dtype: np.dtype[Any]) -> list[Array]:
    if values is None:
        return []
    found = ravel(asarray(values))
    if not can_cast(found.dtype, dtype, "same_kind"):
        raise TypeError(
            f"ediff1d: {name} has dtype {found.dtype}, which is not of a kind with {dtype}"
        )
    return [convert(found, dtype)]


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Slopes along axes: central differences inside, one-sided ones at the edges.

    Second order inside, also for uneven spacing (B. Fornberg, "Generation of finite difference
    formulas on arbitrarily spaced grids", Mathematics of Computation 51, 1988).

    Parameters
    ----------
    f : array_like
        At least ``edge_order + 1`` elements along each axis.
    *varargs : array_like
        Nothing (spacing 1), one spacing for all axes, or one for each; a spacing is a scalar or
        the coordinates along its axis.
    axis : int, tuple of int, optional
        All axes by default.
    edge_order : 1 or 2
        The order of the differences at the edges.

    Returns
    -------
    array or list of array
        One for each axis, or the only one.

    Examples
    --------
    >>> gradient(np.array([1.0, 2.0, 4.0, 7.0]))
    array([1. , 1.5, 2.5, 3. ])
    """
    x = to_inexact(asarray(f))
    axes = normalize_axes(axis, x.ndim)
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order must be 1 or 2, got {edge_order}")
    spacings = list(varargs) or [1.0]
    if len(spacings) == 1 and (len(axes) != 1 and shape_of(asarray(spacings[0])) == ()):
        spacings = spacings * len(axes)
    if len(spacings) != len(axes):
        raise TypeError(f"gradient: {len(spacings)} spacings for {len(axes)} axes")
    slopes = [_slopes(x, h, i, edge_order) for i, h in zip(axes, spacings)]
    return slopes[0] if len(slopes) == 1 else slopes


def _steps(spacing: Any, length: int, dtype: np.dtype[Any]) -> Array:
    """The distances of neighbours: of shape (length - 1, ...) or ()."""
    h = asarray(spacing)
    if h.ndim == 0:
        return convert(h, dtype)
    if h.shape != (length,):
        raise ValueError(f"gradient: coordinates of shape {h.shape} for an axis of length {length}")
    return diff(to_inexact(h))


def _slopes(f: Array, spacing: Any, axis: int, edge_order: int) -> Array:
    x = moveaxis(f, axis, -1)
    n = x.shape[-1]
    if n < edge_order + 1:
        raise ValueError(
            f"gradient: axis {axis} has length {n}; edge_order={edge_order} needs"
            f" {edge_order + 1} elements"
        )

    def part(a: Array, start: int, stop: int) -> Array:
        return slice_in_dim(a, start, stop, 1, -1)

    h = expand(_steps(spacing, n, x.dtype), (n - 1,))
    slope = ufuncs.true_divide(diff(x), h)
    first, last = part(slope, 0, 1), part(slope, n - 2, n - 1)
    if n == 2:
        return moveaxis(concatenate([first, last], -1), -1, axis)
    # The slope of the parabola through three points: the weighted mean of its two chords' slopes.
    before, behind = part(h, 0, n - 2), part(h, 1, n - 1)
    left, right = part(slope, 0, n - 2), part(slope, 1, n - 1)
    both = ufuncs.add(before, behind)
    inside = ufuncs.true_divide(behind * left + before * right, both)
    if edge_order == 2:
        # At its ends the same parabola has the slope 2 * chord - slope in the middle.
        first = 2 * first - part(inside, 0, 1)
        last = 2 * last - part(inside, n - 3, n - 2)
    return moveaxis(concatenate([first, inside, last], -1), -1, axis)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Array:
    """Integral along an axis by the trapezoidal rule.

    Parameters
    ----------
    y : array_like
        At least one axis.
    x : array_like, optional
        The coordinates: of the length of the axis, or of the shape of ``y``.
    dx : array_like
        The spacing where ``x`` is not given.
    axis : int
        Along which axis.

    Examples
    --------
    >>> trapezoid(np.array([1.0, 2.0, 3.0]), dx=0.5)
    np.float64(2.0)
    """
    values = asarray(y)
    axis = canonicalize_axis(axis, values.ndim)
    values = moveaxis(values, axis, -1)
    if x is None:
        step = as_operand(dx)
    else:
        places = asarray(x)
        step = diff(places if places.ndim == 1 else moveaxis(places, axis, -1))
    count = values.shape[-1]
    upper = slice_in_dim(values, 1, None, 1, -1)
    lower = slice_in_dim(values, 0, count - 1 if count else 0, 1, -1)
    areas = ufuncs.multiply(step, ufuncs.add(upper, lower))
    return sum(ufuncs.true_divide(areas, 2.0), -1)


def unwrap(p: Any, discont: Any = None, axis: int = -1, period: Any = 2 * math.pi) -> Array:
    """Multiples of the period added to elements so that neighbours differ by half of it at most.

    Parameters
    ----------
    p : array_like
        Real, at least one axis.
    discont : float, optional
        Smaller jumps stay; half the period by default and at least.
    axis : int
        Along which axis.
    period : float or int
        Integers stay integers if it is one.

    Examples
    --------
    >>> unwrap(np.array([1, 3, 1, 3]), period=3)
    array([1, 0, 1, 0])
    """
    x = asarray(p)
    jump = diff(x, axis=axis)
    half = period / 2
    dtype = result_type(jump, period)
    if dtype.kind in "iu":
        low, ambiguous = -(period // 2), period % 2 == 0
    else:
        low, ambiguous = -half, True
    turned = ufuncs.add(ufuncs.remainder(ufuncs.subtract(jump, low), period), low)
    if ambiguous:
        # A jump of just half the period keeps its direction.
        up = ufuncs.logical_and(ufuncs.equal(turned, low), ufuncs.greater(jump, 0))
        turned = where(up, -low, turned)
    shift = ufuncs.subtract(turned, jump)
    stays = ufuncs.less(ufuncs.absolute(jump), half if discont is None else discont)
    shift = where(stays, 0, shift)
    first = slice_in_dim(x, 0, 1, 1, axis)
    rest = ufuncs.add(slice_in_dim(x, 1, None, 1, axis), cumsum(shift, axis))
    return concatenate([convert(first, dtype), convert(rest, dtype)], axis)


def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Array:
    """Piecewise linear interpolation between points, in float64.

    Parameters
    ----------
    x : array_like
        Where, any shape.
    xp : array_like
        The points' abscissas, of shape (n,), ascending (any order with ``period``).
    fp : array_like
        The points' ordinates, of shape (n,).
    left, right : scalar or "extrapolate", optional
        The values below and above all points; those of the outer points by default.
    period : float, optional
        The period of the function; ``left`` and ``right`` are ignored then.

    Examples
    --------
    >>> interp(np.array([0.5, 1.5, 9.0]), np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 8.0]))
    array([1., 5., 8.])
    """
    places, points, values = asarray(x), asarray(xp), asarray(fp)
    if points.ndim != 1 or points.shape != values.shape:
        raise ValueError(
            f"interp: xp and fp must have one axis of the same length, got shapes {points.shape}"
            f" and {values.shape}"
        )
    if points.shape[0] == 0:
        raise ValueError("interp: there are no points")
    double = np.dtype(np.float64)
    for name, a in (("x", places), ("xp", points)):
        if a.dtype.kind == "c":
            raise TypeError(f"interp: {name} must be real, got {a.dtype}")
    places, points = convert(places, double), convert(points, double)
    values = convert(values, result_type(values, double))
    if period is not None:
        places, points, values = _periodic(places, points, values, period)
        left = right = None
    n = points.shape[0]
    low = ufuncs.maximum(ufuncs.minimum(searchsorted(points, places, "right") - 1, n - 2), 0)
    high = ufuncs.minimum(low + 1, n - 1)
    x0, y0 = take(points, low, 0, mode="clip"), take(values, low, 0, mode="clip")
    x1, y1 = take(points, high, 0, mode="clip"), take(values, high, 0, mode="clip")
    run, rise = ufuncs.subtract(x1, x0), ufuncs.subtract(y1, y0)
    vertical = ufuncs.equal(run, 0)
    slope = where(vertical, 0, ufuncs.true_divide(rise, where(vertical, 1, run)))
    out = ufuncs.add(y0, ufuncs.multiply(slope, ufuncs.subtract(places, x0)))
    # Next to what is infinite, as in NumPy, a point itself, or the line from its other end, or a
    # level line has a value where this line has none.
    level = where(ufuncs.logical_and(ufuncs.equal(y0, y1), ufuncs.equal(places, places)), y0, out)
    other = ufuncs.add(y1, ufuncs.multiply(slope, ufuncs.subtract(places, x1)))
    other = where(ufuncs.isnan(other), level, other)
    for point, value in ((x1, y1), (x0, y0)):
        other = where(ufuncs.equal(places, point), value, other)
    out = where(ufuncs.isnan(out), other, out)
    for end, bound, beyond in ((left, 0, ufuncs.less), (right, n - 1, ufuncs.greater)):
        if isinstance(end, str):
            if end != "extrapolate":
                raise ValueError(
                    f"interp: left and right are numbers or 'extrapolate', got {end!r}"
                )
            continue
        limit, value = (
            reshape(slice_in_dim(a, bound, bound + 1, 1, 0), ()) for a in (points, values)
        )
        out = where(beyond(places, limit), value if end is None else end, out)
    return out


def _periodic(x: Array, points: Array, values: Array, period: Any) -> tuple[Array, Array, Array]:
    """Everything within one period, and a point of the neighbouring ones on each side."""
    if not isinstance(period, Tracer) and np.any(np.asarray(period) == 0):
        raise ValueError("interp: period must not be 0")
    period = ufuncs.absolute(period)
    points = ufuncs.remainder(points, period)
    order = argsort(points)
    points, values = take(points, order, 0, mode="clip"), take(values, order, 0, mode="clip")
    n = points.shape[0]
    before, behind = (slice_in_dim(points, i, i + 1, 1, 0) for i in (n - 1, 0))
    points = concatenate([before - period, points, behind + period])
    ends = [slice_in_dim(values, i, i + 1, 1, 0) for i in (n - 1, 0)]
    return ufuncs.remainder(x, period), points, concatenate([ends[0], values, ends[1]])
