"""Tensors of the planner: functions from an index to an expression, or dense buffers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fnad.lowering.expr import B, Expr, affine, affine_parts, axis, integer, load

if TYPE_CHECKING:
    from fnad.lowering.planner import Planner

Index = tuple[Expr, ...]
# Which elements of which lazy tensors an expression was made of, and how often each is computed.
Reads = dict[tuple["Tensor", Index], int]


class Tensor:
    """An array of the program being planned.

    A lazy tensor has an ``element`` function and is inlined into whoever reads it. A stored
    one lies dense and row-major in ``buffer`` from element ``base`` on; a lazy tensor becomes
    a stored one when the planner decides that it be computed once.
    """

    __slots__ = (
        "_cache",
        "_readers",
        "base",
        "buffer",
        "dtype",
        "element",
        "origin",
        "planner",
        "shape",
        "size",
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
        self.size = math.prod(self.shape)
        self.dtype = np.dtype(dtype)
        self.element = element
        self.buffer = buffer
        self.base = integer(0) if base is None else base
        self._cache: dict[Index, tuple[Expr, Reads]] = {}
        self._readers: set[Tensor] = set()

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def stored(self) -> bool:
        return self.buffer is not None

    def at(self, index: Any) -> Expr:
        """The element at ``index``, a tuple of int64 expressions inside the shape."""
        if type(index) is not tuple or index not in self._cache:
            index = tuple([i if isinstance(i, Expr) else integer(i) for i in index])
        if self.buffer is not None:
            offset = linear(index, self.shape)
            if self.base is not integer(0):
                offset = self.base + offset
            return load(self.buffer, offset, self.dtype)
        expr, reads = self._expanded(index)
        planner = self.planner
        if expr.reduces and planner.reducing:
            # Loops of reductions do not nest: the inner one gets a buffer.
            planner.materialize(self)
            return self.at(index)
        if planner.reader is not None:
            if expr.op != "constant":
                planner.note_read(self, index, reads)
            self._readers.add(planner.reader)
        return expr

    def reads(self, index: Index) -> Reads:
        """What `at` inlines at ``index`` of other lazy tensors, directly and through others."""
        return self._expanded(index)[1]

    def _expanded(self, index: Index) -> tuple[Expr, Reads]:
        """An element and what it reads; kept until something that it inlines gets a buffer."""
        found = self._cache.get(index)
        if found is not None:
            return found
        assert self.element is not None
        planner = self.planner
        outside, reader, stored = planner.start_reads(), planner.reader, planner.num_stored
        planner.reader = self
        try:
            expr = B.convert(self.element(index), self.dtype)
            found = expr, planner.reads
        finally:
            planner.reads, planner.times = outside
            planner.reader = reader
        if planner.num_stored == stored:
            self._cache[index] = found
        return found

    def store_at(self, buffer: int, base: Expr) -> None:
        """Turn into a stored tensor; whoever inlined it will expand anew."""
        self.buffer, self.base, self.element = buffer, base, None
        stale = [self]
        while stale:
            t = stale.pop()
            t._cache.clear()
            stale += t._readers
            t._readers.clear()


@functools.lru_cache(maxsize=1024)
def generic_index(shape: tuple[int, ...], first: int = 0) -> Index:
    """One loop variable per axis; axes of length 1 need none."""
    return tuple(axis(first + k, n) if n != 1 else integer(0) for k, n in enumerate(shape))


@functools.lru_cache(maxsize=1024)
def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides, in elements, of a dense array."""
    strides = [1] * len(shape)
    for k in range(len(shape) - 1, 0, -1):
        strides[k - 1] = strides[k] * shape[k]
    return tuple(strides)


@functools.lru_cache(maxsize=4096)
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
