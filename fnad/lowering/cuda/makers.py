"""Which kernel made what lies in a buffer, so that its elements may be computed once more."""

from __future__ import annotations

from fnad.lowering.access import access, own_access
from fnad.lowering.cuda.correspondence import at_points, axes_at
from fnad.lowering.expr import B, Expr
from fnad.lowering.plan import Kernel, Node, Store
from fnad.lowering.walk import loads


class Makers:
    """The last writes to all buffers, at one position of a schedule that is gone through."""

    def __init__(self) -> None:
        self._time = 0
        self._written: dict[int, int] = {}
        self._kernels: dict[int, tuple[Kernel, Store]] = {}

    def note(self, node: Node) -> None:
        """Go on behind a node; before a loop or branch, into it and behind it."""
        self._time += 1
        for number in access(node).writes:
            self._written[number] = self._time
            self._kernels.pop(number, None)
        if isinstance(node, Kernel) and not node.reductions and not node.sequential:
            for store in node.stores:
                if store.combine is None and store.when is None:
                    self._kernels[store.buffer] = node, store

    def source(self, element: Expr) -> Expr:
        """An element of a buffer as the element elsewhere that it is, or was converted from.

        It is left as it is if there is no such element, or none that is still the same.
        """
        if element.op == "convert":
            return B.convert(self.source(element.args[0]), element.dtype)
        if element.op != "load" or element.attr not in self._kernels:
            return element
        kernel, store = self._kernels[element.attr]
        value = store.value
        if not _is_moved(value) or not self._is_unchanged(value, element.attr):
            return element
        if sum(s.buffer == element.attr for s in kernel.stores) > 1:
            return element
        variables = axes_at(store.offset, kernel.axes, element.args[0])
        if variables is None or own_access(kernel).reads & own_access(kernel).writes:
            return element
        [moved] = at_points([value], variables)
        return self.source(moved)

    def _is_unchanged(self, value: Expr, made: int) -> bool:
        """Whether what a kernel has read is still there."""
        when = self._written[made]
        return all(self._written.get(e.attr, 0) < when for e in loads([value]))


def _is_moved(value: Expr) -> bool:
    """Whether a value is an element of a buffer, perhaps converted, whose place no buffer names."""
    while value.op == "convert":
        value = value.args[0]
    return value.op == "load" and len(loads([value])) == 1
