"""Piecewise polynomials: what the interpolators on a line are made of."""

from __future__ import annotations

import math
from operator import index
from typing import Any, TypeVar

import numpy as np

import fnad.numpy as fnp
from fnad.core.tracer import Tracer
from fnad.core.tree_registry import register_pytree_node
from fnad.core.types import kind_of
from fnad.numpy.indexing import getitem
from fnad.numpy.operands import convert, resolve_dtypes, to_inexact
from fnad.scipy.interpolate import de_boor
from fnad.scipy.interpolate.piecewise_roots import all_zeros

Array = Any
Extrapolate = Any  # bool or "periodic"
_Class = TypeVar("_Class", bound="PPoly")


class PPoly:
    """A piecewise polynomial, in powers of the distance to the left end of each piece.

    A pytree of ``c`` and ``x``: it goes into and out of `jit`, `vmap` and `grad`.

    Parameters
    ----------
    c : array_like
        ``(k, m, ...)``, the coefficients, highest power first, of m pieces; axes behind go along.
    x : array_like
        ``(m + 1,)``, the ends of pieces, strictly ascending.
    extrapolate : bool or "periodic", optional
        Whether the outer pieces go on outside of ``[x[0], x[-1]]``, by default, or it is NaN there,
        or the polynomial is a period of a function.
    axis : int
        Where in results, whose other axes are those behind, the axes of points are.

    Examples
    --------
    >>> import numpy as np
    >>> p = PPoly(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0.0, 1.0, 3.0]))
    >>> p(np.array([0.5, 2.0]))
    array([0.5, 1. ])
    >>> p.integrate(0.0, 3.0)
    np.float64(2.5)
    """

    c: Array
    x: Array
    extrapolate: Extrapolate
    axis: int

    def __init__(self, c: Any, x: Any, extrapolate: Extrapolate = None, axis: int = 0) -> None:
        c, x = to_inexact(fnp.asarray(c)), nodes_of("PPoly", x)
        if c.ndim < 2 or not c.shape[0] or c.shape[1] != x.size - 1:
            raise ValueError(
                f"PPoly: coefficients of shape {c.shape} for {x.size} ends of pieces; their shape"
                f" must be (k, {x.size - 1}, ...)"
            )
        self._set(c, x, extrapolation("PPoly", extrapolate, True), _axis("PPoly", axis, c.ndim - 1))

    def _set(self, c: Array, x: Array, extrapolate: Extrapolate, axis: int) -> None:
        self.c, self.x, self.extrapolate, self.axis = c, x, extrapolate, axis

    def __call__(self, x: Any, nu: int = 0, extrapolate: Extrapolate = None) -> Array:
        """The value, or the derivative of order ``nu``, at points.

        Parameters
        ----------
        x : array_like
            Points; at an end of pieces, the piece on the right counts.
        nu : int
            The order of the derivative, from 0 on.
        extrapolate : bool or "periodic", optional
            In place of the polynomial's own.

        Returns
        -------
        array
            With the axes of points in place of the one along which values were interpolated.
        """
        order = _order("the order of a derivative", nu)
        x = to_inexact(fnp.asarray(x))
        extrapolate = extrapolation("PPoly", extrapolate, self.extrapolate)
        result = _values(_derived(self.c, order), self.x, x, extrapolate)
        if not self.axis:
            return result
        last = x.ndim + self.axis
        return fnp.moveaxis(result, (*range(x.ndim, last),), (*range(self.axis),))

    def derivative(self, nu: int = 1) -> PPoly:
        """The derivative of order ``nu``; the antiderivative, if it is negative."""
        if index(nu) < 0:
            return self.antiderivative(-nu)
        return _made(_derived(self.c, index(nu)), self.x, self.extrapolate, self.axis)

    def antiderivative(self, nu: int = 1) -> PPoly:
        """The antiderivative of order ``nu``, 0 with all its lower orders at ``x[0]``.

        Of a period, it does not go on outside.
        """
        if index(nu) <= 0:
            return self.derivative(-nu)
        c, x = self.c, self.x
        for _ in range(index(nu)):
            c = _integrated(c, x)
        extrapolate = False if self.extrapolate == "periodic" else self.extrapolate
        return _made(c, x, extrapolate, self.axis)

    def integrate(self, a: Any, b: Any, extrapolate: Extrapolate = None) -> Array:
        """The integral from ``a`` to ``b``, of the shape of ``c`` without its first two axes."""
        extrapolate = extrapolation("PPoly", extrapolate, self.extrapolate)
        c, x = _integrated(self.c, self.x), self.x
        ends = fnp.stack([to_inexact(fnp.asarray(a)), to_inexact(fnp.asarray(b))])
        result = _values(c, x, ends, extrapolate)
        if extrapolate == "periodic":
            periods = fnp.floor((ends - x[0]) / (x[-1] - x[0]))
            whole = _values(c, x, x[-1:], True)
            result = result + fnp.reshape(periods, (2, *[1] * (whole.ndim - 1))) * whole
        return result[1] - result[0]

    def roots(
        self,
        discontinuity: bool = True,
        extrapolate: Extrapolate = None,
        *,
        size: int | None = None,
        fill_value: Any = np.nan,
    ) -> Array:
        """Where the polynomial is 0, in ascending order; differentiable in coefficients and ends.

        Parameters
        ----------
        discontinuity : bool
            Whether jumps over 0 count.
        extrapolate : bool or "periodic", optional
            In place of the polynomial's own; zeros outside count only for True.
        size : int, optional
            How many to return; needed for traced polynomials.
        fill_value : scalar
            Stands for zeros that there are not.

        Returns
        -------
        array
            ``(size,)``. A piece that is 0 everywhere has its left end and a NaN. With further axes
            of ``c``, an array of their shape of such arrays (of dtype object); with a size
            ``(..., size)``.

        Examples
        --------
        >>> PPoly(np.array([[1.0, 1.0], [-1.0, 0.0]]), np.array([0.0, 2.0, 3.0])).roots()
        array([1., 2.])
        """
        return self.solve(0.0, discontinuity, extrapolate, size=size, fill_value=fill_value)

    def solve(
        self,
        y: Any = 0.0,
        discontinuity: bool = True,
        extrapolate: Extrapolate = None,
        *,
        size: int | None = None,
        fill_value: Any = np.nan,
    ) -> Array:
        """Where the polynomial is ``y``, as `roots`."""
        extrapolate = extrapolation("PPoly", extrapolate, self.extrapolate)
        if kind_of(self.c.dtype) == "c":
            raise TypeError("PPoly.roots: coefficients must be real, they are complex")
        c = fnp.concatenate([self.c[:-1], self.c[-1:] - y])
        at, found = all_zeros(c, self.x, discontinuity, extrapolate is True)
        if size is not None:
            order = fnp.argsort(~found, axis=0, stable=True)[:size]
            at = fnp.where(
                fnp.take_along_axis(found, order, 0), fnp.take_along_axis(at, order, 0), fill_value
            )
            missing = fnp.full((max(size - at.shape[0], 0), *at.shape[1:]), fill_value, at.dtype)
            return fnp.moveaxis(fnp.concatenate([at, missing]), 0, -1)
        if isinstance(found, Tracer) or isinstance(at, Tracer):
            raise ValueError(
                "PPoly.roots: how many zeros there are depends on values that are not known under"
                " tracing; pass size="
            )
        if at.ndim == 1:
            return at[found]
        each = np.empty(at.shape[1:], object)
        for place in np.ndindex(each.shape):
            each[place] = at[(slice(None), *place)][found[(slice(None), *place)]]
        return each

    @classmethod
    def from_spline(cls, tck: Any, extrapolate: Extrapolate = None) -> PPoly:
        """The pieces of a `BSpline`, or of knots, coefficients and degree.

        Examples
        --------
        >>> PPoly.from_spline(([0.0, 0.0, 2.0, 2.0], [1.0, 5.0], 1)).c
        array([[2.],
               [1.]])
        """
        t, c, k = getattr(tck, "tck", tck)
        if extrapolate is None:
            extrapolate = getattr(tck, "extrapolate", None)
        t, c = to_inexact(fnp.asarray(t)), to_inexact(fnp.asarray(c))
        x = t[k : t.size - k]
        if not isinstance(x, Tracer):
            x = np.unique(x)
        c = [de_boor.values(t, c, k, x[:-1], nu) / math.factorial(nu) for nu in range(k, -1, -1)]
        axis = getattr(tck, "axis", 0)
        return _made(fnp.stack(c), x, extrapolation("PPoly", extrapolate, True), axis)


