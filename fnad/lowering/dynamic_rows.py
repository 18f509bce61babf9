"""Which kernels of a dynamic plan go over the same rows: they run together, in any order of rows.

A row is all that a kernel computes for one value of its outermost axis. It is *local* if what it
writes lies in a piece of the buffer that is this row's alone, so rows may run on several threads.
Kernels that follow each other run together, a few rows at a time, if none reads anything that an
earlier one of them has written but its own row: the numbers between them stay in cache then.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from fnad.core.sizes import Size, bound, surely_equal
from fnad.lowering.access import kernel_exprs, own_access
from fnad.lowering.expr import TRANSCENDENTAL, Expr, affine, affine_parts, axis
from fnad.lowering.plan import Kernel, Node
from fnad.lowering.walk import postorder

# What a function such as exp takes, in additions.
_FUNCTION = 4


def row_groups(nodes: Iterable[Node]) -> list[tuple[Node, ...]]:
    """A schedule, cut into kernels that run together, and other nodes one by one."""
    groups: list[list[Node]] = []
    last: _Rows | None = None
    for node in nodes:
        written = _written_rows(node) if isinstance(node, Kernel) else None
        if isinstance(node, Kernel) and written is not None:
            if last is not None and last.takes(node, written):
                groups[-1].append(node)
            else:
                groups.append([node])
                last = _Rows(node)
            last.add(node, written)
        else:
            groups.append([node])
            last = None
    return [tuple(group) for group in groups]


def has_rows(node: Node) -> bool:
    """Whether the rows of a node are local."""
    return isinstance(node, Kernel) and _written_rows(node) is not None


def row_work(kernel: Kernel) -> int:
    """What a row costs, about, in additions."""
    inner = math.prod([n for _, n in kernel.axes[1:]])
    reduced = sum(math.prod([n for _, n in r.axes]) for r in kernel.reductions)
    functions = sum(e.op in TRANSCENDENTAL for e in postorder(kernel_exprs(kernel)))
    return inner * (1 + reduced) * (1 + _FUNCTION * functions)


class _Rows:
    """Kernels that run together so far."""

    def __init__(self, first: Kernel) -> None:
        self.extent = first.axes[0][1]
        self.touched: set[int] = set()
        self.written: dict[int, int] = {}  # the length of a row in each buffer

    def takes(self, kernel: Kernel, written: dict[int, int]) -> bool:
        if not surely_equal(kernel.axes[0][1], self.extent) or self.touched & written.keys():
            return False
        for e in postorder(kernel_exprs(kernel)):
            if e.op == "load" and e.attr in self.written:
                length = _row_length(kernel, e.args[0])
                if length is None or not surely_equal(length, self.written[e.attr]):
                    return False
        return True

    def add(self, kernel: Kernel, written: dict[int, int]) -> None:
        self.touched |= own_access(kernel).touched
        self.written |= written


def _written_rows(kernel: Kernel) -> dict[int, int] | None:
    """The lengths of rows in the buffers that a kernel writes, if its rows are local."""
    if not kernel.axes or kernel.sequential or type(kernel.axes[0][1]) is not Size:
        return None
    written: dict[int, int] = {}
    for s in kernel.stores:
        length = _row_length(kernel, s.offset)
        if length is None or s.combine is not None:
            return None
        if not surely_equal(written.setdefault(s.buffer, length), length):
            return None
    read = {e.attr for e in postorder(kernel_exprs(kernel)) if e.op == "load"}
    return None if read & written.keys() else written


def _row_length(kernel: Kernel, offset: Expr) -> int | None:
    """``n`` if an offset lies in ``range(n*i, n*(i + 1))`` for all of row ``i``."""
    terms, constant = affine_parts(offset)
    length = terms.pop(axis(*kernel.axes[0]), 0)
    bounds = affine(terms, constant).bounds
    if bounds is None or not bounds[0] >= 0 or not bounds[1] < bound(length):
        return None
    return length
