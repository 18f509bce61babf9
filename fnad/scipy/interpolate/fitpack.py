"""Functions on triples ``(t, c, k)`` of knots, coefficients and degree, as those of FITPACK.

Coefficients are padded by ``k + 1`` zeros, as SciPy's are; triples without them are taken, too.
"""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core.tracer import Tracer
from fnad.numpy.operands import convert
from fnad.scipy.interpolate.bsplines import BSpline
from fnad.scipy.interpolate.piecewise import PPoly, data_of
from fnad.scipy.interpolate.spline_fitting import (
    inner_knots,
    make_interp_spline,
    make_lsq_spline,
)

Array = Any
Triple = tuple[Array, Array, int]


def _triple(spline: BSpline) -> Triple:
    t, c, k = spline.tck
    return t, fnp.concatenate([c, fnp.zeros((k + 1, *c.shape[1:]), c.dtype)]), k


def _spline(tck: Any) -> BSpline:
    return tck if isinstance(tck, BSpline) else BSpline(*tck)


def splrep(
    x: Any,
    y: Any,
    w: Any = None,
    xb: Any = None,
    xe: Any = None,
    k: int = 3,
    *,
    s: float | None = None,
    t: Any = None,
    per: bool = False,
) -> Triple:
    """The spline through points, or the one close to them on given knots.

    Parameters
    ----------
    x, y : array_like
        ``(m,)``, nodes, strictly ascending, and values.
    w : array_like, optional
        ``(m,)``, weights, as for `make_lsq_spline`.
    xb, xe : scalar, optional
        The ends of the spline, by default the outer nodes.
    k : int
        The degree, from 1 to 5.
    s : float, optional
        0, or None without weights or with knots: smoothing chooses how many knots there are by the
        values, which no compiled program can.
    t : array_like, optional
        The knots between the ends: the result has the least sum of squares on them.
    per : bool
        Whether the spline is periodic; the last value does not count then.

    Returns
    -------
    tuple
        Knots, coefficients and degree, for `splev` and kin.

    Raises
    ------
    ValueError
        If smoothing is asked for.

    Examples
    --------
    >>> import numpy as np
    >>> tck = splrep(np.arange(5.0), np.arange(5.0) ** 3)
    >>> print(f"{splev(2.5, tck):.3f}")
    15.625
    """
    if not 1 <= index(k) <= 5:
        raise ValueError(f"splrep: the degree k must be from 1 to 5, got {k}")
    if t is None and (s is not None or w is not None) and (isinstance(s, Tracer) or s != 0):
        raise ValueError(
            "splrep: smoothing (s > 0, the default with weights) chooses the number of knots by the"
            " values, which no compiled program can: pass s=0 for interpolation, knots t, or use"
            " make_smoothing_spline"
        )
    x, _, y = data_of("splrep", x, y, 0)
    first = x[0] if xb is None else convert(fnp.asarray(xb), x.dtype)
    last = x[-1] if xe is None else convert(fnp.asarray(xe), x.dtype)
    if per:
        if t is not None:
            raise ValueError("splrep: a periodic spline takes no knots t here; leave them out")
        y = fnp.concatenate([y[:-1], y[:1]])
        return _triple(make_interp_spline(x, y, k, bc_type="periodic"))
    inner = inner_knots(x, k) if t is None else convert(fnp.asarray(t), x.dtype)
    ends = [fnp.broadcast_to(end, (k + 1,)) for end in (first, last)]
    knots = fnp.concatenate([ends[0], inner, ends[1]])
    if t is None:
        return _triple(make_interp_spline(x, y, k, knots))
    return _triple(make_lsq_spline(x, y, knots, k, w))


def splev(x: Any, tck: Any, der: int = 0, ext: int = 0) -> Array:
    """The value of a spline, or its derivative of order ``der``, at points.

    Parameters
    ----------
    x : array_like
    tck : tuple or BSpline
    der : int
        From 0 to the degree.
    ext : int
        Outside of the knots: 0 goes on with the outer pieces, 1 is 0, 3 the value at the end; 2 is
        an error, for points that are known.

    Examples
    --------
    >>> splev([0.5, 2.0], ([0.0, 0.0, 1.0, 1.0], [1.0, 3.0], 1), ext=3)
    array([2., 3.])
    """
    spline = _spline(tck)
    if not 0 <= index(der) <= spline.k:
        raise ValueError(f"splev: der must be from 0 to the degree {spline.k}, got {der}")
    if ext not in (0, 1, 2, 3):
        raise ValueError(f"splev: ext must be 0, 1, 2 or 3, got {ext}")
    x = fnp.asarray(x)
    first, last = spline.t[spline.k], spline.t[spline.c.shape[0]]
    outside = (x < first) | (x > last)
    if ext == 2:
        if isinstance(outside, Tracer):
            raise ValueError("splev: ext=2 cannot be kept under tracing; pass ext=0, 1 or 3")
        if outside.any():
            raise ValueError("splev: points lie outside of the knots")
    if ext == 3:
        x = fnp.clip(x, first, last)
    result = spline(x, der, extrapolate=True)
    if ext != 1:
        return result
    return fnp.where(fnp.reshape(outside, (*x.shape, *[1] * (spline.c.ndim - 1))), 0, result)


def splder(tck: Any, n: int = 1) -> Any:
    """The derivative of order ``n`` of a spline, in the form that it has.

    Examples
    --------
    >>> splev(0.5, splder(([0.0, 0.0, 1.0, 1.0], [1.0, 3.0], 1)))
    np.float64(2.0)
    """
    spline = _spline(tck)
    if index(n) > spline.k:
        raise ValueError(f"splder: the order {n} is above the degree {spline.k}")
    result = spline.derivative(n)
    return result if isinstance(tck, BSpline) else _triple(result)


def splantider(tck: Any, n: int = 1) -> Any:
    """The antiderivative of order ``n`` of a spline, in the form that it has.

    Examples
    --------
    >>> splev(1.0, splantider(([0.0, 0.0, 1.0, 1.0], [1.0, 3.0], 1)))
    np.float64(2.0)
    """
    result = _spline(tck).antiderivative(n)
    return result if isinstance(tck, BSpline) else _triple(result)


def splint(a: Any, b: Any, tck: Any) -> Array:
    """The integral of a spline, 0 outside of its knots, from ``a`` to ``b``.

    Examples
    --------
    >>> splint(0.0, 2.0, ([0.0, 0.0, 1.0, 1.0], [1.0, 3.0], 1))
    np.float64(2.0)
    """
    return _spline(tck).integrate(a, b, extrapolate=False)


def spalde(x: Any, tck: Any) -> Array:
    """All derivatives of a spline at points, from order 0 to the degree, on the last axis.

    Examples
    --------
    >>> spalde(0.5, ([0.0, 0.0, 1.0, 1.0], [1.0, 3.0], 1))
    array([2., 2.])
    """
    spline = _spline(tck)
    return fnp.stack([spline(x, nu, extrapolate=True) for nu in range(spline.k + 1)], axis=-1)


def sproot(tck: Any, *, size: int | None = None, fill_value: Any = np.nan) -> Array:
    """Where a spline is 0 within its knots, in ascending order, as `PPoly.roots`.

    Examples
    --------
    >>> sproot(([0.0, 0.0, 1.0, 1.0], [-1.0, 3.0], 1))
    array([0.25])
    """
    pieces = PPoly.from_spline(_spline(tck), False)
    return pieces.roots(size=size, fill_value=fill_value)