def pytree(cls: type[_Class]) -> type[_Class]:
    """Make a class of piecewise polynomials a pytree."""

    def flatten(p: PPoly) -> tuple[tuple[Array, Array], tuple[Extrapolate, int]]:
        return (p.c, p.x), (p.extrapolate, p.axis)

    def unflatten(aux: tuple[Extrapolate, int], leaves: Any) -> _Class:
        c, x = leaves
        p = cls.__new__(cls)
        p._set(c, x, *aux)
        return p

    register_pytree_node(cls, flatten, unflatten)
    return cls


pytree(PPoly)


def _made(c: Array, x: Array, extrapolate: Extrapolate, axis: int) -> PPoly:
    p = PPoly.__new__(PPoly)
    p._set(c, x, extrapolate, axis)
    return p


def _order(what: str, nu: Any) -> int:
    order = index(nu)
    if order < 0:
        raise ValueError(f"PPoly: {what} must not be negative, got {nu}")
    return order


def _axis(name: str, axis: Any, ndim: int) -> int:
    if not -ndim <= index(axis) < ndim:
        raise ValueError(f"{name}: there is no axis {axis} of {ndim}")
    return index(axis) % ndim


def extrapolation(name: str, given: Any, default: Extrapolate) -> Extrapolate:
    """A bool or "periodic"; the default for None."""
    if given is None:
        return default
    if isinstance(given, str):
        if given != "periodic":
            raise ValueError(f'{name}: extrapolate must be a bool or "periodic", got {given!r}')
        return given
    return bool(given)


