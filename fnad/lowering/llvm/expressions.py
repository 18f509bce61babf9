"""Prints scalar expressions of a plan into a function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fnad.core.errors import InternalError
from fnad.lowering.expr import Expr
from fnad.lowering.llvm.writer import INT64, Function, Value
from fnad.lowering.walk import postorder

_INT64_MAX = 2**63 - 1


class ExpressionPrinter:
    """Emits expressions, each once per scope.

    Parameters
    ----------
    f : Function
        Where instructions go.
    pointers : mapping of int to str
        The buffers that loads may name.
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
        self._depths: dict[int, int] = {}
        self._reduced: dict[int, Value] = {}

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is emitted inside (a loop's body, say) is forgotten at the end."""
        self._scopes.append({})
        saved = dict(self._reduced)
        yield
        self._reduced = saved
        self._scopes.pop()

    def bind_axis(self, number: int, value: Value) -> None:
        self._axes[number] = value
        self._depths[number] = len(self._scopes)

    def bind_reduced(self, number: int, value: Value) -> None:
        self._reduced[number] = value

    def axis(self, number: int) -> Value:
        return self._axes[number]

    def _known(self, expr: Expr) -> Value | None:
        for scope in reversed(self._scopes):
            if expr in scope:
                return scope[expr]
        return None

    def value(self, root: Expr) -> Value:
        """Emit what is still missing of an expression and return its value."""
        for expr in postorder([root], lambda e: self._known(e) is not None):
            self._scopes[-1][expr] = self._emit(expr)
        known = self._known(root)
        assert known is not None
        return known

    def _emit(self, expr: Expr) -> Value:
        leaf = _LEAVES.get(expr.op)
        if leaf is not None:
            return leaf(self, expr)
        args = [self._argument(a) for a in expr.args]
        if expr.op in ("divide", "remainder") and _is_index_division(expr):
            return self._divide_index(expr.op, *args)
        if expr.op in ("convert", "bitcast"):
            return getattr(self.f.b, expr.op)(args[0], expr.dtype)
        method = getattr(self.f.b, expr.op, None)
        if method is None:
            raise InternalError(f"the LLVM backend has no operation {expr.op!r}")
        return method(*args)

    def _argument(self, expr: Expr) -> Value:
        value = self._known(expr)
        assert value is not None
        return value

    def _constant(self, expr: Expr) -> Value:
        return self.f.b.constant(expr.attr, expr.dtype)

    def _axis(self, expr: Expr) -> Value:
        return self._axes[expr.attr[0]]

    def _counter(self, expr: Expr) -> Value:
        return self.counters[expr.attr[0]]

    def _reduced_value(self, expr: Expr) -> Value:
        return self._reduced[expr.attr]

    def _load(self, expr: Expr) -> Value:
        pointer = self.pointers[expr.attr]
        offset = self._argument(expr.args[0])
        return self.f.load(self.f.element(pointer, expr.dtype, offset), expr.dtype)

    def _affine(self, expr: Expr) -> Value:
        """Terms of outer loops first, so that their sum leaves the inner loops."""
        coefficients, constant = expr.attr
        flags = " nsw" if self._cannot_wrap(expr) else ""
        terms = sorted(zip(expr.args, coefficients), key=lambda item: self._depth(item[0]))
        total = str(constant) if constant else None
        for arg, coefficient in terms:
            term = self._argument(arg).ref
            if coefficient != 1:
                term = self.f.raw(f"mul{flags} i64 {term}, {coefficient}")
            total = term if total is None else self.f.raw(f"add{flags} i64 {total}, {term}")
        assert total is not None
        return Value(total, INT64)

    def _divide_index(self, op: str, x: Value, y: Value) -> Value:
        """Division in 32 bits, which vectorises where 64 bits do not."""
        f = self.f
        small = f.raw(f"trunc nuw nsw i64 {x.ref} to i32")
        name = {"divide": "udiv", "remainder": "urem"}[op]
        return f.value(f"zext nneg i32 {f.raw(f'{name} i32 {small}, {y.ref}')} to i64", INT64)

    @staticmethod
    def _cannot_wrap(expr: Expr) -> bool:
        size = abs(expr.attr[1])
        for arg, coefficient in zip(expr.args, expr.attr[0]):
            if arg.bounds is None:
                return False
            size += abs(coefficient) * max(abs(arg.bounds[0]), abs(arg.bounds[1]))
        return size <= _INT64_MAX

    def _depth(self, expr: Expr) -> int:
        axes = (e.attr[0] for e in postorder([expr]) if e.op == "axis")
        return max((self._depths[n] for n in axes), default=0)


def _is_index_division(expr: Expr) -> bool:
    """Whether a small natural number is divided by a constant."""
    x, y = expr.args
    small = x.bounds is not None and x.bounds[0] >= 0 and x.bounds[1] < 2**31
    return expr.dtype == INT64 and small and y.op == "constant" and 0 < y.attr < 2**31


_LEAVES = {
    "constant": ExpressionPrinter._constant,
    "axis": ExpressionPrinter._axis,
    "counter": ExpressionPrinter._counter,
    "reduced": ExpressionPrinter._reduced_value,
    "load": ExpressionPrinter._load,
    "affine": ExpressionPrinter._affine,
}
