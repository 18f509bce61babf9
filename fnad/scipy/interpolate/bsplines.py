"""B-splines."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core.tracer import Tracer
from fnad.core.tree_registry import register_pytree_node
from fnad.core.types import kind_of
from fnad.numpy.operands import convert, normalize_axes, resolve_dtypes, to_inexact
from fnad.scipy.interpolate.de_boor import basis, derived, integrated, piece_of, values
from fnad.scipy.interpolate.piecewise import Extrapolate, extrapolation, undefined_where

Array = Any


class BSpline:
    """A sum of B-splines, piecewise polynomials with as many continuous derivatives as can be.

    A pytree of ``t`` and ``c``: it goes into and out of `jit`, `vmap` and `grad`.

    Parameters
    ----------
    t : array_like
        ``(n + k + 1,)``, the knots, ascending, some of them equal, if need be; ``n > k``.
    c : array_like
        The coefficients, real or complex, n of them along ``axis``; those behind do not count.
    k : int
        The degree.
    extrapolate : bool or "periodic", optional
        Whether the outer pieces go on outside of ``[t[k], t[n]]``, by default, or it is NaN there,
        or the spline is a period of a function.
    axis : int
        The axis of coefficients.

    Raises
    ------
    ValueError
        If knots or coefficients are too few, or knots are not in order.

    Examples
    --------
    >>> import numpy as np
    >>> f = BSpline(np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0]), 2)
    >>> f(0.5), f(0.5, 1), f.integrate(0.0, 3.0)
    (np.float64(0.25), np.float64(1.0), np.float64(9.0))
    """

    t: Array
    c: Array
    k: int
    extrapolate: Extrapolate
    axis: int

    def __init__(
        self, t: Any, c: Any, k: int, extrapolate: Extrapolate = True, axis: int = 0
    ) -> None:
        k = _degree("BSpline", k)
        t, c = to_inexact(fnp.asarray(t)), to_inexact(fnp.asarray(c))
        t = knots_of("BSpline", t, k)
        if not c.ndim:
            raise ValueError("BSpline: c must have an axis of coefficients")
        (axis,) = normalize_axes(axis, c.ndim)
        count = t.size - k - 1
        if c.shape[axis] < count:
            raise ValueError(
                f"BSpline: {c.shape[axis]} coefficients along axis {axis} of c, where {t.size}"
                f" knots and degree {k} need {count}"
            )
        dtype = resolve_dtypes(np.add, t.dtype, c.dtype)[-1]
        t = convert(t, np.zeros(0, dtype).real.dtype)
        c = convert(fnp.moveaxis(c, axis, 0)[:count], dtype)
        self._set(t, c, k, extrapolation("BSpline", extrapolate, True), axis)

    def _set(self, t: Array, c: Array, k: int, extrapolate: Extrapolate, axis: int) -> None:
        self.t, self.c, self.k, self.extrapolate, self.axis = t, c, k, extrapolate, axis

    @classmethod
    def construct_fast(
        cls, t: Array, c: Array, k: int, extrapolate: Extrapolate = True, axis: int = 0
    ) -> BSpline:
        """A spline of parts that are known to go together, coefficients along the first axis."""
        spline = cls.__new__(cls)
        spline._set(t, c, k, extrapolate, axis)
        return spline

    @classmethod
    def basis_element(cls, t: Any, extrapolate: Extrapolate = True) -> BSpline:
        """The one B-spline on the knots ``t``, of degree ``len(t) - 2``.

        Examples
        --------
        >>> BSpline.basis_element([0.0, 1.0, 2.0])(1.25)
        np.float64(0.75)
        """
        t = to_inexact(fnp.asarray(t))
        k = t.size - 2
        t = fnp.concatenate(
            [fnp.broadcast_to(t[0] - 1, (k,)), t, fnp.broadcast_to(t[-1] + 1, (k,))]
        )
        c = np.zeros(2 * k + 1, t.dtype)
        c[k] = 1
        return cls(t, c, k, extrapolate)

    @classmethod
    def design_matrix(cls, x: Any, t: Any, k: int, extrapolate: Extrapolate = False) -> Array:
        """The values of all B-splines at points: ``(m, n)``, a dense array.

        Parameters
        ----------
        x : array_like
            ``(m,)``; with ``extrapolate=False``, rows of points outside are NaN where points are
            traced, and an error elsewhere.

        Examples
        --------
        >>> BSpline.design_matrix([0.25, 1.0], [0.0, 0.0, 1.0, 1.0], 1)
        array([[0.75, 0.25],
               [0.  , 1.  ]])
        """
        k = _degree("BSpline.design_matrix", k)
        t = knots_of("BSpline.design_matrix", to_inexact(fnp.asarray(t)), k)
        x = to_inexact(fnp.asarray(x))
        extrapolate = extrapolation("BSpline.design_matrix", extrapolate, False)
        n = t.size - k - 1
        x, undefined = _placed(t, k, x, extrapolate)
        if not isinstance(undefined, Tracer) and undefined.any():
            raise ValueError("BSpline.design_matrix: points lie outside of the knots, or are NaN")
        return fnp.where(undefined[:, None], np.nan, design_matrix(t, k, x, n))

    @property
    def tck(self) -> tuple[Array, Array, int]:
        """Knots, coefficients and degree."""
        return self.t, self.c, self.k

    def __call__(self, x: Any, nu: int = 0, extrapolate: Extrapolate = None) -> Array:
        """The value, or the derivative of order ``nu``, at points.

        Parameters
        ----------
        x : array_like
            Points; at a knot, the piece on the right counts, but at the end.
        nu : int
            The order of the derivative, from 0 on.
        extrapolate : bool or "periodic", optional
            In place of the spline's own.

        Returns
        -------
        array
            With the axes of points in place of the one of coefficients.
        """
        if index(nu) < 0:
            raise ValueError(f"BSpline: the order of a derivative must not be negative, got {nu}")
        x = to_inexact(fnp.asarray(x))
        extrapolate = extrapolation("BSpline", extrapolate, self.extrapolate)
        place, undefined = _placed(self.t, self.k, x, extrapolate)
        result = undefined_where(undefined, x, values(self.t, self.c, self.k, place, index(nu)))
        if not self.axis:
            return result
        last = x.ndim + self.axis
        return fnp.moveaxis(result, (*range(x.ndim, last),), (*range(self.axis),))

    def derivative(self, nu: int = 1) -> BSpline:
        """The derivative of order ``nu``; the antiderivative, if it is negative."""
        if index(nu) < 0:
            return self.antiderivative(-nu)
        t, c, k = self.tck
        for _ in range(index(nu)):
            t, c, k = (t, c * 0, k) if not k else derived(t, c, k)
        return self.construct_fast(t, c, k, self.extrapolate, self.axis)

    def antiderivative(self, nu: int = 1) -> BSpline:
        """The antiderivative of order ``nu``, 0 with all its lower orders at ``t[0]``.

        Of a period, it does not go on outside.
        """
        if index(nu) <= 0:
            return self.derivative(-nu)
        t, c, k = self.tck
        for _ in range(index(nu)):
            t, c, k = integrated(t, c, k)
        extrapolate = False if self.extrapolate == "periodic" else self.extrapolate
        return self.construct_fast(t, c, k, extrapolate, self.axis)

    def integrate(self, a: Any, b: Any, extrapolate: Extrapolate = None) -> Array:
        """The integral from ``a`` to ``b``, of the shape of ``c`` without its first axis.

        A spline that does not go on outside counts as 0 there.
        """
        extrapolate = extrapolation("BSpline", extrapolate, self.extrapolate)
        first, last = self.t[self.k], self.t[self.c.shape[0]]
        t, c, k = integrated(*self.tck)
        ends = fnp.stack([to_inexact(fnp.asarray(a)), to_inexact(fnp.asarray(b))])
        inside = ends
        if extrapolate == "periodic":
            inside = first + fnp.remainder(ends - first, last - first)
        elif not extrapolate:
            inside = fnp.clip(ends, first, last)
        result = values(t, c, k, inside)
        if extrapolate == "periodic":
            whole = values(t, c, k, last) - values(t, c, k, first)
            periods = fnp.floor((ends - first) / (last - first))
            result = result + fnp.reshape(periods, (2, *[1] * whole.ndim)) * whole
        return result[1] - result[0]

    def insert_knot(self, x: Any, m: int = 1) -> BSpline:
        """The same spline with ``x`` among its knots, ``m`` times more (Boehm 1980).

        Examples
        --------
        >>> BSpline([0.0, 0.0, 1.0, 1.0], [0.0, 4.0], 1).insert_knot(0.5).c
        array([0., 2., 4.])
        """
        if self.extrapolate == "periodic":
            raise ValueError("BSpline.insert_knot: not for a period of a function")
        t, c, k = self.tck
        x = convert(fnp.asarray(x), t.dtype)
        outside = (x < t[k]) | (x > t[c.shape[0]])
        if not isinstance(outside, Tracer) and outside:
            raise ValueError(f"BSpline.insert_knot: {x} lies outside of the knots")
        for _ in range(index(m)):
            n = c.shape[0]
            piece = piece_of(t, k, x)
            j = np.arange(n + 1)
            low, high = t[: n + 1], t[k:]
            mixed = (j > piece - k) & (j <= piece)
            part = fnp.where(mixed, (x - low) / fnp.where(mixed, high - low, 1), j <= piece)
            part = fnp.reshape(part, (-1, *[1] * (c.ndim - 1)))
            pad = fnp.zeros_like(c[:1])
            c = part * fnp.concatenate([c, pad]) + (1 - part) * fnp.concatenate([pad, c])
            place = np.arange(t.size + 1)
            shifted = fnp.concatenate([t[:1], t])
            t = fnp.where(place <= piece, fnp.concatenate([t, t[-1:]]), shifted)
            t = fnp.where(place == piece + 1, x, t)
        return self.construct_fast(t, c, k, self.extrapolate, self.axis)


def _flatten(spline: BSpline) -> tuple[tuple[Array, Array], tuple[int, Extrapolate, int]]:
    return (spline.t, spline.c), (spline.k, spline.extrapolate, spline.axis)


def _unflatten(aux: tuple[int, Extrapolate, int], leaves: Any) -> BSpline:
    t, c = leaves
    return BSpline.construct_fast(t, c, *aux)


register_pytree_node(BSpline, _flatten, _unflatten)


def _degree(name: str, k: Any) -> int:
    if index(k) < 0:
        raise ValueError(f"{name}: the degree k must not be negative, got {k}")
    return index(k)


def knots_of(name: str, t: Array, k: int) -> Array:
    """Knots, checked as far as they are known."""
    if kind_of(t.dtype) == "c" or t.ndim != 1 or t.size < 2 * k + 2:
        raise ValueError(
            f"{name}: t must be an array of at least 2 k + 2 = {2 * k + 2} real knots on one axis,"
            f" got shape {t.shape} of dtype {t.dtype}"
        )
    if not isinstance(t, Tracer):
        if not (np.diff(t) >= 0).all():
            raise ValueError(f"{name}: the knots t must be ascending, without NaN")
        if t[k] == t[-k - 1]:
            raise ValueError(f"{name}: t[k] and t[n] must differ, they are {t[k]}")
    return t


def _placed(t: Array, k: int, x: Array, extrapolate: Extrapolate) -> tuple[Array, Array]:
    """Points, taken back into the period, and where the spline is not defined."""
    first, last = t[k], t[t.size - k - 1]
    if extrapolate == "periodic":
        x = first + fnp.remainder(x - first, last - first)
    undefined = fnp.isnan(x)
    return x, undefined if extrapolate else undefined | (x < first) | (x > last)


def design_matrix(t: Array, k: int, x: Array, n: int) -> Array:
    """The values of n B-splines at points, all of them within the knots or continued."""
    rows, start = basis(t, k, x)
    place = np.arange(n) - start[:, None]
    inside = (place >= 0) & (place <= k)
    return fnp.where(inside, fnp.take_along_axis(rows, fnp.clip(place, 0, k), axis=1), 0)