def nodes_of(name: str, x: Any) -> Array:
    """Real nodes: one axis of at least 2, strictly ascending where they are known."""
    x = to_inexact(fnp.asarray(x))
    if kind_of(x.dtype) == "c" or x.ndim != 1 or x.size < 2:
        raise ValueError(
            f"{name}: x must be an array of at least 2 real numbers on one axis, got shape"
            f" {x.shape} of dtype {x.dtype}"
        )
    if not isinstance(x, Tracer) and not (np.diff(x) > 0).all():
        raise ValueError(f"{name}: x must be strictly ascending, without NaN")
    return x


def data_of(name: str, x: Any, y: Any, axis: int, *more: Any) -> tuple[Any, ...]:
    """Nodes, an axis, and arrays of values with it in front, all in dtypes that go together."""
    x = nodes_of(name, x)
    values = [to_inexact(fnp.asarray(v)) for v in (y, *more)]
    if not values[0].ndim:
        raise ValueError(f"{name}: y must have an axis along x")
    axis = _axis(name, axis, values[0].ndim)
    for what, v in zip(("y", "dydx"), values):
        if v.shape != values[0].shape or v.shape[axis] != x.size:
            raise ValueError(
                f"{name}: {what} of shape {v.shape} has not one value along axis {axis} for each"
                f" of {x.size} numbers x, or y and dydx differ in shape"
            )
    dtype = resolve_dtypes(np.add, x.dtype, *[v.dtype for v in values[:1]])[-1]
    for v in values[1:]:
        dtype = resolve_dtypes(np.add, dtype, v.dtype)[-1]
    x = convert(x, np.zeros(0, dtype).real.dtype)
    return x, axis, *[convert(fnp.moveaxis(v, axis, 0), dtype) for v in values]


def _along(v: Array, ndim: int) -> Array:
    """A vector with further axes behind."""
    return fnp.reshape(v, (*v.shape, *[1] * (ndim - 1)))


def hermite_pieces(x: Array, y: Array, dydx: Array) -> Array:
    """The coefficients of the cubic pieces with given values and slopes at their ends."""
    h = _along(fnp.diff(x), y.ndim)
    slope = fnp.diff(y, axis=0) / h
    t = (dydx[:-1] + dydx[1:] - 2 * slope) / h
    return fnp.stack([t / h, (slope - dydx[:-1]) / h - t, dydx[:-1], y[:-1]])


def _derived(c: Array, order: int) -> Array:
    degree = c.shape[0] - 1
    if order > degree:
        return fnp.zeros_like(c[:1])
    factors = [math.perm(p, order) for p in range(degree, order - 1, -1)]
    scale = np.array(factors, np.zeros(0, c.dtype).real.dtype)
    return c[: degree + 1 - order] * fnp.reshape(scale, (-1, *[1] * (c.ndim - 1)))


def _integrated(c: Array, x: Array) -> Array:
    powers = np.arange(c.shape[0], 0, -1).astype(np.zeros(0, c.dtype).real.dtype)
    c = c / fnp.reshape(powers, (-1, *[1] * (c.ndim - 1)))
    h = _along(fnp.diff(x), c.ndim - 1)
    piece: Any = 0.0
    for row in range(c.shape[0]):
        piece = (piece + c[row]) * h
    before = fnp.concatenate([fnp.zeros_like(piece[:1]), fnp.cumsum(piece[:-1], axis=0)])
    return fnp.concatenate([c, before[None]])


def _values(c: Array, ends: Array, x: Array, extrapolate: Extrapolate) -> Array:
    outside = (x < ends[0]) | (x > ends[-1])
    if extrapolate == "periodic":
        x = ends[0] + fnp.remainder(x - ends[0], ends[-1] - ends[0])
    piece = fnp.clip(fnp.searchsorted(ends, x, side="right") - 1, 0, ends.size - 2)
    distance = x - getitem(ends, piece)
    more = [1] * (c.ndim - 2)
    distance = fnp.reshape(distance, (*distance.shape, *more))
    value = getitem(c[0], piece)
    for row in range(1, c.shape[0]):
        value = value * distance + getitem(c[row], piece)
    undefined = fnp.isnan(x) if extrapolate else fnp.isnan(x) | outside
    return undefined_where(undefined, x, value)


def undefined_where(nowhere: Array, x: Array, value: Array) -> Array:
    """NaN at some points x, where derivatives are NaN, too: those of a constant would be 0."""
    factor = fnp.where(nowhere, x * np.nan, 1)
    return value * fnp.reshape(factor, (*x.shape, *[1] * (value.ndim - x.ndim)))
