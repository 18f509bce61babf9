"""Points of loops: their numbers, taken apart into loop variables, and what is stored at one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack

from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.writer import INT64, Function, Value
from fnad.lowering.plan import Store

Axes = tuple[tuple[int, int], ...]
_INT32_MAX = 2**31 - 1


def count(axes: Axes) -> int:
    """How many points loops have."""
    return math.prod(extent for _, extent in axes)


def index_kind(most: int) -> str:
    """The type of indices that are not above ``most``."""
    return "i32" if most <= _INT32_MAX else "i64"


def bind_axes(f: Function, printer: ExpressionPrinter, axes: Axes, point: str, kind: str) -> None:
    """Take the row-major number of a point apart into the loop variables, innermost last."""
    rest = point
    for position, (number, extent) in reversed(list(enumerate(axes))):
        if position == 0:
            printer.bind_axis(number, Value(rest, INT64))
            return
        unsigned = kind.replace("i", "u")
        quotient = f.named(kind, f"({kind})(({unsigned}){rest} / {extent}u)", INT64).ref
        narrow = index_kind(extent)
        index = f.named(narrow, f"({narrow})({rest} - {quotient} * {extent})", INT64)
        printer.bind_axis(number, index)
        rest = quotient


def print_stores(f: Function, printer: ExpressionPrinter, stores: Sequence[Store]) -> None:
    """All values first: a store must not change what another one reads."""
    ready = [
        (
            store,
            printer.value(store.offset),
            printer.value(store.value),
            None if store.when is None else printer.value(store.when),
        )
        for store in stores
    ]
    for store, offset, value, when in ready:
        place = f"{printer.pointers[store.buffer]}[{offset.ref}]"
        with ExitStack() as stack:
            if when is not None:
                stack.enter_context(f.block(f"if ({when.ref})"))
            if store.combine is not None:
                old = f.value(place, value.dtype)
                value = f.b.accumulate(store.combine, old, value)
            f.line(f"{place} = {value.ref};")
