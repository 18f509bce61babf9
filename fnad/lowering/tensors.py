"""Tensors of the planner: functions from an index to an expression, or dense buffers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fnad.core.sizes import Size
from fnad.lowering.expr import B, Expr, affine, affine_parts, axis, divided, integer, load

if TYPE_CHECKING:
    from fnad.lowering.planner import Planner

Index = tuple[Expr, ...]
# Which elements of which lazy tensors an expression was made of, and how often each is computed.
Reads = dict[tuple["Tensor", Index], int]
# An element that an expression reads of a lazy tensor: which, how often, and what that reads.
Part = tuple["Tensor", Index, int, "Expansion"]

_ZERO = integer(0)


class Expansion:
    """An element of a lazy tensor: its expression, and what of other lazy tensors is in it.

    Most of that is *aligned*: elements at the tensor's own index of others of its size, which
    are computed once each, and of which nobody asks for more. The rest is ``odd``.
    """

    __slots__ = ("_odd", "_reads", "expr", "index", "parts", "plain", "size")

    plain: bool  # whether nothing is odd

    def __init__(self, index: Index, size: int, expr: Expr, parts: list[Part]) -> None:
        self.index = index
        self.size = size
        self.expr = expr
        self.parts = parts
        self.plain = True
        for q, place, times, inner in parts:
            if not (inner.plain and times == 1 and q.size == size and place == index):
                self.plain = False
                break
        self._odd: Reads | None = None
        self._reads: Reads | None = None

    def _aligned(self, q: Tensor, place: Index, times: int, _: Expansion) -> bool:
        return times == 1 and q.size == self.size and place == self.index

    def odd(self) -> Reads:
        """What is read and not aligned, in the order of `reads`."""
        if self._odd is None:
            self._odd = {}
            for part in self.parts:
                if self._aligned(*part):
                    inner = part[3]
                    if not inner.plain:
                        self._odd.update(inner.odd())
                else:
                    _add(self._odd, part)
        return self._odd

    def reads(self) -> Reads:
        """What is read, directly and through others; what an element reads stands before it."""
        if self._reads is None:
            self._reads = {}
            for part in self.parts:
                _add(self._reads, part)
        return self._reads


def _add(reads: Reads, part: Part) -> None:
    """Add an element that is read, behind all that it reads."""
    q, place, times, inner = part
    if inner.plain:
        below: Reads = {}
        _add_aligned(below, inner)
    else:
        below = inner.reads()
    if times == 1:
        reads.update(below)
    else:
        reads.update([(read, n * times) for read, n in below.items()])
    reads[q, place] = times


def _add_aligned(reads: Reads, root: Expansion) -> None:
    """Add what a plain element reads: of a long chain, without keeping it for each link."""
    opened: set[int] = set()
    stack = root.parts[::-1]
    while stack:
        part = stack.pop()
        inner = part[3]
        if id(inner) in opened:
            reads[part[0], part[1]] = 1
        else:
            opened.add(id(inner))
            stack.append(part)
            stack += inner.parts[::-1]


class Tensor:
    """An array of the program being planned.

    A lazy tensor has an ``element`` function and is inlined into whoever reads it. A stored
    one lies dense and row-major in ``buffer`` from element ``base`` on; a lazy tensor becomes
    a stored one when the planner decides that it be computed once.
    """

    __slots__ = (
        "_expansions",
        "_loads",
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
        base: Expr = _ZERO,
    ) -> None:
        self.planner = planner
        self.origin = planner.origin
        self.shape = shape
        self.size = math.prod(shape)
        self.dtype = np.dtype(dtype)
        self.element = element
        self.buffer = buffer
        self.base = base
        self._loads: dict[Index, Expr] = {}
        self._expansions: dict[Index, Expansion] = {}
        self._readers: set[Tensor] = set()

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def stored(self) -> bool:
        return self.buffer is not None

    def at(self, index: Any) -> Expr:
        """The element at ``index``, a tuple of int64 expressions inside the shape."""
        if self.buffer is not None:
            known = self._loads.get(index) if type(index) is tuple else None
            return self._load(_exprs(index)) if known is None else known
        found = self._expansions.get(index) if type(index) is tuple else None
        if found is None:
            index = _exprs(index)
            if any(i.reduces for i in index) and self._reduces():
                # Nor do they nest by way of the place that is read, such as an argmax.
                self.planner.materialize(self)
                return self._load(index)
            found = self.expanded(index)
        expr, planner = found.expr, self.planner
        if expr.reduces and planner.reducing:
            # Loops of reductions do not nest: the inner one gets a buffer.
            planner.materialize(self)
            return self._load(index)
        if planner.reader is not None:
            if expr.op != "constant":
                planner.parts.append((self, index, planner.times, found))
            self._readers.add(planner.reader)
        return expr

    def _reduces(self) -> bool:
        """Whether an element is the result of a loop."""
        return self.expanded(generic_index(self.shape)).expr.reduces

    def _load(self, index: Index) -> Expr:
        assert self.buffer is not None
        offset = linear(index, self.shape)
        if self.base is not _ZERO:
            offset = self.base + offset
        found = self._loads[index] = load(self.buffer, offset, self.dtype)
        return found

    def reads(self, index: Index) -> Reads:
        """What `at` inlines at ``index`` of other lazy tensors, directly and through others."""
        return self.expanded(index).reads()

    def expanded(self, index: Index) -> Expansion:
        """An element of a lazy tensor; kept until something that it inlines gets a buffer."""
        found = self._expansions.get(index)
        if found is not None:
            return found
        assert self.element is not None
        planner = self.planner
        outside = planner.parts, planner.times, planner.reader
        stored = planner.num_stored
        parts: list[Part] = []
        planner.parts, planner.times, planner.reader = parts, 1, self
        try:
            expr = self.element(index)
            if expr.dtype is not self.dtype:
                expr = B.convert(expr, self.dtype)
        finally:
            planner.parts, planner.times, planner.reader = outside
        found = Expansion(index, self.size, expr, parts)
        if planner.num_stored == stored:
            self._expansions[index] = found
        return found

    def store_at(self, buffer: int, base: Expr) -> None:
        """Turn into a stored tensor; whoever inlined it will expand anew."""
        self.buffer, self.base, self.element = buffer, base, None
        stale = [self]
        while stale:
            t = stale.pop()
            t._expansions.clear()
            stale += t._readers
            t._readers.clear()


def _exprs(index: Any) -> Index:
    """An index of expressions and integers as one of expressions."""
    return tuple([i if isinstance(i, Expr) else integer(i) for i in index])


@functools.lru_cache(maxsize=1024)
def generic_index(shape: tuple[int, ...], first: int = 0) -> Index:
    """One loop variable per axis; axes of length 1 need none."""
    return tuple(axis(first + k, n) if n != 1 else integer(0) for k, n in enumerate(shape))


@functools.lru_cache(maxsize=1024)
def generic_axes(shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """The loops of `generic_index`, as pairs of number and extent."""
    return tuple((k, n) for k, n in enumerate(shape) if n != 1)


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


@functools.lru_cache(maxsize=4096)
def unravel(offset: Expr, shape: tuple[int, ...]) -> Index:
    """The index of a row-major offset that is inside ``shape``."""
    index = []
    for n in reversed(shape):
        offset, i = divided(offset, n) if type(n) is Size or n > 1 else (offset, _ZERO)
        index.append(i)
    return tuple(index[::-1])
