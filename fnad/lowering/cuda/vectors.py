"""Neighbouring elements read from memory together, 16 bytes at a time."""

from __future__ import annotations

from dataclasses import dataclass

from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.writer import INT64, Function, Value, ctype
from fnad.lowering.expr import Expr, affine_parts, axis
from fnad.lowering.walk import below, loads, rebuild

_BYTES = 16
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
        offset = printer.value(self.load.args[0])
        kind, vector, pack = ctype(self.load.dtype), f.fresh("vector"), f.fresh("pack")
        size = self.width * self.load.dtype.itemsize
        f.line(f"struct alignas({size}) {pack} {{ {kind} at[{self.width}]; }};")
        pointer = printer.pointers[self.load.attr]
        f.line(f"const {pack} {vector} = *(const {pack}*)&{pointer}[{offset.ref}];")
        values = []
        for v in range(self.width):
            with printer.scope():
                printer.bind(self.load, Value(f"{vector}.at[{v}]", self.load.dtype))
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
    if width * load.dtype.itemsize > _BYTES:
        return None
    if not _runs_with(load.args[0], inner, width):
        return None
    return load if _depends_through(expr, inner, load) else None


def _runs_with(offset: Expr, inner: Expr, width: int) -> bool:
    """Whether an offset is a multiple of ``width`` plus ``inner``."""
    terms, constant = affine_parts(offset)
    if terms.pop(inner, 0) != 1 or constant % width or any(c % width for c in terms.values()):
        return False
    return not any(inner in below(term) for term in terms)


def lies_dense(offset: Expr, along: tuple[int, int], width: int) -> bool:
    """Whether every ``width`` neighbours along an axis lie side by side, aligned to as many."""
    if along[1] % width:
        return False
    return _runs_with(_split(offset, along, width), axis(_INNER, width), width)


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
