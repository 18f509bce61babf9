"""Kernels that map the result of a product elementwise, computed before it is stored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from fnad.lowering.access import access, kernel_exprs, own_access
from fnad.lowering.costs import cost_of
from fnad.lowering.cuda.correspondence import at_points, axes_at, is_dense
from fnad.lowering.cuda.product_kernels import places
from fnad.lowering.expr import Expr
from fnad.lowering.kernels import store_parts
from fnad.lowering.plan import Contraction, Kernel, Node, Store
from fnad.lowering.walk import loads, rebuild

# Code for all elements of a thread: no more than this, in additions.
_LARGEST = 64


def reader_of(
    c: Contraction, reads: AbstractSet[int], behind: Sequence[Node]
) -> tuple[int, Kernel] | None:
    """The kernel, and its place among the nodes behind a product, that maps its result elementwise.

    It could as well run right after the product, and does not write what that ``reads``.
    """
    for position, node in enumerate(behind):
        found = access(node)
        if c.out.buffer not in found.touched:
            continue
        if not isinstance(node, Kernel) or variables_of(c, node) is None:
            return None
        if any(access(other).conflicts(found) for other in behind[:position]):
            return None
        return None if found.writes & reads else (position, node)
    return None


def variables_of(c: Contraction, kernel: Kernel) -> Mapping[Expr, Expr] | None:
    """The loop variables of a kernel by those of a product, at whose points it reads the result."""
    if kernel.reductions or kernel.sequential or c.out.buffer in own_access(kernel).writes:
        return None
    offsets = {e.args[0] for e in loads(kernel_exprs(kernel)) if e.attr == c.out.buffer}
    extents = *c.batch, c.m, c.n
    if len(offsets) != 1 or math.prod(n for _, n in kernel.axes) != math.prod(extents):
        return None
    [offset] = offsets
    if not is_dense(sorted([x for x in zip(c.out.strides, extents) if x[1] > 1], reverse=True)):
        return None
    return axes_at(offset - c.out.offset, kernel.axes, places(c)[2] - c.out.offset)


def with_epilogue(c: Contraction, product: Kernel, reader: Kernel) -> Kernel | None:
    """A product that stores, next to its result, what ``reader`` makes of it; None if too large."""
    if cost_of([s.value for s in reader.stores]) > _LARGEST:
        return None
    variables = variables_of(c, reader)
    assert variables is not None
    [stored] = product.stores

    def result(e: Expr) -> Expr | None:
        """What the kernel reads of the product: all of it at one place (`variables_of`)."""
        return stored.value if e.op == "load" and e.attr == c.out.buffer else None

    parts = [e for s in reader.stores for e in store_parts(s)]
    moved = iter(rebuild(at_points(parts, variables), result))
    stores = [
        Store(
            s.buffer,
            next(moved),
            next(moved),
            s.combine,
            None if s.when is None else next(moved),
        )
        for s in reader.stores
    ]
    return replace(product, stores=(stored, *stores))
