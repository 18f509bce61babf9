"""Prints scalar expressions of a plan as C++ statements, each once in a scope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fnad.core.errors import InternalError
from fnad.lowering.cuda.writer import INT64, Function, Value
from fnad.lowering.expr import Expr

_INT32_MAX = 2**31 - 1


class ExpressionPrinter:
    """Emits expressions.

    Indices are int64 values; those that fit are held and computed in 32 bits, which C++ widens
    wherever they meet others.

    Parameters
    ----------
    f : Function
        Where statements go.
    pointers : mapping of int to str
        What the buffers that loads may name are called.
    counters : mapping of int to Value
        The turns of enclosing `plan.For` loops.
    """

    def __init__(
        self, f: Function, pointers: Mapping[int, str], counters: Mapping[int, Value]
    ) -> None:
        self.f = f
        self.pointers = pointers
        self.counters = counters
        self._scopes: list[dict[Expr, Value]] = [{}]
        self._axes: dict[int, Value] = {}
        self._reduced: dict[int, Value] = {}

    # -- what is bound ----------------------------------------------------------------------

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is emitted or bound inside (a loop's body, say) is forgotten at the end."""
        self._scopes.append({})
        saved = dict(self._axes), dict(self._reduced)
        yield
        self._axes, self._reduced = saved
        self._scopes.pop()

    def bind_axis(self, number: int, value: Value) -> None:
        """The value of a loop variable from here on."""
        self._axes[number] = value

    def axis_value(self, number: int) -> Value:
        """The value of a loop variable."""
        return self._axes[number]

    def bind_reduced(self, number: int, value: Value) -> None:
        """The result of a reduction of the kernel."""
        self._reduced[number] = value

    def bind(self, expr: Expr, value: Value) -> None:
        """The value of an expression, which is at hand already."""
        self._scopes[-1][expr] = value

    # -- values -----------------------------------------------------------------------------

    def value(self, root: Expr) -> Value:
        """Emit what is still missing of an expression and return its value."""
        known = self._known(root)
        if known is not None:
            return known
        stack = [root]
        while stack:
            expr = stack[-1]
            missing = [a for a in expr.args if self._known(a) is None]
            if missing:
                stack.extend(reversed(missing))
                continue
            stack.pop()
            if self._known(expr) is None:
                self._scopes[-1][expr] = self._emit(expr)
        return self._scopes[-1][root]

    def _known(self, expr: Expr) -> Value | None:
        for scope in reversed(self._scopes):
            if expr in scope:
                return scope[expr]
        return None

    def _emit(self, expr: Expr) -> Value:
        leaf = _LEAVES.get(expr.op)
        if leaf is not None:
            return leaf(self, expr)
        args = [self.value(a) for a in expr.args]
        if expr.op in ("divide", "remainder") and _is_index_division(expr):
            return self._divide_index(expr, *args)
        if expr.op in ("convert", "bitcast"):
            return getattr(self.f.b, expr.op)(args[0], expr.dtype)
        method = getattr(self.f.b, expr.op, None)
        if method is None:
            raise InternalError(f"the CUDA backend has no operation {expr.op!r}")
        return method(*args)

    def _constant(self, expr: Expr) -> Value:
        return self.f.b.constant(expr.attr, expr.dtype)

    def _axis(self, expr: Expr) -> Value:
        return self.axis_value(expr.attr[0])

    def _counter(self, expr: Expr) -> Value:
        return self.counters[expr.attr[0]]

    def _reduced_value(self, expr: Expr) -> Value:
        return self._reduced[expr.attr]

    def _load(self, expr: Expr) -> Value:
        offset = self.value(expr.args[0])
        return self.f.value(f"{self.pointers[expr.attr]}[{offset.ref}]", expr.dtype)

    # -- indices ----------------------------------------------------------------------------

    def _affine(self, expr: Expr) -> Value:
        coefficients, constant = expr.attr
        narrow = _sums_in_32_bits(expr)
        terms = []
        for arg, c in zip(expr.args, coefficients):
            ref = self.value(arg).ref
            # Signed overflow is undefined in C++, and indices wrap: what might is unsigned.
            terms.append(ref if c == 1 else f"{ref} * {_factor(c, narrow)}")
        if constant:
            terms.append(_factor(constant, narrow))
        if narrow:
            return self.f.named("i32", " + ".join(terms), INT64)
        terms = [f"(u64){term}" if " " not in term else term for term in terms]
        return self.f.named("i64", f"(i64)({' + '.join(terms)})", INT64)

    def _divide_index(self, expr: Expr, x: Value, y: Value) -> Value:
        """Quotient or remainder of a small natural number and a constant."""
        sign = {"divide": "/", "remainder": "%"}[expr.op]
        return self.f.named("i32", f"(i32)((u32){x.ref} {sign} (u32){y.ref})", INT64)


def _factor(c: int, narrow: bool) -> str:
    if narrow:
        return str(c) if c >= 0 else f"({c})"
    return f"{c % 2**64}ull"


def _sums_in_32_bits(expr: Expr) -> bool:
    """Whether no partial sum of an affine form leaves 32 bits."""
    size = abs(expr.attr[1])
    for arg, c in zip(expr.args, expr.attr[0]):
        if arg.bounds is None:
            return False
        size += abs(c) * max(abs(arg.bounds[0]), abs(arg.bounds[1]))
    return size <= _INT32_MAX


def _is_index_division(expr: Expr) -> bool:
    """Whether a small natural number is divided by a constant."""
    x, y = expr.args
    small = x.bounds is not None and x.bounds[0] >= 0 and x.bounds[1] <= _INT32_MAX
    return expr.dtype == INT64 and small and y.op == "constant" and 0 < y.attr <= _INT32_MAX


_LEAVES: dict[str, Any] = {
    "constant": ExpressionPrinter._constant,
    "axis": ExpressionPrinter._axis,
    "counter": ExpressionPrinter._counter,
    "reduced": ExpressionPrinter._reduced_value,
    "load": ExpressionPrinter._load,
    "affine": ExpressionPrinter._affine,
}
