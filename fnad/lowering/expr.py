"""Scalar expressions: what a kernel computes for one element, as a hash-consed DAG.

Equal expressions are one object, so sharing inside a kernel is identity. Index arithmetic
(int64) is kept in one normal form, ``affine``: a constant plus multiples of other expressions,
and carries bounds, so that clamps and checks which cannot fail vanish as they are built.

Operations are those of the builder interface (docs/architecture.md, "Elementwise primitives"),
named alike, and these leaves and forms:

``constant``  ``attr`` is the value, a NumPy scalar
``axis``      ``attr`` is ``(number, extent)``: a loop variable of the kernel, or of its reductions
``counter``   ``attr`` is ``(number, extent)``: the turn of an enclosing `plan.For`
``size``      ``attr`` is a `Size`, which is known when the program is called
``load``      ``attr`` is the number of a buffer, ``args`` the offset in elements
``affine``    ``attr`` is ``(coefficients, constant)``: the constant plus coefficient times argument
``reduce``    ``attr`` is a `Reduce`, ``args`` what is reduced (in plans ``reduced`` stands for it)
``reduced``   ``attr`` is the number of a reduction of the kernel
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any
from zlib import crc32

import numpy as np

from fnad.core.sizes import Bound, Size, as_size, bound
from fnad.core.types import kind_of
from fnad.lowering.interned import INT64, Bounds, Expr, Reduce, install_builder, make

BOOL = np.dtype(np.bool_)
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
# What a coefficient may be made of.
_KNOWN = frozenset({"constant", "size"})


@functools.lru_cache(maxsize=4096)
def axis(number: int, extent: int) -> Expr:
    """A loop variable that runs over ``range(extent)``."""
    # Of a loop whose extent is known at a call, nothing inside runs if there is no turn.
    last = bound(extent - 1) if type(extent) is Size else max(extent - 1, 0)
    return make("axis", (), INT64, (number, extent), (0, last))


def counter(number: int, extent: int) -> Expr:
    """The turn of an enclosing counted loop."""
    last = bound(extent - 1) if type(extent) is Size else max(extent - 1, 0)
    return make("counter", (), INT64, (number, extent), (0, last))


def load(buffer: int, offset: Expr, dtype: Any) -> Expr:
    """Element ``offset`` of a dense buffer."""
    return make("load", (offset,), np.dtype(dtype), buffer)


def reduce(spec: Reduce, value: Expr, dtype: Any) -> Expr:
    """The reduction of ``value`` over the axes of ``spec``."""
    return make("reduce", (value,), np.dtype(dtype), spec)


@functools.lru_cache(maxsize=4096)
def integer(value: int) -> Expr:
    """An index constant."""
    if type(value) is Size:
        return make("size", (), INT64, value, (bound(value), bound(value)))
    return B.constant(value, INT64)


# -- affine normal form ------------------------------------------------------------------------


def affine_parts(x: Expr) -> tuple[dict[Expr, int], int]:
    """Write an int64 expression as ``constant + sum(coefficient * term)``."""
    if x.op == "constant":
        return {}, int(x.attr)
    if x.op == "affine":
        return dict(zip(x.args, x.attr[0])), x.attr[1]
    if x.op == "size":
        return {}, x.attr
    return {x: 1}, 0


def _term_order(item: tuple[Expr, int]) -> int:
    """Loop variables first, by number; then other terms, in an order that never varies."""
    term = item[0]
    if term.order < 0:
        _find_orders(term)
    return term.order


def _find_orders(root: Expr) -> None:
    """Order an expression, and all below it, by what it is: the same in every process."""
    stack = [root]
    while stack:
        expr = stack[-1]
        missing = [a for a in expr.args if a.order < 0]
        if missing:
            stack += missing
            continue
        stack.pop()
        if expr.order < 0:
            content = (expr.op, expr.attr, expr.dtype.str, [a.order for a in expr.args])
            # No loop variable has a number as high as this.
            expr.order = 2**32 + crc32(repr(content).encode())


def affine(terms: dict[Expr, int], constant: int) -> Expr:
    """The int64 expression ``constant + sum(coefficient * term)``, modulo 2**64."""
    for term in terms:
        if term.op == "remainder":
            terms, constant = _rejoined(terms, constant)
            break
    constant = _wrap(constant)
    items = [(t, c if _INT_MIN <= c <= _INT_MAX else _wrap(c)) for t, c in terms.items() if c]
    if not items:
        return integer(constant)
    if len(items) == 1:
        if items[0][1] == 1 and constant == 0:
            return items[0][0]
    else:
        items.sort(key=_term_order)
    args = tuple([t for t, _ in items])
    attr = (tuple([c for _, c in items]), constant)
    return make("affine", args, INT64, attr, _bounds(items, constant))


def _bounds(items: Iterable[tuple[Expr, int]], constant: int) -> Bounds:
    """Between what a sum of terms with coefficients and a constant lies, if that is known."""
    low = high = bound(constant) if type(constant) is Size else constant
    for term, c in items:
        bounds = term.bounds
        if bounds is None:
            return None
        if c < 0:
            low += c * bounds[1]
            high += c * bounds[0]
        else:
            low += c * bounds[0]
            high += c * bounds[1]
    return (low, high) if low >= _INT_MIN and high <= _INT_MAX else None


def _rejoined(terms: dict[Expr, int], constant: int) -> tuple[dict[Expr, int], int]:
    """Put ``c * d * (x / d) + c * (x % d)`` together again as ``c * x``."""
    for term, c in terms.items():
        if term.op != "remainder" or term.args[1].op != "constant" or not c:
            continue
        x, divisor = term.args
        quotient = B.divide(x, divisor)
        if terms.get(quotient) == c * int(divisor.attr):
            joined = {t: k for t, k in terms.items() if t is not term and t is not quotient}
            parts, more = affine_parts(x)
            for t, k in parts.items():
                joined[t] = joined.get(t, 0) + c * k
            return _rejoined(joined, constant + c * more)
    return terms, constant


def _wrap(value: int) -> int:
    return value if _INT_MIN <= value <= _INT_MAX else (value + 2**63) % 2**64 - 2**63


def _combine(x: Expr, y: Expr, sign: int) -> Expr:
    terms, constant = affine_parts(x)
    other, other_constant = affine_parts(y)
    for term, c in other.items():
        terms[term] = terms.get(term, 0) + sign * c
    return affine(terms, constant + sign * other_constant)


def _scale(x: Expr, factor: int) -> Expr:
    terms, constant = affine_parts(x)
    return affine({t: c * factor for t, c in terms.items()}, constant * factor)


def divided(x: Expr, divisor: int) -> tuple[Expr, Expr]:
    """Quotient and remainder of an index by a positive constant."""
    if divisor == 1:
        return x, integer(0)
    if x.bounds is None or not x.bounds[0] >= 0:  # of a `Bound` neither may be known
        constant = integer(divisor)
        return make("divide", (x, constant), INT64), make("remainder", (x, constant), INT64)
    return _divided(x, divisor)


def _divided(x: Expr, divisor: int) -> tuple[Expr, Expr]:
    """Quotient and remainder of an index that is not negative by a positive constant.

    Terms that the divisor divides leave the division, and so do those that are too small to
    matter: ``(16*i0 + 4*i1 + i2) / 8`` with ``i2 < 4`` is ``2*i0 + i1 / 2``, its remainder
    ``4*(i1 % 2) + i2``. So innermost loops mostly run without divisions.
    """
    terms, constant = affine_parts(x)
    whole = {t: c // divisor for t, c in terms.items() if c % divisor == 0}
    quotient, constant = divmod(constant, divisor)
    terms = {t: c for t, c in terms.items() if c % divisor}
    bounds = _bounds(terms.items(), constant)
    if bounds is None or not bounds[0] >= 0:
        return _undivided(x, divisor)
    if bounds[1] < divisor:
        return affine(whole, quotient), affine(terms, constant)
    if any(type(c) is Size for c in (divisor, *terms.values())):
        inner, remainder = _undivided(affine(terms, constant), divisor)
        return _combine(affine(whole, quotient), inner, 1), remainder
    units = {math.gcd(c, divisor) for c in terms.values()} - {1}
    for unit in sorted(units, reverse=True):
        low = {t: c for t, c in terms.items() if c % unit}
        bounds = _bounds(low.items(), constant % unit)
        if bounds is not None and bounds[0] >= 0 and bounds[1] < unit:
            high = {t: c // unit for t, c in terms.items() if c % unit == 0}
            inner, remainder = _divided(affine(high, constant // unit), divisor // unit)
            return (
                _combine(affine(whole, quotient), inner, 1),
                _combine(_scale(remainder, unit), affine(low, constant % unit), 1),
            )
    inner, remainder = _undivided(affine(terms, constant), divisor)
    return _combine(affine(whole, quotient), inner, 1), remainder


def _undivided(x: Expr, divisor: int) -> tuple[Expr, Expr]:
    """Quotient and remainder as operations."""
    assert x.bounds is not None
    low, high = x.bounds
    most = bound(divisor - 1) if type(divisor) is Size else min(divisor - 1, high)
    remainder = make("remainder", (x, integer(divisor)), INT64, None, (0, most))
    bounds = (low // divisor, high // divisor)
    if x.op == "divide" and x.args[1].op == "constant":
        x, divisor = x.args[0], divisor * int(x.args[1].attr)
    return make("divide", (x, integer(divisor)), INT64, None, bounds), remainder


# -- the builder -------------------------------------------------------------------------------


class Builder:
    """The builder interface of elementwise rules, making expressions."""

    def constant(self, value: Any, dtype: Any) -> Expr:
        kind = type(value)
        if kind is float:
            return _python_constant(value, math.copysign(1.0, value), dtype)
        if kind is int:
            return _python_constant(value, 1.0, dtype)
        if kind is Size:
            return self.convert(integer(value), dtype)
        if isinstance(value, np.generic):
            return _numpy_constant(value.tobytes(), value.dtype, dtype)
        return _constant(value, dtype)

    def add(self, x: Expr, y: Expr) -> Expr:
        if x.dtype == INT64:
            return _combine(x, y, 1)
        return make("add", (x, y), x.dtype)

    def subtract(self, x: Expr, y: Expr) -> Expr:
        if x.dtype == INT64:
            return _combine(x, y, -1)
        return make("subtract", (x, y), x.dtype)

    def multiply(self, x: Expr, y: Expr) -> Expr:
        if x.dtype == INT64:
            if y.op in _KNOWN:
                return _scale(x, as_size(y.attr))
            if x.op in _KNOWN:
                return _scale(y, as_size(x.attr))
        return make("multiply", (x, y), x.dtype)

    def negative(self, x: Expr) -> Expr:
        return _scale(x, -1) if x.dtype == INT64 else make("negative", (x,), x.dtype)

    def divide(self, x: Expr, y: Expr) -> Expr:
        if x.dtype == INT64 and y.op in _KNOWN and as_size(y.attr) > 0:
            return divided(x, as_size(y.attr))[0]
        return make("divide", (x, y), x.dtype)

    def remainder(self, x: Expr, y: Expr) -> Expr:
        if x.dtype == INT64 and y.op in _KNOWN and as_size(y.attr) > 0:
            return divided(x, as_size(y.attr))[1]
        return make("remainder", (x, y), x.dtype)

    def minimum(self, x: Expr, y: Expr) -> Expr:
        if x.bounds is not None and y.bounds is not None:
            if x.bounds[1] <= y.bounds[0]:
                return x
            if y.bounds[1] <= x.bounds[0]:
                return y
        return make("minimum", (x, y), x.dtype, None, _extremum_bounds(x, y, min))

    def maximum(self, x: Expr, y: Expr) -> Expr:
        if x.bounds is not None and y.bounds is not None:
            if x.bounds[0] >= y.bounds[1]:
                return x
            if y.bounds[0] >= x.bounds[1]:
                return y
        return make("maximum", (x, y), x.dtype, None, _extremum_bounds(x, y, max))

    def less(self, x: Expr, y: Expr) -> Expr:
        return self._compare("less", x, y, lambda a, b: a[1] < b[0], lambda a, b: a[0] >= b[1])

    def less_equal(self, x: Expr, y: Expr) -> Expr:
        return self._compare(
            "less_equal", x, y, lambda a, b: a[1] <= b[0], lambda a, b: a[0] > b[1]
        )

    def greater(self, x: Expr, y: Expr) -> Expr:
        return self._compare("greater", x, y, lambda a, b: a[0] > b[1], lambda a, b: a[1] <= b[0])

    def greater_equal(self, x: Expr, y: Expr) -> Expr:
        return self._compare(
            "greater_equal", x, y, lambda a, b: a[0] >= b[1], lambda a, b: a[1] < b[0]
        )

    def equal(self, x: Expr, y: Expr) -> Expr:
        return self._compare(
            "equal",
            x,
            y,
            lambda a, b: a == b and a[0] == a[1],
            lambda a, b: a[1] < b[0] or b[1] < a[0],
        )

    def not_equal(self, x: Expr, y: Expr) -> Expr:
        return self._compare(
            "not_equal",
            x,
            y,
            lambda a, b: a[1] < b[0] or b[1] < a[0],
            lambda a, b: a == b and a[0] == a[1],
        )

    def _compare(
        self,
        op: str,
        x: Expr,
        y: Expr,
        always: Callable[[Any, Any], bool],
        never: Callable[[Any, Any], bool],
    ) -> Expr:
        if x.bounds is not None and y.bounds is not None:
            if always(x.bounds, y.bounds):
                return self.constant(True, BOOL)
            if never(x.bounds, y.bounds):
                return self.constant(False, BOOL)
        return make(op, (x, y), BOOL)

    def bitwise_and(self, x: Expr, y: Expr) -> Expr:
        if x.dtype == BOOL:
            for this, other in ((x, y), (y, x)):
                if this.op == "constant":
                    return other if this.attr else this
        return make("bitwise_and", (x, y), x.dtype)

    def bitwise_or(self, x: Expr, y: Expr) -> Expr:
        if x.dtype == BOOL:
            for this, other in ((x, y), (y, x)):
                if this.op == "constant":
                    return this if this.attr else other
        return make("bitwise_or", (x, y), x.dtype)

    def where(self, c: Expr, x: Expr, y: Expr) -> Expr:
        if c.op == "constant":
            return x if c.attr else y
        if x is y:
            return x
        bounds = None
        if x.bounds is not None and y.bounds is not None:
            bounds = _both(x.bounds, y.bounds)
        return make("where", (c, x, y), x.dtype, None, bounds)

    def convert(self, x: Expr, dtype: Any) -> Expr:
        dtype = np.dtype(dtype)
        if dtype == x.dtype:
            return x
        if x.op == "constant" and (kind_of(x.dtype) in "biu" or kind_of(dtype) in "fc"):
            return self.constant(x.attr, dtype)
        bounds = None
        if dtype == INT64 and x.dtype.kind in "biu" and x.dtype.itemsize < 8:
            info = np.iinfo(x.dtype) if x.dtype.kind != "b" else None
            bounds = (0, 1) if info is None else (int(info.min), int(info.max))
        return make("convert", (x,), dtype, None, bounds)

    def index(self, x: Expr) -> Expr:
        """An integer as int64; one that is too large for it stays large, for it is clipped next."""
        if x.dtype == np.uint64:
            x = self.minimum(x, self.constant(_INT_MAX, x.dtype))
        return self.convert(x, INT64)

    def bitcast(self, x: Expr, dtype: Any) -> Expr:
        dtype = np.dtype(dtype)
        return x if dtype == x.dtype else make("bitcast", (x,), dtype)


def _constant(value: Any, dtype: Any) -> Expr:
    with np.errstate(all="ignore"):
        scalar = np.asarray(value).astype(dtype)[()]
    bounds = (int(scalar), int(scalar)) if scalar.dtype == INT64 else None
    return make("constant", (), scalar.dtype, scalar, bounds)


@functools.lru_cache(maxsize=4096, typed=True)
def _python_constant(value: float, sign: float, dtype: Any) -> Expr:
    """Constants that rules ask for again and again; ``sign`` tells the two zeros apart."""
    return _constant(value, dtype)


@functools.lru_cache(maxsize=4096)
def _numpy_constant(value: bytes, dtype: np.dtype[Any], wanted: Any) -> Expr:
    return _constant(np.frombuffer(value, dtype)[0], wanted)


def _extremum_bounds(x: Expr, y: Expr, choose: Callable[..., int]) -> Bounds:
    """Bounds of a minimum or maximum; a side without bounds may be any int64."""
    if x.dtype != INT64:
        return None
    a, b = x.bounds or (_INT_MIN, _INT_MAX), y.bounds or (_INT_MIN, _INT_MAX)
    if any(type(n) is Bound for n in (*a, *b)):
        return _both(a, b)
    return choose(a[0], b[0]), choose(a[1], b[1])


def _both(a: tuple[int, int], b: tuple[int, int]) -> Bounds:
    """What holds two ranges, if it is known which of their ends are farther out."""
    low = a[0] if a[0] <= b[0] else b[0] if b[0] <= a[0] else None
    high = a[1] if a[1] >= b[1] else b[1] if b[1] >= a[1] else None
    return None if low is None or high is None else (low, high)


def _plain(name: str) -> Callable[..., Expr]:
    def method(self: Builder, *xs: Expr) -> Expr:
        return make(name, xs, xs[0].dtype)

    method.__name__ = name
    return method


TRANSCENDENTAL = [
    "cbrt",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sin",
    "cos",
    "tan",
    "arcsin",
    "arccos",
    "arctan",
    "arctan2",
    "sinh",
    "cosh",
    "tanh",
    "arcsinh",
    "arccosh",
    "arctanh",
    "power",
    "erf",
    "erfc",
    "erfinv",
    "lgamma",
    "digamma",
]
PLAIN_OPERATIONS = [
    "absolute",
    "sign",
    "floor",
    "ceil",
    "trunc",
    "rint",
    "sqrt",
    "copysign",
    "bitwise_xor",
    "bitwise_not",
    "left_shift",
    "right_shift_arithmetic",
    "right_shift_logical",
    *TRANSCENDENTAL,
]
for _name in PLAIN_OPERATIONS:
    setattr(Builder, _name, _plain(_name))

B = Builder()
install_builder(B)
