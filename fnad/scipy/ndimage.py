"""Interpolation of images by splines, under the name of `scipy.ndimage`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core.types import is_half, kind_of
from fnad.numpy.indexing import getitem
from fnad.numpy.operands import Array, convert, to_inexact

# Names of modes, and how `fnad.numpy.pad` continues an array as they do.
_MODES = {
    "constant": "constant",
    "grid-constant": "constant",
    "nearest": "edge",
    "mirror": "reflect",
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "wrap": "wrap",
    "grid-wrap": "wrap",
}
_ORDERS = range(6)
# Coefficients are exact but for exp(-40), less than half an ulp.
_DIGITS = 40


def map_coordinates(
    input: Any,
    coordinates: Sequence[Any],
    order: int,
    mode: str = "constant",
    cval: Any = 0.0,
    prefilter: bool = True,
) -> Array:
    """The values of an array between its elements, by splines.

    Parameters
    ----------
    input : array_like
        Of any rank, real or complex.
    coordinates : sequence of array_like
        One array for each axis, which broadcast: where elements would be, as indices. At NaN,
        floating results are NaN, and so they are at infinity and from 2**62 on where the array is
        repeated ("mirror", "reflect" and "wrap"); the others have their limits there.
    order : int
        The degree of the splines, 0 to 5: 0 takes the nearest element, 1 interpolates linearly.
    mode : str
        What there is outside: "constant" (``cval`` everywhere), "nearest" (the elements at the
        edge), "mirror" (around the middle of those), "reflect" (around their outer side) or "wrap"
        (the array again). As in JAX, these are SciPy's "grid-constant", "nearest", "mirror",
        "grid-mirror" and "grid-wrap", names that are taken as well.
    cval : scalar
        What is outside in mode "constant".
    prefilter : bool
        From order 2 on, whether the spline goes through the elements, or has them as coefficients.

    Returns
    -------
    array
        In the dtype of ``input``, rounded if that is an integer; shaped like a coordinate.

    Raises
    ------
    ValueError
        If the order or the mode is unknown, or there is not one array for each axis.

    References
    ----------
    Unser, Aldroubi and Eden (1993), "B-spline signal processing".

    Examples
    --------
    >>> map_coordinates(np.array([[1.0, 2.0], [3.0, 5.0]]), [[0.5, 1.0], [0.5, 0.25]], 1)
    array([2.75, 3.5 ])
    """
    x = fnp.asarray(input)
    if not isinstance(order, (int, np.integer)) or order not in _ORDERS:
        raise ValueError(f"map_coordinates: order must be 0 to 5, got {order!r}")
    if mode not in _MODES:
        known = ", ".join(map(repr, _MODES))
        raise ValueError(f"map_coordinates: mode must be one of {known}, got {mode!r}")
    places = [to_inexact(fnp.asarray(c)) for c in coordinates]
    if len(places) != x.ndim:
        raise ValueError(
            f"map_coordinates: an array of rank {x.ndim} needs as many coordinates, got"
            f" {len(places)}"
        )
    if any(kind_of(p.dtype) == "c" for p in places):
        raise TypeError("map_coordinates: coordinates must be real")
    places = list(fnp.broadcast_arrays(*places))
    if 0 in x.shape:
        raise ValueError(f"map_coordinates: an array of shape {x.shape} has no elements")
    dtype = x.dtype
    continued = _MODES[mode]
    if order == 0:
        pass  # elements are taken as they are
    elif kind_of(dtype) not in "fc":
        x = convert(x, np.dtype(np.float64))
    elif is_half(dtype):
        x = convert(x, np.dtype(np.float32))
    cval = fnp.asarray(cval)
    if cval.ndim or kind_of(cval.dtype) == "c" != kind_of(x.dtype):
        raise TypeError(
            f"map_coordinates: cval must be a scalar that goes with an array of {dtype}, got"
            f" {cval.dtype} of shape {cval.shape}"
        )
    cval = convert(cval, x.dtype)
    first = 0
    if order > 1:
        # Splines through what is constant outside need coefficients of their own there.
        first = _reach(order) + order if continued in ("constant", "edge") else 0
        if prefilter:
            x = _coefficients(x, order, continued, cval, first)
        elif first:
            x = _continued(x, [first] * x.ndim, continued, cval)
    places = [_bounded(p + first, n, order, continued) for p, n in zip(places, x.shape)]
    out = _spline(x, places, order, continued, cval)
    if order == 0 and kind_of(dtype) in "fc":
        # Higher orders get it from their weights.
        nowhere = functools.reduce(fnp.logical_or, map(fnp.isnan, places))
        out = fnp.where(nowhere, x.dtype.type(np.nan), out)
    rounded = kind_of(dtype) in "biu" and order > 0
    return convert(fnp.round(out) if rounded else out, dtype)


def _bounded(place: Array, size: int, order: int, mode: str) -> Array:
    """A place that integers can tell: another one with the same value, or NaN."""
    if mode in ("constant", "edge"):
        return fnp.clip(place, -1.0 - order, float(size + order))
    return fnp.where(fnp.abs(place) < 2.0**62, place, place.dtype.type(np.nan))


def _continued(x: Array, widths: Sequence[int], mode: str, cval: Any) -> Array:
    options = {"constant_values": cval} if mode == "constant" else {}
    return fnp.pad(x, [(w, w) for w in widths], mode, **options)


# -- splines ---------------------------------------------------------------------------------------


def _weights(u: Any, order: int) -> list[Any]:
    """The B-splines of a degree that are not zero between two knots, at ``u`` of the way.

    Cox and de Boor's recursion for knots that are 1 apart.
    """
    weights = [fnp.ones_like(u)]
    for degree in range(1, order + 1):
        below = [0.0, *weights, 0.0]
        weights = [
            ((u + (degree - j)) * below[j] + ((1 + j) - u) * below[j + 1]) / degree
            for j in range(degree + 1)
        ]
    return weights


def _spline(x: Array, places: Sequence[Array], order: int, mode: str, cval: Array) -> Array:
    """Sums of coefficients, ``order + 1`` an axis, multiplied by the splines at a place."""
    axes = []
    for place, size in zip(places, x.shape):
        place = _folded(place, size, mode) if order == 0 else place
        # Half of the knots lie on either side; of an even degree, they lie between elements.
        knot = fnp.floor(place + 0.5 if order % 2 == 0 else place)
        u = place - knot + (0.5 if order % 2 == 0 else 0.0)
        start = convert(knot, np.dtype(np.int64)) - order // 2
        weights = _weights(convert(u, x.real.dtype), order) if order else [None]
        axes.append([(*_index(start + k, size, mode), w) for k, w in enumerate(weights)])
    total: Any = None
    for chosen in product(*axes):
        value = getitem(x, tuple([index for index, _, _ in chosen]))
        outside = [fnp.logical_not(inside) for _, inside, _ in chosen if inside is not None]
        if outside:
            value = fnp.where(functools.reduce(fnp.logical_or, outside), cval, value)
        for _, _, weight in chosen:
            value = value if weight is None else value * weight
        total = value if total is None else total + value
    return total


def _folded(place: Array, size: int, mode: str) -> Array:
    """A place moved into a mirrored array before it is rounded, as SciPy does: ties differ."""
    if mode == "reflect":
        period = max(2 * (size - 1), 1)
        within = place % period
        inside = fnp.where(place < 0, within <= size - 1, within < size)
        return fnp.where(inside, within, period - within)
    if mode == "symmetric":
        within = place % (2 * size)
        return fnp.where(within < size, within, 2 * size - 1 - within)
    return place


def _index(index: Array, size: int, mode: str) -> tuple[Array, Array | None]:
    """Where in an array of ``size`` an index lies, and whether, if not everywhere."""
    if mode in ("constant", "edge"):
        clipped = fnp.clip(index, 0, size - 1)
        return clipped, index == clipped if mode == "constant" else None
    if mode == "wrap":
        return index % size, None
    period = 2 * size if mode == "symmetric" else max(2 * (size - 1), 1)
    folded = index % period
    last = period - 1 if mode == "symmetric" else period
    return fnp.where(folded < size, folded, last - folded) % size, None


# -- coefficients ----------------------------------------------------------------------------------


@functools.cache
def _inverse(order: int) -> np.ndarray:
    """What to convolve with so that splines go through the elements, as far as it can be seen.

    It is the inverse of the B-spline at integers, and decays with the powers of its largest pole.
    """
    middle = np.float64(0.0 if order % 2 else 0.5)
    spline = np.array(_weights(middle, order))[: order + 1 - order % 2]
    poles = np.abs(np.roots(spline))
    reach = int(np.ceil(-_DIGITS / np.log(max(poles[poles < 1]))))
    circle = np.zeros(16 * reach, np.longdouble)
    circle[np.arange(len(spline)) - len(spline) // 2] = spline
    inverse = np.fft.ifft(1 / np.fft.fft(circle)).real
    return np.roll(inverse, reach)[: 2 * reach + 1].astype(np.float64)


def _reach(order: int) -> int:
    """How far an element counts for coefficients."""
    return len(_inverse(order)) // 2


def _coefficients(x: Array, order: int, mode: str, cval: Array, more: int) -> Array:
    """The coefficients of the spline through an array, and of ``more`` elements around it."""
    taps = _inverse(order)
    for axis in range(x.ndim):
        widths = [0] * x.ndim
        widths[axis] = len(taps) // 2 + more
        row = fnp.moveaxis(_continued(x, widths, mode, cval), axis, -1)
        n = row.shape[-1] - len(taps) + 1
        kernel = taps.astype(x.real.dtype)
        # Both sides are alike: half as many products.
        middle = len(taps) // 2
        out = row[..., middle : middle + n] * kernel[middle]
        for k in range(middle):
            last = len(taps) - 1 - k
            out = out + (row[..., k : k + n] + row[..., last : last + n]) * kernel[k]
        x = fnp.moveaxis(out, -1, axis)
    return x


__all__ = ["map_coordinates"]
