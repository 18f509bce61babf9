"""Tensors of the planner: functions from an index to an expression, or dense buffers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fnad.lowering.expr import B, Expr, affine, affine_parts, axis, integer, load

if TYPE_CHECKING:
    from fnad.lowering.planner import Planner

Index = tuple[Expr, ...]


class Tensor:
    """An array of the program being planned.

    A lazy tensor has an ``element`` function and is inlined into whoever reads it. A stored
    one lies dense and row-major in ``buffer`` from element ``base`` on; a lazy tensor becomes
    a stored one when the planner decides that it be computed once.
    """

    __slots__ = (
        "_cache",
        "_generation",
        "base",
        "buffer",
        "dtype",
        "element",
        "origin",
        "planner",
        "shape",
    )

    def __init__(
        self,
        planner: Planner,
        shape: tuple[int, ...],
        dtype: Any,
        element: Callable[[Index], Expr] | None = None,
        buffer: int | None = None,
        base: Expr | None = None,
    ) -> None:
        self.planner = planner
        self.origin = planner.origin
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.element = element
        self.buffer = buffer
        self.base = integer(0) if base is None else base
        self._cache: dict[Index, Expr] = {}
        self._generation = planner.generation

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def stored(self) -> bool:
        return self.buffer is not None

    def at(self, index: Any) -> Expr:
        """The element at ``index``, a tuple of int64 expressions inside the shape."""
        index = tuple(i if isinstance(i, Expr) else integer(i) for i in index)
        if self.buffer is not None:
            return load(self.buffer, self.base + linear(index, self.shape), self.dtype)
        self.planner.note_read(self, index)
        if self._generation != self.planner.generation:
            self._cache.clear()
            self._generation = self.planner.generation
        expr = self._cache.get(index)
        if expr is None:
            assert self.element is not None
            expr = B.convert(self.element(index), self.dtype)
            self._cache[index] = expr
        if expr.reduces and self.planner.reducing:
            # Loops of reductions do not nest: the inner one gets a buffer.
            self.planner.materialize(self)
            return self.at(index)
        return expr

    def store_at(self, buffer: int, base: Expr) -> None:
        """Turn into a stored tensor."""
        self.buffer, self.base, self.element = buffer, base, None
        self._cache.clear()


def generic_index(shape: tuple[int, ...], first: int = 0) -> Index:
    """One loop variable per axis; axes of length 1 need none."""
    return tuple(axis(first + k, n) if n != 1 else integer(0) for k, n in enumerate(shape))


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides, in elements, of a dense array."""
    strides = [1] * len(shape)
    for k in range(len(shape) - 1, 0, -1):
        strides[k - 1] = strides[k] * shape[k]
    return tuple(strides)


def linear(index: Index, shape: tuple[int, ...]) -> Expr:
    """The row-major offset of an index."""
    terms: dict[Expr, int] = {}
    constant = 0
    for i, stride in zip(index, row_major(shape), strict=True):
        parts, c = affine_parts(i)
        constant += c * stride
        for term, k in parts.items():
            terms[term] = terms.get(term, 0) + k * stride
    return affine(terms, constant)


def unravel(offset: Expr, shape: tuple[int, ...]) -> Index:
    """The index of a row-major offset that is inside ``shape``."""
    index = []
    for n, stride in zip(shape, row_major(shape)):
        i = B.divide(offset, integer(max(stride, 1)))
        index.append(B.remainder(i, integer(n)) if n > 1 else integer(0))
    return tuple(index)
