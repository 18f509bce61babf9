"""Expressions are interned: equal ones are one object, so that comparing them is free."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any
from weakref import ref

import numpy as np

INT64 = np.dtype(np.int64)
_MAX_WEIGHT = 2**20
# What costs nothing to compute, and counts as no operation.
FREE = frozenset({"constant", "axis", "counter", "affine"})
Bounds = tuple[int, int] | None

# Every expression that is alive, by its fields. Dead entries stay until there are twice as many
# as after the last sweep: a callback for each would cost more than all the rest of `make`.
_interned: dict[Any, ref[Expr]] = {}
_interned_lock = Lock()
_FIRST_SWEEP = 2**14
_next_sweep = _FIRST_SWEEP


# What the operators of expressions call; set by `fnad.lowering.expr`, which makes expressions.
_builder: Any = None


def install_builder(builder: Any) -> None:
    """Say what ``x + y`` and its kin make of expressions."""
    global _builder
    _builder = builder


@dataclass(frozen=True, slots=True)
class Reduce:
    """A reduction within an expression: its kind, its axes as ``(number, extent)`` pairs."""

    kind: str
    axes: tuple[tuple[int, int], ...]
    accumulator: np.dtype[Any]


class Expr:
    """One scalar operation; made by `Builder` and by operators only."""

    __slots__ = (
        "__weakref__",
        "args",
        "attr",
        "bounds",
        "divides",
        "dtype",
        "loads",
        "op",
        "order",
        "reduces",
        "weight",
    )

    op: str
    args: tuple[Expr, ...]
    dtype: np.dtype[Any]
    attr: Any
    bounds: Bounds
    divides: bool  # whether a quotient or a remainder of a loop variable is below
    loads: tuple[Expr, ...] | None  # all loads below, once somebody has asked (`walk.loads`)
    order: int  # place among the terms of a sum, or -1 while nobody has asked (`_term_order`)
    reduces: bool
    weight: int  # at least the number of operations below and with this one, capped

    def __add__(self, other: Any) -> Expr:
        return _builder.add(self, _like(other, self))

    def __radd__(self, other: Any) -> Expr:
        return _builder.add(_like(other, self), self)

    def __sub__(self, other: Any) -> Expr:
        return _builder.subtract(self, _like(other, self))

    def __rsub__(self, other: Any) -> Expr:
        return _builder.subtract(_like(other, self), self)

    def __mul__(self, other: Any) -> Expr:
        return _builder.multiply(self, _like(other, self))

    def __rmul__(self, other: Any) -> Expr:
        return _builder.multiply(_like(other, self), self)

    def __truediv__(self, other: Any) -> Expr:
        return _builder.divide(self, _like(other, self))

    def __rtruediv__(self, other: Any) -> Expr:
        return _builder.divide(_like(other, self), self)

    def __neg__(self) -> Expr:
        return _builder.negative(self)

    def __lt__(self, other: Any) -> Expr:
        return _builder.less(self, _like(other, self))

    def __le__(self, other: Any) -> Expr:
        return _builder.less_equal(self, _like(other, self))

    def __gt__(self, other: Any) -> Expr:
        return _builder.greater(self, _like(other, self))

    def __ge__(self, other: Any) -> Expr:
        return _builder.greater_equal(self, _like(other, self))

    def __bool__(self) -> bool:
        raise TypeError(
            "the scalar rule of a primitive asked for the truth of a value that is only known"
            " when the program runs; use b.where(condition, x, y)"
        )

    def __repr__(self) -> str:
        return expr_text(self)


def _like(value: Any, example: Expr) -> Expr:
    return value if isinstance(value, Expr) else _builder.constant(value, example.dtype)


def make(
    op: str,
    args: tuple[Expr, ...],
    dtype: np.dtype[Any],
    attr: Any = None,
    bounds: Bounds = None,
) -> Expr:
    """Return the one expression with these fields."""
    # NaN differs from itself and 0.0 equals -0.0: constants are the same if their bytes are.
    key = (op, args, dtype, attr.tobytes() if op == "constant" else attr)
    known = _interned.get(key)
    found = None if known is None else known()
    if found is not None:
        return found
    expr = Expr.__new__(Expr)
    expr.op, expr.args, expr.dtype, expr.attr = op, args, dtype, attr
    expr.bounds, expr.loads = bounds, None
    expr.order = attr[0] if op == "axis" else -1
    reduces, weight = op == "reduce", 0 if op in FREE else 1
    divides = op in ("divide", "remainder") and args[0].op == "axis"
    for arg in args:
        reduces = reduces or arg.reduces
        divides = divides or arg.divides
        weight += arg.weight
    expr.reduces, expr.divides = reduces, divides
    expr.weight = weight if weight < _MAX_WEIGHT else _MAX_WEIGHT
    fresh = ref(expr)
    with _interned_lock:
        known = _interned.setdefault(key, fresh)
        if known is not fresh:
            found = known()
            if found is not None:  # another thread has been faster
                return found
            _interned[key] = fresh
        if len(_interned) >= _next_sweep:
            _sweep()
    return expr


def _sweep() -> None:
    """Forget dead expressions: the youngest first, for their keys keep the arguments alive."""
    global _next_sweep
    keys = list(_interned)
    while keys:
        key = keys.pop()
        if _interned[key]() is None:
            del _interned[key]
    _next_sweep = max(2 * len(_interned), _FIRST_SWEEP)


# -- printing ----------------------------------------------------------------------------------


def expr_text(expr: Expr) -> str:
    """An expression on one line; shared parts are repeated."""
    return leaf_text(expr, [expr_text(a) for a in expr.args])


def leaf_text(expr: Expr, args: list[str]) -> str:
    """One operation on arguments that are printed already."""
    if expr.op == "constant":
        return f"{expr.attr}:{expr.dtype.name}" if expr.dtype != INT64 else str(expr.attr)
    if expr.op == "axis":
        return f"i{expr.attr[0]}"
    if expr.op == "counter":
        return f"t{expr.attr[0]}"
    if expr.op == "load":
        return f"%{expr.attr}[{args[0]}]"
    if expr.op == "reduced":
        return f"r{expr.attr}"
    if expr.op == "affine":
        coefficients, constant = expr.attr
        terms = [a if c == 1 else f"{c}*{a}" for a, c in zip(args, coefficients)]
        return " + ".join(terms + ([str(constant)] if constant else []))
    if expr.op == "reduce":
        axes = ", ".join(f"i{n}<{size}" for n, size in expr.attr.axes)
        return f"reduce_{expr.attr.kind}({axes}: {args[0]})"
    if expr.op in ("convert", "bitcast"):
        return f"{expr.op}({args[0]}, {expr.dtype.name})"
    return f"{expr.op}({', '.join(args)})"
