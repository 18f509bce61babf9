"""Interpolation on grids, under the name of `scipy.interpolate`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core.tracer import Tracer
from fnad.numpy.indexing import getitem
from fnad.numpy.operands import Array, convert, to_inexact

_METHODS = ("linear", "nearest")


class RegularGridInterpolator:
    """Interpolation of values at the crossings of a grid, whose lines may have any distances.

    Parameters
    ----------
    points : sequence of array_like
        For each axis of the grid, where its lines are: ascending or descending (ascending, where
        they are traced).
    values : array_like
        ``(n_1, ..., n_d, ...)``, the values; axes behind those of the grid go along.
    method : {"linear", "nearest"}
        Linear in each coordinate, or the value at the nearest crossing.
    bounds_error : bool
        Whether a point outside of the grid is an error; not possible for traced points.
    fill_value : scalar or None
        The value outside of the grid; None extrapolates.

    Raises
    ------
    ValueError
        If shapes do not go together, lines are not in order, or an option is unknown.

    Examples
    --------
    >>> grid = np.array([1.0, 2.0, 4.0]), np.array([0.0, 10.0])
    >>> f = RegularGridInterpolator(grid, np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    >>> f(np.array([[1.5, 5.0], [3.0, 0.0], [5.0, 0.0]]))
    array([2.5, 4. , nan])
    """

    def __init__(
        self,
        points: Sequence[Any],
        values: Any,
        method: str = "linear",
        bounds_error: bool = False,
        fill_value: Any = np.nan,
    ) -> None:
        self.method = _known(method)
        self.bounds_error = bounds_error
        values = to_inexact(fnp.asarray(values))
        grid = [to_inexact(fnp.asarray(p)) for p in points]
        if len(grid) > values.ndim:
            raise ValueError(
                f"RegularGridInterpolator: {len(grid)} arrays of points for values of shape"
                f" {values.shape}"
            )
        for axis, line in enumerate(grid):
            if line.shape != values.shape[axis : axis + 1] or not line.size:
                raise ValueError(
                    f"RegularGridInterpolator: points of shape {line.shape} along axis {axis} of"
                    f" values of shape {values.shape}: there must be one for each value"
                )
            if not isinstance(line, Tracer) and _descends(line, axis):
                grid[axis] = line[::-1]
                values = fnp.flip(values, axis)
        if fill_value is not None and not np.can_cast(
            fnp.asarray(fill_value).dtype, values.dtype, "same_kind"
        ):
            raise ValueError(
                f"RegularGridInterpolator: fill_value {fill_value!r} does not go into values of"
                f" dtype {values.dtype}"
            )
        self.grid = tuple(grid)
        self.values = values
        self.fill_value = fill_value

    def __call__(self, xi: Any, method: str | None = None) -> Array:
        """The values at points.

        Parameters
        ----------
        xi : array_like or tuple of array_like
            ``(..., d)``, or the coordinates, which are broadcast together.
        method : {"linear", "nearest"}, optional
            In place of the one that the interpolator was made with.

        Returns
        -------
        array
            Shaped like the points, behind which are the axes of values that are not of the grid.

        Raises
        ------
        ValueError
            If points have another number of coordinates, or lie outside where this is an error.
        """
        method = self.method if method is None else _known(method)
        coordinates = self._coordinates(xi)
        outside = [(x < g[0]) | (x > g[-1]) for x, g in zip(coordinates, self.grid)]
        if self.bounds_error:
            self._check(outside)
        found = [_cell(x, g) for x, g in zip(coordinates, self.grid)]
        result = (self._linear if method == "linear" else self._nearest)(found)
        more = (1,) * (self.values.ndim - len(self.grid))

        def chosen(conditions: list[Array], value: Any, result: Array) -> Array:
            condition = conditions[0]
            for other in conditions[1:]:
                condition = condition | other
            condition = fnp.reshape(condition, (*condition.shape, *more))
            return fnp.where(condition, fnp.asarray(value, result.dtype), result)

        if self.fill_value is not None and not self.bounds_error:
            result = chosen(outside, self.fill_value, result)
        return chosen([fnp.isnan(x) for x in coordinates], np.nan, result)

    def _coordinates(self, xi: Any) -> list[Array]:
        count = len(self.grid)
        if isinstance(xi, tuple) and len(xi) == 1:
            xi = xi[0]
        if isinstance(xi, tuple):
            coordinates = list(fnp.broadcast_arrays(*[to_inexact(fnp.asarray(x)) for x in xi]))
        else:
            points = to_inexact(fnp.asarray(xi))
            if points.ndim == 1 and points.size % count == 0:
                points = fnp.reshape(points, (-1, count))
            last = points.shape[-1] if points.ndim else 1
            coordinates = [points[..., k] for k in range(last)] if points.ndim else [points]
        if len(coordinates) != count:
            raise ValueError(
                f"the points have {len(coordinates)} coordinates, but the grid of this"
                f" RegularGridInterpolator has {count} axes"
            )
        return coordinates

    def _check(self, outside: list[Array]) -> None:
        for axis, where in enumerate(outside):
            if isinstance(where, Tracer):
                raise ValueError(
                    "bounds_error cannot be kept under tracing, where the points are not known;"
                    " make the RegularGridInterpolator with bounds_error=False"
                )
            if fnp.any(where):
                raise ValueError(f"a point lies outside of the grid along axis {axis}")

    def _linear(self, found: list[list[tuple[Array, Array]]]) -> Array:
        more = (1,) * (self.values.ndim - len(self.grid))
        total: Any = 0.0
        for corner in product(*found):
            weight: Any = 1.0
            for _, part in corner:
                weight = weight * part
            weight = fnp.reshape(weight, (*weight.shape, *more))
            value = getitem(self.values, tuple([index for index, _ in corner]))
            total = total + value * convert(weight, self.values.real.dtype)
        return total

    def _nearest(self, found: list[list[tuple[Array, Array]]]) -> Array:
        indices = [
            cell[0][0] if len(cell) == 1 else fnp.where(cell[1][1] <= 0.5, cell[0][0], cell[1][0])
            for cell in found
        ]
        return getitem(self.values, tuple(indices))


def interpn(
    points: Sequence[Any],
    values: Any,
    xi: Any,
    method: str = "linear",
    bounds_error: bool = False,
    fill_value: Any = np.nan,
) -> Array:
    """The values of a `RegularGridInterpolator` at points.

    Examples
    --------
    >>> interpn(([0.0, 1.0],), np.array([2.0, 4.0]), np.array([0.25]))
    array([2.5])
    """
    return RegularGridInterpolator(points, values, method, bounds_error, fill_value)(xi)


def _known(method: str) -> str:
    if method not in _METHODS:
        raise ValueError(
            f"RegularGridInterpolator: method must be one of {_METHODS}, got {method!r}"
        )
    return method


def _descends(line: np.ndarray, axis: int) -> bool:
    steps = np.diff(line)
    if (steps > 0).all():
        return False
    if (steps < 0).all():
        return True
    raise ValueError(
        f"RegularGridInterpolator: the points along axis {axis} must be strictly ascending or"
        " descending"
    )


def _cell(x: Array, line: Array) -> list[tuple[Array, Array]]:
    """The lines on both sides of points, and how much each of them counts."""
    if line.size == 1:
        return [(fnp.zeros_like(x, dtype=np.int64), fnp.ones_like(x))]
    below = fnp.clip(fnp.searchsorted(line, x) - 1, 0, line.size - 2)
    low = getitem(line, below)
    part = (x - low) / (getitem(line, below + 1) - low)
    return [(below, 1 - part), (below + 1, part)]


__all__ = ["RegularGridInterpolator", "interpn"]
