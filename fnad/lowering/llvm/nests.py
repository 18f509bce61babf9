"""A kernel on its way into a function, with what all ways of printing its loops share."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from fnad.lowering.access import kernel_exprs
from fnad.lowering.expr import Expr
from fnad.lowering.interned import FREE
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.interleaved import row_length, store_row
from fnad.lowering.llvm.places import store
from fnad.lowering.llvm.scheduling import few_alive
from fnad.lowering.llvm.vectors import Range
from fnad.lowering.llvm.writer import DType, Function, Value
from fnad.lowering.plan import Kernel, Store
from fnad.lowering.walk import loads

# From so many stores a point on, as short Fourier transforms have, their order matters.
_MANY = 8


class Nest:
    """A kernel with what its loops share."""

    def __init__(
        self, f: Function, p: ExpressionPrinter, kernel: Kernel, ranges: dict[int, Range]
    ) -> None:
        self.f, self.p, self.kernel, self.ranges = f, p, kernel, ranges
        self.roots = kernel_exprs(kernel)

    def held(self) -> list[DType]:
        """What vectors hold besides the values of expressions: totals, and rows of what is stored.

        Those may be wider than what they are computed from: indices have few bits on their way.
        """
        held = [r.accumulator for r in self.kernel.reductions]
        if len(self.kernel.stores) > 1:
            held += [s.value.dtype for s in self.kernel.stores]
        return held

    @contextmanager
    def loops(self, axes: Sequence[tuple[int, int]], vector: int | None) -> Iterator[None]:
        """Loops over axes; what does not vary inside of one is emitted before it."""
        f, p = self.f, self.p
        with ExitStack() as stack:
            self.hoist(vector)
            for number, _ in axes:
                where = self.ranges[number]
                loop = stack.enter_context(f.loop(where.stop, start=where.start, as_written=True))
                stack.enter_context(p.scope())
                p.bind_axis(number, loop.index)
                self.hoist(vector)
            yield

    def hoist(self, vector: int | None) -> None:
        """Emit what the loops to come need not repeat; vectors will run along ``vector``."""
        self.p.hoist(self.roots, vector)
        for s in self.kernel.stores:
            self.p.hoist_place(s.buffer, s.value.dtype, s.offset, vector)

    def stores(self) -> None:
        """Compute what a point stores and write it."""
        rows = self._rows()
        if len(self.kernel.stores) >= _MANY and self.is_plain():
            self._store_in_turn(rows)
            return
        for s in self.kernel.stores:  # all of it before any is written
            self.p.operand(s.value)
            if s.when is not None:
                self.p.operand(s.when)
        for row in rows:
            self._write_row(row)

    def _rows(self) -> list[Sequence[Store]]:
        """The stores, those that write whole rows together."""
        rest = self.kernel.stores
        rows: list[Sequence[Store]] = []
        while rest:
            count = max(row_length(self.p, rest), 1)
            rows.append(rest[:count])
            rest = rest[count:]
        return rows

    def is_plain(self) -> bool:
        """Whether stores have no conditions and go to what the kernel does not read."""
        written = {s.buffer for s in self.kernel.stores}
        return all(s.when is None and s.combine is None for s in self.kernel.stores) and not any(
            load.attr in written for load in loads(self.roots)
        )

    def _store_in_turn(self, rows: Sequence[Sequence[Store]]) -> None:
        """Write each row as soon as it is computed, in an order that keeps few values waiting."""
        order = self._order()
        places = {e: i for i, e in enumerate(order)}
        done = 0
        for last, row in sorted(
            ((max(places.get(s.value, -1) for s in row), row) for row in rows),
            key=operator.itemgetter(0),
        ):
            for e in order[done : last + 1]:
                self.p.operand(e)
            done = last + 1
            self._write_row(row)

    def _order(self) -> list[Expr]:
        """What is to be computed for the stores but for indices, as `few_alive` has it."""
        nodes: dict[Expr, int] = {}
        arguments: list[list[int]] = []
        pending: list[tuple[Expr, list[Expr] | None]] = [
            (s.value, None) for s in reversed(self.kernel.stores)
        ]
        while pending:
            e, needed = pending.pop()
            if e in nodes:
                continue
            if needed is None:
                needed = [] if e.op == "load" else self.p.missing(e)
                needed = [a for a in needed if a.op not in FREE]
                pending += [(e, needed), *((a, None) for a in reversed(needed))]
            else:
                arguments.append([nodes[a] for a in needed])
                nodes[e] = len(nodes)
        found = list(nodes)
        return [found[i] for i in few_alive(arguments)]

    def _write_row(self, row: Sequence[Store]) -> None:
        values = [self.p.value(s.value) for s in row]
        if len(row) > 1:
            store_row(self.p, row, values)
            return
        [s], [value] = row, values
        self._write(s, value, self.p.value(s.when) if s.when is not None else None)

    def _write(self, s: Store, value: Value, when: Value | None) -> None:
        combine = getattr(self.f.b, _COMBINE[s.combine]) if s.combine is not None else None
        old = _reads_what_it_writes(s)
        if when is None or when.lanes > 1:
            store(self.p, s.buffer, s.offset, value, combine, when, old)
            return
        with self.f.when(when), self.p.scope():
            store(self.p, s.buffer, s.offset, value, combine, None, old)


def _reads_what_it_writes(s: Store) -> bool:
    """Whether the value may be what is there already, as far as its last operation tells."""
    return any(
        e.op == "load" and e.attr == s.buffer and e.args[0] is s.offset for e in s.value.args
    )


_COMBINE = {"add": "add", "multiply": "multiply", "min": "minimum", "max": "maximum"}
