"""A kernel on its way into a function, with what all ways of printing its loops share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from fnad.lowering.access import kernel_exprs
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.interleaved import store_rows
from fnad.lowering.llvm.places import store
from fnad.lowering.llvm.vectors import Range
from fnad.lowering.llvm.writer import Function, Value
from fnad.lowering.plan import Kernel, Store


class Nest:
    """A kernel with what its loops share."""

    def __init__(
        self, f: Function, p: ExpressionPrinter, kernel: Kernel, ranges: dict[int, Range]
    ) -> None:
        self.f, self.p, self.kernel, self.ranges = f, p, kernel, ranges
        self.roots = kernel_exprs(kernel)

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
        """Compute what a point stores, all of it before any is written."""
        p = self.p
        computed = []
        for s in self.kernel.stores:
            computed.append((p.value(s.value), p.value(s.when) if s.when is not None else None))
        rest = list(zip(self.kernel.stores, computed))
        while rest:
            together = store_rows(p, [(s, value) for s, (value, _) in rest])
            if not together:
                s, (value, when) = rest[0]
                self._write(s, value, when)
            rest = rest[max(together, 1) :]

    def _write(self, s: Store, value: Value, when: Value | None) -> None:
        combine = getattr(self.f.b, _COMBINE[s.combine]) if s.combine is not None else None
        if when is None or when.lanes > 1:
            store(self.p, s.buffer, s.offset, value, combine, when)
            return
        with self.f.when(when), self.p.scope():
            store(self.p, s.buffer, s.offset, value, combine, None)


_COMBINE = {"add": "add", "multiply": "multiply", "min": "minimum", "max": "maximum"}
