"""Rows that are written, or added to, at computed places in order: tasks are parts of the buffer.

What happens to one element happens in one task, and in the order of the kernel's points, so that
sums do not depend on how many tasks run at a time. Each task looks at all rows for its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from fnad.lowering.expr import Expr, affine, affine_parts, axis
from fnad.lowering.llvm.nests import Nest
from fnad.lowering.llvm.vectors import Range
from fnad.lowering.llvm.writer import INT64, Value
from fnad.lowering.plan import Kernel
from fnad.lowering.walk import below

# More parts would serve more threads, but each looks at all rows.
PARTS = 8
# Of shorter rows, looking at them would be most of the work.
_LEAST_COLUMNS = 32

Bounds = tuple[Value, Value]


def written_rows(kernel: Kernel) -> Expr | None:
    """Where the row begins that a point of a sequential kernel writes to.

    None if there are no long rows, or if two that begin in different places may overlap. They do
    not if they begin multiples of a length apart that is no less than their own.
    """
    if len(kernel.axes) < 2 or len(kernel.stores) != 1:
        return None
    innermost, extent = axis(*kernel.axes[-1]), kernel.axes[-1][1]
    terms = dict(affine_parts(kernel.stores[0].offset)[0])
    stride = abs(terms.pop(innermost, 0))
    if not stride or extent < _LEAST_COLUMNS or any(innermost in below(t) for t in terms):
        return None
    start = affine(terms, 0)
    apart = math.gcd(*terms.values()) >= stride * extent
    return start if apart and start.bounds is not None else None


def bounds_of(nest: Nest, start: Expr, parts: Range) -> Bounds | None:
    """Between what the rows of some parts begin; None if they are all parts."""
    if parts.known == (0, PARTS):
        return None
    b = nest.f.b
    assert start.bounds is not None
    first, last = start.bounds
    size = b.constant(-(-(last - first + 1) // PARTS), INT64)
    begin, end = (
        b.add(b.constant(first, INT64), b.multiply(part, size)) for part in parts.values(nest.f)
    )
    return begin, end


@contextmanager
def if_inside(nest: Nest, start: Expr, bounds: Bounds) -> Iterator[None]:
    """What follows is done for rows that begin between the bounds."""
    b, place = nest.f.b, nest.p.value(start)
    inside = b.bitwise_and(b.less_equal(bounds[0], place), b.less(place, bounds[1]))
    with nest.f.when(inside), nest.p.scope():
        yield
