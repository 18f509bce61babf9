"""Neighbouring elements of an expression along an axis, read as words (`words`)."""

from __future__ import annotations

from dataclasses import dataclass

from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.words import Words, length_of, word_length
from fnad.lowering.cuda.writer import INT64, Function, Value
from fnad.lowering.expr import Expr, axis
from fnad.lowering.walk import below, loads, rebuild

# Numbers of loop variables that no kernel has.
_OUTER, _INNER = 1 << 20, (1 << 20) + 1


@dataclass(frozen=True, slots=True)
class VectorRead:
    """How ``width`` neighbours of an expression along an axis are computed.

    ``outer`` stands for the number of the vector along the axis, ``inner`` for the place in it;
    ``load`` is the one load that varies within a vector. A width of 1 is the expression itself.
    """

    expr: Expr
    width: int
    load: Expr | None = None

    def values(self, f: Function, printer: ExpressionPrinter, start: Value) -> list[Value]:
        """The values from ``start`` on, a multiple of ``width`` to which the axis is bound."""
        if self.load is None:
            return [printer.value(self.expr)]
        printer.bind_axis(_OUTER, f.named("i32", f"{start.ref} / {self.width}", INT64))
        printer.bind_axis(_INNER, Value("0", INT64))
        word = Words(f, self.load.dtype, self.width, self.width)
        word.fill(printer.pointers[self.load.attr], printer.value(self.load.args[0]))
        values = []
        for v in range(self.width):
            with printer.scope():
                printer.bind(self.load, word.element("0", str(v)))
                values.append(printer.value(self.expr))
        return values


def vector_read(expr: Expr, along: tuple[int, int], limit: int) -> VectorRead:
    """As wide a reading of an expression along an axis as memory has it, of ``limit`` at most.

    Some load must run through memory with the axis while all else stays the same within a vector:
    conditions on the index and the remainders of windows may depend on the number of the vector
    alone, which the normal form of indices shows once the axis is written as ``width * outer +
    inner``.
    """
    width = limit
    while width > 1:
        if along[1] % width == 0:
            split = _split(expr, along, width)
            load = _only_varying(split, axis(_INNER, width), width)
            if load is not None:
                return VectorRead(split, width, load)
        width //= 2
    return VectorRead(expr, 1)


def _split(expr: Expr, along: tuple[int, int], width: int) -> Expr:
    """The expression with the axis as that of vectors and that of places in them."""
    variable = axis(*along)
    whole = axis(_OUTER, along[1] // width) * width + axis(_INNER, width)
    [split] = rebuild([expr], lambda e: whole if e is variable else None)
    return split


def _only_varying(expr: Expr, inner: Expr, width: int) -> Expr | None:
    """The load that reads neighbours as ``inner`` runs, if nothing else depends on that."""
    varying = [load for load in loads([expr]) if inner in below(load)]
    if len(varying) != 1:
        return None
    [load] = varying
    if length_of(load.args[0], inner, load.dtype.itemsize, width) != width:
        return None
    return load if _depends_through(expr, inner, load) else None


def lies_dense(offset: Expr, along: tuple[int, int], itemsize: int, width: int) -> bool:
    """Whether every ``width`` neighbours along an axis make a word, or as few as can be."""
    if along[1] % width:
        return False
    split, inner = _split(offset, along, width), axis(_INNER, width)
    return length_of(split, inner, itemsize, width) == word_length(itemsize, width)


def _depends_through(expr: Expr, inner: Expr, load: Expr) -> bool:
    """Whether an expression depends on a variable through one load alone."""
    stack, seen = [expr], set()
    while stack:
        e = stack.pop()
        if e is inner:
            return False
        if e is not load and e not in seen:
            seen.add(e)
            stack += e.args
    return True
