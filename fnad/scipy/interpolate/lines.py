"""Interpolation on a line, and splines through points, in the form of SciPy's older classes."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core.tracer import Tracer
from fnad.core.tree_registry import register_pytree_node
from fnad.numpy.indexing import getitem
from fnad.numpy.operands import convert, normalize_axes, to_inexact
from fnad.scipy.interpolate.bsplines import BSpline
from fnad.scipy.interpolate.fitpack import splev, splrep
from fnad.scipy.interpolate.piecewise import PPoly, data_of
from fnad.scipy.interpolate.spline_fitting import make_interp_spline

Array = Any

_SPLINES = {"zero": 0, "slinear": 1, "quadratic": 2, "cubic": 3}
_STEPS = ("nearest", "nearest-up", "previous", "next")


class interp1d:  # noqa: N801 (SciPy's name)
    """Interpolation of values at nodes on a line.

    A pytree of its arrays.

    Parameters
    ----------
    x : array_like
        ``(n,)``, the nodes, all different.
    y : array_like
        Values, real or complex, n of them along ``axis``.
    kind : str or int
        "linear"; "nearest" ("nearest-up" goes up in the middle), "previous", "next"; "zero",
        "slinear", "quadratic", "cubic", or a degree: splines.
    axis : int
        The axis of nodes.
    copy : bool
        Makes no difference: no array is kept that others may write.
    bounds_error : bool, optional
        Whether points outside of the nodes are errors. By default they are, where they are known
        and the outer pieces do not go on; True is not possible for traced points.
    fill_value : array_like, pair, or "extrapolate"
        Values outside, NaN by default; a pair has those below and above. Extrapolated, "previous"
        is NaN below, where there is none, and "next" above.
    assume_sorted : bool
        Whether nodes are in ascending order.

    Examples
    --------
    >>> import numpy as np
    >>> f = interp1d(np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 4.0]))
    >>> f(np.array([0.5, 2.0]))
    array([1., 3.])
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        kind: str | int = "linear",
        axis: int = -1,
        copy: bool = True,
        bounds_error: bool | None = None,
        fill_value: Any = np.nan,
        assume_sorted: bool = False,
    ) -> None:
        del copy
        x, y = fnp.asarray(x), fnp.asarray(y)
        if not assume_sorted and x.ndim == 1 and y.ndim:
            (along,) = normalize_axes(axis, y.ndim)
            if y.shape[along] == x.size:
                order = fnp.argsort(x)
                x, y = getitem(x, order), fnp.take(y, order, axis=along)
        self.x, self.axis, self.y = data_of("interp1d", x, y, axis)
        degree = _SPLINES.get(kind) if isinstance(kind, str) else index(kind)
        if degree is None and kind != "linear" and kind not in _STEPS:
            names = ", ".join(("linear", *_STEPS, *_SPLINES))
            raise ValueError(f"interp1d: kind must be a degree or one of {names}, got {kind!r}")
        self.kind = kind
        self.spline = None if degree is None else make_interp_spline(self.x, self.y, degree)
        outside = fill_value
        self.extrapolates = isinstance(fill_value, str)
        if self.extrapolates:
            if fill_value != "extrapolate":
                raise ValueError(f'interp1d: fill_value {fill_value!r} is not "extrapolate"')
            if bounds_error:
                raise ValueError("interp1d: cannot extrapolate where points outside are errors")
            outside = np.nan
        self.bounds_error = False if self.extrapolates else bounds_error
        pair = outside if isinstance(outside, tuple) else (outside, outside)
        if len(pair) != 2:
            raise ValueError(f"interp1d: fill_value must be a pair, got {len(pair)} values")
        shape = self.y.shape[1:]
        self.fill = tuple(
            fnp.broadcast_to(convert(fnp.asarray(v), self.y.dtype), shape) for v in pair
        )

    def __call__(self, x: Any) -> Array:
        """The values at points, whose axes stand in place of the one of nodes."""
        x = to_inexact(fnp.asarray(x))
        below, above = x < self.x[0], x > self.x[-1]
        if self.bounds_error is not False:
            if isinstance(below, Tracer):
                if self.bounds_error:
                    raise ValueError(
                        "interp1d: bounds_error cannot be kept under tracing, where the points are"
                        " not known; pass bounds_error=False"
                    )
            elif below.any() or above.any():
                raise ValueError(
                    f"interp1d: points lie {'below' if below.any() else 'above'} the nodes,"
                    f" which go from {self.x[0]} to {self.x[-1]}; pass bounds_error=False"
                )
        result = self._values(x)
        more = [1] * (self.y.ndim - 1)
        if not self.extrapolates:
            for outside, value in zip((below, above), self.fill):
                result = fnp.where(fnp.reshape(outside, (*x.shape, *more)), value, result)
        result = fnp.where(fnp.reshape(fnp.isnan(x), (*x.shape, *more)), np.nan, result)
        if not self.axis:
            return result
        last = x.ndim + self.axis
        return fnp.moveaxis(result, (*range(x.ndim, last),), (*range(self.axis),))

    def _values(self, x: Array) -> Array:
        if self.spline is not None:
            # Its coefficients have the axis of nodes in front.
            t, c, k = self.spline.tck
            return BSpline.construct_fast(t, c, k)(x)
        nodes = self.x
        if self.kind == "linear":
            h = fnp.reshape(fnp.diff(nodes), (-1, *[1] * (self.y.ndim - 1)))
            slopes = fnp.diff(self.y, axis=0) / h
            return PPoly(fnp.stack([slopes, self.y[:-1]]), nodes)(x)
        if self.kind == "previous":
            place = fnp.searchsorted(nodes, x, side="right") - 1
        elif self.kind == "next":
            place = fnp.searchsorted(nodes, x, side="left")
        else:
            side = "left" if self.kind == "nearest" else "right"
            place = fnp.searchsorted(0.5 * nodes[:-1] + 0.5 * nodes[1:], x, side=side)
        within = fnp.clip(place, 0, nodes.size - 1)
        missing = fnp.reshape(place != within, (*x.shape, *[1] * (self.y.ndim - 1)))
        return fnp.where(missing, np.nan, getitem(self.y, within))


