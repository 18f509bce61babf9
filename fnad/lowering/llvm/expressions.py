"""Prints scalar expressions of a plan into a function, one by one or as vectors along an axis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fnad.core.errors import InternalError
from fnad.lowering.expr import Expr, affine, affine_parts
from fnad.lowering.llvm import host, places
from fnad.lowering.llvm.places import Vector, axis_bit
from fnad.lowering.llvm.writer import INT32, INT64, DType, Function, Value
from fnad.lowering.walk import postorder

_INT32_MAX, _INT64_MAX = 2**31 - 1, 2**63 - 1

_EVERYTHING = -1  # all bits of `ExpressionPrinter.dependences`

# With a load, the key under which `keep_later` keeps how to read it.
_LATER = "later"

_COMPARISONS = {"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"}


def _reduced_bit(number: int) -> int:
    """The bit of a reduction beside those of axes."""
    return 2 << 2 * number


class ExpressionPrinter:
    """Emits expressions, each once per scope.

    Inside of `bind_vector`, expressions that depend on the vector's axis are vectors, the others
    stay scalar. Index arithmetic of lanes is done in 32 bits where its bounds allow.

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
        self.vector: Vector | None = None
        self._scopes: list[dict[Any, Any]] = [{}]
        self._axes: dict[int, Value] = {}
        self._depths: dict[int, int] = {}
        self._reduced: dict[int, Value] = {}
        self.varying = 0  # what makes an expression a vector, as `dependences` has it
        self._dependences: dict[Expr, int] = {}
        self._written: frozenset[int] = frozenset()
        self.strides: dict[Any, places.Strided | None] = {}  # what `places.strided` has found
        self.ahead: places.Ahead | None = None  # of which buffers lines are fetched early
        self._fused: dict[Expr, Expr] = {}  # sums and the products that they are fused with
        self._summed: set[Expr] = set()  # products that only a reduction reads

    # -- what is bound ----------------------------------------------------------------------

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is emitted or bound inside (a loop's body, say) is forgotten at the end."""
        self._scopes.append({})
        saved = dict(self._axes), dict(self._reduced), self.vector, self.varying
        yield
        self._axes, self._reduced, self.vector, self.varying = saved
        self._scopes.pop()

    def bind_axis(self, number: int, value: Value) -> None:
        self._axes[number] = value
        self._depths[number] = len(self._scopes)

    def bind_vector(self, vector: Vector) -> None:
        """From here to the end of the scope, ``vector.number`` is the axis of vectors."""
        self.bind_axis(vector.number, vector.base)
        self.vector = vector
        self.varying |= axis_bit(vector.number)

    def bind_reduced(self, number: int, value: Value) -> None:
        self._reduced[number] = value
        if value.lanes > 1:
            self.varying |= _reduced_bit(number)

    def axis(self, number: int) -> Value:
        """The value of an axis, of the vector's axis that of the first lane."""
        value, vector = self._axes[number], self.vector
        if vector is not None and vector.number == number and vector.base is value:
            return self.f.b.add(value, self.f.b.constant(vector.shift, INT64))
        return value

    def prepare(
        self, roots: Sequence[Expr], written: frozenset[int], sums: Sequence[Expr] = ()
    ) -> None:
        """Look at all that a kernel computes, the buffers that it writes, and what it sums up.

        Products that only a sum reads are fused with it. That is decided here, from the whole
        kernel, so that bits do not depend on how a piece of it is emitted.
        """
        self._written, self._dependences, self.strides = written, {}, {}
        order = list(postorder(roots))
        self._note_dependences(order)
        if not host.has_fma():
            return
        uses: dict[Expr, int] = {}
        for root in roots:
            uses[root] = uses.get(root, 0) + 1
        for expr in order:
            for arg in expr.args:
                uses[arg] = uses.get(arg, 0) + 1
        for expr in order:
            if expr.op in ("add", "subtract") and _fusable(expr):
                for arg in expr.args:
                    if arg.op == "multiply" and uses[arg] == 1:
                        self._fused[expr] = arg
                        break
        self._summed = {e for e in sums if e.op == "multiply" and _fusable(e) and uses[e] == 1}

    def factors(self, expr: Expr) -> tuple[Value, Value] | None:
        """The operands of a product that is to be fused with the sum that it goes to."""
        if expr not in self._summed:
            return None
        x, y = (self.operand(a) for a in expr.args)
        return x, y

    # -- dependences ------------------------------------------------------------------------

    def dependences(self, root: Expr) -> int:
        """The axes (and reductions) that an expression depends on, a bit each."""
        memo = self._dependences
        if root not in memo:
            new = all(map(memo.__contains__, root.args))
            self._note_dependences([root] if new else postorder([root], memo.__contains__))
        return memo[root]

    def _note_dependences(self, exprs: Iterable[Expr]) -> None:
        memo = self._dependences
        for expr in exprs:
            if expr.op == "axis":
                bits = axis_bit(expr.attr[0])
            elif expr.op == "reduced":
                bits = _reduced_bit(expr.attr)
            elif expr.op == "load" and expr.attr in self._written:
                bits = _EVERYTHING
            else:
                bits = 0
                for arg in expr.args:
                    bits |= memo[arg]
            memo[expr] = bits

    def depends(self, expr: Expr, number: int) -> bool:
        """Whether an expression depends on an axis."""
        return self.dependences(expr) & axis_bit(number) != 0

    def varies(self, expr: Expr) -> bool:
        """Whether an expression differs from lane to lane."""
        return self.varying != 0 and self.dependences(expr) & self.varying != 0

    def hoist(self, roots: Sequence[Expr], vector: int | None) -> None:
        """Emit what the loops to come need not repeat: all that depends on bound axes only.

        ``vector`` is the axis of those loops that vectors will run along.
        """
        bound = self._bound()
        seen: set[Expr] = set()
        stack = list(roots)
        while stack:
            expr = stack.pop()
            if expr in seen or expr.op in ("constant", "axis", "counter"):
                continue
            seen.add(expr)
            if not self.dependences(expr) & ~bound:
                self.operand(expr)
                continue
            if expr.op != "load" or not self.hoist_place(
                expr.attr, expr.dtype, expr.args[0], vector
            ):
                stack.extend(self._operands(expr))

    def hoist_place(self, buffer: int, dtype: DType, offset: Expr, vector: int | None) -> bool:
        """Emit what addresses along ``vector`` share, if it is known; False if they share none."""
        place = places.strided(self, offset, vector)
        if place is not None and not self.dependences(place.rest) & ~self._bound():
            places.row(self, buffer, dtype, place.rest)
        return place is not None

    def _bound(self) -> int:
        """The dependences that have values."""
        bits = sum(map(axis_bit, self._axes))
        return bits + sum(map(_reduced_bit, self._reduced))

    # -- values -----------------------------------------------------------------------------

    def value(self, root: Expr) -> Value:
        """Emit what is still missing of an expression and return its value."""
        value = self.operand(root)
        return value if value.dtype == root.dtype else self.f.b.convert(value, root.dtype)

    def operand(self, root: Expr) -> Value:
        """`value`, save that indices of lanes may be narrow: int32 for an int64 expression."""
        known = self.known(root)
        if known is not None:
            return known
        stack = [root]
        while stack:
            expr = stack[-1]
            if self.known(expr) is not None:
                stack.pop()
                continue
            missing = self.missing(expr)
            if missing:
                stack.extend(reversed(missing))
            else:
                stack.pop()
                self.keep(expr, self._emit(expr))
        value: Value = self._scopes[-1][root]
        return value

    def keep(self, key: Any, value: Any) -> None:
        """Make something known for the rest of the scope: the value of an expression, say."""
        self._scopes[-1][key] = value

    def keep_later(self, loads: Sequence[Expr], read: Callable[[], Sequence[Value]]) -> None:
        """Make loads known together as soon as one of them is needed in this scope."""
        for load in loads:
            self.keep((_LATER, load), (loads, read))

    def known(self, key: Any) -> Any:
        for scope in reversed(self._scopes):
            if key in scope:
                return scope[key]
        return None

    def _operands(self, expr: Expr) -> tuple[Expr, ...]:
        """What must be emitted before an expression."""
        if expr.op == "load":
            vector = self.vector.number if self.vector is not None else None
            return expr.args if places.strided(self, expr.args[0], vector) is None else ()
        product = self._fused.get(expr)
        if product is not None:
            x, y = expr.args
            return (*product.args, y if product is x else x)
        return expr.args

    def missing(self, expr: Expr) -> list[Expr]:
        """What must be emitted before an expression and is not yet."""
        return [a for a in self._operands(expr) if self.known(a) is None]

    def _load(self, expr: Expr) -> Value:
        later = self.known((_LATER, expr))
        if later is None:
            return places.load(self, expr)
        loads, read = later
        values = dict(zip(loads, read(), strict=True))
        for load, value in values.items():
            self.keep(load, value)
        return values[expr]

    def _emit(self, expr: Expr) -> Value:
        leaf = _LEAVES.get(expr.op)
        if leaf is not None:
            return leaf(self, expr)
        product = self._fused.get(expr)
        if product is not None:
            return self._multiply_add(expr, product)
        args = [self.operand(a) for a in expr.args]
        if expr.op == "where":
            args[0] = self._condition(expr.args[0], args)
        if any(a.dtype != e.dtype for a, e in zip(args, expr.args)) or self._narrows(expr):
            return self._on_indices(expr, args)
        if expr.op in ("divide", "remainder") and _is_index_division(expr):
            return self._divide_index(expr.op, *args)
        return self._apply(expr, args)

    def _apply(self, expr: Expr, args: Sequence[Value]) -> Value:
        if expr.op in ("convert", "bitcast"):
            return getattr(self.f.b, expr.op)(args[0], expr.dtype)
        method = getattr(self.f.b, expr.op, None)
        if method is None:
            raise InternalError(f"the LLVM backend has no operation {expr.op!r}")
        return method(*args)

    def _condition(self, cond: Expr, args: Sequence[Value]) -> Value:
        """The condition of a choice; what rows hold is brought to all lanes, if they share it.

        LLVM makes a branch of a choice between vectors by one bit, which processors predict for
        bounds of indices, but not for data. Comparisons are made in each lane: of the result of
        one, brought to all lanes, LLVM makes a branch as well.
        """
        value, lanes = args[0], max(x.lanes for x in args)
        if value.lanes == lanes:
            return value
        b = self.f.b
        if cond.op in _COMPARISONS and cond.args[0].dtype.kind == "f":
            return self._apply(cond, [b.splat(self.operand(a), lanes) for a in cond.args])
        return b.splat(value, lanes) if cond.op == "load" else value

    def _multiply_add(self, expr: Expr, product: Expr) -> Value:
        b = self.f.b
        x, y = (self.operand(a) for a in product.args)
        first = expr.args[0] is product
        other = self.operand(expr.args[1 if first else 0])
        if expr.op == "subtract":
            if first:
                other = b.negative(other)
            else:
                x = b.negative(x)
        return b.fma(x, y, other)

    def _constant(self, expr: Expr) -> Value:
        return self.f.b.constant(expr.attr, expr.dtype)

    def _axis(self, expr: Expr) -> Value:
        return self._lanes_of_index(expr) if self.varies(expr) else self.axis(expr.attr[0])

    def _counter(self, expr: Expr) -> Value:
        return self.counters[expr.attr[0]]

    def _reduced_value(self, expr: Expr) -> Value:
        return self._reduced[expr.attr]

    # -- indices ----------------------------------------------------------------------------

    def _affine(self, expr: Expr) -> Value:
        """Terms of outer loops first, so that their sum leaves the inner loops."""
        if self.varies(expr):
            return self._lanes_of_index(expr)
        coefficients, constant = expr.attr
        flags = " nsw" if self._cannot_wrap(expr) else ""
        terms = sorted(zip(expr.args, coefficients), key=lambda item: self._depth(item[0]))
        total = str(constant) if constant else None
        for arg, coefficient in terms:
            term = self.operand(arg).ref
            if coefficient != 1:
                term = self.f.raw(f"mul{flags} i64 {term}, {coefficient}")
            total = term if total is None else self.f.raw(f"add{flags} i64 {total}, {term}")
        assert total is not None
        return Value(total, INT64)

    def _lanes_of_index(self, expr: Expr) -> Value:
        """An affine form that differs from lane to lane: a scalar part and what varies."""
        b, vector = self.f.b, self.vector
        dtype = INT32 if _is_small(expr) else INT64
        terms, constant = affine_parts(expr)
        even: dict[Expr, int] = {}
        total: Value | None = None
        for term, coefficient in terms.items():
            if not self.varies(term):
                even[term] = coefficient
                continue
            if vector is not None and term.op == "axis" and term.attr[0] == vector.number:
                start = b.multiply(self.axis(vector.number), b.constant(coefficient, INT64))
                steps = b.iota(dtype, vector.lanes, coefficient)
                lanes = b.add(b.convert(start, dtype), steps)
            else:
                lanes = b.convert(self.operand(term), dtype)
                if coefficient != 1:
                    lanes = b.multiply(lanes, b.constant(coefficient, dtype))
            total = lanes if total is None else b.add(total, lanes)
        assert total is not None
        if even or constant:
            total = b.add(b.convert(self.operand(affine(even, constant)), dtype), total)
        return total

    def _narrows(self, expr: Expr) -> bool:
        """Whether an operation on uniform indices and lanes gives lanes of small indices."""
        return expr.dtype == INT64 and expr.op in _ON_INDICES and self.varies(expr)

    def _on_indices(self, expr: Expr, args: list[Value]) -> Value:
        """An operation some of whose operands are narrow: in 32 bits if it can be done so."""
        b = self.f.b
        indices = [i for i, arg in enumerate(expr.args) if arg.dtype == INT64]
        small = (
            expr.op in _ON_INDICES
            and all(_is_small(expr.args[i]) for i in indices)
            and (expr.dtype != INT64 or _is_small(expr))
        )
        for i in indices:
            args[i] = b.convert(args[i], INT32 if small else INT64)
        if expr.op in ("divide", "remainder") and _is_index_division(expr):
            return self._divide_index(expr.op, *args)
        if small and expr.op == "convert" and expr.dtype == INT64:
            return args[0] if args[0].dtype == INT32 else b.convert(args[0], INT32)
        return self._apply(expr, args)

    def _divide_index(self, op: str, x: Value, y: Value) -> Value:
        """Division in 32 bits, which is vector code where 64 bits are not."""
        f, b = self.f, self.f.b
        wide = x.dtype
        x, y = b.spread(b.convert(x, INT32), b.convert(y, INT32))
        name = {"divide": "udiv", "remainder": "urem"}[op]
        result = f.value(f"{name} {x.typed}, {y.ref}", INT32, x.lanes)
        if wide == INT32:
            return result
        return f.value(f"zext nneg {result.typed} to i64", INT64) if x.lanes == 1 else result

    @staticmethod
    def _cannot_wrap(expr: Expr) -> bool:
        size = abs(expr.attr[1])
        for arg, coefficient in zip(expr.args, expr.attr[0]):
            if arg.bounds is None:
                return False
            size += abs(coefficient) * max(abs(arg.bounds[0]), abs(arg.bounds[1]))
        return size <= _INT64_MAX

    def _depth(self, expr: Expr) -> int:
        bits = self.dependences(expr)
        return max((d for n, d in self._depths.items() if bits & axis_bit(n)), default=0)


def _fusable(expr: Expr) -> bool:
    return expr.dtype.kind == "f" and expr.dtype.itemsize >= 4


def _is_small(expr: Expr) -> bool:
    """Whether an index fits 32 bits."""
    return (
        expr.bounds is not None
        and expr.bounds[0] >= -_INT32_MAX - 1
        and expr.bounds[1] <= _INT32_MAX
    )


def _is_index_division(expr: Expr) -> bool:
    """Whether a small natural number is divided by a constant."""
    x, y = expr.args
    small = x.bounds is not None and x.bounds[0] >= 0 and x.bounds[1] < 2**31
    return expr.dtype == INT64 and small and y.op == "constant" and 0 < y.attr < 2**31


# Operations on indices that give the same in 32 bits, if operands and result fit.
_ON_INDICES = {
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "minimum", "maximum",
    "where", "divide", "remainder", "convert",
}  # fmt: skip

_LEAVES = {
    "constant": ExpressionPrinter._constant,
    "axis": ExpressionPrinter._axis,
    "counter": ExpressionPrinter._counter,
    "reduced": ExpressionPrinter._reduced_value,
    "load": ExpressionPrinter._load,
    "affine": ExpressionPrinter._affine,
}
