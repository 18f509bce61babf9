"""Ufuncs made of Python functions: `frompyfunc`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fnad.core.types import ShapeDtypeStruct
from fnad.numpy.creation import asarray
from fnad.numpy.elementwise_parts import select
from fnad.numpy.indexing import take
from fnad.numpy.joining import concatenate
from fnad.numpy.manipulation import broadcast_to, moveaxis, ravel, reshape
from fnad.numpy.mapping import vectorize
from fnad.numpy.operands import Array, convert, normalize_axes, refuse_out
from fnad.numpy.ranges import arange
from fnad.numpy.ufuncs import greater, less, logical_and
from fnad.numpy.updates import at
from fnad.primitives.control_flow import scan
from fnad.primitives.shape import canonicalize_axis, iota
from fnad.transforms.tracing import eval_shape
from fnad.transforms.vmap import vmap


def reduced_axes(axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """The axes that a reduction goes along; as in NumPy, a number has one that may be named."""
    return () if ndim == 0 and axis in (0, -1) else normalize_axes(axis, ndim)


class ufunc:  # noqa: N801 - NumPy's name
    """A function of scalars as one of arrays that broadcast, with NumPy's methods of ufuncs.

    Parameters
    ----------
    func : callable
        Takes ``nin`` scalars and returns ``nout`` (a tuple, if more than one).
    nin, nout : int
        How many operands and results.
    identity : scalar, optional
        What changes nothing as an operand; reductions of no elements are this.

    Examples
    --------
    >>> hypotenuse = ufunc(lambda x, y: (x * x + y * y) ** 0.5, 2, 1)
    >>> hypotenuse(np.array([3.0, 6.0]), np.array([4.0, 8.0]))
    array([ 5., 10.])
    >>> hypotenuse.reduce(np.array([1.0, 2.0, 2.0]))
    np.float64(3.0)
    """

    def __init__(
        self, func: Callable[..., Any], nin: int, nout: int, *, identity: Any = None
    ) -> None:
        self._function = vectorize(func)
        self.nin, self.nout, self.nargs = nin, nout, nin + nout
        self.identity = identity
        self.__name__ = getattr(func, "__name__", "ufunc")
        self.__doc__ = func.__doc__

    def __repr__(self) -> str:
        return f"<fnad.numpy.ufunc {self.__name__!r}>"

    def __call__(self, *args: Any) -> Any:
        if len(args) != self.nin:
            raise TypeError(f"{self.__name__} takes {self.nin} operands, got {len(args)}")
        out = self._function(*args)
        count = len(out) if isinstance(out, tuple) else 1
        if count != self.nout:
            raise TypeError(f"{self.__name__} should have {self.nout} results, got {count}")
        return out

    def _binary(self, method: str) -> None:
        if (self.nin, self.nout) != (2, 1):
            raise ValueError(
                f"{self.__name__}.{method}: only functions of two operands and one result have it,"
                f" this one has {self.nin} and {self.nout}"
            )

    def result_dtype(self, x: Array) -> Any:
        """The dtype in which results are operands again."""
        scalar = ShapeDtypeStruct((), x.dtype)
        return eval_shape(lambda a, b: asarray(self(self(a, b), b)), scalar, scalar).dtype

    def reduce(
        self,
        a: Any,
        axis: int | tuple[int, ...] | None = 0,
        dtype: Any = None,
        out: None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Array:
        """The function applied along axes (None: all), from the first element to the last.

        ``initial`` comes before the first; elements for which ``where`` does not hold are left out,
        and need an ``initial`` or an identity.
        """
        self._binary("reduce")
        refuse_out("ufunc.reduce", out)
        x = asarray(a, dtype)
        axes = reduced_axes(axis, x.ndim)
        kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        rest = tuple(n for i, n in enumerate(x.shape) if i not in axes)
        count = math.prod(x.shape[i] for i in axes)

        def along(y: Array) -> Array:
            return reshape(moveaxis(y, axes, tuple(range(len(axes)))), (count, *rest))

        start = self.identity if initial is None else initial
        if start is None and (where is not None or not count):
            raise ValueError(
                f"{self.__name__}.reduce: with where=, or of no elements, it needs initial=, since"
                " it has no identity"
            )
        values = convert(along(x), self.result_dtype(x))
        chosen = None if where is None else along(broadcast_to(asarray(where), x.shape))
        if start is None:
            first, values = values[0], values[1:]
        else:
            first = broadcast_to(asarray(start, values.dtype), rest)

        def step(found: Array, item: Any) -> tuple[Array, None]:
            value, taken = item
            after = convert(asarray(self(found, value)), found.dtype)
            return (after if taken is None else select(taken, after, found)), None

        out = scan(step, first, (values, chosen))[0]
        return reshape(out, kept) if keepdims else out

    def accumulate(self, a: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Array:
        """What `reduce` has found after each element along an axis."""
        self._binary("accumulate")
        refuse_out("ufunc.accumulate", out)
        x = asarray(a, dtype)
        axis = canonicalize_axis(axis, x.ndim)
        values = moveaxis(convert(x, self.result_dtype(x)), axis, 0)
        if not values.shape[0]:
            return moveaxis(values, 0, axis)

        def step(found: Array, value: Array) -> tuple[Array, Array]:
            after = convert(asarray(self(found, value)), found.dtype)
            return after, after

        found = scan(step, values[0], values[1:])[1]
        return moveaxis(concatenate([values[:1], found], 0), 0, axis)

    def reduceat(
        self, a: Any, indices: Any, axis: int = 0, dtype: Any = None, out: None = None
    ) -> Array:
        """What `reduce` finds in ``a[i:j]``, for each index i and the next one, j.

        The last slice goes to the end of the axis; where j is not behind i it is ``a[i]`` alone.
        """
        self._binary("reduceat")
        refuse_out("ufunc.reduceat", out)
        x, firsts = asarray(a, dtype), asarray(indices)
        axis = canonicalize_axis(axis, x.ndim)
        values = moveaxis(convert(x, self.result_dtype(x)), axis, 0)
        last = np.full(min(firsts.shape[0], 1), values.shape[0], firsts.dtype)
        ends = concatenate([firsts[1:], last], 0)
        place = reshape(iota(firsts.dtype, values.shape[0]), (-1,) + (1,) * (values.ndim - 1))

        def piece(first: Array, end: Array) -> Array:
            behind = logical_and(greater(place, first), less(place, end))
            return self.reduce(values, initial=take(values, first, 0), where=behind)

        return moveaxis(vmap(piece)(firsts, ends), 0, axis)

    def outer(self, a: Any, b: Any) -> Any:
        """The function of every pair of elements: the axes of ``a``, then those of ``b``."""
        if self.nin != 2:
            raise ValueError(f"{self.__name__}.outer: takes functions of two operands")
        x, y = asarray(a), asarray(b)
        return self(reshape(x, x.shape + (1,) * y.ndim), y)

    def at(self, a: Any, indices: Any, b: Any = None) -> Array:
        """The array with the function applied at indices, once for each time that they occur."""
        x = asarray(a)
        if self.nout != 1 or self.nin != (1 if b is None else 2):
            raise ValueError(
                f"{self.__name__}.at: {self.nin} operands and {self.nout} results do not fit"
            )
        numbers = at(reshape(arange(x.size), x.shape))[indices].get(mode="fill", fill_value=x.size)
        if not numbers.size:
            return x
        flat = ravel(numbers)
        operands = () if b is None else (ravel(broadcast_to(asarray(b), numbers.shape)),)

        def step(found: Array, item: Any) -> tuple[Array, None]:
            place, others = item
            value = self(take(found, place, 0), *others)
            return at(found)[place].set(value), None

        return reshape(scan(step, ravel(x), (flat, operands))[0], x.shape)


def frompyfunc(func: Callable[..., Any], /, nin: int, nout: int, *, identity: Any = None) -> ufunc:
    """A function of scalars as one of arrays, with NumPy's methods of ufuncs; see `ufunc`.

    Examples
    --------
    >>> add_squares = frompyfunc(lambda x, y: x + y * y, 2, 1, identity=0)
    >>> add_squares.reduce(np.array([1, 2, 3])), add_squares.accumulate(np.array([1, 2, 3]))
    (np.int64(14), array([ 1,  5, 14]))
    """
    return ufunc(func, nin, nout, identity=identity)
