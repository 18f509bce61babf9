"""Matrix products of a plan for a card: which ones its library computes, and kernels for the rest.

A product that is not left to the library becomes a kernel of the plan that sums products of its
operands' elements (`product_kernels`), so that everything that is known of kernels holds for it.

* What made an operand by mere moving or converting, such as the kernel that lays out the windows of
  a convolution, becomes a part of it (`makers`); so does a kernel that maps its result elementwise
  (`epilogues`).
* A small result with a long sum becomes partial sums and their sum.
* If it is large enough, it is computed in tiles through shared memory (`tiles`), by tensor cores
  if its operands have 16 bits; else as any other reduction, as products with vectors are.

Numbers of 16 bits, which a plan converts to float32 first, stay as they are (`narrowing`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from fnad.core.types import is_half, kind_of
from fnad.lowering.access import access, count_uses, own_access, with_bodies
from fnad.lowering.buffers import place
from fnad.lowering.cuda.cublas import suits
from fnad.lowering.cuda.epilogues import reader_of, with_epilogue
from fnad.lowering.cuda.makers import Makers
from fnad.lowering.cuda.narrowing import library_product, moved_result, narrowed, unconverted
from fnad.lowering.cuda.product_kernels import in_parts, operands, product_kernel
from fnad.lowering.expr import B, Expr
from fnad.lowering.fusion import without_dead_stores
from fnad.lowering.plan import Buffer, Contraction, Matrix, Node, Plan

# How far behind a product the reader of its result may stand.
_NEAR = 16
# Products of fewer operations than these take less time than a call of the library.
_LIBRARY_OPERATIONS = 1 << 21
_LIBRARY_SIDE = 32
# Larger operands are not laid out in memory for the library.
_LARGEST_LAID_OUT = 1 << 30


def pays_in_library(c: Contraction) -> bool:
    """Whether the device's library is to compute a product: floating, large, and no thin one.

    It depends on shapes and dtype alone, as the bits of results do.
    """
    if kind_of(c.dtype) != "f" or min(c.m, c.n, c.k) < _LIBRARY_SIDE or not suits(c):
        return False
    return math.prod(c.batch) * c.m * c.n * c.k >= _LIBRARY_OPERATIONS


def arrange_products(plan: Plan, library: bool = True) -> Plan:
    """A plan in which the only products left are those for the device's library, if it has one."""
    narrow = narrowed(plan)
    arrangement = _Arrangement(narrow, library)
    body = arrangement.arranged(narrow.body)
    if tuple(body) == plan.body:
        return plan
    body = without_dead_stores(body, arrangement.buffers)
    placed, arena = place(arrangement.buffers, body)
    return replace(plan, buffers=placed, body=tuple(body), arena_size=arena)


class _Arrangement:
    """The schedule that is being made."""

    def __init__(self, plan: Plan, library: bool) -> None:
        self.buffers = list(plan.buffers)
        self.library = library
        self.makers = Makers()
        self.uses = count_uses(plan.body)
        self.roles = {b.number: b.role for b in plan.buffers}
        self.dtypes = {b.number: b.dtype for b in plan.buffers}
        self._next = 1 + max((b.number for b in plan.buffers), default=0)

    def new_buffer(self, shape: Sequence[int], dtype: np.dtype[Any]) -> int:
        """Add a temporary."""
        self.buffers.append(Buffer(self._next, tuple(shape), dtype, "temp"))
        self._next += 1
        return self._next - 1

    def arranged(self, body: Sequence[Node]) -> list[Node]:
        """A schedule, or one inside of it, with its products arranged."""
        rest, result = deque(body), []
        while rest:
            node = rest.popleft()
            made = (
                self._product(node, rest) if isinstance(node, Contraction) else [self._inside(node)]
            )
            for new in made:
                self.makers.note(new)
            result += made
        return result

    def _inside(self, node: Node) -> Node:
        def inner(body: Sequence[Node]) -> list[Node]:
            self.makers.note(node)  # other branches and earlier turns have written, perhaps
            return self.arranged(body)

        return with_bodies(node, inner)

    def _product(self, c: Contraction, rest: deque[Node]) -> list[Node]:
        """What stands for a product; takes what becomes a part of it from the nodes behind."""
        left, right = (B.convert(self.makers.source(e), c.dtype) for e in operands(c, self.dtypes))
        if self.library and pays_in_library(c):
            called = self._for_library(c, left, right)
            if called is not None:
                return [*called[0], self._with_result(called[1], rest)]
        kernel = product_kernel(c, left, right)
        behind = list(islice(rest, _NEAR))
        found = reader_of(c, own_access(kernel).reads, behind)
        if found is not None:
            at, reader = found
            joined = with_epilogue(c, kernel, reader)
            if joined is not None:
                kernel = joined
                del rest[at]
        return in_parts(kernel, self.new_buffer)

    def _for_library(
        self, c: Contraction, left: Expr, right: Expr
    ) -> tuple[list[Node], Contraction] | None:
        """The product as the library is to compute it, behind what lays out its operands.

        None if it had better not: if an operand holds elements of an array several times over, as
        the windows of a convolution do, to lay them out in memory takes longer than the library
        gains, save for numbers of 16 bits, which it multiplies on other units.
        """
        if is_half(unconverted(left).dtype) and is_half(unconverted(right).dtype):
            nodes, product = library_product(c, left, right, self.new_buffer)
            made = {number for node in nodes for number in access(node).writes}
            size = sum(b.nbytes for b in self.buffers if b.number in made)
            return (nodes, product) if size <= _LARGEST_LAID_OUT else None
        if self._repeats(c.left, left) or self._repeats(c.right, right):
            return None
        left, right = (B.convert(e, c.dtype) for e in operands(c, self.dtypes))
        return library_product(c, left, right, self.new_buffer)

    def _repeats(self, matrix: Matrix, element: Expr) -> bool:
        sizes = {b.number: b.size for b in self.buffers}
        return sizes[matrix.buffer] > 2 * sizes[unconverted(element).attr]

    def _with_result(self, c: Contraction, rest: deque[Node]) -> Contraction:
        """A product for the library that writes its result to where it is wanted."""
        number = c.out.buffer
        if self.uses[number] == 2 and not c.accumulate and self.roles[number] == "temp":
            found = reader_of(c, own_access(c).reads, list(islice(rest, _NEAR)))
            moved = None if found is None else moved_result(c, found[1])
            if found is not None and moved is not None:
                del rest[found[0]]
                return moved
        return c