def _flatten_line(f: interp1d) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    return (f.x, f.y, f.spline, f.fill), (
        f.kind,
        f.axis,
        f.extrapolates,
        f.bounds_error,
    )


def _unflatten_line(aux: tuple[Any, ...], leaves: Any) -> interp1d:
    f = interp1d.__new__(interp1d)
    f.x, f.y, f.spline, f.fill = leaves
    f.kind, f.axis, f.extrapolates, f.bounds_error = aux
    return f


register_pytree_node(interp1d, _flatten_line, _unflatten_line)


class InterpolatedUnivariateSpline:
    """The spline through points.

    A pytree of its knots and coefficients.

    Parameters
    ----------
    x, y : array_like
        ``(n,)``, nodes, strictly ascending, and values; ``n > k``.
    bbox : pair of scalars or None
        The ends of the spline, by default the outer nodes.
    k : int
        The degree, from 1 to 5.
    ext : int
        Outside: 0 goes on with the outer pieces, 1 is 0, 2 an error, 3 the value at the end.

    Examples
    --------
    >>> import numpy as np
    >>> f = InterpolatedUnivariateSpline(np.arange(5.0), np.arange(5.0) ** 3 - 8)
    >>> print(f"{f(2.5):.3f}, {f.integral(0.0, 4.0):.3f}, {f.roots()[0]:.3f}")
    7.625, 32.000, 2.000
    """

    def __init__(
        self, x: Any, y: Any, *, bbox: Any = (None, None), k: int = 3, ext: int = 0
    ) -> None:
        t, c, k = splrep(x, y, xb=bbox[0], xe=bbox[1], k=k, s=0)
        self._set(BSpline(t, c, k), ext)

    def _set(self, spline: BSpline, ext: int) -> None:
        self.spline, self.ext = spline, ext

    def __call__(self, x: Any, nu: int = 0, ext: int | None = None) -> Array:
        """The value, or the derivative of order ``nu``, at points."""
        return splev(x, self.spline, nu, self.ext if ext is None else ext)

    def derivative(self, n: int = 1) -> InterpolatedUnivariateSpline:
        """The derivative of order ``n``."""
        return self._like(self.spline.derivative(n))

    def antiderivative(self, n: int = 1) -> InterpolatedUnivariateSpline:
        """The antiderivative of order ``n``, 0 at the first knot."""
        return self._like(self.spline.antiderivative(n))

    def _like(self, spline: BSpline) -> InterpolatedUnivariateSpline:
        f = InterpolatedUnivariateSpline.__new__(InterpolatedUnivariateSpline)
        f._set(spline, 1 if self.ext == 3 else self.ext)
        return f

    def derivatives(self, x: Any) -> Array:
        """All derivatives at a point, from order 0 to the degree."""
        return fnp.stack([self(x, nu) for nu in range(self.spline.k + 1)])

    def integral(self, a: Any, b: Any) -> Array:
        """The integral from ``a`` to ``b``, the spline being 0 outside."""
        return self.spline.integrate(a, b, extrapolate=False)

    def roots(self, *, size: int | None = None, fill_value: Any = np.nan) -> Array:
        """Where the spline is 0, in ascending order, as `PPoly.roots`."""
        return PPoly.from_spline(self.spline, False).roots(size=size, fill_value=fill_value)

    def get_knots(self) -> Array:
        """The knots, each of them once."""
        return self.spline.t[self.spline.k : self.spline.c.shape[0] + 1]

    def get_coeffs(self) -> Array:
        """The coefficients of the B-splines."""
        return self.spline.c


def _flatten_spline(f: InterpolatedUnivariateSpline) -> tuple[tuple[BSpline], int]:
    return (f.spline,), f.ext


def _unflatten_spline(ext: int, leaves: Any) -> InterpolatedUnivariateSpline:
    f = InterpolatedUnivariateSpline.__new__(InterpolatedUnivariateSpline)
    f._set(leaves[0], ext)
    return f


register_pytree_node(InterpolatedUnivariateSpline, _flatten_spline, _unflatten_spline)

__all__ = ["InterpolatedUnivariateSpline", "interp1d"]
