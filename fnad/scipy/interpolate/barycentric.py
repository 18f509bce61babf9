"""Interpolation by one polynomial."""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core.tracer import Tracer
from fnad.core.tree_registry import register_pytree_node
from fnad.core.types import kind_of
from fnad.numpy.operands import convert, normalize_axes, resolve_dtypes, to_inexact
from fnad.transforms.autodiff import jvp

Array = Any


class BarycentricInterpolator:
    """The polynomial of lowest degree through points.

    A pytree of its arrays. Evaluated by the first barycentric formula, in which the node polynomial
    is a product that leaves a factor out, so that it is accurate and differentiable at nodes, too
    (J.-P. Berrut and L. N. Trefethen, "Barycentric Lagrange interpolation", SIAM Review 46, 2004).

    Parameters
    ----------
    xi : array_like
        ``(n,)``, the nodes, all different, in any order: those of Chebyshev, for large n.
    yi : array_like
        Values, real or complex, n of them along ``axis``.
    axis : int
        The axis of nodes.
    wi : array_like, optional
        ``(n,)``, the barycentric weights up to a factor, where they are known.

    Examples
    --------
    >>> import numpy as np
    >>> f = BarycentricInterpolator(np.array([0.0, 1.0, 3.0]), np.array([0.0, 1.0, 9.0]))
    >>> f(2.0), f.derivative(2.0)
    (np.float64(4.0), np.float64(4.0))
    """

    xi: Array
    yi: Array
    wi: Array
    axis: int

    def __init__(self, xi: Any, yi: Any, axis: int = 0, *, wi: Any = None) -> None:
        xi, yi = to_inexact(fnp.asarray(xi)), to_inexact(fnp.asarray(yi))
        if kind_of(xi.dtype) == "c" or xi.ndim != 1 or not xi.size:
            raise ValueError(
                "BarycentricInterpolator: xi must be an array of real numbers on one axis, got"
                f" shape {xi.shape} of dtype {xi.dtype}"
            )
        (axis,) = normalize_axes(axis, yi.ndim)
        if yi.shape[axis] != xi.size:
            raise ValueError(
                f"BarycentricInterpolator: yi of shape {yi.shape} has not one value along axis"
                f" {axis} for each of {xi.size} nodes"
            )
        if not isinstance(xi, Tracer) and np.unique(xi).size != xi.size:
            raise ValueError("BarycentricInterpolator: all nodes xi must be different")
        dtype = resolve_dtypes(np.add, xi.dtype, yi.dtype)[-1]
        xi = convert(xi, np.zeros(0, dtype).real.dtype)
        if wi is None:
            wi = _weights(xi)
        else:
            wi = convert(fnp.asarray(wi), xi.dtype)
            if wi.shape != xi.shape:
                raise ValueError(
                    f"BarycentricInterpolator: wi of shape {wi.shape} for nodes of {xi.shape}"
                )
            # The factor that makes the values at nodes what they should be.
            wi = wi * (_weights(xi)[0] / wi[0])
        self._set(xi, convert(fnp.moveaxis(yi, axis, 0), dtype), wi, axis)

    def _set(self, xi: Array, yi: Array, wi: Array, axis: int) -> None:
        self.xi, self.yi, self.wi, self.axis = xi, yi, wi, axis

    def __call__(self, x: Any) -> Array:
        """The values at points, whose axes are in place of that of the nodes."""
        return self._placed(self._value, x)

    def derivative(self, x: Any, der: int = 1) -> Array:
        """The derivative of order ``der`` at points, shaped like the values there."""
        if index(der) < 0:
            raise ValueError(f"BarycentricInterpolator: der must not be negative, got {der}")
        function: Callable[[Array], Array] = self._value
        for _ in range(index(der)):
            function = _slope(function)
        return self._placed(function, x)

    def _placed(self, function: Callable[[Array], Array], x: Any) -> Array:
        x = to_inexact(fnp.asarray(x))
        x = convert(x, resolve_dtypes(np.add, x.dtype, self.xi.dtype)[-1])
        result = function(x)
        if not self.axis:
            return result
        last = x.ndim + self.axis
        return fnp.moveaxis(result, (*range(x.ndim, last),), (*range(self.axis),))

    def _value(self, x: Array) -> Array:
        distances = (x[..., None] - self.xi) * _scale(self.xi)
        ones = fnp.ones_like(distances[..., :1])
        before, after = [ones], [ones]
        for k in range(self.xi.size - 1):
            before.append(before[-1] * distances[..., k : k + 1])
            after.append(after[-1] * distances[..., self.xi.size - 1 - k : self.xi.size - k])
        others = fnp.concatenate(before, axis=-1) * fnp.concatenate(after[::-1], axis=-1)
        return fnp.tensordot(convert(others * self.wi, self.yi.dtype), self.yi, 1)


def _slope(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: jvp(function, (x,), (fnp.ones_like(x),))[1]


def _scale(xi: Array) -> Array:
    """What makes products of distances neither large nor small: 4 over the interval's length."""
    length = fnp.max(xi) - fnp.min(xi)
    return 4 / fnp.where(length > 0, length, 4)


def _weights(xi: Array) -> Array:
    distances = (xi[:, None] - xi) * _scale(xi) + fnp.eye(xi.size, dtype=xi.dtype)
    return 1 / fnp.prod(distances, axis=1)


def _flatten(f: BarycentricInterpolator) -> tuple[tuple[Array, Array, Array], int]:
    return (f.xi, f.yi, f.wi), f.axis


def _unflatten(axis: int, leaves: Any) -> BarycentricInterpolator:
    xi, yi, wi = leaves
    f = BarycentricInterpolator.__new__(BarycentricInterpolator)
    f._set(xi, yi, wi, axis)
    return f


register_pytree_node(BarycentricInterpolator, _flatten, _unflatten)
